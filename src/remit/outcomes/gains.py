"""How much more another policy would have been worth than the one that was followed."""

import numpy as np

from remit.outcomes.errors import OutcomeError
from remit.outcomes.estimators.dr import terms
from remit.outcomes.logged import Estimate, Logged, with_interval


def gain(other: Logged, followed: Logged, level: float) -> Estimate:
    """The doubly robust value of the `other` policy less that of the one `followed`, of the same rows: rows where both choose alike add nothing, and nothing to
    the interval either, so that it is narrower than the two values' own. The effective sample size is the other policy's.

    Raises `OutcomeError` without a model, or if the logs are not of the same decisions.
    """
    if not (np.array_equal(other.reward, followed.reward) and np.array_equal(other.propensity, followed.propensity)):
        raise OutcomeError("the two logs are not of the same decisions", do="Give both with the same `reward` and `propensity`.")
    apart = terms(other, "gain") - terms(followed, "gain")
    mean = float(np.mean(apart))
    return with_interval("gain", other, mean, apart - mean, level)
