"""What can go wrong with a ledger that a person can mend."""

from dataclasses import dataclass

from remit.terms.errors import RemitError


class LedgerError(RemitError):
    """The ledger could not do what was asked; it is as it was before."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not verify: where it lies and what is wrong with it."""

    where: str
    what: str
