"""Does the world still look as it did when the model was judged? Inputs, score, calibration, outcome and precision, each cycle, with what is to be done.

The reference is made once, from cycles that the model did not learn from. A column has drifted where its distance from the reference is both more than
chance explains and as large as a threshold; a mean has moved where its chart (`charts`) has crossed its line. The allowed false alarms a year are shared
out: two fifths to precision, a tenth each to both sides of calibration and of outcome, the rest evenly over columns and cycles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.models.charts import Chart, Run, dump_chart, dump_run, extend, load_chart, load_run, make_chart
from remit.models.effects import Z_90
from remit.models.errors import ModelError
from remit.models.profiles import Profile, bins_of, distance, dump_profile, load_profile, profile
from remit.models.stored import plain

Floats = npt.NDArray[np.float64]

ACTIONS = ("none", "raise", "confirm", "stop")
"""What is to be done, the mildest first: nothing; tell the watcher; every action of the model needs a person's yes; the model decides nothing."""

SCORE, PRECISION, CALIBRATION, OUTCOME = "score", "precision", "calibration", "outcome"
_CHARTED: Mapping[str, tuple[tuple[int, ...], float]] = MappingProxyType({PRECISION: ((-1,), 0.4), CALIBRATION: ((-1, 1), 0.1), OUTCOME: ((-1, 1), 0.1)})
_OF_COLUMNS = 0.4


@dataclass(frozen=True, slots=True)
class Sizes:
    """From which size on a change is raised, asks for confirmation, or stops; None: never so much."""

    raised: float
    confirm: float | None
    stop: float | None

    def action(self, size: float) -> str:
        """What a change of `size` that chance does not explain asks for: at least to be raised."""
        if self.stop is not None and size >= self.stop:
            return "stop"
        return "confirm" if self.confirm is not None and size >= self.confirm else "raise"


DEFAULT_SIZES: Mapping[str, Sizes] = MappingProxyType(
    {
        "inputs": Sizes(0.1, 0.25, 1.0),
        SCORE: Sizes(0.1, 0.25, 1.0),
        PRECISION: Sizes(0.06, 0.1, 0.2),
        CALIBRATION: Sizes(0.1, 0.25, 0.5),
        OUTCOME: Sizes(0.2, 0.5, None),
    }
)
"""`inputs` and `score` in population stability index, `precision` as a difference of shares, `calibration` of the ratio of observed to expected,
`outcome` as a part of the reference's mean."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is watched for: the `share` of rows that counts as selected, false alarms allowed a year over all figures, cycles a year, sizes."""

    share: float = 0.3
    alarms_a_year: float = 0.5
    cycles_a_year: float = 52.0
    sizes: Mapping[str, Sizes] = field(default_factory=lambda: DEFAULT_SIZES)


@dataclass(frozen=True, slots=True)
class Reference:
    """What later cycles are compared with: a profile per column (the score's last), a chart per figure that can be watched, and per product the outcome
    from which on a row counts as a hit."""

    profiles: tuple[Profile, ...]
    charts: tuple[Chart, ...]
    cuts: Mapping[str, float]
    chance: float
    limits: Limits


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure in one cycle.

    `figure` is `input:<column>`, `score`, `precision`, `calibration` or `outcome`; `value` its value (for a column the stability index) with a 90% interval
    (None for a column), `reference` what it was; `size` how far it has moved, and `shown` how much of the evidence that an alarm needs is there (1: alarm).
    """

    figure: str
    value: float
    low: float | None
    high: float | None
    reference: float
    size: float
    shown: float
    action: str


State = Mapping[str, Mapping[str, str]]
"""What one cycle leaves to the next: per figure and side the run of evidence, as plain texts. A watch begins with none."""


def reference(rows: pl.DataFrame, columns: Sequence[str], limits: Limits, *, profiled: pl.DataFrame | None = None) -> Reference:
    """The reference from held-out `rows`: `instant`, `product`, `hcp_id`, `score` (int64 micro-units), `outcome` (units), and `columns`.

    Columns and score are profiled on `profiled`, everybody at one instant whether an outcome is known or not (not given: the rows of the newest instant);
    figures come from all `rows`. A figure that does not vary has no chart, and is not watched: see
    `unwatched`. Raises `ModelError` without rows.
    """
    if rows.is_empty():
        raise ModelError("there is no reference without held-out rows", do="Train on a longer history.")
    newest = rows.filter(pl.col("instant") == pl.col("instant").max()) if profiled is None else profiled
    profiles = tuple(profile(newest[name], bins_of(newest[name])) for name in (*columns, SCORE))
    cuts = {str(product): _cut(rows.filter(product=product)["outcome"].to_numpy(), limits.share) for product in rows["product"].unique().sort()}
    cycles = [_Cycle(part.sort("product", "hcp_id"), cuts, limits.share) for part in rows.sort("instant").partition_by("instant", maintain_order=True)]
    charts = [chart for figure in _CHARTED if (chart := _chart(figure, cycles, limits)) is not None]
    chance = limits.alarms_a_year * _OF_COLUMNS / limits.cycles_a_year / (2 * len(profiles))
    return Reference(profiles, tuple(charts), cuts, chance, limits)


def unwatched(found: Reference) -> tuple[str, ...]:
    """The figures that the reference does not let watch, because nothing varied in them, such as the precision where no outcome was ever seen, or because
    too few cycles were held out."""
    return tuple(figure for figure in _CHARTED if figure not in {chart.figure for chart in found.charts})


def watch(found: Reference, state: State, current: pl.DataFrame | None, settled: pl.DataFrame | None) -> tuple[dict[str, dict[str, str]], tuple[Finding, ...]]:
    """The new state, and what one cycle shows against the reference.

    `current` holds the reference's columns and `score`, as they are now; `settled` holds `hcp_id`, `product`, `score` and `outcome` of the newest period whose
    outcome has settled and was not given before. None for either: nothing new to look at, and evidence stays as it was.
    """
    findings = [] if current is None or current.is_empty() else [_column(found, each, current[each.bins.name]) for each in found.profiles]
    runs = {name: dict(run) for name, run in state.items()}
    if settled is not None and not settled.is_empty():
        cycle = _Cycle(settled.filter(pl.col("product").is_in(list(found.cuts))).sort("product", "hcp_id"), found.cuts, found.limits.share)
        findings += [finding for chart in found.charts if (finding := _charted(found, chart, cycle, runs)) is not None]
    return runs, tuple(findings)


def strictest(findings: Sequence[Finding]) -> str:
    """What all findings together ask for."""
    return max((finding.action for finding in findings), key=ACTIONS.index, default="none")


def dump_reference(found: Reference) -> dict[str, Any]:
    """A reference as plain values, numbers as text."""
    limits: dict[str, Any] = {name: getattr(found.limits, name) for name in ("share", "alarms_a_year", "cycles_a_year")}
    limits["sizes"] = {name: asdict(sizes) for name, sizes in found.limits.sizes.items()}
    return {
        "profiles": [dump_profile(each) for each in found.profiles],
        "charts": [dump_chart(chart) for chart in found.charts],
        "cuts": {product: repr(cut) for product, cut in found.cuts.items()},
        "chance": repr(found.chance),
        "limits": plain(limits),
    }


def load_reference(body: Mapping[str, Any]) -> Reference:
    """The reference that `dump_reference` wrote."""
    limits = dict(body["limits"])
    sizes = {name: Sizes(float(each["raised"]), _number(each["confirm"]), _number(each["stop"])) for name, each in limits.pop("sizes").items()}
    return Reference(
        tuple(load_profile(each) for each in body["profiles"]),
        tuple(load_chart(each) for each in body["charts"]),
        {product: float(cut) for product, cut in body["cuts"].items()},
        float(body["chance"]),
        Limits(**{name: float(value) for name, value in limits.items()}, sizes=sizes),
    )


def dump_finding(finding: Finding) -> dict[str, Any]:
    """A finding as plain values, numbers as text."""
    return dict(plain(asdict(finding)))


class _Cycle:
    """One period's rows (sorted by product and HCP), and the figures they give: a mean over so many rows each."""

    def __init__(self, rows: pl.DataFrame, cuts: Mapping[str, float], share: float) -> None:
        self.outcome, self.expected = rows["outcome"].to_numpy().astype(np.float64), rows["score"].to_numpy().astype(np.float64) / 1e6
        hits = [_hits(part, cuts[str(name)], share) for (name,), part in sorted(rows.partition_by("product", as_dict=True).items())]
        self.selected, self.hits = sum(count for count, _ in hits), sum(hit for _, hit in hits)

    def figure(self, figure: str) -> tuple[float | None, int]:
        """Its value and over how many rows; None where it has none."""
        if figure == PRECISION:
            return (self.hits / self.selected if self.selected else None), self.selected
        if figure == CALIBRATION:
            total = float(self.expected.sum())
            return (float(self.outcome.sum()) / total if total else None), len(self.outcome)
        return (float(self.outcome.mean()) if len(self.outcome) else None), len(self.outcome)

    def row_variance(self, figure: str, level: float) -> float:
        """The variance of one row around the figure's `level`."""
        if figure == PRECISION:
            return level * (1 - level)
        if figure == CALIBRATION:
            return float((self.outcome - level * self.expected).var()) / float(self.expected.mean()) ** 2
        return float(self.outcome.var())


def _chart(figure: str, cycles: Sequence[_Cycle], limits: Limits) -> Chart | None:
    """The chart of a figure; None where it stands at nothing or does not vary, so that no shift of it means anything."""
    seen = [(cycle, value, rows) for cycle in cycles for value, rows in [cycle.figure(figure)] if value is not None and rows]
    level = sum(value * rows for _, value, rows in seen) / max(sum(rows for *_, rows in seen), 1)
    if level <= 0:
        return None
    variance = float(np.mean([cycle.row_variance(figure, level) for cycle, *_ in seen]))
    shift = limits.sizes[figure].raised * _unit(figure, level)
    sides, part = _CHARTED[figure]
    alarms = limits.alarms_a_year * part / limits.cycles_a_year
    return make_chart(figure, [(value, rows) for _, value, rows in seen], variance, shift=shift, sides=sides, alarms=alarms)


def _unit(figure: str, level: float) -> float:
    """What a size of 1 is: a difference of shares for precision, the reference's level for the others."""
    return 1.0 if figure == PRECISION else level


def _cut(outcome: Floats, share: float) -> float:
    """The least whole outcome, from 1, that at most `share` of the rows reach."""
    ranked = np.sort(outcome)[::-1]
    return max(1.0, float(np.floor(ranked[min(ceil(share * len(ranked)), len(ranked) - 1)])) + 1.0)


def _hits(rows: pl.DataFrame, cut: float, share: float) -> tuple[int, int]:
    """How many rows of one product are selected by score (of equals, the first by id), and how many of them are hits."""
    chosen = rows.sort("score", "hcp_id", descending=[True, False]).head(ceil(share * rows.height))
    return chosen.height, int((chosen["outcome"] >= cut).sum())


def _column(found: Reference, before: Profile, column: pl.Series) -> Finding:
    name = before.bins.name
    away = distance(before, profile(column, before.bins), found.chance)
    sizes = found.limits.sizes[SCORE if name == SCORE else "inputs"]
    # KS and PSI are read by the same thresholds: a distance of 0.1 is small and one of 0.25 large for both.
    size = max(away.psi, away.ks or 0.0)
    action = sizes.action(size) if away.shown >= 1 and size >= sizes.raised else "none"
    return Finding(name if name == SCORE else f"input:{name}", away.psi, None, None, 0.0, size, away.shown, action)


def _charted(found: Reference, chart: Chart, cycle: _Cycle, runs: dict[str, dict[str, str]]) -> Finding | None:
    value, rows = cycle.figure(chart.figure)
    if value is None or not rows:
        return None
    best, shown = Run(), 0.0
    for side in chart.sides:
        name = f"{chart.figure}{'+' if side > 0 else '-'}"
        run = extend(chart, load_run(runs[name]) if name in runs else Run(), side, value, rows)
        runs[name] = dump_run(run)
        if run.evidence / chart.line >= shown:
            best, shown = run, run.evidence / chart.line
    size = best.moved / _unit(chart.figure, chart.level)
    action = found.limits.sizes[chart.figure].action(size) if shown >= 1 else "none"
    reach = Z_90 * chart.spread(rows)
    return Finding(chart.figure, value, value - reach, value + reach, chart.level, size, shown, action)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
