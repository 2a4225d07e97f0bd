"""Touches about the product in the 28 days before the instant, by channel."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (
    Feature(
        "touches_recent",
        "touches",
        "touches by {channel} in the last 28 days",
        (pl.col("age_days") < 28).sum().cast(pl.Float64),
        by_channel=True,
        if_none=0,
    ),
)
