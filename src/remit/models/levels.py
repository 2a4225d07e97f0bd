"""Levels: what each HCP would write in a period if nobody had promoted, from counts over many periods, and how all of them move together.

    outcome[h, t] ~ base[h] x growth[t] x lift[h, t]

`lift` is what promotion is held to have added. A base is the HCP's own rate, drawn towards the specialty's as far as counts are few (Poisson-gamma: Robbins
1956; linear empirical Bayes), recent periods counting more. Growth beyond the newest period follows the last quarter's slope, as far as that is no chance.
"""

from dataclasses import dataclass

import numpy as np

from remit.models.effects import Floats, Ints
from remit.models.inputs import FEWEST

_ROUNDS = 3
_HALF_LIFE = 26.0
_RECENT = 12
_STEEPEST = 0.05
LEAST = 0.02
"""Units a period that no level falls below."""


@dataclass(frozen=True, slots=True)
class Common:
    """What levels take from everybody: `growth[t]` relative to the newest periods, up to the last of which anything is reported, and `ahead`, what it is
    expected to be now; of each group g the mean base `usual[g]` (of all, where the group has too few) and the variance `spread[g]` between its bases."""

    growth: Floats
    ahead: float
    usual: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class Levels:
    """`base[h]` at the mean of the newest periods; `growth[t]` relative to that in every period; and what is common to all."""

    base: Floats
    growth: Floats
    common: Common

    @property
    def ahead(self) -> float:
        """As `Common`."""
        return self.common.ahead

    @property
    def usual(self) -> Floats:
        """As `Common`, at least the lowest level."""
        return np.maximum(self.common.usual, LEAST)


def levels_of(outcome: Floats, lift: Floats, group: Ints, groups: int, gap: float, common: Common | None = None) -> Levels:
    """The levels of `outcome[h, t]` (NaN: not reported), given `lift[h, t]`; `gap` is by how many periods now lies after the last. Growth of periods of
    which nothing is reported is 1. What is `common` is found, unless it is given."""
    if common is None:
        known = np.flatnonzero(np.isfinite(outcome).any(axis=0))
        last = int(known[-1]) + 1 if known.size else 0
        common = _common(outcome[:, :last], lift[:, :last], group, groups, gap + outcome.shape[1] - last)
    last = len(common.growth)
    told = np.isfinite(outcome[:, :last])
    base = _base(np.where(told, outcome[:, :last], 0.0), told * lift[:, :last] * common.growth, common.usual[group], common.spread[group])
    return Levels(np.maximum(base, LEAST), np.concatenate([common.growth, np.ones(outcome.shape[1] - last)]), common)


def _common(outcome: Floats, lift: Floats, group: Ints, groups: int, gap: float) -> Common:
    told = np.isfinite(outcome)
    count = np.where(told, outcome, 0.0)
    base = np.maximum(count.sum(axis=1) / np.maximum((told * lift).sum(axis=1), 1.0), LEAST)
    growth, usual, spread = np.ones(outcome.shape[1]), np.zeros(groups), np.zeros(groups)
    for _ in range(_ROUNDS):
        growth = _growth(count, told * lift * base[:, None])
        usual, spread = _of_groups(count, told * lift * growth, group, groups)
        base = _base(count, told * lift * growth, usual[group], spread[group])
    return Common(growth, _ahead(growth, count.sum(axis=0), gap), usual, spread)


def _growth(count: Floats, expected: Floats) -> Floats:
    """How much more was written in each period than expected, the newest periods' mean being 1; 1 where nothing is known."""
    total = expected.sum(axis=0)
    growth = np.where(total > 0, (count.sum(axis=0) + 0.5) / (total + 0.5), np.nan)
    recent = growth[-_RECENT:]
    weight = np.where(np.isfinite(recent), total[-_RECENT:], 0.0)
    scale = float((weight * np.nan_to_num(recent)).sum() / weight.sum()) if weight.sum() > 0 else 1.0
    return np.asarray(np.nan_to_num(growth / max(scale, 1e-9), nan=1.0))


def _sums(count: Floats, exposure: Floats) -> tuple[Floats, Floats, Floats]:
    """Per HCP what was written, in how many periods' worth, and what chance makes of it by unit of rate; recent periods count more."""
    recency = 0.5 ** (np.arange(count.shape[1])[::-1] / _HALF_LIFE)
    return np.einsum("ht,t->h", count, recency), np.einsum("ht,t->h", exposure, recency), np.einsum("ht,t->h", exposure, recency**2)


def _of_groups(count: Floats, exposure: Floats, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """The mean base of each group, and the variance of bases beyond chance; of few HCPs, who could be told from it, those of all."""
    own, spent, noise = _sums(count, exposure)
    overall = own.sum() / max(spent.sum(), 1e-9)
    weight = np.bincount(group, weights=spent, minlength=groups)
    usual = np.where(weight > 0, np.bincount(group, weights=own, minlength=groups) / np.maximum(weight, 1e-9), overall)
    few = np.bincount(group, weights=spent > 0, minlength=groups) < FEWEST
    usual = np.where(few, overall, usual)
    mean = usual[group]
    beyond, square = (own - mean * spent) ** 2 - mean * noise, spent**2
    excess, total = (np.bincount(group, weights=part, minlength=groups) for part in (beyond, square))
    excess, total = np.where(few, beyond.sum(), excess), np.where(few, square.sum(), total)
    return usual, np.maximum(excess / np.maximum(total, 1e-9), 1e-3 * usual**2)


def _base(count: Floats, exposure: Floats, mean: Floats, spread: Floats) -> Floats:
    """The own rate of each HCP, drawn towards the group's `mean` as far as chance is large against the group's `spread`."""
    own, spent, noise = _sums(count, exposure)
    chance = np.where(spent > 0, mean * noise / np.maximum(spent, 1e-9) ** 2, np.inf)
    trust = spread / np.maximum(spread + chance, 1e-12)
    rate = np.where(spent > 0, own / np.maximum(spent, 1e-9), mean)
    return np.asarray(trust * rate + (1 - trust) * mean)


def _ahead(growth: Floats, total: Floats, gap: float) -> float:
    """Growth now: the last quarter's line of its logarithm, its slope shortened by what chance explains, half of it carried on."""
    recent, weight = np.log(np.maximum(growth[-_RECENT:], 1e-6)), total[-_RECENT:]
    if weight.sum() <= 0 or (weight > 0).sum() < 4:
        return 1.0
    time = np.arange(len(recent)) - (len(recent) - 1)
    centre, mean = (weight * time).sum() / weight.sum(), (weight * recent).sum() / weight.sum()
    square = (weight * (time - centre) ** 2).sum()
    slope = float((weight * (time - centre) * (recent - mean)).sum() / square)
    error = float(np.sqrt((weight * (recent - mean - slope * (time - centre)) ** 2).sum() / max((weight > 0).sum() - 2, 1) / square))
    sure = max(0.0, 1.0 - (error / slope) ** 2) if slope else 0.0
    slope = float(np.clip(slope * sure, -_STEEPEST, _STEEPEST))
    return float(np.exp(mean + slope * (0.5 * gap - centre)))
