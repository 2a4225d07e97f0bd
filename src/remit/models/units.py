"""Units: whose outcomes are reported together. An HCP alone, or a brick of many, whose outcome is the sum of what each of its HCPs adds.

    outcome[b, t] = base[b] x growth[t] x sum over the HCPs h of b of (1 + sum over channels of effect[c](x[h]) x stock[h, t] / (stock[h, t] + saturation))

A brick's effects are those of its HCPs, each with the HCP's own traits and touches: nothing is learnt of averages of traits, so what is learnt of bricks
holds for HCPs. What an HCP's base has of its own is not known; every HCP of a brick is given the brick's base by the number who prescribe in it.
"""

from dataclasses import dataclass

import numpy as np

from remit.features import Panel
from remit.models.effects import Floats, Ints
from remit.models.multipliers import log_effect
from remit.models.weeks import Sample, own_spread


@dataclass(frozen=True, slots=True)
class Units:
    """`hcps` are places in the panel; `unit[h]` is the place of each one's unit (None: each is its own), `size[u]` how many prescribe in a unit, and
    `outcome[u, p, t]` what all of them prescribed."""

    hcps: Ints
    unit: Ints | None
    size: Floats
    outcome: Floats

    def mean(self, values: Floats) -> Floats:
        """`values[h, ...]` by unit: their sum over its HCPs by its size."""
        return values if self.unit is None else self.sums(values) / self.size.reshape(-1, *[1] * (values.ndim - 1))

    def sums(self, values: Floats) -> Floats:
        """`values[h, ...]` by unit: their sum over its HCPs, in the order of HCPs."""
        if self.unit is None:
            return values
        order = np.argsort(self.unit, kind="stable")
        present, start = np.unique(self.unit[order], return_index=True)
        total = np.zeros((len(self.size), *values.shape[1:]))
        total[present] = np.add.reduceat(values[order], start, axis=0)
        return total

    def of(self, values: Floats) -> Floats:
        """`values[u]` for each HCP."""
        return values if self.unit is None else values[self.unit]

    def groups(self, group: Ints) -> Ints:
        """What units are compared within: the `group` of each HCP; bricks, which hold all groups, with each other."""
        return group if self.unit is None else np.zeros(len(self.size), np.int64)


def alone(data: Panel, hcps: Ints) -> Units:
    """Each of `hcps` by itself."""
    return Units(hcps, None, np.ones(len(hcps)), data.outcome[hcps])


def bricks(data: Panel) -> Units:
    """The bricks of a panel. A brick without HCPs does not occur."""
    hcps = np.flatnonzero(data.brick >= 0)
    return Units(hcps, data.brick[hcps], data.brick_size.astype(np.float64), data.brick_outcome)


class Members(Sample):
    """A sample of bricks into which values of their HCPs are taken."""

    def __init__(self, sample: Sample, units: Units) -> None:
        self.__dict__.update(vars(sample))
        self._units = units

    def free(self, values: Floats) -> Floats:
        """`values[h, t, k]` of HCPs, by brick, freed as `Sample.free`."""
        return super().free(self._units.mean(values))

    def freed(self, values: Floats) -> Floats:
        """`values[b, t, k]` of bricks, freed as `Sample.free`."""
        return super().free(values)


class BrickWeeks:
    """What the weeks of bricks say of effects that differ between their HCPs: `stocks[c][h, t]` are saturated stocks, `noise` the variance of an outcome."""

    def __init__(self, sample: Members, stocks: list[Floats], units: Units, noise: float) -> None:
        self._sample, self._stocks, self._units, self.noise = sample, stocks, units, noise

    def at(self, traits: list[Floats], mean: Floats) -> tuple[Floats, Floats, float]:
        """At `mean`, the coefficients of the logarithm of each channel's effect on `traits[c][h, k]`: information, score of each brick, and squared error."""
        effects = [np.exp(log_effect(trait, part)) for trait, part in zip(traits, np.split(mean, len(traits)), strict=True)]
        columns = [
            self._units.mean((effect * trait[:, at])[:, None] * stock)
            for effect, trait, stock in zip(effects, traits, self._stocks, strict=True)
            for at in range(trait.shape[1])
        ]
        slopes = self._sample.freed(np.stack(columns, axis=2))
        left = self._left(effects)
        weighted = slopes * self._sample.weight[:, :, None]
        return np.einsum("htk,htl->kl", weighted, slopes), np.einsum("htk,ht->hk", weighted, left), self._square(left)

    def loss(self, traits: list[Floats], mean: Floats) -> float:
        """The squared error at `mean`, as `at` gives it."""
        return self._square(self._left([np.exp(log_effect(trait, part)) for trait, part in zip(traits, np.split(mean, len(traits)), strict=True)]))

    def spread(self, effects: Floats) -> Floats:
        """What is HCPs' own in each effect, as `Weeks.spread`: a brick's score varies by the squares of what each of its HCPs adds to it."""
        left, excess, scale = self._left(list(effects.T)), [], []
        for effect, stock in zip(effects.T, self._stocks, strict=True):
            together = self._sample.free(stock[:, :, None])[:, :, 0] * self._sample.weight
            each = (self._units.of(together) * stock).sum(axis=1) / self._units.of(self._units.size)
            weeks = together * left
            excess.append(weeks.sum(axis=1) ** 2 - (weeks**2).sum(axis=1))
            scale.append(self._units.sums((each * effect) ** 2))
        return own_spread(np.column_stack(excess), np.column_stack(scale))

    def _left(self, effects: list[Floats]) -> Floats:
        added = sum((effect[:, None] * stock for effect, stock in zip(effects, self._stocks, strict=True)), np.zeros_like(self._stocks[0]))
        return np.asarray(self._sample.target - self._sample.free(added[:, :, None])[:, :, 0])

    def _square(self, left: Floats) -> float:
        return float((self._sample.weight * left**2).sum())
