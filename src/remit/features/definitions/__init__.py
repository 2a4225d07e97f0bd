"""The built-in features, one definition a file."""

from remit.features.definitions import (
    formulary_tier,
    inquiries_recent,
    practice_size,
    rx_basket,
    rx_frequency,
    rx_newest,
    rx_recency,
    rx_share,
    rx_spread,
    rx_trend,
    rx_weighted_mean,
    specialty,
    touches_engaged,
    touches_recency,
    touches_recent,
    touches_stock,
)
from remit.features.feature import Feature

FEATURES: tuple[Feature, ...] = (
    *rx_newest.FEATURES,
    *rx_weighted_mean.FEATURES,
    *rx_trend.FEATURES,
    *rx_recency.FEATURES,
    *rx_frequency.FEATURES,
    *rx_spread.FEATURES,
    *rx_share.FEATURES,
    *rx_basket.FEATURES,
    *touches_recent.FEATURES,
    *touches_stock.FEATURES,
    *touches_recency.FEATURES,
    *touches_engaged.FEATURES,
    *inquiries_recent.FEATURES,
    *specialty.FEATURES,
    *practice_size.FEATURES,
    *formulary_tier.FEATURES,
)
"""Every definition in this folder; a test holds that none is left out."""
