"""Where only a brick's prescriptions are reported, its physicians have its average, said to be that; its total is kept whole."""

from typing import Any

import numpy as np
import polars as pl

from remit.features import build, panel, training_frame
from remit.features.known import PARTS, UNKNOWN, prescriptions, with_bricks
from remit.terms.instants import DAY, FOREVER, WEEK, parse_instant, period_bounds
from tests.features.tables import CATALOGUE, country, rx_row, table

NOW = parse_instant("2026-03-02T06:00:00Z")
WEEKS = [f"2026-W{number:02}" for number in range(1, 9)]


def physicians(*rows: tuple[str, str | None, int | None]) -> pl.DataFrame:
    """Physicians with the brick of each and how many prescribe in it."""
    people = table("hcp", [(hcp, "cardiology", "P1", 4, False, 0, FOREVER, 0, 0) for hcp, _, _ in rows])
    return people.with_columns(
        brick_id=pl.Series([brick for _, brick, _ in rows], dtype=pl.String), brick_size=pl.Series([n for *_, n in rows], dtype=pl.Int64)
    )


def brick_row(brick: str, product: str, period: str, trx: int, delay: int = 0) -> tuple[Any, ...]:
    return rx_row(brick, product, period, trx, delay)


def bricks(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return table("brick_rx", list(rows))


def fourteen(total: int = 10) -> dict[str, pl.DataFrame]:
    """Fourteen physicians of one brick in which `total` of alpha are prescribed each week, one of another brick, one of none."""
    people = physicians(*((f"H{number}", "B1", None) for number in range(14)), ("I", "B2", 12), ("J", None, None))
    rows = [brick_row("B1", "alpha", week, total) for week in WEEKS] + [brick_row("B2", "alpha", week, 18) for week in WEEKS]
    return {**country(), "hcp": people, "brick_rx": bricks(*rows)}


def of(frame: pl.DataFrame, hcp: str, product: str = "alpha") -> dict[str, Any]:
    return frame.filter(hcp_id=hcp, product=product).row(0, named=True)


def test_a_physician_of_a_brick_has_its_average_and_is_said_to() -> None:
    """A fourteenth of ten where fourteen are on file, a twelfth of eighteen where twelve are said to prescribe; nothing where there is no brick."""
    frame = build(fourteen(), NOW, CATALOGUE)
    one, other, none = of(frame, "H3"), of(frame, "I"), of(frame, "J")
    assert abs(one["rx_newest"] - 10 / 14) <= 0.5 / PARTS
    assert other["rx_newest"] == 1.5
    assert none["rx_newest"] is None
    assert (one["rx_of_brick"], other["rx_of_brick"], none["rx_of_brick"]) == (True, True, False)
    assert one["rx_data_age_us"] is not None


def test_a_brick_of_few_shows_nothing() -> None:
    """The average of nine would tell too much of each of them; also of one that alone is on file."""
    people = physicians(*((f"H{number}", "B1", None) for number in range(9)), ("I", "B2", 1))
    rows = [brick_row(brick, "alpha", week, 9) for week in WEEKS for brick in ("B1", "B2")]
    tables = {**country(), "hcp": people, "brick_rx": bricks(*rows), "rx": table("rx", [rx_row("Z", "alpha", WEEKS[-1], 5)])}
    frame = build(tables, NOW, CATALOGUE)
    assert frame["rx_newest"].null_count() == frame.height
    assert not frame["rx_of_brick"].any()


def test_own_reports_go_before_the_bricks() -> None:
    """A physician with rows of the own has these, in units, beside colleagues who have the average."""
    tables = {**fourteen(), "rx": table("rx", [rx_row("H0", "alpha", WEEKS[-1], 5)])}
    frame = build(tables, NOW, CATALOGUE)
    assert of(frame, "H0")["rx_newest"] == 5.0
    assert of(frame, "H0")["rx_of_brick"] is False
    assert of(frame, "H1")["rx_of_brick"] is True


def test_the_age_of_prescriptions_is_that_of_the_feed_that_tells_of_the_physician() -> None:
    """Own reports by `rx`, averages by `brick_rx`; of whom neither tells, the older; where one feed alone has loaded, its age."""
    tables, loads = {**fourteen(), "rx": table("rx", [rx_row("H0", "alpha", WEEKS[-1], 5)])}, {"rx": NOW - 900, "brick_rx": NOW - 5}
    frame = build(tables, NOW, CATALOGUE, loads=loads)
    assert [of(frame, hcp)["rx_feed_age_us"] for hcp in ("H0", "H1", "J")] == [900, 5, 900]
    assert of(frame, "H0", "beta")["rx_feed_age_us"] == 900
    for name, age in (("rx", 900), ("brick_rx", 5)):
        assert set(build(tables, NOW, CATALOGUE, loads={name: loads[name]})["rx_feed_age_us"]) == {age}


def test_nothing_changes_for_physicians_with_reports_where_no_brick_is_reported() -> None:
    """An empty table of bricks adds the flag and nothing else."""
    tables = country([rx_row("A", "alpha", week, number) for number, week in enumerate(WEEKS)])
    plain, beside = build(tables, NOW, CATALOGUE), build({**tables, "brick_rx": bricks()}, NOW, CATALOGUE)
    assert beside.drop("rx_of_brick").equals(plain)
    assert not beside["rx_of_brick"].any()


def test_a_restated_brick_counts_from_its_receipt_also_downward() -> None:
    """Before the receipt the old count, after it the new one."""
    tables = fourteen(28)
    later = brick_row("B1", "alpha", WEEKS[-1], 14, 9 * DAY)
    tables["brick_rx"] = pl.concat([tables["brick_rx"], bricks(later)])
    known = period_bounds(WEEKS[-1])[1] + 9 * DAY
    assert of(build(tables, known - 1, CATALOGUE), "H0")["rx_newest"] == 2.0
    assert of(build(tables, known, CATALOGUE), "H0")["rx_newest"] == 1.0


def test_averages_are_exact_and_do_not_depend_on_the_order_of_rows() -> None:
    """Averages are held in whole parts of a power of two, so every order of rows and physicians gives the same bytes."""
    tables = fourteen(10)
    turned = {name: rows.reverse() for name, rows in tables.items()}
    assert build(tables, NOW, CATALOGUE).equals(build(turned, NOW, CATALOGUE))
    people = with_bricks(tables["hcp"].sort("hcp_id")).with_row_index("hcp")
    known = prescriptions(tables, people, tables["products"].with_row_index("product_number"), NOW, "UTC")
    assert known.parts == PARTS
    assert set(np.unique(known.outcome[:14, 0])) == {round(10 * PARTS / 14)}


def test_a_panel_keeps_the_totals_of_bricks_and_gives_no_physician_any() -> None:
    """Totals come back whole though averages are rounded; a brick in which one physician has rows of the own has none."""
    seen = panel(fourteen(10), NOW, ["call"], zone="UTC", history="20 weeks", settle="1 week")
    assert seen.brick.tolist() == [0] * 14 + [1, -1]
    assert seen.brick_size.tolist() == [14, 12]
    assert np.isnan(seen.outcome[:16]).all()
    assert seen.brick_outcome[0, 0, :7].tolist() == [10.0] * 7
    mixed = panel({**fourteen(10), "rx": table("rx", [rx_row("H0", "alpha", WEEKS[-2], 5)])}, NOW, ["call"], zone="UTC", history="20 weeks", settle="1 week")
    assert mixed.brick.tolist() == [-1] * 14 + [0, -1]
    assert np.isfinite(mixed.outcome[0]).any()
    assert np.isnan(mixed.outcome[1:]).all()


def test_a_score_learns_from_averages_what_came_after() -> None:
    """The outcome after an instant is the brick's average of that week."""
    tables = fourteen(28)
    start = period_bounds(WEEKS[4])[0]
    frame = training_frame(lambda _: tables, [start + 6 * WEEK // 7], NOW, CATALOGUE)
    assert frame.filter(hcp_id="H2", product="alpha")["outcome"].to_list() == [2.0]
    assert frame.filter(hcp_id="H2", product="alpha")["rx_of_brick"].to_list() == [True]


def test_a_later_start_leaves_out_periods_and_changes_nothing_else() -> None:
    """A physician whose own reports all ended before the start still has no average of the brick."""
    tables = {**fourteen(28), "rx": table("rx", [rx_row("H0", "alpha", WEEKS[1], 5)])}
    people, products = with_bricks(tables["hcp"].sort("hcp_id")).with_row_index("hcp"), tables["products"].with_row_index("product_number")
    whole, later = (prescriptions(tables, people, products, NOW, "UTC", since) for since in (None, period_bounds(WEEKS[3])[0]))
    assert len(later.ends) == len(whole.ends) - 3
    assert (later.outcome == whole.outcome[:, :, 3:]).all()
    assert (later.outcome[people["hcp_id"].to_list().index("H0")] == UNKNOWN).all()
    assert (later.of_brick == whole.of_brick).all()
