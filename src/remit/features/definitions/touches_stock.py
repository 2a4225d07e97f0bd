"""Carry-over: the stock of touches about the product, each fading by half every so many days (geometric adstock), by channel.

The weight of an age is in whole 65536ths: integer sums do not depend on order or threads.
"""

import polars as pl

from remit.features.feature import Feature

HALF_LIVES_DAYS = (7, 14, 28, 56)


def _stock(name: str, says: str, days: int) -> Feature:
    weights = {age: round(65536 * 0.5 ** (age / days)) for age in range(16 * days + 1)}
    left = pl.col("age_days").replace_strict(weights, default=0, return_dtype=pl.Int64).sum() / 65536
    return Feature(name, "touches", says, left, by_channel=True, if_none=0)


FEATURES = (
    _stock("touches_stock", "what is left of earlier touches by {channel}", 28),
    *(_stock(f"touches_stock_{days}d", f"what is left of earlier touches by {{channel}}, halving every {days} days", days) for days in (7, 14, 56)),
)
