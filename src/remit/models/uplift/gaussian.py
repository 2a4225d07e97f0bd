"""A Gaussian process for small samples: outcome = shared(features) + own[arm](features) + noise[arm], all smooth, with an interval for each row's effects.

The shared and the own parts each are a constant, a line and a smooth function of the features (Rasmussen & Williams 2006, chapters 2 and 5; for effects Alaa &
van der Schaar 2017, NeurIPS). How much each may vary, and how fast, is what makes the outcomes most probable: without a shared part it is a T-learner, and
where arms differ little, all rows tell of all arms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from remit.models.uplift.algebra import Floats, Ints, distances, factor, forward, solve, times
from remit.models.uplift.encoder import Encoder, learn_encoder, load_encoder
from remit.models.uplift.nuisances import Nuisances
from remit.models.uplift.sample import Sample

MOST_ROWS = 2_000
"""Rows above which a process takes too long: time grows with the third power."""

_TO_SETTLE = 400
_FLAT = 10.0
_SHARED = (0.3, 0.3, 1.0, 1.0)
_OWN = (0.2, 0.2, 0.4)
"""Where the search starts: the variance of the shared line and smooth part, the reach of that and of the own smooth parts; then for each arm the variance of
its own line and smooth part, and of its noise; outcomes having variance 1."""

_STEPS = (1.2, 1.2, 0.6, 0.6, 0.3)
_DOUBT = 2.0
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Process:
    """The encoded rows it learned from with their arms and outcomes, and `scales` (see `_SHARED`, `_OWN`); the rest follows from these."""

    encoder: Encoder
    rows: Floats
    arm: Ints
    outcome: Floats
    arms: int
    scales: Floats
    weights: Floats
    upper: Floats

    def effect(self, matrix: Floats, threads: int) -> Floats:  # noqa: ARG002  # learners are asked the same
        return self._chunks(matrix, self._means)

    def error(self, matrix: Floats, threads: int) -> Floats:  # noqa: ARG002  # learners are asked the same
        """The standard deviation of each effect given the outcomes (n x arms - 1)."""
        return self._chunks(matrix, self._deviations)

    def _chunks(self, matrix: Floats, answer: Any) -> Floats:
        parts = [answer(self.encoder.encode(matrix[start : start + _CHUNK])) for start in range(0, len(matrix), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty((0, self.arms - 1))

    def _means(self, asked: Floats) -> Floats:
        expected = []
        for arm in range(self.arms):
            inside = np.flatnonzero(self.arm == arm)
            kernel = _own(
                times(asked, np.ascontiguousarray(self.rows[inside].T)) / max(self.rows.shape[1], 1), _gaps(asked, self.rows[inside]), self.scales, arm
            )
            expected.append(times(kernel, np.ascontiguousarray(self.weights[inside][:, None]))[:, 0])
        return np.column_stack([each - expected[0] for each in expected[1:]]) * _deviation(self.outcome)

    def _deviations(self, asked: Floats) -> Floats:
        size = (asked**2).sum(axis=1) / max(self.rows.shape[1], 1)
        inner, gaps = _inner(self.rows, asked), _gaps(self.rows, asked)
        white, prior = [], []
        for arm in range(self.arms):
            kernel = np.where((self.arm == arm)[:, None], _own(inner, gaps, self.scales, arm), 0.0)
            white.append(forward(self.upper, kernel))
            prior.append(_own(size, np.zeros(len(asked)), self.scales, arm))
        left = [prior[0] + prior[arm] - ((white[arm] - white[0]) ** 2).sum(axis=0) for arm in range(1, self.arms)]
        return np.asarray(np.sqrt(np.maximum(np.column_stack(left), 0.0)) * _deviation(self.outcome))

    def dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        body = {"encoder": self.encoder.dump(), "arms": self.arms, "scales": [repr(scale) for scale in self.scales.tolist()]}
        parts = {
            "rows.f64": self.rows.astype("<f8").tobytes(),
            "arm.i64": self.arm.astype("<i8").tobytes(),
            "outcome.f64": self.outcome.astype("<f8").tobytes(),
        }
        return body, parts


def load_gaussian(body: Mapping[str, Any], parts: Mapping[str, bytes]) -> Process:
    encoder = load_encoder(body["encoder"])
    rows = np.frombuffer(parts["rows.f64"], "<f8").astype(np.float64).reshape(-1, encoder.width)
    arm = np.frombuffer(parts["arm.i64"], "<i8").astype(np.int64)
    outcome = np.frombuffer(parts["outcome.f64"], "<f8").astype(np.float64)
    return _process(encoder, rows, arm, outcome, body["arms"], np.array([float(scale) for scale in body["scales"]]))


def learn_gaussian(rows: Sample, nuisances: Nuisances, seed: int, threads: int) -> Process:  # noqa: ARG001  # learners take the same
    """The process of these rows; scales are settled on at most `400` of them."""
    encoder = learn_encoder(rows.matrix, rows.categorical)
    encoded = encoder.encode(rows.matrix)
    some = np.sort(_some(rows, seed))
    scales = _settle(encoded[some], rows.arm[some], _standard(rows.outcome)[some], rows.arms)
    return _process(encoder, encoded, rows.arm, rows.outcome, rows.arms, scales)


def _process(encoder: Encoder, rows: Floats, arm: Ints, outcome: Floats, arms: int, scales: Floats) -> Process:
    upper = factor(_covariance(_inner(rows, rows), _gaps(rows, rows), arm, scales))
    return Process(encoder, rows, arm, outcome, arms, scales, solve(upper, _standard(outcome)), upper)


def _some(rows: Sample, seed: int) -> Ints:
    if len(rows) <= _TO_SETTLE:
        return np.arange(len(rows))
    return np.flatnonzero(rows.folds(-(-len(rows) // _TO_SETTLE), seed) == 0)


def _settle(rows: Floats, arm: Ints, outcome: Floats, arms: int) -> Floats:
    """The scales that make the outcomes most probable, searched one at a time in ever smaller steps of their logarithms."""
    inner, gaps = _inner(rows, rows), _gaps(rows, rows)
    start = np.log(np.r_[_SHARED, np.tile(_OWN, arms)])

    def merit(logs: Floats) -> float:
        upper = factor(_covariance(inner, gaps, arm, np.exp(logs)))
        white = forward(upper, np.ascontiguousarray(outcome[:, None]))
        return float(-0.5 * (white**2).sum() - np.log(np.diag(upper)).sum() - 0.5 * (((logs - start) / _DOUBT) ** 2).sum())

    logs, found = start, merit(start)
    for step in _STEPS:
        for place in range(len(logs)):
            for side in (step, -step):
                tried = logs.copy()
                tried[place] += side
                value = merit(tried)
                if value > found:
                    logs, found = tried, value
                    break
    return np.asarray(np.exp(logs))


def _covariance(inner: Floats, gaps: Floats, arm: Ints, scales: Floats) -> Floats:
    answer = _FLAT + scales[0] * inner + scales[1] * np.exp(gaps / scales[2] ** 2)
    for each in range((len(scales) - len(_SHARED)) // len(_OWN)):
        rows = np.flatnonzero(arm == each)
        block = np.ix_(rows, rows)
        answer[block] += _own(inner[block], gaps[block], scales, each)
        answer[rows, rows] += scales[len(_SHARED) + len(_OWN) * each + 2]
    return np.asarray(answer)


def _own(inner: Floats, gaps: Floats, scales: Floats, arm: int) -> Floats:
    line, smooth = scales[len(_SHARED) + len(_OWN) * arm :][:2]
    return np.asarray(_FLAT + line * inner + smooth * np.exp(gaps / scales[3] ** 2))


def _inner(left: Floats, right: Floats) -> Floats:
    return np.asarray(times(left, np.ascontiguousarray(right.T)) / max(left.shape[1], 1))


def _gaps(left: Floats, right: Floats) -> Floats:
    return np.asarray(-distances(left, right) / (2 * max(left.shape[1], 1)))


def _deviation(outcome: Floats) -> float:
    deviation = float(outcome.std())
    return deviation if deviation > 0 else 1.0


def _standard(outcome: Floats) -> Floats:
    return np.asarray((outcome - outcome.mean()) / _deviation(outcome))
