"""What rows that were left out say of a learner's effects: the line they are drawn to, and mean effects of groups with intervals that cover."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from remit.models.uplift.algebra import Floats, Ints, student_90

_MOST, _MANY = 5, 10
_LEAST_PER_GROUP = 20
_PER_MANY = 200
_PER_SKEWNESS = 25
_DOUBT = 0.3
"""How far, before rows are seen, the slope of true on expected effects may be from 1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One arm: `level` + `slope` x (expected - `centre`) is the effect that a learner's own stands for."""

    centre: float
    level: float
    slope: float

    def of(self, expected: Floats) -> Floats:
        """The effects, drawn to what rows showed."""
        return np.asarray(self.level + self.slope * (expected - self.centre))

    def dump(self) -> dict[str, str]:
        return {name: repr(getattr(self, name)) for name in ("centre", "level", "slope")}


def load_calibration(body: Mapping[str, str]) -> Calibration:
    """What `dump` wrote."""
    return Calibration(**{name: float(value) for name, value in body.items()})


@dataclass(frozen=True, slots=True)
class Groups:
    """One arm: `cuts` on what a learner expects divide HCPs into groups, and each group's mean effect has the estimate `mean` and the 90% interval `low` to
    `high`."""

    cuts: Floats
    mean: Floats
    low: Floats
    high: Floats

    def of(self, expected: Floats) -> Ints:
        """The group of each expected effect, 0 for the lowest."""
        return np.searchsorted(self.cuts, expected, side="right")

    def dump(self) -> dict[str, list[str]]:
        return {name: [repr(value) for value in getattr(self, name).tolist()] for name in ("cuts", "mean", "low", "high")}


def load_groups(body: Mapping[str, Any]) -> Groups:
    """What `dump` wrote."""
    return Groups(**{name: np.array([float(value) for value in values]) for name, values in body.items()})


def groups_that_hold(scores: Floats, given: Ints) -> int:
    """How many groups the scores of one arm can bear, whether they had the arm (1), control (0) or another (-1).

    Each has some 20 rows of each arm, and so many in all that the mean of outcomes as skew as these is nearly normal (25 times the squared skewness: Cochran
    1977, Sampling Techniques, 2.15). Five at most, ten where there are thousands of rows.
    """
    smaller = min(int((given == 1).sum()), int((given == 0).sum()))
    away = scores - scores.mean()
    spread = float((away**2).mean())
    skewness = float((away**3).mean()) / spread**1.5 if spread > 0 else 0.0
    bearable = min(smaller / _LEAST_PER_GROUP, len(scores) / (_PER_SKEWNESS * max(skewness**2, 1.0)))
    return int(np.clip(bearable, 1, _MANY if smaller >= _PER_MANY * _MANY else _MOST))


def learn_groups(expected: Floats, scores: Floats, given: Ints, count: int) -> Groups:
    """At most `count` groups of one arm, equal in size where expected effects differ, from rows that had no part in the model that expects.

    Means of doubly robust scores, with Student's intervals (Chernozhukov et al. 2018, NBER 24678, section 3.2). Of one split: folds that take turns make errors
    of the lowest and the highest group that go together, since what one fold shows by chance forms the groups of the others.
    """
    cuts = _cuts(np.sort(expected), count)
    group = np.searchsorted(cuts, expected, side="right")
    told = np.array([_interval(scores[group == number], given[group == number]) for number in range(len(cuts) + 1)])
    return Groups(cuts, told[:, 0], told[:, 1], told[:, 2])


def _cuts(ordered: Floats, count: int) -> Floats:
    """Quantiles that leave at least half a due share between them: equal expectations stay together."""
    cuts, start, least = [], 0, len(ordered) / (2 * count)
    for cut in np.quantile(ordered, np.arange(1, count) / count).tolist():
        below = int(np.searchsorted(ordered, cut))
        if below - start >= least and len(ordered) - below >= least:
            cuts.append(cut)
            start = below
    return np.array(cuts)


def calibrate(expected: Floats, scores: Floats, weights: Floats) -> Calibration:
    """The best line from expected to true effects (Chernozhukov et al. 2018, section 3.1), its slope held near 1 until rows say otherwise, never below 0."""
    total = weights.sum()
    centre, level = float((weights * expected).sum() / total), float((weights * scores).sum() / total)
    away, left = expected - centre, scores - level
    spread = float((weights * away**2).sum())
    if spread <= np.finfo(float).tiny:
        return Calibration(centre, level, 1.0)
    own = float((weights * away * left).sum()) / spread
    variance = float((weights**2 * away**2 * (left - own * away) ** 2).sum()) / spread**2
    return Calibration(centre, level, max((own * _DOUBT**2 + variance) / (_DOUBT**2 + variance), 0.0))


def _interval(scores: Floats, given: Ints) -> tuple[float, float, float]:
    mean = float(scores.mean())
    fewest = max(min(int((given == 1).sum()), int((given == 0).sum())) - 1, 1)
    reach = student_90(fewest) * float(scores.std(ddof=1)) / np.sqrt(len(scores)) if len(scores) > 1 else np.inf
    return mean, mean - reach, mean + reach
