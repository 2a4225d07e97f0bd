"""What the e-mail and call agents do with what segments took up."""

from dataclasses import replace

import numpy as np
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


def test_modules_of_which_none_was_taken_up_more_stay_worth_the_same() -> None:
    """Which of them goes is then not always the first by id."""
    charter = charter_of("email")
    equal = [(*rate[:4], 300_000) for rate in RATES]
    rows = PROPOSERS["email"].propose(charter, segmented(charter, equal))
    assert rows.filter(hcp_id="H1", product="alpha", touch=1)["value"].n_unique() == 1


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


SCHEMA = {"hcp_id": pl.String, "product": pl.String, "channel": pl.String, "content_id": pl.String, "engaged": pl.Boolean}
ALONE = pl.DataFrame({"hcp_id": ["H1", "H2"], "segment": ["S0001", "S0002"]})


def rates_of(told: list[tuple[str, str, int, int]]) -> dict[tuple[str, str], int]:
    """The rate by segment and content, of (hcp, content, touches, of these taken up)."""
    rows = [(hcp, "alpha", "email", content, number < taken) for hcp, content, count, taken in told for number in range(count)]
    rates = uptake(ALONE, pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    return {(segment, content): rate for segment, content, rate in rates.select("segment", "content_id", "rate").iter_rows()}


def test_a_content_that_everybody_takes_up_more_is_taken_up_more_by_every_segment() -> None:
    """Also by a segment that never showed it."""
    found = rates_of([("H1", "a", 200, 120), ("H1", "b", 200, 60), ("H2", "a", 5, 2), ("H2", "b", 5, 2)])
    assert found["S0001", "a"] > 500_000 > found["S0001", "b"]
    assert found["S0002", "a"] > found["S0002", "b"]


def test_segments_that_take_up_different_contents_are_told_apart() -> None:
    found = rates_of([("H1", "a", 200, 100), ("H1", "b", 200, 20), ("H2", "a", 200, 20), ("H2", "b", 200, 100)])
    assert found["S0001", "a"] > 400_000 > 200_000 > found["S0001", "b"]
    assert found["S0002", "b"] > 400_000 > 200_000 > found["S0002", "a"]


def test_what_chance_explains_prefers_no_content() -> None:
    """One taken up of one; and a keen segment beside an idle one, of whom one got more of a content than the other."""
    for told in (
        [("H1", "a", 1, 1), ("H1", "b", 100, 60), ("H2", "a", 100, 58)],
        [("H1", "a", 300, 180), ("H1", "b", 30, 18), ("H2", "a", 30, 3), ("H2", "b", 300, 30)],
    ):
        found = rates_of(told)
        assert found["S0001", "a"] == found["S0001", "b"]


def test_where_no_content_works_better_one_is_seldom_preferred() -> None:
    """Forty segments with shares of their own, a hundred times: chance passes for a preference in few."""
    draw, preferred = np.random.default_rng(4), 0
    members = pl.DataFrame({"hcp_id": [f"H{number}" for number in range(40)], "segment": [f"S{number:04}" for number in range(40)]})
    for _ in range(100):
        count, share = draw.integers(1, 60, (40, 3)), draw.beta(3, 7, 40)
        rows = [
            (f"H{hcp}", "alpha", "email", "abc"[content], bool(up))
            for hcp in range(40)
            for content in range(3)
            for up in draw.random(count[hcp, content]) < share[hcp]
        ]
        rates = uptake(members, pl.DataFrame(rows, schema=SCHEMA, orient="row"))
        preferred += rates.group_by("segment").agg(pl.col("rate").n_unique() > 1)["rate"].any()
    assert preferred <= 15


def test_touches_without_content_or_answer_say_nothing() -> None:
    silent = [("H1", "alpha", "email", None, True), ("H1", "alpha", "email", "c", None), ("H9", "alpha", "email", "a", True)]
    assert uptake(ALONE, pl.DataFrame(silent, schema=SCHEMA, orient="row")).height == 0
