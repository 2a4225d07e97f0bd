"""Recall: what was handed over before a stop and lies within it is named to whoever took it, and taken out of lists that still lie there."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from remit.gateway import lists
from remit.gateway.channels.files import strike
from remit.ledger import Records, Stored
from remit.runtime.carry import opened
from remit.runtime.workspace import Workspace, write_whole

Within = Callable[[Stored, Mapping[str, Any]], bool]
"""Whether a recorded action, with its payload, is in the stop."""


def recall(workspace: Workspace, records: Records, name: str, within: Within) -> tuple[int, int]:
    """Writes `recall-NAME.csv` beside the lists of the last cycle: every action within that was handed over since, by the cycle itself, between cycles, or
    with a yes. A list cannot be unread, but it need not be worked through; from one that lies where it was put the rows are gone. Returns how many were
    listed, and of how many the list was still there."""
    last = max(records.entries(kind="cycle"), key=lambda entry: entry.seq, default=None)
    if last is None:
        return 0, 0
    rows, taken = list[dict[str, str]](), set[str]()
    for label, acted in _since(records, last.seq).items():
        handed = {int(seq) for entry in acted for seq in entry.body["actions"]}
        found = [(action, payload) for action, payload in opened(records, label) if action.seq in handed and within(action, payload)]
        decisions = {f"{label}/{payload['number']}" for _, payload in found}
        for path in _lists(workspace.out / label, acted) if decisions else ():
            taken |= strike(path, decisions, write_whole)
        for _, payload in found:
            decision = f"{label}/{payload['number']}"
            told = {"hcp_id": str(payload["hcp_id"]), "action": str(payload["proposal"]["channel"]), "decision": decision}
            rows.append({"channel": "recall", "stop": name, **told, "taken_back": "yes" if decision in taken else "no"})
    for file, data in lists(sorted(rows, key=lambda row: row["decision"]), "stop").items():
        write_whole(workspace.out / last.cycle / file, data)
    return len(rows), len(taken)


def _since(records: Records, seq: int) -> dict[str, list[Stored]]:
    """What was recorded as handed over since an entry, by the name that its actions stand under."""
    found: dict[str, list[Stored]] = {}
    for entry in records.entries(kind="acted"):
        if entry.seq > seq and entry.body["actions"]:
            found.setdefault(entry.cycle, []).append(entry)
    return found


def _lists(folder: Path, acted: list[Stored]) -> Iterator[Path]:
    """The lists that these entries speak of: a cycle's own, those between cycles, and those of a yes. Notices to owners stay."""
    for entry in acted:
        first = min(entry.body["actions"])
        for place in (folder, folder / str(first), folder / f"approved-{first}"):
            yield from (place / name for name in entry.body.get("files", {}) if not name.startswith("notice-"))
