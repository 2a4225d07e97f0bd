"""What can go wrong at the door."""

from collections.abc import Mapping

from remit.terms.errors import RemitError


class GatewayError(RemitError):
    """A channel that cannot act, or an action that the ledger does not hold."""


class ClockError(GatewayError):
    """A clock that stands before what is recorded: nothing is decided or taken until it is set right."""


class CredentialError(GatewayError):
    """An agent that is not let in. `code` is OAuth's word for it, of `STATUS`; the message is the agent's to see, and `cause` is not: it is for the logs of
    whoever runs the gateway."""

    STATUS: Mapping[str, int] = {"invalid_client": 401, "invalid_scope": 400, "invalid_token": 401, "insufficient_scope": 403, "temporarily_unavailable": 503}
    """The HTTP status of each code (RFC 6749, RFC 6750)."""

    def __init__(self, code: str, what: str, *, cause: str = "", do: str = "") -> None:
        super().__init__(what, do=do)
        self.code, self.cause = code, cause

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return self.STATUS[self.code]
