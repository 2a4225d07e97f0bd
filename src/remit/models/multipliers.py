"""Effects that differ between HCPs by factors: the logarithm of an effect is linear in traits, as far as the data support it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf
from typing import Protocol

import numpy as np

from remit.models.effects import Floats
from remit.models.weeks import Weeks

_WIDE, _APART, _NARROW, _WIDEST, _ROUNDS, _HALVINGS = 1.0, 0.5, 0.15, 0.6, 25, 6
"""Prior standard deviations: of the logarithm of a channel's effect, of that of one product beside it, and of a trait's part before anything is seen (half of
its weight stays with it), and the widest it may become; rounds, and how often a step is halved that does not help."""

_LEAST_EFFECT, _LOWEST, _HIGHEST = 0.01, -3.0, 2.0
_ALIKE, _PLAUSIBLE = 0.9, 0.2
"""How likely a channel that works for one product is to work for another; and the standard deviation of effects that are not nothing, as a share of the
base: most of what promotion is known to do lies within twice that."""


class Evidence(Protocol):
    """What outcomes say of effects whose logarithm is linear in traits."""

    @property
    def noise(self) -> float:
        """The variance of an outcome, in units of the level."""
        ...

    def at(self, traits: list[Floats], mean: Floats) -> tuple[Floats, Floats, float]:
        """At coefficients `mean`: their information, the score that each unit gives them, and the squared error (up to a constant)."""
        ...

    def loss(self, traits: list[Floats], mean: Floats) -> float:
        """The squared error of `at` alone."""
        ...

    def spread(self, effects: Floats) -> Floats:
        """The variance between HCPs of what is their own in each channel's effect, as a share of the square of `effects[h, c]`."""
        ...


@dataclass(frozen=True, slots=True)
class OfHcps:
    """The evidence of HCPs, each with outcomes of their own."""

    weeks: Weeks

    @property
    def noise(self) -> float:
        """As `Evidence`."""
        return self.weeks.noise

    def at(self, traits: list[Floats], mean: Floats) -> tuple[Floats, Floats, float]:
        """As `Evidence`."""
        slopes, scores, loss = _slopes(self.weeks, traits, mean)
        return _information(self.weeks.a, slopes), scores, loss

    def loss(self, traits: list[Floats], mean: Floats) -> float:
        """As `Evidence`."""
        return _slopes(self.weeks, traits, mean)[2]

    def spread(self, effects: Floats) -> Floats:
        """As `Evidence`."""
        return self.weeks.spread(effects)


@dataclass(frozen=True, slots=True)
class Part:
    """One product: its evidence, the channels learnt with the traits of each, and the one effect of each for all HCPs with its standard error."""

    evidence: Evidence
    channels: tuple[str, ...]
    traits: list[Floats]
    common: Floats
    error: Floats

    @property
    def width(self) -> int:
        """Coefficients of a channel."""
        return int(self.traits[0].shape[1])


def multipliers(parts: Sequence[Part]) -> tuple[list[tuple[Floats, Floats]], Floats]:
    """Of each product the coefficients of the logarithm of its channels' effects on the traits and their covariance (clustered by unit).

    A coefficient is the sum of what all products (and of a trait, all channels) share and of what is its own, each with a normal prior whose width is what
    the data support (automatic relevance). Gauss-Newton steps on the squared error.
    """
    maps, centre, given = _pooling(parts)
    spread = np.where(given > 0, given, _NARROW)
    mean, inverse = centre.copy(), np.eye(len(centre))

    def loss(mean: Floats) -> float:
        return sum(part.evidence.loss(part.traits, to @ mean) / part.evidence.noise for part, to in zip(parts, maps, strict=True))

    def at(mean: Floats) -> tuple[Floats, Floats, float]:
        gram, scores, error = np.zeros((len(mean), len(mean))), np.zeros((0, len(mean))), 0.0
        for part, to in zip(parts, maps, strict=True):
            of = part.evidence.at(part.traits, to @ mean)
            gram += to.T @ of[0] @ to / part.evidence.noise
            own = of[1] @ to / part.evidence.noise
            scores = own if not len(scores) else scores + own
            error += of[2] / part.evidence.noise
        return gram, scores, error

    for _ in range(_ROUNDS):
        gram, scores, error = at(mean)
        inverse = np.asarray(np.linalg.inv(gram + np.diag(1.0 / spread**2)))
        step = inverse @ (scores.sum(axis=0) - (mean - centre) / spread**2)
        for _ in range(_HALVINGS):
            if loss(mean + step) + _penalty(mean + step - centre, spread) <= error + _penalty(mean - centre, spread):
                mean = np.asarray(mean + step)
                break
            step = step / 2
        spread = np.where(given > 0, given, np.minimum(np.sqrt(((mean - centre) ** 2 + np.diag(inverse) + _NARROW**2) / 2), _WIDEST))
    scores = at(mean)[1]
    robust = inverse @ np.einsum("hk,hl->kl", scores, scores) @ inverse
    covariance = robust if np.trace(robust) > np.trace(inverse) else inverse
    return [(to @ mean, to @ covariance @ to.T) for to in maps], spread


def _pooling(parts: Sequence[Part]) -> tuple[list[Floats], Floats, Floats]:
    """Columns for what each trait does everywhere, what each channel does for all products, and what is a product's own: for each product the map to its
    coefficients; where all columns begin; and the widths that are given (0: found)."""
    channels = sorted({channel for part in parts for channel in part.channels})
    traits, coefficients = parts[0].width - 1, [len(part.channels) * part.width for part in parts]
    size = traits + len(channels) + sum(coefficients)
    centre, given, maps, own = np.zeros(size), np.zeros(size), list[Floats](), traits + len(channels)
    centre[traits:own] = [np.log(max(_pooled(parts, channel), _LEAST_EFFECT)) for channel in channels]
    given[traits:own] = _WIDE
    for part, count in zip(parts, coefficients, strict=True):
        shared = [column for channel in part.channels for column in (traits + channels.index(channel), *range(traits))]
        to = np.zeros((count, size))
        to[np.arange(count), shared] = 1.0
        to[np.arange(count), own + np.arange(count)] = 1.0
        given[own : own + count : part.width] = _APART
        maps.append(to)
        own += count
    return maps, centre, given


def _pooled(parts: Sequence[Part], channel: str) -> float:
    """The effect of a channel for all products, each by its precision."""
    told = [(float(part.common[at]), float(part.error[at]) ** -2) for part in parts for at, name in enumerate(part.channels) if name == channel]
    return sum(effect * weight for effect, weight in told) / sum(weight for _, weight in told)


def _slopes(weeks: Weeks, traits: list[Floats], mean: Floats) -> tuple[Floats, Floats, float]:
    """At `mean`: what each coefficient moves of each HCP's effects, each HCP's score of each coefficient, and the squared error (up to a constant)."""
    effects = np.column_stack([np.exp(log_effect(trait, part)) for trait, part in zip(traits, np.split(mean, len(traits)), strict=True)])
    slopes = np.concatenate([trait * effects[:, at, None] for at, trait in enumerate(traits)], axis=1)
    explained = np.einsum("hkl,hl->hk", weeks.a, effects)
    return slopes, slopes * np.repeat(weeks.b - explained, traits[0].shape[1], axis=1), float((effects * (explained - 2 * weeks.b)).sum())


def _information(a: Floats, slopes: Floats) -> Floats:
    """The information of coefficients, the same number of each channel: that of the channels `a[h, c, d]`, by what each coefficient moves."""
    channels = a.shape[1]
    of = np.split(slopes, channels, axis=1)
    blocks = [[np.empty((0, 0))] * channels for _ in range(channels)]
    for one in range(channels):
        for other in range(one, channels):
            blocks[one][other] = np.einsum("hi,hj->ij", of[one] * a[:, one, other, None], of[other])
            blocks[other][one] = blocks[one][other].T
    return np.block(blocks)


def _penalty(away: Floats, spread: Floats) -> float:
    return float(((away / spread) ** 2).sum())


def log_effect(traits: Floats, coefficients: Floats) -> Floats:
    """The logarithm of the effect, its traits' part held within bounds: nobody is known to be beyond."""
    return np.asarray(coefficients[0] + np.clip((traits[:, 1:] * coefficients[1:]).sum(axis=1), _LOWEST, _HIGHEST))


def within_bounds(total: Floats) -> Floats:
    """By how much to shorten each trait's part so that their `total` keeps within the bounds of `log_effect`."""
    return np.asarray(np.where(total == 0, 1.0, np.clip(total, _LOWEST, _HIGHEST) / np.where(total == 0, 1.0, total)))


def more_than_nothing(effects: Sequence[float], errors: Sequence[float]) -> Floats:
    """How likely it is that the effect of a channel is above nothing, for each product, if it was as likely as not to be something before, and where it is
    something for one product it is so for nine of ten others (Bayes factor of a normal prior against a point)."""
    prior, effect, error = _PLAUSIBLE**2, np.asarray(effects), np.asarray(errors)
    away = effect / error * np.sqrt(prior / (prior + error**2))
    factor = np.exp(np.minimum(0.5 * np.log(error**2 / (error**2 + prior)) + 0.5 * away**2, 50.0))
    mixed, before = _ALIKE * factor + 1.0 - _ALIKE, 0.5 / _ALIKE
    works = 1.0 / (1.0 + (1.0 - before) / before * np.exp(-np.clip(np.log(mixed).sum(), -50.0, 50.0)))
    above = np.array([(1.0 + erf(value / np.sqrt(2.0))) / 2.0 for value in away])
    return np.asarray(works * _ALIKE * factor / mixed * above)
