"""What doing changed where chance decided whether it was done."""

import numpy as np

from remit.outcomes.errors import OutcomeError
from remit.outcomes.logged import Estimate, Logged, with_interval
from remit.outcomes.looks import Flags, Floats, Ints


def contrast(reward: Floats, done: Flags, probability: Floats, cluster: Ints, level: float) -> Estimate:
    """The mean of `reward` if all of these decisions had been done, less if none had, each weighted by one over the probability of what happened to it
    (Hajek's ratio; Robins, Hernan and Brumback 2000, Epidemiology 11); its interval counts each `cluster` (an HCP) once.

    `probability` is that of being done, between 0 and 1. Raises `OutcomeError` for a probability of 0 or 1, and where all or none were done.
    """
    if done.all() or not done.any():
        raise OutcomeError("nothing can be compared", where="decisions", do="Wait until some were done and some were not.")
    if (probability <= 0).any() or (probability >= 1).any():
        raise OutcomeError("chance did not decide all of these", where="probability", do="Leave out what was certain to be done, or not to be.")
    log = Logged(reward, np.where(done, probability, 1 - probability), np.ones(len(reward)), cluster=cluster).checked()
    influence, means = np.zeros(len(reward)), []
    for side, sign in ((done, 1.0), (~done, -1.0)):
        weight = np.where(side, log.weights, 0.0)
        mean = float((weight * reward).sum() / weight.sum())
        means.append(mean)
        influence += sign * weight * (reward - mean) * len(reward) / weight.sum()
    return with_interval("contrast", log, means[0] - means[1], influence, level)
