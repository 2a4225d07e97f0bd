"""Exponentially weighted means of the outcome over the periods known.

The weight of lag k is 2^-((k - 1) / half-life), in whole 65536ths: integer sums do not depend on order, threads or the machine's `pow`.
"""

import polars as pl

from remit.features.feature import Feature

HALF_LIVES = (2, 3, 6, 13)
"""In periods."""


def _mean(half_life: int) -> pl.Expr:
    weights = {lag: round(65536 * 0.5 ** ((lag - 1) / half_life)) for lag in range(1, 16 * half_life + 1)}
    weight = pl.col("lag").replace_strict(weights, default=0, return_dtype=pl.Int64)
    return (pl.col("outcome") * weight).sum() / weight.sum()


FEATURES = tuple(
    Feature(f"rx_mean_{half_life}", "rx", f"weighted mean of prescriptions, halving every {half_life} periods", _mean(half_life)) for half_life in HALF_LIVES
)
