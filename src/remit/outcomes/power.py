"""Before an experiment: how small an effect it could see."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.outcomes.errors import OutcomeError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment over `weeks` periods: `units` in all (clusters count once), `held` of them left alone; the mean outcome; `spread`, the
    deviation of a unit's mean that its own past does not explain; `detectable`, the smallest effect found with the asked power, as a part of `mean`."""

    weeks: int
    units: int
    held: int
    mean: float
    spread: float
    detectable: float


def plan(history: pl.DataFrame, weeks: int, share: float, *, level: float = 0.9, power: float = 0.8) -> Plan:
    """What `weeks` periods with `share` of the units left alone can detect, judged by `history`: `unit`, `period` (sorts in time), `outcome`.

    The last `weeks` periods of the history play the experiment and as many before them its past, so that seasons, habits and reporting as they are count.
    `level` is that of a two-sided interval. Raises `OutcomeError` if the history is too short, or has too few units.
    """
    periods = history["period"].unique().sort()
    if len(periods) < 2 * weeks:
        raise OutcomeError(f"the history has {len(periods)} periods, {weeks} weeks need {2 * weeks}", do="Plan a shorter experiment, or load more history.")
    known = set(periods[-2 * weeks : -weeks].to_list()), set(periods[-weeks:].to_list())
    means = history.group_by("unit").agg(
        *(
            (pl.col("outcome").filter(pl.col("period").is_in(list(part))).sum() / weeks).alias(name)
            for name, part in zip(("before", "after"), known, strict=True)
        )
    )
    before, after = means["before"].to_numpy().astype(float), means["after"].to_numpy().astype(float)
    units, held = len(after), round(len(after) * share)
    if min(held, units - held) < 2:
        raise OutcomeError(f"of {units} units, {held} would be left alone", do="Choose a share that leaves at least two on each side.")
    spread = float(np.std(_residuals(before, after), ddof=2))
    normal = NormalDist()
    reach = (normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)) * spread * sqrt(1 / held + 1 / (units - held))
    mean = float(after.mean())
    return Plan(weeks, units, held, mean, spread, reach / mean if mean else float("inf"))


def _residuals(before: Floats, after: Floats) -> Floats:
    """What `before` does not explain of `after`, by least squares (Deng, Xu, Kohavi and Walker 2013, CUPED)."""
    centred = before - before.mean()
    scale = float(np.dot(centred, centred))
    slope = float(np.dot(centred, after - after.mean())) / scale if scale else 0.0
    left: Floats = after - after.mean() - slope * centred
    return left
