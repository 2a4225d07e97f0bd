"""What a world hands over: files of rows, with the dirt that real files have."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.terms.instants import WEEK

DIRTY_ROWS_IN = 200
"""One row in so many is bad; a small file has at least one."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file of one feed, in intake's native layout: `name` has no extension; instants are ISO 8601 text; an empty cell is null."""

    feed: str
    name: str
    rows: pl.DataFrame


def generator(seed: int, stream: str, step: int = 0) -> np.random.Generator:
    """The random stream of a name and a step: the same in any process, whatever other streams have drawn."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(stream.encode()), step))))


def iso(instants: pl.Series) -> pl.Series:
    """ISO 8601 text of UTC microseconds, to the second."""
    return instants.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_week(start: int) -> str:
    """The ISO week, such as `2026-W02`, that begins near `start` (UTC microseconds)."""
    return str(pl.Series([start + WEEK // 2]).cast(pl.Datetime("us")).dt.strftime("%G-W%V")[0])


_MISSING_HCP: Mapping[str, pl.Expr] = {"hcp_id": pl.lit(None, pl.String)}
_DUPLICATE: Mapping[str, pl.Expr] = {}
_FAULTS: Mapping[str, tuple[Mapping[str, pl.Expr], ...]] = {
    "hcp": ({"zone": pl.lit("Mars/Olympus")}, {"match_confidence": pl.lit("1.7")}, {"hcp_id": pl.lit("H 17")}),
    "rx": ({"trx": -pl.col("trx") - 1}, {"period": pl.lit("2025-W60")}, _MISSING_HCP, _DUPLICATE),
    "touches": ({"channel": pl.lit(None, pl.String)}, {"position": pl.lit(7, pl.Int64)}, _MISSING_HCP, _DUPLICATE),
    "inquiries": (_MISSING_HCP, {"answered_at": pl.lit("soon")}),
    "consent": ({"status": pl.lit("maybe")}, _MISSING_HCP, {"valid_from": pl.lit("31/12/2025")}, _DUPLICATE),
    "alignments": ({"rep_id": pl.lit("rep-9999"), "sales_force": pl.lit("field"), "exclusive": pl.lit("true")}, _MISSING_HCP, {"exclusive": pl.lit("perhaps")}),
    "formulary": ({"tier": pl.lit(None, pl.String)}, {"valid_to": pl.lit("2001-01-01T00:00:00Z")}),
}
"""What is wrong with a feed's bad rows, in turn; a duplicate line changes nothing in the copy. `rep-9999` claims an HCP that another rep covers exclusively."""


def soil(delivery: Delivery, seed: int) -> Delivery:
    """The delivery with bad copies of some of its rows, each below the row it was copied from; feeds kept by hand (products, content, resources) stay clean."""
    faults = _FAULTS.get(delivery.feed, ())
    height = delivery.rows.height
    if height < 20 * len(faults) or not faults:  # a few bad rows would be a large share of a small file
        return delivery
    bad = max(len(faults), height // DIRTY_ROWS_IN)
    copies = np.sort(generator(seed, f"dirt/{delivery.feed}/{delivery.name}").choice(height, bad, replace=False))
    order = np.argsort(np.concatenate([np.arange(height), copies]), kind="stable")
    rows = delivery.rows[np.concatenate([np.arange(height), copies])[order]]
    kind = np.concatenate([np.full(height, -1), np.arange(bad) % len(faults)])[order]
    return Delivery(delivery.feed, delivery.name, _break(rows, pl.Series("kind", kind), faults))


def _break(rows: pl.DataFrame, kind: pl.Series, faults: tuple[Mapping[str, pl.Expr], ...]) -> pl.DataFrame:
    for number, fault in enumerate(faults):
        changes = [pl.when(kind == number).then(value).otherwise(pl.col(name)).alias(name) for name, value in fault.items()]
        rows = rows.with_columns(changes)
    return rows
