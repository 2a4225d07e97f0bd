"""How the practice's payers place the product."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (Feature("formulary_tier", "formulary", "place on the formulary", pl.col("tier")),)
