"""When a row happened, when it was received, and who says so."""

import polars as pl

from remit.intake.cells import read_periods
from remit.intake.contracts import Table
from remit.intake.settings import Settings
from remit.terms.instants import FOREVER, add_span


def stamped(rows: pl.DataFrame, table: Table, settings: Settings, now: int) -> pl.DataFrame:
    """The rows as the warehouse holds them: the table's own columns, then `occurred_at`, `received_at`, `received_assumed`, `source`, `line`.

    `received_at` is the row's own; else `occurred_at` (or its period's start) plus the declared lag, marked as assumed; else `now`.
    """
    if table.occurred == "period":
        bounds = read_periods(rows["period"], settings.zone)
        start, end = bounds["start"], bounds["end"]
    else:
        start = end = rows[table.occurred]
    told = pl.col("received_assumed") if "received_assumed" in rows.columns else pl.col("received_at").is_null() & pl.lit(settings.lag is not None)
    forever = [pl.col("valid_to").fill_null(FOREVER)] if table.entity else []
    held = rows.with_columns(
        *forever,
        occurred_at=end,
        received_assumed=told,
        received_at=pl.coalesce("received_at", lagged(start, end, settings), pl.lit(now, pl.Int64)),
        source=pl.lit(settings.source),
    )
    own = [name for name in table.contract.columns if name not in ("received_at", "occurred_at")]
    kinds = pl.Schema(table.contract.schema)
    held = held.with_columns(pl.lit(None, kinds[name]).alias(name) for name in own if name not in held.columns)  # a layout may lack what may be unknown
    return held.select(*own, "occurred_at", "received_at", "received_assumed", "source", "line")


def lagged(start: pl.Series, end: pl.Series, settings: Settings) -> pl.Series:
    """`start` or `end` (UTC microseconds), as the feed file says, plus the declared lag; nulls where it declares none."""
    since = start if settings.lag_from == "start" else end
    if settings.lag is None:
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(since))
    if "month" not in settings.lag:
        return since + add_span(0, settings.lag)
    instants = since.unique()
    known = pl.Series([add_span(instant, settings.lag) for instant in instants], dtype=pl.Int64)
    return since.replace_strict(instants, known, return_dtype=pl.Int64)
