"""Peers: influence that is there is found; what only looks like it goes away."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from remit.models import ModelError, peer_influence

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "medical_innovation"
PERIODS = 17


def market(seed: int, pull: float, season: float, physicians: int = 400) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Physicians who name five others each; `pull` is what full exposure adds to the log odds of adopting, `season` what time adds for everyone."""
    rng = np.random.default_rng(seed)
    named = np.stack([rng.choice(physicians, 5, replace=False) for _ in range(physicians)])
    calls, adopted = rng.poisson(2, physicians), np.full(physicians, PERIODS + 1)
    for period in range(1, PERIODS + 1):
        odds = -3.5 + 0.3 * (calls - 2) + season * (period / PERIODS) + pull * (adopted[named] < period).mean(axis=1)
        adopts = (adopted > PERIODS) & (rng.random(physicians) < 1 / (1 + np.exp(-odds)))
        adopted[adopts] = period
    ids = [f"H{number:04}" for number in range(physicians)]
    rows = pl.DataFrame({"hcp_id": ids, "period": pl.Series(adopted).replace({PERIODS + 1: None}), "calls": calls})
    return rows, pl.DataFrame({"source": np.repeat(ids, 5), "target": np.array(ids)[named.ravel()]})


def test_influence_that_is_there_is_found_and_covered() -> None:
    found = [peer_influence(*market(seed, 1.5, 1.0), PERIODS).controlled for seed in range(40)]
    assert np.mean([effect.log_odds for effect in found]) == pytest.approx(1.5, abs=0.25)
    assert sum(effect.low <= 1.5 <= effect.high for effect in found) >= 32


def test_what_time_does_to_everyone_is_not_taken_for_influence() -> None:
    found = [peer_influence(*market(seed, 0.0, 3.0), PERIODS) for seed in range(40)]
    assert sum(each.naive.low > 0 for each in found) >= 36
    assert sum(each.controlled.low > 0 for each in found) <= 6


def test_nothing_can_be_learnt_where_nobody_adopts_or_nobody_differs() -> None:
    rows, ties = market(1, 0.0, 0.0)
    with pytest.raises(ModelError, match="cannot be learnt"):
        peer_influence(rows.with_columns(period=pl.lit(None, pl.Int64)), ties, PERIODS)
    with pytest.raises(ModelError, match="cannot be learnt"):
        peer_influence(rows, ties.clear(), PERIODS)
    with pytest.raises(ModelError, match="several rows"):
        peer_influence(pl.concat([rows, rows]), ties, PERIODS)


@pytest.mark.skipif(not FOLDER.exists(), reason="../shared/data/medical_innovation is not there")
def test_among_the_physicians_of_1955_contagion_shrinks_once_calls_and_time_are_controlled() -> None:
    physicians = pl.read_csv(FOLDER / "physicians.csv", infer_schema_length=None)
    ids = pl.concat_str(pl.col("city").cast(pl.Int64), pl.lit("-"), pl.col("id").cast(pl.Int64))
    adopted = physicians.select(
        hcp_id=ids,
        period=pl.when(pl.col("toa") <= PERIODS).then(pl.col("toa").cast(pl.Int64)),
        calls="detail",
        journals="journ2",
        science="science",
        age="proage2",
    )
    nominations = pl.read_csv(FOLDER / "nominations.csv")
    ties = nominations.select(
        source=pl.concat_str("city", pl.lit("-"), "source_id"),
        target=pl.concat_str("city", pl.lit("-"), "target_id"),
    )
    found = peer_influence(adopted, ties, PERIODS)
    assert (found.physicians, found.adoptions) == (125, adopted["period"].is_not_null().sum())
    assert found.controlled.log_odds < found.naive.log_odds
    assert found.controlled.low < 0 < found.controlled.high
