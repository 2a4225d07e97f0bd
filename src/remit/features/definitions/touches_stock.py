"""Carry-over: the stock of touches about the product, each fading by half every 28 days (geometric adstock), by channel.

The weight of an age is in whole 65536ths: integer sums do not depend on order or threads.
"""

import polars as pl

from remit.features.feature import Feature

HALF_LIFE_DAYS = 28
_WEIGHTS = {age: round(65536 * 0.5 ** (age / HALF_LIFE_DAYS)) for age in range(16 * HALF_LIFE_DAYS + 1)}

FEATURES = (
    Feature(
        "touches_stock",
        "touches",
        "what is left of earlier touches by {channel}",
        pl.col("age_days").replace_strict(_WEIGHTS, default=0, return_dtype=pl.Int64).sum() / 65536,
        by_channel=True,
        if_none=0,
    ),
)
