"""What can go wrong at the door."""

from remit.terms.errors import RemitError


class GatewayError(RemitError):
    """A channel that cannot act, or an action that the ledger does not hold."""
