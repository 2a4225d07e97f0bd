"""How often: the share of the periods known among the last six in which there was a prescription."""

import polars as pl

from remit.features.feature import Feature

_RECENT = pl.col("lag") <= 6

FEATURES = (
    Feature(
        "rx_frequency",
        "rx",
        "share of the last six periods with a prescription",
        (_RECENT & (pl.col("outcome") > 0)).sum() / _RECENT.sum(),
    ),
)
