"""What a panel teaches: shapes and effects of all products together, so that what one says of a channel or of a trait helps the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from remit.features import Panel
from remit.models.effects import Floats, Ints
from remit.models.levels import Levels, levels_of
from remit.models.multipliers import OfHcps, Part, log_effect, more_than_nothing, multipliers
from remit.models.traits import Traits, scaling, traits_of
from remit.models.units import BrickWeeks, Members, Units
from remit.models.weeks import USUAL, Reached, Sample, Weeks, saturated, shapes_of

LEAST_HCPS = 50
"""HCPs that a channel must have reached to be learnt."""
_TURNS = 2


@dataclass(frozen=True, slots=True)
class Learned:
    """One product: per channel learnt half-life (days) and saturation, and how likely it is that its effect is more than nothing; coefficients of the
    logarithm of the effects with their covariance; the variance of what is each HCP's own in an effect, as a share of its square; and how far to trust it."""

    product: str
    shapes: Mapping[str, tuple[int, float]]
    certain: Floats
    mean: Floats
    covariance: Floats
    own: Floats
    sensitivity: Mapping[str, Any]

    def of(self, place: int) -> slice:
        """Where the coefficients of the channel numbered `place` lie."""
        width = len(self.mean) // len(self.shapes)
        return slice(place * width, (place + 1) * width)


def learn(data: Panel, units: Units, rows: Sequence[pl.DataFrame], names: tuple[str, ...], days: float) -> list[tuple[Learned, Traits]]:
    """What the outcomes of `units` say of each product. `rows` are, by product, the features of the units' HCPs in the panel's order; `names` the traits;
    `days` is the length of a period."""
    products = [_Product(data, units, place, of, names, days) for place, of in enumerate(rows)]
    for product, shapes in zip(products, shapes_of([product.reached() for product in products], days), strict=True):
        product.take({data.channels[at]: shapes[at] for at in sorted(shapes)})
    taught = [product for product in products if product.shapes]
    for _ in range(_TURNS if taught else 0):
        parts = [product.part() for product in taught]
        certain = _certain(parts)
        found, spread = multipliers(parts)
        for product, part, sure, of in zip(taught, parts, certain, found, strict=True):
            product.credit(part, sure, *of, spread)
    return [(product.learned, product.traits) for product in products]


def _certain(parts: Sequence[Part]) -> list[Floats]:
    """How likely each product's effect of each channel is to be more than nothing."""
    answer = [np.zeros(len(part.channels)) for part in parts]
    for channel in sorted({channel for part in parts for channel in part.channels}):
        having = [(number, part.channels.index(channel)) for number, part in enumerate(parts) if channel in part.channels]
        sure = more_than_nothing([float(parts[number].common[at]) for number, at in having], [float(parts[number].error[at]) for number, at in having])
        for (number, at), value in zip(having, sure, strict=True):
            answer[number][at] = value
    return answer


class _Product:
    """One product as it is learnt: levels and effects are found in turn."""

    def __init__(self, data: Panel, units: Units, place: int, rows: pl.DataFrame, names: tuple[str, ...], days: float) -> None:
        self._data, self._units, self._place, self._rows, self._names, self._days = data, units, place, rows, names, days
        self.name, self._outcome, self._touches = data.products[place], units.outcome[:, place], data.touches[:, units.hcps, place]
        self._group = units.groups(specialties(rows))
        self._channels = tuple(at for at in range(len(data.channels)) if (self._touches[at].sum(axis=1) > 0).sum() >= LEAST_HCPS)
        self._levels = self._first()
        note = {"note": "no channel reached enough HCPs or varied: effects are unknown, and count as zero"}
        self.learned = Learned(self.name, {}, np.zeros(0), np.zeros(0), np.zeros((0, 0)), np.zeros(0), note)
        self.traits = self._scaled()
        self.take({})

    def take(self, shapes: Mapping[str, tuple[int, float]]) -> None:
        """The channels that are learnt, with the shape of each."""
        self.shapes, self._stocks = shapes, stocks_of(self._data, shapes, self._units.hcps, self._place, self._days)

    def reached(self) -> Reached:
        """The weeks from which shapes are found."""
        return Reached(self._sample(self._levels), self._touches, self._channels)

    def part(self) -> Part:
        """What the weeks say at the levels found so far."""
        sample, base = self._sample(self._levels), self._units.of(self._levels.base)
        weeks, self.traits = Weeks(sample, self._stocks), self._scaled()
        evidence = BrickWeeks(sample, self._stocks, self._units, weeks.noise) if isinstance(sample, Members) else OfHcps(weeks)
        traits = traits_of(self._rows, self.traits, self.name, np.log(base), self.shapes)
        return Part(evidence, tuple(self.shapes), traits, *weeks.common())

    def credit(self, part: Part, certain: Floats, mean: Floats, covariance: Floats, spread: Floats) -> None:
        """Takes over the effects found, and finds levels that leave out what they explain."""
        effects = [np.exp(log_effect(trait, own)) for trait, own in zip(part.traits, np.split(mean, len(part.traits)), strict=True)]
        self._levels = self._found(_sum([sure * effect[:, None] * stock for sure, effect, stock in zip(certain, effects, self._stocks, strict=True)]))
        told = {
            "noise": repr(part.evidence.noise),
            "hcps": len(self._units.hcps),
            "growth_ahead": repr(self._levels.ahead),
            "common": {channel: [repr(float(part.common[at])), repr(float(part.error[at]))] for at, channel in enumerate(self.shapes)},
            "trait_spread": [repr(float(value)) for value in spread],
        }
        own = part.evidence.spread(np.column_stack(effects))
        self.learned = Learned(self.name, self.shapes, certain, mean, covariance, own, told)

    def _first(self) -> Levels:
        """Levels that leave out what usual shapes explain: or whoever had many touches would seem to respond less, as under saturation."""
        levels = self._found(np.zeros(self._touches.shape[1:]))
        stocks = [saturated(self._touches[at], *USUAL, self._days) for at in self._channels]
        for _ in range(_TURNS if stocks else 0):
            common = np.maximum(Weeks(self._sample(levels), stocks).common()[0], 0.0)
            levels = self._found(_sum([effect * stock for effect, stock in zip(common, stocks, strict=True)]))
        return levels

    def _scaled(self) -> Traits:
        return scaling(self._rows, self._names, self.name, self._units.of(self._levels.base), self._data.channels)

    def _found(self, added: Floats) -> Levels:
        """Levels by HCP, of whom promotion `added[h, t]`."""
        return unit_levels(self._outcome, 1.0 + self._units.mean(added), self._units, self._group, self._data, self._days)

    def _sample(self, levels: Levels) -> Sample:
        expected = (levels.base * self._units.size)[:, None] * np.maximum(levels.growth, 1e-3)
        sample = Sample(self._outcome, expected, self._group)
        return sample if self._units.unit is None else Members(sample, self._units)


def _sum(parts: Sequence[Floats]) -> Floats:
    return np.asarray(np.add.reduce(parts))


def unit_levels(outcome: Floats, lift: Floats, units: Units, group: Ints, data: Panel, days: float) -> Levels:
    """The levels of units, by HCP."""
    return levels_of(outcome, lift * units.size[:, None], group, int(group.max()) + 1, gap_of(data, days))


def specialties(rows: pl.DataFrame) -> Ints:
    """The specialty of each row as a number."""
    return rows["specialty"].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def gap_of(data: Panel, days: float) -> float:
    """Periods from the newest of the panel to its instant."""
    return float((data.as_of - int(data.ends[-1])) / (days * 86_400_000_000)) + 0.5


def stocks_of(data: Panel, shapes: Mapping[str, tuple[int, float]], hcps: Ints, place: int, days: float) -> list[Floats]:
    """The saturated stock of each channel learnt: (HCPs, periods) each."""
    return [saturated(data.touches[data.channels.index(channel), hcps, place], *shape, days) for channel, shape in shapes.items()]
