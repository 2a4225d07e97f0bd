"""Charters, proposers and the board that asks them."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from remit.agents import PROPOSALS, PROPOSERS, AgentError, View, ask, broken, read_charter, read_people
from remit.terms.charters import Charter

EXAMPLES = Path(__file__).parents[2] / "src/remit/runtime/examples"
PEOPLE = read_people((EXAMPLES / "two-brands/people.yaml").read_text(), "people.yaml")
CHARTERS = [read_charter(path.read_text(), path.name, PEOPLE) for path in sorted((EXAMPLES / "two-brands/agents").glob("*.yaml"))]


def view(charter: Charter, increments: Mapping[int, int] | None = None) -> View:
    """Three HCPs, one of them covered by nobody."""
    products = ["alpha", "beta"]
    grid = pl.DataFrame({"hcp_id": ["H1", "H2", "H3"]}).join(pl.DataFrame({"product": products}), how="cross")
    hcps = grid.with_columns(
        territory=pl.when(pl.col("hcp_id") != "H3").then(pl.lit("T1")),
        lead_score=pl.lit(2_000_000),
        open_inquiries=pl.when(pl.col("hcp_id") == "H1").then(2).otherwise(0),
        medical_contact_age_h=pl.lit(24),
    )
    steps = pl.DataFrame({"touch": list(increments or {1: 50_000, 2: 20_000}), "increment": list((increments or {1: 50_000, 2: 20_000}).values())})
    responses = grid.join(pl.DataFrame({"channel": ["call", "email"]}), how="cross").join(steps, how="cross")
    content = pl.DataFrame(
        [(product, channel, f"{product}-{channel}-{n}", "promotional") for product in products for channel in ("call", "email", "msl_visit") for n in (1, 2)],
        schema=["product", "channel", "content_id", "communication_type"],
        orient="row",
    )
    return View(hcps, responses, content, {"alpha": 20_000, "beta": 30_000})


@pytest.mark.parametrize("charter", CHARTERS, ids=lambda charter: charter.agent)
def test_every_example_charter_is_served_by_a_proposer_that_keeps_the_contract(charter: Charter) -> None:
    rows = PROPOSERS[charter.proposer].propose(charter, view(charter))
    assert rows.height > 0
    assert broken(rows, charter) is None
    assert set(rows["product"]) <= set(charter.products)
    assert set(rows["channel"]) <= set(charter.channels)
    assert rows["touch"].max() <= charter.most_per_hcp
    assert (rows["value"] > 0).all()


def test_every_built_in_proposer_is_chartered_in_an_example() -> None:
    assert {charter.proposer for charter in CHARTERS} == set(PROPOSERS) - {"external"}


def test_a_call_is_proposed_only_where_somebody_covers_the_hcp() -> None:
    charter = next(charter for charter in CHARTERS if charter.proposer == "call-planner")
    assert set(PROPOSERS["call-planner"].propose(charter, view(charter))["hcp_id"]) == {"H1", "H2"}


def test_a_detail_is_worth_its_increment_times_the_value_of_an_outcome_unit_less_its_cost() -> None:
    charter = next(charter for charter in CHARTERS if charter.agent == "calls-alpha")
    rows = PROPOSERS["call-planner"].propose(charter, view(charter))
    assert rows["value"].to_list() == [50_000 * 20_000 // 100 - int(charter.settings["cost_minor"]) * 10_000] * 2


def test_what_is_expected_to_lose_is_not_proposed() -> None:
    charter = next(charter for charter in CHARTERS if charter.agent == "calls-alpha")
    assert PROPOSERS["call-planner"].propose(charter, view(charter, {1: 1})).height == 0


def test_alternatives_of_one_email_exclude_each_other() -> None:
    charter = next(charter for charter in CHARTERS if charter.proposer == "email")
    rows = PROPOSERS["email"].propose(charter, view(charter)).filter(pl.col("hcp_id") == "H1")
    assert sorted(rows.group_by("exclusion").len()["len"]) == [2, 2]


def test_a_question_that_waits_is_worth_more_to_the_msl_than_education() -> None:
    charter = next(charter for charter in CHARTERS if charter.proposer == "msl")
    rows = PROPOSERS["msl"].propose(charter, view(charter))
    assert set(rows["hcp_id"]) == {"H1"}
    assert rows["value"].to_list() == [20_000_000, 20_000_000]


class _Raises:
    name, settings = "raises", {}

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        raise KeyError("H1")


class _Misbehaves:
    name, settings = "misbehaves", {}

    def __init__(self, change: pl.Expr | None) -> None:
        self.change = change

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        rows = PROPOSERS["call-planner"].propose(charter, view)
        return rows.with_columns(self.change) if self.change is not None else pl.concat([rows, rows])


@pytest.mark.parametrize(
    "proposer",
    [
        _Raises(),
        _Misbehaves(None),
        _Misbehaves(pl.lit("email").alias("agent")),
        _Misbehaves(pl.lit("medical").alias("purpose")),
        _Misbehaves(pl.lit(None, pl.Int64).alias("value")),
        _Misbehaves(pl.col("value").cast(pl.Float64)),
    ],
    ids=["raises", "twice", "another's name", "another purpose", "nulls", "wrong type"],
)
def test_an_agent_that_fails_or_breaks_the_contract_fails_alone(proposer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remit.agents.board.PROPOSERS", {**PROPOSERS, "msl": proposer})
    rows, failures = ask(CHARTERS, view)
    assert [failure.agent for failure in failures] == ["msl"]
    assert "H1" not in failures[0].error
    assert set(rows["agent"]) == {"calls-alpha", "calls-beta", "email"}


def test_the_order_of_proposals_does_not_depend_on_the_order_of_agents() -> None:
    forward, _ = ask(CHARTERS, view)
    backward, _ = ask(list(reversed(CHARTERS)), view)
    assert forward.equals(backward)
    assert forward.schema == PROPOSALS
    assert forward["hcp_id"].is_sorted()


def test_a_charter_tells_all_its_faults_at_once() -> None:
    good = "agent: a\nobjective: o\npurpose: promotional\nproducts: [alpha]\n"
    text = good + "proposer: oracle\nowner: nobody\nchannels: call\nmost_per_hcp: 0\nexpires: soon\ncolour: red\n"
    with pytest.raises(AgentError) as caught:
        read_charter(text, "agents/a.yaml", PEOPLE)
    told = "\n".join(caught.value.faults)
    for word in ("proposer", "owner", "channels", "most_per_hcp", "expires", "colour"):
        assert f"`{word}`" in told


def test_a_charter_that_is_not_yaml_says_where() -> None:
    with pytest.raises(AgentError, match=r"agents/a\.yaml"):
        read_charter("agent: [", "agents/a.yaml", PEOPLE)
