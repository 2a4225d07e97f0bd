"""The direction of prescribing: the mean of lags 1-3 less the mean of lags 4-6."""

import polars as pl

from remit.features.feature import Feature


def _mean(first: int, last: int) -> pl.Expr:
    inside = pl.col("lag").is_between(first, last)
    return pl.when(inside).then(pl.col("outcome")).sum() / inside.sum()


FEATURES = (Feature("rx_trend", "rx", "rise or fall of prescriptions over six periods", _mean(1, 3) - _mean(4, 6)),)
