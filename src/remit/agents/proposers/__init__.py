"""The built-in proposers, by the name a charter calls them."""

from collections.abc import Mapping

from remit.agents.proposers.call_planner import CallPlanner
from remit.agents.proposers.email import EmailPlanner
from remit.agents.proposers.external import External
from remit.agents.proposers.msl import MslPlanner
from remit.agents.proposers.view import Proposer, View

PROPOSERS: Mapping[str, Proposer] = {proposer.name: proposer for proposer in (CallPlanner(), EmailPlanner(), External(), MslPlanner())}

__all__ = ["PROPOSERS", "Proposer", "View"]
