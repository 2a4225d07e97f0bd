"""What segments took up: of the touches with each content, which share was opened or welcomed."""

import numpy as np
import polars as pl

from remit.models.segments.rules import Ints
from remit.models.segments.traits import Floats
from remit.terms.encoding import MICRO

_ENOUGH = 20.0
"""Touches that a segment's own record must have to count as much as everybody's."""

_SURE = 1.645
"""Standard deviations of the normal below which chance alone stays in 95 of 100 cases."""

_RARELY = 0.001
"""No share is taken to be lower, nor higher than all but this."""


def uptake(members: pl.DataFrame, touches: pl.DataFrame) -> pl.DataFrame:
    """The share taken up by each segment of `members` (hcp_id, segment) of each content: segment, product, channel, content_id, `rate` (millionths).

    `touches`: hcp_id, product, channel, content_id, engaged; those of which either of the last two is unknown say nothing. A segment is expected to take up
    its usual share of the touches about a product in a channel (drawn to everybody's as far as its touches are few); contents differ from that for everybody,
    and then for single segments, as far as they vary by more than chance does (variance by moments, beyond the 95% point of chance): where nothing tells
    contents apart, their rates are equal. Contents that a segment never got are absent.
    """
    told = touches.filter(pl.col("content_id").is_not_null() & pl.col("engaged").is_not_null()).join(members, on="hcp_id", how="inner")
    told = told.filter(pl.col("segment").is_not_null())
    cells = ["segment", "product", "channel", "content_id"]
    counted = told.group_by(cells).agg(taken=pl.col("engaged").sum().cast(pl.Float64), told=pl.len().cast(pl.Float64)).sort(cells)
    parts = [part.with_columns(rate=pl.Series(_rates(part))) for part in counted.partition_by("product", "channel", maintain_order=True)]
    rated = pl.concat(parts) if parts else counted.with_columns(rate=pl.lit(0.0))
    return rated.select(*cells, rate=(pl.col("rate") * MICRO).round().cast(pl.Int64)).sort(cells)


def _rates(cells: pl.DataFrame) -> Floats:
    """The rate of each cell (segment and content) of one product and channel."""
    taken, told = cells["taken"].to_numpy(), cells["told"].to_numpy()
    segment, content = (np.unique(cells[name].to_numpy(), return_inverse=True)[1] for name in ("segment", "content_id"))
    everybody = taken.sum() / told.sum()
    usual = ((np.bincount(segment, taken) + _ENOUGH * everybody) / (np.bincount(segment, told) + _ENOUGH))[segment]
    for groups in (content, np.arange(len(taken))):
        usual = np.clip(usual + _beyond_chance(taken, told, usual, groups)[groups], _RARELY, 1 - _RARELY)
    return np.asarray(usual)


def _beyond_chance(taken: Floats, told: Floats, usual: Floats, groups: Ints) -> Floats:
    """By how much each group's rate differs from what is usual, drawn to nothing as far as groups differ by chance alone."""
    count, over = np.bincount(groups, told), np.bincount(groups, taken - told * usual)
    chance = np.bincount(groups, told * usual * (1 - usual))
    # The 95% point of a sum of squares of unequal variances: Satterthwaite's degrees of freedom, Wilson and Hilferty's cube.
    part = 2.0 * float((chance**2).sum()) / (9.0 * max(float(chance.sum()), 1e-12) ** 2)
    limit = chance.sum() * (1.0 - part + _SURE * np.sqrt(part)) ** 3
    variance = max(float((over**2).sum() - limit), 0.0) / float((count**2).sum())
    return np.asarray(over * count * variance / np.maximum(count**2 * variance + chance, 1e-12))
