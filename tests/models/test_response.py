"""The response model: concave, honest about what it cannot know, and right where the truth is known."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from remit.models import ModelError, response
from remit.models.effects import Effect, clustered_regression, robustness_value, shrink, within
from tests.models.learning import CATALOGUE, learning_frame


def _learned(model: response.Response, product: str, channel: str) -> response.Learned:
    return next(entry for entry in model.learned if (entry.product, entry.channel) == (product, channel))


def test_a_known_effect_is_found_though_calls_follow_volume(responses: response.Response) -> None:
    """Where one unit of dose adds half a unit, the interval holds one half and not zero, while the unadjusted slope is far off."""
    told = _learned(responses, "alpha", "call").sensitivity
    assert float(told["common"]["low"]) < 0.5 < float(told["common"]["high"])
    assert float(told["common"]["low"]) > 0
    assert float(told["other_specifications"]["as found, nothing adjusted but the period"]["low"]) > 2


@pytest.mark.parametrize(("product", "channel"), [("beta", "call"), ("alpha", "email"), ("beta", "email")])
def test_no_effect_is_found_where_there_is_none(responses: response.Response, product: str, channel: str) -> None:
    """Where touches do nothing, the interval holds zero."""
    told = _learned(responses, product, channel).sensitivity["common"]
    assert float(told["low"]) < 0 < float(told["high"])


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Over 12 draws, the 90% interval of a known effect holds it at least 9 times."""
    held = 0
    for seed in range(12):
        model = response.train(learning_frame(150, 10, seed=seed), CATALOGUE, periods=1, seed=1, threads=1)
        told = _learned(model, "alpha", "call").sensitivity["common"]
        held += float(told["low"]) < 0.5 < float(told["high"])
    assert held >= 9


def test_each_further_touch_is_worth_less(responses: response.Response, latest: pl.DataFrame) -> None:
    """Increments are never negative and never rise from touch to touch."""
    for (_, _, _), group in responses.predict(latest, most=6).group_by("hcp_id", "product", "channel"):
        values = group.sort("touch")["increment"].to_list()
        assert values[-1] >= 0
        assert all(first >= second for first, second in pairwise(values))


def test_a_touch_is_worth_less_where_many_came_before(responses: response.Response, latest: pl.DataFrame) -> None:
    """The same physician with more stock gains less from one more touch."""
    rows = latest.filter(product="alpha").head(20)
    fresh, full = (responses.predict(rows.with_columns(touches_stock_call=pl.lit(stock)), most=1).filter(channel="call") for stock in (0.0, 9.0))
    assert (fresh["increment"] > full["increment"]).all()


def test_a_channel_without_variation_is_unknown_and_counts_as_zero(responses: response.Response, latest: pl.DataFrame) -> None:
    """Nobody got a visit: no effect is made up, the increment is 0, the interval is wide, and the model says why."""
    answer = responses.predict(latest, most=2).filter(channel="msl_visit")
    assert not answer["known"].any()
    assert (answer["increment"] == 0).all()
    assert (answer["low"] <= 0).all()
    assert (answer["high"] >= 0).all()
    assert "unknown" in _learned(responses, "alpha", "msl_visit").sensitivity["note"]


def test_channels_that_only_move_together_are_unknown() -> None:
    """Two channels that always come together cannot be told apart, so neither is."""
    twins = learning_frame(150, 8).with_columns(touches_stock_email=pl.col("touches_stock_call"), given_email=pl.col("given_call"))
    model = response.train(twins, CATALOGUE, periods=1, seed=1, threads=1)
    assert _learned(model, "alpha", "call").effects is None
    assert _learned(model, "alpha", "email").effects is None


def test_unknown_stock_gives_an_unknown_increment(responses: response.Response, latest: pl.DataFrame) -> None:
    """Without a record of touches, what one more would add is unknown."""
    answer = responses.predict(latest.head(3).with_columns(touches_stock_call=pl.lit(None, pl.Float64)), most=1).filter(channel="call")
    assert not answer["known"].any()
    assert (answer["increment"] == 0).all()


def test_an_effect_below_zero_counts_as_zero() -> None:
    """A channel estimated to do harm is worth nothing, and its interval says what was found."""
    model = response.train(learning_frame(300, 12, effect=-1.0), CATALOGUE, periods=1, seed=1, threads=1)
    answer = model.predict(learning_frame(300, 2).filter(product="alpha"), most=1).filter(channel="call")
    assert (answer["increment"] == 0).all()
    assert (answer["low"] < 0).all()


def test_only_physicians_under_pdrp_are_too_few(frame: pl.DataFrame) -> None:
    """No rows to learn from give a clear error."""
    with pytest.raises(ModelError, match="no rows of physicians who are not under PDRP"):
        response.train(frame.with_columns(pdrp=pl.lit(True)), CATALOGUE, periods=1, seed=1, threads=1)


def test_the_sandwich_agrees_with_the_textbook_where_clusters_are_single_rows() -> None:
    """With one row per cluster and even noise, clustered errors come to the classical ones."""
    draw = np.random.default_rng(0)
    dose, noise = draw.normal(size=(4000, 2)), draw.normal(size=4000)
    found = clustered_regression(dose @ np.array([1.0, -2.0]) + noise, dose, np.arange(4000))
    classical = np.sqrt(np.diag(np.linalg.inv(dose.T @ dose)))
    assert [effect.estimate for effect in found.effects] == pytest.approx([1.0, -2.0], abs=0.06)
    assert [effect.error for effect in found.effects] == pytest.approx(classical, rel=0.06)


def test_errors_grow_with_rows_that_repeat_each_other() -> None:
    """Four copies of each row in one cluster tell no more than one."""
    draw = np.random.default_rng(1)
    dose, noise = draw.normal(size=(500, 1)), draw.normal(size=500)
    once = clustered_regression(dose[:, 0] + noise, dose, np.arange(500)).effects[0]
    fourfold = clustered_regression(np.repeat(dose[:, 0] + noise, 4), np.repeat(dose, 4, axis=0), np.repeat(np.arange(500), 4)).effects[0]
    assert fourfold.error == pytest.approx(once.error, rel=0.01)


def test_groups_that_differ_by_chance_are_drawn_together() -> None:
    """Groups within their errors take the common effect; far apart, they keep their own; without an estimate, the common one with a wider interval."""
    pooled = Effect(1.0, 0.1)
    assert [e.estimate for e in shrink([Effect(0.9, 0.2), Effect(1.1, 0.2)], pooled)] == [1.0, 1.0]
    apart = shrink([Effect(0.0, 0.01), Effect(2.0, 0.01), None], pooled)
    assert [e.estimate for e in apart] == pytest.approx([0.0, 2.0, 1.0], abs=0.01)
    assert apart[2].error > 1


def test_robustness_value_solves_its_equation() -> None:
    """A confounder of that strength on both sides brings the estimate to zero: rv^2 / (1 - rv) is f^2 (Cinelli & Hazlett 2020)."""
    for partial_r2 in (0.0, 0.01, 0.3, 0.9):
        value = robustness_value(partial_r2)
        assert value**2 / (1 - value) == pytest.approx(partial_r2 / (1 - partial_r2))


def test_within_leaves_no_unit_mean() -> None:
    """What remains within units has mean zero in each."""
    unit = np.array([4, 4, 9, 9, 9])
    left = within(np.arange(10.0).reshape(5, 2), unit)
    assert left[:2].sum(axis=0) == pytest.approx([0, 0])
    assert left[2:].sum(axis=0) == pytest.approx([0, 0])
