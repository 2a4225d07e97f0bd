"""The log as the database keeps it: entries with their leaf hashes, the tree's nodes of every height that is a multiple of `KEPT`, and a checkpoint per batch.

What belongs to a batch, its name and cycle, stands once beside its checkpoint; the leaf of every entry commits to it.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from remit.ledger.databases import CHECKPOINTS, ENTRIES, NODES
from remit.ledger.entries import NAME
from remit.ledger.merkle import KEPT, Complete, fold

_COVERING = sa.select(sa.func.min(CHECKPOINTS.c.size)).where(CHECKPOINTS.c.size > ENTRIES.c.seq).correlate(ENTRIES).scalar_subquery()
STORED = sa.select(ENTRIES, CHECKPOINTS.c.batch, CHECKPOINTS.c.cycle).join_from(ENTRIES, CHECKPOINTS, CHECKPOINTS.c.size == _COVERING)
"""Entries with the name and the cycle of their batch."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A batch in the log: its entries have the numbers from `first` up to `size`, the log's size in the signed `checkpoint`. `already`: it was there."""

    batch: str
    cycle: str
    first: int
    size: int
    checkpoint: bytes
    already: bool


def log_size(connection: sa.Connection) -> int:
    """How many entries are committed."""
    return connection.execute(sa.select(sa.func.max(CHECKPOINTS.c.size))).scalar() or 0


def last_checkpoint(connection: sa.Connection) -> bytes | None:
    """The newest signed checkpoint; None while the log is empty."""
    return connection.execute(sa.select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc()).limit(1)).scalar()


def batches(connection: sa.Connection, *, batch: str | None = None, cycle: str | None = None) -> list[Appended]:
    """The batches of the log in their order: all, the one of this name, or those of this cycle."""
    if not all(NAME.match(value) for value in (batch, cycle) if value is not None):
        return []  # such as text that no database would take
    earlier = CHECKPOINTS.alias()
    first = sa.select(sa.func.max(earlier.c.size)).where(earlier.c.size < CHECKPOINTS.c.size).correlate(CHECKPOINTS).scalar_subquery()
    query = sa.select(CHECKPOINTS, sa.func.coalesce(first, 0).label("first")).order_by(CHECKPOINTS.c.size)
    for column, value in ((CHECKPOINTS.c.batch, batch), (CHECKPOINTS.c.cycle, cycle)):
        query = query if value is None else query.where(column == value)
    return [Appended(row.batch, row.cycle, row.first, row.size, row.note, already=True) for row in connection.execute(query)]


def find_batch(connection: sa.Connection, batch: str) -> Appended | None:
    """Where the log holds the batch of this name; None if it does not."""
    return next(iter(batches(connection, batch=batch)), None)


def complete(connection: sa.Connection) -> Complete:
    """The complete subtrees of the stored log."""

    def subtree(height: int, position: int) -> bytes:
        above = height % KEPT
        return fold(_hashes(connection, height - above, position << above, 1 << above))

    return subtree


def _hashes(connection: sa.Connection, height: int, start: int, count: int) -> list[bytes]:
    if height == 0:
        query = sa.select(ENTRIES.c.leaf).where(ENTRIES.c.seq >= start, ENTRIES.c.seq < start + count).order_by(ENTRIES.c.seq)
    else:
        place = NODES.c.position
        query = sa.select(NODES.c.hash).where(NODES.c.height == height, place >= start, place < start + count).order_by(place)
    return list(connection.execute(query).scalars())
