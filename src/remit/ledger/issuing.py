"""Making receipts from an open ledger: the entries of the log with their paths, the row with its salt and path."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from remit.ledger.databases import ENTRIES
from remit.ledger.entries import leaf_data, opened_payload, seal_context
from remit.ledger.errors import LedgerError
from remit.ledger.log import STORED, batches, complete, last_checkpoint, log_size
from remit.ledger.merkle import inclusion_path
from remit.ledger.receipts import BETWEEN, RECEIPT, values_of
from remit.ledger.sealing import SALT, HcpKey, Sealed, unseal
from remit.ledger.segments import Packed, open_rows
from remit.terms.encoding import canonical


def issue(
    connection: sa.Connection, segment_seq: int, about: Sequence[int], packed: Packed, tree: Sequence[Sequence[bytes]], key: HcpKey, number: int
) -> bytes:
    """The receipt of row `number` of an HCP in a segment: the row, the entries of the segment and its cycle, and the action if it was chosen. `about` are
    the numbers of the cycle's entries that are about the HCP."""
    segment = connection.execute(STORED.where(ENTRIES.c.seq == segment_seq)).one()
    cycle = connection.execute(STORED.where(ENTRIES.c.seq == _cycle_seq(connection, segment.cycle))).one()
    rows = connection.execute(STORED.where(ENTRIES.c.seq.in_(about), ENTRIES.c.kind == "action")).all()
    actions = (_opened(connection, row, key) for row in rows)
    parts = {
        "receipt": RECEIPT,
        "checkpoint": (last_checkpoint(connection) or b"").decode(),
        "cycle": _entry(connection, cycle),
        "segment": _entry(connection, segment),
        "action": next((action for action in actions if action["payload"]["number"] == number), None),
        "row": _row(packed, tree, key, number),
    }
    return canonical(parts)


def issue_between(connection: sa.Connection, decision_seq: int, key: HcpKey | None, cycle: str | None) -> bytes:
    """The receipt of a decision between cycles: its entry, opened with the `key` of its HCP (None: it stays sealed); and unless `cycle` is None, the entries of
    the cycle of that name, which it followed, and of what it was made from."""
    decision = connection.execute(STORED.where(ENTRIES.c.seq == decision_seq)).one()
    place = None if cycle is None else json.loads(decision.body).get("place")
    named = {"cycle": None if cycle is None else _cycle_seq(connection, cycle), "place": place}
    beside = {part: None if seq is None else _entry(connection, connection.execute(STORED.where(ENTRIES.c.seq == seq)).one()) for part, seq in named.items()}
    own = _entry(connection, decision) if key is None else _opened(connection, decision, key)
    return canonical({"receipt": BETWEEN, "checkpoint": (last_checkpoint(connection) or b"").decode(), "decision": own, **beside})


def _cycle_seq(connection: sa.Connection, cycle: str) -> int:
    for batch in batches(connection, cycle=cycle):
        within = (ENTRIES.c.seq >= batch.first) & (ENTRIES.c.seq < batch.size)
        plain = sa.select(ENTRIES.c.seq).where(within, ENTRIES.c.kind == "cycle", ENTRIES.c.hcp.is_(None)).limit(1)
        if (seq := connection.execute(plain).scalar()) is not None:
            return int(seq)
    raise LedgerError(f"cycle `{cycle}` has no entry of kind `cycle`", do="Append one with the cycle's segments.")


def _entry(connection: sa.Connection, row: Any) -> dict[str, Any]:
    path = inclusion_path(row.seq, log_size(connection), complete(connection))
    sealed = None if row.hcp is None else Sealed(row.hcp, row.commitment, row.ciphertext)
    said: dict[str, Any] = json.loads(leaf_data(row.batch, row.cycle, row.kind, row.schema, row.body, sealed))
    return {**said, "seq": row.seq, "path": _hexes(path)}


def _opened(connection: sa.Connection, row: Any, key: HcpKey) -> dict[str, Any]:
    opened = unseal(key.key, seal_context(row.cycle, row.kind, row.schema), row.ciphertext)
    if opened is None:
        raise LedgerError("the payload does not open", where=f"entry {row.seq}", do="Run `remit verify`.")
    return {**_entry(connection, row), "payload": opened_payload(opened), "salt": opened[:SALT].hex()}


def _row(packed: Packed, tree: Sequence[Sequence[bytes]], key: HcpKey, number: int) -> dict[str, Any]:
    place = packed.refs.index(key.ref) if key.ref in packed.refs else -1
    opened = open_rows(packed, {key.ref: key.key}, [place] if place >= 0 else [])
    for within in range(len(opened.rows.fixed)):
        row = opened.rows.pick(within)
        values = values_of(row, packed.layout)
        if values["number"] == number:
            leaf = 1 + sum(packed.counts[:place]) + within
            salt = opened.salts[within * SALT : (within + 1) * SALT]
            paths = {name: _hexes(inclusion_path(index, len(tree[0]), lambda h, p: tree[h][p])) for name, index in (("header_path", 0), ("path", leaf))}
            return {"header": packed.header.decode(), "leaf": leaf, "salt": salt.hex(), "bytes": row.row(0).hex(), "values": values, **paths}
    raise LedgerError(f"row {number} is not about this HCP", do="A row's number is its place in the frame that was written.")


def _hexes(hashes: Iterable[bytes]) -> list[str]:
    return [value.hex() for value in hashes]
