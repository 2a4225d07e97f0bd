"""What is expected without knowing effects: the outcome under each arm, and the chance of each arm; and the scores that both make."""

from dataclasses import dataclass

import numpy as np

from remit.models.uplift.algebra import Floats
from remit.models.uplift.regression import Regression, regress
from remit.models.uplift.sample import Sample

LEAST_CHANCE = 0.02
"""No estimated chance is believed to be smaller: one row would count for more than fifty."""

_INSIDE = 2


@dataclass(frozen=True, slots=True)
class Nuisances:
    """Learned from one sample: `outcomes[arm]` on all its rows of the arm, `leanings[arm - 1]` for the chance of each arm (None: given with the rows); and for
    the sample's own rows, from models that did not see them, the outcome `expected` under each arm and the `chances`, both n x arms."""

    outcomes: tuple[Regression, ...]
    leanings: tuple[Regression, ...] | None
    expected: Floats
    chances: Floats

    def of(self, rows: Sample, threads: int) -> tuple[Floats, Floats]:
        """Outcome expected under each arm and chance of each arm, for rows that this did not learn from."""
        expected = np.column_stack([outcome.predict(rows.matrix, threads) for outcome in self.outcomes])
        if self.leanings is None:
            assert rows.chances is not None  # noqa: S101  # given for all rows or for none
            return expected, rows.chances
        return expected, leaning_chances(self.leanings, rows.matrix, threads)


def learn_nuisances(rows: Sample, seed: int, threads: int) -> Nuisances:
    """The nuisances of a sample, its own rows' by `2` folds."""
    outcomes, leanings = _learn(rows, seed, threads)
    expected, chances = np.empty((len(rows), rows.arms)), np.empty((len(rows), rows.arms))
    if rows.smallest < 2 * _INSIDE:
        expected[:], chances[:] = Nuisances(outcomes, leanings, expected, chances).of(rows, threads)
        return Nuisances(outcomes, leanings, expected, chances)
    fold = rows.folds(_INSIDE, seed + 1)
    for part in range(_INSIDE):
        judge = np.flatnonzero(fold == part)
        others = Nuisances(*_learn(rows.take(np.flatnonzero(fold != part)), seed, threads), expected, chances)
        expected[judge], chances[judge] = others.of(rows.take(judge), threads)
    return Nuisances(outcomes, leanings, expected, chances)


def _learn(rows: Sample, seed: int, threads: int) -> tuple[tuple[Regression, ...], tuple[Regression, ...] | None]:
    outcomes = []
    for arm in range(rows.arms):
        inside = rows.arm == arm
        outcomes.append(regress(rows.matrix[inside], rows.outcome[inside], rows.categorical, seed=seed, threads=threads))
    if rows.chances is not None:
        return tuple(outcomes), None
    given = [(rows.arm == arm).astype(np.float64) for arm in range(1, rows.arms)]
    return tuple(outcomes), tuple(regress(rows.matrix, each, rows.categorical, seed=seed, threads=threads) for each in given)


def leaning_chances(leanings: tuple[Regression, ...], matrix: Floats, threads: int) -> Floats:
    """The chance of each arm (n x arms), none below `LEAST_CHANCE` before they are made to sum to 1."""
    others = np.column_stack([leaning.predict(matrix, threads) for leaning in leanings])
    chances = np.maximum(np.column_stack([1 - others.sum(axis=1), others]), LEAST_CHANCE)
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def scores(rows: Sample, expected: Floats, chances: Floats) -> Floats:
    """Doubly robust scores of the effects (n x arms - 1), against control:

    expected[a] - expected[0] + 1{arm = a} (outcome - expected[a]) / chance[a] - 1{arm = 0} (outcome - expected[0]) / chance[0]

    Their mean over any rows is that of the effects, if either the outcomes expected or the chances are right (Robins, Rotnitzky & Zhao 1994, JASA 89).
    """
    left = rows.outcome - expected[np.arange(len(rows)), rows.arm]
    weighted = left / chances[np.arange(len(rows)), rows.arm]
    given = rows.arm[:, None] == np.arange(rows.arms)
    parts = expected + np.where(given, weighted[:, None], 0.0)
    return np.asarray(parts[:, 1:] - parts[:, :1])


def overlap(chances: Floats) -> Floats:
    """How much a row says about each effect (n x arms - 1): p0 pa / (p0 + pa), the inverse of the variance of its score if outcomes vary alike, mean 1
    (Li, Morgan & Zaslavsky 2018, JASA 113). The same for all rows of a trial with one probability per arm."""
    weight = chances[:, :1] * chances[:, 1:] / (chances[:, :1] + chances[:, 1:])
    return np.asarray(weight / weight.mean(axis=0))
