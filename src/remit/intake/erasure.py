"""Erasing an HCP: the segments and bad lines that hold it are written anew without it, and the old files destroyed with their salts."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from remit.intake.feeds import TABLES
from remit.intake.quarantine import SCHEMA
from remit.intake.warehouse import (
    Entropy,
    Segment,
    commitment_of,
    locked,
    parquet_bytes,
    quarantine_path,
    rows_path,
    salt_from,
    segments,
    store,
    sweep,
)


def erase(warehouse: Path, hcp_id: str, entropy: Entropy) -> tuple[tuple[str, str], ...]:
    """Removes every row and bad line that names the HCP; returns (old commitment, new commitment) of each segment written anew.

    A stopped erasure is completed by calling it again; `replaced` tells of all that was ever replaced. Let `erased_among` know first, or a later load brings
    the HCP back. The delivered files in the folder of feeds are their owner's, and are not touched. Raises `IntakeError`.
    """
    with locked(warehouse):
        sweep(warehouse)
        pairs = [
            pair
            for segment in segments(warehouse, [name for name, table in TABLES.items() if table.about_hcps])
            for pair in _rewritten(warehouse, segment, hcp_id, entropy)
        ]
        sweep(warehouse)
    return tuple(pairs)


def _rewritten(warehouse: Path, segment: Segment, hcp_id: str, entropy: Entropy) -> list[tuple[str, str]]:
    bad = pl.read_parquet(quarantine_path(warehouse, segment)) if segment.quarantined else pl.DataFrame(schema=SCHEMA)
    others = TABLES[segment.table].others
    named = pl.any_horizontal(pl.col("hcp_id", *others) == hcp_id)
    held = pl.scan_parquet(rows_path(warehouse, segment)).filter(named).select(pl.len()).collect().item()
    cells = [pl.col("cells").str.json_path_match(f"$.{name}").str.strip_chars().ne_missing(hcp_id) for name in others]
    kept_bad = bad.filter(pl.col("hcp_id").ne_missing(hcp_id), *cells)
    if not held and kept_bad.height == bad.height:
        return []
    rows = pl.read_parquet(rows_path(warehouse, segment)).filter(~named)
    data, salt = parquet_bytes(rows), salt_from(entropy)
    new = replace(
        segment,
        rows=rows.height,
        assumed=int(rows["received_assumed"].sum()),
        quarantined=kept_bad.height,
        salt=salt,
        commitment=commitment_of(salt, data),
        replaces=(*segment.replaces, segment.commitment),
    )
    store(warehouse, new, data, kept_bad)
    return [(segment.commitment, new.commitment)]
