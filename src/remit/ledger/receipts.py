"""Receipts: the self-contained record of one decision, a row of a cycle or an entry made between cycles, and its verification without a workspace. Pure.

A receipt is canonical JSON. Every value in it is bound to the signed checkpoint: the row by its salt and its path in the segment, the segment's
header likewise, the entries of segment, cycle and action by their paths in the log; the entry of a decision between cycles, and what it was made from, by their
paths. An agent's own receipt leaves the entry's payload sealed. There is no place for text that nothing commits to.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from polars.exceptions import PolarsError

from remit.ledger.errors import Fault, LedgerError
from remit.ledger.merkle import includes, leaf_hash
from remit.ledger.notes import Checkpoint, open_checkpoint
from remit.ledger.rows import Layout, Rows, decode, split
from remit.ledger.sealing import SALT
from remit.terms.encoding import canonical, digest
from remit.terms.errors import EncodingError

RECEIPT = "remit.receipt/1"
BETWEEN = "remit.receipt-between/1"
"""What the receipt of a decision between cycles calls itself."""
_PARTS = {RECEIPT: {"receipt", "checkpoint", "cycle", "segment", "action", "row"}, BETWEEN: {"receipt", "checkpoint", "cycle", "place", "decision"}}
_AFTER = ".between"
_ENTRY = {"batch", "body", "cycle", "kind", "schema", "sealed"}
_ROW = {"header", "header_path", "leaf", "path", "salt", "bytes", "values"}


@dataclass(frozen=True, slots=True)
class Verified:
    """What a sound receipt says: the checkpoint it stands under, the body of its cycle's entry, the row with its number, and the payload of the chosen
    action (None: not chosen)."""

    checkpoint: Checkpoint
    cycle: Mapping[str, Any]
    row: Mapping[str, Any]
    action: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class VerifiedDecision:
    """What a sound receipt of a decision between cycles says: the checkpoint it stands under, the body of its entry, and its payload; the body of the cycle it
    followed and of the place it was made from. None: left sealed, or left out."""

    checkpoint: Checkpoint
    body: Mapping[str, Any]
    payload: Mapping[str, Any] | None
    cycle: Mapping[str, Any] | None
    place: Mapping[str, Any] | None


def verify_receipt(receipt: bytes, verifier_keys: Sequence[str]) -> Verified | VerifiedDecision | tuple[Fault, ...]:
    """What the receipt says if all of it verifies under one of `verifier_keys`, else every fault that was found."""
    try:
        parts = json.loads(receipt)
        sound = isinstance(parts, dict) and canonical(parts) == receipt and set(parts) == _PARTS.get(str(parts.get("receipt")))
    except (ValueError, EncodingError):
        sound = False
    if not sound:
        return (Fault("receipt", f"it is not the canonical JSON of a `{RECEIPT}` or `{BETWEEN}`"),)
    try:
        return (_verified if parts["receipt"] == RECEIPT else _verified_decision)(parts, verifier_keys)
    except LedgerError as error:
        return (Fault("receipt", error.what),)
    except (PolarsError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return (Fault("receipt", f"a part is missing or of another kind: {error}"),)


def _verified(parts: Mapping[str, Any], verifier_keys: Sequence[str]) -> Verified | tuple[Fault, ...]:
    checkpoint = open_checkpoint(parts["checkpoint"].encode(), verifier_keys)
    named = {part: parts[part] for part in ("cycle", "segment", "action") if parts[part] is not None}
    faults = [fault for part, entry in named.items() for fault in _entry_faults(part, entry, checkpoint, (part,), opened=part == "action")]
    faults += _row_faults(parts["row"], parts["segment"])
    if faults:  # what nothing stands behind is not decoded
        return tuple(faults)
    values = row_values(parts["row"])
    action = parts["action"] and parts["action"]["payload"]
    return tuple(_link_faults(parts, values)) or Verified(checkpoint, parts["cycle"]["body"], values, action)


def _verified_decision(parts: Mapping[str, Any], verifier_keys: Sequence[str]) -> VerifiedDecision | tuple[Fault, ...]:
    checkpoint = open_checkpoint(parts["checkpoint"].encode(), verifier_keys)
    decision, cycle, place = parts["decision"], parts["cycle"], parts["place"]
    faults = _entry_faults("decision", decision, checkpoint, ("action", "declined"), opened="payload" in decision)
    for part in ("cycle", "place"):
        faults += _entry_faults(part, parts[part], checkpoint, (part,), opened=False) if parts[part] is not None else []
    if "id" not in decision["body"]:
        faults.append(Fault("decision", "it was not made between cycles"))
    if cycle is not None and decision["cycle"] != cycle["cycle"] + _AFTER:
        faults.append(Fault("decision", f"it was not made after cycle `{cycle['cycle']}`"))
    if place is not None and decision["body"]["place"] != place["seq"]:
        faults.append(Fault("place", "it is not what the decision was made from"))
    said = VerifiedDecision(checkpoint, decision["body"], decision.get("payload"), cycle and cycle["body"], place and place["body"])
    return tuple(faults) or said


def _entry_faults(part: str, entry: Mapping[str, Any], checkpoint: Checkpoint, kinds: Sequence[str], *, opened: bool) -> list[Fault]:
    faults = []
    if set(entry) != _ENTRY | ({"payload", "salt"} if opened else set()) | {"seq", "path"}:
        faults.append(Fault(part, "it holds something that nothing commits to, or lacks something"))
    if entry["kind"] not in kinds:
        faults.append(Fault(part, f"it is a `{entry['kind']}`"))
    leaf = leaf_hash(canonical({name: entry[name] for name in _ENTRY}))
    if not includes(leaf, entry["seq"], checkpoint.size, _path(entry["path"]), checkpoint.root):
        faults.append(Fault(part, f"the log under this checkpoint does not hold it as entry {entry['seq']}"))
    if opened and sha256(_unhex(entry["salt"]) + canonical(entry["payload"])).hexdigest() != entry["sealed"]["commitment"]:
        faults.append(Fault(part, "its payload is not the one committed to"))
    return faults


def _row_faults(row: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Fault]:
    segment = entry["body"]
    header, root, size = row["header"].encode(), bytes.fromhex(segment["root"]), segment["rows"] + 1
    faults = [] if set(row) == _ROW else [Fault("row", "it holds something that nothing commits to, or lacks something")]
    if digest(header) != segment["header"] or not includes(leaf_hash(header), 0, size, _path(row["header_path"]), root):
        faults.append(Fault("row", "its header is not the segment's"))
    leaf = leaf_hash(_salt(row) + _unhex(row["bytes"]))
    if row["leaf"] == 0 or not includes(leaf, row["leaf"], size, _path(row["path"]), root):
        faults.append(Fault("row", f"the segment does not hold it at leaf {row['leaf']}"))
    stated, named = json.loads(header), {**segment, "cycle": entry["cycle"]}
    if any(stated[name] != named[name] for name in ("cycle", "stream", "schema", "first", "rows")):
        faults.append(Fault("row", "its header speaks of another segment"))
    return faults


def _link_faults(parts: Mapping[str, Any], values: Mapping[str, Any]) -> list[Fault]:
    cycle, segment, action = parts["cycle"], parts["segment"], parts["action"]
    faults = [] if parts["row"]["values"] == values else [Fault("row", "its values are not those of its bytes")]
    if segment["body"]["root"] not in cycle["body"]["segments"]:
        faults.append(Fault("cycle", "it does not name the segment"))
    if cycle["cycle"] != segment["cycle"]:
        faults.append(Fault("segment", f"it belongs to cycle `{segment['cycle']}`, not `{cycle['cycle']}`"))
    if action and (action["cycle"], action["payload"]["hcp_id"], action["payload"]["number"]) != (cycle["cycle"], values["hcp_id"], values["number"]):
        faults.append(Fault("action", "it is about another row"))
    return faults


def row_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values in a receipt's row, decoded from its bytes by its header. Raises `LedgerError` or `ValueError` where they do not fit each other."""
    layout, data = Layout.from_header(json.loads(row["header"])), _unhex(row["bytes"])
    fixed = np.frombuffer(data[: layout.width], np.uint8).reshape(1, layout.width)
    rows = split(fixed, data[layout.width :], layout)
    if rows.row(0) != data:
        raise LedgerError("the row is longer than its header says")
    return values_of(rows, layout)


def values_of(rows: Rows, layout: Layout) -> dict[str, Any]:
    """The first of some rows, with its number."""
    numbers, frame = decode(rows, layout)
    return {"number": int(numbers[0]), **frame.row(0, named=True)}


def _path(steps: Sequence[str]) -> list[bytes]:
    return [_unhex(step) for step in steps]


def _salt(row: Mapping[str, Any]) -> bytes:
    salt = _unhex(row["salt"])
    if len(salt) != SALT:
        raise LedgerError(f"the row's salt has {len(salt)} bytes, not {SALT}")
    return salt


def _unhex(text: str) -> bytes:
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise LedgerError(f"`{text[:80]}` is not lower-case hexadecimal")
    return data
