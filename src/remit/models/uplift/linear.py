"""A linear learner: each effect is a line in the features, with an interval for each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from remit.models.uplift.algebra import Floats, factor, gram, solve, times
from remit.models.uplift.encoder import Encoder, learn_encoder, load_encoder
from remit.models.uplift.nuisances import Nuisances, overlap, scores
from remit.models.uplift.sample import Sample

_PENALTIES = tuple(10.0**power for power in np.arange(-3.0, 3.25, 0.5))
_MOST = 300_000
_CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class Line:
    """One effect: `slopes` (intercept first) of the encoded features, and the covariance of their errors."""

    slopes: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class Linear:
    """A line for each arm but control."""

    encoder: Encoder
    lines: tuple[Line, ...]

    def effect(self, matrix: Floats, threads: int) -> Floats:  # noqa: ARG002  # learners are asked the same
        return self._chunks(matrix, lambda rows, line: times(rows, np.ascontiguousarray(line.slopes[:, None]))[:, 0])

    def error(self, matrix: Floats, threads: int) -> Floats:  # noqa: ARG002  # learners are asked the same
        """The standard error of each effect (n x arms - 1), if effects are lines."""
        return self._chunks(matrix, lambda rows, line: np.sqrt((times(rows, line.covariance) * rows).sum(axis=1)))

    def _chunks(self, matrix: Floats, answer: Any) -> Floats:
        if not len(matrix):
            return np.empty((0, len(self.lines)))
        parts = []
        for start in range(0, len(matrix), _CHUNK):
            rows = _with_one(self.encoder.encode(matrix[start : start + _CHUNK]))
            parts.append(np.column_stack([answer(rows, line) for line in self.lines]))
        return np.concatenate(parts)

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        parts = {}
        for place, line in enumerate(self.lines):
            parts[f"slopes-{place}.f64"] = line.slopes.astype("<f8").tobytes()
            parts[f"covariance-{place}.f64"] = line.covariance.astype("<f8").tobytes()
        return {"encoder": self.encoder.dump(), "lines": len(self.lines)}, parts


def load_linear(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Linear:
    lines = []
    for place in range(body["lines"]):
        slopes = np.frombuffer(parts[f"slopes-{place}.f64"], "<f8").astype(np.float64)
        lines.append(Line(slopes, np.frombuffer(parts[f"covariance-{place}.f64"], "<f8").astype(np.float64).reshape(len(slopes), len(slopes))))
    return Linear(load_encoder(body["encoder"]), tuple(lines))


def learn_linear(rows: Sample, nuisances: Nuisances, seed: int, threads: int) -> Linear:  # noqa: ARG001  # learners take the same
    """Ridge regression of doubly robust scores, weighted by overlap: with two arms the R-learner of a line (Nie & Wager 2021, Biometrika 108)."""
    step = -(-len(rows) // _MOST)
    targets = scores(rows, nuisances.expected, nuisances.chances)[::step]
    weights = overlap(nuisances.chances)[::step]
    encoder = learn_encoder(rows.matrix[::step], rows.categorical)
    encoded = _with_one(encoder.encode(rows.matrix[::step]))
    return Linear(encoder, tuple(_line(encoded, target, weight) for target, weight in zip(targets.T, weights.T, strict=True)))


def _line(rows: Floats, target: Floats, weight: Floats) -> Line:
    """The line whose penalty makes the scores most probable, slopes being drawn alike around nothing (MacKay 1992, Neural Computation 4); its errors are those
    that rows show (sandwich, White 1980), and what the penalty draws in."""
    many, width = rows.shape
    square, product = gram(rows, weight, target)
    total = float((weight * target**2).sum())
    free = np.diag(np.r_[0.0, np.ones(width - 1)])
    best: tuple[float, float, Floats, Floats, float] | None = None
    for penalty in _PENALTIES if width > 1 else (1.0,):
        added = penalty * many * 0.01
        upper = factor(square + added * free)
        slopes = solve(upper, product)
        noise = max((total - float((slopes * product).sum())) / max(many - 1, 1), np.finfo(float).tiny)
        evidence = (width - 1) * np.log(added) - 2 * np.log(np.diag(upper)).sum() - (many - 1) * np.log(noise)
        if best is None or evidence > best[0]:
            best = (float(evidence), added, slopes, upper, noise)
    assert best is not None  # noqa: S101  # there are penalties
    _, added, slopes, upper, noise = best
    left = target - (rows * slopes).sum(axis=1)
    scaled = weight * left
    meat = gram(rows, scaled * scaled, target)[0] * many / max(many - min(width, many // 2), 1) + added * noise * free
    inverse = solve(upper, np.eye(width))
    return Line(slopes, times(times(inverse, meat), inverse))


def _with_one(encoded: Floats) -> Floats:
    return np.column_stack([np.ones(len(encoded)), encoded])
