"""What segments took up: of the touches with each content, which share was opened or welcomed."""

import polars as pl

from remit.terms.encoding import MICRO

_ENOUGH = 20.0
"""Touches that a segment's own record must have to count as much as everybody's, and everybody's to count as much as the channel's."""


def uptake(members: pl.DataFrame, touches: pl.DataFrame) -> pl.DataFrame:
    """The share taken up by each segment of `members` (hcp_id, segment) of each content: segment, product, channel, content_id, `rate` (millionths).

    `touches`: hcp_id, product, channel, content_id, engaged; those of which either of the last two is unknown say nothing. A segment's rate is drawn to that
    of everybody for the content, and this to that of all contents of the product in the channel, as far as touches are few (beta-binomial, of fixed weight).
    Contents that a segment never got are absent.
    """
    told = touches.filter(pl.col("content_id").is_not_null() & pl.col("engaged").is_not_null()).join(members, on="hcp_id", how="inner")
    told = told.filter(pl.col("segment").is_not_null())
    content, channel = ["product", "channel", "content_id"], ["product", "channel"]
    counted = told.group_by("segment", *content).agg(taken=pl.col("engaged").sum().cast(pl.Int64), told=pl.len().cast(pl.Int64)).sort("segment", *content)
    usual = pl.col("taken").sum().over(channel) / pl.col("told").sum().over(channel)
    common = (pl.col("taken").sum().over(content) + _ENOUGH * usual) / (pl.col("told").sum().over(content) + _ENOUGH)
    rate = (pl.col("taken") + _ENOUGH * common) / (pl.col("told") + _ENOUGH)
    return counted.select("segment", *content, rate=(rate * MICRO).round().cast(pl.Int64))
