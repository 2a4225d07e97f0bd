"""The parts of a verification that stand alone: a share of the log, a segment, a database. Each opens the ledger for itself, so that any process can do it."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from remit.ledger.databases import damage, reading, stored_entries
from remit.ledger.entries import leaf_frame, leaf_mark, seal_context
from remit.ledger.errors import Fault, LedgerError
from remit.ledger.merkle import Frontier
from remit.ledger.places import Place
from remit.ledger.records import Records
from remit.ledger.sealing import unseal
from remit.ledger.segments import PIECE, Packed, Segment, chunks, open_rows, pieces, unpack
from remit.terms.encoding import digest

_AT_ONCE = 1 << 10
"""Entries in memory at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Span:
    """Entries `first` up to `size` of one batch."""

    batch: str
    cycle: str
    first: int
    size: int


@dataclass(slots=True)
class Found:
    """What a check found: faults; the stored leaf hashes; segments and tombstones as (seq, cycle, kind, body); references without a key, and where first; how
    many payloads and rows were opened, and how many are gone with erased HCPs."""

    faults: list[Fault] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    named: list[tuple[int, str, str, bytes]] = field(default_factory=list)
    keyless: dict[bytes, str] = field(default_factory=dict)
    rows: int = 0
    opened: int = 0
    gone: int = 0

    def add(self, where: str, what: str) -> None:
        self.faults.append(Fault(where, what))


def check_database(place: Place, which: str) -> Found:
    """Whether a database is sound and its schema the one that was made; for the vault, whether its rows are what was written."""
    found = Found()
    try:
        with Records(place) as records, reading(records.log if which == "ledger" else records.vault.engine) as connection:
            name = place.log if which == "ledger" else "vault.db"
            found.faults = [Fault(name, what) for what in damage(connection, which)]
            for where, what in records.vault.faults() if which == "vault" else ():
                found.add(where, what)
    except LedgerError as error:
        found.add(error.where, error.what)
    return found


def check_entries(place: Place, spans: Sequence[Span], *, deep: bool) -> Found:
    """The leaves of a share of the log, and with `deep` its payloads. Stops, with fewer leaves, at an entry that is missing or cannot be read."""
    found = Found()
    try:
        with Records(place) as records, reading(records.log) as connection:
            keys = records.vault.keys_by_ref()
            for span in spans:
                if not _check_span(connection, place.log, span, keys, found, deep=deep):
                    break
    except LedgerError as error:
        found.add(error.where, f"{error.what}, after entry {spans[0].first + len(found.leaves) - 1}")
    except (TypeError, AttributeError) as error:  # a changed byte can also make a column null or a number
        found.add(place.log, f"an entry has a column of another type: {error}, after entry {spans[0].first + len(found.leaves) - 1}")
    return found


def _check_span(connection: sa.Connection, log: str, span: Span, keys: Mapping[bytes, bytes], found: Found, *, deep: bool) -> bool:
    place = span.first
    with closing(stored_entries(connection, span.first, span.size)) as cursor:
        while place < span.size:
            rows = cursor.fetchmany(_AT_ONCE)
            if not rows or [row[0] for row in rows] != list(range(place, place + len(rows))):
                found.add(f"{log}, entry {place}", "it is missing, or one soon after it is: nothing from here on could be verified")
                return False
            place += len(rows)
            found.named += [(row[0], span.cycle, row[1].decode(), row[6]) for row in rows if row[1] in (b"segment", b"tombstone")]
            for (kind, schema), group in groupby(rows, itemgetter(1, 2)):
                _check_group(log, span, kind.decode(errors="replace"), schema.decode(errors="replace"), group, keys, found, deep=deep)
            found.leaves += [row[3] if isinstance(row[3], bytes) else b"" for row in rows]
    return True


def _check_group(log: str, span: Span, kind: str, schema: str, rows: Iterable[Any], keys: Mapping[bytes, bytes], found: Found, *, deep: bool) -> None:
    """Neighbours of one kind and schema: this loop is what a verification takes its time for."""
    head, tail = leaf_frame(span.batch, span.cycle, kind, schema)
    start, context, altered = b"\x00" + head, seal_context(span.cycle, kind, schema), []
    for seq, _, _, leaf, hcp, commitment, body, ciphertext in rows:
        try:
            plain = hcp is None and commitment is None and ciphertext is None
            sound = sha256(start + body + tail + (b"null}" if plain else leaf_mark(hcp, commitment, ciphertext))).digest() == leaf
        except (TypeError, AttributeError):
            sound = False
        if not sound:
            altered.append(seq)
        elif not plain and (deep or hcp not in keys):
            _check_payload(f"{log}, entry {seq}", hcp, keys.get(hcp), context, ciphertext, commitment, found)
    found.faults += [Fault(f"{log}, {where}", "what is stored is not what its leaf hash says") for where in _spans(altered)]


def _check_payload(where: str, hcp: bytes, key: bytes | None, context: bytes, ciphertext: bytes, commitment: bytes, found: Found) -> None:
    if key is None:
        found.keyless.setdefault(hcp, where)
        found.gone += 1
    else:
        opened = unseal(key, context, ciphertext)
        if opened is None or sha256(opened).digest() != commitment:
            found.add(where, f"its payload does not open to what was committed to under the key of hcp {hcp.hex()}")
        found.opened += 1


def check_segment(place: Place, seq: int, segment: Segment, *, deep: bool) -> Found:
    """A segment's file by its digest, and with `deep` every row by its commitment."""
    found, where = Found(), f"segments/{segment.file}.arrow (entry {seq})"
    try:
        with Records(place) as records:
            file = records.segment_path(segment).read_bytes()
            if digest(file) != segment.file:
                found.add(where, _altered_pieces(file, segment))
                return found
            found.rows = segment.rows
            if deep:
                _check_rows(file, segment, records.vault.keys_by_ref(), found, where)
    except OSError as error:
        found.add(where, f"it cannot be read ({error.strerror})")
    except (LedgerError, zlib.error, ValueError) as error:
        faults = error.faults if isinstance(error, LedgerError) and error.faults else (str(error),)
        found.faults += [Fault(where, fault) for fault in faults]
    return found


def _altered_pieces(file: bytes, segment: Segment) -> str:
    altered = [place for place, (now, then) in enumerate(zip(pieces(file), segment.pieces, strict=False)) if now != then]
    spans = [f"bytes {start * PIECE} to {(stop + 1) * PIECE - 1}" for start, stop in _runs(altered)]
    return f"it was altered: {', '.join(spans) or 'its length'}"


def _check_rows(file: bytes, segment: Segment, keys: Mapping[bytes, bytes], found: Found, where: str) -> None:
    packed, edge = unpack(file), Frontier()
    leaves = packed.leaves()
    edge.extend(leaves)
    if edge.root().hex() != segment.root or digest(packed.header) != segment.header or len(leaves) != segment.rows + 1:
        found.add(where, "its rows or its header are not those of its entry")
    for ref, count in zip(packed.refs, packed.counts, strict=True):
        if ref not in keys:
            found.keyless.setdefault(ref, where)
            found.gone += count
    kept = [place for place, ref in enumerate(packed.refs) if ref in keys]
    found.opened, wrong = _compare_rows(packed, keys, kept)
    found.faults += [Fault(where, f"row {number} is not what was committed to") for number in wrong]


def _compare_rows(packed: Packed, keys: Mapping[bytes, bytes], kept: Sequence[int]) -> tuple[int, list[int]]:
    """How many rows opened, and the numbers of those that are not what their commitment says."""
    opened = open_rows(packed, keys, kept)
    stated = chunks(b"".join(packed.commitments[place] for place in kept))
    wrong = [place for place, (now, then) in enumerate(zip(opened.commitments(), stated, strict=True)) if now != then]
    return len(opened.rows.texts), [int.from_bytes(opened.rows.fixed[place, :8].tobytes(), "little") for place in wrong]


def _spans(seqs: Sequence[int]) -> list[str]:
    return [f"entry {start}" if start == stop else f"entries {start} to {stop}" for start, stop in _runs(seqs)]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    starts = [number for place, number in enumerate(numbers) if not place or numbers[place - 1] != number - 1]
    stops = [number for place, number in enumerate(numbers) if place + 1 == len(numbers) or numbers[place + 1] != number + 1]
    return list(zip(starts, stops, strict=True))
