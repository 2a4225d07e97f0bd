"""What an outcome is expected to be: a ridge line and boosted trees for what the line leaves, or trees alone.

How strong the ridge and how many trees is settled on rows held back, both down to nothing (a mean). A line first: trees alone need many rows to draw one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np

from remit.models.boosting import boost, from_text, raw_scores, seedling, to_text
from remit.models.uplift.algebra import Floats, Ints, apply, factor, gram, solve
from remit.models.uplift.encoder import Encoder, learn_encoder, load_encoder

_RIDGES = (0.003, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Penalties tried, as shares of the number of rows; besides them: no line at all."""

_SETTINGS: Mapping[str, int | float] = {"num_leaves": 8, "lambda_l2": 1.0, "max_bin": 63, "bin_construct_sample_cnt": 10_000}
_FEW, _MANY = 2_000, 20_000
_FOLDS = 3
_ROUNDS = (16, 32, 64, 128, 256)
_MOST_TO_SETTLE = 60_000
_MOST_FOR_THE_LINE = 50_000
_CHUNK = 100_000
_LEAST_FOR_TREES = 40


@dataclass(frozen=True, slots=True)
class Regression:
    """`mean` + the encoded features times `slopes` + what the trees say."""

    encoder: Encoder
    mean: float
    slopes: Floats
    trees: lgb.Booster | None

    def predict(self, matrix: Floats, threads: int) -> Floats:
        """The expected outcome of each row; each row's own, whatever the other rows."""
        answer = np.full(len(matrix), self.mean)
        if self.slopes.any():
            for start in range(0, len(matrix), _CHUNK):
                answer[start : start + _CHUNK] += apply(self.encoder.encode(matrix[start : start + _CHUNK]), self.slopes)
        if self.trees is not None:
            answer += raw_scores(self.trees, matrix, threads)
        return answer

    def dump(self) -> tuple[dict[str, Any], bytes]:
        """Plain values, numbers as text, and the trees."""
        body = {"encoder": self.encoder.dump(), "mean": repr(self.mean), "slopes": [repr(slope) for slope in self.slopes.tolist()]}
        return body, b"" if self.trees is None else to_text(self.trees)


def load_regression(body: Mapping[str, Any], trees: bytes) -> Regression:
    """What `dump` wrote."""
    slopes = np.array([float(slope) for slope in body["slopes"]])
    return Regression(load_encoder(body["encoder"]), float(body["mean"]), slopes, from_text(trees) if trees else None)


def regress(matrix: Floats, target: Floats, categorical: tuple[int, ...], *, seed: int, threads: int, line: bool = True) -> Regression:
    """The regression of `target` on `matrix` (NaN: unknown). With a handful of rows or a target that does not vary: its mean."""
    if len(target) < 8 or target.min() == target.max():
        return Regression(Encoder((), ()), float(target.mean()), np.empty(0), None)
    penalty, rounds = _settle(matrix, target, categorical, (None, *_RIDGES[::-1]) if line else (None,), seed, threads)
    start = _line(matrix, target, categorical, [penalty])[0]
    return _with_trees(start, matrix, target, categorical, rounds, seed, threads)


def _settle(
    matrix: Floats, target: Floats, categorical: tuple[int, ...], choices: tuple[float | None, ...], seed: int, threads: int
) -> tuple[float | None, int]:
    """The penalty (None: no line) and the number of trees with the least squared error on rows held back: the best line with trees, or trees alone."""
    order = np.random.default_rng(seed).permutation(len(target))[:_MOST_TO_SETTLE]
    parts = np.arange(len(order)) % (_FOLDS if len(order) > 8 else 2)
    held = range(parts.max() + 1) if len(order) < _FEW else range(1)
    splits = [(order[parts != part], order[parts == part]) for part in held]
    lines = [_line(matrix[learn], target[learn], categorical, list(choices)) for learn, _ in splits]
    errors = np.zeros(len(choices))
    for found, (_, judge) in zip(lines, splits, strict=True):
        encoded = found[0].encoder.encode(matrix[judge])
        errors += [_squares(line.mean + apply(encoded, line.slopes), target[judge]) for line in found]
    if len(splits[0][0]) < _LEAST_FOR_TREES:
        return choices[int(np.argmin(errors))], 0
    tried = []
    for place in dict.fromkeys((int(np.argmin(errors)), choices.index(None))):
        starts = [(found[place], learn, judge) for found, (learn, judge) in zip(lines, splits, strict=True)]
        tried.append((*_settle_rounds(starts, matrix, target, categorical, seed, threads), choices[place]))
    _, rounds, penalty = min(tried, key=lambda each: each[0])
    return penalty, rounds


def _settle_rounds(
    starts: list[tuple[Regression, Ints, Ints]], matrix: Floats, target: Floats, categorical: tuple[int, ...], seed: int, threads: int
) -> tuple[float, int]:
    """The least error and its number of trees, doubled for as long as the most that were tried did best (two numbers are always tried)."""
    lefts = [(target[learn] - line.predict(matrix[learn], threads), target[judge] - line.predict(matrix[judge], threads)) for line, learn, judge in starts]
    grown = []
    for (left, _), (_, learn, _) in zip(lefts, starts, strict=True):
        settings = _settings(len(target), len(learn))
        grown.append(seedling(matrix[learn], left, objective="regression", settings=settings, categorical=list(categorical), seed=seed, threads=threads))
    judged = [matrix[judge] for _, _, judge in starts]
    forecasts = [np.zeros(len(each)) for each in judged]
    errors = {0: sum(_squares(forecast, left) for forecast, (_, left) in zip(forecasts, lefts, strict=True))}
    count = 0
    for most in _ROUNDS:
        for trees, rows, forecast in zip(grown, judged, forecasts, strict=True):
            for _ in range(most - count):
                trees.update()
            forecast += raw_scores(trees, rows, threads, most - count, count)
        count = most
        errors[count] = sum(_squares(forecast, left) for forecast, (_, left) in zip(forecasts, lefts, strict=True))
        best = min(errors, key=lambda tried: (errors[tried], tried))
        if best < count and count != _ROUNDS[0]:
            break
    return errors[best], best


def _line(matrix: Floats, target: Floats, categorical: tuple[int, ...], penalties: list[float | None]) -> list[Regression]:
    """A ridge line for each penalty."""
    step = -(-len(target) // _MOST_FOR_THE_LINE)
    matrix, target = matrix[::step], target[::step]
    encoder = learn_encoder(matrix, categorical)
    mean = float(target.mean())
    nothing = Regression(encoder, mean, np.zeros(encoder.width), None)
    if not encoder.width or penalties == [None]:
        return [nothing] * len(penalties)
    rows = encoder.encode(matrix)
    centre = rows.mean(axis=0)
    square, product = gram(rows - centre, np.ones(len(rows)), target - mean)
    answer = []
    for penalty in penalties:
        if penalty is None:
            answer.append(nothing)
            continue
        slopes = solve(factor(square + penalty * len(rows) * np.eye(len(square))), product)
        answer.append(Regression(encoder, mean - float((centre * slopes).sum()), slopes, None))
    return answer


def _with_trees(line: Regression, matrix: Floats, target: Floats, categorical: tuple[int, ...], rounds: int, seed: int, threads: int) -> Regression:
    if not rounds:
        return line
    left = target - line.predict(matrix, threads)
    settings = _settings(len(target), len(target))
    trees = boost(matrix, left, objective="regression", settings=settings, rounds=rounds, categorical=list(categorical), seed=seed, threads=threads)
    return Regression(line.encoder, line.mean, line.slopes, trees)


def _settings(rows: int, learning: int) -> dict[str, int | float]:
    """Of trees for a target of so many rows, that learn from so many of them."""
    return {"learning_rate": 0.05 if rows < _MANY else 0.1, "min_data_in_leaf": int(np.clip(learning // 100, 5, 200)), **_SETTINGS}


def _squares(forecast: Floats, target: Floats) -> float:
    return float(((target - forecast) ** 2).sum())
