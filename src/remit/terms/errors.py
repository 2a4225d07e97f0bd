"""The error a user can cause, and what it must say."""

from collections.abc import Sequence


class RemitError(Exception):
    """A fault a person can mend: what was found, where, and what to do about it.

    Every package derives its own errors from this one. `faults` lists all faults of one input, so that a user mends them in one go. The command line
    prints the message and exits with 2; anything that is not a `RemitError` is a defect of Remit.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "", faults: Sequence[str] = ()) -> None:
        self.what, self.where, self.do, self.faults = what, where, do, tuple(faults)
        head = f"{where}: {what}" if where else what
        super().__init__("\n".join([head, *(f"  - {fault}" for fault in self.faults), *([f"  {do}"] if do else [])]))


class ClockError(RemitError):
    """A malformed instant, period or span."""


class EncodingError(RemitError):
    """A value that has no canonical form."""
