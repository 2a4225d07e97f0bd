"""`remit verify`: the log, the segments, and every input that a cycle, or what was decided after it, has recorded."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from remit.intake import replaced, segments, verify_segments
from remit.ledger import read_ledger, verifier_keys, verify, verify_receipt
from remit.models.errors import ModelError
from remit.runtime import training
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Workspace, open_workspace, recall

_WORTH_PROCESSES = 100_000
"""Entries from which on starting more processes pays."""


def receipts(folder: Path, files: list[Path], key: Path | None) -> dict[str, Any]:
    """Verifies receipts with the keys in `key`, or the workspace's own."""
    keys = key.read_text().split() if key else verifier_keys(open_workspace(folder).ledger.folder)
    faults = []
    for file in files:
        found = verify_receipt(file.read_bytes(), keys)
        if isinstance(found, tuple):
            faults += [{"where": f"{file}: {fault.where}", "what": fault.what} for fault in found]
    return {"receipts": len(files), "faults": faults}


def workspace(place: Workspace, against: Path | None, key: Path | None) -> dict[str, Any]:
    """Verifies everything that a workspace keeps."""
    keys = key.read_text().split() if key else verifier_keys(place.ledger.folder)
    if against is not None and not against.is_file():
        raise WorkspaceError("the checkpoint is not there", where=str(against), do="Name a file that holds an older checkpoint.")
    with closing(read_ledger(place.ledger)) as records:
        workers = (os.cpu_count() or 1) if records.size > _WORTH_PROCESSES else 1
    report = verify(place.ledger, against=against.read_bytes() if against else None, verifier_keys=keys, workers=workers)
    faults = [{"where": fault.where, "what": fault.what} for fault in report.faults]
    faults += [{"where": "warehouse", "what": fault} for fault in verify_segments(place.warehouse)]
    inputs = 0
    if not report.faults:
        inputs, more = _inputs(place)
        faults += more
    return {
        "entries": report.size, "root": report.root, "checkpoints": report.checkpoints, "segments": report.segments, "rows": report.rows,
        "opened": report.opened, "gone": report.gone, "inputs": inputs, "against": str(against) if against else None, "faults": faults,
    }  # fmt: skip


def _inputs(place: Workspace) -> tuple[int, list[dict[str, str]]]:
    """Every recorded text, model and warehouse segment: is it there, and as it was?"""
    faults: list[dict[str, str]] = []
    texts: dict[str, str] = {}
    models: set[tuple[str, str]] = set()
    commitments: set[str] = set()
    with closing(read_ledger(place.ledger)) as records:
        for entry in records.entries(kind="cycle"):
            texts |= {digest: name for name, digest in entry.body["inputs"]["config"].items()}
            models |= set(entry.body["models"].items())
            commitments |= set(entry.body["inputs"]["warehouse"])
            texts |= {digest: "bases" for digest in [entry.body["inputs"].get("bases")] if digest}
            texts |= {each["evidence"]: f"evidence of {name}" for name, each in entry.body.get("watch", {}).items() if each["evidence"]}
        for entry in records.entries(kind="place"):
            texts |= {digest: name for name, digest in entry.body["inputs"]["config"].items()}
            models |= set(entry.body["models"].items())
            commitments |= set(entry.body["inputs"]["warehouse"])
    for digest, name in sorted(texts.items()):
        try:
            recall(place, {name: digest})
        except WorkspaceError as error:
            faults += [{"where": "objects", "what": fault} for fault in error.faults]
    for name, digest in sorted(models):
        try:
            training.check(place, name, digest)
        except ModelError as error:
            faults.append({"where": error.where, "what": error.what})
    here = {segment.commitment for segment in segments(place.warehouse)} | set(replaced(place.warehouse))
    faults += [{"where": "warehouse", "what": f"the segment {commitment} that a cycle or a worker read is gone"} for commitment in sorted(commitments - here)]
    return len(texts) + len(models) + len(commitments), faults
