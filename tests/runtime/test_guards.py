"""Guards at work: between cycles as outcomes come in, and in a run before it decides; nothing starts again by itself."""

import json
import os
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from remit.authority import AuthorityError
from remit.ledger import Entry, Ledger, open_ledger
from remit.runtime import assessing, commands, guarding, registry, rights_commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer
from remit.runtime.workspace import Workspace, config_texts, read_config
from tests.runtime.conftest import amended, quiet
from tests.runtime.test_between import asked, free, one, place, rules

COMPLAINTS = """
  - id: email-complaints
    on: complaints
    scope: agent
    of: email
    within: 4 weeks
    count: 1
    then: {then}
    owner: compliance-lead
    reason: Whoever complains is right.
"""
CONFIRM = "confirm\n    roles: [compliance]\n    deadline: 3 days\n    on_timeout: refuse"


def guarded(workspace: Workspace, guard: str) -> None:
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text() + f"\nguards:{guard}")
    amended(workspace)


def report(ledger: Ledger, what: str, actions: Sequence[int], at: int, hcp: str, agent: str = "email") -> None:
    for action in actions:
        body = {"action": action, "agent": agent, "channel": "email", "product": "alpha", "what": what, "at": at, "occurred_at": at}
        sealed = {"hcp_id": hcp, "text": "", "decision": "cycle-0001/1"}
        ledger.append(f"report:{ledger.size}", [Entry("outcome", "remit.outcome/1", body, hcp, sealed)], cycle="reports")


def test_complaints_downgrade_as_they_come_in_and_what_was_decided_alone_is_not_handed_over(workspace: Workspace) -> None:
    guarded(workspace, COMPLAINTS.format(then=CONFIRM))
    with place(workspace) as (clerk, config, ledger):
        hcp, other, *_ = free(clerk)
        now = clerk.standing.single.known.now
        assert one(clerk, config, asked(clerk, hcp, "before")).disposition == "chosen"
        report(ledger, "complaint", [1, 1], now, hcp)
        assert one(clerk, config, asked(clerk, other, "one complaint")).disposition == "chosen"
        report(ledger, "complaint", [2], now, hcp)
        assert clerk.act(deliverer(workspace, config)) == (0, 2)
        (row,) = rights_commands.status(workspace.root)["stops"]
        assert (row["stop"], row["kind"], row["by"], row["scope"], row["of"], row["roles"]) == (
            "downgrade-0001",
            "downgrade",
            "remit",
            "agent",
            "email",
            ["compliance"],
        )
        assert row["reason"] == "email-complaints: complaint or unsubscribed of 2 in 4 weeks, where at most 1 may be"
        answer = one(clerk, config, asked(clerk, hcp, "after"))
        assert (answer.disposition, rules(answer)) == ("waiting", ["downgrade-0001"])
        report(ledger, "complaint", [3], now, hcp)
        clerk.act(deliverer(workspace, config))
        assert len(rights_commands.status(workspace.root)["stops"]) == 1
        rights_commands.start(workspace.root, "downgrade-0001", "owner-email", "mended")
        rights_commands.start(workspace.root, "downgrade-0001", "compliance-lead", "seen")
        assert rights_commands.status(workspace.root)["stops"] == []
        clerk.act(deliverer(workspace, config))
        assert rights_commands.status(workspace.root)["stops"] == []  # what was known when it was started does not count again


def test_a_guard_that_stops_refuses_what_waits_and_recalls_what_was_handed_over(workspace: Workspace) -> None:
    guarded(workspace, COMPLAINTS.format(then="stop"))
    with place(workspace) as (clerk, config, ledger):
        hcp, *_ = free(clerk)
        sent = one(clerk, config, asked(clerk, hcp, "before"))
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
        (list_,) = (workspace.out / clerk.standing.label).rglob("email.csv")
        report(ledger, "complaint", [sent.entry, sent.entry + 1], clerk.standing.single.known.now, hcp)
        clerk.act(deliverer(workspace, config))
        (row,) = rights_commands.status(workspace.root)["stops"]
        assert (row["stop"], row["by"]) == ("stop-0001", "remit")
        recalled = (workspace.out / "cycle-0002" / "recall-stop-0001.csv").read_text().splitlines()
        assert any(line.endswith(f"{clerk.standing.label}/{sent.payload and sent.payload['number']},yes") for line in recalled)
        assert not list_.exists()
    assert rights_commands.stop(workspace.root, "agent", "calls-alpha", "", "another")["stop"] == "stop-0002"


def test_a_run_looks_before_it_decides_and_what_it_decides_replays_to_the_byte(workspace: Workspace) -> None:
    guarded(workspace, COMPLAINTS.format(then=CONFIRM).replace("of: email", "of: calls-alpha"))
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        hcp = next(str(entry.payload["hcp_id"]) for entry in ledger.entries(kind="action") if entry.payload)
        now = max(int(entry.body["now"]) for entry in ledger.entries(kind="cycle"))
        report(ledger, "complaint", [1, 2], now, hcp, "calls-alpha")
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    calls = done.result.decisions.filter(agent="calls-alpha")
    assert "waiting" in set(calls["disposition"])
    assert "chosen" not in set(calls["disposition"])
    assert calls.filter(disposition="waiting")["rules"].str.contains("downgrade-0001").all()
    assert "chosen" in set(done.result.decisions.filter(agent="calls-beta")["disposition"])
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3
    again = run_cycle(workspace, 1, quiet)
    assert again.result is not None
    assert len(rights_commands.status(workspace.root)["stops"]) == 1


def figures(workspace: Workspace, guard: str, now: int | None = None) -> list[str]:
    """What the guards of a run say of a table with `guard`, at the last cycle or `now`."""
    text = (workspace.root / "authority.yaml").read_text() + f"\nguards:{guard}"
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        config = read_config(config_texts(workspace)).with_table(text)
        at = now or max(int(entry.body["now"]) for entry in ledger.entries(kind="cycle"))
        names = guarding.trip(workspace, ledger, config, config.read_table(at), at)
        return [str(entry.body["reason"]) for kind in ("stop", "downgrade") for entry in ledger.entries(kind=kind) if entry.body["stop"] in names]


OTHER = "\n  - id: other\n    {on}\n    scope: {scope}\n    of: {of}\n    then: stop\n    owner: compliance-lead\n    reason: A test.\n"


def test_an_agent_that_fails_in_cycles_trips(workspace: Workspace) -> None:
    failing = OTHER.format(on="on: failures\n    within: ever\n    count: 0", scope="agent", of="email")
    assert figures(workspace, failing) == []
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        ledger.append("failed", [Entry("failure", "remit.failure/1", {"agent": "email", "error": "no model", "at": 0})], cycle="cycle-0002")
    assert figures(workspace, failing) == ["other: cycles in which it failed of 1 ever, where at most 0 may be"]
    assert figures(workspace, failing) == []


def test_what_is_refused_at_the_door_trips_and_what_people_or_stops_refuse_does_not(workspace: Workspace) -> None:
    refusing = OTHER.format(on="on: refusals\n    within: ever\n    most: 0.001\n    least: 2", scope="product", of="alpha")
    with place(workspace) as (clerk, config, ledger):
        first, second, *_ = free(clerk)
        one(clerk, config, asked(clerk, first, "a"))
        name = rights_commands.stop(workspace.root, "agent", "email", "", "a test")["stop"]
        assert clerk.act(deliverer(workspace, config)) == (0, 1)
        for person in ("owner-email", "compliance-lead"):
            rights_commands.start(workspace.root, name, person, "a test")
        assert figures(workspace, refusing) == []
        made = one(clerk, config, asked(clerk, second, "b"))
        body = {"action": made.entry, "reason": "forbidden: email-consent", "at": made.body["at"], "since": 0, "uses": {}}
        ledger.append("refused", [Entry("refused", "remit.refused/1", body)], cycle=clerk.standing.label)
    (reason,) = figures(workspace, refusing)
    assert reason.startswith("other: refused at the door of 1 of ")


@pytest.mark.parametrize(("asks", "trips"), [("confirm", True), ("stop", False)])
def test_drift_that_asks_for_it_trips(asks: str, trips: bool, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    drifting = OTHER.format(on=f"on: drift\n    model: response\n    asks: {asks}", scope="product", of="alpha")
    assert figures(workspace, drifting) == []
    true = registry.watch

    def drifted(*given: Any, **named: Any) -> dict[str, Any]:
        found = true(*given, **named)
        return {**found, "response": {**found["response"], "asks": "confirm"}}

    monkeypatch.setattr(registry, "watch", drifted)
    run_cycle(workspace, 1, quiet)
    assert figures(workspace, drifting) == ["other: the drift of response asks to confirm in cycle-0003"] * trips


def test_a_guard_that_names_what_there_is_not_or_sees_nothing_is_refused_and_found(workspace: Workspace) -> None:
    floor = OTHER.format(on="on: outcome\n    floor: 0.1\n    least: 2", scope="product", of="gamma")
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text() + f"\nguards:{floor}")
    assert assessing.checked(workspace)["guards"] == [
        "guard `other` names the product `gamma`, which the workspace does not have",
        "guard `other` looks at what acting changed, and nobody is held out: remit.toml has no [holdout]",
    ]
    with pytest.raises(WorkspaceError) as raised:
        amended(workspace)
    assert "names the product `gamma`" in str(raised.value)
    table.write_text(table.read_text().replace("floor: 0.1", "floor: much"))
    with pytest.raises(AuthorityError):
        amended(workspace)


def test_a_guard_has_an_owner_who_is_asked_for_and_approves(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text().replace("version: 1\n", "version: 2\n", 1) + "\nguards:" + COMPLAINTS.format(then="stop"))
    told = rights_commands.propose(workspace.root, None, "owner-email", "a test")
    assert [(each["what"], each["name"], each["owner"]) for each in told["changes"]] == [("guard", "email-complaints", "compliance-lead")]
    rights_commands.approve(workspace.root, told["table"], "compliance-lead")
    answer = rights_commands.who(workspace.root, "row", "email-complaints")
    assert {each["person"] for each in answer["people"]} == {"compliance-lead", "owner-authority"}
    assert "stops the agent email by complaints" in json.dumps(answer)
