"""Doubly robust (Dudik, Langford and Li 2011): a model's expectation, corrected by weighted residuals; right if either the model or the propensities are."""

import numpy as np

from remit.outcomes.errors import OutcomeError
from remit.outcomes.logged import Estimate, Logged, with_interval
from remit.outcomes.looks import Floats


def value(log: Logged, level: float) -> Estimate:
    """Raises `OutcomeError` without a model."""
    each = terms(log, "dr")
    mean = float(np.mean(each))
    return with_interval("dr", log, mean, each - mean, level)


def terms(log: Logged, estimator: str) -> Floats:
    """What each row says of the other policy's value; their mean is the estimate. Raises `OutcomeError` without a model."""
    expected, expected_target = modelled(log, estimator)
    return expected_target + log.weights * (log.reward - expected)


def modelled(log: Logged, estimator: str) -> tuple[Floats, Floats]:
    """What the model expects of what was done, and of what the other policy would do. Raises `OutcomeError` without a model."""
    log.checked()
    if log.expected is None or log.expected_target is None:
        raise OutcomeError(
            f"`{estimator}` needs a model of the reward", do="Give `expected` and `expected_target`, predicted on folds that were not trained on."
        )
    return log.expected, log.expected_target
