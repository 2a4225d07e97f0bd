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


def test_what_the_plan_calls_detectable_is_detected() -> None:
    outcomes, _ = trial(0, units=1_000, weeks=PAST)
    planned = plan(outcomes, PAST, 0.3, level=0.9, power=0.8)
    assert 0 < planned.detectable < 0.5
    assert plan(outcomes, 4, 0.3).detectable > 0
    half = plan(outcomes.filter(pl.col("unit") < 500), PAST, 0.3).detectable
    assert 1.2 < half / planned.detectable < 1.7
    found = 0
    for seed in range(1, 61):
        look = lift(*trial(seed, units=1_000, weeks=PAST, effect=planned.detectable * planned.mean), PAST).looks[-1]
        fixed = (look.high - look.effect) / 2.2  # a single look reaches about half as far as the last of many
        found += look.effect > fixed
    assert found >= 36


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
