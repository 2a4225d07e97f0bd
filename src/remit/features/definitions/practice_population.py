"""Whom the practice mostly serves, and whether it lies in the country."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (
    Feature("practice_population", "hcp", "patients that the practice mostly serves", pl.col("practice_population")),
    Feature("rural", "hcp", "rural practice", pl.col("rural").cast(pl.Float64)),
)
