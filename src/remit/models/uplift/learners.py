"""S-, T-, X- and DR-learner: four ways to make effects of regressions of outcomes (Kuenzel et al. 2019, PNAS 116; Kennedy 2023, EJS 17)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from remit.models.uplift.algebra import Floats, Ints
from remit.models.uplift.nuisances import Nuisances, leaning_chances, scores
from remit.models.uplift.regression import Regression, load_regression, regress
from remit.models.uplift.sample import Sample


@dataclass(frozen=True, slots=True)
class Differences:
    """T-learner: one regression of the outcome per arm; an effect is the difference of two."""

    outcomes: tuple[Regression, ...]

    def effect(self, matrix: Floats, threads: int) -> Floats:
        expected = [outcome.predict(matrix, threads) for outcome in self.outcomes]
        return np.column_stack([each - expected[0] for each in expected[1:]])

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return _dump(outcomes=self.outcomes)


@dataclass(frozen=True, slots=True)
class Single:
    """S-learner: one regression of the outcome that reads the arm as features."""

    outcome: Regression
    arms: int

    def effect(self, matrix: Floats, threads: int) -> Floats:
        expected = [self.outcome.predict(with_arm(matrix, np.full(len(matrix), arm), self.arms), threads) for arm in range(self.arms)]
        return np.column_stack([each - expected[0] for each in expected[1:]])

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        body, parts = _dump(outcome=(self.outcome,))
        return {**body, "arms": self.arms}, parts


@dataclass(frozen=True, slots=True)
class Crossed:
    """X-learner: the effect on the treated and that on the untreated, each regressed on what the other arm would have shown, mixed by the chance of the arm;
    `shares` are those of the arms where the chances were given and not learned."""

    treated: tuple[Regression, ...]
    untreated: tuple[Regression, ...]
    leanings: tuple[Regression, ...] | None
    shares: Floats

    def effect(self, matrix: Floats, threads: int) -> Floats:
        chances = np.tile(self.shares, (len(matrix), 1)) if self.leanings is None else leaning_chances(self.leanings, matrix, threads)
        share = chances[:, 1:] / (chances[:, :1] + chances[:, 1:])
        on_treated = np.column_stack([each.predict(matrix, threads) for each in self.treated])
        on_untreated = np.column_stack([each.predict(matrix, threads) for each in self.untreated])
        return np.asarray(share * on_untreated + (1 - share) * on_treated)

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        body, parts = _dump(treated=self.treated, untreated=self.untreated, leanings=self.leanings or ())
        return {**body, "shares": [repr(share) for share in self.shares.tolist()]}, parts


@dataclass(frozen=True, slots=True)
class Robust:
    """DR-learner: a regression of the doubly robust scores of each arm."""

    effects: tuple[Regression, ...]

    def effect(self, matrix: Floats, threads: int) -> Floats:
        return np.column_stack([each.predict(matrix, threads) for each in self.effects])

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return _dump(effects=self.effects)


def learn_t(rows: Sample, nuisances: Nuisances, seed: int, threads: int) -> Differences:  # noqa: ARG001  # learners take the same
    """The T-learner: what the nuisances hold."""
    return Differences(nuisances.outcomes)


def learn_s(rows: Sample, nuisances: Nuisances, seed: int, threads: int) -> Single:  # noqa: ARG001  # learners take the same
    """The S-learner."""
    return Single(regress(with_arm(rows.matrix, rows.arm, rows.arms), rows.outcome, rows.categorical, seed=seed, threads=threads, line=False), rows.arms)


def learn_x(rows: Sample, nuisances: Nuisances, seed: int, threads: int) -> Crossed:
    """The X-learner; what the other arm would have shown is expected by models that did not see the row."""
    treated, untreated = [], []
    for arm in range(1, rows.arms):
        given, control = rows.arm == arm, rows.arm == 0
        gained = rows.outcome[given] - nuisances.expected[given, 0]
        missed = nuisances.expected[control, arm] - rows.outcome[control]
        treated.append(regress(rows.matrix[given], gained, rows.categorical, seed=seed, threads=threads))
        untreated.append(regress(rows.matrix[control], missed, rows.categorical, seed=seed, threads=threads))
    return Crossed(tuple(treated), tuple(untreated), nuisances.leanings, np.bincount(rows.arm, minlength=rows.arms) / len(rows))


def learn_dr(rows: Sample, nuisances: Nuisances, seed: int, threads: int) -> Robust:
    """The DR-learner, on scores by models that did not see the row."""
    targets = scores(rows, nuisances.expected, nuisances.chances)
    return Robust(tuple(regress(rows.matrix, target, rows.categorical, seed=seed, threads=threads) for target in targets.T))


def load_t(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Differences:
    return Differences(_load(body, parts, "outcomes"))


def load_s(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Single:
    return Single(_load(body, parts, "outcome")[0], body["arms"])


def load_x(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Crossed:
    shares = np.array([float(share) for share in body["shares"]])
    return Crossed(_load(body, parts, "treated"), _load(body, parts, "untreated"), _load(body, parts, "leanings") or None, shares)


def load_dr(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Robust:
    return Robust(_load(body, parts, "effects"))


def with_arm(matrix: Floats, arm: Ints, arms: int) -> Floats:
    """`matrix` with a mark for each arm but control, after its columns."""
    return np.column_stack([matrix, *((arm == each).astype(np.float64) for each in range(1, arms))])


def _dump(**regressions: tuple[Regression, ...]) -> tuple[dict[str, Any], dict[str, bytes]]:
    body: dict[str, Any] = {}
    parts = {}
    for name, several in regressions.items():
        body[name] = []
        for place, each in enumerate(several):
            told, parts[f"{name}-{place}.txt"] = each.dump()
            body[name].append(told)
    return body, parts


def _load(body: Mapping[str, Any], parts: Mapping[str, bytes], name: str) -> tuple[Regression, ...]:
    return tuple(load_regression(each, parts[f"{name}-{place}.txt"]) for place, each in enumerate(body[name]))
