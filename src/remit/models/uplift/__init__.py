"""What each arm would change for each HCP: several learners behind one interface, compared on rows they did not learn from."""

from remit.models.uplift.judging import Judged, Measured, autoc, qini
from remit.models.uplift.model import LEARNERS, NAME, Effects, Uplift, load, train

__all__ = ["LEARNERS", "NAME", "Effects", "Judged", "Measured", "Uplift", "autoc", "load", "qini", "train"]
