"""Which, jointly: candidates and resources to a plan, a price on everything scarce, and a bound on what was possible."""

from remit.arbiter.errors import ArbiterError
from remit.arbiter.plans import Answer, arbitrate, arbitrate_one

__all__ = ["Answer", "ArbiterError", "arbitrate", "arbitrate_one"]
