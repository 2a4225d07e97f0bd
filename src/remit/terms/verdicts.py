"""What the authority says of a proposal."""

from dataclasses import dataclass
from enum import StrEnum


class Ruling(StrEnum):
    """Forbidden beats confirm beats autonomous."""

    AUTONOMOUS = "autonomous"
    CONFIRM = "confirm"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling with the ids of the rules that made it, the one accountable owner, and the digest of the table it stands in.

    `roles`, `deadline_us` (time allowed, in microseconds) and `on_timeout` (`refuse` or `escalate`) are those of all matching confirms together: every
    role, the earliest deadline, `refuse` if any says so. No rule matched: forbidden, no rules, the table's owner. `obligations` are what whoever acts must do
    beside it; what is forbidden obliges nobody.
    """

    ruling: Ruling
    rules: tuple[str, ...]
    owner: str
    reasons: tuple[str, ...]
    table: str
    roles: tuple[str, ...] = ()
    deadline_us: int | None = None
    on_timeout: str | None = None
    obligations: tuple[str, ...] = ()


OBLIGATIONS = {
    "include-isi": "the important safety information goes with it",
    "log-to-crm": "it is written down in the CRM",
    "notify-owner": "the owner of the agent is told",
}
"""What a table may oblige whoever acts to do."""
