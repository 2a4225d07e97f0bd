"""The cycles that a ledger holds."""

from typing import Any

from remit.ledger import Records, Stored
from remit.runtime.errors import WorkspaceError


def newest(records: Records) -> Stored | None:
    """The entry of the newest cycle in the ledger; None if there is none."""
    return max(records.entries(kind="cycle"), key=lambda entry: entry.seq, default=None)


def last_cycle(records: Records) -> str:
    """The newest cycle in the ledger. Raises `WorkspaceError` if there is none."""
    found = newest(records)
    if found is None:
        raise WorkspaceError("no cycle has been recorded", do="Run one with `remit run`.")
    return found.cycle


def cycle_body(records: Records, cycle: str) -> dict[str, Any]:
    """The entry of a cycle. Raises `WorkspaceError` if the ledger holds none of that name."""
    body = next((entry.body for entry in records.entries(kind="cycle", cycle=cycle)), None)
    if body is None:
        raise WorkspaceError(f"the ledger holds no cycle `{cycle}`", do="`remit show decisions` names the last one; they count from cycle-0001.")
    return body
