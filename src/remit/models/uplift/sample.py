"""The rows an uplift model is trained on, and all that can be wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from remit.models.errors import ModelError
from remit.models.uplift.algebra import Floats, Ints

LEAST_ROWS = 2
"""Rows that each arm needs: with one, nothing says how much outcomes vary."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Row i is one HCP: features `matrix[i]` (NaN: unknown), what was done `arm[i]` (0: nothing), the outcome, and with `chances` (n x arms) the probability of
    each arm. `categorical` are the places of columns whose numbers are names."""

    matrix: Floats
    arm: Ints
    outcome: Floats
    chances: Floats | None
    arms: int
    categorical: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def smallest(self) -> int:
        """The rows of the smallest arm."""
        return int(np.bincount(self.arm, minlength=self.arms).min())

    def take(self, rows: Ints) -> "Sample":
        """Some of the rows."""
        chances = None if self.chances is None else self.chances[rows]
        return Sample(self.matrix[rows], self.arm[rows], self.outcome[rows], chances, self.arms, self.categorical)

    def folds(self, count: int, seed: int) -> Ints:
        """A fold (0 to `count` - 1) for each row, drawn within arms so that each fold has its share of every arm."""
        draw = np.random.default_rng(seed)
        fold = np.empty(len(self), dtype=np.int64)
        start = 0
        for arm in range(self.arms):
            rows = draw.permutation(np.flatnonzero(self.arm == arm))
            fold[rows] = (start + np.arange(len(rows))) % count
            start += len(rows)
        return fold


def sample(matrix: Floats, arm: Ints, outcome: Floats, probabilities: Floats | None, names: Sequence[str], categorical: Sequence[str]) -> Sample:
    """The rows, checked. Raises `ModelError` with all that is wrong with them."""
    faults = _shapes(matrix, arm, outcome, probabilities, names, categorical)
    if not faults:
        faults = _values(matrix, arm, outcome, names) + (_chances(probabilities, arm) if probabilities is not None and arm.min() >= 0 else [])
    if faults:
        raise ModelError("an uplift model cannot be trained", faults=faults, do="Mend or leave out these rows, columns or arms.")
    arms = probabilities.shape[1] if probabilities is not None else int(arm.max()) + 1
    places = tuple(sorted(list(names).index(name) for name in categorical))
    chances = None if probabilities is None else np.ascontiguousarray(probabilities, dtype=np.float64)
    return Sample(np.ascontiguousarray(matrix, dtype=np.float64), arm.astype(np.int64), outcome.astype(np.float64), chances, arms, places)


def _shapes(matrix: Floats, arm: Ints, outcome: Floats, probabilities: Floats | None, names: Sequence[str], categorical: Sequence[str]) -> list[str]:
    if matrix.ndim != 2:
        return [f"the matrix has {matrix.ndim} dimensions, not two (rows and columns)"]
    faults = [] if len(names) == matrix.shape[1] else [f"there are {len(names)} names for {matrix.shape[1]} columns"]
    faults += [] if len(set(names)) == len(names) else ["some columns have the same name"]
    faults += [f"there is no column `{name}` to be categorical" for name in categorical if name not in names]
    for name, column in (("arm", arm), ("outcome", outcome)):
        if column.ndim != 1 or len(column) != len(matrix):
            faults.append(f"`{name}` has the shape {column.shape}, the matrix {len(matrix)} rows")
    if not np.issubdtype(arm.dtype, np.integer):
        faults.append(f"`arm` holds {arm.dtype}, not whole numbers")
    if probabilities is not None and (probabilities.ndim != 2 or len(probabilities) != len(matrix)):
        faults.append(f"`probabilities` has the shape {probabilities.shape}, not {len(matrix)} rows and a column for each arm")
    return faults if len(matrix) else [*faults, "there are no rows"]


def _values(matrix: Floats, arm: Ints, outcome: Floats, names: Sequence[str]) -> list[str]:
    faults = [f"the column `{names[place]}` holds an infinite number" for place in np.flatnonzero(np.isinf(matrix).any(axis=0)).tolist()]
    if not np.isfinite(outcome).all():
        faults.append(f"the outcome is not a number in {int((~np.isfinite(outcome)).sum())} rows, first in row {int(np.argmin(np.isfinite(outcome)))}")
    if arm.min() < 0:
        return [*faults, f"the arm is {arm.min()} in row {int(np.argmin(arm))}: arms are 0 (control), 1, 2 and so on"]
    if arm.max() >= 1_000:
        return [*faults, f"the arm is {arm.max()} in row {int(np.argmax(arm))}: number the arms without gaps"]
    return faults + _few(np.bincount(arm, minlength=2))


def _few(counts: Ints) -> list[str]:
    return [
        f"arm {arm}{' (control)' if arm == 0 else ''} has {count} row{'' if count == 1 else 's'}; it needs at least {LEAST_ROWS}"
        for arm, count in enumerate(counts.tolist())
        if count < LEAST_ROWS
    ]


def _chances(probabilities: Floats, arm: Ints) -> list[str]:
    if probabilities.shape[1] <= arm.max():
        return [f"`probabilities` has {probabilities.shape[1]} columns, and there is an arm {arm.max()}"]
    faults = _few(np.bincount(arm, minlength=probabilities.shape[1]))[len(_few(np.bincount(arm, minlength=2))) :]
    total = probabilities.sum(axis=1)
    if not np.isfinite(probabilities).all() or (probabilities < 0).any() or (np.abs(total - 1) > 1e-6).any():
        wrong = ~np.isfinite(total) | (probabilities < 0).any(axis=1) | (np.abs(total - 1) > 1e-6)
        return [*faults, f"the probabilities of {int(wrong.sum())} rows are not between 0 and 1 with sum 1, first in row {int(np.argmax(wrong))}"]
    given = probabilities[np.arange(len(arm)), arm]
    none = (probabilities <= 0).any(axis=1)
    if (given <= 0).any():
        faults.append(f"what was done had probability 0 in {int((given <= 0).sum())} rows, first in row {int(np.argmin(given))}")
    elif none.any():
        faults.append(f"some arm had probability 0 in {int(none.sum())} rows, first in row {int(np.argmax(none))}: nothing is known of its effect there")
    return faults
