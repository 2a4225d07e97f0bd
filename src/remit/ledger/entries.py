"""Entries of the log: what is said, and the canonical bytes that stand as leaves of the Merkle tree. Pure.

An entry's leaf data is canonical JSON of `batch`, `body`, `cycle`, `kind`, `schema` and `sealed`: null, or the HCP's opaque reference with the
commitment to the payload and the ciphertext's SHA-256. Schemas are data: a schema names the fields that must be there. A field may be added; taking
one away or changing what it means is a new version, and the old one stays here for ever.
"""

import re
from binascii import hexlify
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from remit.ledger.errors import LedgerError
from remit.ledger.merkle import leaf_hash
from remit.ledger.rows import HCP_ID
from remit.ledger.sealing import SALT, HcpKey, Sealed, seal
from remit.terms.encoding import canonical

NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}\Z")
"""What a batch or a cycle may be called."""
_HCP_ID = re.compile(HCP_ID)


@dataclass(frozen=True, slots=True)
class Schema:
    """What an entry of one kind must say: fields of the body, and of the sealed payload (none: it is about no HCP)."""

    kind: str
    body: tuple[str, ...]
    payload: tuple[str, ...] = ()


SCHEMAS: Mapping[str, Schema] = {
    "remit.cycle/1": Schema("cycle", ("now", "seed", "inputs", "models", "table", "prices", "counts", "segments")),
    "remit.segment/1": Schema("segment", ("stream", "schema", "first", "rows", "file", "header", "root", "pieces")),
    "remit.action/1": Schema("action", (), ("hcp_id", "number", "proposal", "verdict", "selection", "context")),
    "remit.acted/1": Schema("acted", ("actions", "channel", "at")),
    "remit.refused/1": Schema("refused", ("action", "reason", "at")),
    "remit.tombstone/1": Schema("tombstone", ("hcp", "at", "reason", "replaced")),
    "remit.failure/1": Schema("failure", ("agent", "error", "at")),
    "remit.model/1": Schema("model", ("model", "digest", "stage", "evidence", "at")),
    "remit.signoff/1": Schema("signoff", ("model", "digest", "person", "role", "at")),
    "remit.rights/1": Schema("rights", ("step", "table", "at")),
    "remit.place/1": Schema("place", ("now", "inputs", "models", "table", "free", "made")),
    "remit.declined/1": Schema("declined", ("id", "agent", "asked", "at", "disposition"), ("hcp_id", "verdict", "context")),
    "remit.event/1": Schema("event", ("id", "agent", "kind", "occurred_at", "at"), ("hcp_id",)),
    "remit.approval/1": Schema("approval", ("action", "digest", "by", "role", "asks", "at")),
    "remit.escalated/1": Schema("escalated", ("action", "to", "deadline", "at")),
    "remit.remark/1": Schema("remark", ("action",), ("hcp_id", "text")),
    "remit.stop/1": Schema("stop", ("stop", "scope", "of", "by", "reason", "at")),
    "remit.downgrade/1": Schema("downgrade", ("stop", "scope", "of", "by", "reason", "roles", "deadline_us", "on_timeout", "at")),
    "remit.hold/1": Schema("hold", ("stop", "by", "reason", "at"), ("hcp_id",)),
    "remit.recall/1": Schema("recall", ("stop", "listed", "taken_back", "at")),
    "remit.start/1": Schema("start", ("stop", "step", "by", "reason", "at")),
    "remit.credential/1": Schema("credential", ("step", "agent", "client", "at", "by")),
    "remit.outcome/1": Schema("outcome", ("action", "agent", "channel", "product", "what", "occurred_at", "at"), ("hcp_id", "text", "decision")),
    "remit.standing/1": Schema("standing", ("id", "agent", "channel", "product", "asked", "at"), ("hcp_id", "proposal")),
    "remit.key/1": Schema("key", ("kid", "public", "at", "by", "until")),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be recorded. `body` lies in the clear and must hold nothing personal; `payload` is sealed under the key of `hcp_id`."""

    kind: str
    schema: str
    body: Mapping[str, Any]
    hcp_id: str | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as the log holds it at number `seq`. `hcp` is the opaque reference (hexadecimal) of the HCP it is about; `gone` says that an erasure
    has taken who that was and the payload; `leaf` is its digest (hexadecimal), which commits to all of it."""

    seq: int
    cycle: str
    kind: str
    schema: str
    body: dict[str, Any]
    hcp: str | None
    hcp_id: str | None
    payload: dict[str, Any] | None
    gone: bool
    leaf: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """What an entry says in the clear: its number, its kind, the opaque reference of the HCP it is about (None: it is about nobody), its body."""

    seq: int
    kind: str
    hcp: bytes | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry made ready to be a leaf."""

    kind: str
    schema: str
    body: bytes
    sealed: Sealed | None
    hash: bytes


def check_entries(batch: str, cycle: str, entries: Sequence[Entry]) -> None:
    """Raises `LedgerError` with all that is malformed in a batch."""
    faults = [f"`{name}` cannot name a batch or cycle: use 1 to 128 of A-Z a-z 0-9 _ . : / -" for name in {batch, cycle} if not NAME.match(name)]
    faults += [] if entries else ["it holds no entries"]
    for number, entry in enumerate(entries):
        faults += [f"entry {number}: {fault}" for fault in _faults(entry)]
    if faults:
        raise LedgerError("the batch cannot be recorded", faults=faults, do="Mend the entries; nothing was written.")


def _faults(entry: Entry) -> list[str]:
    schema = SCHEMAS.get(entry.schema)
    if schema is None:
        return [f"schema `{entry.schema}` is not in the ledger's SCHEMAS"]
    faults = [f"kind `{entry.kind}` has another schema than `{entry.schema}`"] if entry.kind != schema.kind else []
    if (entry.payload is None) != (entry.hcp_id is None):
        faults.append("`hcp_id` and `payload` come together or not at all")
    if entry.hcp_id is not None and not schema.payload:
        faults.append(f"kind `{entry.kind}` is about no HCP")
    if entry.hcp_id is not None and not _HCP_ID.match(entry.hcp_id):
        faults.append("the hcp_id is not 1 to 64 of A-Z a-z 0-9 _ . : -")
    faults += [f"`{field}` is missing from the body" for field in schema.body if field not in entry.body]
    return faults + [f"`{field}` is missing from the payload" for field in schema.payload if field not in (entry.payload or {})]


def make_leaf(batch: str, cycle: str, entry: Entry, key: HcpKey | None) -> Leaf:
    """The leaf of an entry; `key` is the key of the HCP it is about."""
    context = seal_context(cycle, entry.kind, entry.schema)
    sealed = seal(key, context, canonical(entry.payload)) if key and entry.payload is not None else None
    body = canonical(entry.body)
    data = leaf_data(batch, cycle, entry.kind, entry.schema, body, sealed)
    return Leaf(entry.kind, entry.schema, body, sealed, leaf_hash(data))


def seal_context(cycle: str, kind: str, schema: str) -> bytes:
    """Where a payload belongs: it opens in no other place."""
    return f"{cycle}\n{kind}\n{schema}".encode()


def leaf_data(batch: str, cycle: str, kind: str, schema: str, body: bytes, sealed: Sealed | None) -> bytes:
    """The canonical bytes of an entry from its canonical body: what `canonical` gives, without parsing."""
    head, tail = leaf_frame(batch, cycle, kind, schema)
    return head + body + tail + (b"null}" if sealed is None else leaf_mark(*sealed))


def leaf_frame(batch: str, cycle: str, kind: str, schema: str) -> tuple[bytes, bytes]:
    """The canonical bytes before an entry's body, and those between it and what is sealed."""
    return f'{{"batch":"{batch}","body":'.encode(), f',"cycle":"{cycle}","kind":"{kind}","schema":"{schema}","sealed":'.encode()


def leaf_mark(ref: bytes, commitment: bytes, ciphertext: bytes) -> bytes:
    """The canonical bytes of what is sealed, with the brace that ends the entry."""
    parts = hexlify(sha256(ciphertext).digest()), hexlify(commitment), hexlify(ref)
    return b'{"ciphertext":"%b","commitment":"%b","hcp":"%b"}}' % parts


def opened_payload(opened: bytes) -> dict[str, Any]:
    """The payload in salt || payload."""
    payload: dict[str, Any] = orjson.loads(opened[SALT:])
    return payload
