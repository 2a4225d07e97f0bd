"""Whom does a model serve less? Selection, value served, error and calibration by group, with intervals that hold all together.

Selection rates are compared with the highest among the known, large enough groups of the same column. A ratio whose whole interval lies below four fifths is
a disparity (the rule of thumb of the Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D, with the interval that it lacks). Intervals are
Bonferroni's: all of an audit hold together with the given probability, however the groups depend on each other.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.models.errors import ModelError
from remit.models.stored import plain

Floats = npt.NDArray[np.float64]

UNKNOWN = "unknown"
FOUR_FIFTHS = 0.8
_BANDS = 4
_FEW_VALUES = 4
_MEASURES = 4
"""Intervals per group: selection, its ratio, value, calibration."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between two bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Group:
    """One group of HCPs. All but `hcps` is None where the group is too small to judge: what a handful are served, and what they prescribe, would tell of
    each. `ratio` is the selection rate over the highest group's; `value` what an HCP is served; `calibration` observed over expected outcome, `error` the
    mean absolute difference of the two (None where no outcome is known)."""

    column: str
    name: str
    hcps: int
    selected: Interval | None = None
    ratio: Interval | None = None
    value: Interval | None = None
    calibration: Interval | None = None
    error: float | None = None

    @property
    def disparity(self) -> bool:
        """Whether the group is selected at less than four fifths of the highest group's rate, beyond chance."""
        return self.ratio is not None and self.ratio.high < FOUR_FIFTHS


@dataclass(frozen=True, slots=True)
class Audit:
    """Every group of every column asked for; the columns that are not held; the `least` HCPs of a group to be judged, and the joint `level`."""

    groups: tuple[Group, ...]
    not_held: tuple[str, ...]
    least: int
    level: float

    @property
    def disparities(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.disparity)

    def judged(self, column: str) -> int:
        """How many groups of a column were large enough to judge."""
        return sum(group.column == column and group.selected is not None for group in self.groups)


def audit(rows: pl.DataFrame, columns: Sequence[str], *, least: int = 30, level: float = 0.9) -> Audit:
    """The audit of `rows`, one per HCP: `selected` (Boolean), `value` (int64 micro-units served), and of the `columns` to group by those that are held.

    Numbers of more than four values are cut into quarters. Unknown is a group. Where `observed` and `expected` are there (units; null: unknown), calibration
    and error come from the rows that have both. Raises `ModelError` for rows without `selected` or `value`.
    """
    missing = sorted({"selected", "value"} - set(rows.columns))
    if missing:
        raise ModelError("the rows cannot be audited", faults=[f"the column `{name}` is missing" for name in missing], do="Give a row per HCP.")
    held = [name for name in columns if name in rows.columns]
    arrays = _Rows(rows)
    members = [(name, _grouped(rows[name])) for name in held]
    count = sum(len(groups) for _, groups in members)
    reach = NormalDist().inv_cdf(1 - (1 - level) / (2 * max(_MEASURES * count, 1)))
    found = [group for name, groups in members for group in _column(name, groups, arrays, least, reach)]
    return Audit(tuple(found), tuple(name for name in columns if name not in rows.columns), least, level)


def dump_audit(found: Audit) -> dict[str, Any]:
    """An audit as plain values, numbers as text."""
    groups = [plain(asdict(group)) | {"disparity": group.disparity} for group in found.groups]
    return {"groups": groups, "not_held": list(found.not_held), "least": found.least, "level": repr(found.level)}


class _Rows:
    """The audited rows as arrays."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.selected = rows["selected"].to_numpy().astype(np.float64)
        self.value = rows["value"].to_numpy().astype(np.float64)
        known = {"observed", "expected"} <= set(rows.columns)
        none = np.full(rows.height, np.nan)
        self.observed = rows["observed"].cast(pl.Float64).fill_null(np.nan).to_numpy() if known else none
        self.expected = rows["expected"].cast(pl.Float64).fill_null(np.nan).to_numpy() if known else none


def _grouped(column: pl.Series) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """The places of each group's rows, by name, the unknown last."""
    names = _banded(column) if column.dtype.is_numeric() and column.n_unique() > _FEW_VALUES else column.cast(pl.String)
    frame = pl.DataFrame({"name": names.fill_null(UNKNOWN)}).with_row_index("row")
    parts = {str(name): part["row"].to_numpy().astype(np.int64) for (name,), part in frame.partition_by("name", as_dict=True).items()}
    return sorted(parts.items(), key=lambda part: (part[0] == UNKNOWN, part[0]))


def _banded(column: pl.Series) -> pl.Series:
    known = np.sort(column.drop_nulls().cast(pl.Float64).drop_nans().to_numpy())
    cuts = sorted({float(known[len(known) * part // _BANDS]) for part in range(1, _BANDS)})
    names = [f"{place + 1}: {_band(cuts, place)}" for place in range(len(cuts) + 1)]
    place = np.searchsorted(np.asarray(cuts), column.cast(pl.Float64).fill_null(np.nan).to_numpy(), side="right")
    unknown = column.is_null() | column.cast(pl.Float64).is_nan().fill_null(True)
    return pl.select(pl.when(~unknown).then(pl.Series(names).gather(pl.Series(np.minimum(place, len(cuts)))))).to_series()


def _band(cuts: Sequence[float], place: int) -> str:
    low, high = (f"{cuts[place - 1]:g}" if place else ""), (f"{cuts[place]:g}" if place < len(cuts) else "")
    return f"from {low}, below {high}" if low and high else f"below {high}" if high else f"from {low}"


def _column(name: str, groups: Sequence[tuple[str, npt.NDArray[np.int64]]], rows: _Rows, least: int, reach: float) -> list[Group]:
    fit = [group for group in groups if group[0] != UNKNOWN and len(group[1]) >= least] or groups
    _, highest = max(fit, key=lambda group: (rows.selected[group[1]].mean(), len(group[1])))
    base = float(rows.selected[highest].sum()), len(highest)
    return [
        Group(name, group, len(members)) if len(members) < least else _judged(Group(name, group, len(members)), members, rows, base, members is highest, reach)
        for group, members in groups
    ]


def _judged(group: Group, members: npt.NDArray[np.int64], rows: _Rows, base: tuple[float, int], is_base: bool, reach: float) -> Group:
    chosen = float(rows.selected[members].sum())
    ratio = None if is_base or not base[0] else _ratio((chosen, len(members)), base, reach)
    observed, expected = rows.observed[members], rows.expected[members]
    known = np.isfinite(observed) & np.isfinite(expected)
    calibration = _calibration(observed[known], expected[known], reach) if known.sum() > 1 else None
    error = float(np.abs(observed[known] - expected[known]).mean()) if known.any() else None
    selected, value = _wilson(chosen, len(members), reach), _mean(rows.value[members], reach)
    return Group(group.column, group.name, group.hcps, selected, ratio, value, calibration, error)


def _wilson(chosen: float, rows: int, reach: float) -> Interval:
    """A share with the interval of Wilson (1927, JASA 22)."""
    share, square = chosen / rows, reach * reach
    middle, wide = (
        (share + square / (2 * rows)) / (1 + square / rows),
        reach * sqrt(share * (1 - share) / rows + square / (4 * rows * rows)) / (1 + square / rows),
    )
    return Interval(share, max(0.0, min(share, middle - wide)), min(1.0, max(share, middle + wide)))


def _ratio(part: tuple[float, int], base: tuple[float, int], reach: float) -> Interval:
    """A ratio of shares with the interval of the adjusted logarithm (Walter 1975, Biometrika 62): finite where nobody of the group is selected."""
    (x, n), (y, m) = part, base
    away = log((x + 0.5) / (n + 0.5)) - log((y + 0.5) / (m + 0.5))
    error = sqrt(max(1 / (x + 0.5) - 1 / (n + 0.5) + 1 / (y + 0.5) - 1 / (m + 0.5), 0.0))
    return Interval((x / n) / (y / m), exp(away - reach * error), exp(away + reach * error))


def _mean(values: Floats, reach: float) -> Interval:
    mean, error = float(values.mean()), float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    return Interval(mean, mean - reach * error, mean + reach * error)


def _calibration(observed: Floats, expected: Floats, reach: float) -> Interval | None:
    """The ratio of totals with its linearised interval (Cochran 1977, Sampling Techniques, section 6.4); None where nothing is expected."""
    total = float(expected.sum())
    if total <= 0:
        return None
    ratio = float(observed.sum()) / total
    error = float((observed - ratio * expected).std(ddof=1)) * sqrt(len(observed)) / total
    return Interval(ratio, ratio - reach * error, ratio + reach * error)
