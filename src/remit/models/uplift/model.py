"""Uplift: what each arm would change for each HCP, by one of several learners behind one interface.

    model = uplift.train(matrix, arm, outcome, probabilities, seed=7, threads=2)
    answer = model.effect(matrix, threads=2)      # estimate, mean, low, high; each n x (arms - 1), against control

Learners are compared on rows they did not learn from. What is stored says which was chosen, and whether its lead is more than noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from remit.models.effects import Z_90
from remit.models.errors import ModelError
from remit.models.stored import Parts, seal, unseal
from remit.models.uplift.algebra import Floats, Ints
from remit.models.uplift.gaussian import MOST_ROWS, learn_gaussian, load_gaussian
from remit.models.uplift.groups import Groups, learn_groups, load_groups
from remit.models.uplift.judging import Judged, choose, judge, load_judged
from remit.models.uplift.learners import learn_dr, learn_s, learn_t, learn_x, load_dr, load_s, load_t, load_x
from remit.models.uplift.linear import learn_linear, load_linear
from remit.models.uplift.nuisances import Nuisances, learn_nuisances, overlap, scores
from remit.models.uplift.sample import Sample, sample

NAME = "uplift"

_LEAST_TO_COMPARE = 20
_LARGE = 100_000
_JUDGED = 40_000
_COMPARED = 30_000
_LEARNT = 300_000
"""Above `_LARGE` rows, how many judge, how many learners learn from to be compared, and the chosen one learns from: more change little but the time."""


class Learned(Protocol):
    """A learner that has learned."""

    def effect(self, matrix: Floats, threads: int) -> Floats: ...

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Learner:
    """How a learner learns from rows and their nuisances, and is loaded."""

    learn: Callable[[Sample, Nuisances, int, int], Learned]
    load: Callable[[Mapping[str, Any], Mapping[str, bytes]], Learned]


LEARNERS: Mapping[str, Learner] = MappingProxyType(
    {
        "linear": Learner(learn_linear, load_linear),
        "gp": Learner(learn_gaussian, load_gaussian),
        "s": Learner(learn_s, load_s),
        "t": Learner(learn_t, load_t),
        "x": Learner(learn_x, load_x),
        "dr": Learner(learn_dr, load_dr),
    }
)
"""Every learner by its name, the simplest (with the fewest numbers to settle) first: it is taken where the gap to a better one is within a standard error."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Against control, in outcome units, a row per HCP and a column per arm but control.

    `estimate` is the HCP's own. `mean` is the mean effect in the HCP's `group` (those for whom the model expects about the same; 0 the lowest), and `low` to
    `high` its 90% interval. `own_low` to `own_high` is an interval of the HCP's own effect, given by `linear` (if effects are lines) and `gp` (if they are
    smooth) and None for the others: no interval of that kind is right without such an assumption.
    """

    estimate: Floats
    mean: Floats
    low: Floats
    high: Floats
    group: Ints
    own_low: Floats | None
    own_high: Floats | None


@dataclass(frozen=True, slots=True)
class Uplift:
    """A trained uplift model: the `learner` taken, its calibration and groups per arm, how all learners did (`judged`), and `facts` as plain values."""

    columns: tuple[str, ...]
    learner: str
    learned: Learned
    groups: tuple[Groups, ...]
    judged: tuple[Judged, ...]
    facts: Mapping[str, Any]

    def effect(self, matrix: Floats, *, threads: int) -> Effects:
        """The effects of rows with the columns of the training, in its order (NaN: unknown). Each row's own, whatever the other rows."""
        if matrix.ndim != 2 or matrix.shape[1] != len(self.columns):
            found = f"the matrix has the shape {matrix.shape}; the model reads {len(self.columns)} columns"
            raise ModelError(found, do="Give a row per HCP, and the columns it was trained on in their order.")
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
        raw = self.learned.effect(matrix, threads)
        estimate = np.column_stack([groups.calibrated(column) for groups, column in zip(self.groups, raw.T, strict=True)])
        group = np.column_stack([groups.of(column) for groups, column in zip(self.groups, estimate.T, strict=True)])
        mean, low, high = (np.column_stack([getattr(g, side)[n] for g, n in zip(self.groups, group.T, strict=True)]) for side in ("mean", "low", "high"))
        error = getattr(self.learned, "error", None)
        reach = None if error is None else Z_90 * error(matrix, threads)
        return Effects(estimate, mean, low, high, group, None if reach is None else raw - reach, None if reach is None else raw + reach)

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        body, parts = self.learned.dump()
        model = {
            "estimator": NAME,
            "columns": list(self.columns),
            "learner": self.learner,
            "learned": body,
            "groups": [groups.dump() for groups in self.groups],
            "judged": [judged.dump() for judged in self.judged],
            "facts": dict(self.facts),
        }
        return seal(model, parts)


def load(parts: Parts) -> Uplift:
    """The uplift model stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    model = unseal(parts, NAME)
    learned = LEARNERS[model["learner"]].load(model["learned"], parts)
    groups, judged = tuple(load_groups(each) for each in model["groups"]), tuple(load_judged(each) for each in model["judged"])
    return Uplift(tuple(model["columns"]), model["learner"], learned, groups, judged, model["facts"])


def train(
    matrix: Floats,
    arm: Ints,
    outcome: Floats,
    probabilities: Floats | None,
    *,
    seed: int,
    threads: int,
    names: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    learners: Sequence[str] | None = None,
) -> Uplift:
    """An uplift model of rows that do not depend on each other (one per HCP).

    `matrix` is n x features (NaN: unknown; of the `categorical` columns, by `names`, numbers are names), `arm` 0 for control, 1, 2 and so on, and
    `probabilities` (n x arms) those with which arms were drawn. None: they are estimated, and effects are right only if the features hold all that moved both
    arm and outcome. `learners` are those to compare (None: all that suit the number of rows). Same rows in the same order and seed: same bytes, in any
    process, on any number of threads. Raises `ModelError` with all that is wrong with the rows.
    """
    columns = tuple(names) if names is not None else tuple(f"x{place}" for place in range(matrix.shape[1] if matrix.ndim == 2 else 0))
    rows = sample(matrix, arm, outcome, probabilities, columns, categorical)
    asked = _asked(rows, learners)
    trial = _large(rows, asked, seed, threads) if len(rows) > _LARGE else _folded(rows, asked, seed, threads)
    groups = tuple(
        learn_groups(trial.expected[:, place], trial.scores[:, place], trial.weights[:, place], _given(trial.arm, place + 1), trial.fold)
        for place in range(rows.arms - 1)
    )
    facts = {
        "seed": seed,
        "rows": len(rows),
        "rows_judged": len(trial.arm),
        "arms": np.bincount(rows.arm, minlength=rows.arms).tolist(),
        "probabilities": "given" if rows.chances is not None else "estimated",
        "verdict": verdict(trial.judged, trial.chosen),
    }
    return Uplift(columns, trial.chosen, trial.learned, groups, trial.judged, facts)


def verdict(judged: tuple[Judged, ...], chosen: str) -> str:
    """In sentences: which learner was taken, which gaps are noise, and whether rows that were left out show that effects differ at all."""
    differ = next(each for each in judged if each.learner == chosen).loss.high < 0
    told = "" if differ else " That effects differ between HCPs is not shown: its lead over one effect for everybody is noise."
    if len(judged) == 1:
        return f"`{chosen}` was the only learner compared.{told}"
    best = min(judged, key=lambda each: each.loss.value).learner
    others = ", ".join(f"`{each.learner}`" for each in judged if each.behind.noise and each.learner != best)
    if not others:
        return f"`{best}` is better than every other learner: no 90% interval of a difference holds zero.{told}"
    if chosen == best:
        return f"`{best}` did best and is taken; the gap between it and {others} is noise.{told}"
    return f"The gap between `{best}`, which did best, and {others} is noise; `{chosen}` is taken, the simplest within one standard error of it.{told}"


@dataclass(frozen=True, slots=True)
class _Trial:
    """What rows that were left out showed, and the learner that was taken; `expected` is by that one."""

    chosen: str
    learned: Learned
    judged: tuple[Judged, ...]
    expected: Floats
    scores: Floats
    weights: Floats
    arm: Ints
    fold: Ints


def _folded(rows: Sample, asked: tuple[str, ...], seed: int, threads: int) -> _Trial:
    """Every row judged by learners that learned from the other folds; then the chosen one learns from all."""
    fold = rows.folds(min(_folds(len(rows)), rows.smallest), seed)
    shape = (len(rows), rows.arms - 1)
    told, weights, effects = np.empty(shape), np.empty(shape), {name: np.empty(shape) for name in asked}
    for part in range(int(fold.max()) + 1):
        judged = np.flatnonzero(fold == part)
        found, told[judged], weights[judged] = _left_out(rows.take(np.flatnonzero(fold != part)), rows.take(judged), asked, seed, threads)
        for name, effect in found.items():
            effects[name][judged] = effect
    judged_all = judge(effects, told, weights, seed)
    chosen = choose(judged_all)
    learned = LEARNERS[chosen].learn(rows, learn_nuisances(rows, seed, threads), seed, threads)
    return _Trial(chosen, learned, judged_all, effects[chosen], told, weights, rows.arm, fold)


def _large(rows: Sample, asked: tuple[str, ...], seed: int, threads: int) -> _Trial:
    """Some rows are left out for good and judge; learners are compared after learning from some of the others, and the chosen one from more."""
    count = len(rows) // _JUDGED
    fold = rows.folds(count, seed)
    judges, others = rows.take(np.flatnonzero(fold == 0)), np.flatnonzero(fold != 0)
    some, most = others[:: -(-len(others) // _COMPARED)], others[:: -(-len(others) // _LEARNT)]
    found, told, weights = _left_out(rows.take(some), judges, asked, seed, threads)
    judged = judge(found, told, weights, seed)
    chosen = choose(judged)
    rest = rows.take(most)
    learned = LEARNERS[chosen].learn(rest, learn_nuisances(rest, seed, threads), seed, threads)
    return _Trial(chosen, learned, judged, learned.effect(judges.matrix, threads), told, weights, judges.arm, np.zeros(len(judges), dtype=np.int64))


def _left_out(learn: Sample, judged: Sample, asked: tuple[str, ...], seed: int, threads: int) -> tuple[dict[str, Floats], Floats, Floats]:
    nuisances = learn_nuisances(learn, seed, threads)
    expected, chances = nuisances.of(judged, threads)
    effects = {name: LEARNERS[name].learn(learn, nuisances, seed, threads).effect(judged.matrix, threads) for name in asked}
    return effects, scores(judged, expected, chances), overlap(chances)


def _asked(rows: Sample, learners: Sequence[str] | None) -> tuple[str, ...]:
    if learners is None:
        if rows.smallest < _LEAST_TO_COMPARE:
            return ("linear",)
        return tuple(name for name in LEARNERS if name != "gp" or len(rows) <= MOST_ROWS)
    faults = [f"there is no learner `{name}`; there are {', '.join(LEARNERS)}" for name in learners if name not in LEARNERS]
    faults += [] if learners else ["no learner is named"]
    if "gp" in learners and len(rows) > MOST_ROWS:
        faults.append(f"`gp` takes at most {MOST_ROWS:,} rows, and there are {len(rows):,}: its time grows with the third power")
    if faults:
        raise ModelError("these learners cannot be compared", faults=faults, do="Name learners that suit the rows, or none to compare all that do.")
    return tuple(name for name in LEARNERS if name in learners)


def _folds(rows: int) -> int:
    return 5 if rows < 5_000 else 3 if rows < 20_000 else 2


def _given(arm: Ints, asked: int) -> Ints:
    return np.where(arm == asked, 1, np.where(arm == 0, 0, -1))
