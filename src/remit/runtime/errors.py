"""What can be wrong with a workspace or a command."""

from remit.terms.errors import RemitError


class WorkspaceError(RemitError):
    """A workspace that cannot be read, locked, moved or written."""


class BusyError(WorkspaceError):
    """A workspace in which a run, or a person's yes, is at work: the same may be asked again later."""


class NotAllowedError(WorkspaceError):
    """Something that this person may not do; others may."""


class ReplayError(RemitError):
    """A cycle whose recorded inputs cannot be found."""
