"""What the e-mail and call agents do with what segments took up."""

from dataclasses import replace

import polars as pl
import pytest

from remit.agents import PROPOSERS, View
from remit.models.segments import UPTAKE, uptake
from remit.terms.charters import Charter
from tests.agents.test_agents import CHARTERS, view

RATES = [("S0001", "alpha", "email", "alpha-email-2", 600_000), ("S0001", "alpha", "email", "alpha-email-1", 200_000)]
CALLS = [("S0001", "alpha", "call", "alpha-call-2", 600_000), ("S0001", "alpha", "call", "alpha-call-1", 200_000)]


def segmented(charter: Charter, rates: list[tuple[str, str, str, str, int]]) -> View:
    """H1 and H3 are in a segment of which something is known; H2 is in none."""
    plain = view(charter)
    segment = pl.when(pl.col("hcp_id") != "H2").then(pl.lit("S0001")).alias("segment")
    return replace(plain, hcps=plain.hcps.with_columns(segment), uptake=pl.DataFrame(rates, schema=UPTAKE, orient="row"))


def charter_of(agent: str) -> Charter:
    return next(charter for charter in CHARTERS if charter.agent == agent)


def best(rows: pl.DataFrame, hcp: str) -> str:
    """The content that is worth most for an HCP's first touch about alpha."""
    own = rows.filter(hcp_id=hcp, product="alpha", touch=1).sort("value", descending=True)
    return str(own["content_id"][0])


def test_the_module_that_the_segment_took_up_most_is_worth_most() -> None:
    """By a millionth: the other goes where the better one may not."""
    charter = charter_of("email")
    rows = PROPOSERS["email"].propose(charter, segmented(charter, RATES))
    assert (best(rows, "H1"), best(rows, "H2")) == ("alpha-email-2", "alpha-email-1")
    values = rows.filter(hcp_id="H1", product="alpha", touch=1)["value"]
    assert values.max() - values.min() == 1  # type: ignore[operator]  # whole numbers


def test_where_fewer_modules_may_be_offered_the_best_of_the_segment_is() -> None:
    """The charter says how many."""
    charter = charter_of("email")
    one = replace(charter, settings={**charter.settings, "modules": 1})
    rows = PROPOSERS["email"].propose(one, segmented(one, RATES))
    assert {hcp: best(rows, hcp) for hcp in ("H1", "H2")} == {"H1": "alpha-email-2", "H2": "alpha-email-1"}
    assert rows.filter(product="alpha").group_by("hcp_id", "touch").len()["len"].max() == 1


def test_a_call_carries_the_aid_that_the_segment_welcomed_most() -> None:
    """And the brand's first where nothing is known."""
    charter = charter_of("calls-alpha")
    rows = PROPOSERS["call-planner"].propose(charter, segmented(charter, CALLS))
    assert (best(rows, "H1"), best(rows, "H2")) == ("alpha-call-2", "alpha-call-1")


@pytest.mark.parametrize("agent", ["email", "calls-alpha"])
def test_segments_of_which_nothing_is_known_change_nothing(agent: str) -> None:
    """Proposals are those without segments."""
    charter = charter_of(agent)
    proposer = PROPOSERS[charter.proposer]
    keys = ["hcp_id", "product", "touch", "content_id"]
    assert proposer.propose(charter, segmented(charter, [])).sort(keys).equals(proposer.propose(charter, view(charter)).sort(keys))


def test_few_touches_say_little_and_many_say_much() -> None:
    """One taken up of one does not beat sixty of a hundred; touches without content or answer say nothing."""
    members = pl.DataFrame({"hcp_id": ["H1", "H2"], "segment": ["S0001", "S0002"]})
    told = [("H1", "alpha", "email", "a", True), *(("H1", "alpha", "email", "b", number < 60) for number in range(100))]
    told += [("H2", "alpha", "email", "a", number < 10) for number in range(100)]
    silent = [("H1", "alpha", "email", None, True), ("H1", "alpha", "email", "c", None), ("H9", "alpha", "email", "a", True)]
    schema = {"hcp_id": pl.String, "product": pl.String, "channel": pl.String, "content_id": pl.String, "engaged": pl.Boolean}
    rates = uptake(members, pl.DataFrame(told + silent, schema=schema, orient="row"))
    found = {(segment, content): rate for segment, content, rate in rates.select("segment", "content_id", "rate").iter_rows()}
    assert set(found) == {("S0001", "a"), ("S0001", "b"), ("S0002", "a")}
    assert found["S0001", "b"] > 500_000 > found["S0001", "a"] > found["S0002", "a"]
    assert uptake(members, pl.DataFrame(silent, schema=schema, orient="row")).height == 0
