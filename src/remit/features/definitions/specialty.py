"""The HCP's specialty."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (Feature("specialty", "hcp", "specialty", pl.col("specialty")),)
