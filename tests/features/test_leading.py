"""Leading indicators from feeds: each value as it stood when it was known, and the nowcast that they feed in a world with campaigns."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.features.nowcast import leading_indicators
from remit.features.periods import Cadence
from remit.terms.instants import DAY, parse_instant

MONDAY = parse_instant("2026-01-05T00:00:00Z")
SUNDAY_NIGHT = MONDAY - 1
TOUCHES = {"touch_id": pl.String, "hcp_id": pl.String, "product": pl.String, "engaged": pl.Boolean, "occurred_at": pl.Int64, "received_at": pl.Int64}
TIERS = dict.fromkeys(("practice_id", "product", "tier"), pl.String) | dict.fromkeys(("valid_from", "valid_to", "received_at"), pl.Int64)


def touches(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame([(str(touch), hcp, "p", engaged, at, received) for touch, hcp, engaged, at, received in rows], schema=TOUCHES, orient="row")


def tiers(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame([(practice, "p", tier, since, None, received) for practice, tier, since, received in rows], schema=TIERS, orient="row")


def values(rows: pl.DataFrame, indicator: str) -> list[tuple[str, float]]:
    return list(rows.filter(indicator=indicator).sort("period", "received_at").select("period", "value").iter_rows())


def test_a_touch_that_is_restated_counts_once_and_each_state_is_kept() -> None:
    """A call that is told first as not engaged, then as engaged, is one contact; engagement is 0 until it was told, 1 from then."""
    rows = leading_indicators({"touches": touches((1, "A", False, MONDAY, MONDAY + DAY), (1, "A", True, MONDAY, MONDAY + 2 * DAY))}, MONDAY + 9 * DAY)
    assert values(rows, "contacts") == [("2026-W02", 1.0), ("2026-W02", 1.0)]
    assert values(rows, "engagement") == [("2026-W02", 0.0), ("2026-W02", 1.0)]
    assert rows.filter(indicator="engagement")["received_at"].to_list() == [MONDAY + DAY, MONDAY + 2 * DAY]


def test_a_week_in_which_only_others_were_touched_has_none_and_is_not_unknown() -> None:
    """Of two products one is touched in the second week: the other has 0 contacts there, known as early as the feed told of that week."""
    both = touches((1, "A", True, MONDAY, MONDAY + DAY), (2, "A", True, MONDAY, MONDAY + DAY), (3, "A", True, MONDAY + 7 * DAY, MONDAY + 8 * DAY))
    rows = leading_indicators({"touches": both.with_columns(product=pl.Series(["p", "q", "q"]))}, MONDAY + 20 * DAY)
    assert values(rows.filter(product="p"), "contacts") == [("2026-W02", 1.0), ("2026-W03", 0.0)]
    assert rows.filter(product="p", indicator="contacts")["received_at"].to_list() == [MONDAY + DAY, MONDAY + 8 * DAY]


def test_peers_are_the_colleagues_of_those_engaged_as_practices_stood_then() -> None:
    """An engaged physician in a practice of four reaches three colleagues; a practice that grows afterwards changes nothing before."""
    sizes = pl.DataFrame({"hcp_id": ["A", "A"], "practice_size": [4, 9], "received_at": [MONDAY - DAY, MONDAY + 3 * DAY]})
    seen = {"touches": touches((1, "A", True, MONDAY, MONDAY + DAY), (2, "B", True, MONDAY, MONDAY + DAY)), "hcp": sizes}
    assert values(leading_indicators(seen, MONDAY + 9 * DAY), "peers") == [("2026-W02", 3.0)]


def test_periods_are_those_of_the_zone_and_the_cadence() -> None:
    """A call in the last microsecond before Monday in UTC belongs to the week before, in Tokyo to the new one, and in months to January."""
    seen = {"touches": touches((1, "A", True, SUNDAY_NIGHT, MONDAY))}
    told = [leading_indicators(seen, MONDAY, zone=zone, cadence=cadence)["period"][0] for zone, cadence in _CLOCKS]
    assert told == ["2026-W01", "2026-W02", "2026-01"]


_CLOCKS = [("UTC", Cadence.WEEK), ("Asia/Tokyo", Cadence.WEEK), ("UTC", Cadence.MONTH)]


def test_a_place_on_the_formulary_counts_from_when_it_is_known_and_in_force() -> None:
    """Of two practices one moves to preferred in the second week: the counts of both tiers change in that week, and a late word about the past changes none."""
    start = (("a", "covered", MONDAY, MONDAY), ("b", "covered", MONDAY, MONDAY))
    moved, late = ("a", "preferred", MONDAY + 8 * DAY, MONDAY + 8 * DAY), ("a", "restricted", MONDAY, MONDAY + 15 * DAY)
    rows = leading_indicators({"formulary": tiers(*start, moved, late)}, MONDAY + 21 * DAY)
    assert values(rows, "formulary covered") == [("2026-W02", 2.0), ("2026-W03", 1.0), ("2026-W04", 1.0)]
    assert values(rows, "formulary preferred") == [("2026-W02", 0.0), ("2026-W03", 1.0), ("2026-W04", 1.0)]


EVENT = st.tuples(st.sampled_from("ABC"), st.booleans(), st.integers(0, 20), st.integers(0, 9))


@settings(max_examples=30, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=15), st.integers(0, 25))
def test_what_is_received_later_changes_nothing(events: list[tuple[str, bool, int, int]], day: int) -> None:
    """The indicators as of an instant are those that only the rows received by then give, and are a part of those known later."""
    table = touches(*((hcp, hcp, engaged, MONDAY + at * DAY, MONDAY + (at + late) * DAY) for hcp, engaged, at, late in events))
    places = tiers(*((hcp, "covered" if engaged else "preferred", MONDAY + at * DAY, MONDAY + (at + late) * DAY) for hcp, engaged, at, late in events))
    as_of, names = MONDAY + day * DAY, {"touches": table, "formulary": places}
    known = {name: rows.filter(pl.col("received_at") <= as_of) for name, rows in names.items()}
    now = leading_indicators(names, as_of)
    assert now.equals(leading_indicators(known, as_of))
    of_touches = now.filter(~pl.col("indicator").str.starts_with("formulary"))
    assert of_touches.join(leading_indicators(names, MONDAY + 60 * DAY), on=now.columns, how="anti").is_empty()


def test_feeds_that_are_absent_give_no_indicator() -> None:
    """Nothing given gives an empty table of the columns that a nowcast wants."""
    assert leading_indicators({}, MONDAY).columns == ["product", "period", "indicator", "value", "received_at"]
    assert leading_indicators({"touches": touches(), "formulary": tiers()}, MONDAY).is_empty()
