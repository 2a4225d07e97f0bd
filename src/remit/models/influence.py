"""Do physicians follow their peers, or what reaches all of them? Adoption as a hazard over time on a graph of nominations or referrals.

A physician's exposure in a period is the share of those they name who had adopted before it. Whoever shares a market shares its time and its calls, so
exposure rises for everyone together: the naive effect is that of exposure alone, the controlled one has a level of its own for every period and what is
known of marketing beside it (Van den Bulte and Lilien 2001 found contagion to go away once that was done).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.models.errors import ModelError

Floats = npt.NDArray[np.float64]

_SLACK = 0.01
"""Ridge on the periods' levels, so that a period in which nobody adopts has a finite one."""
_STEPS, _SETTLED = 100, 1e-10


@dataclass(frozen=True, slots=True)
class Effect:
    """By how much full exposure (all peers adopted, against none) multiplies the odds of adopting in a period, as a logarithm with its interval."""

    log_odds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Influence:
    """What exposure seems to do alone, and what is left with time and marketing controlled; over how many physicians, periods at risk and adoptions."""

    naive: Effect
    controlled: Effect
    physicians: int
    at_risk: int
    adoptions: int


def peer_influence(adopted: pl.DataFrame, ties: pl.DataFrame, periods: int, *, level: float = 0.9) -> Influence:
    """The influence of peers on adoption within `periods` periods (numbered from 1).

    `adopted` has a row per physician: `hcp_id`, `period` of adoption (null: not within them), and any further columns of numbers, which are controls such as
    calls received (null: unknown). `ties` holds `source` and `target`: whom the source names. Ties to physicians who are not in `adopted` count for nothing.
    Raises `ModelError` if nothing can be learnt from the rows.
    """
    if adopted["hcp_id"].is_duplicated().any():
        raise ModelError("a physician has several rows", do="Give one row per physician.")
    period = adopted["period"].fill_null(periods + 1).to_numpy().astype(np.int64)
    exposure = _exposure(adopted["hcp_id"], period, ties, periods)
    risk = np.arange(1, periods + 1)[None, :] <= np.minimum(period, periods)[:, None]
    who, when = np.nonzero(risk)
    outcome = (period[who] == when + 1).astype(float)
    if not 0 < outcome.sum() < len(outcome) or not np.ptp(exposure[who, when]):
        raise ModelError("peers' influence cannot be learnt", do="It takes adoptions, periods without them, and physicians whose peers differ.")
    exposed = exposure[who, when][:, None]
    levels = (when[:, None] == np.unique(when)[None, :]).astype(float)
    naive = _effect(np.hstack([exposed, np.ones((len(who), 1))]), outcome, 0, level)
    controlled = _effect(np.hstack([exposed, _controls(adopted.drop("hcp_id", "period"))[who], levels]), outcome, levels.shape[1], level)
    return Influence(naive, controlled, len(period), len(who), int(outcome.sum()))


def _exposure(ids: pl.Series, period: npt.NDArray[np.int64], ties: pl.DataFrame, periods: int) -> Floats:
    """The share (physician, period) of those named who adopted before; 0 for who names nobody."""
    place = pl.DataFrame({"hcp_id": ids}).with_row_index("row")
    known = ties.select("source", "target").unique(maintain_order=True).filter(pl.col("source") != pl.col("target"))
    known = known.join(place.rename({"hcp_id": "source", "row": "from"}), on="source").join(place.rename({"hcp_id": "target", "row": "to"}), on="target")
    source, target = known["from"].to_numpy(), known["to"].to_numpy()
    named = np.bincount(source, minlength=len(ids)).astype(float)
    before = period[target][:, None] < np.arange(1, periods + 1)[None, :]
    share = np.zeros((len(ids), periods))
    np.add.at(share, source, before.astype(float))
    exposure: Floats = share / np.maximum(named, 1.0)[:, None]
    return exposure


def _controls(columns: pl.DataFrame) -> Floats:
    """Each column in standard deviations, the unknown at its mean with a column that says so."""
    parts: list[Floats] = []
    for column in columns:
        values = column.cast(pl.Float64).fill_nan(None)
        spread, mean = values.std(), values.mean()
        if isinstance(spread, float) and spread > 0:
            parts.append(((values.fill_null(mean) - mean) / spread).to_numpy())
        if values.null_count() and values.null_count() < len(values):
            parts.append(values.is_null().cast(pl.Float64).to_numpy())
    return np.stack(parts, axis=1) if parts else np.empty((columns.height, 0))


def _effect(design: Floats, outcome: Floats, slack: int, level: float) -> Effect:
    """The first column's coefficient by logistic regression (Newton's method), with a ridge on the last `slack` columns."""
    ridge = np.zeros(design.shape[1])
    ridge[design.shape[1] - slack :] = _SLACK
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        information = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(ridge + 1e-9)
        step = np.linalg.solve(information, design.T @ (outcome - chance) - ridge * weights)
        weights = weights + step
        if float(np.max(np.abs(step))) < _SETTLED:
            break
    else:
        raise ModelError("peers' influence cannot be learnt: the regression does not settle", do="Leave out controls that tell adopters apart without fail.")
    error = float(np.sqrt(np.linalg.inv(information)[0, 0]))
    reach = NormalDist().inv_cdf(0.5 + level / 2) * error
    return Effect(float(weights[0]), float(weights[0] - reach), float(weights[0] + reach))
