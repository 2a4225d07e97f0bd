"""Volume: what the HCP prescribed of the product's whole basket per period, over the last twenty-six periods in which the product is known."""

import polars as pl

from remit.features.feature import Feature

_RECENT = pl.col("lag") <= 26

FEATURES = (
    Feature(
        "rx_basket",
        "rx",
        "prescriptions of all competing products per period",
        pl.when(_RECENT).then(pl.col("basket")).sum() / _RECENT.sum(),
    ),
)
