"""Alignments: who covers whom, by sales force and product."""

import polars as pl

from remit.intake.contracts import Contract, Table, Validity, flag, hcp_id, text
from remit.terms.instants import FOREVER
from remit.terms.labels import Label

_COM = Label.COMMERCIAL
_SHARED = ["hcp_id", "product", "sales_force"]


class Alignments(Validity):
    """`exclusive` says that no other rep of the sales force covers the HCP for the product at the time."""

    rep_id = text(_COM)
    territory = text(_COM)
    hcp_id = hcp_id()
    sales_force = text(_COM)
    product = text(_COM)
    exclusive = flag(_COM)


def _overlapping(good: pl.DataFrame) -> pl.DataFrame:
    """Exclusive alignments of one HCP to two reps at one time: every such row, as nobody can tell which is right."""
    latest = good.filter("exclusive").sort("received_at", "line", nulls_last=False).unique([*_SHARED, "rep_id", "valid_from"], keep="last")
    claims = latest.filter(pl.col("rep_id").n_unique().over(_SHARED) > 1).select(
        *_SHARED, "rep_id", "line", "valid_from", until=pl.col("valid_to").fill_null(FOREVER)
    )
    pairs = claims.join(claims, on=_SHARED, suffix="_other").filter(
        pl.col("rep_id") != pl.col("rep_id_other"), pl.col("valid_from") < pl.col("until_other"), pl.col("valid_from_other") < pl.col("until")
    )
    return pairs.select("line").unique().with_columns(rule=pl.lit("overlapping_exclusive_alignment"))


TABLE = Table(
    "alignments",
    Contract(Alignments, key=("rep_id", "hcp_id", "product", "sales_force", "valid_from"), rules=_overlapping),
    occurred="valid_from",
    entity=("hcp_id", "product", "sales_force"),
    beside=pl.when(~pl.col("exclusive")).then("rep_id"),
)
