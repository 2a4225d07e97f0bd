"""Outcome units in the newest periods known."""

import polars as pl

from remit.features.feature import Feature


def _at(lag: int) -> pl.Expr:
    return pl.when(pl.col("lag") == lag).then(pl.col("outcome")).max().cast(pl.Float64)


FEATURES = (
    Feature("rx_newest", "rx", "prescriptions in the newest period", _at(1)),
    Feature("rx_lag_2", "rx", "prescriptions in the period before the newest", _at(2)),
    Feature("rx_lag_3", "rx", "prescriptions two periods before the newest", _at(3)),
)
