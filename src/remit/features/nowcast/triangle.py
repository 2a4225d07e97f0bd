"""The reporting triangle: what was known of each period, at each earlier instant of the same phase.

A row of reports restates its cell (unit, product, period); the row received last counts. Summed over cells, the change that each row made gives the total
of a period as it stood at any instant. Snapshots lie whole periods before `as_of`, so that a Tuesday is compared with Tuesdays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features.errors import FeatureError
from remit.features.known import Frame
from remit.features.periods import Cadence, cadence_of, number_at, number_of
from remit.terms.instants import add_span

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Cells = TypeVar("Cells", bound=npt.NDArray[Any])

LAGS: Mapping[Cadence, int] = {Cadence.WEEK: 60, Cadence.MONTH: 30}
"""Ages of a period, in periods, that are looked at."""
SNAPSHOTS: Mapping[Cadence, int] = {Cadence.WEEK: 60, Cadence.MONTH: 24}
"""Earlier instants at which what was known is looked at, each a period before the next."""

_CELL = "_cell"
_ROWS_AT_A_TIME = 6_000_000


@dataclass(frozen=True, slots=True)
class Triangle:
    """`total[s, p, k]` is what was known of series s in the period that ended `p + 1` periods before the one of `as_of`, at lag `k + 1`: `k` whole periods
    after the first instant of the phase of `as_of` that follows the period's end. `known` is false where no report had come, or the lag lies ahead.

    `series` holds the keys of s, sorted; `names[p]` the period; `received[source][j]` how many rows came in the period of length one before snapshot j.
    """

    series: pl.DataFrame
    names: Mapping[int, str]
    newest: int
    cadence: Cadence
    instants: tuple[int, ...]
    total: Floats
    known: Flags
    received: Mapping[str, Ints]


def triangle(
    reports: Frame, as_of: int, outcome: str | Mapping[str, str], *, by: Sequence[str] = (), unit: str = "hcp_id", zone: str = "UTC"
) -> Triangle | None:
    """The triangle of `reports` as of an instant; None if no period that has ended was reported. Arguments and errors as of `nowcast`."""
    rows = _reported(reports, as_of, outcome, by, unit)
    counts = rows.group_by("period").agg(rows=pl.len()).collect().sort("period")
    cadence = cadence_of(counts["period"].to_list())
    if cadence is None:
        return None
    newest = number_at(as_of, cadence, zone)
    depth = LAGS[cadence] + SNAPSHOTS[cadence]
    numbers = {name: number_of(name) for name in counts["period"]}
    wanted = counts.filter([newest - depth <= numbers[name] < newest for name in counts["period"]])
    if wanted.is_empty():
        return None
    instants = tuple(add_span(as_of, f"1 {cadence.value}", -step) for step in range(depth + 1))
    keys = ["product", "source", *by]
    parts = [_changes(rows.filter(pl.col("period").is_in(names)), keys, numbers, newest, instants) for names in _batches(wanted)]
    return _cumulated(pl.concat(parts), keys, newest, cadence, instants, {newest - numbers[name]: name for name in wanted["period"]})


def _reported(reports: Frame, as_of: int, outcome: str | Mapping[str, str], by: Sequence[str], unit: str) -> pl.LazyFrame:
    """The rows received by `as_of` whose outcome is known: keys, `period`, `received_at`, `value`."""
    have = reports.lazy().collect_schema().names()
    measures = {outcome} if isinstance(outcome, str) else set(outcome.values())
    needed = ["product", "period", "received_at", unit, *by, *sorted(measures)]
    faults = [f"`rx` has no column `{name}`" for name in needed if name not in have]
    if faults or not measures:
        raise FeatureError("the reports do not hold what a nowcast reads", faults=faults or ["no product has an outcome"], do="Give the feed's columns.")
    of_product = {} if isinstance(outcome, str) else outcome
    chosen = [pl.when(pl.col("product") == name).then(pl.col(measure)) for name, measure in sorted(of_product.items())]
    value = pl.col(outcome) if isinstance(outcome, str) else pl.coalesce(chosen)
    source = pl.col("source") if "source" in have else pl.lit("")
    rows = reports.lazy().filter(pl.col("received_at") <= as_of)
    return rows.select(pl.col(unit).alias(_CELL), "product", source.alias("source"), *by, "period", "received_at", value=value.cast(pl.Int64)).filter(
        pl.col("value").is_not_null()
    )


def _batches(counts: pl.DataFrame) -> Iterator[list[str]]:
    """Periods together whose rows fit in memory: each period is summed alone, so the batches change no value."""
    batch: list[str] = []
    held = 0
    for name, rows in counts.iter_rows():
        if batch and held + rows > _ROWS_AT_A_TIME:
            yield batch
            batch, held = [], 0
        batch.append(name)
        held += rows
    yield batch


def _changes(rows: pl.LazyFrame, keys: list[str], numbers: Mapping[str, int], newest: int, instants: tuple[int, ...]) -> pl.DataFrame:
    """Per series, age of the period and step back in time: the sum of the changes that rows received there made, and how many rows those were."""
    held = rows.with_columns(pl.col(_CELL, "product").cast(pl.String).cast(pl.Categorical).to_physical().name.prefix("_")).drop(_CELL).collect()
    cell = [f"_{_CELL}", "_product", "period"]
    held = held.sort(*cell, "received_at", "value")
    first = pl.any_horizontal((pl.col(name) != pl.col(name).shift(1)).fill_null(value=True) for name in cell)
    # A cell stays with the series that reported it first: what another source restates is a restatement there, and each cell counts once.
    held = held.with_columns(first=first, change=pl.col("value") - pl.when(first).then(0).otherwise(pl.col("value").shift(1)))
    held = held.with_columns(pl.when("first").then(pl.col(name)).otherwise(None).forward_fill() for name in keys if name != "product")
    rising = np.asarray(instants[::-1], dtype=np.int64)
    step = len(rising) - 1 - np.searchsorted(rising, held["received_at"].to_numpy(), side="left")
    held = held.with_columns(step=pl.Series(step), age=newest - pl.col("period").replace_strict(numbers, return_dtype=pl.Int64))
    return held.group_by(*keys, "age", "step").agg(change=pl.col("change").sum(), rows=pl.len().cast(pl.Int64))


def _cumulated(changes: pl.DataFrame, keys: list[str], newest: int, cadence: Cadence, instants: tuple[int, ...], names: Mapping[int, str]) -> Triangle:
    series = changes.select(keys).unique().sort(keys)
    changes = changes.join(series.with_row_index("series"), on=keys, how="left", nulls_equal=True)
    depth, lags = len(instants) - 1, LAGS[cadence]
    place = changes["series"].to_numpy().astype(np.int64)
    age, step = changes["age"].to_numpy(), changes["step"].to_numpy()
    lag = age - step
    inside = lag <= lags  # later still, a change is a restatement of what is deemed history
    cell = (place[inside], age[inside] - 1, np.maximum(lag[inside], 1) - 1)
    total = np.zeros((series.height, depth, lags), dtype=np.int64)
    rows = np.zeros((series.height, depth, lags), dtype=np.int64)
    np.add.at(total, cell, changes["change"].to_numpy()[inside])
    np.add.at(rows, cell, changes["rows"].to_numpy()[inside])
    ahead = np.arange(lags)[None, :] > np.arange(depth)[:, None]
    known = (rows.cumsum(axis=2) > 0) & ~ahead
    sources = changes["source"].fill_null("").to_numpy()
    received = {}
    for source in sorted(set(sources)):
        received[source] = np.bincount(step[sources == source], weights=changes["rows"].to_numpy()[sources == source], minlength=depth + 1).astype(np.int64)
    return Triangle(series, names, newest, cadence, instants, np.where(known, total.cumsum(axis=2), 0).astype(np.float64), known, received)


def diagonals(triangle: Triangle, values: Cells) -> Cells:
    """`values[s, p, k]` by snapshot: `[j, s, k]` is the value that snapshot j saw of the period at lag `k + 1`; zero or false beyond the triangle."""
    _, depth, lags = triangle.total.shape
    period = np.arange(depth)[:, None] + np.arange(lags)[None, :]
    seen = values[:, np.minimum(period, depth - 1), np.arange(lags)[None, :]].transpose(1, 0, 2)
    return np.where((period < depth)[:, None, :], seen, np.zeros((), dtype=values.dtype))  # type: ignore[return-value]  # of the same dtype
