"""Effects that differ between HCPs by factors: the logarithm of an effect is linear in traits, as far as the data support it."""

from dataclasses import dataclass
from math import erf
from typing import Protocol

import numpy as np

from remit.models.effects import Floats
from remit.models.weeks import Weeks

_WIDE, _NARROW, _WIDEST, _ROUNDS, _HALVINGS = 1.0, 0.15, 0.6, 25, 6
"""Prior standard deviation of the logarithm of an effect common to all, that of a trait's part before anything is seen (half of its weight stays with it),
and the widest it may become; rounds, and how often a step is halved that does not help."""

_LEAST_EFFECT, _LOWEST, _HIGHEST = 0.01, -3.0, 2.0
_PLAUSIBLE = 0.2
"""Standard deviation of effects that are not nothing, as a share of the base: most of what promotion is known to do lies within twice that."""


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
        width = traits[0].shape[1]
        return np.einsum("hi,hj,hij->ij", slopes, slopes, np.repeat(np.repeat(self.weeks.a, width, axis=1), width, axis=2)), scores, loss

    def loss(self, traits: list[Floats], mean: Floats) -> float:
        """As `Evidence`."""
        return _slopes(self.weeks, traits, mean)[2]


def multipliers(weeks: Evidence, traits: list[Floats], common: Floats) -> tuple[Floats, Floats, Floats]:
    """Coefficients of the logarithm of each channel's effect on the traits, their covariance (clustered by unit), and the spread that each trait was allowed.

    Gauss-Newton steps on the squared error, with a normal prior whose width for each trait is what the data support (automatic relevance).
    """
    width, count = traits[0].shape[1], len(traits)
    mean = np.zeros(width * count)
    inverse = np.eye(width * count)
    mean[::width] = np.log(np.maximum(common, _LEAST_EFFECT))
    centre, first = mean.copy(), np.arange(width * count) % width == 0
    spread = np.where(first, _WIDE, _NARROW)
    for _ in range(_ROUNDS):
        gram, scores, loss = weeks.at(traits, mean)
        inverse = np.asarray(np.linalg.inv(gram / weeks.noise + np.diag(1.0 / spread**2)))
        step = inverse @ (scores.sum(axis=0) / weeks.noise - (mean - centre) / spread**2)
        for _ in range(_HALVINGS):
            if weeks.loss(traits, mean + step) / weeks.noise + _penalty(mean + step - centre, spread) <= loss / weeks.noise + _penalty(mean - centre, spread):
                mean = np.asarray(mean + step)
                break
            step = step / 2
        spread = np.where(first, _WIDE, np.minimum(np.sqrt(((mean - centre) ** 2 + np.diag(inverse) + _NARROW**2) / 2), _WIDEST))
    scores = weeks.at(traits, mean)[1]
    meat = np.einsum("hk,hl->kl", scores, scores) / weeks.noise**2
    robust = inverse @ meat @ inverse
    return mean, robust if np.trace(robust) > np.trace(inverse) else inverse, spread


def _slopes(weeks: Weeks, traits: list[Floats], mean: Floats) -> tuple[Floats, Floats, float]:
    """At `mean`: what each coefficient moves of each HCP's effects, each HCP's score of each coefficient, and the squared error (up to a constant)."""
    effects = np.column_stack([np.exp(log_effect(trait, part)) for trait, part in zip(traits, np.split(mean, len(traits)), strict=True)])
    slopes = np.concatenate([trait * effects[:, at, None] for at, trait in enumerate(traits)], axis=1)
    explained = np.einsum("hkl,hl->hk", weeks.a, effects)
    return slopes, slopes * np.repeat(weeks.b - explained, traits[0].shape[1], axis=1), float((effects * (explained - 2 * weeks.b)).sum())


def _penalty(away: Floats, spread: Floats) -> float:
    return float(((away / spread) ** 2).sum())


def log_effect(traits: Floats, coefficients: Floats) -> Floats:
    """The logarithm of the effect, its traits' part held within bounds: nobody is known to be beyond."""
    return np.asarray(coefficients[0] + np.clip((traits[:, 1:] * coefficients[1:]).sum(axis=1), _LOWEST, _HIGHEST))


def more_than_nothing(effect: float, error: float) -> float:
    """How likely it is that an effect is above nothing, if it was as likely as not to be something before (Bayes factor of a normal prior against a point)."""
    prior = _PLAUSIBLE**2
    away = effect / error * np.sqrt(prior / (prior + error**2))
    log_factor = 0.5 * np.log(error**2 / (error**2 + prior)) + 0.5 * away**2
    return float((1.0 + erf(away / np.sqrt(2.0))) / 2.0 / (1.0 + np.exp(-min(log_factor, 50.0))))
