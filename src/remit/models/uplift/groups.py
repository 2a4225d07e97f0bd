"""What the mean effect is, among those for whom a learner expects about the same: the estimate that its predictions are drawn to, and intervals that cover."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from remit.models.uplift.algebra import Floats, Ints, student_90

_MOST, _MANY = 5, 10
_LEAST_PER_GROUP = 20
_PER_MANY = 200
_DOUBT = 0.3
"""How far, before rows are seen, the slope of true on expected effects may be from 1."""


@dataclass(frozen=True, slots=True)
class Groups:
    """One arm. `level` + `slope` x (expected - `centre`) is the effect, drawn to what rows showed; `cuts` on that divide HCPs into groups, and each group's
    mean effect has the estimate `mean` and the 90% interval `low` to `high`."""

    centre: float
    level: float
    slope: float
    cuts: Floats
    mean: Floats
    low: Floats
    high: Floats

    def calibrated(self, expected: Floats) -> Floats:
        """The effects that a learner's own stand for."""
        return np.asarray(self.level + self.slope * (expected - self.centre))

    def of(self, effect: Floats) -> Ints:
        """The group of each calibrated effect, 0 for the lowest."""
        return np.searchsorted(self.cuts, effect, side="right")

    def dump(self) -> dict[str, Any]:
        plain = {name: repr(getattr(self, name)) for name in ("centre", "level", "slope")}
        return plain | {name: [repr(value) for value in getattr(self, name).tolist()] for name in ("cuts", "mean", "low", "high")}


def load_groups(body: Mapping[str, Any]) -> Groups:
    """What `dump` wrote."""
    several = {name: np.array([float(value) for value in body[name]]) for name in ("cuts", "mean", "low", "high")}
    return Groups(float(body["centre"]), float(body["level"]), float(body["slope"]), **several)


def learn_groups(expected: Floats, scores: Floats, weights: Floats, given: Ints, fold: Ints) -> Groups:
    """The groups of one arm, from rows that the learner did not see: their effects as it expects them, scores, overlap, whether they had the arm (1), control
    (0) or another (-1), and the fold each was left out of.

    Means of doubly robust scores over groups that other rows defined (Chernozhukov et al. 2018, NBER 24678, section 3.2), with Student's intervals. As many
    groups as leave each some 20 rows of each arm; ten where there are thousands. With a handful of rows one group: the average effect.
    """
    centre, level, slope = _calibration(expected, scores, weights)
    effect = level + slope * (expected - centre)
    smaller = min(int((given == 1).sum()), int((given == 0).sum()))
    count = int(np.clip(smaller // _LEAST_PER_GROUP, 1, _MANY if smaller >= _PER_MANY * _MANY else _MOST))
    cuts = np.array([np.quantile(effect[fold == part], np.arange(1, count) / count) for part in np.unique(fold)])
    group = np.zeros(len(effect), dtype=np.int64)
    for number, part in enumerate(np.unique(fold)):
        inside = fold == part
        group[inside] = np.searchsorted(cuts[number], effect[inside], side="right")
    middle = cuts.mean(axis=0)
    if len(np.unique(group)) < count:
        group[:], middle = 0, np.empty(0)
    told = np.array([_interval(scores[group == number], given[group == number]) for number in range(len(middle) + 1)])
    return Groups(centre, level, slope, middle, told[:, 0], told[:, 1], told[:, 2])


def _calibration(expected: Floats, scores: Floats, weights: Floats) -> tuple[float, float, float]:
    """The best line from expected to true effects (Chernozhukov et al. 2018, section 3.1), its slope held near 1 until rows say otherwise, never below 0."""
    total = weights.sum()
    centre, level = float((weights * expected).sum() / total), float((weights * scores).sum() / total)
    away, left = expected - centre, scores - level
    spread = float((weights * away**2).sum())
    if spread <= np.finfo(float).tiny:
        return centre, level, 1.0
    own = float((weights * away * left).sum()) / spread
    variance = float((weights**2 * away**2 * (left - own * away) ** 2).sum()) / spread**2
    return centre, level, max((own * _DOUBT**2 + variance) / (_DOUBT**2 + variance), 0.0)


def _interval(scores: Floats, given: Ints) -> tuple[float, float, float]:
    mean = float(scores.mean())
    fewest = max(min(int((given == 1).sum()), int((given == 0).sum())) - 1, 1)
    reach = student_90(fewest) * float(scores.std(ddof=1)) / np.sqrt(len(scores)) if len(scores) > 1 else np.inf
    return mean, mean - reach, mean + reach
