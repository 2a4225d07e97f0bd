"""What a person can mend about feeds and the warehouse."""

from remit.terms.errors import RemitError


class IntakeError(RemitError):
    """A malformed contract or feed file, or a warehouse that cannot be read or written."""
