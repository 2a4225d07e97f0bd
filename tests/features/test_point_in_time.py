"""No later row may change an earlier value, and no other row may change one's own."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from remit.features import build, earlier_instants, training_frame
from remit.terms.instants import DAY, FOREVER, WEEK, parse_instant, period_bounds
from tests.features.tables import CATALOGUE, country, rx_row, table

NOW = parse_instant("2026-02-09T06:00:00Z")
WEEKS = ("2026-W01", "2026-W02", "2026-W03", "2026-W04", "2026-W05", "2026-W06", "2026-W07")
MONTHS = ("2025-10", "2025-11", "2025-12", "2026-01", "2026-02")
PEOPLE, PRODUCTS = st.sampled_from("AB"), st.sampled_from(("alpha", "beta", "gamma"))
AGES = st.integers(-3 * WEEK, 3 * WEEK)


def _events(before: bool, periods: tuple[str, ...]) -> st.SearchStrategy[dict[str, list[tuple[Any, ...]]]]:
    """Rows of every table, backdated and restating as they like, received up to NOW or only after it."""
    received = st.integers(NOW - 8 * WEEK, NOW) if before else st.integers(NOW + 1, NOW + 8 * WEEK)
    count = st.integers(0, 9)
    rx = st.tuples(PEOPLE, PRODUCTS, st.sampled_from(periods), count, count, count, received).map(lambda row: (*row[:6], period_bounds(row[2])[1], row[6]))
    touches = st.tuples(st.sampled_from("12345"), PEOPLE, st.sampled_from(("call", "email")), PRODUCTS, AGES.map(lambda age: NOW - age), received)
    inquiries = st.tuples(st.sampled_from("12"), PEOPLE, PRODUCTS, st.just(NOW - DAY), AGES.map(lambda age: NOW - age), received)
    hcp = st.tuples(PEOPLE, st.sampled_from(("x", "y")), st.just("P1"), count, st.booleans(), AGES.map(lambda age: NOW - age), received).map(
        lambda row: (*row[:6], FOREVER, row[5], row[6])
    )
    formulary = st.tuples(st.just("P1"), PRODUCTS, st.sampled_from(("x", "y")), AGES.map(lambda age: NOW - age), received).map(
        lambda row: (*row[:4], FOREVER, row[3], row[4])
    )
    names = {"rx": rx, "touches": touches, "inquiries": inquiries, "hcp": hcp, "formulary": formulary}
    return st.fixed_dictionaries({name: st.lists(rows, max_size=12) for name, rows in names.items()})


def _tables(*parts: Mapping[str, list[tuple[Any, ...]]]) -> dict[str, pl.DataFrame]:
    base = country(touches=table("touches", []), inquiries=table("inquiries", []), formulary=table("formulary", []))
    return base | {name: pl.concat([base[name], *(table(name, part[name]) for part in parts)]) for name in parts[0]}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(periods=st.sampled_from((WEEKS, MONTHS)), data=st.data())
def test_no_later_row_changes_an_earlier_value(periods: tuple[str, ...], data: st.DataObject) -> None:
    """Rows received after the instant, restatements and backdated ones among them, change nothing at the instant."""
    known, later = data.draw(_events(True, periods)), data.draw(_events(False, periods))
    assert_frame_equal(build(_tables(known), NOW, CATALOGUE), build(_tables(known, later), NOW, CATALOGUE))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(known=_events(True, WEEKS), seed=st.integers(0, 99))
def test_order_of_rows_changes_nothing(known: dict[str, list[tuple[Any, ...]]], seed: int) -> None:
    """Any order of the same rows gives the same frame, lazy tables too."""
    tables = _tables(known)
    shuffled = {name: rows.sample(fraction=1.0, shuffle=True, seed=seed).lazy() for name, rows in tables.items()}
    assert_frame_equal(build(tables, NOW, CATALOGUE), build(shuffled, NOW, CATALOGUE))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(known=_events(True, WEEKS))
def test_other_hcps_change_nothing_but_what_is_newest(known: dict[str, list[tuple[Any, ...]]]) -> None:
    """Asking for one HCP gives that HCP's rows of the whole frame, given that the newest period of each product is the same."""
    known["rx"] += [(hcp, product, "2026-W06", 1, 1, 1, period_bounds("2026-W06")[1], NOW - 8 * WEEK) for hcp in "AB" for product in ("alpha", "beta", "gamma")]
    tables = _tables(known)
    assert_frame_equal(build(tables, NOW, CATALOGUE, hcps=["A"]), build(tables, NOW, CATALOGUE).filter(hcp_id="A"))


def _history() -> list[tuple[Any, ...]]:
    return [rx_row(hcp, "alpha", week, number * (1 + (hcp == "B")), DAY) for hcp in "AB" for number, week in enumerate(WEEKS[:6])]


def test_training_rows_hold_what_was_known_then_and_what_came_after() -> None:
    """At each earlier Monday: the features of that instant, and the outcome of the week that contains it."""
    tables = country(_history()) | {"products": country()["products"].filter(pl.col("product") != "beta")}
    instants = earlier_instants(NOW, "1 week", 3)
    frame = training_frame(lambda _: tables, instants, NOW, CATALOGUE)
    assert frame.filter(hcp_id="A").select("instant", "rx_newest", "outcome").rows() == [(instants[0], 1.0, 3.0), (instants[1], 2.0, 4.0)]
    alone = build(tables, instants[1], CATALOGUE)
    assert_frame_equal(frame.filter(instant=instants[1]).select(alone.columns), alone)


def test_an_outcome_counts_as_it_is_known_when_training() -> None:
    """A restatement received by `known_at` changes the outcome and no feature; one received later changes nothing."""
    instants = earlier_instants(NOW, "1 week", 3)
    base = country(_history())
    restated = base | {"rx": pl.concat([base["rx"], table("rx", [rx_row("A", "alpha", "2026-W04", 40, 9 * DAY)])])}
    frames = [training_frame(lambda _, given=given: given, instants, NOW, CATALOGUE) for given in (base, restated)]  # type: ignore[misc]  # binds each
    changed = frames[0].filter(hcp_id="A", product="alpha")["outcome"].to_list(), frames[1].filter(hcp_id="A", product="alpha")["outcome"].to_list()
    assert changed == ([3, 4], [40, 4])
    early = training_frame(lambda _: restated, instants, NOW - 6 * DAY, CATALOGUE)
    assert early.filter(hcp_id="A", product="alpha")["outcome"].to_list() == [3, 4]


def test_touches_given_are_those_of_the_instants_own_period() -> None:
    """From the instant to the end of its week, about the product, by channel."""
    instant = NOW - 2 * WEEK
    touches = [("1", "A", "call", "alpha", instant, NOW), ("2", "A", "call", "alpha", instant - 1, NOW), ("3", "A", "email", "alpha", instant + 6 * DAY, NOW)]
    touches += [("4", "A", "call", "alpha", instant + WEEK, NOW), ("5", "A", "call", "beta", instant, NOW)]
    frame = training_frame(lambda _: country(_history(), touches=table("touches", touches)), [instant], NOW, CATALOGUE)
    assert frame.filter(hcp_id="A", product="alpha").select("given_call", "given_email").row(0) == (1, 1)


def test_a_longer_horizon_needs_every_period() -> None:
    """Two weeks are summed, and an instant whose second week is not known yet is left out."""
    frame = training_frame(lambda _: country(_history()), earlier_instants(NOW, "1 week", 4), NOW, CATALOGUE, periods=2)
    assert frame.filter(hcp_id="A")["outcome"].to_list() == [2 + 3, 3 + 4]
