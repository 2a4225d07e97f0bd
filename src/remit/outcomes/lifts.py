"""After enrolment: what acting changed, against who was left alone, with an interval that holds however often one looks.

At look t the estimate is the difference of unit means since the start, less what the units' own past explains (CUPED). Estimates at different looks share
units, so they are dependent; their joint distribution is normal in the limit with a covariance that the units themselves show. Boundaries spend the error
that is allowed, alpha x t / (t + 13), look by look (Lan and DeMets 1983), over that joint distribution: the intervals of all looks hold together.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.outcomes.errors import OutcomeError

Floats = npt.NDArray[np.float64]

_HALF_SPENT = 13
"""Looks after which half of the allowed error is spent."""
_PATHS = 50_000
_FEWEST = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What was known after `periods` periods: the effect per unit and period, its interval, and what held units did on the mean."""

    periods: int
    effect: float
    low: float
    high: float
    held_mean: float


@dataclass(frozen=True, slots=True)
class Lift:
    """All looks; how many units each side has, and how many of each were enrolled and never reported on since; `says`, what keeps the result from being
    believed as it stands."""

    looks: tuple[Look, ...]
    acted: int
    held: int
    acted_lost: int
    held_lost: int
    says: tuple[str, ...]


def lift(outcomes: pl.DataFrame, sides: pl.DataFrame, start: int | str, *, level: float = 0.9, seed: int = 0) -> Lift:
    """What acting changed from period `start` on.

    `outcomes` holds `unit`, `period` (sorts in time), `outcome`; a unit without a row in a period was not reported on, which is not zero. `sides` holds `unit`
    and `held` as they were enrolled. Raises `OutcomeError` if a side is too small.
    """
    known = outcomes.join(sides.select("unit", "held"), on="unit", how="inner")
    past = known.filter(pl.col("period") < start).group_by("unit").agg(past=pl.col("outcome").mean())
    since = known.filter(pl.col("period") >= start)
    periods = since["period"].unique().sort().to_list()
    enrolled = _count(sides["held"])
    units = since.select("unit", "held").unique().join(past, on="unit", how="left").sort("unit")
    units = units.with_columns(pl.col("past").fill_null(pl.col("past").mean()).fill_null(0.0))
    reported = _count(units["held"])
    if min(reported) < _FEWEST or not periods:
        raise OutcomeError(
            f"{reported[0]} units acted on and {reported[1]} held have outcomes since `{start}`", do=f"Each side needs {_FEWEST}: wait, or enrol more."
        )
    means = _running_means(since, units["unit"], periods)
    held, before = units["held"].to_numpy(), units["past"].to_numpy().astype(float)
    effects, covariance = _effects(means, held, before)
    reach = _boundaries(covariance, 1.0 - level, seed) * np.sqrt(np.diag(covariance))
    looks = tuple(
        Look(number + 1, float(effect), float(effect - wide), float(effect + wide), float(np.nanmean(means[held, number])))
        for number, (effect, wide) in enumerate(zip(effects, reach, strict=True))
    )
    lost = enrolled[0] - reported[0], enrolled[1] - reported[1]
    return Lift(looks, *reported, *lost, _doubts(enrolled, lost))


def _count(held: pl.Series) -> tuple[int, int]:
    return len(held) - int(held.sum()), int(held.sum())


def _running_means(since: pl.DataFrame, units: pl.Series, periods: list[int | str]) -> Floats:
    """Per unit and look: the mean outcome of the periods so far that were reported; not a number before the first."""
    place = {period: number for number, period in enumerate(periods)}
    row = pl.DataFrame({"unit": units}).with_row_index("row")
    cells = since.join(row, on="unit", how="inner").select("row", look=pl.col("period").replace_strict(place, return_dtype=pl.Int64), outcome="outcome")
    total, count = np.zeros((len(units), len(periods))), np.zeros((len(units), len(periods)))
    at = cells["row"].to_numpy(), cells["look"].to_numpy()
    np.add.at(total, at, cells["outcome"].to_numpy().astype(float))
    np.add.at(count, at, 1.0)
    reported: Floats = total.cumsum(axis=1) / np.where(count.cumsum(axis=1) == 0, np.nan, count.cumsum(axis=1))
    return reported


def _effects(means: Floats, held: npt.NDArray[np.bool_], before: Floats) -> tuple[Floats, Floats]:
    """The difference at each look, and the covariance of the looks' differences."""
    rest = np.empty_like(means)
    for look in range(means.shape[1]):
        seen = np.isfinite(means[:, look])
        x, y = before[seen] - before[seen].mean(), means[seen, look]
        within = np.concatenate([y[held[seen] == side] - y[held[seen] == side].mean() for side in (False, True)])
        own = np.concatenate([x[held[seen] == side] - x[held[seen] == side].mean() for side in (False, True)])
        scale = float(np.dot(own, own))
        slope = float(np.dot(own, within)) / scale if scale else 0.0
        rest[:, look] = means[:, look] - slope * (before - before[seen].mean())
    effects, covariance = np.zeros(means.shape[1]), np.zeros((means.shape[1], means.shape[1]))
    for side, sign in ((~held, 1.0), (held, -1.0)):
        part = rest[side]
        seen = np.isfinite(part)
        count = seen.sum(axis=0)
        mean = np.where(seen, part, 0.0).sum(axis=0) / count
        off = np.where(seen, part - mean, 0.0)
        effects += sign * mean
        covariance += off.T @ off / np.outer(count, count) * (count / np.maximum(count - 1, 1))
    return effects, covariance


def _boundaries(covariance: Floats, alpha: float, seed: int) -> Floats:
    """How many standard errors each look's interval reaches, so that all hold together with probability 1 - alpha."""
    looks = len(covariance)
    error = np.sqrt(np.diag(covariance))
    product = np.outer(error, error)
    correlation = np.divide(covariance, product, out=np.zeros_like(covariance), where=product > 0)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    paths = np.abs(np.random.Generator(np.random.PCG64(seed)).standard_normal((_PATHS, looks)) @ root.T)
    inside, spent, reach = np.ones(_PATHS, bool), 0.0, np.empty(looks)
    for look in range(looks):
        allowed = alpha * (look + 1) / (look + 1 + _HALF_SPENT)
        stay = np.sort(paths[inside, look])
        leave = min(max(round((allowed - spent) * _PATHS), 1), len(stay))
        reach[look] = stay[-leave]
        inside &= paths[:, look] < reach[look]
        spent = 1.0 - inside.mean()
    return reach


def _doubts(enrolled: tuple[int, int], lost: tuple[int, int]) -> tuple[str, ...]:
    """A side that loses more than the other by more than chance is no longer a fair comparison."""
    rates = [gone / each if each else 0.0 for gone, each in zip(lost, enrolled, strict=True)]
    both = sum(lost) / sum(enrolled)
    error = sqrt(both * (1 - both) * sum(1 / each for each in enrolled)) if 0 < both < 1 else 0.0
    if error and abs(rates[0] - rates[1]) > 3 * error:
        return (f"{rates[0]:.1%} of those acted on and {rates[1]:.1%} of those held were never reported on: the sides are no longer alike",)
    return ()
