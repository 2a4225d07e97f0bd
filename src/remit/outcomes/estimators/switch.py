"""Switch (Wang, Agarwal and Dudik 2017): weighted residuals where weights are small, the model alone where they are large."""

import numpy as np

from remit.outcomes.estimators.dr import modelled
from remit.outcomes.logged import Estimate, Logged, with_interval
from remit.outcomes.looks import Floats

_CANDIDATES = 20


def value(log: Logged, level: float) -> Estimate:
    """The threshold is the one of the least estimated error, variance plus a bound on the squared bias. Raises `OutcomeError` without a model.

    The bias is bounded by the weight left out x the largest reward seen, so that a large threshold wins where the model proves nothing.
    """
    expected, expected_target = modelled(log, "switch")
    weights, residuals = log.weights, log.reward - expected
    largest = float(np.max(np.abs(log.reward), initial=0.0))
    best: tuple[float, float, Floats] | None = None
    for threshold in np.unique(np.quantile(weights, np.linspace(0.05, 1.0, _CANDIDATES))):
        kept = weights <= threshold
        terms = expected_target + np.where(kept, weights * residuals, 0.0)
        mean = float(np.mean(terms))
        bias = largest * float(np.mean(np.where(kept, 0.0, weights)))
        error = float(np.var(terms)) / len(terms) + bias * bias
        if best is None or error < best[0]:
            best = (error, mean, terms)
    assert best is not None  # noqa: S101  # `checked` lets no empty log pass
    return with_interval("switch", log, best[1], best[2] - best[1], level)
