"""What can be wrong with a world."""

from remit.terms.errors import RemitError


class WorldError(RemitError):
    """A description that cannot be used, or actions that a world cannot take."""
