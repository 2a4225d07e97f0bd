"""Did it work? Holdouts, power, lift, the value of policies that were not followed, and credit across channels."""

from remit.outcomes.attribution import Path, markov, shapley, touch_paths
from remit.outcomes.clusters import between, clusters, joined
from remit.outcomes.contrasts import contrast
from remit.outcomes.errors import OutcomeError
from remit.outcomes.estimators import ESTIMATORS
from remit.outcomes.gains import gain
from remit.outcomes.holdouts import enrol
from remit.outcomes.lifts import Lift, Look, lift
from remit.outcomes.logged import Estimate, Logged
from remit.outcomes.looks import FEWEST
from remit.outcomes.power import Plan, plan
from remit.outcomes.velocity import Clock, Owner, Velocity, Wait, velocity

__all__ = [
    "ESTIMATORS",
    "FEWEST",
    "Clock",
    "Estimate",
    "Lift",
    "Logged",
    "Look",
    "OutcomeError",
    "Owner",
    "Path",
    "Plan",
    "Velocity",
    "Wait",
    "between",
    "clusters",
    "contrast",
    "enrol",
    "gain",
    "joined",
    "lift",
    "markov",
    "plan",
    "shapley",
    "touch_paths",
    "velocity",
]
