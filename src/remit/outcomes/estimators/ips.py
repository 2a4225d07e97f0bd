"""Inverse propensity scoring (Horvitz and Thompson 1952): unbiased, and wild where the policies differ much."""

import numpy as np

from remit.outcomes.logged import Estimate, Logged, with_interval


def value(log: Logged, level: float) -> Estimate:
    """The mean of weight x reward."""
    terms = log.checked().weights * log.reward
    mean = float(np.mean(terms))
    return with_interval("ips", log, mean, terms - mean, level)
