"""Bad lines, kept with what is wrong with them."""

from pathlib import Path

import polars as pl

from remit.intake.warehouse import quarantine_path, segments

SCHEMA: dict[str, type[pl.DataType]] = {"feed": pl.String, "file": pl.String, "line": pl.Int64, "rules": pl.String, "cells": pl.String, "hcp_id": pl.String}


def quarantined_lines(raw: pl.DataFrame, hcp: pl.Series, broken: pl.DataFrame, feed: str, file: str) -> pl.DataFrame:
    """The lines of `raw` that `broken` (`line`, `rule`) names: their rules in order, their cells as JSON, and the HCP they are about, if any."""
    rules = broken.unique().sort("line", "rule").group_by("line", maintain_order=True).agg(pl.col("rule").str.join(", ").alias("rules"))
    lines = raw.with_columns(_hcp=hcp).join(rules, on="line", how="inner", maintain_order="left")
    cells = pl.struct(*(name for name in raw.columns if name != "line")).struct.json_encode()
    return lines.select(feed=pl.lit(feed), file=pl.lit(file), line="line", rules="rules", cells=cells, hcp_id="_hcp")


def read_quarantine(warehouse: Path) -> pl.DataFrame:
    """Every bad line: `feed`, `file`, `line`, `rules` (broken, with commas between), `cells` (JSON, as delivered), `hcp_id` (or null). Raises `IntakeError`."""
    paths = [quarantine_path(warehouse, segment) for segment in segments(warehouse) if segment.quarantined]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *map(pl.read_parquet, paths)]).sort("feed", "file", "line")
