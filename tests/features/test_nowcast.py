"""Nowcasts: they correct what is not yet reported, know nothing of later, and survive feeds that break."""

import subprocess
import sys
from functools import cache

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from benchmarks.nowcast import Made, Plan, compare, make, mondays
from remit.features import FeatureError
from remit.features.nowcast import backtest, nowcast, score
from remit.terms.instants import DAY, HOUR, WEEK, period_bounds

CURVES = {
    "quick": (0.6, 0.25, 0.1, 0.05),
    "slow": (0.02, 0.05, 0.1, 0.2, 0.25, 0.2, 0.1, 0.08),
    "even": (0.2, 0.2, 0.2, 0.2, 0.2),
}
SMALL = Plan(hcps=30, weeks=84, products=2)
MORNINGS = (52, 59, 66, 73)


@cache
def _made(plan: Plan, seed: int = 3) -> Made:
    return make(plan, seed)


def _now(plan: Plan, week: int, seed: int = 3, **more: object) -> pl.DataFrame:
    return nowcast(_made(plan, seed).reports, mondays(week)[0], "trx", **more).rows  # type: ignore[arg-type]  # as the call wants them


def _relative_width(rows: pl.DataFrame) -> float:
    return float((rows["high"] - rows["low"]).sum() / rows["expected"].sum())


@pytest.mark.parametrize("curve", sorted(CURVES))
@pytest.mark.parametrize("growth", [-0.006, 0.006])
def test_it_beats_the_report_and_the_chain_ladder(curve: str, growth: float) -> None:
    """Under quick, slow and even curves, rising and falling: the error is below both, over the same totals, and below the report's surely."""
    told = compare(_made(Plan(hcps=60, weeks=84, products=2, curve=CURVES[curve], growth=growth)).reports, mondays(*MORNINGS))
    assert told.score.error["expected"] < told.score.error["chain_ladder"]
    assert told.difference["reported"][2] < 0


def test_it_is_surely_better_than_the_chain_ladder_over_many_countries() -> None:
    """Error by country, ours less the chain ladder's: the mean over eight countries is below zero by more than two standard errors."""
    plans = [Plan(hcps=20, weeks=76, products=2, taken_back=0.05, unrest=0.02), Plan(hcps=20, weeks=76, products=2, curve=CURVES["slow"], drift=0.3)]
    less = pl.Series([_less(plan, seed) for plan in plans for seed in range(4)])
    assert less.mean() + 2 * less.std() / len(less) ** 0.5 < 0  # type: ignore[operator]  # numbers


def _less(plan: Plan, seed: int) -> float:
    error = score(backtest(make(plan, seed).reports, mondays(55, 65), "trx")).error
    return error["expected"] - error["chain_ladder"]


def test_the_interval_holds_as_many_finals_as_it_says() -> None:
    """Over countries with different curves, between 85 and 95 of a hundred totals of the last weeks that still grow lie inside."""
    plans = [Plan(hcps=20, weeks=76, products=4, sources=1, curve=curve) for curve in CURVES.values()]
    rows = pl.concat([backtest(_made(plan, seed).reports, mondays(62), "trx") for plan in plans for seed in range(3, 8)])
    assert 0.85 <= score(rows.filter(pl.col("share") < 0.99)).coverage <= 0.95


def test_the_share_reported_is_the_true_curve() -> None:
    """Without wobble, the share known at each lag is the curve's running sum, to within three hundredths."""
    rows = _now(Plan(hcps=60, weeks=84, products=2, wobble=0.0, apart=0.0, taken_back=0.0), 80)
    known = 0.0
    for lag, share in enumerate(Plan().curve, start=1):
        known += share
        assert rows.filter(lag=lag)["share"].to_list() == pytest.approx([known] * 4, abs=0.03)


def test_a_period_is_complete_once_nothing_more_is_to_come() -> None:
    """With a curve of seven weeks, the newest complete period of every series is the one that ended seven weeks ago."""
    rows = _now(SMALL, 80).filter("complete")
    assert rows.group_by("product", "source").agg(pl.col("lag").min())["lag"].to_list() == [7] * 4
    assert (rows["expected"] - rows["reported"]).abs().max() < 2  # type: ignore[operator]  # a number


def test_curves_of_sources_are_told_apart() -> None:
    """A vendor that reports more slowly has smaller shares at every lag that still grows."""
    rows = _now(Plan(hcps=60, weeks=84, products=2, apart=0.8), 80).filter(pl.col("lag") <= 5)
    share = rows.group_by("lag", "source").agg(pl.col("share").mean()).pivot("source", index="lag", values="share")
    assert (share["vendor-1"] < share["vendor-0"]).all()


def test_a_product_of_few_physicians_borrows_the_curve() -> None:
    """Split by physician, each series of one has a share close to that of all together, though alone it could not tell."""
    reports = _made(Plan(hcps=30, weeks=84, products=1, sources=1, level=1.0)).reports
    alone = nowcast(reports, mondays(80)[0], "trx", by=["hcp_id"]).rows
    together = nowcast(reports, mondays(80)[0], "trx").rows.filter(lag=2)["share"][0]
    assert (alone.filter(lag=2)["share"] - together).abs().median() < 0.05  # type: ignore[operator]  # a number
    assert alone.group_by("hcp_id").len().height == 30


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(week=st.integers(20, 80), days=st.integers(0, 6), factor=st.integers(0, 5))
def test_no_later_row_changes_an_answer(week: int, days: int, factor: int) -> None:
    """Rows received after the instant, restating anything by any factor, change nothing; nor do later values of an indicator."""
    made, as_of = _made(SMALL), mondays(week)[0] + days * DAY
    known = made.reports.filter(pl.col("received_at") <= as_of)
    later = made.reports.with_columns(pl.col("trx") * factor, received_at=pl.max_horizontal("received_at", as_of + 1))
    early = made.indicators.filter(pl.col("received_at") <= as_of)
    late = made.indicators.with_columns(pl.col("value") * factor, received_at=pl.max_horizontal("received_at", as_of + 1))
    alone = nowcast(known, as_of, "trx", indicators=early)
    both = nowcast(pl.concat([known, later]), as_of, "trx", indicators=pl.concat([early, late]))
    assert_frame_equal(alone.rows, both.rows)
    assert alone.leading == both.leading


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 99))
def test_order_of_rows_changes_nothing(seed: int) -> None:
    """Shuffled reports, and reports as a lazy frame, give the same bytes."""
    made, as_of = _made(SMALL), mondays(60)[0]
    shuffled = made.reports.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(nowcast(made.reports, as_of, "trx").rows, nowcast(shuffled.lazy(), as_of, "trx").rows, check_exact=True)


def test_other_processes_and_thread_counts_give_the_same_bytes() -> None:
    """Two processes with different hash seeds and thread counts print the same digest."""
    code = (
        "import hashlib; from benchmarks.nowcast import *; from remit.features.nowcast import nowcast\n"
        "made = make(Plan(hcps=10, weeks=60, products=2), 3)\n"
        "told = nowcast(made.reports, mondays(58)[0], 'trx', indicators=made.indicators)\n"
        "print(hashlib.sha256((told.rows.write_csv() + repr(told.leading)).encode()).hexdigest())"
    )
    digests = set()
    for seed, threads in (("1", "1"), ("2", "2")):
        environment = {"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads}
        digests.add(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout)
    assert len(digests) == 1


def test_the_row_received_last_counts_also_downward_and_once() -> None:
    """Of three reports of a cell the last counts; at equal receipt the larger; and a cell that another source restates stays with the first."""
    end = period_bounds("2026-W02")[1]
    cells = [("A", "feed:x", 9, 1), ("A", "feed:x", 4, 2), ("B", "feed:x", 2, 1), ("B", "feed:x", 5, 1), ("C", "feed:x", 3, 1), ("C", "feed:y", 1, 2)]
    reports = pl.DataFrame([(h, "p", s, "2026-W02", v, end + d * DAY) for h, s, v, d in cells], schema=_SCHEMA, orient="row")
    rows = nowcast(reports, end + 3 * DAY, "trx").rows
    assert rows.select("source", "reported").rows() == [("feed:x", 4 + 5 + 1)]


_SCHEMA = {"hcp_id": pl.String, "product": pl.String, "source": pl.String, "period": pl.String, "trx": pl.Int64, "received_at": pl.Int64}


def test_a_silence_of_six_weeks_widens_the_interval_and_breaks_nothing() -> None:
    """While feeds are silent the unreported weeks are told from the trend, with a wider interval that still holds the final; afterwards all is as before."""
    plan, usual = Plan(hcps=30, weeks=100, products=2, silent=tuple(range(70, 76))), Plan(hcps=30, weeks=100, products=2)
    during = _now(plan, 75).filter(pl.col("lag") <= 6)
    assert during["reported"].null_count() == during.height
    assert _relative_width(during) > 1.2 * _relative_width(_now(usual, 75).filter(pl.col("lag") <= 6))
    told = backtest(_made(plan).reports, mondays(71, 73, 75, 76, 78), "trx")
    assert score(told).error["expected"] < 0.5 * score(told).error["chain_ladder"]
    assert score(told).coverage >= 0.85
    assert _relative_width(_now(plan, 90)) < 1.3 * _relative_width(_now(usual, 90))


def test_a_vendor_that_restates_half_a_year_downward_is_followed() -> None:
    """After 26 weeks were restated to 80%, the nowcast stands at the new level, far better than the chain ladder, and its interval is wider than without."""
    plan, usual = Plan(hcps=30, weeks=100, products=2, restated_at=60), Plan(hcps=30, weeks=100, products=2)
    told = backtest(_made(plan).reports, mondays(60, 63, 67, 72), "trx")
    assert score(told).error["expected"] < 0.6 * score(told).error["chain_ladder"]
    assert score(told).coverage >= 0.85
    assert _relative_width(_now(plan, 63)) > 1.2 * _relative_width(_now(usual, 63))


def test_a_restatement_of_one_vendor_leaves_the_other_alone() -> None:
    """The series of the vendor that restated widen more than those of the other, whose level stays what it was."""
    usual = Plan(hcps=30, weeks=84, products=2)
    made, other = _made(Plan(hcps=30, weeks=84, products=2, restated_at=60)).reports, _made(usual).reports
    mixed = pl.concat([made.filter(source="vendor-0"), other.filter(source="vendor-1")])
    ratio, level = {}, {}
    for source in ("vendor-0", "vendor-1"):
        before, after = (nowcast(rows, mondays(63)[0], "trx").rows.filter(source=source) for rows in (other, mixed))
        ratio[source] = _relative_width(after) / _relative_width(before)
        level[source] = float(after["expected"].sum() / before["expected"].sum())
    assert ratio["vendor-0"] > 1.2 * ratio["vendor-1"]
    assert level["vendor-1"] == pytest.approx(1, abs=0.05)
    assert level["vendor-0"] == pytest.approx(0.8, abs=0.1)


def test_a_week_that_a_vendor_skipped_and_sent_later_does_not_spoil_the_curve() -> None:
    """One period reported only from its fourth week on leaves every share within a hundredth of what it was."""
    reports, as_of = _made(SMALL).reports, mondays(80)[0]
    skipped = (pl.col("period") == "2025-W10") & (pl.col("source") == "vendor-0")
    late = reports.filter(~(skipped & (pl.col("received_at") < pl.col("occurred_at") + 3 * WEEK)))
    before, after = nowcast(reports, as_of, "trx").rows, nowcast(late, as_of, "trx").rows
    assert (before["share"] - after["share"]).abs().max() < 0.01  # type: ignore[operator]  # a number


def test_a_product_in_launch_is_told_with_a_wider_interval() -> None:
    """Four weeks after its first report a product's newest weeks have an expected total by the curve of the others, and a wider interval than they have."""
    rows = _now(Plan(hcps=60, weeks=84, products=2, launch=60), 64).filter(pl.col("lag") <= 4)
    new, old = rows.filter(product="product-0"), rows.filter(product="product-1")
    assert new.group_by("source").len()["len"].to_list() == [4, 4]
    assert _relative_width(new) > 1.3 * _relative_width(old)
    assert (new["expected"] > new["reported"]).all()


def test_the_first_delivery_of_all_is_answered_with_great_doubt() -> None:
    """One week of one report: the expected total is finite, and the interval reaches from below the report to far above."""
    rows = nowcast(_made(SMALL).reports, mondays(1)[0], "trx").rows
    assert rows.height == 4
    assert (rows["low"] < rows["reported"]).all()
    assert (rows["high"] > 1.4 * rows["reported"]).all()


def test_a_brick_of_one_physician_who_writes_nothing_is_not_certain_to_write_nothing() -> None:
    """All zero: the expected total is near zero, and the interval begins at zero and ends above it."""
    reports = _made(SMALL).reports.filter(hcp_id="H00003").with_columns(trx=pl.lit(0, pl.Int64))
    rows = nowcast(reports.rename({"hcp_id": "brick"}), mondays(80)[0], "trx", unit="brick").rows.filter(lag=1)
    assert (rows["expected"] < 0.5).all()
    assert (rows["low"] == 0).all()
    assert (rows["high"] > rows["expected"]).all()


def test_nothing_reported_gives_no_rows() -> None:
    """No report, and reports of a running week alone, give an empty table of the same columns."""
    reports = _made(SMALL).reports
    empty = nowcast(reports, mondays(0)[0], "trx").rows
    running = reports.filter(period="2024-W01").with_columns(received_at=mondays(0)[0])
    assert empty.is_empty()
    assert nowcast(running, mondays(0)[0] + DAY, "trx").rows.is_empty()
    assert empty.columns == nowcast(reports, mondays(60)[0], "trx").rows.columns


def test_an_indicator_that_leads_is_used_and_makes_it_better() -> None:
    """Engagement that moves the same week's prescriptions is chosen over an indicator that says nothing, and lowers the error."""
    plan = Plan(hcps=60, weeks=104, engagement=0.5, curve=CURVES["slow"])
    made, instants = _made(plan), mondays(78, 86, 92)
    assert [leading.indicator for leading in nowcast(made.reports, instants[-1], "trx", indicators=made.indicators).leading] == ["engagement"]
    without, using = (score(backtest(made.reports, instants, "trx", indicators=given)).error for given in (None, made.indicators))
    assert using["expected"] < 0.95 * without["expected"]


def test_indicators_that_say_nothing_are_left_out() -> None:
    """In four countries in which nothing leads, at most one of eight indicators is used."""
    made = [make(Plan(hcps=30, weeks=84, products=2), seed) for seed in range(4)]
    used = [leading for each in made for leading in nowcast(each.reports, mondays(80)[0], "trx", indicators=each.indicators).leading]
    assert len(used) <= 1


def test_months_are_told_as_weeks_are() -> None:
    """Monthly periods reported over three months: shares are the curve, and the final is met."""
    months = [f"{2023 + month // 12}-{month % 12 + 1:02}" for month in range(30)]
    curve = (0.5, 0.3, 0.2)
    rows = [
        (f"H{hcp}", "p", "feed:x", name, round(100 * sum(curve[: lag + 1])), period_bounds(months[place + lag])[1] + 2 * HOUR)
        for place, name in enumerate(months[:-3])
        for lag in range(3)
        for hcp in range(5)
    ]
    reports = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    told = nowcast(reports, period_bounds(months[24])[0] + 3 * HOUR, "trx").rows
    assert told.filter(lag=1)["share"].to_list() == pytest.approx([0.5])
    assert told.filter(lag=1)["expected"].to_list() == pytest.approx([500], rel=0.01)
    assert told["period"].to_list() == months[11:24]


def test_each_product_counts_by_its_own_outcome() -> None:
    """With a column per product, totals are of that column."""
    reports = _made(SMALL).reports.with_columns(nrx=pl.col("trx") * 2)
    rows = nowcast(reports, mondays(60)[0], {"product-0": "trx", "product-1": "nrx"}).rows
    plain = _now(SMALL, 60)
    assert rows.filter(product="product-0")["reported"].to_list() == plain.filter(product="product-0")["reported"].to_list()
    assert rows.filter(product="product-1")["reported"].to_list() == [2 * count for count in plain.filter(product="product-1")["reported"]]


def test_missing_columns_are_all_named() -> None:
    """Reports without what is read are refused with every missing column; so are indicators."""
    with pytest.raises(FeatureError) as refused:
        nowcast(pl.DataFrame({"product": ["p"]}), 0, "trx")
    assert all(name in str(refused.value) for name in ("hcp_id", "period", "received_at", "trx"))
    with pytest.raises(FeatureError, match="received_at"):
        nowcast(_made(SMALL).reports, mondays(60)[0], "trx", indicators=pl.DataFrame({"product": ["p"]}))
