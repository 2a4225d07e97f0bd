"""What can be wrong with a question about outcomes."""

from remit.terms.errors import RemitError


class OutcomeError(RemitError):
    """Rows that cannot answer what was asked."""
