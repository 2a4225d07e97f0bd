"""Recall: what was handed over before a stop and lies within it is named to whoever took it, and taken out of lists that still lie there."""

import csv
import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remit.gateway import lists
from remit.gateway.channels.files import strike
from remit.ledger import Records, Stored
from remit.runtime.cycles import newest
from remit.runtime.workspace import Workspace, write_whole

_LOG = logging.getLogger("remit.stops")
Within = Callable[[Stored, Mapping[str, Any]], bool]
"""Whether a recorded action, with its payload, is in the stop."""


def recall(workspace: Workspace, records: Records, name: str, stopped: int, within: Within) -> tuple[int, int]:
    """Writes `recall-NAME.csv` beside the lists of the last cycle: every action within that was handed over since and before the entry `stopped`, by the cycle
    itself, between cycles, or with a yes. A list cannot be unread, but it need not be worked through; from one that lies where it was put the rows are gone,
    unless it cannot be read any more. Returns how many were listed, and of how many the list was still there."""
    last = newest(records)
    if last is None:
        return 0, 0
    rows = list[dict[str, str]]()
    with _alone(workspace):
        taken = _before(workspace.out / last.cycle / f"recall-{name}.csv")
        for label, acted in _since(records, last.seq, stopped).items():
            handed = {int(seq) for entry in acted for seq in entry.body["actions"]}
            known = ((action, action.payload) for action in records.some(handed) if action.cycle == label and action.payload is not None)
            found = [(action, payload) for action, payload in known if within(action, payload)]
            decisions = {f"{label}/{payload['number']}" for _, payload in found}
            for path in _lists(workspace.out / label, acted) if decisions else ():
                try:
                    taken |= strike(path, decisions, write_whole)
                except (ValueError, KeyError, csv.Error) as error:  # somebody has changed it
                    _LOG.warning("%s cannot be read, and rows that %s recalls stand in it still: %s", path, name, type(error).__name__)
            for _, payload in found:
                decision = f"{label}/{payload['number']}"
                told = {"hcp_id": str(payload["hcp_id"]), "action": str(payload["proposal"]["channel"]), "decision": decision}
                rows.append({"channel": "recall", "stop": name, **told, "taken_back": "yes" if decision in taken else "no"})
        for file, data in lists(sorted(rows, key=lambda row: row["decision"]), "stop").items():
            write_whole(workspace.out / last.cycle / file, data)
    return len(rows), sum(row["taken_back"] == "yes" for row in rows)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Of two who recall at the same moment one waits: each strikes from what the other has left."""
    handle = os.open(workspace.root / ".remit.recall", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _before(path: Path) -> set[str]:
    """What whoever was broken off had taken back already, by the recall that lies there."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            return {row["decision"] for row in csv.DictReader(handle) if row["taken_back"] == "yes"}
    except (OSError, ValueError, KeyError, csv.Error):
        return set()


def _since(records: Records, seq: int, stopped: int) -> dict[str, list[Stored]]:
    """What was recorded as handed over between two entries, by the name that its actions stand under."""
    found: dict[str, list[Stored]] = {}
    for entry in records.entries(kind="acted"):
        if seq < entry.seq < stopped and entry.body["actions"]:
            found.setdefault(entry.cycle, []).append(entry)
    return found


def _lists(folder: Path, acted: list[Stored]) -> Iterator[Path]:
    """The lists that these entries speak of: a cycle's own, those between cycles, and those of a yes. Notices to owners stay."""
    for entry in acted:
        first = min(entry.body["actions"])
        for place in (folder, folder / str(first), folder / f"approved-{first}"):
            yield from (place / name for name in entry.body.get("files", {}) if not name.startswith("notice-"))
