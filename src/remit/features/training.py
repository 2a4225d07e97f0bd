"""Frames to learn from: features at many instants, beside what came after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.features.build import build, scope_of
from remit.features.errors import FeatureError
from remit.features.feature import Catalogue
from remit.features.known import Tables, events, long_rows, prescriptions
from remit.features.periods import Cadence, name_of, number_at
from remit.terms.instants import add_span, period_bounds

_KEYS = ["hcp_id", "product"]


def earlier_instants(as_of: int, span: str, count: int) -> tuple[int, ...]:
    """The `count` instants that lie 1, 2, ... `span`s before `as_of`, the earliest first. Raises `ClockError` on a malformed span."""
    return tuple(add_span(as_of, span, -step) for step in range(count, 0, -1))


@dataclass(frozen=True, slots=True)
class _Afterwards:
    """What is known at `known_at` of every period that ended after the earliest instant: `cells` (`hcp_id`, `product`, `number`, `outcome`), the instant each
    number ended, and touches."""

    cells: pl.DataFrame
    ends: dict[int, int]
    cadence: Cadence
    touches: pl.DataFrame | None


def training_frame(
    tables_at: Callable[[int], Tables],
    instants: Sequence[int],
    known_at: int,
    catalogue: Catalogue,
    *,
    zone: str = "UTC",
    periods: int = 1,
    hcps: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The one frame of `training_frames` for one number of periods."""
    return training_frames(tables_at, instants, known_at, catalogue, zone=zone, periods=(periods,), hcps=hcps)[0]


def training_frames(
    tables_at: Callable[[int], Tables],
    instants: Sequence[int],
    known_at: int,
    catalogue: Catalogue,
    *,
    zone: str = "UTC",
    periods: Sequence[int],
    hcps: Sequence[str] | None = None,
) -> tuple[pl.DataFrame, ...]:
    """Features at each of `instants`, with what happened in so many periods from the one that contains the instant, as known at `known_at`.

    Returns a frame per number in `periods`: the rows of `build` whose outcome is known in every one of those periods, by instant, with `instant`, `until` (when
    the last of the periods ends), `outcome` (units, Float64) and per channel `given_{channel}` (Float64, touches about the product from the instant to the end
    of its period; null if touches are unknown). Features use rows received by their instant; outcomes and touches given, rows received by `known_at`.
    `tables_at(instant)` gives the tables as they stood at the instant; tables that keep every restatement serve for all. Raises `FeatureError` if no instant
    has a known outcome.
    """
    afterwards = _afterwards(tables_at(known_at), known_at, zone, min(instants, default=known_at))
    parts: list[list[pl.DataFrame]] = [[] for _ in periods]
    for instant in sorted(set(instants)):
        number = number_at(instant, afterwards.cadence, zone)
        if number in afterwards.ends:
            rows = build(tables_at(instant), instant, catalogue, zone=zone, hcps=hcps)
            for part, count in zip(parts, periods, strict=True):
                part.append(_with_given(_with_outcome(rows, instant, number, afterwards, count, zone), afterwards, catalogue, zone))
    frames = tuple(pl.concat(part) if part else pl.DataFrame() for part in parts)
    if any(frame.is_empty() for frame in frames):
        raise _nothing_after()
    return frames


def _nothing_after() -> FeatureError:
    return FeatureError("no outcome is known after any of the instants", where="rx", do="Load prescriptions of later periods, or choose earlier instants.")


def _afterwards(tables: Tables, known_at: int, zone: str, since: int) -> _Afterwards:
    scope = scope_of(tables, known_at, zone, None)
    products, bricks = scope.products, scope.people.select("hcp_id", "brick_id", "brick_size")
    everyone = tables["hcp"].lazy().select(pl.col("hcp_id").unique().sort()).collect().with_row_index("hcp")
    everyone = everyone.join(bricks, on="hcp_id", how="left", maintain_order="left")
    rows = everyone.join(products.filter("own").select("product"), how="cross", maintain_order="left_right").with_row_index("row")
    known = prescriptions(tables, everyone, products, known_at, zone, since)
    if known.cadence is None:
        raise _nothing_after()
    own = np.flatnonzero(products["own"].to_numpy()).tolist()
    cells = long_rows(known, known.outcome, own, slice(0, everyone.height))
    cells = cells.join(rows, on="row")
    touches = events(tables["touches"], "touch_id", known_at) if "touches" in tables else pl.DataFrame()
    return _Afterwards(cells.select(*_KEYS, "number", "outcome"), dict(known.ends), known.cadence, None if touches.is_empty() else touches)


def _with_outcome(rows: pl.DataFrame, instant: int, first: int, afterwards: _Afterwards, periods: int, zone: str) -> pl.DataFrame:
    span = afterwards.cells.filter(pl.col("number").is_between(first, first + periods - 1))
    whole = span.group_by(_KEYS).agg(outcome=pl.col("outcome").sum().cast(pl.Float64), reported=pl.len()).filter(pl.col("reported") == periods)
    until = period_bounds(name_of(first + periods - 1, afterwards.cadence), zone)[1]
    known = rows.join(whole.drop("reported"), on=_KEYS, how="inner", maintain_order="left")
    return known.with_columns(instant=pl.lit(instant, pl.Int64), until=pl.lit(until, pl.Int64))


def _with_given(rows: pl.DataFrame, afterwards: _Afterwards, catalogue: Catalogue, zone: str) -> pl.DataFrame:
    names = [f"given_{channel}" for channel in catalogue.channels]
    if afterwards.touches is None or rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    instant = int(rows["instant"][0])
    end = afterwards.ends[number_at(instant, afterwards.cadence, zone)]
    inside = afterwards.touches.filter((pl.col("occurred_at") >= instant) & (pl.col("occurred_at") < end))
    counts = [(pl.col("channel") == channel).sum().cast(pl.Float64).alias(name) for channel, name in zip(catalogue.channels, names, strict=True)]
    given = inside.group_by(_KEYS).agg(counts)
    return rows.join(given, on=_KEYS, how="left", maintain_order="left").with_columns(pl.col(names).fill_null(0.0))
