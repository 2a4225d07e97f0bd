"""What can be wrong with a workspace or a command."""

from remit.terms.errors import RemitError


class WorkspaceError(RemitError):
    """A workspace that cannot be read, locked, moved or written."""


class ReplayError(RemitError):
    """A cycle whose recorded inputs cannot be found."""
