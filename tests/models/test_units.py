"""A response learnt of bricks is that of their physicians: what was put in is found, nobody's figure is made up, and the bytes are the same everywhere."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from remit.features import Panel
from remit.models import panel_response
from remit.models.panel_response import OF_BRICKS
from remit.models.units import bricks
from tests.models.learning import CATALOGUE, CHANNELS

WEEK = 7 * 86_400_000_000
BRICKS, EACH, PERIODS = 80, 20, 60
HCPS = BRICKS * EACH


def bases(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What each physician of a brick writes in a week unprompted."""
    return np.repeat(np.random.default_rng([seed, 7]).gamma(8.0, 1.0, BRICKS), EACH)


SEASON = 1 + 0.2 * np.sin(np.arange(PERIODS) / 6)


def made(effect: float = 0.6, seed: int = 1) -> tuple[Panel, pl.DataFrame]:
    """Bricks of twenty, of whom the reports tell the sum. A call adds `effect` to an internist and three times that to a nephrologist, who are half of them;
    e-mails add nothing."""
    draw = np.random.default_rng(seed)
    nephrology = draw.random(HCPS) < 0.5
    touches = np.zeros((len(CHANNELS), HCPS, 1, PERIODS))
    touches[0, :, 0], touches[1, :, 0] = draw.random((HCPS, PERIODS)) < 0.25, draw.random((HCPS, PERIODS)) < 0.2
    stock = np.zeros((HCPS, PERIODS))
    for period in range(PERIODS):
        stock[:, period] = (2**-0.5 * stock[:, period - 1] if period else 0) + touches[0, :, 0, period]
    true = effect * np.where(nephrology, 3.0, 1.0)
    brick = np.arange(HCPS) // EACH
    written = draw.poisson(bases(seed)[:, None] * SEASON * (1 + true[:, None] * stock / (stock + 2))).astype(float)
    total = np.stack([written[brick == number].sum(axis=0) for number in range(BRICKS)])[:, None, :]
    hcps = tuple(f"H{number:04}" for number in range(HCPS))
    ends = np.arange(1, PERIODS + 1) * WEEK
    unknown = np.full((HCPS, 1, PERIODS), np.nan)
    sizes = np.full(BRICKS, EACH)
    panel = Panel(hcps, ("alpha",), CHANNELS, int(ends[-1]), ends, unknown, touches, np.zeros(HCPS, bool), brick, total, sizes)
    blank = {column.name: pl.repeat(None, HCPS, dtype=pl.Float64, eager=True) for column in CATALOGUE.columns}
    specialty = np.where(nephrology, "nephrology", "internal medicine").tolist()
    values = {"specialty": specialty, "practice_size": [1.0] * HCPS, "formulary_tier": ["covered"] * HCPS}
    return panel, pl.DataFrame({"hcp_id": hcps, "product": ["alpha"] * HCPS, "pdrp": [False] * HCPS, **blank, **values})


def trained(panel: Panel, frame: pl.DataFrame) -> panel_response.PanelResponse:
    return panel_response.train(panel, frame, CATALOGUE, horizon=8, seed=1)


def fingerprint() -> str:
    panel, frame = made()
    model = trained(panel, frame)
    answer = model.predict(frame, panel, most=1)
    return repr(sorted(model.parts().items())) + str(answer.hash_rows().sum())


@pytest.fixture(scope="module")
def found() -> tuple[Panel, pl.DataFrame, panel_response.PanelResponse]:
    panel, frame = made()
    return panel, frame, trained(panel, frame)


def test_an_effect_known_of_bricks_only_is_found_for_their_physicians(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """The mean increment of a call is within a quarter of the truth (a regression on allocated shares would find a twentieth), and nephrologists, who are
    in every brick, respond more than twice as much as internists."""
    panel, frame, model = found
    answer = model.predict(frame, panel, most=1).filter(channel="call").sort("hcp_id")
    nephrology = (frame["specialty"] == "nephrology").to_numpy()
    stock, kept = np.zeros(HCPS), 2**-0.5
    for period in range(PERIODS):
        stock = kept * stock + panel.touches[0, :, 0, period]
    steps = [(kept**ahead * kept * stock, kept**ahead * (kept * stock + 1)) for ahead in range(8)]
    dose = sum(after / (after + 2) - before / (before + 2) for before, after in steps)
    given = answer["increment"].to_numpy() / 1e6
    truth = bases(1) * SEASON[-1] * 0.6 * np.where(nephrology, 3.0, 1.0) * dose
    assert given.mean() == pytest.approx(truth.mean(), rel=0.25)
    assert given[nephrology].mean() > 2 * given[~nephrology].mean()


def test_a_base_is_the_bricks_by_the_number_who_prescribe_in_it(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """Physicians of one brick with the same traits and no touches have the same increments, whoever is asked about beside them."""
    panel, frame, model = found
    quiet = Panel(
        panel.hcps, panel.products, panel.channels, panel.as_of, panel.ends, panel.outcome, panel.touches * 0, panel.pdrp, panel.brick,
        panel.brick_outcome, panel.brick_size,
    )  # fmt: skip
    whole = model.predict(frame, quiet, most=1).filter(channel="call")
    few = model.predict(frame[:3], quiet, most=1).filter(channel="call")
    assert few.equals(whole.filter(pl.col("hcp_id").is_in(frame["hcp_id"][:3].implode())))
    one = frame.filter((pl.col("specialty") == "nephrology") & pl.col("hcp_id").is_in(list(panel.hcps[:EACH])))["hcp_id"]
    assert whole.filter(pl.col("hcp_id").is_in(one.implode()))["increment"].n_unique() == 1


def test_nothing_is_found_of_bricks_where_nothing_works(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """E-mails without effect add next to nothing; calls without any are held to be nothing, in three countries of four at least."""
    panel, frame, model = found
    added = dict(model.predict(frame, panel, most=1).group_by("channel").agg(pl.col("increment").mean()).iter_rows())
    assert added["email"] < 0.02 * added["call"]
    assert sum(trained(*made(effect=0.0, seed=seed)).learned[0].certain[0] >= 0.5 for seed in range(4)) <= 1


def test_a_model_of_bricks_says_so_and_stores_as_it_learned(found: tuple[Panel, pl.DataFrame, panel_response.PanelResponse]) -> None:
    """Its facts count bricks and state what is assumed of them; loading gives the same answers."""
    panel, frame, model = found
    assert model.facts["bricks"] == BRICKS
    assert OF_BRICKS in model.facts["assumptions"]
    loaded = panel_response.load(model.parts())
    assert loaded.parts() == model.parts()
    assert loaded.predict(frame, panel, most=2).equals(model.predict(frame, panel, most=2))


def test_another_process_learns_the_same_bytes_of_bricks() -> None:
    """Another hash seed and one thread of linear algebra: the same parts and answers."""
    code = "from tests.models.test_units import fingerprint; print(fingerprint())"
    environment = {**os.environ, "PYTHONHASHSEED": "5", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    assert told.strip() == fingerprint()


def test_means_by_brick_count_those_of_whom_nothing_is_on_file() -> None:
    """The mean over a brick is the sum over its physicians on file by the number who prescribe in it, in any order of physicians."""
    panel, _ = made()
    units = bricks(panel)
    values = np.arange(HCPS, dtype=float)[:, None]
    assert units.mean(values)[:, 0].tolist() == [float(np.arange(b * EACH, (b + 1) * EACH).mean()) for b in range(BRICKS)]
    twice = Panel(
        panel.hcps, panel.products, panel.channels, panel.as_of, panel.ends, panel.outcome, panel.touches, panel.pdrp, panel.brick, panel.brick_outcome,
        2 * panel.brick_size,
    )  # fmt: skip
    assert (bricks(twice).mean(values) * 2 == units.mean(values)).all()
