"""Before an experiment: how small an effect it could see."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import polars as pl

from remit.outcomes.errors import OutcomeError
from remit.outcomes.looks import FEWEST, boundaries, less_past, mean_of, paths, running_means


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment over `weeks` periods: `units` in all (clusters count once), `held` of them left alone; the mean outcome per unit and period; `spread`, the
    deviation of a unit's mean that its own past does not explain; `detectable`, the smallest effect found with the asked power, as a part of `mean` (None: a
    side is too small, or nothing ever happens)."""

    weeks: int
    units: int
    held: int
    mean: float
    spread: float
    detectable: float | None


def plan(history: pl.DataFrame, weeks: int, shares: Sequence[float], *, level: float = 0.9, power: float = 0.8, seed: int = 0) -> tuple[Plan, ...]:
    """What `weeks` periods can detect with each of `shares` of the units left alone, judged by `history`: `unit`, `period` (sorts in time), `outcome`.

    An effect is detected if the interval that `lift` gives is clear of zero at any look. The last `weeks` periods of the history play the experiment and as
    many before them its past, so that seasons, habits and reporting as they are count; a unit without a row in a period was not reported on, which is not
    zero. `level` is that of the two-sided intervals. Returns a plan per share. Raises `OutcomeError` if the history is too short, or has too few units.
    """
    periods = history["period"].unique().sort().to_list()
    if len(periods) < 2 * weeks:
        raise OutcomeError(f"the history has {len(periods)} periods, {weeks} weeks need {2 * weeks}", do="Plan a shorter experiment, or load more history.")
    before, after = periods[-2 * weeks : -weeks], periods[-weeks:]
    past = history.filter(pl.col("period").is_in(before)).group_by("unit").agg(past=pl.col("outcome").mean())
    since = history.filter(pl.col("period").is_in(after))
    units = since.select("unit").unique().join(past, on="unit", how="inner").sort("unit")
    means = running_means(since, units["unit"], after)
    enough = np.flatnonzero(np.isfinite(means).sum(axis=0) >= 2 * FEWEST)
    sides = [(round(units.height * share), units.height - round(units.height * share)) for share in shares]
    if not len(enough):
        raise OutcomeError(f"{units.height} units have a past and a present", do=f"A plan needs {2 * FEWEST}: load more history.")
    means = means[:, enough]
    rest = less_past(means, units["past"].to_numpy().astype(float), np.zeros(units.height, np.int64))
    covariance = mean_of(rest)[1] * units.height
    reach, drawn = boundaries(paths(covariance, seed), 1.0 - level), paths(covariance, seed + 1)
    # Per draw, the effect that would carry it over the boundary at some look, in deviations of a unit.
    needed = float(np.quantile(np.min((reach - drawn) * np.sqrt(np.diag(covariance)), axis=1), power))
    mean, spread = float(np.nanmean(means[:, -1])), float(np.sqrt(covariance[-1, -1]))
    return tuple(
        Plan(weeks, units.height, held, mean, spread, needed * sqrt(1 / held + 1 / acted) / mean if mean and min(held, acted) >= FEWEST else None)
        for held, acted in sides
    )
