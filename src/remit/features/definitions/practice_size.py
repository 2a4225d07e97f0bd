"""How many HCPs work in the practice."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (Feature("practice_size", "hcp", "size of the practice", pl.col("practice_size").cast(pl.Float64)),)
