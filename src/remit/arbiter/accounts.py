"""What a draft amounts to: seats in calls, value and rent per candidate, and what could not be met."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remit.arbiter.desk import BEST_CALL, BEST_POSITION, PICKED, POSITION, PRODUCT, VALUE
from remit.arbiter.draft import Draft
from remit.arbiter.kernel import entry, kernel
from remit.arbiter.layout import cost
from remit.arbiter.rows import Ints, Rows, Scarce, Table
from remit.arbiter.seats import deal, worth
from remit.terms.encoding import MICRO
from remit.terms.problems import Shortfall

Bytes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Settled:
    """Per candidate: call number and position (1 upward for details, else 0), and the value and rent of what is chosen, in micro-units."""

    call_number: Bytes
    position: Bytes
    value: Ints
    rent: Ints


def settle(rows: Rows, draft: Draft, price: Ints, table: Table) -> Settled:
    """Seat all details, and say what each candidate is worth in its seat and what rent it pays.

    Rent is price x use, each entry rounded down to a micro-unit. What a call itself uses is shared equally among its details; what equal shares leave over
    falls to the first position.
    """
    count = len(rows.value)
    settled = Settled(np.zeros(count, np.int8), np.zeros(count, np.int8), np.zeros(count, np.int64), np.zeros(count, np.int64))
    _settle(rows, draft, price, table, settled.call_number, settled.position, settled.value, settled.rent)
    return settled


@entry
def _settle(rows: Rows, draft: Draft, price: Ints, d: Table, number: Bytes, position: Bytes, value: Ints, rent: Ints) -> None:
    for p in range(len(rows.positions)):
        d[POSITION, p] = rows.positions[p]
    for hcp in range(len(rows.start) - 1):
        for row in range(rows.start[hcp], rows.start[hcp + 1]):
            if draft.rank[row] > 0:
                rent[row] = cost(rows.use, row, price)
                value[row] = rows.value[row]
        for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
            if draft.made[call] > 0:
                _settle_call(rows, hcp, call, draft, price, d, number, position, value, rent)


@kernel
def _settle_call(rows: Rows, hcp: int, call: int, draft: Draft, price: Ints, d: Table, number: Bytes, position: Bytes, value: Ints, rent: Ints) -> None:
    first, calls, count = rows.start[hcp], draft.made[call], 0
    for row in range(first, rows.start[hcp + 1]):
        if rows.call[row] == call and draft.rank[row] > 0:
            rank = draft.rank[row] - 1
            d[PICKED, rank] = row - first
            d[VALUE, row - first], d[PRODUCT, row - first] = rows.value[row], rows.product[row]
            count += 1
    deal(d, 0, count, calls, len(rows.positions))
    price_of_call = cost(rows.call_use, call, price)
    for k in range(count):
        row = first + d[PICKED, k]
        number[row], position[row] = d[BEST_CALL, k] + 1, d[BEST_POSITION, k] + 1
        value[row] = worth(rows.value[row], rows.positions[d[BEST_POSITION, k]])
        details = 0
        for j in range(count):
            details += d[BEST_CALL, j] == d[BEST_CALL, k]
        rent[row] += price_of_call // details
        if d[BEST_POSITION, k] == 0:
            rent[row] += price_of_call % details


def shortfalls(rows: Rows, draft: Draft, scarce: Scarce) -> tuple[Shortfall, ...]:
    """Floors that the draft misses, then mandatory candidates that it leaves out."""
    lack = scarce.floor - (scarce.capacity - draft.left)
    floors = [Shortfall("floor", int(r), int(r), int(lack[r])) for r in np.flatnonzero(lack > 0)]
    missed = np.flatnonzero(rows.mandatory & (draft.rank == 0))
    return tuple(floors + [_missed(rows, draft, int(row)) for row in missed])


def _missed(rows: Rows, draft: Draft, row: int) -> Shortfall:
    """The resource that lacks most for a mandatory candidate, or -1 and one contact if a limit of its HCP blocks it."""
    wanted: dict[int, int] = {}
    uses = [(rows.use, row)]
    if (call := int(rows.call[row])) >= 0 and (not draft.made[call] or _full(rows, draft, call)):
        uses.append((rows.call_use, call))
    for use, at in uses:
        for j in range(int(use.start[at]), int(use.start[at + 1])):
            resource = int(use.resource[j])
            wanted[resource] = wanted.get(resource, 0) + int(use.amount[j])
    lack, resource = max(((amount - int(draft.left[r]), -r) for r, amount in wanted.items()), default=(0, 0))
    return Shortfall("mandatory", row, -resource, lack) if lack > 0 else Shortfall("mandatory", row, -1, MICRO)


def _full(rows: Rows, draft: Draft, call: int) -> bool:
    hcp = int(np.searchsorted(rows.call_start, call, side="right")) - 1
    own = slice(int(rows.start[hcp]), int(rows.start[hcp + 1]))
    details = np.count_nonzero((rows.call[own] == call) & (draft.rank[own] > 0))
    return bool(details == draft.made[call] * len(rows.positions))
