"""What features say, by hand-computed cases."""

import polars as pl
import pytest

from remit.features import FeatureError, build, grid_of, panel
from remit.terms.instants import DAY, FOREVER, HOUR, WEEK, parse_instant, period_bounds
from tests.features.tables import CATALOGUE, country, rx_row, table, touch_row

NOW = parse_instant("2026-02-09T06:00:00Z")
WEEKS = ["2026-W01", "2026-W02", "2026-W03", "2026-W04", "2026-W05", "2026-W06"]
ALPHA = [3, 0, 5, 2, 4, 6]


def _row(tables: dict[str, pl.DataFrame], hcp: str = "A", product: str = "alpha", now: int = NOW) -> dict[str, object]:
    return build(tables, now, CATALOGUE).filter(hcp_id=hcp, product=product).row(0, named=True)


def _weeks(values: list[int], hcp: str = "A", product: str = "alpha") -> list[tuple[object, ...]]:
    return [rx_row(hcp, product, week, value) for week, value in zip(WEEKS, values, strict=True)]


def test_one_row_per_hcp_and_own_product() -> None:
    """Rows are the HCPs in force times our own products, sorted; competitors have none."""
    frame = build(country(), NOW, CATALOGUE)
    assert frame.select("hcp_id", "product").rows() == [("A", "alpha"), ("A", "beta"), ("B", "alpha"), ("B", "beta")]
    assert frame["pdrp"].to_list() == [False, False, None, None]


def test_prescribing_features_are_what_their_words_say() -> None:
    """Six known weeks 3 0 5 2 4 6, the newest last."""
    row = _row(country(_weeks(ALPHA)))
    assert (row["rx_newest"], row["rx_lag_2"], row["rx_lag_3"]) == (6, 4, 2)
    assert row["rx_trend"] == pytest.approx((6 + 4 + 2) / 3 - (5 + 0 + 3) / 3)
    assert row["rx_recency"] == 1
    assert row["rx_frequency"] == pytest.approx(5 / 6)
    assert row["rx_spread"] == 6
    weights = [0.5 ** (lag / 3) for lag in range(6)]
    assert row["rx_mean_3"] == pytest.approx(sum(w * v for w, v in zip(weights, reversed(ALPHA), strict=True)) / sum(weights), rel=1e-4)


def test_each_product_counts_by_its_own_outcome() -> None:
    """Beta is measured by new prescriptions, alpha by all."""
    tables = country([*_weeks(ALPHA), *_weeks([8] * 6, product="beta")])
    assert _row(tables, product="beta")["rx_newest"] == 4


def test_share_is_of_what_was_reported_for_the_basket() -> None:
    """Alpha 6 a week beside gamma 2 a week is three quarters; where only alpha is reported, the rest is unknown and the share is of what is known."""
    tables = country([*_weeks([6] * 6), *_weeks([2] * 6, product="gamma")])
    assert _row(tables)["rx_share"] == 0.75
    assert _row(country(_weeks([6] * 6)))["rx_share"] == 1.0


def test_volume_is_the_mean_of_the_basket_over_half_a_year_of_known_weeks() -> None:
    """Alpha 9 a week for four weeks and 6 for the twenty-six after, beside gamma 2: of the last twenty-six the mean is 8. Where gamma is not reported, 6."""
    weeks = [f"2025-W{week:02d}" for week in range(29, 53)] + WEEKS
    told = [rx_row("A", "alpha", week, 9 if place < 4 else 6) for place, week in enumerate(weeks)]
    assert _row(country([*told, *(rx_row("A", "gamma", week, 2) for week in weeks)]))["rx_basket"] == 8.0
    assert _row(country(_weeks([6] * 6)))["rx_basket"] == 6.0


def test_absence_is_not_zero() -> None:
    """A physician nobody reports has unknown features; a week left out is skipped and not counted as none."""
    tables = country([row for row in _weeks(ALPHA) if row[2] != "2026-W05"] + _weeks([1] * 6, product="gamma") + [rx_row("B", "alpha", "2026-W06", 1)])
    row = _row(tables)
    assert row["rx_lag_2"] is None
    assert row["rx_newest"] == 6
    assert row["rx_frequency"] == pytest.approx(4 / 5)
    silent = _row(tables, hcp="B", product="beta")
    assert all(silent[column.name] is None for column in CATALOGUE.columns if column.feature.table == "rx")


def test_a_lag_counts_from_the_newest_period_anybody_reported() -> None:
    """B's last report is a week older than the product's newest, so it stands at lag 2."""
    row = _row(country([*_weeks(ALPHA), rx_row("B", "alpha", "2026-W05", 9)]), hcp="B")
    assert (row["rx_newest"], row["rx_lag_2"]) == (None, 9)


def test_a_running_period_is_not_used() -> None:
    """A month-to-date figure of a period that has not ended is left out, though it has been received."""
    early = ("A", "alpha", "2026-W07", 1, 0, None, NOW, NOW - HOUR)
    assert _row(country([*_weeks(ALPHA), early]))["rx_newest"] == 6


def test_the_latest_restatement_counts_also_downward() -> None:
    """What was received last stands, whatever the order of rows; at equal receipt the larger."""
    restated = [rx_row("A", "alpha", "2026-W06", 2, 3 * HOUR), rx_row("A", "alpha", "2026-W06", 9, 1 * HOUR), rx_row("A", "alpha", "2026-W06", 1, 3 * HOUR)]
    assert _row(country(_weeks(ALPHA) + restated))["rx_newest"] == 2
    assert _row(country(restated[::-1] + _weeks(ALPHA)[::-1]))["rx_newest"] == 2


def test_features_and_a_panel_of_one_grid_are_what_each_makes_by_itself() -> None:
    """Worked out once for both: the same to the last value, with restatements and a period that is still running."""
    rows = [*_weeks(ALPHA), *_weeks(ALPHA[::-1], "B", "beta"), rx_row("A", "alpha", "2026-W06", 2, 3 * HOUR), rx_row("B", "alpha", "2026-W07", 8, 1 * HOUR)]
    tables = country(rows)
    grid = grid_of(tables, NOW)
    assert build(tables, NOW, CATALOGUE, grid=grid).equals(build(tables, NOW, CATALOGUE))
    alone, shared = (panel(tables, NOW, ["call"], zone="UTC", history="10 weeks", settle="1 week", grid=given) for given in (None, grid))
    assert shared.ends.tolist() == alone.ends.tolist()
    assert shared.outcome.tobytes() == alone.outcome.tobytes()
    assert shared.touches.tobytes() == alone.touches.tobytes()


def test_a_restatement_counts_only_once_it_is_received() -> None:
    """The instant before it is received, the old figure stands."""
    end = period_bounds("2026-W06")[1]
    tables = country([*_weeks(ALPHA), rx_row("A", "alpha", "2026-W06", 1, 3 * HOUR)])
    assert _row(tables, now=end + 3 * HOUR - 1)["rx_newest"] == 6
    assert _row(tables, now=end + 3 * HOUR)["rx_newest"] == 1


def test_months_work_like_weeks() -> None:
    """Months are periods: lags go from month to month over the turn of a year."""
    tables = country([rx_row("A", "alpha", month, value) for month, value in (("2025-11", 7), ("2025-12", 8), ("2026-01", 9))])
    row = _row(tables)
    assert (row["rx_newest"], row["rx_lag_2"], row["rx_lag_3"]) == (9, 8, 7)


def test_weeks_follow_each_other_over_the_turn_of_a_year() -> None:
    """The week before 2026-W01 is 2025-W52."""
    tables = country([rx_row("A", "alpha", "2025-W52", 4), rx_row("A", "alpha", "2026-W01", 5)])
    row = _row(tables, now=period_bounds("2026-W01")[1])
    assert (row["rx_newest"], row["rx_lag_2"]) == (5, 4)


def test_weeks_begin_in_the_workspaces_zone() -> None:
    """On a Monday at 03:00 UTC the week in New York still runs, so its figure is not used yet."""
    tables = country(_weeks(ALPHA))
    monday = period_bounds("2026-W06")[1] + 3 * HOUR
    assert build(tables, monday, CATALOGUE)["rx_newest"][0] == 6
    assert build(tables, monday, CATALOGUE, zone="America/New_York")["rx_newest"][0] == 4


def test_weeks_and_months_together_are_refused() -> None:
    """Mixed cadences have no common lag."""
    with pytest.raises(FeatureError, match="in weeks and in months"):
        build(country([rx_row("A", "alpha", "2026-W01", 1), rx_row("A", "alpha", "2025-12", 1)]), NOW, CATALOGUE)


def test_a_malformed_period_is_refused() -> None:
    """A period that is none is named."""
    with pytest.raises(FeatureError, match="`2026-W60` is not a period"):
        build(country([("A", "alpha", "2026-W60", 1, 1, 1, NOW, NOW)]), NOW, CATALOGUE)


def test_touches_count_and_fade() -> None:
    """Two calls 10 and 38 days ago: one is recent, the stock is 2^-(10/28) + 2^-(38/28), the last was 10 days ago; no e-mail is zero and not unknown."""
    calls = [touch_row("1", "A", "call", "alpha", NOW - 10 * DAY), touch_row("2", "A", "call", "alpha", NOW - 38 * DAY)]
    row = _row(country(touches=table("touches", calls)))
    assert row["touches_recent_call"] == 1
    assert row["touches_stock_call"] == pytest.approx(0.5 ** (10 / 28) + 0.5 ** (38 / 28), rel=1e-4)
    assert row["touches_recency_call"] == 10
    assert (row["touches_recent_email"], row["touches_stock_email"], row["touches_recency_email"]) == (0, 0, None)


def test_without_a_record_of_touches_they_are_unknown() -> None:
    """No table, or nothing received yet, is not the same as no touches."""
    empty = table("touches", [touch_row("1", "A", "call", "alpha", NOW)])
    for tables in (country(), country(touches=empty)):
        assert _row(tables)["touches_recent_call"] is None


def test_a_touch_restated_counts_once_and_as_last_told() -> None:
    """A touch that moved to e-mail is no call any more; one in the future is not counted."""
    moved = [("1", "A", "call", "alpha", NOW - 5 * DAY, NOW - 4 * DAY), ("1", "A", "email", "alpha", NOW - 5 * DAY, NOW - 3 * DAY)]
    planned = [("2", "A", "email", "alpha", NOW + DAY, NOW - DAY)]
    row = _row(country(touches=table("touches", moved + planned)))
    assert (row["touches_recent_call"], row["touches_recent_email"]) == (0, 1)


def test_inquiries_and_formulary_are_as_of_the_instant() -> None:
    """Questions of 91 days count; the tier is that of the practice, in force and known."""
    asked = table("inquiries", [("q1", "A", "alpha", NOW - day * DAY, NOW - day * DAY, NOW) for day in (1,)] + [("q2", "A", "alpha", 0, 0, 0)])
    tiers = [("P1", "alpha", "covered", 0, FOREVER, 0, 0), ("P1", "alpha", "preferred", NOW - DAY, FOREVER, NOW - DAY, NOW + 1)]
    tables = country(inquiries=asked, formulary=table("formulary", tiers))
    row = _row(tables)
    assert (row["inquiries_recent"], row["formulary_tier"]) == (1, "covered")
    assert _row(tables, now=NOW + 1)["formulary_tier"] == "preferred"
    assert _row(tables, hcp="B")["formulary_tier"] is None


def test_master_data_are_as_of_the_instant() -> None:
    """A specialty that changed counts from its `valid_from`, once it is received; an HCP whose row has ended has no row."""
    rows = [
        ("A", "cardiology", "P1", 4, False, 0, FOREVER, 0, 0),
        ("A", "oncology", "P1", 5, True, NOW - WEEK, FOREVER, NOW - WEEK, NOW - DAY),
        ("B", "nephrology", "P2", 1, False, 0, NOW - DAY, 0, 0),
    ]
    tables = country() | {"hcp": table("hcp", rows)}
    frame = build(tables, NOW, CATALOGUE)
    assert frame["hcp_id"].unique().to_list() == ["A"]
    assert frame.select("specialty", "practice_size", "pdrp").row(0) == ("oncology", 5, True)
    assert _row(tables, now=NOW - DAY - 1)["specialty"] == "cardiology"


def test_data_age_and_feed_age_stand_beside_every_row() -> None:
    """Data age is of the newest row used, per HCP and product; feed age is of the load; without rows or loads they are unknown."""
    tables = country(_weeks(ALPHA), touches=table("touches", [touch_row("1", "A", "call", "alpha", NOW - 3 * DAY)]))
    frame = build(tables, NOW, CATALOGUE, loads={"rx": NOW - 5 * HOUR})
    row = frame.filter(hcp_id="A", product="alpha").row(0, named=True)
    assert row["rx_data_age_us"] == NOW - period_bounds("2026-W06")[1]
    assert row["touches_data_age_us"] == 3 * DAY
    assert (row["rx_feed_age_us"], row["touches_feed_age_us"], row["inquiries_data_age_us"]) == (5 * HOUR, None, None)
    assert frame.filter(hcp_id="B", product="alpha")["rx_data_age_us"].item() is None


def test_missing_tables_and_columns_are_told_at_once() -> None:
    """Every missing table and column is named in one message."""
    tables = country(_weeks(ALPHA))
    del tables["products"]
    with pytest.raises(FeatureError) as caught:
        build(tables | {"rx": tables["rx"].drop("trx", "period")}, NOW, CATALOGUE)
    assert caught.value.faults == ("the table `products` is missing", "`rx` has no column `period`", "`rx` has no column `trx`")


def test_nothing_at_all_gives_unknown_features() -> None:
    """Empty feeds give rows without knowledge, not errors."""
    frame = build(country(), NOW, CATALOGUE)
    unknown = frame.select(column.name for column in CATALOGUE.columns if column.feature.table == "rx").null_count().row(0)
    assert set(unknown) == {4}


def test_before_any_product_is_known_there_are_no_rows() -> None:
    """An instant before the products were received has no rows, and is no error."""
    tables = country(_weeks(ALPHA))
    later = tables | {"products": tables["products"].with_columns(received_at=pl.lit(NOW + 1, pl.Int64))}
    assert build(later, NOW, CATALOGUE).is_empty()
