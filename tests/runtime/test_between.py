"""Between cycles: the facts of one proposal, decisions at the prices of the last cycle, keys answered once, turns that several clerks take, and the door."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from remit.arbiter import arbitrate_one
from remit.authority import AuthorityError, authorize
from remit.gateway import Answer, Asked, Clerk, GatewayError, Renewed, Single, gather
from remit.ledger import Ledger, open_ledger
from remit.runtime import commands, handing, queue_commands, rights_commands, standing
from remit.runtime.cycle import proposed
from remit.runtime.handing import standing_inputs
from remit.runtime.problem import build
from remit.runtime.run import present, run_cycle
from remit.runtime.standing import deliverer, take_place
from remit.runtime.workspace import Config, Workspace, config_texts, open_workspace, read_config
from remit.terms.encoding import MICRO, canonical
from remit.terms.facts import FACTS
from remit.terms.instants import DAY, HOUR
from remit.terms.proposals import PROPOSAL_COLUMNS, Cleared, Proposal
from remit.terms.verdicts import Ruling
from tests.runtime.conftest import amended, quiet

Remit = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def place(workspace: Workspace) -> Iterator[tuple[Clerk, Config, Ledger]]:
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        clerk, config = take_place(workspace, ledger, lambda: 0, 1)
        yield clerk, config, ledger


def free(clerk: Clerk, agent: str = "email", channel: str = "email") -> list[str]:
    """HCPs whom the agent may contact about alpha by itself now, without a contact in this cycle."""
    single, now, said = clerk.standing.single, clerk.standing.single.known.now + 1, content(clerk, channel)

    def may(hcp: str) -> bool:
        proposal = Proposal(hcp, agent, channel, "alpha", said, "promotional", "promotional", 1, MICRO, None, mandatory=False)
        contacted = any(at >= single.known.now for at, *_ in single.contacts(hcp))
        return not contacted and authorize(single.facts(proposal, now), clerk.standing.table).ruling is Ruling.AUTONOMOUS

    return [hcp for hcp in single.served(["alpha"]) if may(hcp)]


def content(clerk: Clerk, channel: str = "email", product: str = "alpha") -> str:
    rows = clerk.standing.single.known.content.filter((pl.col("channel") == channel) & (pl.col("product") == product) & (pl.col("status") == "approved"))
    return str(rows.sort("content_id", "valid_to", descending=[False, True])["content_id"][0])


def asked(clerk: Clerk, hcp: str, key: str = "k", value: int = 90 * MICRO, **other: str) -> Asked:
    said = {"channel": "email", "product": "alpha", "communication_type": "promotional", "content_id": content(clerk), **other}
    return Asked(key=key, hcp_id=hcp, value=value, **said)


def rules(answer: Answer) -> list[str]:
    assert answer.payload is not None
    return list(answer.payload["verdict"]["rules"])


def one(clerk: Clerk, config: Config, what: Asked, agent: str = "email") -> Answer:
    (answer,) = clerk.answer([(clerk.standing.charters[agent], what)])
    assert isinstance(answer, Answer), answer
    return answer


def test_the_facts_of_one_are_the_facts_of_all(finished: Path) -> None:
    """Every recorded proposal of a cycle, by both readings."""
    workspace = open_workspace(finished)
    with closing(open_ledger(workspace.ledger, entropy=bytes)) as ledger:
        config = read_config(config_texts(workspace))
        now = present(ledger, config.settings)
        inputs = standing_inputs(workspace, config, ledger, now, 1)
        single = Single(inputs.known, config.charters, config.people)
        rows, _, _ = proposed(inputs, quiet)
        strange = rows.head(3).with_columns(
            hcp_id=pl.Series(["nobody", rows["hcp_id"][1], rows["hcp_id"][2]]),
            agent=pl.Series([rows["agent"][0], "stranger", rows["agent"][2]]),
            content_id=pl.Series([rows["content_id"][0], rows["content_id"][1], None], dtype=pl.String),
        )
        frame = pl.concat([rows, strange]).select(*(name for name, _ in PROPOSAL_COLUMNS))
        facts = gather(frame, inputs.known, config.charters, config.people)
        for row, expected in zip(frame.iter_rows(named=True), facts.iter_rows(named=True), strict=True):
            found = single.facts(Proposal(**row), now)
            assert {name: found[name] for name in FACTS} == {name: expected[name] for name in FACTS}
            rep, territory = single.covered(row["hcp_id"], row["product"], row["channel"])
            assert (rep, territory) == (expected["rep_id"], expected["territory"])


def test_a_proposal_is_judged_chosen_recorded_and_handed_over_once(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp))
        assert answer.disposition == "chosen", answer
        assert answer.payload is not None
        assert ledger.entry(answer.entry).payload == json.loads(canonical(answer.payload))
        again = one(clerk, config, asked(clerk, hcp))
        assert (again.id, again.entry, again.payload) == (answer.id, answer.entry, json.loads(canonical(answer.payload)))
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
        assert clerk.act(deliverer(workspace, config)) == (0, 0)
        told = clerk.status("email", answer.id)
        assert told is not None
        assert told.disposition == "acted"
        assert clerk.status("msl", answer.id) is None
        (path,) = (workspace.out / clerk.standing.label).rglob("email*.csv")
        assert pl.read_csv(path, infer_schema=False)["hcp_id"].to_list() == [hcp]
    run_cycle(workspace, 1, quiet)
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3


def test_what_was_done_between_cycles_counts_in_the_next(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        hcp, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp))
        clerk.act(deliverer(workspace, config))
        before = clerk.standing.free["sends"]
        config_now = read_config(config_texts(workspace))
        inputs = standing_inputs(workspace, config_now, ledger, present(ledger, config_now.settings), 1)
        assert inputs.taken["sends"] == inputs.capacity["sends"] - before + MICRO
        at = clerk.standing.single.known.now + 1
        assert inputs.known.contacts.filter((pl.col("hcp_id") == hcp) & (pl.col("at") == at)).height == 1


def test_a_key_that_is_used_for_something_else_is_refused_and_so_is_an_hcp_out_of_reach(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, ledger):
        hcp, other, *_ = free(clerk)
        charter, size = clerk.standing.charters["email"], ledger.size
        found = clerk.answer([(charter, asked(clerk, hcp)), (charter, asked(clerk, other)), (charter, asked(clerk, "nobody", "n"))])
        assert [type(each) for each in found] == [Answer, GatewayError, GatewayError]
        assert "used for another proposal" in str(found[1])
        assert "does not reach this HCP" in str(found[2])
        assert ledger.size == size + 1
        assert not ledger.holds("nobody")


def test_a_vendors_agent_acts_under_its_charter_and_a_row_of_its_own(workspace: Workspace) -> None:
    charter = (
        (workspace.root / "agents" / "email.yaml").read_text().replace("agent: email", "agent: vendor-mail").replace("proposer: email", "proposer: external")
    )
    (workspace.root / "agents" / "vendor.yaml").write_text(charter.replace("settings: {modules: 4}", "").replace("floor: 50", "floor: 0"))
    table = workspace.root / "authority.yaml"
    row = "  - {id: vendor, when: agent = 'vendor-mail' AND channel = 'email' AND consent = 'opt_in' AND purpose = 'promotional', verdict: autonomous, "
    table.write_text(table.read_text().replace("\nrows:\n", f"\nrows:\n{row}owner: owner-email, reason: A test.}}\n", 1))
    amended(workspace)
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    assert done.result.decisions.filter(agent="vendor-mail").is_empty()
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp), "vendor-mail")
        assert (answer.disposition, rules(answer)) == ("chosen", ["vendor"]), answer
        again = one(clerk, config, asked(clerk, hcp, "k2"), "vendor-mail")
        assert again.payload is not None
        assert again.payload["context"]["why"] == "the charter allows 1 such actions on a physician in a cycle"
        (found,) = clerk.answer([(clerk.standing.charters["vendor-mail"], asked(clerk, hcp, "k3", channel="pigeon"))])
        assert "there is no channel" in str(found)


def test_a_key_asked_twice_in_one_turn_is_answered_once(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, ledger):
        hcp, other, *_ = free(clerk)
        charter, size = clerk.standing.charters["email"], ledger.size
        first, again, strange = clerk.answer([(charter, asked(clerk, hcp)), (charter, asked(clerk, hcp)), (charter, asked(clerk, other))])
        assert isinstance(first, Answer)
        assert first == again
        assert isinstance(strange, GatewayError)
        assert ledger.size == size + 1 == first.entry + 1


def test_an_erased_physician_is_out_of_reach_and_nobody_else_is_held_up(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        gone, hcp, *_ = free(clerk)
        one(clerk, config, asked(clerk, gone))
        commands.erase(gone, workspace.root, "request")
        with pytest.raises(Renewed):
            clerk.answer([(clerk.standing.charters["email"], asked(clerk, hcp, "k2"))])
    with place(workspace) as (clerk, config, _):
        charter = clerk.standing.charters["email"]
        refused, chosen = clerk.answer([(charter, asked(clerk, gone, "k3")), (charter, asked(clerk, hcp, "k2"))])
        assert isinstance(refused, GatewayError)
        assert isinstance(chosen, Answer)
        assert chosen.disposition == "chosen"
        assert clerk.act(deliverer(workspace, config)) == (1, 0)


def test_a_list_that_was_written_and_not_recorded_is_taken_back(workspace: Workspace) -> None:
    """The machine stops between file and commit; then comes a stop."""
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp))
        write = deliverer(workspace, config)

        def broken(label: str, first: int, cleared: Sequence[Cleared]) -> Mapping[str, Mapping[str, Any]]:
            write(label, first, cleared)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            clerk.act(broken)
    folder = workspace.out / "cycle-0002.between"
    assert list(folder.rglob("*.csv"))
    rights_commands.stop(workspace.root, "agent", "email", "owner-email", "a test")
    with place(workspace) as (clerk, config, _):
        assert not list(folder.rglob("*.csv"))
        assert clerk.act(deliverer(workspace, config)) == (0, 1)
    assert not list(folder.rglob("*.csv"))


def test_lists_of_a_turn_that_failed_do_not_stay_where_another_hands_over(workspace: Workspace) -> None:
    """What the first handed over besides, a stop has refused meanwhile: nobody would look for its list in a folder that is recorded."""
    with place(workspace) as (clerk, config, _):
        answer = one(clerk, config, asked(clerk, free(clerk)[0]))
        folder = workspace.out / "cycle-0002.between" / str(answer.entry)
        folder.mkdir(parents=True)
        (folder / "call-REP-1.csv").write_text("decision\n")
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
    assert "call-REP-1.csv" not in {path.name for path in folder.iterdir()}
    assert list(folder.glob("email*.csv"))


def test_limits_of_a_physician_and_of_a_resource_hold_within_one_turn(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, _):
        hcp, *others = free(clerk)
        charter = clerk.standing.charters["email"]
        found = clerk.answer([(charter, asked(clerk, hcp, f"k{number}")) for number in range(3)])
        assert [answer.disposition for answer in found if isinstance(answer, Answer)] == ["chosen", "outbid", "outbid"]
        assert "the charter allows 1" in str(found[1].payload)  # type: ignore[union-attr]
        left = (clerk.standing.free["sends"] - MICRO) // MICRO
        wanted = [(charter, asked(clerk, each, each)) for each in others][: left + 5]
        if len(wanted) > left:
            chosen = [answer.disposition for answer in clerk.answer(wanted) if isinstance(answer, Answer)].count("chosen")
            assert chosen <= left


def test_a_charters_limit_on_a_physician_counts_what_the_last_cycle_itself_has_chosen(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        chosen = [entry for entry in ledger.entries(kind="action", cycle=clerk.standing.cycle) if "deadline" not in entry.body and entry.payload is not None]
        done = next(entry.payload["proposal"] for entry in chosen if entry.payload["proposal"]["agent"] == "calls-alpha")  # type: ignore[index]
        waits, *_ = (item for item in queue_commands.queue(workspace.root)["waiting"] if item["agent"] == "calls-alpha")
        call = {"channel": "call", "content_id": content(clerk, "call")}
        for key, hcp in (("done", done["hcp_id"]), ("waits", waits["hcp_id"])):
            assert "the charter allows 1" in str(one(clerk, config, asked(clerk, hcp, key, **call), "calls-alpha").payload)
        queue_commands.decline(workspace.root, waits["digest"], waits["may"]["data-steward"][0], "timing", "")
        assert "the charter allows 1" not in str(one(clerk, config, asked(clerk, waits["hcp_id"], "again", **call), "calls-alpha").payload)


def test_an_opt_out_a_draft_and_an_unknown_row_forbid(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        known = clerk.standing.single.known
        out = known.consent.filter((pl.col("channel") == "email") & (pl.col("status") == "opt_out"))["hcp_id"]
        hcp = next(each for each in sorted(out) if clerk.standing.single.serves(each, ["alpha"]))
        answer = one(clerk, config, asked(clerk, hcp))
        assert answer.disposition == "forbidden"
        assert "opted-out" in rules(answer)
        answer = one(clerk, config, asked(clerk, free(clerk)[0], "k2", content_id="of-nobody"))
        assert "content-not-approved" in rules(answer)


def test_a_stop_holds_from_its_entry_on_also_for_what_was_decided_and_not_handed_over(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        first, second, third, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, first))
        rights_commands.stop(workspace.root, "agent", "email", "owner-email", "a test")
        assert one(clerk, config, asked(clerk, second, "k2")).disposition == "forbidden"
        assert clerk.act(deliverer(workspace, config)) == (0, 1)
        told = clerk.status("email", answer.id)
        assert told is not None
        assert told.disposition == "refused"
        assert not list((workspace.out / clerk.standing.label).rglob("*.csv"))
        rights_commands.start(workspace.root, "stop-0001", "owner-email", "mended")
        rights_commands.start(workspace.root, "stop-0001", "owner-authority", "mended")
        assert one(clerk, config, asked(clerk, second, "k3")).disposition == "chosen"
        rights_commands.stop(workspace.root, "hcp", third, "compliance-lead", "a test")
        forbidden = one(clerk, config, asked(clerk, third, "k4"))
        assert (forbidden.disposition, rules(forbidden)) == ("forbidden", ["stop-hcp"])


def test_a_stop_from_before_holds_too_and_ends_when_two_people_say_so(workspace: Workspace) -> None:
    rights_commands.stop(workspace.root, "channel", "email", "compliance-lead", "a test")
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        assert one(clerk, config, asked(clerk, hcp)).disposition == "forbidden"
        rights_commands.start(workspace.root, "stop-0001", "compliance-lead", "mended")
        rights_commands.start(workspace.root, "stop-0001", "owner-email", "mended")
        assert one(clerk, config, asked(clerk, hcp, "k2")).disposition == "chosen"


@pytest.mark.parametrize("scope", ["agent", "model"])
def test_a_stop_refuses_what_waits_since_the_cycle(scope: str, workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        answer = one(clerk, config, asked(clerk, free(clerk)[0], value=900 * MICRO))
        assert answer.disposition == "waiting"
        of = "email" if scope == "agent" else str(next(ledger.entries(kind="cycle")).body["models"]["response"])
        before = clerk.taken["sends"]
        rights_commands.stop(workspace.root, scope, of, "", "a test")
        clerk.act(deliverer(workspace, config))
        told = clerk.status("email", answer.id)
        assert told is not None
        assert told.disposition == "refused"
        assert clerk.taken["sends"] == before - MICRO


def test_what_is_withdrawn_is_not_handed_over_and_gives_back_what_it_took(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp))
        assert clerk.withdraw([("msl", answer.id)])[0] is None
        told = clerk.withdraw([("email", answer.id)])[0]
        assert told is not None
        assert told.disposition == "withdrawn"
        assert clerk.act(deliverer(workspace, config)) == (0, 0)
        assert one(clerk, config, asked(clerk, hcp, "k2")).disposition == "chosen"


def test_what_needs_a_person_waits_in_the_queue(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp, value=900 * MICRO))
        assert answer.disposition == "waiting"
    (item,) = [item for item in queue_commands.queue(workspace.root)["waiting"] if item["decision"].startswith("cycle-0002.between/")]
    assert item["hcp_id"] == hcp
    queue_commands.approve(workspace.root, item["digest"], "brand-lead-alpha", None, 1)
    told = queue_commands.approve(workspace.root, item["digest"], "compliance-lead", None, 1)
    assert told["became"] == "handed over", told
    with place(workspace) as (clerk, config, _):
        told = clerk.status("email", answer.id)
        assert told is not None
        assert told.disposition == "acted"
    run_cycle(workspace, 1, quiet)
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3


def test_after_a_cycle_what_is_known_must_be_taken_anew(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp))
        run_cycle(workspace, 1, quiet)
        with pytest.raises(Renewed):
            clerk.answer([(clerk.standing.charters["email"], asked(clerk, hcp))])
    with place(workspace) as (clerk, config, _):
        assert one(clerk, config, asked(clerk, hcp)).id == answer.id  # keys are remembered


def test_a_contact_is_not_counted_against_itself_by_a_worker_that_begins_before_it_is_made(workspace: Workspace) -> None:
    """The last contact that the cap allows is decided by one worker and handed over by another, an hour later."""
    with place(workspace) as (clerk, _, _):
        single, now = clerk.standing.single, clerk.standing.begun + 1
        had = {hcp: sum(now - 28 * DAY <= at < now for at, *_ in single.contacts(hcp)) for hcp in free(clerk)}
        hcp = max(had, key=lambda each: had[each])
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text().replace("    value: 8\n", f"    value: {had[hcp] + 1}\n", 1))
    amended(workspace)
    with place(workspace) as (clerk, config, _):
        assert one(clerk, config, asked(clerk, hcp)).disposition == "chosen"
    with place(workspace) as (clerk, config, _):
        clerk._clock = lambda: now + HOUR
        assert clerk.act(deliverer(workspace, config)) == (1, 0)


def test_an_opt_out_that_is_loaded_between_cycles_holds_for_what_was_decided_and_what_comes(workspace: Workspace, remit: Remit) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, other, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp))
        row = f"{hcp},email,promotional,opt_out,2026-01-12T00:00:00Z"
        (workspace.feeds / "consent" / "late.csv").write_text(f"hcp_id,channel,purpose,status,valid_from\n{row}\n")
        told = remit("load", "-w", workspace.root)
        assert (told.returncode, "Loaded 1 rows from 1 files" in told.stdout) == (0, True), told
        with pytest.raises(Renewed):
            clerk.answer([(clerk.standing.charters["email"], asked(clerk, other, "k2"))])
    with place(workspace) as (clerk, config, _):
        assert clerk.act(deliverer(workspace, config)) == (0, 1)
        assert one(clerk, config, asked(clerk, hcp, "k3")).disposition == "forbidden"
        assert one(clerk, config, asked(clerk, other, "k2")).disposition == "chosen"


@pytest.mark.parametrize(
    ("file", "old", "new", "became"),
    [
        ("agents/email.yaml", "channels: [email]", "channels: [call]", "forbidden"),
        ("people.yaml", "owner-email: {roles: [agent-owner]}", "owner-email: {roles: [agent-owner], until: 2026-01-01T00:00:00Z}", None),
    ],
)
def test_a_charter_that_changes_and_a_person_who_leaves_hold_at_once(workspace: Workspace, file: str, old: str, new: str, became: str | None) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        said = asked(clerk, hcp)
        path = workspace.root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
        with pytest.raises(Renewed):
            clerk.answer([(clerk.standing.charters["email"], said)])
    if became is None:  # a row of the table has lost its owner
        with pytest.raises(AuthorityError, match="cannot be used"), place(workspace):
            pass
        return
    with place(workspace) as (clerk, config, _):
        assert one(clerk, config, said).disposition == became


def test_a_clock_that_is_set_back_a_little_stands_still(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, other, *_ = free(clerk)
        now = clerk.standing.begun + 10 * HOUR
        clerk._clock = lambda: now
        first = one(clerk, config, asked(clerk, hcp))
        clerk._clock = lambda: now - 20_000_000
        assert one(clerk, config, asked(clerk, other, "k2")).body["at"] == first.body["at"] == now


def test_what_is_taken_in_while_others_decide_is_counted_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker's withdrawal comes between the two readings of one that begins."""
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        left = clerk.standing.free["sends"]
        answer = one(clerk, config, asked(clerk, hcp))
        known = handing.standing_inputs

        def meanwhile(*arguments: Any, **named: Any) -> Any:
            clerk.withdraw([("email", answer.id)])
            return known(*arguments, **named)

        monkeypatch.setattr(standing, "standing_inputs", meanwhile)
        with place(workspace) as (other, _, _):
            other.answer([])
            assert other.standing.free["sends"] - other.taken.get("sends", 0) == left


def test_two_clerks_never_both_take_the_last_one(workspace: Workspace) -> None:
    """Threads with a ledger each, on the same HCPs: nobody has more contacts than allowed, no capacity is exceeded, no key is answered twice differently."""
    with place(workspace) as (clerk, _, _):
        hcps, limit = free(clerk)[:25], clerk.standing.free["sends"]
    answers: dict[tuple[int, str], str] = {}

    def work(number: int) -> None:
        with place(workspace) as (mine, _, _):
            for hcp in hcps:
                (found,) = mine.answer([(mine.standing.charters["email"], asked(mine, hcp, f"same-{hcp}" if number < 2 else f"{number}-{hcp}"))])
                assert isinstance(found, Answer)
                answers[number, hcp] = f"{found.id} {found.entry}"

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3 * len(hcps)
    assert all(answers[0, hcp] == answers[1, hcp] for hcp in hcps)
    with place(workspace) as (clerk, config, ledger):
        taken = list(ledger.entries(kind="action", cycle=clerk.standing.label))
        each = pl.Series([entry.hcp for entry in taken])
        assert each.is_unique().all()
        assert len(taken) * MICRO <= limit
        assert clerk.act(deliverer(workspace, config))[0] == len(taken)


def test_one_proposal_is_chosen_as_the_arbiter_would(workspace: Workspace) -> None:
    """At the prices and with what is left, `arbitrate_one` says the same of each."""
    with place(workspace) as (clerk, config, _):
        standing = replace(clerk.standing, free={name: amount + 12 * MICRO for name, amount in clerk.standing.free.items()})
        clerk.standing = standing
        seen = set()
        charter = standing.charters["calls-alpha"]
        for number, hcp in enumerate(free(clerk, "calls-alpha", "call")[:30]):
            territory = standing.single.covered(hcp, "alpha", "call")[1] or ""
            uses = dict(charter.uses) | dict(standing.channels["call"].uses)
            rent = sum(standing.prices["promotional"].get(name.replace("{territory}", territory).replace("{product}", "alpha"), 0) for name in uses)
            value = max(1, rent + (number % 3 - 1) * MICRO)
            left = {name: amount - clerk.taken.get(name, 0) for name, amount in standing.free.items()}
            answer = one(clerk, config, asked(clerk, hcp, f"v{number}", value, channel="call", content_id=content(clerk, "call")), "calls-alpha")
            row = {"hcp_id": hcp, "agent": "calls-alpha", "channel": "call", "product": "alpha", "value": value, "exclusion": None, "mandatory": False}
            kinds = {"exclusion": pl.String, "territory": pl.String}
            frame = pl.DataFrame([{**row, "row": 0, "territory": territory, "allowance": standing.per_cycle}], schema_overrides=kinds)
            problem = build(frame, [charter for charter in config.charters if charter.purpose == "promotional"], config.settings, left)
            prices = np.array([standing.prices["promotional"].get(name, 0) for name in problem.resources.names], np.int64)
            remaining = np.array([left.get(name, 2**50) for name in problem.resources.names], np.int64)
            best = arbitrate_one(problem.candidates, problem.calls, problem.limits, prices, remaining)
            assert (answer.disposition == "chosen") == bool(np.asarray(best.chosen)[0]), (value, answer)
            seen.add(answer.disposition)
        assert seen == {"chosen", "outbid"}
