"""Verifying a ledger from its files: every leaf, root, signature, segment, payload, key and tombstone. Nothing is written and nothing is believed."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from remit.ledger.appending import HEAD, grave
from remit.ledger.checking import Found, Span, check_database, check_entries, check_segment
from remit.ledger.databases import ENTRIES, NODES, reading
from remit.ledger.errors import Fault, LedgerError
from remit.ledger.keyfiles import verifier_keys as accepted_keys
from remit.ledger.log import Appended, batches, log_size
from remit.ledger.merkle import EMPTY, Frontier
from remit.ledger.notes import open_checkpoint
from remit.ledger.places import Place, place_of
from remit.ledger.records import Records
from remit.ledger.segments import Segment

Check = Callable[[], Found]


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified: the log's size and root, how many checkpoints, segments and rows, payloads and rows that were opened and those gone with erased
    HCPs, and every fault that was found."""

    size: int
    root: str
    checkpoints: int
    segments: int
    rows: int
    opened: int
    gone: int
    faults: tuple[Fault, ...]


def verify(where: Path | Place, *, against: bytes | None = None, verifier_keys: Sequence[str] = (), deep: bool = True, workers: int = 1) -> Report:
    """Verifies the ledger in a folder or at a place as it stands now, also while it is being appended to. What is wrong with it is in the report, not raised.

    Recomputes every leaf hash and every root that was ever signed, checks each signature under `verifier_keys` (default: those that the ledger keeps),
    the digest of each segment's file, keys against references, and tombstones against missing keys: a byte that was changed since it was written is
    found. With `deep`, also opens every payload and row whose key exists and compares it with its commitment, which finds what was written wrongly.
    `against` is an older checkpoint, kept elsewhere: the log must begin with it. Only this finds out a holder of the signing key who has
    rewritten the log. `workers` is the number of processes.
    """
    place = place_of(where)
    with _workers(workers) as each:
        verification = _Verification(place, verifier_keys, each)
        try:
            verification.run(against, deep=deep, shares=1 if workers == 1 else 3 * workers)
        except LedgerError as error:
            verification.add(error.where or str(place.folder), error.what)
    return verification.report()


class _Verification:
    def __init__(self, place: Place, keys: Sequence[str], each: Callable[[Sequence[Check]], list[Found]]) -> None:
        self.place, self.folder, self.verifiers, self.each = place, place.folder, keys, each
        self.faults: list[Fault] = []
        self.roots: dict[int, bytes] = {0: EMPTY}
        self.checks: list[Found] = []
        self.segments: list[tuple[int, Segment]] = []
        self.tombstones: dict[str, tuple[int, Any]] = {}

    def add(self, where: str, what: str) -> None:
        self.faults.append(Fault(where, what))

    def report(self) -> Report:
        size, counts = max(self.roots), {name: sum(getattr(check, name) for check in self.checks) for name in ("rows", "opened", "gone")}
        faults = (*self.faults, *(fault for check in self.checks for fault in check.faults))
        return Report(size, self.roots[size].hex(), len(self.roots) - 1, len(self.segments), **counts, faults=faults)

    def run(self, against: bytes | None, *, deep: bool, shares: int) -> None:
        with Records(self.place) as records:
            self.verifiers = self.verifiers or accepted_keys(self.folder)
            try:
                self.log(records, against, deep=deep, shares=shares)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                self.checks = self.each(self.databases())
                if not any(check.faults for check in self.checks):
                    raise
                # Rows are not what their table says, and the database has found out why.
                self.add(str(self.folder), f"the rest could not be verified: {error}")

    def databases(self) -> list[Check]:
        return [partial(check_database, self.place, which) for which in ("ledger", "vault")]

    def log(self, records: Records, against: bytes | None, *, deep: bool, shares: int) -> None:
        with reading(records.log) as connection:
            log = batches(connection)
            nodes = {(row[0], row[1]): row[2] for row in connection.execute(sa.select(NODES))}
            loose = connection.execute(sa.select(ENTRIES.c.seq).where((ENTRIES.c.seq < 0) | (ENTRIES.c.seq >= log_size(connection))).limit(1)).scalar()
        self.checks = self.each([*self.databases(), *(partial(check_entries, self.place, share, deep=deep) for share in _shares(log, shares))])
        if loose is not None:
            self.add(f"{self.place.log}, entry {loose}", "no checkpoint covers it: something else has written it")
        self.roots_of(log, nodes)
        self.heads(against)
        self.named()
        self.checks += self.each([partial(check_segment, self.place, seq, segment, deep=deep) for seq, segment in self.segments])
        self.erasures(records)

    def roots_of(self, log: Sequence[Appended], nodes: dict[tuple[int, int], bytes]) -> None:
        """Every root that was signed, and every node that is stored, from the stored leaves."""
        leaves, edge = [leaf for check in self.checks for leaf in check.leaves], Frontier()
        for batch in log:
            if len(leaves) < batch.size:
                return  # a check has said why
            for height, position, value in edge.extend(leaves[edge.size : batch.size]):
                if nodes.pop((height, position), None) != value:
                    self.add(f"{self.place.log}, node {position} of height {height}", "it is not the hash of what lies under it")
            self.roots[batch.size] = edge.root()
            self.signed(f"{self.place.log}, checkpoint {batch.size}", batch.checkpoint, batch.size)
        for height, position in nodes:
            self.add(f"{self.place.log}, node {position} of height {height}", "nothing lies under it")

    def signed(self, where: str, note: bytes, size: int | None = None) -> None:
        """A signed note against the root that was computed at its size."""
        try:
            checkpoint = open_checkpoint(note, self.verifiers)
        except LedgerError as error:
            self.add(where, error.what)
            return
        if size not in (None, checkpoint.size):
            self.add(where, f"it is signed for a log of {checkpoint.size} entries")
        elif checkpoint.size not in self.roots:
            self.add(
                where,
                f"it is signed for {checkpoint.size} entries; this log has {max(self.roots)} and no checkpoint there: it is another log, or a part is lost",
            )
        elif checkpoint.root != self.roots[checkpoint.size]:
            self.add(where, f"the first {checkpoint.size} entries are not those that were signed")

    def heads(self, against: bytes | None) -> None:
        head = self.folder / HEAD
        if head.is_file():
            self.signed(HEAD, head.read_bytes())
        else:
            self.add(HEAD, "the file with the last checkpoint is missing")
        if against is not None:
            self.signed("the older checkpoint", against)

    def named(self) -> None:
        """The segments and tombstones that the log names."""
        for seq, cycle, kind, body in (named for check in self.checks for named in check.named):
            try:
                said = json.loads(body)
                if kind == "segment":
                    self.segments.append((seq, Segment.from_body(cycle, said)))
                else:
                    self.tombstones[said["hcp"]] = (seq, said)
            except (ValueError, KeyError, TypeError):
                self.add(f"{self.place.log}, entry {seq}", f"its body is not that of a {kind}")

    def erasures(self, records: Records) -> None:
        """Every missing key has an erasure, every erasure a tombstone, and the other way round."""
        erased = {ref.hex(): json.loads(body) for ref, body in records.vault.erasures().items()}
        keys = {ref.hex() for ref in records.vault.keys_by_ref()}
        for ref, where in {ref: where for check in reversed(self.checks) for ref, where in check.keyless.items()}.items():
            if ref.hex() not in erased:
                self.add(f"vault.db, key of hcp {ref.hex()}", f"it is missing, and no erasure says why (needed in {where})")
        for hcp, body in erased.items():
            if hcp not in self.tombstones and records.appended(grave(hcp)) is None:
                self.add(f"vault.db, erasure of hcp {hcp}", "it has no tombstone in the log: open the ledger for writing to complete it")
            elif hcp in self.tombstones and self.tombstones[hcp][1] != body:
                self.add(f"vault.db, erasure of hcp {hcp}", f"it is not what its tombstone says (entry {self.tombstones[hcp][0]})")
        for hcp, (seq, _) in self.tombstones.items():
            if hcp not in erased or hcp in keys:
                self.add(f"{self.place.log}, entry {seq}", f"hcp {hcp} was erased, but the vault does not say so: it may come from before the erasure")


def _shares(log: Sequence[Appended], count: int) -> list[list[Span]]:
    """The log in consecutive shares of equal size."""
    size = log[-1].size if log else 0
    shares = []
    for number in range(count):
        start, stop = size * number // count, size * (number + 1) // count
        within = (Span(batch.batch, batch.cycle, max(start, batch.first), min(stop, batch.size)) for batch in log)
        shares.append([span for span in within if span.first < span.size])
    return [share for share in shares if share]


@contextmanager
def _workers(count: int) -> Iterator[Callable[[Sequence[Check]], list[Found]]]:
    """What runs checks, here or in `count` processes, and gives what they found in the order of the checks."""
    if count == 1:
        yield lambda checks: [check() for check in checks]
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield lambda checks: [future.result() for future in [pool.submit(check) for check in checks]]
