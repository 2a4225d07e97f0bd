"""A response is judged on weeks it did not learn from: what it says of them is told right, an exaggeration and an effect of nothing are refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from remit.features import Panel
from remit.models.estimators import response
from remit.models.estimators.response import Response
from remit.models.gates import Check, Evidence, Required, checks
from remit.models.panel_response import PanelResponse
from remit.models.reasons import reasons_of_response
from remit.models.response_evidence import HeldOutTouches, among, held_out_rows, held_out_touches, held_periods, until
from remit.terms.labels import Label
from tests.models import test_units
from tests.models.learning import CATALOGUE, learning_frame
from tests.models.test_panel_response import HCPS, PERIODS, made, trained

EVERY = frozenset(Label)


def judged(panel: Panel, frame: pl.DataFrame, times: float = 1.0) -> HeldOutTouches:
    """The evidence of a response trained on `panel` without its last quarter, whose effects are then taken so many times."""
    held = held_periods(panel)
    model = trained(until(panel, held.start), frame)
    louder = replace(model, learned=tuple(replace(entry, certain=entry.certain * times) for entry in model.learned))
    found = held_out_touches(louder, frame, panel, held)
    assert found is not None
    return found


def passed(found: HeldOutTouches | None) -> dict[str, bool]:
    every: tuple[Check, ...] = checks(Evidence(found, None, None, None, None), Required())
    return {check.name: check.passed for check in every if check.name in ("held-out metrics", "calibration")}


@pytest.fixture(scope="module")
def known() -> tuple[Panel, pl.DataFrame, PanelResponse]:
    panel, frame = made()
    return panel, frame, trained(panel, frame)


def test_a_right_response_gains_and_its_slope_is_one() -> None:
    """In three panels with a true effect both checks pass, and the slopes' mean is one."""
    found = [judged(*made(seed=seed)) for seed in range(3)]
    assert all(all(passed(each).values()) for each in found)
    assert np.mean([each.slope.value for each in found if each.slope]) == pytest.approx(1.0, abs=0.2)


def test_intervals_of_the_slope_hold_what_it_is_without_noise() -> None:
    """In ten panels, outcomes of the held-out weeks are replaced by their expectation: the slope on those lies in the interval in seven at least."""
    inside = 0
    for seed in range(10):
        panel, frame = made(effect=0.3, seed=seed)
        held, draw = held_periods(panel), np.random.default_rng(seed)
        base, true = draw.gamma(2.0, 1.5, HCPS), 0.3 * np.where(np.arange(HCPS) % 2 == 0, 2.0, 1.0)
        stock = np.zeros((HCPS, PERIODS))
        for period in range(PERIODS):
            stock[:, period] = (2**-0.5 * stock[:, period - 1] if period else 0) + panel.touches[0, :, 0, period]
        mean = base[:, None] * (1 + 0.2 * np.sin(np.arange(PERIODS) / 6)) * (1 + true[:, None] * stock / (stock + 2))
        outcome = panel.outcome.copy()
        outcome[:, 0, held.start :] = mean[:, held.start :]
        noisy, plain = judged(panel, frame).slope, judged(replace(panel, outcome=outcome), frame).slope
        assert noisy is not None
        assert plain is not None
        inside += noisy.low < plain.value < noisy.high
    assert inside >= 7


@pytest.mark.parametrize("times", [2.0, 4.0])
def test_a_response_that_exaggerates_clearly_is_refused(times: float) -> None:
    """Effects taken twice are told from right ones where the interval is narrow; taken four times, no gain is left."""
    found = judged(*made(), times)
    assert not passed(found)["calibration"]
    assert passed(found)["held-out metrics"] is (times < 4)
    assert found.slope is not None
    assert found.slope.high < 0.8


def test_a_response_that_says_half_of_what_is_seen_is_refused() -> None:
    found = judged(*made(), 0.3)
    assert found.slope is not None
    assert found.slope.low > 1.25
    assert not passed(found)["calibration"]


def test_nothing_passes_where_nothing_works() -> None:
    """In twelve panels without any effect, none gets by both checks."""
    assert not any(all(passed(judged(*made(effect=0.0, seed=seed))).values()) for seed in range(12))


def test_a_response_that_says_nothing_has_no_slope_and_does_not_pass() -> None:
    found = judged(*made(), 0.0)
    assert found.slope is None
    assert found.gain.value == 0
    assert passed(found) == {"held-out metrics": False, "calibration": False}
    assert passed(None) == {"held-out metrics": False, "calibration": False}


def test_what_is_learned_for_judging_knows_nothing_of_the_weeks_held_out() -> None:
    """Other outcomes and touches there change nothing of the model, and those before do."""
    panel, frame = made()
    held = held_periods(panel)
    later, earlier = panel.outcome.copy(), panel.outcome.copy()
    later[:, :, held.start :] *= 7
    earlier[:, :, : held.start] *= 7
    touches = panel.touches.copy()
    touches[..., held.start :] += 1
    one = trained(until(panel, held.start), frame).parts()
    assert trained(until(replace(panel, outcome=later, touches=touches), held.start), frame).parts() == one
    assert trained(until(replace(panel, outcome=earlier), held.start), frame).parts() != one


def test_a_quarter_is_held_out_at_most_a_third_and_nothing_of_a_short_panel() -> None:
    panel, _ = made()
    assert held_periods(panel) == range(PERIODS - 13, PERIODS)
    assert held_periods(until(panel, 15)) == range(10, 15)
    assert held_periods(until(panel, 10)) == range(0)
    unsettled = panel.outcome.copy()
    unsettled[:, :, -7:] = np.nan
    assert held_periods(replace(panel, outcome=unsettled)) == range(PERIODS - 20, PERIODS - 7)


def test_prescribing_under_pdrp_is_no_part_of_the_evidence() -> None:
    panel, frame = made(pdrp=40)
    outcome = panel.outcome.copy()
    outcome[:40] *= 20
    assert judged(panel, frame) == judged(replace(panel, outcome=outcome), frame)
    assert judged(panel, frame).hcps == HCPS - 40


def test_bricks_are_judged_as_bricks() -> None:
    """As many units as bricks, all their HCPs counted; an effect on whole bricks passes, and none does where nothing works."""
    found = judged(*test_units.made())
    assert (found.units, found.hcps) == (test_units.BRICKS, test_units.HCPS)
    assert all(passed(found).values())
    assert not all(passed(judged(*test_units.made(effect=0.0))).values())


def test_a_panel_of_some_hcps_keeps_their_bricks_only() -> None:
    """Places of bricks are those of the bricks that are left."""
    panel, _ = test_units.made()
    each = test_units.EACH
    some = among(panel, panel.hcps[each : each + 3] + panel.hcps[5 * each : 5 * each + 2], panel.products)
    assert some.brick.tolist() == [0, 0, 0, 1, 1]
    assert np.array_equal(some.brick_outcome, panel.brick_outcome[[1, 5]])
    assert np.array_equal(some.touches, panel.touches[:, [each, each + 1, each + 2, 5 * each, 5 * each + 1]])
    alone, _ = made()
    assert among(alone, alone.hcps[:3], alone.products).outcome.shape == (3, 1, PERIODS)


def told(model: PanelResponse | Response, panel: Panel, frame: pl.DataFrame, viewer: frozenset[Label] = EVERY, most: int = 3) -> pl.DataFrame:
    return reasons_of_response(model, frame, lambda: panel, viewer, most=most)


def test_reasons_name_what_makes_the_effect_differ(known: tuple[Panel, pl.DataFrame, PanelResponse]) -> None:
    """The specialty raises the effect of a call on nephrologists and lowers it on others, and is the strongest reason for most."""
    panel, frame, model = known
    calls = told(model, panel, frame).filter(channel="call").join(frame.select("hcp_id", of="specialty"), on="hcp_id")
    first = calls.filter(rank=1)
    assert (first["feature"] == "specialty").mean() > 0.9  # type: ignore[operator]  # a number
    said = calls.filter(feature="specialty")
    assert said.filter(of="nephrology")["text"].str.contains("raises the effect of call").all()
    assert said.filter(of="cardiology")["text"].str.contains("lowers the effect of call").all()


def test_all_reasons_together_are_the_effect_against_the_usual_one(known: tuple[Panel, pl.DataFrame, PanelResponse]) -> None:
    """The product of every factor is the HCP's effect over that of the usual HCP."""
    panel, frame, model = known
    (entry,) = model.learned
    said = told(model, panel, frame, most=99)
    assert (said["text"].str.contains("by less than 1%") == ((said["factor"] - 1_000_000).abs() < 10_000)).all()
    product = said.filter(channel="call").group_by("hcp_id").agg(whole=(pl.col("factor") / 1e6).log().sum().exp()).sort("hcp_id")
    usual = entry.certain[0] * np.exp(entry.mean[0])
    effect = model.effects(frame, panel)["alpha"][1][:, 0] / usual
    assert product["whole"].to_numpy() == pytest.approx(effect, rel=1e-3)


def test_no_reason_shows_what_a_viewer_may_not_see_or_an_hcp_keeps() -> None:
    """Without the label, and for HCPs under PDRP, neither base nor volume is named; the rest is."""
    panel, frame = made(pdrp=40)
    model = trained(panel, frame)
    private = {"base", "rx_basket"}
    assert private & set(told(model, panel, frame, most=99)["feature"])
    assert not private & set(told(model, panel, frame, frozenset({Label.COMMERCIAL}), most=99)["feature"])
    kept = told(model, panel, frame, most=99).filter(pl.col("hcp_id").is_in(list(panel.hcps[:40])))
    assert "specialty" in set(kept["feature"])
    assert not private & set(kept["feature"])


def test_a_response_by_thirds_gives_level_and_earlier_touches_as_reasons(responses: Response, latest: pl.DataFrame) -> None:
    """Whoever was touched is told that it lowers the effect; the factors are those of the answer."""
    said = reasons_of_response(responses, latest, _never, EVERY, most=9).filter(product="alpha", channel="call")
    assert {"touches_stock_call"} <= set(said["feature"]) <= {"rx_mean_13", "touches_stock_call"}
    touched = said.filter(feature="touches_stock_call")
    assert touched["text"].str.contains("lowers the effect of call").all()
    answer = responses.predict(latest.filter(product="alpha"), most=1).filter(channel="call").sort("hcp_id")
    whole = said.group_by("hcp_id").agg(factor=(pl.col("factor") / 1e6).product())
    both = answer.join(whole, on="hcp_id").filter(pl.col("increment") > 0)
    ratio = both["increment"] / both["factor"]
    assert ratio.to_numpy() == pytest.approx(np.full(both.height, ratio[0]), rel=1e-3)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_a_response_by_thirds_is_judged_on_later_instants(effect: float) -> None:
    """Trained on the first nine of fourteen instants: what has an effect passes on the others, what has none does not."""
    rows = learning_frame(hcps=600, effect=effect)
    model = response.train(rows.filter(pl.col("instant") < 9), CATALOGUE, periods=1, seed=1, threads=1)
    found = held_out_rows(model, rows.filter(pl.col("instant") >= 9), 1)
    assert found is not None
    assert (found.rows, found.hcps, found.units) == (2 * 600 * 5, 600, 600)
    assert all(passed(found).values()) is (effect > 0)
    shared = held_out_rows(model, rows.filter(pl.col("instant") >= 9).with_columns(unit=pl.col("hcp_id").str.head(3)), 1)
    assert shared is not None
    assert shared.units == 6


def _never() -> Panel:
    raise AssertionError("a response by thirds reads no panel")
