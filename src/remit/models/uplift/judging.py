"""How good learners are, told by rows they did not learn from; and which gaps between them are noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from remit.models.effects import Z_90
from remit.models.uplift.algebra import Floats, Ints

Bools = npt.NDArray[np.bool_]

_HALVES = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its 90% interval."""

    value: float
    low: float
    high: float

    @property
    def noise(self) -> bool:
        """Whether zero lies within the interval."""
        return self.low <= 0 <= self.high

    def dump(self) -> dict[str, str]:
        return {name: repr(float(getattr(self, name))) for name in ("value", "low", "high")}


@dataclass(frozen=True, slots=True)
class Judged:
    """One learner, on rows it did not learn from.

    `loss`: overlap-weighted squared distance of its effects from the doubly robust scores, less that of one effect for everybody: below 0, it knows how
    effects differ. `autoc` and `qini`: what ranking by it gains over no ranking, per HCP and outcome unit (Yadlowsky et al. 2021, arXiv 2111.07966),
    averaged over arms. `behind`: its loss less that of the learner with the least; `behind_autoc` and `behind_qini` what ranking by that one gains more
    (paired: from the same rows).
    """

    learner: str
    loss: Measured
    autoc: Measured
    qini: Measured
    behind: Measured
    behind_autoc: Measured
    behind_qini: Measured

    def dump(self) -> dict[str, Any]:
        return {"learner": self.learner} | {name: getattr(self, name).dump() for name in _FIGURES}


_FIGURES = ("loss", "autoc", "qini", "behind", "behind_autoc", "behind_qini")


def load_judged(body: Mapping[str, Any]) -> Judged:
    """What `dump` wrote."""
    figures = {name: Measured(**{side: float(text) for side, text in body[name].items()}) for name in _FIGURES}
    return Judged(body["learner"], **figures)


def judge(effects: Mapping[str, Floats], scores: Floats, weights: Floats, seed: int) -> tuple[Judged, ...]:
    """Each learner's figures, in the order given, from its `effects` (n x arms - 1, by models that did not see the row) and the rows' scores."""
    level = (weights * scores).sum(axis=0) / weights.sum(axis=0)
    base = (weights * (scores - level) ** 2).mean(axis=1)
    losses = {name: (weights * (scores - effect) ** 2).mean(axis=1) - base for name, effect in effects.items()}
    best = min(losses, key=lambda name: float(losses[name].mean()))
    halves = _halves(len(scores), seed)
    ranked = {name: _ranked(effect, scores, halves) for name, effect in effects.items()}
    return tuple(
        Judged(
            name,
            _mean(losses[name]),
            _of_halves(ranked[name][0]),
            _of_halves(ranked[name][1]),
            _mean(losses[name] - losses[best]),
            _of_halves(ranked[best][0] - ranked[name][0]),
            _of_halves(ranked[best][1] - ranked[name][1]),
        )
        for name in effects
    )


def choose(judged: tuple[Judged, ...]) -> str:
    """The first learner, in the order given (simplest first), that is behind the best by no more than one standard error of the gap between them (Breiman et
    al. 1984, Classification and Regression Trees, section 3.4.3)."""
    return next(each.learner for each in judged if each.behind.value <= (each.behind.high - each.behind.value) / Z_90)


def autoc(effect: Floats, scores: Floats) -> float:
    """Area under the targeting operator characteristic: the mean, over shares q, of the scores' mean among the q with the largest effect less that of all."""
    return float(_gains(effect, scores[:, None], np.ones((len(scores), 1), dtype=bool))[0][0])


def qini(effect: Floats, scores: Floats) -> float:
    """The same weighted by the share: the area between the Qini curve and the line of no ranking."""
    return float(_gains(effect, scores[:, None], np.ones((len(scores), 1), dtype=bool))[1][0])


def _mean(values: Floats) -> Measured:
    value = float(values.mean())
    reach = Z_90 * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Measured(value, float(value - reach), float(value + reach))


def _of_halves(values: Floats) -> Measured:
    """The figure of all rows (first) with the spread that it has over random halves (the half-sample bootstrap of Yadlowsky et al., section 3)."""
    value, reach = float(values[0]), Z_90 * float((values[1:] - values[0]).std())
    return Measured(value, float(value - reach), float(value + reach))


def _halves(rows: int, seed: int) -> Bools:
    """Which rows (n x 1 + halves) are in: all, then random halves."""
    draw = np.random.default_rng(seed)
    inside = np.zeros((rows, _HALVES + 1), dtype=bool)
    inside[:, 0] = True
    for place in range(1, _HALVES + 1):
        inside[draw.permutation(rows)[: max(rows // 2, 1)], place] = True
    return inside


def _ranked(effect: Floats, scores: Floats, halves: Bools) -> tuple[Floats, Floats]:
    """AUTOC and Qini of each half (columns), averaged over arms."""
    both = [_gains(effect[:, place], scores[:, [place]], halves) for place in range(effect.shape[1])]
    return np.mean([one for one, _ in both], axis=0), np.mean([other for _, other in both], axis=0)


def _gains(effect: Floats, scores: Floats, halves: Bools) -> tuple[Floats, Floats]:
    order = np.argsort(-effect, kind="stable")
    ordered, tie = scores[order, 0], np.unique(-effect[order], return_inverse=True)[1]
    found = np.array([_gain(ordered[inside], tie[inside]) for inside in halves[order].T])
    return found[:, 0], found[:, 1]


def _gain(scores: Floats, tie: Ints) -> tuple[float, float]:
    """AUTOC and Qini of scores ordered by effect, equal effects sharing their ranks' weight."""
    many = len(scores)
    rank = np.arange(1, many + 1)
    number = np.cumsum(np.r_[False, tie[1:] != tie[:-1]])
    count, total = np.bincount(number), np.bincount(number, weights=scores)
    by_autoc = np.bincount(number, weights=np.cumsum((1 / rank)[::-1])[::-1] - 1) / count
    by_qini = np.bincount(number, weights=0.5 - (rank - 0.5) / many) / count
    return float((total * by_autoc).sum() / many), float((total * by_qini).sum() / many)
