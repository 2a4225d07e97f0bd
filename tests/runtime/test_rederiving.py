"""Decisions between cycles: derived again to the byte from what is recorded, with receipts that stand alone."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.gateway import Answer, Clerk
from remit.ledger import VerifiedDecision, read_ledger, verifier_keys, verify_receipt
from remit.runtime import commands, explaining, rights_commands, verifying
from remit.runtime.rederiving import decisions
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer
from remit.runtime.workspace import Workspace
from remit.terms.encoding import MICRO, canonical
from remit.terms.errors import RemitError
from tests.runtime.conftest import amended, quiet
from tests.runtime.test_between import asked, free, place

LABEL = "cycle-0002.between"


def ask(clerk: Clerk, hcps: Sequence[str], prefix: str = "k", value: int = 90 * MICRO) -> list[Answer]:
    charter = clerk.standing.charters["email"]
    found = clerk.answer([(charter, asked(clerk, hcp, f"{prefix}-{hcp}", value)) for hcp in hcps])
    return [answer for answer in found if isinstance(answer, Answer)]


def replayed(workspace: Workspace, label: str = LABEL) -> dict[str, object]:
    (found,) = commands.replay(workspace.root, label, 1, quiet)["between"]
    return dict(found)


def test_every_decision_is_derived_again_also_across_stops_tables_withdrawals_and_a_cycle(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcps = clerk.standing.single.served(["alpha"])
        ask(clerk, hcps[:60])
        ask(clerk, hcps[:20], "again")
        taken = ask(clerk, free(clerk)[-3:], "w")
        clerk.withdraw([("email", taken[0].id)])
        rights_commands.stop(workspace.root, "agent", "email", "owner-email", "a test")
        ask(clerk, hcps[60:70])
        clerk.act(deliverer(workspace, config))
        rights_commands.start(workspace.root, "stop-0001", "owner-email", "mended")
        rights_commands.start(workspace.root, "stop-0001", "owner-authority", "mended")
        rights_commands.stop(workspace.root, "hcp", hcps[70], "compliance-lead", "a test")
        ask(clerk, hcps[66:90], value=900 * MICRO)
    table = workspace.root / "authority.yaml"
    table.write_text(
        table.read_text().replace("\nrows:\n", "\nrows:\n  - {id: none, when: channel = 'email', verdict: forbidden, owner: owner-email, reason: A.}\n", 1)
    )
    amended(workspace)
    with place(workspace) as (clerk, config, _):
        assert {answer.disposition for answer in ask(clerk, hcps[90:100])} == {"forbidden"}
    run_cycle(workspace, 1, quiet)
    with place(workspace) as (clerk, _, _):
        ask(clerk, hcps[:10], "next")
    with closing(read_ledger(workspace.ledger)) as records:
        said = [entry.body.get("disposition") for entry in decisions(records, LABEL)]
        assert {None, "outbid", "forbidden"} <= set(said)
        assert len(list(records.entries(kind="place"))) == 3
    report = commands.replay(workspace.root, None, 1, quiet)
    assert [(each["cycle"], each["rows"], each["differs"]) for each in report["between"]] == [(LABEL, len(said), []), ("cycle-0003.between", 10, [])]
    assert [each["differs"] for each in report["cycles"]] == [[]] * 3
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def test_what_is_recorded_otherwise_than_it_was_made_is_told(workspace: Workspace) -> None:
    """A worker that went by other prices, or by other capacity, than its place says."""
    with place(workspace) as (clerk, _, _):
        hcps, honest = free(clerk), clerk.standing
        prices = {purpose: dict.fromkeys(by_name, 7 * MICRO) for purpose, by_name in honest.prices.items()}
        clerk.standing = replace(honest, prices=prices)
        ask(clerk, hcps[:2])
        clerk.standing = replace(honest, free=dict.fromkeys(honest.free, 0))
        ask(clerk, hcps[2:3])
        clerk.standing = honest
        ask(clerk, hcps[3:4])
    differs = replayed(workspace)["differs"]
    assert isinstance(differs, list)
    assert {"`context` of a decision (3x)", "kind of a decision (1x)"} <= set(differs)


def test_a_decision_without_its_place_is_counted_and_a_segment_that_is_gone_is_named(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, _):
        hcps, honest = free(clerk), clerk.standing
        clerk.standing = replace(honest, place=None)
        ask(clerk, hcps[:2])
        clerk.standing = honest
        ask(clerk, hcps[2:3])
    found = replayed(workspace)
    assert (found["rows"], found["unplaced"], found["differs"]) == (1, 2, [])
    text = next(iter(workspace.objects.glob("*")))
    with closing(read_ledger(workspace.ledger)) as records:
        (seq,) = (entry for entry in records.entries(kind="place"))
        text = workspace.objects / seq.body["inputs"]["config"]["people.yaml"]
    text.unlink()
    assert f"`objects/{text.name}` (people.yaml) is missing" in str(verifying.workspace(workspace, None, None)["faults"])
    with pytest.raises(RemitError, match="recorded inputs are not as they were"):
        replayed(workspace)


def test_of_an_erased_physician_replay_says_what_is_gone_and_derives_the_rest(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        gone, *hcps = free(clerk)
        ask(clerk, [gone, *hcps[:5]])
        clerk.act(deliverer(workspace, config))
    commands.erase(gone, workspace.root, "request")
    with place(workspace) as (clerk, _, _):
        ask(clerk, hcps[5:8])
    found = replayed(workspace)
    assert (found["rows"], found["gone"], found["differs"]) == (8, 1, [])
    with closing(read_ledger(workspace.ledger)) as records:
        (name,) = (entry.body["id"] for entry in decisions(records, LABEL) if entry.gone)
    with pytest.raises(RemitError, match="an HCP who has been erased"):
        commands.explain(str(name), workspace.root, None)


def test_who_begins_again_takes_the_same_place_until_something_changes(workspace: Workspace) -> None:
    seen = []
    for number in range(3):
        with place(workspace) as (clerk, _, _):
            seen.append(clerk.standing.place)
            ask(clerk, free(clerk)[:2], f"{number}")
    charter = workspace.root / "agents" / "email.yaml"
    charter.write_text(charter.read_text().replace("objective: New", "objective: Fewer but better new"))
    with place(workspace) as (clerk, _, _):
        ask(clerk, free(clerk)[:2], "other")
        seen.append(clerk.standing.place)
    assert seen[0] == seen[1] == seen[2] != seen[3]
    found = replayed(workspace)
    assert (found["rows"], found["differs"]) == (8, [])


def test_limits_counted_between_cycles_are_counted_again(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    limits = "limits:\n  - {id: few, of: actions, per: [agent], within: 1 day, most: 3, owner: owner-email, reason: A test.}\n"
    table.write_text(table.read_text().replace("\nrows:\n", f"\n{limits}rows:\n", 1))
    amended(workspace)
    with place(workspace) as (clerk, _, _):
        hcps = free(clerk)
        taken = ask(clerk, hcps[:5])
        clerk.withdraw([("email", taken[0].id)])
        ask(clerk, hcps[5:8])
    with place(workspace) as (clerk, _, _):
        ask(clerk, hcps[8:10])
    found = replayed(workspace)
    assert (found["rows"], found["differs"]) == (10, [])
    whys = {str(row["disposition"]) for row in commands.show("decisions", workspace.root, LABEL, None, None, 20)["rows"]}
    assert whys == {"chosen", "outbid"}


def test_a_receipt_stands_alone_and_says_why(workspace: Workspace, tmp_path: Path) -> None:
    with place(workspace) as (clerk, _, _):
        hcps = clerk.standing.single.served(["alpha"])
        answers = ask(clerk, hcps[:40])
    rows = commands.show("decisions", workspace.root, LABEL, None, None, 100)
    assert rows["total"] == 40
    shown = {row["disposition"]: row["decision"] for row in rows["rows"]}
    assert {"chosen", "forbidden"} <= set(shown)
    out, keys = tmp_path / "receipt.json", workspace.ledger.folder / "keys" / "ledger.pub"
    for disposition, name in shown.items():
        told = commands.explain(name, workspace.root, out)
        assert told["decision"]["disposition"] == disposition
        assert commands.verify(tmp_path, [out], None, keys)["faults"] == []
        assert commands.explain(str(out), tmp_path, None)["says"] == told["says"]
        assert any(row.startswith("Verdict: ") for row in told["says"])
        assert rights_commands.who(workspace.root, "decision", name)["people"]
    named = commands.explain(answers[0].id, workspace.root, None)
    assert named["decision"]["hcp_id"] == hcps[0]
    with pytest.raises(RemitError, match="holds no decision"):
        commands.explain(f"{LABEL}/999999", workspace.root, None)


def test_no_part_of_a_receipt_can_be_changed(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, ledger):
        first, second, *_ = ask(clerk, free(clerk)[:2])
        keys = verifier_keys(ledger.folder)
        opened, sealed = ledger.receipt_between(first.entry, "cycle-0002"), clerk.receipt("email", first.id)
        other = json.loads(ledger.receipt_between(second.entry, "cycle-0002"))
    assert sealed is not None
    found = verify_receipt(opened, keys)
    assert isinstance(found, VerifiedDecision)
    assert found.payload is not None
    assert found.place is not None
    for receipt in (opened, sealed):
        parts = json.loads(receipt)
        for path in paths(parts):
            spoilt = json.loads(receipt)
            spoil(spoilt, path)
            assert isinstance(verify_receipt(canonical(spoilt), keys), tuple), path
    for part in ("decision", "cycle", "place"):
        mixed = {**json.loads(opened), part: {**json.loads(opened)["cycle"], "kind": "place"}}
        assert isinstance(verify_receipt(canonical(mixed), keys), tuple)
    assert isinstance(verify_receipt(canonical({**other, "decision": json.loads(opened)["decision"], "place": None}), keys), VerifiedDecision)


def test_an_agents_receipt_proves_its_answer_and_says_nothing_of_the_physician(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, ledger):
        hcp, *_ = free(clerk)
        (answer,) = ask(clerk, [hcp])
        receipt = clerk.receipt("email", answer.id)
        assert clerk.receipt("msl", answer.id) is None
        keys = verifier_keys(ledger.folder)
    assert receipt is not None
    found = verify_receipt(receipt, keys)
    assert isinstance(found, VerifiedDecision)
    assert (found.body["id"], found.payload, found.cycle, found.place) == (answer.id, None, None, None)
    assert hcp not in receipt.decode()
    assert "lead_score" not in receipt.decode()
    assert "sealed" in str(explaining.of_receipt(receipt)["says"])


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every text and number in a receipt."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*at, key))
    if isinstance(value, str | int) and not isinstance(value, bool):
        yield at


def spoil(value: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        value = value[key]
    old = value[path[-1]]
    value[path[-1]] = old + 1 if isinstance(old, int) else f"{old}x" if not old else ("0" if old[0] != "0" else "1") + old[1:]
