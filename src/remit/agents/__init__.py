"""Who proposes what, and why: charters, and the agents that act under them."""

from remit.agents.board import Failure, ask, broken
from remit.agents.charters import read_charter, read_people, rules_of
from remit.agents.errors import AgentError
from remit.agents.proposers import PROPOSERS, Proposer, View
from remit.agents.proposers.view import PROPOSALS

__all__ = ["PROPOSALS", "PROPOSERS", "AgentError", "Failure", "Proposer", "View", "ask", "broken", "read_charter", "read_people", "rules_of"]
