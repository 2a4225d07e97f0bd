"""Writing the ledger: segments, batches, erasures. The commit of a batch with its signed checkpoint is the only commit point."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import sqlalchemy as sa

from remit.ledger.databases import (
    CHECKPOINTS,
    ENTRIES,
    NODES,
    connect,
    connect_log,
    disposing,
    insert,
    limit,
    migrate,
    migrate_log,
    name_of,
    reading,
    settle,
    writing,
)
from remit.ledger.entries import Entry, Fresh, Leaf, check_entries, make_leaf
from remit.ledger.errors import LedgerError
from remit.ledger.keyfiles import Entropy, create_keys, signing_key, vault_secret, verifier_keys, write_whole
from remit.ledger.log import Appended, complete, find_batch, last_checkpoint, log_size
from remit.ledger.merkle import EMPTY, Frontier
from remit.ledger.notes import Checkpoint, open_checkpoint, sign
from remit.ledger.places import Place, place_of
from remit.ledger.records import FRESH, Records
from remit.ledger.rows import check_frame
from remit.ledger.sealing import HcpKey
from remit.ledger.segments import Segment, pack
from remit.ledger.vault import Vault
from remit.terms.encoding import canonical

HEAD = "checkpoint"
"""The last checkpoint as a file of its own, by which a log that lost entries is found out."""

_ROWS = 1 << 17
_FEW = 4
"""Segments that are written before other processes would have started."""
_TOMBSTONE = "remit.tombstone/1"


class Turn:
    """A write transaction: the log stands still, and what is decided from it is recorded before anybody else reads or writes. `fresh` are its entries
    from a number on, up to its `size`."""

    def __init__(self, ledger: "Ledger", connection: sa.Connection, since: int) -> None:
        self._ledger, self._connection = ledger, connection
        self._keys: dict[str, HcpKey] = {}
        self.size = log_size(connection)
        rows = connection.execute(FRESH, {"since": since, "size": self.size}).all()
        self.fresh = [Fresh(seq, kind, hcp, orjson.loads(body)) for seq, kind, hcp, body, _ in rows]
        self.edge = ledger.edge_at(connection, self.size, since, [leaf for *_, leaf in rows])

    def refs(self, hcp_ids: Iterable[str]) -> dict[str, bytes]:
        """The opaque reference of each HCP. Raises `LedgerError` if some were erased."""
        self._keys |= self._ledger.keys(hcp_ids)
        return {hcp_id: key.ref for hcp_id, key in self._keys.items()}

    def append(self, batch: str, entries: Sequence[Entry], *, cycle: str) -> list[int]:
        """As `Ledger.append`, in this turn, and committed with it. Returns the number of each entry."""
        check_entries(batch, cycle, entries)
        self.refs({entry.hcp_id for entry in entries if entry.hcp_id is not None} - self._keys.keys())
        made = [make_leaf(batch, cycle, entry, self._keys.get(entry.hcp_id or "")) for entry in entries]
        order = in_order(made)
        first = self._ledger.extend(self._connection, batch, cycle, [made[place] for place in order], self.edge).first
        numbers = {place: first + number for number, place in enumerate(order)}
        return [numbers[place] for place in range(len(made))]


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erased HCP: the opaque reference (hexadecimal) and the number of the tombstone."""

    hcp: str
    tombstone: int


def create_ledger(where: Path | Place, *, name: str, entropy: Entropy) -> None:
    """Makes an empty ledger: two databases, keys, a place for segments. `where` is its folder, or a place whose log is on PostgreSQL, in a database that is
    there and empty; `name` names the log and its key, such as `remit/north`. Raises `LedgerError` if there is a ledger already."""
    place = place_of(where)
    folder = place.folder
    if place.made:
        raise LedgerError("there is a ledger already", where=str(folder), do="Open it, or choose another folder.")
    if place.url is not None:
        _prepare(place)  # first: a folder is begun only when the server is there
    try:
        (folder / "segments").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"the folder cannot be made ({error.strerror})", where=str(folder), do="Mend its permissions, or choose another.") from None
    create_keys(folder, name, entropy)
    migrate(folder / "vault.db", "vault")
    with disposing(connect(folder / "vault.db", writing=True)) as engine:
        Vault(engine, vault_secret(folder)).create()
    write_whole(folder / HEAD, sign(Checkpoint(name, 0, EMPTY), signing_key(folder)))
    if place.url is None:  # last: a folder with this file is a whole ledger
        migrate_log(place)
    else:
        write_whole(place.mark, b"Say which: remit.toml has `url_env` under [ledger], the name of an environment variable that holds its URL.\n")


def _prepare(place: Place) -> None:
    migrate_log(place)
    with disposing(connect_log(place, writing=False)) as engine, reading(engine) as connection:
        size = log_size(connection)
    if size:
        raise LedgerError(f"it holds a log of {size} entries already", where=name_of(engine), do="Give each ledger a database or a schema of its own.")


def migrate_ledger(where: Path | Place) -> None:
    """Brings the databases of a ledger to the newest schema. Raises `LedgerError`."""
    place = place_of(where)
    migrate(place.folder / "vault.db", "vault")
    migrate_log(place)


def open_ledger(where: Path | Place, *, entropy: Entropy, wait_s: float = 30.0) -> "Ledger":
    """The ledger in a folder or at a place, open for writing; an erasure that was interrupted is completed. `entropy` (such as `os.urandom`) makes the keys
    of new HCPs; `wait_s` is how long to wait for another process that writes. Raises `LedgerError`."""
    return Ledger(where, entropy=entropy, wait_s=wait_s)


def read_ledger(where: Path | Place) -> Records:
    """The ledger in a folder or at a place, open for reading only. Raises `LedgerError`."""
    return Records(where)


class Ledger(Records):
    """A ledger open for writing."""

    def __init__(self, where: Path | Place, *, entropy: Entropy, wait_s: float) -> None:
        super().__init__(where, writing=True, wait_s=wait_s)
        self._entropy = entropy
        with self._closed_on_failure():
            self._edge: Frontier | None = None
            self._published = (b"", 0)
            self._signing_key = signing_key(self.folder)
            self._origin = self._signing_key.split("+")[2]
            if self._unburied():
                self.vault.wipe()
                with writing(self.log) as connection:
                    self._bury(connection)
            self._publish()

    def write_segments(self, frame: pl.DataFrame, *, cycle: str, stream: str, schema: str, plain: Sequence[str] = (), workers: int = 1) -> tuple[Segment, ...]:
        """Writes the rows of `frame` to segment files, for `append` to record; nothing counts before that.

        The first column is `hcp_id` (1 to 64 of A-Z a-z 0-9 _ . : -), and an HCP's rows follow one another; the others are Boolean, Int64 or text, and
        may be null. Text is coded by a list of its values, which stands in the clear: columns of free text or many values belong in `plain`. A row's
        number is its place in `frame`. Writing the same rows again gives the same files. `workers` is the number of processes, where the rows are many
        enough to gain by it. Raises `LedgerError` with all faults of the frame, or if it speaks of erased HCPs.
        """
        check_frame(frame, plain)
        labels = {"cycle": cycle, "stream": stream, "schema": schema}
        cuts = _cuts(frame["hcp_id"])
        with ProcessPoolExecutor(min(workers, len(cuts)), mp_context=get_context("spawn")) if workers > 1 and len(cuts) > _FEW else nullcontext() as pool:
            parts = (self._part(frame[start:stop], start, labels, plain) for start, stop in cuts)
            try:
                return tuple(self._keep(*packed) for packed in (pool.map if pool else map)(_packed, parts))
            except BrokenProcessPool:
                raise LedgerError("a process that packs rows was killed", do="Free memory, or allow fewer threads, and run again.") from None

    def _part(self, frame: pl.DataFrame, first: int, labels: Mapping[str, str], plain: Sequence[str]) -> tuple[Any, ...]:
        return frame, first, labels, self.vault.of_people(frame["hcp_id"].unique(), self._entropy), self.vault.secret, plain

    def _keep(self, segment: Segment, file: bytes) -> Segment:
        if not self.segment_path(segment).is_file():
            write_whole(self.segment_path(segment), file)
        return segment

    def append(self, batch: str, entries: Sequence[Entry], *, cycle: str, segments: Sequence[Segment] = (), expected_size: int | None = None) -> Appended:
        """Commits entries and segments with a new signed checkpoint, all or nothing.

        `batch` names the whole: appending it again with the same contents writes nothing and says so; with other contents it is refused. Entries about
        no HCP come first, as given, then the segments; entries about HCPs follow in an order that tells nothing about them. `expected_size` refuses if the log
        has another size by now. Raises `LedgerError`; the log is then as it was.
        """
        check_entries(batch, cycle, entries)
        leaves = self.leaves(batch, cycle, [*entries, *(Entry("segment", "remit.segment/1", segment.body()) for segment in segments)])
        with writing(self.log) as connection:
            result = self.commit(connection, batch, cycle, [leaves[place] for place in in_order(leaves)], expected_size)
        self.settle()
        return result

    @contextmanager
    def turn(self, since: int, idle_s: float | None = None) -> Iterator[Turn]:
        """Takes a turn at the log, whose entries from number `since` on are read; leaving it commits what was appended, and an error in it leaves the log as
        it was. What is committed is safe, and `settle` publishes it. A database server ends the turn of a process that leaves it alone for `idle_s`. Raises
        `LedgerError`."""
        with writing(self.log) as connection:
            if idle_s is not None:
                limit(connection, idle_s)
            turn = Turn(self, connection, since)
            yield turn
        self._edge = turn.edge  # of what is committed, and not before

    def edge_at(self, connection: sa.Connection, size: int, since: int, leaves: Sequence[bytes]) -> Frontier:
        """The right edge of the tree of `size` leaves, the last of which, from number `since` on, are `leaves`."""
        if self._edge is None or not since <= self._edge.size <= size:
            return Frontier.of(size, complete(connection))
        edge = self._edge.copy()
        edge.extend(leaves[edge.size - since :])
        return edge

    def keys(self, hcp_ids: Iterable[str]) -> dict[str, HcpKey]:
        """The key of each HCP, made where there is none. Raises `LedgerError` if some were erased."""
        return self.vault.of_people(set(hcp_ids), self._entropy)

    def leaves(self, batch: str, cycle: str, entries: Sequence[Entry]) -> list[Leaf]:
        """Entries made ready."""
        keys = self.keys(entry.hcp_id for entry in entries if entry.hcp_id is not None)
        return [make_leaf(batch, cycle, entry, keys.get(entry.hcp_id or "")) for entry in entries]

    def erase(self, hcp_id: str, *, now: int, reason: str, replaced: Sequence[tuple[str, str]] = ()) -> Erasure:
        """Destroys the HCP's key, and with it every salt and payload about the HCP, then appends a tombstone. Again, it changes nothing.

        `reason` and `replaced` (pairs of an old and a new digest of what was rewritten elsewhere) stand in the tombstone: they must hold nothing personal.
        `now` is in UTC microseconds. Raises `LedgerError`.
        """

        def tombstone(ref: bytes) -> bytes:
            return canonical({"hcp": ref.hex(), "at": now, "reason": reason, "replaced": [list(pair) for pair in replaced]})

        ref = None
        try:
            with writing(self.log) as connection:  # the log's lock first, so that no batch is half written with a key that goes
                ref = self.vault.erase(hcp_id, self._entropy, tombstone)
                graves = self._bury(connection)
        except LedgerError as error:
            if ref is None:
                raise
            what = f"the key is destroyed, but its tombstone is not in the log yet: {error.what}"
            raise LedgerError(what, where=error.where, do="Mend that, and erase again or open the ledger: it is completed.") from None
        self.settle()
        return Erasure(ref.hex(), graves[ref])

    def _unburied(self) -> bool:
        erasures = self.vault.erasures()
        with reading(self.log) as connection:
            return any(find_batch(connection, grave(ref.hex())) is None for ref in erasures)

    def _bury(self, connection: sa.Connection) -> dict[bytes, int]:
        """Appends the tombstones that are not in the log yet: a kill between vault and log is healed here. Returns the tombstone's number by reference."""
        graves = {}
        for ref, body in self.vault.erasures().items():
            batch = grave(ref.hex())
            leaf = make_leaf(batch, batch, Entry("tombstone", _TOMBSTONE, json.loads(body)), None)
            graves[ref] = (find_batch(connection, batch) or self.commit(connection, batch, batch, [leaf], None)).first
        return graves

    def commit(self, connection: sa.Connection, batch: str, cycle: str, leaves: Sequence[Leaf], expected_size: int | None) -> Appended:
        """Records a batch of leaves in the write transaction of `connection`, if it is not there yet."""
        old = log_size(connection)
        if known := find_batch(connection, batch):
            return self._same(connection, known, leaves)
        if expected_size not in (None, old):
            raise LedgerError(f"the log has {old} entries, not {expected_size}", where=str(self.folder), do="Read what was added, and decide again.")
        return self.extend(connection, batch, cycle, leaves, Frontier.of(old, complete(connection)))

    def extend(self, connection: sa.Connection, batch: str, cycle: str, leaves: Sequence[Leaf], edge: Frontier) -> Appended:
        """Records a new batch of leaves at the `edge` of the log in the write transaction of `connection`."""
        old = edge.size
        self._check_head(self._head(), old)
        insert(connection, NODES, edge.extend([leaf.hash for leaf in leaves]))
        root, size = edge.root(), edge.size
        insert(connection, ENTRIES, [_row(old + number, leaf) for number, leaf in enumerate(leaves)])
        note = sign(Checkpoint(self._origin, size, root), self._signing_key)
        connection.execute(CHECKPOINTS.insert().values(size=size, batch=batch, cycle=cycle, note=note))
        return Appended(batch, cycle, old, size, note, already=False)

    def _same(self, connection: sa.Connection, known: Appended, leaves: Sequence[Leaf]) -> Appended:
        within = (ENTRIES.c.seq >= known.first) & (ENTRIES.c.seq < known.size)
        stored = connection.execute(sa.select(ENTRIES.c.leaf).where(within).order_by(ENTRIES.c.seq)).scalars().all()
        if list(stored) != [leaf.hash for leaf in leaves]:
            where = f"{self.folder}, entries {known.first} to {known.size - 1}"
            raise LedgerError(f"`{known.batch}` is in the log with other contents", where=where, do="A batch is written once: name the new one anew.")
        return known

    def _head(self) -> bytes | None:
        """The checkpoint that was published last."""
        path = self.folder / HEAD
        return path.read_bytes() if path.exists() else None

    def _check_head(self, head: bytes | None, size: int) -> None:
        """INVARIANT (one log): nothing is appended to a log that is shorter than what was once signed and published."""
        if head is not None and head != self._published[0]:
            self._published = (head, open_checkpoint(head, verifier_keys(self.folder)).size)
        published = 0 if head is None else self._published[1]
        if published > size:
            what = f"the log has {size} entries, but {published} were signed and published: some are lost"
            raise LedgerError(what, where=str(self.folder), do=f"Restore {self.place.log} from its newest backup. Nothing is appended to a shortened log.")

    def settle(self) -> None:
        """Publishes the checkpoint and moves what was committed out of the write-ahead log, where a changed byte would cut it off unseen."""
        try:
            self._publish()
            settle(self.log)
        except LedgerError as error:
            do = "Mend that, and run again: nothing is written twice."
            raise LedgerError(f"the batch is recorded, but {error.what.removesuffix('; nothing was written')}", where=error.where, do=do) from None

    def _publish(self) -> None:
        head, note = self._head(), self.checkpoint()  # in this order: another process may publish in between
        if note is None:
            return
        self._check_head(head, open_checkpoint(note, verifier_keys(self.folder)).size)
        if head != note:
            with writing(self.log) as connection:  # or an older one could take the place of a newer
                write_whole(self.folder / HEAD, last_checkpoint(connection) or note)


def in_order(leaves: Sequence[Leaf]) -> list[int]:
    """The order of a batch's leaves in the log: those about nobody as given, then those about HCPs, by what tells nothing about them."""
    return sorted(range(len(leaves)), key=lambda place: leaves[place].sealed.commitment if leaves[place].sealed else b"")  # type: ignore[union-attr]  # asked before


def _packed(part: tuple[Any, ...]) -> tuple[Segment, bytes]:
    return pack(*part)


def _cuts(hcp_ids: pl.Series) -> list[tuple[int, int]]:
    """Where to cut rows into segments, never within an HCP. A segment is small enough to open for one receipt, and large enough to hide in."""
    lengths = hcp_ids.rle().struct.field("len").to_numpy()
    stops = lengths.cumsum()
    last = np.flatnonzero(np.diff(stops // _ROWS, append=-1))
    cuts = [0, *stops[last].tolist()]
    return list(pairwise(cuts))


def grave(hcp: str) -> str:
    """The batch that holds the tombstone of an erased reference."""
    return f"erase:{hcp}"


def _row(seq: int, leaf: Leaf) -> tuple[Any, ...]:
    sealed = (leaf.sealed.ref, leaf.sealed.commitment, leaf.sealed.ciphertext) if leaf.sealed else (None, None, None)
    return seq, leaf.kind, leaf.schema, leaf.hash, *sealed[:2], leaf.body, sealed[2]
