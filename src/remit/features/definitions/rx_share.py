"""Share in basket: the product's part of what this HCP prescribed of its basket, over the last six periods in which the product is known."""

import polars as pl

from remit.features.feature import Feature

_RECENT = pl.col("lag") <= 6

FEATURES = (
    Feature(
        "rx_share",
        "rx",
        "share among competing products",
        pl.when(_RECENT).then(pl.col("outcome")).sum() / pl.when(_RECENT).then(pl.col("basket")).sum(),
    ),
)
