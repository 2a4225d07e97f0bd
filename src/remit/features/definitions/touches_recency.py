"""Days since the last touch about the product, by channel; null where there was none."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (Feature("touches_recency", "touches", "days since the last touch by {channel}", pl.col("age_days").min().cast(pl.Float64), by_channel=True),)
