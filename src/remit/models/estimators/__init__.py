"""The built-in estimators, one a file."""

from collections.abc import Mapping
from types import MappingProxyType

from remit.models.checks import Estimator
from remit.models.estimators import lead_score, response

ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        lead_score.NAME: Estimator(
            lambda frame, catalogue, seed, threads: lead_score.train(frame, catalogue, seed=seed, threads=threads),
            lead_score.load,
            lambda model, frame, threads: model.predict(frame, threads=threads),
        ),
        response.NAME: Estimator(
            lambda frame, catalogue, seed, threads: response.train(frame, catalogue, periods=1, seed=seed, threads=threads),
            response.load,
            lambda model, frame, threads: model.predict(frame, most=3),  # noqa: ARG005  # answers by arithmetic alone, without threads
        ),
    }
)
"""Every estimator by its name, as `check_estimator` takes it; a test holds that none is left out."""
