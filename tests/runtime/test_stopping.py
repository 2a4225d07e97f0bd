"""A stop stops: what is decided, what waits, what is about to be handed over; and two people start again."""

import json
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from remit.authority import SCOPES
from remit.gateway.channels.files import strike
from remit.ledger import read_ledger
from remit.runtime import commands, confirming, handing, queue_commands, rights_commands, stopping
from remit.runtime.cycles import last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer
from remit.runtime.workspace import Workspace
from remit.terms.encoding import MICRO
from remit.terms.errors import RemitError
from tests.runtime.conftest import amended, quiet
from tests.runtime.test_between import asked, free, one, place

Remit = Callable[..., subprocess.CompletedProcess[str]]


def stop(workspace: Workspace, scope: str, of: str = "", by: str = "compliance-lead") -> str:
    return str(rights_commands.stop(workspace.root, scope, of, by, "a test")["stop"])


def named(workspace: Workspace, scope: str) -> str:
    """Something of a scope that the workspace has."""
    with closing(read_ledger(workspace.ledger)) as records:
        body = next(records.entries(kind="cycle")).body
        content = next(str(entry.payload["proposal"]["content_id"]) for entry in records.entries(kind="action") if entry.payload["proposal"]["content_id"])
        hcp = next(str(entry.payload["hcp_id"]) for entry in records.entries(kind="action"))
    names = {"agent": "calls-alpha", "product": "beta", "market": "US", "channel": "call", "content": content, "model": body["models"]["response"], "hcp": hcp}
    return names.get(scope, "")


def within(scope: str, of: str) -> pl.Expr:
    column = {"agent": "agent", "product": "product", "channel": "channel", "content": "content_id", "hcp": "hcp_id"}.get(scope)
    return pl.col(column) == of if column else pl.lit(True)


@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_in_a_stopped_scope_is_decided_or_handed_over_and_the_rest_goes_on(scope: str, workspace: Workspace) -> None:
    of = named(workspace, scope)
    name = stop(workspace, scope, of)
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    inside, outside = done.result.decisions.filter(within(scope, of)), done.result.decisions.filter(~within(scope, of))
    assert inside.height
    assert set(inside["disposition"]) == {"forbidden"}
    assert inside["rules"].str.contains("stop-hcp" if scope == "hcp" else name).all()
    if outside.height:
        assert "chosen" in set(outside["disposition"])
        assert not outside["rules"].str.contains("stop-").any()
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3


@pytest.mark.parametrize("moment", ["check at the door", "act"])
def test_a_stop_while_a_cycle_is_handed_over_takes_the_lists_back(moment: str, workspace: Workspace) -> None:
    asked = []

    def stage(name: str) -> None:
        if name == moment and not asked:
            asked.append(stop(workspace, "agent", "calls-alpha"))

    done = run_cycle(workspace, 1, stage)
    assert asked
    assert done.stopped
    assert {each.recorded.chosen.judged.proposal.agent for each in done.stopped} == {"calls-alpha"}
    assert all(asked[0] in each.reason for each in done.stopped)
    with closing(read_ledger(workspace.ledger)) as records:
        acted = next(records.entries(kind="acted", cycle=done.cycle))
        agents = {records.entry(action).payload["proposal"]["agent"] for action in acted.body["actions"]}  # type: ignore[index]
        assert next(records.entries(kind="stop")).seq < acted.seq
    assert agents
    assert "calls-alpha" not in agents
    lists = "".join(path.read_text() for path in (workspace.out / done.cycle).glob("call-*.csv"))
    assert ",alpha," not in lists
    assert ",beta," in lists


def test_a_stop_while_a_cycle_is_being_decided_makes_it_decide_again(workspace: Workspace) -> None:
    with pytest.raises(Exception, match="decide again"):
        run_cycle(workspace, 1, lambda name: stop(workspace, "channel", "call") and None if name == "choose" else None)
    done = run_cycle(workspace, 1, quiet)
    assert done.cycle == "cycle-0003"
    assert done.result is not None
    assert set(done.result.decisions.filter(channel="call")["disposition"]) == {"forbidden"}


def test_what_waits_in_a_stopped_scope_is_refused_and_what_was_handed_over_is_named(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    row = "  - {id: ask, when: product = 'beta', verdict: confirm, owner: compliance-lead, reason: A test., "
    row += "roles: [brand-lead], deadline: 10 days, on_timeout: refuse}\n"
    table.write_text(table.read_text().replace("\nrows:\n", f"\nrows:\n{row}", 1))
    amended(workspace)
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    waiting, before = done.result.decisions.filter(disposition="waiting", product="beta").height, rights_commands.status(workspace.root)["waiting"]
    told = rights_commands.stop(workspace.root, "product", "beta", "owner-calls-beta", "a test")
    assert told["refused"] >= waiting > 0
    assert told["recalled"] == 0
    assert rights_commands.status(workspace.root)["waiting"] == before - told["refused"]
    calls = sum(len(path.read_text().splitlines()) - 1 for path in (workspace.out / done.cycle).glob("call-*.csv"))
    taken = next((workspace.out / done.cycle).glob("call-*.csv"))
    gone = len(taken.read_text().splitlines()) - 1
    taken.unlink()  # whoever took it
    told = rights_commands.stop(workspace.root, "channel", "call", "", "a test")
    assert told["recalled"] == calls > 0
    assert told["taken_back"] == calls - gone
    assert not list((workspace.out / done.cycle).glob("call-*.csv"))
    assert len((workspace.out / done.cycle / f"recall-{told['stop']}.csv").read_text().splitlines()) == calls + 1


def test_what_was_handed_over_with_a_yes_is_recalled_too(workspace: Workspace) -> None:
    handed = None
    for row in queue_commands.queue(workspace.root)["waiting"]:
        told: dict[str, object] = {"became": "waits", "may": row["may"]}
        while told["became"] == "waits" and handed is None:
            role, people = next((role, people) for role, people in dict(told["may"]).items() if people)  # type: ignore[call-overload]  # by role
            told = queue_commands.approve(workspace.root, row["digest"], people[0], role, 1)
        if told["became"] == "handed over":
            handed = row
            break
    assert handed is not None
    (folder,) = (
        (workspace.out / "cycle-0002").glob("approved-*") if handed["decision"].startswith("cycle-0002") else (workspace.out / "cycle-0001").glob("approved-*")
    )
    assert list(folder.glob("*.csv"))
    told = rights_commands.stop(workspace.root, "hcp", handed["hcp_id"], "", "a test")
    recalled = (workspace.out / "cycle-0002" / f"recall-{told['stop']}.csv").read_text()
    assert f"{handed['decision']},yes" in recalled
    assert not [path for path in folder.glob("*.csv") if not path.name.startswith("notice-")]


def test_two_people_start_again_and_one_does_not(workspace: Workspace) -> None:
    name = stop(workspace, "agent", "email", "owner-email")
    with pytest.raises(WorkspaceError, match="may not start"):
        rights_commands.start(workspace.root, name, "mlr-lead", "a test")
    assert rights_commands.start(workspace.root, name, "owner-email", "mended")["others"] == ["compliance-lead", "owner-authority"]
    with pytest.raises(WorkspaceError, match="has asked for it already"):
        rights_commands.start(workspace.root, name, "owner-email", "mended")
    (row,) = rights_commands.status(workspace.root)["stops"]
    assert (row["start_asked_by"], row["scope"], row["of"]) == ("owner-email", "agent", "email")
    assert row["last_action"]["cycle"] == "cycle-0002"
    assert rights_commands.start(workspace.root, name, "compliance-lead", "seen")["step"] == "yes"
    assert rights_commands.status(workspace.root)["stops"] == []
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    assert not done.result.decisions["rules"].str.contains("stop-").fill_null(False).any()
    with pytest.raises(WorkspaceError, match="no stop"):
        rights_commands.start(workspace.root, name, "compliance-lead", "again")


def test_who_asked_for_a_start_and_has_left_is_no_longer_one_of_two(workspace: Workspace) -> None:
    name = stop(workspace, "agent", "email")
    assert rights_commands.start(workspace.root, name, "owner-email", "mended")["step"] == "asked"
    people = workspace.root / "people.yaml"
    people.write_text(people.read_text().replace("owner-email: {roles: [agent-owner]}", "owner-email: {roles: [agent-owner], until: 2026-01-01T00:00:00Z}"))
    told = rights_commands.start(workspace.root, name, "compliance-lead", "mended")
    assert (told["step"], told["others"]) == ("asked", ["owner-authority"])
    assert rights_commands.start(workspace.root, name, "owner-authority", "mended")["step"] == "yes"


def test_of_two_who_ask_for_a_start_at_the_same_moment_one_is_the_first(workspace: Workspace) -> None:
    name, said = stop(workspace, "agent", "email"), list[dict[str, Any]]()
    both = [
        threading.Thread(target=lambda by=by: said.append(rights_commands.start(workspace.root, name, by, "mended")))
        for by in ("owner-email", "owner-authority")
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sorted(each["step"] for each in said) == ["asked", "yes"]
    assert rights_commands.status(workspace.root)["stops"] == []


@pytest.mark.parametrize(
    ("scope", "of", "by", "says"),
    [
        ("moon", "", "", "everything, agent"),
        ("agent", "nobody", "", "calls-alpha"),
        ("everything", "email", "", "takes no name"),
        ("content", "", "", "Say what is to be stopped"),
        ("agent", "email", "owner-msl", "compliance-lead"),
    ],
)
def test_a_stop_of_what_there_is_not_or_by_who_may_not_is_told(scope: str, of: str, by: str, says: str, workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError) as raised:
        rights_commands.stop(workspace.root, scope, of, by, "a test")
    assert says in str(raised.value)
    assert rights_commands.status(workspace.root)["stops"] == []


def test_a_draft_changes_nothing_of_who_may_stop_and_start(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    text = table.read_text()
    table.write_text(text.replace("owner: owner-authority", "owner: owner-msl", 1))
    with pytest.raises(WorkspaceError, match="may not stop this"):
        stop(workspace, "everything", by="owner-msl")
    name = stop(workspace, "everything", by="owner-authority")
    table.write_text(text[: len(text) // 2] + "\n  - half a row: [")
    assert stop(workspace, "agent", "email", by="")
    rights_commands.start(workspace.root, name, "compliance-lead", "seen")
    with pytest.raises(WorkspaceError, match="may not start this again"):
        rights_commands.start(workspace.root, name, "owner-msl", "seen")
    assert rights_commands.start(workspace.root, name, "owner-authority", "seen")["step"] == "yes"


def test_an_hcps_id_stands_in_no_entry_in_the_clear(workspace: Workspace) -> None:
    hcp = named(workspace, "hcp")
    stop(workspace, "hcp", hcp)
    with closing(read_ledger(workspace.ledger)) as records:
        (entry,) = records.entries(kind="hold")
        assert hcp not in json.dumps(entry.body)
        assert entry.payload == {"hcp_id": hcp}
    commands.erase(hcp, workspace.root, "request")
    assert run_cycle(workspace, 1, quiet).result is not None


def test_the_command_line_stops_says_so_and_starts(workspace: Workspace, remit: Remit) -> None:
    at: tuple[str | Path, ...] = ("-w", workspace.root)
    assert "agent email is stopped" in remit("stop", "agent", "email", "--reason", "too many complaints", *at).stdout
    told = remit("status", *at).stdout
    assert "too many complaints" in told
    assert "cycle-0002, entry" in told
    assert "must say yes" in remit("start", "stop-0001", "--by", "owner-email", "--reason", "mended", *at).stdout
    assert "is ended" in remit("start", "stop-0001", "--by", "compliance-lead", "--reason", "seen", *at).stdout
    assert "Nothing is stopped." in remit("status", *at).stdout


@pytest.mark.parametrize("scope", ["agent", "model", "everything"])
def test_what_waits_between_cycles_is_refused_by_a_stop(scope: str, workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp, value=900 * MICRO))
        assert answer.disposition == "waiting"
        told = rights_commands.stop(workspace.root, scope, "email" if scope == "agent" else named(workspace, scope), "", "a test")
        assert told["refused"] >= 1
        after = clerk.status("email", answer.id)
        assert after is None or after.disposition == "waiting"  # as of its last turn
        clerk.answer([])
        after = clerk.status("email", answer.id)
        assert after is not None
        assert after.disposition == "refused"
    with place(workspace) as (clerk, _, _):
        assert clerk.taken.get("sends", 0) == 0
    run_cycle(workspace, 1, quiet)
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


@pytest.mark.parametrize("scope", ["hcp", "agent"])
def test_a_stop_that_comes_while_a_yes_is_being_given_holds(scope: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded after what is known was read, and before the action would have been handed over."""
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp, value=900 * MICRO))
    (item,) = [item for item in queue_commands.queue(workspace.root)["waiting"] if ".between/" in item["decision"]]
    queue_commands.approve(workspace.root, item["digest"], "brand-lead-alpha", None, 1)
    known = confirming.standing_inputs

    def meanwhile(*arguments: Any, **other: Any) -> Any:
        found = known(*arguments, **other)
        rights_commands.stop(workspace.root, scope, hcp if scope == "hcp" else "email", "", "a test")
        return found

    monkeypatch.setattr(confirming, "standing_inputs", meanwhile)
    told = queue_commands.approve(workspace.root, item["digest"], "compliance-lead", None, 1)
    assert told["became"] == "refused"
    with closing(read_ledger(workspace.ledger)) as records:
        refusals = [entry.body["action"] for entry in records.entries(kind="refused")]
        assert len(refusals) == len(set(refusals))
    assert not list((workspace.out / "cycle-0002.between").rglob("email*.csv"))


def test_a_list_of_an_approved_action_that_was_not_recorded_is_taken_back_by_a_stop(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever approves is killed between list and record."""
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp, value=900 * MICRO))
    (item,) = [item for item in queue_commands.queue(workspace.root)["waiting"] if ".between/" in item["decision"]]
    queue_commands.approve(workspace.root, item["digest"], "brand-lead-alpha", None, 1)
    written = handing.deliver

    def killed(*arguments: Any) -> Any:
        written(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(handing, "deliver", killed)
    with pytest.raises(KeyboardInterrupt):
        queue_commands.approve(workspace.root, item["digest"], "compliance-lead", None, 1)
    assert list((workspace.out / "cycle-0002.between").rglob("email.csv"))
    assert stop(workspace, "agent", "email") == "stop-0001"
    assert not list((workspace.out / "cycle-0002.between").rglob("email.csv"))
    assert item["digest"] not in str(queue_commands.queue(workspace.root))


@pytest.mark.parametrize(
    ("file", "text"),
    [("people.yaml", "owner-email: {roles: [agent-owner"), ("agents/email.yaml", "agent: email\n"), ("remit.toml", "[clock\n"), ("remit.toml", None)],
)
def test_what_people_have_written_may_be_at_fault_and_stopping_works(file: str, text: str | None, workspace: Workspace, remit: Remit) -> None:
    path = workspace.root / file
    before = path.read_text()
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(RemitError):
        run_cycle(workspace, 1, quiet)
    done = remit("stop", "agent", "calls-alpha", "--reason", "a test", "-w", workspace.root)
    assert done.returncode == 0, done.stderr
    assert "agent calls-alpha is stopped" in done.stdout
    assert "cannot be used; this goes by what was used last" in done.stdout
    refused = remit("stop", "agent", "calls-alpha", "--reason", "a test", "--by", "owner-msl", "-w", workspace.root)
    assert (refused.returncode, "may not stop this" in refused.stderr) == (2, True), refused
    told = remit("status", "-w", workspace.root)
    assert ("stop-0001" in told.stdout, "cannot be used" in told.stdout) == (True, True), told
    path.write_text(before)
    decided = run_cycle(workspace, 1, quiet).result
    assert decided is not None
    assert set(decided.decisions.filter(agent="calls-alpha")["disposition"]) == {"forbidden"}


def test_what_follows_a_stop_is_done_by_the_next_worker_where_it_was_broken_off(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        first, second, *_ = free(clerk)
        waits, acted = one(clerk, config, asked(clerk, first, "k1", 900 * MICRO)), one(clerk, config, asked(clerk, second, "k2"))
        assert (waits.disposition, acted.disposition) == ("waiting", "chosen")
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
        name = stopping.begin(ledger, "channel", "email", "compliance-lead", "a test", 1)  # and the process ends
    with place(workspace) as (_, _, ledger):
        assert waits.entry in [entry.body["action"] for entry in ledger.entries(kind="refused")]
        (recalled,) = ledger.entries(kind="recall")
        assert (recalled.body["stop"], recalled.body["taken_back"] > 0) == (name, True)
        listed = workspace.out / last_cycle(ledger) / f"recall-{name}.csv"
        rows = pl.read_csv(listed, infer_schema=False)
        assert second in rows.filter(taken_back="yes")["hcp_id"].to_list()
        listed.unlink()  # somebody took it
    with place(workspace) as (_, _, ledger):
        assert len(list(ledger.entries(kind="recall"))) == 1
        assert not listed.exists()
    run_cycle(workspace, 1, quiet)
    assert not listed.exists()
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3


def test_an_hcp_who_is_not_on_file_is_stopped_and_whoever_stops_is_told(workspace: Workspace, remit: Remit) -> None:
    done = remit("stop", "hcp", "NOBODY-9", "--reason", "a test", "-w", workspace.root)
    assert (done.returncode, "Nobody of this id is on file" in done.stdout) == (0, True), done
    odd = remit("stop", "content", "two\nlines", "--reason", "a test", "-w", workspace.root)
    assert (odd.returncode, "is no name of content" in odd.stderr) == (2, True), odd
    nobody = remit("stop", "hcp", "Dr Who", "--reason", "a test", "-w", workspace.root)
    assert (nobody.returncode, "is no name of hcp" in nobody.stderr) == (2, True), nobody
    none = remit("stop", "market", "DE", "--reason", "a test", "-w", workspace.root)
    assert (none.returncode, "there is no market `DE` to stop" in none.stderr) == (2, True), none


def test_rows_that_are_struck_are_taken_by_nobody_twice(tmp_path: Path) -> None:
    path, written = tmp_path / "email.csv", list[bytes]()
    whole = b"hcp_id,decision\nH1,c/1\nH2,c/2\n"

    def write(to: Path, data: bytes) -> None:
        assert not path.exists()  # whoever comes now finds nothing
        written.append(data)
        to.write_bytes(data)

    def fails(to: Path, data: bytes) -> None:
        raise OSError("the disk is full")

    path.write_bytes(whole)
    with pytest.raises(OSError, match="full"):
        strike(path, {"c/1"}, fails)
    assert not path.exists()
    assert strike(path, {"c/1"}, write) == {"c/1"}
    assert path.read_bytes() == b"hcp_id,decision\nH2,c/2\n"
    assert [each.name for each in tmp_path.iterdir()] == ["email.csv"]
    path.unlink()  # somebody took it
    assert strike(path, {"c/2"}, write) == set()
    assert not path.exists()
    path.write_bytes(whole)
    assert strike(path, {"c/9"}, write) == set()
    assert strike(path, {"c/1", "c/2"}, write) == {"c/1", "c/2"}
    assert list(tmp_path.iterdir()) == []
    assert len(written) == 1


def test_lists_that_a_turn_wrote_and_did_not_record_are_taken_back_by_the_next_turn_of_anybody(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _), place(workspace) as (other, _, _):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp))
        give = deliverer(workspace, config)

        def breaks(*given: Any) -> dict[str, Any]:
            give(*given)
            raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            clerk.act(breaks)
        lists = list((workspace.out / clerk.standing.label / str(answer.entry)).glob("*.csv"))
        assert lists
        other.withdraw([("email", answer.id)])
        assert not any(path.exists() for path in lists)


def test_a_list_that_somebody_has_changed_keeps_nobody_from_deciding(workspace: Workspace) -> None:
    done = run_cycle(workspace, 1, quiet)
    broken = next(path for path in sorted((workspace.out / done.cycle).glob("call-*.csv")))
    whole = broken.read_bytes()
    broken.write_bytes(whole.replace(b",", b";") + "\u00e9".encode("latin-1"))
    told = rights_commands.stop(workspace.root, "channel", "call", "compliance-lead", "a test")
    rows = pl.read_csv(workspace.out / done.cycle / f"recall-{told['stop']}.csv", infer_schema=False)
    assert told["recalled"] == rows.height > told["taken_back"] == rows.filter(taken_back="yes").height
    assert broken.is_file()
    with place(workspace) as (_, _, ledger):
        assert len(list(ledger.entries(kind="recall"))) == 1
    assert run_cycle(workspace, 1, quiet).result is not None


def test_what_follows_a_stop_and_cannot_be_done_is_tried_again_and_keeps_nobody_from_deciding(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise WorkspaceError("the disk is full")

    with place(workspace) as (_, _, ledger):
        name = stopping.begin(ledger, "channel", "email", "compliance-lead", "a test", 1)
    with monkeypatch.context() as broken:
        broken.setattr(stopping, "recall", full)
        with place(workspace) as (_, _, ledger):
            assert stopping.broken_off(ledger) == [name]
    with place(workspace) as (_, _, ledger):
        assert stopping.broken_off(ledger) == []


def test_of_two_stops_at_once_neither_brings_back_what_the_other_struck(workspace: Workspace) -> None:
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    lists = {path.name: pl.read_csv(path, infer_schema=False) for path in (workspace.out / done.cycle).glob("call-*.csv")}
    both = [
        threading.Thread(target=lambda product=product: rights_commands.stop(workspace.root, "product", product, "compliance-lead", "a test"))
        for product in ("alpha", "beta")
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert any(set(rows["product"]) >= {"alpha", "beta"} for rows in lists.values())
    left = [pl.read_csv(path, infer_schema=False) for path in (workspace.out / done.cycle).glob("call-*.csv")]
    assert not any(rows.filter(pl.col("product").is_in(["alpha", "beta"])).height for rows in left)
    assert list((workspace.out / done.cycle).glob(".*.struck")) == []


def test_a_stop_is_in_force_where_it_cannot_be_read_who_is_on_file(workspace: Workspace) -> None:
    for path in (workspace.warehouse / "hcp").glob("*.parquet"):
        path.write_bytes(b"no parquet")
    told = rights_commands.stop(workspace.root, "hcp", "H0000002", "compliance-lead", "a test")
    assert (told["on_file"], told["stop"]) == (None, "stop-0001")


def test_content_of_any_name_that_a_feed_may_give_it_is_stopped(workspace: Workspace) -> None:
    assert rights_commands.stop(workspace.root, "content", "Alpha leaflet (v2), \u00fcber uns", "compliance-lead", "a test")["stop"] == "stop-0001"
