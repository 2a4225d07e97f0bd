"""What doing changed where chance decided whether it was done."""

import numpy as np

from remit.outcomes.errors import OutcomeError
from remit.outcomes.logged import Estimate, Logged, with_interval
from remit.outcomes.looks import FEWEST, Flags, Floats, Ints


def contrast(reward: Floats, done: Flags, probability: Floats, cluster: Ints, level: float) -> Estimate:
    """The mean of `reward` if all of these decisions had been done, less if none had, each weighted by one over the probability of what happened to it
    (Hajek's ratio; Robins, Hernan and Brumback 2000, Epidemiology 11); its interval counts each `cluster` (an HCP) once, and is wider where one side rests on
    few.

    `probability` is that of being done, between 0 and 1. Raises `OutcomeError` for a probability of 0 or 1, and where fewer than `FEWEST` were done, or not
    done: an interval from so few holds less often than it says.
    """
    if min(done.sum(), (~done).sum()) < FEWEST:
        raise OutcomeError("too little can be compared", where="decisions", do=f"Wait until {FEWEST} were done and {FEWEST} were not.")
    if (probability <= 0).any() or (probability >= 1).any():
        raise OutcomeError("chance did not decide all of these", where="probability", do="Leave out what was certain to be done, or not to be.")
    log = Logged(reward, np.where(done, probability, 1 - probability), np.ones(len(reward)), cluster=cluster).checked()
    influence, means = np.zeros(len(reward)), []
    for side, sign in ((done, 1.0), (~done, -1.0)):
        weight = np.where(side, log.weights, 0.0)
        mean = float((weight * reward).sum() / weight.sum())
        effective = float(weight.sum() ** 2 / (weight**2).sum())
        means.append(mean)
        influence += sign * weight * (reward - mean) * len(reward) / weight.sum() * np.sqrt(effective / max(effective - 1, 1))
    return with_interval("contrast", log, means[0] - means[1], influence, level)
