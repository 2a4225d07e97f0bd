"""The revised simplex method on a dense basis inverse, for the small master problem: no library of linear algebra, so the same floats everywhere."""

from remit.arbiter.kernel import entry, kernel
from remit.arbiter.rows import Ints
from remit.arbiter.sweep import Floats

PIVOTS = 20_000
_TINY = 1e-9


@entry
def maximise(columns: Floats, worth: Floats, right: Floats, basis: Ints, inverse: Floats, multiplier: Floats) -> None:
    """Maximise worth.x subject to columns'.x = right, x >= 0, from a feasible `basis`, which is left optimal; `multiplier` takes the rows' multipliers."""
    rows = len(right)
    _invert(columns, basis, inverse)
    level = right.copy()
    way = right.copy()
    for i in range(rows):
        level[i] = 0.0
        for k in range(rows):
            level[i] += inverse[i, k] * right[k]
    for _ in range(PIVOTS):
        for k in range(rows):
            multiplier[k] = 0.0
        for i in range(rows):
            if worth[basis[i]] != 0.0:
                for k in range(rows):
                    multiplier[k] += worth[basis[i]] * inverse[i, k]
        enter = _entering(columns, worth, multiplier)
        if enter < 0:
            return
        leave = _leaving(columns, inverse, level, enter, way)
        if leave < 0:
            return
        _pivot(inverse, level, way, leave)
        basis[leave] = enter


@kernel
def _entering(columns: Floats, worth: Floats, multiplier: Floats) -> int:
    best, enter = _TINY, -1
    for j in range(len(worth)):
        gain = worth[j]
        for k in range(len(multiplier)):
            if columns[j, k] != 0.0:
                gain -= multiplier[k] * columns[j, k]
        gain /= 1.0 + abs(worth[j])
        if gain > best:
            best, enter = gain, j
    return enter


@kernel
def _leaving(columns: Floats, inverse: Floats, level: Floats, enter: int, way: Floats) -> int:
    """The row whose variable reaches 0 first as the entering one grows; of equals the one with the greatest pivot. -1 if none does."""
    leave, least = -1, 0.0
    for i in range(len(level)):
        way[i] = 0.0
    for k in range(len(level)):
        if columns[enter, k] != 0.0:
            for i in range(len(level)):
                way[i] += inverse[i, k] * columns[enter, k]
    for i in range(len(level)):
        if way[i] > _TINY:
            ratio = max(level[i], 0.0) / way[i]
            if leave < 0 or ratio < least or (ratio == least and way[i] > way[leave]):
                leave, least = i, ratio
    return leave


@kernel
def _pivot(inverse: Floats, level: Floats, way: Floats, leave: int) -> None:
    rows = len(level)
    level[leave] /= way[leave]
    for k in range(rows):
        inverse[leave, k] /= way[leave]
    for i in range(rows):
        if i != leave and way[i] != 0.0:
            level[i] -= way[i] * level[leave]
            for k in range(rows):
                inverse[i, k] -= way[i] * inverse[leave, k]


@kernel
def _invert(columns: Floats, basis: Ints, inverse: Floats) -> None:
    """The inverse of the basis matrix by Gauss and Jordan's elimination with row exchanges."""
    rows = len(basis)
    matrix = inverse.copy()
    for i in range(rows):
        for k in range(rows):
            matrix[k, i] = columns[basis[i], k]
            inverse[k, i] = 1.0 if i == k else 0.0
    for i in range(rows):
        pivot = i
        for k in range(i + 1, rows):
            if abs(matrix[k, i]) > abs(matrix[pivot, i]):
                pivot = k
        scale = 1.0 / matrix[pivot, i]
        for j in range(rows):
            matrix[i, j], matrix[pivot, j] = matrix[pivot, j] * scale, matrix[i, j] if pivot != i else matrix[pivot, j] * scale
            inverse[i, j], inverse[pivot, j] = inverse[pivot, j] * scale, inverse[i, j] if pivot != i else inverse[pivot, j] * scale
        for k in range(rows):
            factor = matrix[k, i]
            if k != i and factor != 0.0:
                for j in range(rows):
                    matrix[k, j] -= factor * matrix[i, j]
                    inverse[k, j] -= factor * inverse[i, j]
