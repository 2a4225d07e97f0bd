"""What the arbiter refuses."""

from remit.terms.errors import RemitError


class ArbiterError(RemitError):
    """A malformed problem: columns of wrong length, kind, range or order, or amounts too large for exact sums."""
