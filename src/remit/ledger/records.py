"""Reading the ledger: entries, rows, proofs."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import polars as pl
import sqlalchemy as sa

from remit.ledger.actions import recorded
from remit.ledger.databases import CHECKPOINTS, ENTRIES, check_revision, connect, connect_log, name_of, reading, telling
from remit.ledger.entries import SCHEMAS, Fresh, Stored, opened_payload, seal_context
from remit.ledger.errors import LedgerError
from remit.ledger.gates import Gate
from remit.ledger.issuing import issue, issue_between
from remit.ledger.keyfiles import vault_secret, verifier_keys
from remit.ledger.log import STORED, Appended, batches, complete, find_batch, last_checkpoint, log_size
from remit.ledger.merkle import consistency_path, levels
from remit.ledger.notes import signers
from remit.ledger.places import Place, place_of
from remit.ledger.sealing import HcpKey, unseal
from remit.ledger.segments import Packed, Segment, open_rows, to_frame, unpack
from remit.ledger.vault import Vault
from remit.terms.encoding import digest
from remit.terms.proposals import Recorded

_AT_ONCE = 10_000
_SINCE = (
    sa.select(ENTRIES.c.seq, ENTRIES.c.kind, ENTRIES.c.body)
    .where(ENTRIES.c.kind.in_(sa.bindparam("kinds", expanding=True)), ENTRIES.c.hcp.is_(None), ENTRIES.c.seq >= sa.bindparam("seq"))
    .order_by(ENTRIES.c.seq)
)
FRESH = (
    sa.select(ENTRIES.c.seq, ENTRIES.c.kind, ENTRIES.c.hcp, ENTRIES.c.body, ENTRIES.c.leaf)
    .where(ENTRIES.c.seq >= sa.bindparam("since"), ENTRIES.c.seq < sa.bindparam("size"))
    .order_by(ENTRIES.c.seq)
)
"""What whoever takes a turn reads of the log."""
_SAID = sa.select(ENTRIES.c.seq, ENTRIES.c.kind, ENTRIES.c.hcp, ENTRIES.c.body).where(ENTRIES.c.body != b"{}")
_PLAIN = {schema.kind for schema in SCHEMAS.values() if not schema.payload}


@dataclass(frozen=True, slots=True)
class SegmentFrame:
    """A segment's rows in the order they were written, with their numbers in the last column; `gone` says how many rows went with which erased HCP, by
    its opaque reference."""

    frame: pl.DataFrame
    gone: dict[str, int]


class Records:
    """A ledger open for reading. Close it, or use it in a `with`. `gate` is that of turns at a log on PostgreSQL, None where the log is a file."""

    def __init__(self, where: Path | Place, *, writing: bool = False, wait_s: float = 30.0) -> None:
        self.place = place = place_of(where)
        self.folder = place.folder
        for name, there in ((place.mark.name if place.url else "ledger.db", place.made), ("vault.db", (self.folder / "vault.db").is_file())):
            if not there:
                raise LedgerError(f"there is no `{name}`", where=str(self.folder), do="Check the path, or restore the file from its backup.")
        self.log = connect_log(place, writing=writing, wait_s=wait_s)
        self.gate = None if place.url is None else Gate(connect_log(place, writing=False))
        self._kept: sa.PoolProxiedConnection | None = None
        self.vault = Vault(connect(self.folder / "vault.db", writing=writing, wait_s=wait_s), vault_secret(self.folder))
        with self._closed_on_failure():
            check_revision(self.log, "ledger")
            check_revision(self.vault.engine, "vault")
            if place.url is not None:
                self._check_owner()
        self._unpacked = lru_cache(maxsize=4)(self._unpack)
        self._about = lru_cache(maxsize=4)(self._people)
        self._trees = lru_cache(maxsize=4)(lambda segment: levels(self._unpacked(segment).leaves()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        with ExitStack() as opened:
            opened.callback(self.close)
            yield
            opened.pop_all()

    def _check_owner(self) -> None:
        """Raises `LedgerError` if the database holds the log of another ledger: one variable may name it for several folders."""
        note = self.checkpoint()
        owners, ours = signers(note or b""), set(verifier_keys(self.folder))
        if owners and not any(key.startswith(f"{owner}+") for key in ours for owner in owners):
            what = f"it holds the log of another ledger, signed by {', '.join(sorted(owners))}"
            raise LedgerError(what, where=name_of(self.log), do="Name this ledger's own database, or restore its keys from their backup.")

    def close(self) -> None:
        """Lets go of the databases."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self.log.dispose()
        if self.gate is not None:
            self.gate.close()
        self.vault.engine.dispose()

    @property
    def size(self) -> int:
        """How many entries the log has."""
        with reading(self.log) as connection:
            return log_size(connection)

    def checkpoint(self) -> bytes | None:
        """The last signed checkpoint; None while the log is empty."""
        with reading(self.log) as connection:
            return last_checkpoint(connection)

    def appended(self, batch: str) -> Appended | None:
        """Where the log holds a batch; None if it does not."""
        with reading(self.log) as connection:
            return find_batch(connection, batch)

    def entry(self, seq: int) -> Stored:
        """One entry. Raises `LedgerError` if there is none of this number."""
        with reading(self.log) as connection:
            row = connection.execute(STORED.where(ENTRIES.c.seq == seq)).first()
        if row is None:
            raise LedgerError(f"there is no entry {seq}", where=str(self.folder), do=f"Entries are numbered from 0 to {self.size - 1}.")
        return self._open([row])[0]

    def entries(self, *, kind: str | None = None, cycle: str | None = None, hcp_id: str | None = None) -> Iterator[Stored]:
        """Entries in the order of the log, those about `hcp_id` only if it is given (none if it was erased)."""
        query = _of_kind(STORED, kind)
        if hcp_id is not None:
            query = query.where(ENTRIES.c.hcp == self._ref(hcp_id))
        for rows in self._pages(query, cycle):
            yield from self._open(rows)

    def some(self, seqs: Iterable[int]) -> Iterator[Stored]:
        """The entries of these numbers, in the order of the log."""
        ordered = sorted(seqs)
        for first in range(0, len(ordered), _AT_ONCE):
            with reading(self.log) as connection:
                rows = connection.execute(STORED.where(ENTRIES.c.seq.in_(ordered[first : first + _AT_ONCE])).order_by(ENTRIES.c.seq)).all()
            yield from self._open(rows)

    def said(self, kind: str, cycle: str) -> Iterator[Fresh]:
        """What a cycle's entries of a kind say in the clear, those of erased HCPs too, and without those that say nothing: quicker than `entries`."""
        for rows in self._pages(_of_kind(_SAID, kind), cycle):
            yield from (Fresh(seq, kind, hcp, orjson.loads(body)) for seq, kind, hcp, body in rows)

    def _pages(self, query: "sa.Select[Any]", cycle: str | None) -> Iterator[Sequence[Any]]:
        query = query.order_by(ENTRIES.c.seq).limit(_AT_ONCE)
        for first, size in self._spans(cycle):
            yield from self._within(query, first, size)

    def _spans(self, cycle: str | None) -> list[tuple[int, int]]:
        with reading(self.log) as connection:
            if cycle is None:
                return [(0, log_size(connection))]
            spans = list[tuple[int, int]]()
            for batch in sorted(batches(connection, cycle=cycle), key=lambda batch: batch.first):
                follows = bool(spans) and spans[-1][1] == batch.first  # many turns make one span: each is asked for by a query
                first = spans.pop()[0] if follows else batch.first
                spans.append((first, batch.size))
            return spans

    def _within(self, query: "sa.Select[Any]", first: int, size: int) -> Iterator[Sequence[Any]]:
        while first < size:
            with reading(self.log) as connection:
                rows = connection.execute(query.where(ENTRIES.c.seq >= first, ENTRIES.c.seq < size)).all()
            yield rows
            first = rows[-1].seq + 1 if len(rows) == _AT_ONCE else size

    def since(self, seq: int, kinds: Sequence[str]) -> list[Fresh]:
        """What the entries of `kinds` that are about nobody say, from number `seq` on: quicker than `entries`."""
        with reading(self.log) as connection:
            rows = connection.execute(_SINCE, {"seq": seq, "kinds": kinds}).all()
        return [Fresh(number, kind, None, orjson.loads(body)) for number, kind, body in rows]

    def latest(self, kinds: Collection[str], most: int = 1000) -> int:
        """The newest instant (`at` or `now`, UTC microseconds) that the last `most` entries of `kinds` state in the clear; 0 if they state none."""
        query = sa.select(ENTRIES.c.body).where(ENTRIES.c.kind.in_(sorted(kinds))).order_by(ENTRIES.c.seq.desc()).limit(most)
        with reading(self.log) as connection:
            bodies = [orjson.loads(body) for body in connection.execute(query).scalars()]
        return max((int(body.get("at", body.get("now", 0))) for body in bodies), default=0)

    def turns(self, first: int, size: int) -> Iterator[list[Fresh]]:
        """What entries `first` up to `size` say in the clear, the entries of each batch together."""
        within = sa.select(ENTRIES.c.seq, ENTRIES.c.kind, ENTRIES.c.hcp, ENTRIES.c.body).where(ENTRIES.c.seq >= first, ENTRIES.c.seq < size)
        ends = sa.select(CHECKPOINTS.c.size).where(CHECKPOINTS.c.size > first).order_by(CHECKPOINTS.c.size)
        with reading(self.log) as connection:
            rows, sizes = connection.execute(within.order_by(ENTRIES.c.seq)).all(), connection.execute(ends).scalars().all()
        place = 0
        for end in sizes:
            start = place
            while place < len(rows) and rows[place].seq < end:
                place += 1
            if place > start:
                yield [Fresh(seq, kind, hcp, orjson.loads(body)) for seq, kind, hcp, body in rows[start:place]]

    def fresh(self, since: int, kinds: Sequence[str] | None = None) -> Iterator[Fresh]:
        """What all entries from number `since` on, of `kinds` (None: all), say in the clear, as a turn reads them; nobody is kept from the log meanwhile."""
        query = FRESH if kinds is None else FRESH.where(ENTRIES.c.kind.in_(kinds))
        while since < (size := min(self.size, since + _AT_ONCE)):
            with reading(self.log) as connection:
                rows = connection.execute(query, {"since": since, "size": size}).all()
            yield from (Fresh(seq, kind, hcp, orjson.loads(body)) for seq, kind, hcp, body, _ in rows)
            since = size

    def newest(self, kinds: Sequence[str]) -> Callable[[], int]:
        """A function, not for two threads at once, that tells the number of the newest entry of `kinds` that is about nobody (-1: there is none), whoever
        appended it: on SQLite within microseconds."""
        of_kind = [sa.select(sa.func.max(ENTRIES.c.seq).label("seq")).where(ENTRIES.c.kind == kind, ENTRIES.c.hcp.is_(None)) for kind in kinds]
        query = sa.select(sa.func.coalesce(sa.func.max(sa.union_all(*of_kind).subquery().c.seq), -1))
        text = str(query.compile(self.log, compile_kwargs={"literal_binds": True}))

        def asked() -> int:
            with reading(self.log) as connection:
                return int(connection.exec_driver_sql(text).scalar_one())

        return asked if self.place.url is not None else self._quick(text)

    def _quick(self, text: str) -> Callable[[], int]:
        """Asks SQLite without a transaction of its own, on a connection that is kept."""
        if self._kept is None:
            with telling(self.log):
                self._kept = self.log.raw_connection()
        driver: Any = self._kept.driver_connection

        def asked() -> int:
            with telling(self.log):
                return int(driver.execute(text).fetchone()[0])

        return asked

    def recorded(self, cycle: str) -> list[Recorded]:
        """The actions of a cycle by their number, without those of erased HCPs."""
        actions = (recorded(stored) for stored in self.entries(kind="action", cycle=cycle) if not stored.gone)
        return sorted(actions, key=lambda action: action.chosen.number)

    def action(self, seq: int) -> Recorded:
        """The action that the log holds at number `seq`. Raises `LedgerError` if it holds none, or the HCP was erased."""
        return recorded(self.entry(seq))

    def actions(self, seqs: Sequence[int]) -> list[Recorded]:
        """As `action`, of several numbers in their order."""
        found = {stored.seq: stored for stored in self.some(seqs)}
        return [recorded(found[seq]) if seq in found else self.action(seq) for seq in seqs]

    def segments(self, cycle: str, stream: str | None = None) -> list[Segment]:
        """The segments of a cycle, of one stream if it is named, in the order of their rows."""
        named = (Segment.from_body(cycle, stored.body) for stored in self.entries(kind="segment", cycle=cycle))
        return sorted((segment for segment in named if stream in (None, segment.stream)), key=lambda segment: (segment.stream, segment.first))

    def read_segment(self, segment: Segment) -> SegmentFrame:
        """A segment's rows. Raises `LedgerError` if its file is missing or altered."""
        packed = self._unpacked(segment)
        keys = {ref: key.key for ref, key in self.vault.of_refs(packed.refs).items()}
        kept = [place for place, ref in enumerate(packed.refs) if ref in keys]
        gone = {ref.hex(): count for ref, count in zip(packed.refs, packed.counts, strict=True) if ref not in keys}
        return SegmentFrame(to_frame(open_rows(packed, keys, kept), packed.layout), gone)

    def erased_among(self, hcp_ids: Iterable[str]) -> frozenset[str]:
        """Those of `hcp_ids` that were erased: nothing may be written about them again."""
        return self.vault.erased_among(hcp_ids)

    def draw_key(self) -> bytes:
        """The key of random draws: nobody who lacks the vault's secret can foresee or choose them."""
        return self.vault.draw_key()

    def holds(self, hcp_id: str) -> bool:
        """Whether anything has been written about this HCP and not erased."""
        return self.vault.of_person(hcp_id) is not None

    def is_erased(self, hcp_id: str) -> bool:
        """Whether this HCP was erased."""
        return bool(self.erased_among([hcp_id]))

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the log of `size` entries begins with the log of `old` entries, 0 < old <= size; `merkle.extends` checks it."""
        with reading(self.log) as connection:
            return consistency_path(old, size, complete(connection))

    def receipt(self, cycle: str, stream: str, hcp_id: str, number: int) -> bytes:
        """The receipt of one row of a cycle, chosen or not, for `verify_receipt`: row `number` of the frame that was written as `stream`, about
        `hcp_id`. Raises `LedgerError` if the HCP was erased or the row is not there."""
        key = self.vault.of_person(hcp_id)
        if key is None:
            what = "the HCP was erased, and the row with it" if self.is_erased(hcp_id) else "the ledger holds nothing about this HCP"
            raise LedgerError(what, where=str(self.folder))
        for stored in self.entries(kind="segment", cycle=cycle):
            segment = Segment.from_body(cycle, stored.body)
            if segment.stream == stream and segment.first <= number < segment.first + segment.rows:
                with reading(self.log) as connection:
                    about = self._about(cycle, log_size(connection)).get(key.ref, [])
                    return issue(connection, stored.seq, about, self._unpacked(segment), self._trees(segment), key, number)
        raise LedgerError(f"cycle `{cycle}` has no row {number} in stream `{stream}`", where=str(self.folder))

    def receipt_between(self, seq: int, cycle: str) -> bytes:
        """The receipt of the decision that entry `seq` records, made after `cycle`, for `verify_receipt`. Raises `LedgerError` if its HCP was erased."""
        stored = self.entry(seq)
        key = None if stored.hcp_id is None else self.vault.of_person(stored.hcp_id)
        if key is None:
            raise LedgerError("the HCP was erased, and what was decided with it", where=f"entry {seq}")
        with reading(self.log) as connection:
            return issue_between(connection, seq, key, cycle)

    def sealed_receipt(self, seq: int) -> bytes:
        """The receipt of the decision that entry `seq` records, which leaves sealed all that is sealed: whoever was decided about, and by which facts."""
        with reading(self.log) as connection:
            return issue_between(connection, seq, None, None)

    def segment_path(self, segment: Segment) -> Path:
        """Where a segment's file lies."""
        return self.folder / "segments" / f"{segment.file}.arrow"

    def _unpack(self, segment: Segment) -> Packed:
        path = self.segment_path(segment)
        try:
            file = path.read_bytes()
        except OSError as error:
            raise LedgerError(f"the segment cannot be read ({error.strerror})", where=str(path), do="Restore it from its backup.") from None
        if digest(file) != segment.file:
            raise LedgerError("the segment was altered: its digest is not its name", where=str(path), do="Run `remit verify`; restore it from its backup.")
        return unpack(file)

    def _people(self, cycle: str, _size: int) -> dict[bytes, list[int]]:
        """The numbers of a cycle's entries by whom they are about. An index in the database would cost every append and every verification more."""
        about: dict[bytes, list[int]] = {}
        with reading(self.log) as connection:
            for batch in batches(connection, cycle=cycle):
                within = (ENTRIES.c.seq >= batch.first) & (ENTRIES.c.seq < batch.size) & ENTRIES.c.hcp.is_not(None)
                for seq, ref in connection.execute(sa.select(ENTRIES.c.seq, ENTRIES.c.hcp).where(within)):
                    about.setdefault(ref, []).append(seq)
        return about

    def _ref(self, hcp_id: str) -> bytes:
        key = self.vault.of_person(hcp_id)
        return key.ref if key else b""

    def _open(self, rows: Iterable[Any]) -> list[Stored]:
        rows = list(rows)
        keys = self.vault.of_refs(row.hcp for row in rows if row.hcp is not None)
        return [_stored(row, keys.get(row.hcp)) for row in rows]


def _of_kind(query: "sa.Select[Any]", kind: str | None) -> "sa.Select[Any]":
    """`query` for a kind of entries, in the words that tell the database which of its two indexes by kind holds them. Those that were declined are in neither:
    there are more of them than of all others, and they are asked for within a cycle, by number."""
    if kind is None:
        return query
    query = query.where(ENTRIES.c.kind == kind)
    if kind in _PLAIN:
        return query.where(ENTRIES.c.hcp.is_(None))
    return query if kind == "declined" else query.where(ENTRIES.c.hcp.is_not(None), ENTRIES.c.kind != sa.literal_column("'declined'"))


def _stored(row: Any, key: HcpKey | None) -> Stored:
    seq, kind, schema, leaf, hcp, commitment, body, ciphertext, _, cycle = row
    payload = None
    if key is not None:
        opened = unseal(key.key, seal_context(cycle, kind, schema), ciphertext)
        if opened is None or sha256(opened).digest() != commitment:
            raise LedgerError("the payload does not open", where=f"entry {seq}", do="Run `remit verify`; restore from the backup.")
        payload = opened_payload(opened)
    return Stored(
        seq, cycle, kind, schema, orjson.loads(body), hcp and hcp.hex(), key.hcp_id if key else None, payload, hcp is not None and key is None, leaf.hex()
    )
