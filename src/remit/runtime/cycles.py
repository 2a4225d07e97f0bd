"""The cycles that a ledger holds."""

from typing import Any

from remit.ledger import Records
from remit.runtime.errors import WorkspaceError


def last_cycle(records: Records) -> str:
    """The newest cycle in the ledger. Raises `WorkspaceError` if there is none."""
    cycles = [entry.cycle for entry in records.entries(kind="cycle")]
    if not cycles:
        raise WorkspaceError("no cycle has been recorded", do="Run one with `remit run`.")
    return cycles[-1]


def cycle_body(records: Records, cycle: str) -> dict[str, Any]:
    """The entry of a cycle. Raises `WorkspaceError` if the ledger holds none of that name."""
    body = next((entry.body for entry in records.entries(kind="cycle", cycle=cycle)), None)
    if body is None:
        raise WorkspaceError(f"the ledger holds no cycle `{cycle}`", do="`remit show decisions` names the last one; they count from cycle-0001.")
    return body
