"""Why a lead is scored as it is: what each feature adds, in words, for the rows asked about."""

from collections.abc import Set as AbstractSet

import numpy as np
import polars as pl

from remit.models.estimators.lead_score import LeadScore
from remit.models.inputs import hidden_rows
from remit.terms.encoding import MICRO
from remit.terms.labels import Label


def reasons(model: LeadScore, frame: pl.DataFrame, viewer: AbstractSet[Label], *, threads: int, most: int = 3) -> pl.DataFrame:
    """The `most` features that move each row's lead score furthest from its product's mean, strongest first.

    Returns `hcp_id`, `product`, `rank` (from 1), `feature`, `factor` (what it multiplies the expectation by, int64 millionths) and `text`. A feature is
    named only if the viewer holds all its labels, and none that is labelled `pdrp` for a physician under PDRP. Meant for the rows that were chosen:
    the cost grows with the trees' leaves.
    """
    protected = model.inputs.protected(frame)
    hidden = hidden_rows(frame).to_numpy()
    keys = frame.select("hcp_id", "product")
    parts = []
    added = model.contributions(protected, threads=threads)
    for place, column in enumerate(model.inputs.columns):
        shown = column.labels <= viewer
        allowed = np.full(len(frame), shown) & ~(hidden & (Label.PDRP in column.labels))
        factor = np.rint(np.exp(added[:, place]) * MICRO).astype(np.int64)
        strength = np.rint(np.abs(added[:, place]) * MICRO).astype(np.int64)
        parts.append(
            keys.with_columns(
                place=pl.lit(place), feature=pl.lit(column.name), says=pl.lit(column.says), factor=pl.Series(factor), strength=pl.Series(strength)
            ).filter(pl.Series(allowed & (strength > 0)))
        )
    ranked = pl.concat(parts).sort(["hcp_id", "product", "strength", "place"], descending=[False, False, True, False])
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("hcp_id", "product")).filter(pl.col("rank") <= most)
    percent = (pl.col("factor") - MICRO).abs() // 10_000
    way = pl.when(pl.col("factor") >= MICRO).then(pl.lit("raises")).otherwise(pl.lit("lowers"))
    return ranked.select("hcp_id", "product", "rank", "feature", "factor", text=pl.format("{} {} the expectation by {}%", "says", way, percent))
