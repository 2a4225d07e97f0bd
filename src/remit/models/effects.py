"""The arithmetic of effects: clustered regression of residuals, shrinkage between groups, sensitivity to what was not measured."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Z_90 = 1.6448536269514722
"""The normal quantile of a two-sided 90% interval."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimate with its standard error, both per unit of dose."""

    estimate: float
    error: float

    @property
    def low(self) -> float:
        return self.estimate - Z_90 * self.error

    @property
    def high(self) -> float:
        return self.estimate + Z_90 * self.error


@dataclass(frozen=True, slots=True)
class Regression:
    """Ordinary least squares without intercept: an effect per column, and the partial R2 of each column with the outcome."""

    effects: tuple[Effect, ...]
    partial_r2: tuple[float, ...]
    clusters: int


def clustered_regression(outcome: Floats, doses: Floats, cluster: Ints) -> Regression:
    """`outcome` on the columns of `doses`, standard errors by the sandwich over clusters (Liang & Zeger 1986; CR1 of Cameron & Miller 2015, section II.B).

    A column that the others explain, or that does not vary, makes the problem singular: leave it out first.
    """
    gram = np.linalg.inv(_product(doses, doses))
    beta = gram @ _product(doses, outcome[:, None])[:, 0]
    residual = outcome - (doses * beta).sum(axis=1)
    number = np.unique(cluster, return_inverse=True)[1]
    clusters = int(number.max()) + 1
    scores: Floats = np.column_stack([np.bincount(number, weights=doses[:, place] * residual) for place in range(doses.shape[1])])
    correction = clusters / max(clusters - 1, 1) * (len(outcome) - 1) / max(len(outcome) - doses.shape[1], 1)
    covariance = correction * gram @ _product(scores, scores) @ gram
    errors = np.sqrt(np.diag(covariance))
    explained = beta**2 / np.diag(gram)
    partial = explained / (explained + (residual**2).sum())
    return Regression(tuple(Effect(float(b), float(e)) for b, e in zip(beta, errors, strict=True)), tuple(partial.tolist()), clusters)


def shrink(groups: list[Effect | None], pooled: Effect) -> list[Effect]:
    """Each group's effect drawn towards the pooled one, as far as the groups differ no more than chance explains.

    The spread between groups is that of DerSimonian & Laird (1986); an effect then is the precision-weighted mean of the group's own and the pooled. A
    group without an estimate (None) takes the pooled one, its interval widened by the spread.
    """
    found = [group for group in groups if group is not None]
    spread = _spread(found)
    return [_towards(group, pooled, spread) for group in groups]


def robustness_value(partial_r2: float) -> float:
    """How strong an unmeasured confounder must be to bring the estimate to zero: the share of the remaining variance that it would have to explain both of
    the dose and of the outcome (Cinelli & Hazlett 2020, JRSS B 82, section 4.2, equation 18 with q = 1)."""
    f2 = partial_r2 / (1 - partial_r2)
    return 0.5 * float(np.sqrt(f2 * f2 + 4 * f2) - f2)


def within(values: Floats, unit: Ints) -> Floats:
    """`values` less the mean of their unit, column by column."""
    number = np.unique(unit, return_inverse=True)[1]
    count = np.bincount(number)
    means = np.column_stack([np.bincount(number, weights=values[:, place]) / count for place in range(values.shape[1])])
    return np.asarray(values - means[number])


def _spread(found: list[Effect]) -> float:
    if len(found) < 2:
        return 0.0
    weight = np.array([1 / effect.error**2 for effect in found])
    estimate = np.array([effect.estimate for effect in found])
    mean = (weight * estimate).sum() / weight.sum()
    excess = (weight * (estimate - mean) ** 2).sum() - (len(found) - 1)
    return max(0.0, float(excess / (weight.sum() - (weight**2).sum() / weight.sum())))


def _towards(group: Effect | None, pooled: Effect, spread: float) -> Effect:
    if group is None or spread == 0.0:
        return Effect(pooled.estimate, float(np.sqrt(pooled.error**2 + spread)))
    own = spread / (spread + group.error**2)
    return Effect(own * group.estimate + (1 - own) * pooled.estimate, float(np.sqrt(own * group.error**2 + ((1 - own) * pooled.error) ** 2)))


def _product(left: Floats, right: Floats) -> Floats:
    """left' right by sums in a fixed order: BLAS may sum in another order with other threads."""
    return np.array([[(left[:, i] * right[:, j]).sum() for j in range(right.shape[1])] for i in range(left.shape[1])])
