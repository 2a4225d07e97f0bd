"""Engagement: of how many touches it is known whether they were taken up (opened, welcomed), and how many were."""

import polars as pl

from remit.features.feature import Feature

FEATURES = (
    Feature("touches_engaged", "touches", "touches by {channel} that were taken up", pl.col("engaged").sum().cast(pl.Float64), by_channel=True, if_none=0),
    Feature(
        "touches_judged",
        "touches",
        "touches by {channel} of which it is known whether they were taken up",
        pl.col("engaged").is_not_null().sum().cast(pl.Float64),
        by_channel=True,
        if_none=0,
    ),
)
