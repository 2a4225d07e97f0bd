"""How far a table lets a machine act to learn: with what probability a proposal may be tried, or left out."""

import polars as pl

from remit.authority.tables import Table

LIMITS = pl.Schema({"tries": pl.Int64, "rests": pl.Int64})


def limits(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """A row per row of `frame` (which has the facts that the table speaks of): `tries` and `rests` in millionths, the least that any row of the table's
    exploration which applies says; 0 where none applies. A row whose condition is unknown does not apply."""
    if not table.exploration:
        return pl.select(pl.repeat(0, frame.height, dtype=kind).alias(name) for name, kind in LIMITS.items())
    applies = frame.with_columns(row.expression.fill_null(value=False).alias(row.id) for row in table.exploration)
    least = [pl.min_horizontal(pl.when(pl.col(row.id)).then(getattr(row, name)) for row in table.exploration).fill_null(0).alias(name) for name in LIMITS]
    return applies.select(least).cast(LIMITS)
