"""Prescriptions corrected for what is not yet reported, and for what will be restated."""

from remit.features.nowcast.backtest import Score, backtest, score
from remit.features.nowcast.estimate import COMPLETE, COVERAGE, Leading, Nowcast, nowcast
from remit.features.nowcast.leading import leading_indicators

__all__ = ["COMPLETE", "COVERAGE", "Leading", "Nowcast", "Score", "backtest", "leading_indicators", "nowcast", "score"]
