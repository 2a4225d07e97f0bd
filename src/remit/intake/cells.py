"""From cells of text to typed columns, keeping count of what could not be read."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import polars as pl

from remit.terms.encoding import MICRO
from remit.terms.errors import ClockError
from remit.terms.instants import parse_instant, period_bounds

Reader = Callable[[pl.Series], pl.Series]
"""From text to typed values, null where the text cannot be read."""

_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"
_DECIMAL = r"^-?\d{1,12}(\.\d{1,6})?$"


def read_instants(cells: pl.Series) -> pl.Series:
    """UTC microseconds, as `parse_instant` reads them."""
    names = cells.drop_nulls().unique()
    if len(names) * 4 > len(cells):
        return _instants(cells)
    table = pl.DataFrame({"cell": names, "instant": _instants(names)}, schema={"cell": pl.String, "instant": pl.Int64})
    return pl.DataFrame({"cell": cells}, schema={"cell": pl.String}).join(table, on="cell", how="left", maintain_order="left")["instant"]


def _instants(cells: pl.Series) -> pl.Series:
    plain = pl.select(pl.when(cells.str.contains(_INSTANT)).then(cells)).to_series()
    quick = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False).cast(pl.Int64)
    if quick.null_count() == cells.null_count():
        return quick
    rest = cells.filter(quick.is_null()).drop_nulls().unique()
    slow = pl.Series([_instant(cell) for cell in rest], dtype=pl.Int64)
    return quick.fill_null(cells.replace_strict(rest, slow, default=None, return_dtype=pl.Int64))


def read_periods(cells: pl.Series, zone: str) -> pl.DataFrame:
    """`start` and `end` of each period in UTC microseconds, null where it is not one."""
    names = cells.drop_nulls().unique()
    bounds = [_bounds(name, zone) for name in names]
    table = pl.DataFrame(
        {"cell": names, "start": [low for low, _ in bounds], "end": [high for _, high in bounds]},
        schema={"cell": pl.String, "start": pl.Int64, "end": pl.Int64},
    )
    return pl.DataFrame({"cell": cells}, schema={"cell": pl.String}).join(table, on="cell", how="left", maintain_order="left").select("start", "end")


def read_wholes(cells: pl.Series) -> pl.Series:
    """Whole numbers; zeros after a point do no harm."""
    quick = cells.cast(pl.Int64, strict=False)
    if quick.null_count() == cells.null_count():
        return quick
    return quick.fill_null(cells.str.replace(r"\.0+$", "").cast(pl.Int64, strict=False))


def read_millionths(cells: pl.Series) -> pl.Series:
    """Decimals of at most six places, as millionths."""
    fit = pl.select(pl.when(cells.str.contains(_DECIMAL)).then(cells)).to_series()
    return (fit.cast(pl.Decimal(20, 6), strict=False) * MICRO).cast(pl.Int64, strict=False)


def read_flags(cells: pl.Series) -> pl.Series:
    """`true` and `false`, in any case."""
    return cells.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "text": lambda cells: cells,
        "period": lambda cells: cells,
        "instant": read_instants,
        "whole": read_wholes,
        "millionths": read_millionths,
        "flag": read_flags,
    }
)


def _instant(cell: str) -> int | None:
    try:
        return parse_instant(cell)
    except ClockError:
        return None


def _bounds(period: str, zone: str) -> tuple[int, int] | tuple[None, None]:
    try:
        return period_bounds(period, zone)
    except ClockError:
        return None, None
