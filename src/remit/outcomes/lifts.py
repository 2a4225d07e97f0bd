"""After enrolment: what acting changed, against who was left alone, with intervals that hold however often one looks (`looks`)."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import polars as pl

from remit.outcomes.errors import OutcomeError
from remit.outcomes.looks import FEWEST, boundaries, less_past, mean_of, paths, running_means


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
    and `held` as they were enrolled. Looks begin with the first period by which enough of each side were reported on. Raises `OutcomeError` if there is none.
    """
    known = outcomes.join(sides.select("unit", "held"), on="unit", how="inner")
    past = known.filter(pl.col("period") < start).group_by("unit").agg(past=pl.col("outcome").mean())
    since = known.filter(pl.col("period") >= start)
    periods = since["period"].unique().sort().to_list()
    enrolled = _count(sides["held"])
    units = since.select("unit", "held").unique().join(past, on="unit", how="left").sort("unit")
    units = units.with_columns(pl.col("past").fill_null(pl.col("past").mean()).fill_null(0.0))
    reported = _count(units["held"])
    means, held = running_means(since, units["unit"], periods), units["held"].to_numpy()
    seen = np.isfinite(means)
    enough = np.flatnonzero(np.minimum(seen[held].sum(axis=0), seen[~held].sum(axis=0)) >= FEWEST)
    if not len(enough):
        raise OutcomeError(
            f"{reported[0]} units acted on and {reported[1]} held have outcomes since `{start}`", do=f"Each side needs {FEWEST}: wait, or enrol more."
        )
    means = means[:, enough]
    rest = less_past(means, units["past"].to_numpy().astype(float), held.astype(np.int64))
    (acted, of_acted), (left, of_left) = mean_of(rest[~held]), mean_of(rest[held])
    covariance = of_acted + of_left
    reach = boundaries(paths(covariance, seed), 1.0 - level) * np.sqrt(np.diag(covariance))
    looks = tuple(
        Look(int(number) + 1, float(effect), float(effect - wide), float(effect + wide), float(np.nanmean(means[held, place])))
        for place, (number, effect, wide) in enumerate(zip(enough, acted - left, reach, strict=True))
    )
    lost = enrolled[0] - reported[0], enrolled[1] - reported[1]
    return Lift(looks, *reported, *lost, _doubts(enrolled, lost))


def _count(held: pl.Series) -> tuple[int, int]:
    return len(held) - int(held.sum()), int(held.sum())


def _doubts(enrolled: tuple[int, int], lost: tuple[int, int]) -> tuple[str, ...]:
    """A side that loses more than the other by more than chance is no longer a fair comparison."""
    rates = [gone / each if each else 0.0 for gone, each in zip(lost, enrolled, strict=True)]
    both = sum(lost) / sum(enrolled)
    error = sqrt(both * (1 - both) * sum(1 / each for each in enrolled)) if 0 < both < 1 else 0.0
    if error and abs(rates[0] - rates[1]) > 3 * error:
        return (f"{rates[0]:.1%} of those acted on and {rates[1]:.1%} of those held were never reported on: the sides are no longer alike",)
    return ()
