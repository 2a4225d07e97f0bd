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
from remit.models.uplift.groups import Calibration, Groups, calibrate, groups_that_hold, learn_groups, load_calibration, load_groups
from remit.models.uplift.judging import Judged, choose, judge, load_judged
from remit.models.uplift.learners import learn_dr, learn_s, learn_t, learn_x, load_dr, load_s, load_t, load_x
from remit.models.uplift.linear import learn_linear, load_linear
from remit.models.uplift.nuisances import Nuisances, learn_nuisances, overlap, scores
from remit.models.uplift.sample import Sample, sample

NAME = "uplift"

_LEAST_TO_COMPARE = 20
_LARGE = 100_000
_JUDGED = 20_000
_COMPARED = 30_000
_LEARNT = 300_000
"""Above `_LARGE` rows, how many judge learners and as many the groups, how many learners learn from to be compared, and the chosen one learns from: more change
little but the time."""


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
    """A trained uplift model: the `learner` taken, its calibration and groups per arm, how all learners did (`judged`), and `facts` as plain values. `grouping`
    forms the groups: the same learner after learning from the half of the rows that did not measure them (None: `learned` itself did not learn from those)."""

    columns: tuple[str, ...]
    learner: str
    learned: Learned
    grouping: Learned | None
    calibrations: tuple[Calibration, ...]
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
        estimate = np.column_stack([line.of(column) for line, column in zip(self.calibrations, raw.T, strict=True)])
        expected = raw if self.grouping is None else self.grouping.effect(matrix, threads)
        group = np.column_stack([groups.of(column) for groups, column in zip(self.groups, expected.T, strict=True)])
        mean, low, high = (np.column_stack([getattr(g, side)[n] for g, n in zip(self.groups, group.T, strict=True)]) for side in ("mean", "low", "high"))
        error = getattr(self.learned, "error", None)
        reach = None if error is None else Z_90 * error(matrix, threads)
        return Effects(estimate, mean, low, high, group, None if reach is None else raw - reach, None if reach is None else raw + reach)

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        body, parts = self.learned.dump()
        grouping, halved = (None, {}) if self.grouping is None else self.grouping.dump()
        model = {
            "estimator": NAME,
            "columns": list(self.columns),
            "learner": self.learner,
            "learned": body,
            "grouping": grouping,
            "calibrations": [line.dump() for line in self.calibrations],
            "groups": [groups.dump() for groups in self.groups],
            "judged": [judged.dump() for judged in self.judged],
            "facts": dict(self.facts),
        }
        return seal(model, parts | {f"grouping-{name}": part for name, part in halved.items()})


def load(parts: Parts) -> Uplift:
    """The uplift model stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    model = unseal(parts, NAME)
    learner = LEARNERS[model["learner"]]
    learned = learner.load(model["learned"], parts)
    halved = {name.removeprefix("grouping-"): part for name, part in parts.items() if name.startswith("grouping-")}
    grouping = None if model["grouping"] is None else learner.load(model["grouping"], halved)
    calibrations, groups = tuple(load_calibration(each) for each in model["calibrations"]), tuple(load_groups(each) for each in model["groups"])
    judged = tuple(load_judged(each) for each in model["judged"])
    return Uplift(tuple(model["columns"]), model["learner"], learned, grouping, calibrations, groups, judged, model["facts"])


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
    calibrations = tuple(calibrate(*of_arm) for of_arm in zip(trial.expected.T, trial.scores.T, trial.weights.T, strict=True))
    facts = {
        "seed": seed,
        "rows": len(rows),
        "rows_judged": len(trial.scores),
        "arms": np.bincount(rows.arm, minlength=rows.arms).tolist(),
        "probabilities": "given" if rows.chances is not None else "estimated",
        "verdict": verdict(trial.judged, trial.chosen),
    }
    return Uplift(columns, trial.chosen, trial.learned, trial.grouping, calibrations, trial.groups, trial.judged, facts)


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
    grouping: Learned | None
    groups: tuple[Groups, ...]
    judged: tuple[Judged, ...]
    expected: Floats
    scores: Floats
    weights: Floats


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
    grouping, groups = _grouped(rows, told, chosen, seed, threads)
    return _Trial(chosen, learned, grouping, groups, judged_all, effects[chosen], told, weights)


def _grouped(rows: Sample, told: Floats, chosen: str, seed: int, threads: int) -> tuple[Learned | None, tuple[Groups, ...]]:
    """The model that forms groups, of one half of the rows, and the groups, measured on the other. Where an arm bears one group only, all rows measure it."""
    half = rows.folds(2, seed + 2) == 0
    others = np.flatnonzero(~half)
    counts = [groups_that_hold(told[others, place], _given(rows.arm[others], place + 1)) for place in range(rows.arms - 1)]
    if max(counts) == 1:
        expected, grouping = np.zeros_like(told), None
    else:
        learn = rows.take(np.flatnonzero(half))
        grouping = LEARNERS[chosen].learn(learn, learn_nuisances(learn, seed, threads), seed, threads)
        expected = grouping.effect(rows.matrix, threads)
    groups = []
    for place, count in enumerate(counts):
        some = others if count > 1 else np.arange(len(rows))
        groups.append(learn_groups(expected[some, place], told[some, place], _given(rows.arm[some], place + 1), count))
    return grouping, tuple(groups)


def _large(rows: Sample, asked: tuple[str, ...], seed: int, threads: int) -> _Trial:
    """Some rows are left out for good, some to judge learners and some to measure groups; learners are compared after learning from some of the others, and the
    chosen one learns from more."""
    fold = rows.folds(len(rows) // _JUDGED, seed)
    judges, measures, others = rows.take(np.flatnonzero(fold == 0)), rows.take(np.flatnonzero(fold == 1)), np.flatnonzero(fold > 1)
    some, most = others[:: -(-len(others) // _COMPARED)], others[:: -(-len(others) // _LEARNT)]
    found, told, weights = _left_out(rows.take(some), judges, asked, seed, threads)
    judged = judge(found, told, weights, seed)
    chosen = choose(judged)
    rest = rows.take(most)
    nuisances = learn_nuisances(rest, seed, threads)
    learned = LEARNERS[chosen].learn(rest, nuisances, seed, threads)
    measured, expected = scores(measures, *nuisances.of(measures, threads)), learned.effect(measures.matrix, threads)
    groups = []
    for place in range(rows.arms - 1):
        given = _given(measures.arm, place + 1)
        groups.append(learn_groups(expected[:, place], measured[:, place], given, groups_that_hold(measured[:, place], given)))
    return _Trial(chosen, learned, None, tuple(groups), judged, learned.effect(judges.matrix, threads), told, weights)


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
