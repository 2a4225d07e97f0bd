"""What is likely, and what would change it: lead score and response, stored as bytes, explained."""

from remit.models.checks import check_estimator
from remit.models.errors import ModelError
from remit.models.estimators import ESTIMATORS, lead_score, response
from remit.models.influence import Effect, Influence, peer_influence
from remit.models.reasons import reasons, reasons_of_response
from remit.models.stored import model_digest

__all__ = [
    "ESTIMATORS",
    "Effect",
    "Influence",
    "ModelError",
    "check_estimator",
    "lead_score",
    "model_digest",
    "peer_influence",
    "reasons",
    "reasons_of_response",
    "response",
]
