"""Questions about the product in the 91 days before the instant."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (Feature("inquiries_recent", "inquiries", "questions asked in the last 91 days", (pl.col("age_days") < 91).sum().cast(pl.Float64), if_none=0),)
