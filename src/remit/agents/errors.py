"""What can be wrong with an agent."""

from remit.terms.errors import RemitError


class AgentError(RemitError):
    """A charter that cannot be read, or proposals that no agent may make."""
