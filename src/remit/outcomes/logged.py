"""A log of decisions taken with known probabilities, and what it says of a policy that did not take them."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from remit.outcomes.errors import OutcomeError
from remit.outcomes.looks import Floats, Ints


@dataclass(frozen=True, slots=True)
class Logged:
    """Row i is a decision: `reward`; `propensity`, with which the logging policy took what was done; `target`, with which the other policy would have taken it.

    With a model of the reward: `expected` for what was done, `expected_target` for what the other policy would do, averaged over its choices. Rows of one
    `cluster` (an HCP, a practice) may depend on each other; without it, all rows stand alone. All of one length.
    """

    reward: Floats
    propensity: Floats
    target: Floats
    expected: Floats | None = None
    expected_target: Floats | None = None
    cluster: Ints | None = None

    def checked(self) -> "Logged":
        """The same. Raises `OutcomeError` with all that is wrong with it."""
        faults = []
        columns = {name: getattr(self, name) for name in ("reward", "propensity", "target", "expected", "expected_target", "cluster")}
        for name, column in columns.items():
            if column is not None and (column.ndim != 1 or len(column) != len(self.reward)):
                faults.append(f"`{name}` has {len(column)} rows, `reward` {len(self.reward)}")
            elif column is not None and not np.isfinite(column).all():
                faults.append(f"`{name}` is not a number in row {int(np.argmin(np.isfinite(column)))}")
        if not len(self.reward):
            faults.append("there are no rows")
        if not faults:
            if (self.propensity <= 0).any() or (self.propensity > 1).any():
                row = int(np.argmax((self.propensity <= 0) | (self.propensity > 1)))
                faults.append(f"`propensity` is {self.propensity[row]} in row {row}: what was done had a probability above 0 and at most 1")
            if (self.target < 0).any() or (self.target > 1).any():
                row = int(np.argmax((self.target < 0) | (self.target > 1)))
                faults.append(f"`target` is {self.target[row]} in row {row}: a probability lies between 0 and 1")
        if (self.expected is None) != (self.expected_target is None):
            faults.append("`expected` and `expected_target` come together or not at all")
        if faults:
            raise OutcomeError("the log cannot be evaluated", faults=faults, do="Off-policy evaluation needs the probabilities that were recorded.")
        return self

    @property
    def weights(self) -> Floats:
        """How much more likely the other policy was to do what was done."""
        return self.target / self.propensity


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a policy per decision with its interval, and the effective sample size, (sum w)^2 / sum w^2: with few of them, believe none of it."""

    estimator: str
    value: float
    low: float
    high: float
    effective: float


def with_interval(estimator: str, log: Logged, value: float, influence: Floats, level: float) -> Estimate:
    """The estimate with the interval of a mean whose rows deviate by `influence`, summed within clusters (central limit theorem)."""
    count = len(influence)
    if log.cluster is not None:
        _, cluster = np.unique(log.cluster, return_inverse=True)
        influence = np.bincount(cluster, influence).astype(np.float64)
    clusters = len(influence)
    error = float(np.sqrt(np.sum(influence**2) * clusters / max(clusters - 1, 1))) / count
    reach = NormalDist().inv_cdf(0.5 + level / 2) * error
    weights = log.weights
    squares = float(np.sum(weights**2))
    return Estimate(estimator, value, value - reach, value + reach, float(np.sum(weights)) ** 2 / squares if squares else 0.0)
