"""What waits for a person: whose yes it takes, what a yes is bound to, what becomes of it, and what people overrule."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.gateway import ACCOUNTABLE, REASONS, Yes, approval, lacking, may_say
from remit.ledger import open_ledger, read_ledger
from remit.runtime import commands, confirming, queue_commands, rights_commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from remit.terms.people import Person
from tests.runtime.conftest import amended, quiet

Remit = Callable[..., subprocess.CompletedProcess[str]]
ROW = (
    "  - {{id: ask, when: purpose = 'promotional', verdict: confirm, owner: {owner}, reason: A test., "
    "roles: [{roles}], deadline: {deadline}, on_timeout: {then}}}\n"
)


def asking(workspace: Workspace, roles: str = "brand-lead, mlr", deadline: str = "10 days", then: str = "refuse", owner: str = "compliance-lead") -> None:
    """All promotion asks people from now on."""
    table = workspace.root / "authority.yaml"
    text = re.sub(r"\n  - \{id: ask,[^\n]*\n", "\n", table.read_text())
    table.write_text(text.replace("\nrows:\n", "\nrows:\n" + ROW.format(roles=roles, deadline=deadline, then=then, owner=owner), 1))
    amended(workspace)


@pytest.fixture(scope="module")
def waiting_once(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third cycle, whose promotion waits for two people."""
    root = tmp_path_factory.mktemp("waiting") / "w"
    shutil.copytree(finished, root)
    asking(open_workspace(root))
    run_cycle(open_workspace(root), 1, quiet)
    return root


@pytest.fixture
def waiting(waiting_once: Path, tmp_path: Path) -> Workspace:
    """A copy for one test to spoil."""
    shutil.copytree(waiting_once, tmp_path / "w")
    return open_workspace(tmp_path / "w")


def items(workspace: Workspace, agents: tuple[str, ...] = ("calls-alpha", "calls-beta")) -> list[dict[str, Any]]:
    """What waits because of that row alone."""
    return [item for item in queue_commands.queue(workspace.root)["waiting"] if item["rules"] == ["ask"] and item["agent"] in agents]


def say(workspace: Workspace, digest: str, by: str, role: str | None = None) -> dict[str, Any]:
    return queue_commands.approve(workspace.root, digest, by, role, 1)


def acted_on(workspace: Workspace) -> Iterator[int]:
    with closing(read_ledger(workspace.ledger)) as records:
        for entry in records.entries(kind="acted"):
            yield from entry.body["actions"]


def test_with_the_last_yes_exactly_that_action_is_handed_over_and_once(waiting: Workspace) -> None:
    item = items(waiting)[0]
    assert item["missing"] == ["brand-lead", "mlr"]
    assert item["may"] == {"brand-lead": ["brand-lead-alpha", "brand-lead-beta"], "mlr": ["mlr-lead"]}
    first = say(waiting, item["digest"][:12], "brand-lead-beta")
    assert (first["became"], first["missing"]) == ("waits", ["mlr"])
    before = set(acted_on(waiting))
    last = say(waiting, item["digest"], "mlr-lead")
    assert last["became"] == "handed over"
    (file,) = last["files"]
    rows = pl.read_csv(waiting.out / file["name"], infer_schema=False)
    assert (rows["hcp_id"].to_list(), rows["product"].to_list(), rows["decision"].to_list()) == ([item["hcp_id"]], [item["product"]], [item["decision"]])
    assert len(set(acted_on(waiting)) - before) == 1
    assert item["digest"] not in {each["digest"] for each in items(waiting)}
    with pytest.raises(WorkspaceError, match="waits for a person"):
        say(waiting, item["digest"], "brand-lead-alpha")
    run_cycle(waiting, 1, quiet)
    acted = list(acted_on(waiting))
    assert len(acted) == len(set(acted))
    with closing(read_ledger(waiting.ledger)) as records:
        refused = {entry.body["action"] for entry in records.entries(kind="refused")}
    assert not refused & set(acted)
    assert commands.verify(waiting.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(waiting.root, None, 1, quiet)["cycles"]] == [[]] * 4


@pytest.mark.parametrize(
    ("by", "role", "says"),
    [
        ("owner-{agent}", None, "owns the agent that proposed it"),
        ("data-steward", None, "may not decide it"),
        ("brand-lead-beta", "mlr", "may not decide it as `mlr`"),
        ("nobody", None, "not a person on file"),
    ],
)
def test_who_may_not_say_yes_is_told_who_may(by: str, role: str | None, says: str, waiting: Workspace) -> None:
    people = waiting.root / "people.yaml"
    people.write_text(people.read_text().replace("[agent-owner]", "[agent-owner, mlr]"))
    item = items(waiting)[0]
    with pytest.raises(WorkspaceError, match=says) as caught:
        say(waiting, item["digest"], by.format(agent=item["agent"]), role)
    assert "mlr: mlr-lead, owner-" in str(caught.value)


def test_one_person_says_yes_once_whatever_roles_they_hold(waiting: Workspace) -> None:
    people = waiting.root / "people.yaml"
    people.write_text(people.read_text().replace("mlr-lead: {roles: [mlr]}", "mlr-lead: {roles: [mlr, brand-lead]}"))
    digest = items(waiting)[0]["digest"]
    assert say(waiting, digest, "mlr-lead", "brand-lead")["became"] == "waits"
    with pytest.raises(WorkspaceError, match="has said yes to it already"):
        say(waiting, digest, "mlr-lead", "mlr")


def test_a_digest_that_is_short_strange_or_of_several_names_nothing(waiting: Workspace) -> None:
    for asked in ("", items(waiting)[0]["digest"][:7], "0" * 64):
        with pytest.raises(WorkspaceError, match="waits for a person"):
            say(waiting, asked, "mlr-lead")


def test_an_opt_out_that_arrives_before_the_last_yes_ends_it(waiting: Workspace) -> None:
    item = items(waiting)[0]
    say(waiting, item["digest"], "mlr-lead")
    header = next((waiting.feeds / "consent").glob("*.csv")).read_text().splitlines()[0].split(",")
    with closing(read_ledger(waiting.ledger)) as records:
        at = records.entry(next(entry.seq for entry in records.entries(kind="cycle", cycle="cycle-0003"))).body["now"]
    now = queue_commands.queue(waiting.root)["now"]
    assert at
    row = {"hcp_id": item["hcp_id"], "channel": "call", "purpose": "promotional", "status": "opt_out", "valid_from": now, "received_at": now}
    (waiting.feeds / "consent" / "late.csv").write_text(",".join(header) + "\n" + ",".join(row.get(name, "") for name in header) + "\n")
    told = say(waiting, item["digest"], "brand-lead-beta")
    assert (told["became"], told["reason"]) == ("refused", "forbidden: opted-out")
    assert item["digest"] not in {each["digest"] for each in items(waiting)}


def test_a_stop_ends_what_waits(waiting: Workspace) -> None:
    digest = items(waiting)[0]["digest"]
    say(waiting, digest, "mlr-lead")
    rights_commands.stop(waiting.root, "channel", "call", "compliance-lead", "a test")
    with pytest.raises(WorkspaceError, match="waits for a person"):
        say(waiting, digest, "brand-lead-beta")


def test_what_the_table_asks_by_now_is_asked_as_well(waiting: Workspace) -> None:
    digest = items(waiting)[0]["digest"]
    asking(waiting, roles="medical")
    say(waiting, digest, "mlr-lead")
    told = say(waiting, digest, "brand-lead-beta")
    assert (told["became"], told["missing"], told["may"]) == ("waits", ["medical"], {"medical": ["medical-lead"]})
    assert say(waiting, digest, "medical-lead", "medical")["became"] == "handed over"


def test_a_yes_to_another_digest_is_no_yes(waiting: Workspace) -> None:
    one, other = items(waiting)[:2]
    with closing(open_ledger(waiting.ledger, entropy=bytes)) as ledger:
        action = next(entry for entry in ledger.entries(kind="action", cycle="cycle-0003") if entry.leaf == one["digest"])
        for by, role in (("mlr-lead", "mlr"), ("brand-lead-beta", "brand-lead")):
            yes = approval(action, other["digest"], Yes(by, role, 0))
            ledger.append(f"forged:{role}", [yes], cycle=action.cycle)
    (item,) = (each for each in items(waiting) if each["digest"] == one["digest"])
    assert (item["given"], item["missing"]) == ([], ["brand-lead", "mlr"])


def test_what_was_approved_when_the_machine_stopped_is_handed_over_by_the_next_run(waiting: Workspace) -> None:
    item = items(waiting)[0]
    with closing(open_ledger(waiting.ledger, entropy=bytes)) as ledger:
        action = next(entry for entry in ledger.entries(kind="action", cycle="cycle-0003") if entry.leaf == item["digest"])
        now = next(ledger.entries(kind="cycle", cycle="cycle-0003")).body["now"]
        for by, role in (("mlr-lead", "mlr"), ("brand-lead-beta", "brand-lead")):
            ledger.append(f"cycle-0003:yes:{action.seq}:{by}", [approval(action, action.leaf, Yes(by, role, now))], cycle="cycle-0003")
    run_cycle(waiting, 1, quiet)
    assert list(acted_on(waiting)).count(action.seq) == 1
    assert list((waiting.out / "cycle-0003" / f"approved-{action.seq}").glob("call-*.csv"))


def test_an_interrupted_cycle_is_finished_before_anybody_decides(waiting: Workspace) -> None:
    def broken(stage: str) -> None:
        if stage == "act":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cycle(waiting, 1, broken)
    with pytest.raises(WorkspaceError, match="was interrupted"):
        say(waiting, "0" * 64, "mlr-lead")


def test_past_its_deadline_it_is_refused_or_taken_to_the_person_accountable_once(workspace: Workspace) -> None:
    asking(workspace, roles="brand-lead", deadline="3 days", then="escalate")
    run_cycle(workspace, 1, quiet)
    asked = {item["digest"] for item in items(workspace)}
    done = run_cycle(workspace, 1, quiet)
    taken = [item for item in items(workspace) if item["digest"] in asked]
    assert len(taken) == len(asked) > 1
    assert {item["escalated_to"] for item in taken} == {"compliance-lead"}
    assert say(workspace, taken[0]["digest"], "compliance-lead")["became"] == "handed over"
    done = run_cycle(workspace, 1, quiet)
    assert done.refused >= len(taken) - 1
    assert not asked & {item["digest"] for item in items(workspace)}
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 5


def test_nobody_decides_after_the_deadline(waiting: Workspace) -> None:
    digest = items(waiting)[0]["digest"]
    with closing(open_ledger(waiting.ledger, entropy=bytes)) as ledger:
        config = read_config(config_texts(waiting))
        late = 1 + max(int(entry.body["deadline"]) for entry in ledger.said("action", "cycle-0003"))
        with pytest.raises(WorkspaceError, match="its deadline passed"):
            confirming.approve(waiting, ledger, config, digest, "mlr-lead", None, 1, late)
        with pytest.raises(WorkspaceError, match="its deadline passed"):
            confirming.decline(ledger, config, digest, "mlr-lead", "timing", "", late)


def test_a_no_has_a_reason_from_the_list_and_words_that_go_with_the_physician(waiting: Workspace) -> None:
    item = items(waiting)[0]
    with pytest.raises(WorkspaceError, match="no reason to overrule"):
        queue_commands.decline(waiting.root, item["digest"], "mlr-lead", "mood", "")
    told = queue_commands.decline(waiting.root, item["digest"], "mlr-lead", "physician", "retires this month")
    assert (told["decision"], told["role"], told["says"]) == (item["decision"], "mlr", REASONS["physician"])
    assert item["digest"] not in {each["digest"] for each in items(waiting)}
    with closing(read_ledger(waiting.ledger)) as records:
        (words,) = records.entries(kind="remark")
        assert words.payload == {"hcp_id": item["hcp_id"], "text": "retires this month"}
        assert "retires" not in json.dumps([entry.body for entry in records.entries(kind="refused")])
    commands.erase(item["hcp_id"], waiting.root, "request")
    with closing(read_ledger(waiting.ledger)) as records:
        (words,) = records.entries(kind="remark")
        assert words.gone


def test_what_people_overrule_is_counted_and_small_groups_are_not_shown(waiting: Workspace) -> None:
    both = items(waiting, ("calls-alpha", "calls-beta", "email"))
    agents = [item["agent"] for item in both[:6]]
    for number, item in enumerate(both[:6]):
        if number < 4:
            queue_commands.decline(waiting.root, item["digest"], "mlr-lead", "timing", "")
        else:
            say(waiting, item["digest"], "mlr-lead")
    told = queue_commands.overrides(waiting.root)
    assert told["decided"] == 6
    assert {"by": "rule", "name": "ask", "decided": 6, "overruled": 4} in told["groups"]
    assert {row["name"] for row in told["groups"] if row["by"] == "agent"} == {agent for agent in agents if agents.count(agent) >= 5}
    assert told["too_few"] >= 1  # the reason, given four times
    people = waiting.root / "people.yaml"
    people.write_text(people.read_text() + "".join(f"mlr-{number}: {{roles: [mlr]}}\n" for number in range(4)))
    assert {"by": "team", "name": "mlr", "decided": 6, "overruled": 4} in queue_commands.overrides(waiting.root)["groups"]


def test_on_the_command_line(waiting: Workspace, remit: Remit) -> None:
    listed = remit("queue", "-w", waiting.root)
    item = items(waiting)[0]
    assert listed.returncode == 0, listed.stderr
    assert item["digest"][:16] in listed.stdout
    assert "missing: mlr (mlr-lead)" in listed.stdout
    yes = remit("approve", item["digest"][:16], "--by", "mlr-lead", "-w", waiting.root)
    assert "Still missing: brand-lead (brand-lead-alpha, brand-lead-beta)" in yes.stdout, yes.stderr
    yes = remit("approve", item["digest"][:16], "--by", "brand-lead-alpha", "-w", waiting.root)
    assert "Handed over: cycle-0003/approved-" in yes.stdout, yes.stderr
    no = remit("decline", items(waiting)[0]["digest"][:16], "--by", "mlr-lead", "--because", "timing", "-w", waiting.root)
    assert "overruled by mlr-lead as mlr, because it is the wrong moment" in no.stdout, no.stderr
    assert "groups of fewer than 5 are not shown" in remit("outcomes", "overrides", "-w", waiting.root).stdout
    wrong = remit("approve", "zzz", "--by", "mlr-lead", "-w", waiting.root)
    assert (wrong.returncode, "remit queue" in wrong.stderr) == (2, True)


ROLES = ("a", "b", "c")
NAMES = ("one", "two", "three", "four")


@given(
    st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from((*ROLES, ACCOUNTABLE))), max_size=6),
    st.dictionaries(st.sampled_from(NAMES), st.tuples(st.frozensets(st.sampled_from(ROLES)), st.booleans())),
    st.one_of(st.none(), st.sampled_from(NAMES)),
    st.sampled_from(NAMES),
)
def test_nothing_passes_without_enough_different_people_who_may(
    roles: list[str], said: list[tuple[str, str]], held: dict[str, tuple[frozenset[str], bool]], to: str | None, proposer: str
) -> None:
    people = {name: Person(name, own, None if on_file else 1) for name, (own, on_file) in held.items()}
    yes = [Yes(by, role, 0) for by, role in said]
    escalated = None if to is None else (to, 9)
    missing = lacking(roles, yes, escalated, proposer, people, 5)
    standing = {(by, role) for by, role in said if by != proposer and by in people and people[by].active(5) and role in people[by].roles}
    accountable = to is not None and (to, ACCOUNTABLE) in said and to != proposer and to in people and people[to].active(5)
    if not missing and not accountable:
        assert set(roles) <= {role for _, role in standing}
        assert len({by for by, _ in standing}) >= len(roles)
    able = may_say(roles, yes, escalated, proposer, people, 5)
    assert (set(able) == set()) == (not missing)
    assert proposer not in {name for names in able.values() for name in names}
