"""Rules in charters tighten in cycles and between them; what a charter loses holds on until a cycle has put it on record."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from remit.gateway.describing import describe
from remit.ledger import open_ledger, read_ledger
from remit.runtime import assessing, chartering, commands, differing, rights_commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.record import STREAM
from remit.runtime.run import run_cycle
from remit.runtime.standing import take_place
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.errors import RemitError
from tests.runtime.conftest import quiet, small
from tests.runtime.test_between import asked, free, one, place, rules

ROWS = """
rows:
  - {id: not-beta, when: product = 'beta', verdict: forbidden, reason: The owner keeps beta for reps.}
  - {id: seen, when: channel = 'email', verdict: confirm, roles: [compliance], deadline: 2 days, on_timeout: refuse, reason: Each is seen for now.}
"""
CALLS = """
rows:
  - {id: small, when: practice_size < 4, verdict: forbidden, reason: Reps go to larger practices for now.}
  - {id: seen, when: touch >= 1, verdict: confirm, roles: [compliance], deadline: 2 days, on_timeout: refuse, reason: Each is seen for now.}
"""
LIMITS = """
limits:
  - {id: trial, of: actions, within: 1 week, most: 3, reason: A trial of three.}
"""


def written(workspace: Workspace, more: str, agent: str = "email") -> str:
    """Adds to an agent's charter, and returns the text as it was."""
    path = workspace.root / "agents" / f"{agent}.yaml"
    before = path.read_text()
    path.write_text(before + more)
    return before


def decided(workspace: Workspace, cycle: str) -> pl.DataFrame:
    with closing(read_ledger(workspace.ledger)) as records:
        return pl.concat([records.read_segment(segment).frame for segment in records.segments(cycle, STREAM)])


def steps(workspace: Workspace) -> list[dict[str, Any]]:
    return [step for step in rights_commands.log(workspace.root)["steps"] if step["step"] == "charter"]


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of which two agents have rules of their own from the first cycle on."""
    workspace = small(tmp_path_factory.mktemp("ruled") / "w")
    written(workspace, ROWS)
    written(workspace, CALLS, "calls-alpha")
    run_cycle(workspace, 1, quiet)
    return workspace


def test_a_charters_rows_decide_in_cycles_about_their_agent_alone(ruled: Workspace) -> None:
    rows = decided(ruled, "cycle-0001")
    calls, others = rows.filter(agent="calls-alpha"), rows.filter(pl.col("agent") != "calls-alpha")
    few, rest = calls.filter(pl.col("practice_size") < 4), calls.filter(pl.col("practice_size") >= 4)
    assert set(few["ruling"]) == {"forbidden"}
    assert few["rules"].str.contains("calls-alpha:small", literal=True).all()
    assert set(rest["ruling"]) == {"confirm", "forbidden"}
    assert rest.filter(ruling="confirm")["rules"].str.contains("calls-alpha:seen", literal=True).all()
    assert "autonomous" in set(others["ruling"])
    assert not others["rules"].str.contains("calls-alpha:", literal=True).fill_null(value=False).any()
    assert commands.replay(ruled.root, None, 1, quiet)["cycles"][0]["differs"] == []


def test_a_charters_rows_decide_between_cycles(ruled: Workspace) -> None:
    with place(ruled) as (clerk, config, _):
        hcp = next(iter(clerk.standing.single.served(["alpha"])))
        answer = one(clerk, config, asked(clerk, hcp, product="beta", content_id="beta-email-1"))
        assert answer.disposition == "forbidden"
        assert "email:not-beta" in rules(answer)
        told = [row["id"] for row in describe(clerk.standing.charters["email"], clerk.standing, clerk.table(), {})["rows"]]
        assert {"email:not-beta", "email:seen"} <= set(told)
        assert not [name for name in told if name.startswith("calls-alpha:")]


def test_check_prove_and_who_know_a_charters_rows(ruled: Workspace) -> None:
    assert rights_commands.who(ruled.root, "row", "email:seen")["people"][0]["person"] == "owner-email"
    found = assessing.checked(ruled)
    assert [gap["ruling"] for gap in found["gaps"] if gap["agent"] == "email" and gap["product"] == "beta"] == ["forbidden"]
    assert any("email:not-beta" in gap["by"] for gap in found["gaps"])
    assert {"fact": "content_risk", "rows": ["content-risky"]} in found["untold"]
    assert "consent" not in {one["fact"] for one in found["untold"]}
    invariants = ruled.root / "own.yaml"
    invariants.write_text(
        "invariants:\n  - {id: seen, says: No e-mail of the agent goes out unseen., when: agent = 'email', at_least: confirm, owner: owner-email}\n"
    )
    assert assessing.proved(ruled, invariants)["broken"] == 0


def test_what_a_charter_loses_holds_on_until_a_cycle_records_it(workspace: Workspace) -> None:
    plain, calls = written(workspace, ROWS), written(workspace, CALLS, "calls-alpha")
    added = run_cycle(workspace, 1, quiet)
    assert added.charters[1] == "email: row `not-beta` added, row `seen` added"
    assert decided(workspace, added.cycle).filter((pl.col("agent") == "calls-alpha") & (pl.col("ruling") == "autonomous")).is_empty()
    for agent, text in (("email", plain), ("calls-alpha", calls)):
        (workspace.root / "agents" / f"{agent}.yaml").write_text(text)
    with place(workspace) as (clerk, _, _):
        assert {rule.id for rule in clerk.table().rules if rule.layer.startswith("email")} == {"email:before:not-beta", "email:before:seen"}
        assert free(clerk) == []  # each is seen still
    lost = run_cycle(workspace, 1, quiet)
    assert lost.charters[1] == "email: row `not-beta` taken away, row `seen` taken away"
    assert [(step["agent"], {change["how"] for change in step["changes"]}) for step in steps(workspace)] == [
        ("calls-alpha", {"added"}), ("email", {"added"}), ("calls-alpha", {"taken away"}), ("email", {"taken away"}),
    ]  # fmt: skip
    assert not decided(workspace, lost.cycle).filter((pl.col("agent") == "calls-alpha") & (pl.col("ruling") == "autonomous")).is_empty()
    with place(workspace) as (clerk, _, _):
        assert {rule.layer for rule in clerk.table().rules} == {"", "us"}
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 4


def test_what_a_charter_adds_binds_at_once_and_a_changed_row_binds_as_both(workspace: Workspace) -> None:
    plain = written(workspace, ROWS)
    with place(workspace) as (clerk, _, _):
        assert free(clerk) == []
    run_cycle(workspace, 1, quiet)
    (workspace.root / "agents" / "email.yaml").write_text(plain + ROWS.replace("product = 'beta'", "product = 'gamma'"))
    config = read_config(config_texts(workspace))
    with closing(read_ledger(workspace.ledger)) as records:
        held = chartering.held_over(workspace, records, config)
        assert [each.changes for each in chartering.amended(workspace, records, config)] == [(("row", "not-beta", "changed"),)]
    names = [rule.id for rule in held.read_table(0).rules if rule.id.endswith("not-beta")]
    assert names == ["email:not-beta", "email:before:not-beta"]


def test_diff_tells_what_the_rules_of_a_charter_change(workspace: Workspace) -> None:
    """A version has the charters of its first cycle; a file those that stand in the folder."""
    written(workspace, CALLS, "calls-alpha")
    found = differing.differed(workspace, "v1", str(workspace.root / "authority.yaml"), None)
    assert {(one["agent"], one["from"], one["to"]) for one in found["changes"]} >= {
        ("calls-alpha", "autonomous", "confirm"),
        ("calls-alpha", "autonomous", "forbidden"),
    }
    assert {one["agent"] for one in found["changes"]} == {"calls-alpha"}


def test_a_charters_limit_is_counted_in_cycles_and_between_them(workspace: Workspace) -> None:
    for agent in ("email", "calls-alpha"):
        written(workspace, LIMITS, agent)
    done = run_cycle(workspace, 1, quiet)
    taken = decided(workspace, done.cycle).filter(pl.col("disposition").is_in(["chosen", "waiting", "tried"]))
    by_agent = dict(taken.group_by("agent").len().iter_rows())
    assert by_agent["calls-alpha"] == 3
    assert sum(by_agent.values()) > 6  # others are not bound by it
    with place(workspace) as (clerk, config, _):
        left = 3 - by_agent.get("email", 0)
        given = [one(clerk, config, asked(clerk, hcp, key=hcp)) for hcp in free(clerk)[: left + 2]]
    assert [answer.disposition for answer in given] == ["chosen"] * left + ["outbid"] * 2


def test_rules_that_cannot_be_read_stop_the_cycle_and_everything_between(workspace: Workspace) -> None:
    """Nobody is let in by half of a charter."""
    written(workspace, ROWS.replace("verdict: forbidden", "verdict: autonomous"))
    with pytest.raises(RemitError, match="its rules cannot be used"):
        run_cycle(workspace, 1, quiet)
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger, pytest.raises(RemitError, match="its rules cannot be used"):
        take_place(workspace, ledger, lambda: 0, 1)


def test_an_invariant_must_hold_without_the_help_of_a_charter(workspace: Workspace) -> None:
    """Its owner may take a row away alone."""
    written(workspace, ROWS)
    (workspace.root / "invariants.yaml").write_text(
        "invariants:\n  - {id: seen, says: No e-mail of the agent goes out unseen., when: agent = 'email', at_least: confirm, owner: owner-email}\n"
    )
    assert assessing.proved(workspace, None)["broken"] == 0
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text().replace("version: 1\n", "version: 2\n", 1).replace("value: 8\n", "value: 7\n", 1))
    with pytest.raises(WorkspaceError, match="breaks `seen`"):
        rights_commands.propose(workspace.root, None, "owner-email", "a test")


def test_an_agent_is_not_called_as_the_markets_rules_are(workspace: Workspace) -> None:
    path = Path(workspace.root / "agents" / "email.yaml")
    path.write_text(path.read_text().replace("agent: email", "agent: us"))
    with pytest.raises(WorkspaceError, match="called as the market's rules are"):
        read_config(config_texts(workspace))
