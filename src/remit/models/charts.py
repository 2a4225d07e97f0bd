"""Has a mean moved? One chart per figure, looked at every cycle: cumulated evidence against the reference, with a line that chance alone rarely crosses.

Evidence is the log-likelihood ratio of a fixed shift against none, cumulated and never below zero (Page 1954, Biometrika 41); no other scheme with as few
false alarms finds that shift sooner in the worst case (Moustakides 1986, Annals of Statistics 14). A cycle's figure varies by its rows and, beyond that,
between cycles; the reference's own error moves all cycles alike. The line is where the expected false alarms a year, averaged over that error, reach what
is allowed; run lengths come from the chart as a Markov chain (Brook & Evans 1972, Biometrika 59).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST_CYCLES = 4
_STATES = 80
_NODES, _WEIGHTS = (part.tolist() for part in np.polynomial.hermite_e.hermegauss(7))
_NEVER = 1e-9
_MOST = 2.0
"""Evidence is kept up to so many times the line, so that a figure that comes back is seen to."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure's `level` in the reference and its standard `error`; the variance of one row and that `between` cycles; the `shift` to be caught, downward
    (-1), upward (1) or either; and the `line` that evidence must cross."""

    figure: str
    level: float
    error: float
    row_variance: float
    between: float
    shift: float
    sides: tuple[int, ...]
    line: float

    def spread(self, rows: int) -> float:
        """The standard deviation of one cycle's figure over `rows` rows."""
        return sqrt(self.between + self.row_variance / rows)


@dataclass(frozen=True, slots=True)
class Run:
    """Cumulated evidence for a shift to one side; since it last stood at nothing, the weight of the cycles seen and the mean they moved by."""

    evidence: float = 0.0
    weight: float = 0.0
    moved: float = 0.0


def make_chart(
    figure: str, cycles: Sequence[tuple[float, int]], row_variance: float, *, shift: float, sides: tuple[int, ...], alarms: float, rows: int | None = None
) -> Chart | None:
    """A chart from the reference's `cycles` (figure, rows), which crosses its line by chance at most `alarms` times a cycle.

    `rows` is how many a cycle will have (the reference's mean if not given). None where nothing varies, so that nothing can be watched, and of fewer than
    `FEWEST_CYCLES`: how much cycles vary beyond their rows is not known from fewer, and a line that takes it for nothing is crossed by chance.
    """
    if len(cycles) < FEWEST_CYCLES:
        return None
    values, counts = (np.asarray(part, np.float64) for part in zip(*cycles, strict=True))
    level = float((values * counts).sum() / counts.sum())
    between = _between(values, counts, row_variance)
    usual = int(rows or counts.mean())
    spread = sqrt(between + row_variance / max(usual, 1))
    if spread == 0.0:
        return None
    error = sqrt((between + row_variance / counts.mean()) / len(values))
    chart = Chart(figure, level, error, row_variance, between, shift, sides, inf)
    step = shift / spread
    return replace(chart, line=_line(step, error / spread, alarms / len(sides)))


def extend(chart: Chart, run: Run, side: int, value: float, rows: int) -> Run:
    """The run after a cycle's figure, a mean over `rows` rows."""
    spread = chart.spread(rows)
    step, away = chart.shift / spread, side * (value - chart.level) / spread
    evidence = min(run.evidence + step * away - step * step / 2, _MOST * chart.line)
    if evidence <= 0:
        return Run()
    weight = run.weight + 1 / spread**2
    return Run(evidence, weight, run.moved + (side * (value - chart.level) - run.moved) / spread**2 / weight)


def dump_chart(chart: Chart) -> dict[str, Any]:
    """A chart as plain values, numbers as text."""
    texts = {name: repr(float(value)) for name, value in asdict(chart).items() if isinstance(value, float)}
    return {"figure": chart.figure, "sides": list(chart.sides), **texts}


def load_chart(body: Mapping[str, Any]) -> Chart:
    """The chart that `dump_chart` wrote."""
    numbers = {name: float(value) for name, value in body.items() if name not in {"figure", "sides"}}
    return Chart(figure=body["figure"], sides=tuple(body["sides"]), **numbers)


def dump_run(run: Run) -> dict[str, str]:
    """A run as plain values."""
    return {name: repr(float(value)) for name, value in asdict(run).items()}


def load_run(body: Mapping[str, str]) -> Run:
    """The run that `dump_run` wrote."""
    return Run(**{name: float(value) for name, value in body.items()})


def _between(values: Floats, counts: Floats, row_variance: float) -> float:
    """The variance between cycles beyond that of rows, as a new cycle will show it: of few cycles the estimate is uncertain, which widens it as it does
    Student's t."""
    excess = float(values.var(ddof=1) - (row_variance / counts).mean())
    return max(0.0, excess) * (len(values) - 1) / (len(values) - 3)


def _line(step: float, error: float, alarms: float) -> float:
    """The least line, in hundredths, where expected false alarms a cycle on one side are at most `alarms`; `step` and `error` in standard deviations."""
    low, high = 0, 4000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _alarms(middle / 100, step, error) <= alarms else (middle, high)
    return high / 100


def _alarms(line: float, step: float, error: float) -> float:
    """False alarms a cycle, averaged over where the reference's error may have put its level."""
    of_error = [_rate(line, step, node * error) for node in _NODES]
    return sum(weight * rate for weight, rate in zip(_WEIGHTS, of_error, strict=True)) / sum(_WEIGHTS)


def _rate(line: float, step: float, bias: float) -> float:
    """One over the mean number of cycles until evidence that starts at nothing crosses the line, where figures lie `bias` from the level."""
    width = 2 * line / (2 * _STATES - 1)
    normal = NormalDist(step * bias - step * step / 2, step)
    bounds = (np.arange(-_STATES + 1, _STATES + 1) - 0.5) * width
    up_to = np.array([normal.cdf(bound) for bound in bounds])
    # No cycle crosses with more than this probability; where it is nothing, neither is the rate, and the chain has no mean.
    at_most = 1 - float(up_to[_STATES])
    if at_most < _NEVER:
        return at_most
    row, column = np.indices((_STATES, _STATES))
    chain = np.diff(up_to)[column - row + _STATES - 1]
    chain[:, 0] = up_to[_STATES - np.arange(_STATES)]
    length = float(np.linalg.solve(np.eye(_STATES) - chain, np.ones(_STATES))[0])
    return 1 / length
