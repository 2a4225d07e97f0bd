"""From judged proposals to the arbiter's columns, and what it then chooses."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from remit.agents import read_charter, read_people
from remit.arbiter import arbitrate
from remit.runtime.problem import Problem, build
from remit.runtime.settings import Settings, read_settings
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.problems import Plan

EXAMPLE = Path(__file__).parents[2] / "src/remit/runtime/examples/two-brands"
PEOPLE = read_people((EXAMPLE / "people.yaml").read_text(), "people.yaml")
PLENTY = {f"{kind}/{name}": 1000 * MICRO for kind in ("samples", "supply") for name in ("alpha", "beta")} | {
    "sends": 1000 * MICRO,
    "budget/email": 1000 * MICRO,
}


@pytest.fixture
def settings() -> Settings:
    return read_settings((EXAMPLE / "remit.toml").read_text(), "remit.toml")


@pytest.fixture
def charters() -> list[Charter]:
    found = [read_charter(path.read_text(), path.name, PEOPLE) for path in sorted((EXAMPLE / "agents").glob("*.yaml"))]
    return [charter for charter in found if charter.purpose == "promotional"]


def row(hcp: str, agent: str, channel: str, product: str, value: int, **more: object) -> dict[str, object]:
    return {
        "hcp_id": hcp, "agent": agent, "channel": channel, "product": product, "value": value * MICRO, "exclusion": None, "mandatory": False,
        "territory": "T001" if channel == "call" else None, "allowance": 2, **more,
    }  # fmt: skip


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    schema = {"exclusion": pl.String, "territory": pl.String, "mandatory": pl.Boolean}
    return pl.DataFrame(list(rows), schema_overrides=schema).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


def plan_of(problem: Problem) -> Plan:
    return arbitrate(problem.candidates, problem.calls, problem.resources, problem.limits, agents=len(problem.agents))


def test_two_brands_share_one_call_instead_of_fighting_for_it(settings: Settings, charters: list[Charter]) -> None:
    rows = frame(row("H1", "calls-alpha", "call", "alpha", 10), row("H1", "calls-beta", "call", "beta", 8), row("H2", "calls-alpha", "call", "alpha", 11))
    plan = plan_of(build(rows, charters, settings, PLENTY | {"calls/T001": MICRO}))
    assert np.asarray(plan.chosen).tolist() == [True, True, False]
    assert np.asarray(plan.position).tolist() == [1, 2, 0]
    assert plan.value == 10 * MICRO + 8 * 600_000


def test_a_resource_that_no_feed_states_is_taken_as_nothing_and_named(settings: Settings, charters: list[Charter]) -> None:
    rows = frame(row("H1", "calls-alpha", "call", "alpha", 10))
    problem = build(rows, charters, settings, PLENTY)
    assert problem.unknown == ("calls/T001",)
    assert not np.asarray(plan_of(problem).chosen).any()


def test_a_pilots_floor_is_met_against_better_uses(settings: Settings, charters: list[Charter]) -> None:
    pairs = [(row(f"H{n:02}", "calls-alpha", "call", "alpha", 10, allowance=1), row(f"H{n:02}", "email", "email", "alpha", 1, allowance=1)) for n in range(60)]
    both = frame(*[each for pair in pairs for each in pair])
    plan = plan_of(build(both, charters, settings, PLENTY | {"calls/T001": 60 * MICRO}))
    agents = both["agent"].filter(pl.Series(np.asarray(plan.chosen)))
    assert (agents == "email").sum() == 50
    assert plan.shortfalls == ()


def test_what_earlier_choices_took_of_a_channel_is_gone(settings: Settings, charters: list[Charter]) -> None:
    rows = frame(row("H1", "calls-alpha", "call", "alpha", 10), row("H2", "calls-alpha", "call", "alpha", 10))
    taken = pl.DataFrame({"hcp_id": ["H1"], "channel": ["call"], "contacts": [1]})
    plan = plan_of(build(rows, charters, settings, PLENTY | {"calls/T001": 2 * MICRO}, taken))
    assert np.asarray(plan.chosen).tolist() == [False, True]


def test_no_proposals_make_an_empty_plan(settings: Settings, charters: list[Charter]) -> None:
    rows = frame(row("H1", "calls-alpha", "call", "alpha", 10))
    plan = plan_of(build(rows.clear(), [charter for charter in charters if not charter.floor], settings, PLENTY))
    assert (plan.value, plan.bound) == (0, 0)
