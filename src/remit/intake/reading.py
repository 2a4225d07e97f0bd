"""Reading the warehouse as of an instant: only what had been received by then."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from remit.intake.contracts import Table
from remit.intake.errors import IntakeError
from remit.intake.feeds import TABLES
from remit.intake.keys import repeats
from remit.intake.warehouse import Segment, rows_path, segments
from remit.terms.instants import FOREVER

_PERIODS_AT_ONCE = 8
_STAMPS = {"occurred_at": pl.Int64, "received_at": pl.Int64, "received_assumed": pl.Boolean, "source": pl.String, "line": pl.Int64}


def read(
    warehouse: Path,
    table: str,
    as_of: int,
    *,
    only: Collection[str] | None = None,
    columns: Collection[str] | None = None,
    hcps: Collection[str] | None = None,
    restated: bool = False,
) -> pl.DataFrame:
    """The rows of `table` received at or before `as_of` (UTC microseconds), of each key the one received last.

    `only` names segments by commitment (a replay names those it recorded); `columns` the columns wanted (all if None);
    `hcps` the HCPs whose rows are wanted, in a table about HCPs; `restated` asks for every row of each key, in order of receipt within a batch of periods:
    what was known of it at any instant. The order of rows depends on neither
    the order nor the number of loads. Raises `IntakeError` for an unknown table or a segment that is gone.
    """
    contract = _table(table).contract
    chosen = segments_of(warehouse, table, only)
    wanted = list(columns) if columns is not None else None
    frames = [_scan(warehouse, segment, as_of, _schema(table)) for segment in sorted(chosen, key=lambda segment: segment.received_first or 0)]
    if not frames:
        frame = pl.DataFrame(schema=_schema(table))
        return frame.select(wanted) if wanted else frame
    columns_of = wanted or list(_schema(table))
    needed = list(dict.fromkeys((*columns_of, *contract.key, "received_at")))
    known = pl.concat(frames)
    if hcps is not None and _table(table).about_hcps:
        known = known.filter(pl.col("hcp_id").is_in(pl.Series(hcps, dtype=pl.String).implode()))
    parts = (batch.select(needed) for batch in _batches(known, _table(table)))
    return pl.concat((_in_order(part) if restated else _last_of_each(part, contract.key)).select(columns_of) for part in parts)


def state(warehouse: Path, table: str, as_of: int, *, only: Collection[str] | None = None) -> pl.DataFrame:
    """A dimension at `as_of`: the one row in force for each entity, as known then; of several in force, the one that became valid last.

    An opt-out acts from its receipt, though it be valid later. Raises `IntakeError`, also if `table` is not a dimension.
    """
    kind = _table(table)
    if not kind.entity:
        raise IntakeError(f"`{table}` holds events and has no state", do=f"Dimensions are {', '.join(name for name, each in TABLES.items() if each.entity)}.")
    return in_force(read(warehouse, table, as_of, only=only), table, as_of)


def in_force(rows: pl.DataFrame, table: str, as_of: int) -> pl.DataFrame:
    """As `state`, from rows of the dimension as `read` gives them."""
    kind = _table(table)
    begun = pl.col("valid_from") <= as_of
    opt_out = pl.col("status") == "opt_out" if table == "consent" else pl.lit(False)
    known = rows.with_row_index("_order").with_columns(_no=opt_out)
    standing = known.filter(begun | pl.col("_no"), pl.col("valid_to") > as_of)
    by = [*kind.entity, kind.beside.alias("_beside")] if kind.beside is not None else list(kind.entity)
    latest = standing.sort("valid_from", "received_at", "_no", "_order").group_by(by, maintain_order=True).last()
    return latest.select(list(_schema(table))).sort(kind.entity, maintain_order=True)


def turns(warehouse: Path, table: str, as_of: int, *, only: Collection[str] | None = None, ends: bool = True) -> int | None:
    """The first instant after `as_of` at which the state of a dimension changes by itself: a row begins, ends (where `ends` are asked for), or is held to be
    received by then. Raises `IntakeError`."""
    at = ("valid_from", "received_at", "valid_to")[: 3 if ends else 2]
    scans = [pl.scan_parquet(rows_path(warehouse, segment)).select(at) for segment in segments_of(warehouse, table, only)]
    if not scans:
        return None
    after = (pl.col(name).filter(pl.col(name) > as_of).min() for name in at)
    first: int | None = pl.concat(scans).select(pl.min_horizontal(after)).collect().item()
    return None if first is None or first >= FOREVER else first


def last_of_each(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Of each key of `table` the row received last, in order of receipt."""
    return _last_of_each(rows.lazy(), _table(table).contract.key)


def segments_of(warehouse: Path, table: str, only: Collection[str] | None) -> list[Segment]:
    """The segments of a table, or those of `only`. Raises `IntakeError` naming every one of `only` that is gone."""
    stored = segments(warehouse, [table])
    if only is None:
        return list(stored)
    gone = sorted(set(only) - {segment.commitment for segment in segments(warehouse)})
    if gone:
        raise IntakeError("segments are gone", where=str(warehouse), do="They were erased, or the warehouse is damaged.", faults=gone)
    return [segment for segment in stored if segment.commitment in set(only)]


def _table(name: str) -> Table:
    if name not in TABLES:
        raise IntakeError(f"there is no table `{name}`", do=f"Tables are {', '.join(TABLES)}.")
    return TABLES[name]


def _batches(known: pl.LazyFrame, table: Table) -> Iterator[pl.LazyFrame]:
    """The rows in parts that share no key, so that memory is bounded: a period is part of its key."""
    if table.occurred != "period":
        yield known
        return
    periods = known.select(pl.col("period").unique().sort()).collect()["period"]
    for first in range(0, max(1, len(periods)), _PERIODS_AT_ONCE):
        some = periods[first : first + _PERIODS_AT_ONCE]
        yield known.filter(pl.col("period").is_between(pl.lit(some.min(), pl.String), pl.lit(some.max(), pl.String)))


def _in_order(known: pl.LazyFrame) -> pl.DataFrame:
    rows = known.collect()
    return rows if rows["received_at"].is_sorted() else rows.sort("received_at", maintain_order=True)


def _last_of_each(known: pl.LazyFrame, key: tuple[str, ...]) -> pl.DataFrame:
    rows = _in_order(known)
    keep = np.ones(rows.height, dtype=bool)
    keep[repeats(rows, key)[0]] = False
    return rows.filter(keep)


def _scan(warehouse: Path, segment: Segment, as_of: int, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.LazyFrame:
    """A segment's rows; columns that the contract has gained since it was written are unknown in it."""
    rows = pl.scan_parquet(rows_path(warehouse, segment), schema=schema, missing_columns="insert", extra_columns="raise")
    return rows.filter(pl.col("received_at") <= as_of)


def _schema(table: str) -> dict[str, pl.DataType | type[pl.DataType]]:
    own = _table(table).contract
    kinds = pl.Schema(own.schema)
    return {name: kinds[name] for name in own.columns if name not in _STAMPS} | _STAMPS
