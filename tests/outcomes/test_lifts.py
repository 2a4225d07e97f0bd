"""Lift: unbiased, covered at every look together, and detectable where the plan said so."""

import numpy as np
import polars as pl
import pytest

from remit.outcomes import OutcomeError, lift, plan

PAST = 12


def trial(seed: int, units: int = 300, weeks: int = 26, effect: float = 0.0, share: float = 0.3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Weekly outcomes whose units differ for good and drift: estimates at different looks depend on each other."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 2.0, units)[:, None] * np.exp(0.1 * rng.standard_normal((units, PAST + weeks)).cumsum(axis=1))
    held = rng.random(units) < share
    level[:, PAST:] += effect * ~held[:, None]
    unit, period = np.indices(level.shape)
    outcomes = pl.DataFrame({"unit": unit.ravel(), "period": period.ravel(), "outcome": rng.poisson(np.maximum(level, 0)).ravel()})
    return outcomes, pl.DataFrame({"unit": np.arange(units), "held": held})


def test_looking_every_week_does_not_inflate_the_error() -> None:
    missed, once = 0, 0
    for seed in range(200):
        looks = lift(*trial(seed), PAST).looks
        missed += any(look.low > 0 or look.high < 0 for look in looks)
        once += looks[-1].low > 0 or looks[-1].high < 0
    assert missed <= 28  # 10% of 200, and two standard errors
    assert once <= missed


def test_the_effect_is_found_and_its_interval_holds_it() -> None:
    found = [lift(*trial(seed, effect=1.0, units=2_000), PAST).looks[-1] for seed in range(20)]
    assert np.mean([look.effect for look in found]) == pytest.approx(1.0, abs=0.15)
    assert all(look.low <= 1.0 <= look.high for look in found)


@pytest.mark.parametrize("weeks", [4, 12])
def test_what_the_plan_calls_detectable_some_look_detects_as_often_as_it_says(weeks: int) -> None:
    outcomes, _ = trial(0, units=4_000, weeks=12)
    (planned,) = plan(outcomes, weeks, [0.3], level=0.9, power=0.8)
    assert planned.detectable is not None
    effect = planned.detectable * planned.mean
    found = [any(look.low > 0 for look in lift(*trial(seed, units=4_000, weeks=weeks, effect=effect), PAST).looks) for seed in range(1, 61)]
    assert 0.65 <= np.mean(found) <= 0.95


def test_more_units_and_even_sides_see_more_and_too_few_see_nothing() -> None:
    outcomes, _ = trial(0, units=1_000, weeks=12)
    few, third, even = (each.detectable for each in plan(outcomes, 12, [0.005, 0.3, 0.5]))
    assert few is None
    assert third is not None
    assert even is not None
    assert even < third
    (half,) = plan(outcomes.filter(pl.col("unit") < 500), 12, [0.3])
    assert half.detectable is not None
    assert 1.2 < half.detectable / third < 1.7


def test_who_is_not_reported_on_counts_as_unknown_and_not_as_zero() -> None:
    outcomes, _ = trial(0, units=1_000, weeks=12)
    patchy = outcomes.filter((pl.col("unit") * 7 + pl.col("period") * 5) % 3 > 0)
    assert plan(patchy, 12, [0.3])[0].mean == pytest.approx(plan(outcomes, 12, [0.3])[0].mean, rel=0.1)


def test_looks_begin_when_enough_of_each_side_were_reported_on() -> None:
    outcomes, sides = trial(2, units=60)
    late = outcomes.filter((pl.col("period") < PAST) | (pl.col("period") >= PAST + 3) | (pl.col("unit") % 12 == 0))
    looks = lift(late, sides, PAST).looks
    assert [look.periods for look in looks] == list(range(4, 27))
    assert all(np.isfinite([look.low, look.high]).all() for look in looks)


def test_a_side_that_churns_more_than_the_other_is_told() -> None:
    outcomes, sides = trial(3, units=1_000)
    gone = sides.filter(pl.col("held")).head(150)["unit"]
    told = lift(outcomes.filter(~(pl.col("unit").is_in(gone.implode()) & (pl.col("period") >= PAST))), sides, PAST)
    assert told.held_lost == 150
    assert "no longer alike" in told.says[0]
    assert lift(outcomes, sides, PAST).says == ()


def test_all_outcomes_zero_give_no_lift_and_too_few_units_are_refused() -> None:
    outcomes, sides = trial(4, units=60)
    look = lift(outcomes.with_columns(outcome=pl.lit(0)), sides, PAST).looks[-1]
    assert (look.effect, look.low, look.high) == (0.0, 0.0, 0.0)
    with pytest.raises(OutcomeError, match="held have outcomes"):
        lift(outcomes, sides.with_columns(held=pl.col("unit") < 3), PAST)
