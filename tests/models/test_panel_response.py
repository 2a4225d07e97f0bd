"""The response over time finds what was put into a panel, shows nothing that it must not, and stores as it learned."""

import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from remit.features import Panel
from remit.models import panel_response
from remit.models.bases import dump_shared, load_shared
from remit.models.effects import Floats
from remit.models.errors import ModelError
from remit.models.levels import levels_of
from tests.models.learning import CATALOGUE, CHANNELS

WEEK = 7 * 86_400_000_000
HCPS, PERIODS = 600, 60


def made(effect: float = 0.6, seed: int = 1, pdrp: int = 0, own: Sequence[float] | float = 1.0) -> tuple[Panel, pl.DataFrame]:
    """HCPs of two specialties; a call's stock of half-life two weeks and saturation 2 adds `effect` (twice that for nephrologists, times `own`) to the base;
    e-mails add nothing. The first `pdrp` HCPs keep their prescribing."""
    draw = np.random.default_rng(seed)
    base = draw.gamma(2.0, 1.5, HCPS)
    nephrology = np.arange(HCPS) % 2 == 0
    touches = np.zeros((len(CHANNELS), HCPS, 1, PERIODS))
    touches[0, :, 0], touches[1, :, 0] = draw.random((HCPS, PERIODS)) < 0.25, draw.random((HCPS, PERIODS)) < 0.2
    stock = np.zeros((HCPS, PERIODS))
    for period in range(PERIODS):
        stock[:, period] = (2**-0.5 * stock[:, period - 1] if period else 0) + touches[0, :, 0, period]
    true = effect * np.where(nephrology, 2.0, 1.0) * np.asarray(own)
    season = 1 + 0.2 * np.sin(np.arange(PERIODS) / 6)
    outcome = draw.poisson(base[:, None] * season * (1 + true[:, None] * stock / (stock + 2))).astype(float)
    hcps = tuple(f"H{number:04}" for number in range(HCPS))
    kept = np.arange(HCPS) < pdrp
    ends = np.arange(1, PERIODS + 1) * WEEK
    panel = Panel(hcps, ("alpha",), CHANNELS, int(ends[-1]), ends, outcome[:, None, :], touches, kept)
    blank = {column.name: pl.repeat(None, HCPS, dtype=pl.Float64, eager=True) for column in CATALOGUE.columns}
    values = {"specialty": np.where(nephrology, "nephrology", "cardiology").tolist(), "practice_size": [1.0] * HCPS, "formulary_tier": ["covered"] * HCPS}
    frame = pl.DataFrame({"hcp_id": hcps, "product": ["alpha"] * HCPS, "pdrp": kept.tolist(), **blank, **values})
    return panel, frame


def first_call(panel: Panel) -> Floats:
    """What one more call adds over eight weeks to the saturated stock of `made`."""
    kept, stock = 2**-0.5, np.zeros(HCPS)
    for period in range(PERIODS):
        stock = kept * stock + panel.touches[0, :, 0, period]
    steps = [kept**ahead * (kept * stock + touch) for ahead in range(8) for touch in (0, 1)]
    return np.asarray(sum(after / (after + 2) - before / (before + 2) for before, after in zip(steps[::2], steps[1::2], strict=True)))


def trained(panel: Panel, frame: pl.DataFrame) -> panel_response.PanelResponse:
    return panel_response.train(panel, frame, CATALOGUE, horizon=8, seed=1)


def fingerprint() -> str:
    return repr(sorted((name, part) for name, part in trained(*made()).parts().items()))


@pytest.fixture(scope="module")
def found() -> tuple[Panel, pl.DataFrame, panel_response.PanelResponse]:
    panel, frame = made()
    return panel, frame, trained(panel, frame)


def test_effects_that_differ_by_specialty_are_found(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """The increments of a call are within a fifth of the truth on average, and about twice as high for those who respond twice as much."""
    panel, frame, model = found
    answer = model.predict(frame, panel, most=1).filter(channel="call").sort("hcp_id")
    nephrology = (frame["specialty"] == "nephrology").to_numpy()
    draw = np.random.default_rng(1)
    base = draw.gamma(2.0, 1.5, HCPS)
    given = answer["increment"].to_numpy() / 1e6 / base
    ratio = given[nephrology].mean() / given[~nephrology].mean()
    assert 1.6 < ratio < 2.4
    truth = 0.6 * np.where(nephrology, 2.0, 1.0) * first_call(panel)
    assert given.mean() == pytest.approx(truth.mean(), rel=0.2)


@pytest.mark.parametrize(("spread", "unmoved"), [(0.5, 0.0), (0.8, 0.25)])
def test_intervals_hold_what_a_touch_adds_to_single_physicians(spread: float, unmoved: float) -> None:
    """Where physicians of one kind differ, and some are not moved at all, the 90% interval of a first call holds the truth for four of five at least."""
    draw = np.random.default_rng(3)
    own = np.exp(spread * draw.standard_normal(HCPS)) * (draw.random(HCPS) >= unmoved)
    panel, frame = made(own=own.tolist(), seed=2)
    answer = trained(panel, frame).predict(frame, panel, most=1).filter(channel="call").sort("hcp_id")
    base = np.random.default_rng(2).gamma(2.0, 1.5, HCPS)
    truth = 0.6 * np.where(np.arange(HCPS) % 2 == 0, 2.0, 1.0) * own * base * first_call(panel)
    held = (answer["low"].to_numpy() / 1e6 <= truth) & (truth <= answer["high"].to_numpy() / 1e6)
    assert 0.8 <= held.mean() <= 0.99


def test_what_does_nothing_counts_as_nothing(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """E-mails without effect add next to nothing, and a channel that nobody got adds nothing; the one is known and the other not."""
    panel, frame, model = found
    answer = model.predict(frame, panel, most=2)
    added = dict(answer.group_by("channel").agg(pl.col("increment").mean()).iter_rows())
    assert added["email"] < 0.02 * added["call"]
    assert added["msl_visit"] == 0
    assert set(answer.group_by("channel").agg(pl.col("known").all()).rows()) == {("call", True), ("email", True), ("msl_visit", False)}


def test_further_touches_add_no_more_than_earlier_ones(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """Increments fall with the number of the touch, lie within their interval, and are never below nothing."""
    panel, frame, model = found
    answer = model.predict(frame, panel, most=3).filter(channel="call")
    by_hcp = answer.sort("hcp_id", "touch").group_by("hcp_id", maintain_order=True).agg("increment")["increment"].to_list()
    assert all(values == sorted(values, reverse=True) and min(values) >= 0 for values in by_hcp)
    assert (answer["low"] <= answer["increment"]).all()
    assert (answer["increment"] <= answer["high"]).all()


def test_nothing_is_found_where_nothing_works() -> None:
    """In twelve panels without any effect, a call counts as something in two at most."""
    told = [trained(*made(effect=0.0, seed=seed)).learned[0].certain[0] >= 0.5 for seed in range(12)]
    assert sum(told) <= 2


def two_products(seed: int, ratio: float, share: float) -> tuple[Panel, pl.DataFrame]:
    """The panel of `made` with a second product, prescribed `share` times as much, whose calls move nephrologists `ratio` times as much as cardiologists."""
    alpha, frame = made(seed=seed)
    draw = np.random.default_rng([seed, 2])
    touches = np.zeros((len(CHANNELS), HCPS, 1, PERIODS))
    touches[0, :, 0] = draw.random((HCPS, PERIODS)) < 0.25
    stock = np.zeros((HCPS, PERIODS))
    for period in range(PERIODS):
        stock[:, period] = (2**-0.5 * stock[:, period - 1] if period else 0) + touches[0, :, 0, period]
    effect = np.where(np.arange(HCPS) % 2 == 0, 0.5 * ratio, 0.5)
    base = share * draw.gamma(2.0, 1.5, HCPS)
    beta = draw.poisson(base[:, None] * (1 + effect[:, None] * stock / (stock + 2)))[:, None, :]
    outcome = np.concatenate([alpha.outcome, beta], axis=1)
    both = Panel(alpha.hcps, ("alpha", "beta"), CHANNELS, alpha.as_of, alpha.ends, outcome, np.concatenate([alpha.touches, touches], axis=2), alpha.pdrp)
    return both, pl.concat([frame, frame.with_columns(product=pl.lit("beta"))])


def learnt_ratio(panel: Panel, frame: pl.DataFrame) -> float:
    """How many times as much a saturating call is held to move nephrologists of beta as cardiologists, each by the own base."""
    model = trained(panel, frame)
    learned = next(entry for entry in model.learned if entry.product == "beta")
    place = model.traits.names.index("specialty=nephrology")
    return float(np.exp(learned.mean[learned.of(0)][1 + place] / model.traits.scale["beta"][place]))


def test_what_a_trait_does_for_one_product_helps_to_learn_it_for_another() -> None:
    """A product seldom prescribed: in twelve panels the ratio of effects between specialties comes nearer to the truth with the other product than alone."""
    together, alone = [], []
    for seed in range(12):
        panel, frame = two_products(seed, ratio=2.0, share=0.08)
        only = Panel(panel.hcps, ("beta",), CHANNELS, panel.as_of, panel.ends, panel.outcome[:, 1:], panel.touches[:, :, 1:], panel.pdrp)
        together.append(abs(np.log(learnt_ratio(panel, frame) / 2.0)))
        alone.append(abs(np.log(learnt_ratio(only, frame.filter(product="beta")) / 2.0)))
    assert np.mean(together) < 0.85 * np.mean(alone)


def test_a_product_keeps_what_is_its_own() -> None:
    """Where nephrologists are moved twice as much by calls about one product and half as much by those about the other, both are found."""
    ratios = [learnt_ratio(*two_products(seed, ratio=0.5, share=1.0)) for seed in range(4)]
    assert 0.35 < np.exp(np.mean(np.log(ratios))) < 0.75


def test_prescribing_under_pdrp_is_neither_learned_nor_shown() -> None:
    """Twenty times the prescriptions of HCPs under PDRP change neither the model nor any answer."""
    panel, frame = made(pdrp=40)
    outcome = panel.outcome.copy()
    outcome[:40] *= 20
    loud = Panel(panel.hcps, panel.products, panel.channels, panel.as_of, panel.ends, outcome, panel.touches, panel.pdrp)
    one, other = trained(panel, frame), trained(loud, frame)
    assert one.parts() == other.parts()
    assert one.predict(frame, panel, most=1).equals(other.predict(frame, loud, most=1))


def test_a_stored_model_is_the_model_and_a_changed_part_is_refused(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """Loading gives the same parts and answers; one flipped byte does not load."""
    panel, frame, model = found
    loaded = panel_response.load(model.parts())
    assert loaded.parts() == model.parts()
    assert loaded.predict(frame, panel, most=2).equals(model.predict(frame, panel, most=2))
    for name, part in model.parts().items():
        with pytest.raises(ModelError):
            panel_response.load({**model.parts(), name: part[:-3] + bytes([part[-3] ^ 1]) + part[-2:]})


def test_answers_stay_as_they_were_when_others_are_gone(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """Without every third HCP, what was shared before gives all others the same answers to the byte; without it they would differ."""
    panel, frame, model = found
    shared = load_shared(dump_shared(model.shared(frame, panel)))
    left = np.arange(HCPS) % 3 > 0
    fewer = Panel(
        tuple(np.array(panel.hcps)[left].tolist()),
        panel.products,
        panel.channels,
        panel.as_of,
        panel.ends,
        panel.outcome[left],
        panel.touches[:, left],
        panel.pdrp[left],
    )
    rows = frame.filter(pl.Series(left))
    before = model.predict(frame, panel, most=2).filter(pl.col("hcp_id").is_in(list(fewer.hcps)))
    assert model.predict(rows, fewer, most=2, shared=shared).equals(before)
    assert not model.predict(rows, fewer, most=2).equals(before)


def test_levels_of_bricks_stay_as_they_were_when_bricks_are_gone() -> None:
    """Bricks are known by id: without all HCPs of the first, and with another that is no longer whole, all others keep the brick's level."""
    panel, frame = made()
    brick = np.arange(HCPS) // 20
    ids = tuple(f"B{number:02}" for number in brick)
    totals = np.stack([panel.outcome[brick == number].sum(axis=0) for number in range(30)])
    blank = np.full_like(panel.outcome, np.nan)
    whole = Panel(panel.hcps, ("alpha",), CHANNELS, panel.as_of, panel.ends, blank, panel.touches, panel.pdrp, brick, totals, np.full(30, 20), ids)
    model = trained(whole, frame)
    shared = load_shared(dump_shared(model.shared(frame, whole)))
    left = brick > 0
    place = np.where(brick == 7, -1, brick - 1 - (brick > 7))
    kept = tuple(np.array(panel.hcps)[left].tolist())
    mine = [number for number in range(30) if number not in (0, 7)]
    fewer = Panel(
        kept, ("alpha",), CHANNELS, panel.as_of, panel.ends, blank[left], panel.touches[:, left], panel.pdrp[left],
        place[left], totals[mine], np.full(28, 20), tuple(np.array(ids)[left].tolist()),
    )  # fmt: skip
    before = model.predict(frame, whole, most=1, shared=shared).filter(pl.col("hcp_id").is_in(list(kept)))
    assert model.predict(frame.filter(pl.Series(left)), fewer, most=1, shared=shared).equals(before)


def test_a_product_of_which_nothing_was_written_has_no_effect_and_stops_nothing() -> None:
    """Beta has been promoted and not yet prescribed: alpha is learnt as it was, and beta's touches are not known to add anything."""
    panel, frame = two_products(1, ratio=2.0, share=0.0)
    model = trained(panel, frame)
    answer = model.predict(frame, panel, most=1).filter(channel="call")
    assert answer.filter(product="alpha")["increment"].sum() > 0
    assert not answer.filter(product="beta")["known"].any()


def test_a_product_that_is_no_longer_ours_is_left_out() -> None:
    """A model that knows two products answers for the one that is left."""
    panel, frame = two_products(1, ratio=2.0, share=0.3)
    model = trained(panel, frame)
    left = Panel(panel.hcps, ("beta",), CHANNELS, panel.as_of, panel.ends, panel.outcome[:, 1:], panel.touches[:, :, 1:], panel.pdrp)
    assert model.predict(frame.filter(product="beta"), left, most=1)["product"].unique().to_list() == ["beta"]


def test_a_specialty_of_few_shows_what_nobody_of_them_writes() -> None:
    """Nine nephrologists among many: what is shared holds the mean of all for them; of ten it holds their own."""
    panel, frame = made()
    for count, own in ((9, False), (10, True)):
        rows = frame.with_columns(specialty=pl.when(pl.int_range(pl.len()) < count).then(pl.lit("nephrology")).otherwise(pl.lit("cardiology")))
        shared = trained(panel, frame).shared(rows, panel)["alpha"]
        place = shared.specialties.index("nephrology")
        others = shared.turns[0].usual[1 - place]
        assert (abs(shared.turns[0].usual[place] - others) > 0.05) == own


def test_another_process_learns_the_same_bytes() -> None:
    """Another hash seed and one thread of linear algebra: the same parts."""
    code = "from tests.models.test_panel_response import fingerprint; print(fingerprint())"
    environment = {**os.environ, "PYTHONHASHSEED": "5", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    assert told.strip() == fingerprint()


def test_a_panel_without_anybody_to_see_is_refused() -> None:
    """All under PDRP: one clear error."""
    panel, frame = made(pdrp=HCPS)
    with pytest.raises(ModelError, match="cannot be trained"):
        trained(panel, frame)


def test_levels_draw_small_counts_towards_the_specialty_and_leave_lift_out() -> None:
    """With little to go by an HCP has the group's level; what promotion added is not part of a base; nobody reported means the group's mean."""
    draw = np.random.default_rng(4)
    base = np.repeat([1.0, 4.0], 300)
    lift = 1 + draw.random((600, 40)) * 2
    outcome = draw.poisson(base[:, None] * lift).astype(float)
    outcome[0] = np.nan
    outcome[1, :39] = np.nan
    group = np.repeat([0, 1], 300)
    found = levels_of(outcome, lift, group, 2, 0.5)
    assert found.base[300:].mean() == pytest.approx(4.0, rel=0.05)
    assert found.base[:300].mean() == pytest.approx(1.0, rel=0.05)
    assert found.base[0] == pytest.approx(found.usual[0])
    assert abs(found.base[1] - found.usual[0]) < 0.5
    assert levels_of(np.full((5, 8), np.nan), np.ones((5, 8)), np.zeros(5, np.int64), 1, 1.0).base.tolist() == [0.02] * 5
