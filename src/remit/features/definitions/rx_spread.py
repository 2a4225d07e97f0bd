"""Steadiness: the largest less the smallest outcome of the last six periods known."""

import polars as pl

from remit.features.feature import Feature

_RECENT = pl.when(pl.col("lag") <= 6).then(pl.col("outcome"))

FEATURES = (Feature("rx_spread", "rx", "spread of prescriptions over six periods", (_RECENT.max() - _RECENT.min()).cast(pl.Float64)),)
