"""Periods since the newest period with a prescription: 1 is the newest known; null where none is known."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (Feature("rx_recency", "rx", "periods since the last prescription", pl.when(pl.col("outcome") > 0).then(pl.col("lag")).min().cast(pl.Float64)),)
