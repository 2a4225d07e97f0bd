"""Linear algebra with sums in a fixed order: BLAS and LAPACK may sum in another order with other threads, and stored models must not depend on that."""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])

_numba: Any = numba.njit(nogil=True, error_model="numpy")

_EXACT = {1: 6.313751514675043, 2: 2.919985580355516}
_NORMAL_90 = 1.6448536269514722


def _njit(function: F) -> F:
    """`function` compiled; no fast-math, so sums keep their order."""
    return cast(F, _numba(function))


def student_90(freedom: float) -> float:
    """Student's quantile of a two-sided 90% interval, for `freedom` >= 1 (Abramowitz & Stegun 1964, 26.7.5; exact for 1 and 2)."""
    if freedom < 3:
        low = int(max(freedom, 1))
        return _EXACT[min(low, 2)]
    z = _NORMAL_90
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom ** (power + 1) for power, term in enumerate(terms))


@_njit
def gram(rows: Floats, weight: Floats, target: Floats) -> tuple[Floats, Floats]:
    """rows' W rows (p x p) and rows' W target (p), of `rows` (n x p)."""
    many, width = rows.shape
    square, product = np.zeros((width, width)), np.zeros(width)
    for i in range(many):
        row = rows[i]
        for j in range(width):
            scaled = weight[i] * row[j]
            product[j] += scaled * target[i]
            if scaled != 0.0:
                for k in range(j, width):
                    square[j, k] += scaled * row[k]
    for j in range(width):
        for k in range(j):
            square[j, k] = square[k, j]
    return square, product


@_njit
def factor(matrix: Floats) -> Floats:
    """The upper triangle U with U'U = `matrix` (Cholesky); a diagonal of NaN where the matrix is not positive."""
    upper = matrix.copy()
    many = len(upper)
    for k in range(many):
        upper[k, k] = math.sqrt(upper[k, k])
        for j in range(k + 1, many):
            upper[k, j] /= upper[k, k]
        for i in range(k + 1, many):
            scale = upper[k, i]
            for j in range(i, many):
                upper[i, j] -= scale * upper[k, j]
    for i in range(many):
        for j in range(i):
            upper[i, j] = 0.0
    return upper


@_njit
def forward(upper: Floats, right: Floats) -> Floats:
    """U'^-1 `right` (n x m)."""
    answer = right.copy()
    many, width = answer.shape
    for i in range(many):
        for j in range(width):
            answer[i, j] /= upper[i, i]
        for k in range(i + 1, many):
            scale = upper[i, k]
            for j in range(width):
                answer[k, j] -= scale * answer[i, j]
    return answer


@_njit
def backward(upper: Floats, right: Floats) -> Floats:
    """U^-1 `right` (n x m)."""
    answer = right.copy()
    many, width = answer.shape
    for i in range(many - 1, -1, -1):
        for k in range(i + 1, many):
            scale = upper[i, k]
            for j in range(width):
                answer[i, j] -= scale * answer[k, j]
        for j in range(width):
            answer[i, j] /= upper[i, i]
    return answer


@_njit
def times(left: Floats, right: Floats) -> Floats:
    """`left` (n x m) times `right` (m x p)."""
    many, inner = left.shape
    width = right.shape[1]
    answer = np.zeros((many, width))
    for i in range(many):
        for k in range(inner):
            scale = left[i, k]
            for j in range(width):
                answer[i, j] += scale * right[k, j]
    return answer


@_njit
def distances(left: Floats, right: Floats) -> Floats:
    """The squared distance between each row of `left` (n x p) and each of `right` (m x p)."""
    answer = np.zeros((len(left), len(right)))
    for i in range(len(left)):
        for j in range(len(right)):
            total = 0.0
            for k in range(left.shape[1]):
                gap = left[i, k] - right[j, k]
                total += gap * gap
            answer[i, j] = total
    return answer


def solve(upper: Floats, right: Floats) -> Floats:
    """(U'U)^-1 `right`, a vector or the columns of a matrix."""
    columns = right if right.ndim == 2 else right[:, None]
    answer: Floats = backward(upper, forward(upper, np.ascontiguousarray(columns)))
    return answer if right.ndim == 2 else answer[:, 0]


def apply(rows: Floats, weights: Floats) -> Floats:
    """`rows` (n x p) times the vector `weights` (p)."""
    answer: Floats = times(rows, np.ascontiguousarray(weights[:, None]))
    return answer[:, 0]
