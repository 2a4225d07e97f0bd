"""How old what is known is, per table."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from remit.intake.feeds import TABLES
from remit.intake.reading import segments_of
from remit.intake.warehouse import Segment, rows_path

OWN_FILES = "remit-"
"""How files begin that Remit writes into a feed itself: they tell nothing of whether the feed still comes."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """A table as known at an instant. All times are UTC microseconds, None where there is nothing.

    `last_load`: when the last file that is loaded whole was received; `feed_age_us` = instant - `last_load`. `newest_occurred`: of the rows that had
    happened by then; `data_age_us` = instant - `newest_occurred`. `rows` counts restatements too; `assumed_rows` are received by the declared lag and
    not by their own word.
    """

    table: str
    rows: int
    assumed_rows: int
    doubtful_files: int
    last_load: int | None
    feed_age_us: int | None
    newest_occurred: int | None
    data_age_us: int | None


def freshness(warehouse: Path, as_of: int, *, only: Collection[str] | None = None) -> tuple[Freshness, ...]:
    """The freshness of every table at `as_of`; `only` names segments by commitment, as in `read`. Raises `IntakeError`."""
    return tuple(_of(table, warehouse, segments_of(warehouse, table, only), as_of) for table in TABLES)


def _of(table: str, warehouse: Path, stored: list[Segment], as_of: int) -> Freshness:
    seen = pl.col("received_at") <= as_of
    frames = [pl.scan_parquet(rows_path(warehouse, segment)).select("occurred_at", "received_at", "received_assumed") for segment in stored]
    empty = pl.LazyFrame(schema={"occurred_at": pl.Int64, "received_at": pl.Int64, "received_assumed": pl.Boolean})
    found = (
        pl.concat([empty, *frames])
        .filter(seen)
        .select(
            rows=pl.len(),
            assumed=pl.col("received_assumed").sum(),
            newest=pl.col("occurred_at").filter(pl.col("occurred_at") <= as_of).max(),
        )
    )
    rows, assumed, newest = found.collect().row(0)
    last = max(_receipts(warehouse, stored, as_of), default=None)
    return Freshness(
        table,
        rows,
        assumed,
        len({segment.source_digest for segment in stored if segment.doubtful}),
        last,
        None if last is None else as_of - last,
        newest,
        None if newest is None else as_of - newest,
    )


def _receipts(warehouse: Path, stored: list[Segment], as_of: int) -> Iterator[int]:
    """When whole files were received, as far as that was by `as_of`. A file of which every line is bad was not received."""
    files = defaultdict(list)
    for segment in stored:
        if not segment.source_file.startswith(OWN_FILES):
            files[segment.feed, segment.source_digest].append(segment)
    for parts in files.values():
        if len(parts) == parts[0].parts:
            yield from (instant for part in parts for instant in _received(warehouse, part, as_of) if instant <= as_of)


def _received(warehouse: Path, segment: Segment, as_of: int) -> Iterator[int]:
    if segment.received_last is None:
        if not segment.quarantined:
            yield segment.loaded_at
        return
    if segment.assumed:
        # Its rows are as old as the lag says; the file itself came when it was loaded.
        yield segment.loaded_at
    if segment.received_last <= as_of:
        yield segment.received_last
    elif segment.received_first is not None and segment.received_first <= as_of:
        rows = pl.scan_parquet(rows_path(warehouse, segment)).filter(pl.col("received_at") <= as_of)
        yield from rows.select(pl.col("received_at").max()).collect()["received_at"].drop_nulls()
