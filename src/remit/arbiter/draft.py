"""A plan in the making: what is chosen, what is left, and the moves that change one HCP's choice."""

from typing import NamedTuple

import numpy as np

from remit.arbiter.choice import choose
from remit.arbiter.desk import BEST, BONUS, CALLED, COUNT, PICK, STATE
from remit.arbiter.kernel import bare, kernel, part
from remit.arbiter.layout import cost
from remit.arbiter.rows import Flags, Ints, Rows, Shorts, Table, Use
from remit.arbiter.seats import worth_up


class Draft(NamedTuple):
    """`rank` per candidate: 0 not chosen, 1 chosen outside calls, else 1 + its rank among the details of its kind of call; `made` calls per kind;
    `left` micro-units per resource; `floored` the resources with a floor, `most_left[r]` what may be left of r for its floor to be met."""

    rank: Shorts
    made: Shorts
    left: Ints
    floored: Ints
    most_left: Ints


def empty_draft(rows: Rows, capacity: Ints, floor: Ints) -> Draft:
    """Nothing chosen, everything left."""
    return Draft(
        np.zeros(len(rows.value), dtype=np.int32),
        np.zeros(len(rows.call_most), dtype=np.int32),
        capacity.copy(),
        np.flatnonzero(floor > 0),
        capacity - floor,
    )


@kernel
def bare_draft(draft: Draft) -> Draft:
    """The same draft as `bare` arrays."""
    return Draft(bare(draft.rank), bare(draft.made), bare(draft.left), bare(draft.floored), bare(draft.most_left))


@kernel
def take(use: Use, row: int, times: int, left: Ints) -> None:
    """Take what a row uses, `times` times (give it back if negative)."""
    for j in range(use.start[row], use.start[row + 1]):
        left[use.resource[j]] -= times * use.amount[j]


@kernel
def use_of(rows: Rows, hcp: int, draft: Draft, times: int) -> None:
    """Take what the HCP's choice uses, `times` times (give it back if negative)."""
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        if draft.rank[row] > 0:
            take(rows.use, row, times, draft.left)
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        if draft.made[call] > 0:
            take(rows.call_use, call, times * draft.made[call], draft.left)


@kernel
def drop(rows: Rows, hcp: int, draft: Draft) -> None:
    """Choose nothing for the HCP."""
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        draft.rank[row] = 0
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        draft.made[call] = 0


@kernel
def own_use(rows: Rows, hcp: int, resource: int, draft: Draft) -> int:
    """How much of a resource the HCP's choice uses."""
    total = 0
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        if draft.rank[row] > 0:
            for j in range(rows.use.start[row], rows.use.start[row + 1]):
                total += rows.use.amount[j] if rows.use.resource[j] == resource else 0
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        for j in range(rows.call_use.start[call], rows.call_use.start[call + 1]):
            total += draft.made[call] * rows.call_use.amount[j] if rows.call_use.resource[j] == resource else 0
    return total


@kernel
def write(rows: Rows, hcp: int, d: Table, a: int, draft: Draft) -> None:
    """Write choice a of the desk as the HCP's choice, without taking anything."""
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        draft.rank[row] = 0
    rank, before = 0, -1
    for k in range(d[COUNT, a]):
        row = d[PICK + a, k]
        rank = rank + 1 if rows.call[row] >= 0 and rows.call[row] == before else 1
        before = rows.call[row]
        draft.rank[row] = rank
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        draft.made[call] = d[CALLED + a, call - rows.call_start[hcp]]


@kernel
def value_of(rows: Rows, hcp: int, price: Ints, bonus: int, draft: Draft) -> int:
    """What the HCP's choice is worth net of its use at `price`, with the bonus of mandatory ones, rounded as `choose` does."""
    total = 0
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        rank, call = draft.rank[row], rows.call[row]
        if rank > 0:
            value = rows.value[row]
            total += (value if call < 0 else worth_up(value, rows.positions[(rank - 1) // draft.made[call]])) - cost(rows.use, row, price)
            total += bonus if rows.mandatory[row] else 0
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        if draft.made[call] > 0:
            total -= draft.made[call] * cost(rows.call_use, call, price)
    return total


@kernel
def lacking(draft: Draft) -> int:
    """By how much, in all, floors are missed."""
    total = 0
    for r in draft.floored:
        total += max(draft.left[r] - draft.most_left[r], 0)
    return total


@kernel
def save(rows: Rows, hcp: int, draft: Draft, note: Shorts) -> None:
    """Note down the HCP's choice."""
    at = 0
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        note[at] = draft.rank[row]
        at += 1
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        note[at] = draft.made[call]
        at += 1


@kernel
def restore(rows: Rows, hcp: int, draft: Draft, note: Shorts) -> None:
    """Go back to the noted choice."""
    at = 0
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        draft.rank[row] = note[at]
        at += 1
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        draft.made[call] = note[at]
        at += 1


@part
def revise(rows: Rows, hcp: int, price: Ints, free: Ints, d: Table, draft: Draft, note: Shorts) -> bool:
    """Give the HCP the best choice at `price` that fits what is left, if that is worth more also at the prices `free`; whether it did."""
    short = lacking(draft)
    use_of(rows, hcp, draft, -1)
    choose(rows, hcp, price, draft.left, True, 1, 0, d)
    bonus = d[STATE, BONUS]
    better = d[BEST, 0] > value_of(rows, hcp, price, bonus, draft)
    if better:
        old = value_of(rows, hcp, free, bonus, draft)
        save(rows, hcp, draft, note)
        write(rows, hcp, d, 0, draft)
        better = value_of(rows, hcp, free, bonus, draft) > old
        use_of(rows, hcp, draft, 1)
        if better and lacking(draft) <= short:
            return True
        use_of(rows, hcp, draft, -1)
        restore(rows, hcp, draft, note)
    use_of(rows, hcp, draft, 1)
    return False


@kernel
def step_down(rows: Rows, hcp: int, price: Ints, d: Table, draft: Draft) -> int:
    """Give the HCP the best choice at `price` that takes nothing from what is overdrawn; returns what it loses at these prices."""
    use_of(rows, hcp, draft, -1)
    choose(rows, hcp, price, draft.left, True, 1, 0, d)
    loss = value_of(rows, hcp, price, d[STATE, BONUS], draft) - d[BEST, 0]
    write(rows, hcp, d, 0, draft)
    use_of(rows, hcp, draft, 1)
    return int(loss)


@kernel
def overdrawn(rows: Rows, hcp: int, draft: Draft) -> int:
    """A resource that the HCP's choice uses and that is overdrawn; -1 if there is none."""
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        if draft.rank[row] > 0:
            for j in range(rows.use.start[row], rows.use.start[row + 1]):
                if draft.left[rows.use.resource[j]] < 0:
                    return int(rows.use.resource[j])
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        if draft.made[call] > 0:
            for j in range(rows.call_use.start[call], rows.call_use.start[call + 1]):
                if draft.left[rows.call_use.resource[j]] < 0:
                    return int(rows.call_use.resource[j])
    return -1


@kernel
def could_change(rows: Rows, hcp: int, draft: Draft, wanted: Flags, fitting: bool) -> bool:
    """Whether a candidate that is not chosen uses a wanted resource and, with `fitting`, would fit in what is left and what the HCP uses itself."""
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        if draft.rank[row] > 0:
            continue
        call = rows.call[row]
        uses = _uses(rows.use, row, wanted) or (call >= 0 and _uses(rows.call_use, call, wanted))
        if uses and (not fitting or _fits(rows, hcp, row, draft)):
            return True
    return False


@kernel
def _uses(use: Use, row: int, wanted: Flags) -> bool:
    """Whether the row uses a wanted resource, or none at all."""
    if use.start[row] == use.start[row + 1]:
        return True
    for j in range(use.start[row], use.start[row + 1]):  # noqa: SIM110  # numba compiles no generators
        if wanted[use.resource[j]]:
            return True
    return False


@kernel
def _fits(rows: Rows, hcp: int, row: int, draft: Draft) -> bool:
    for j in range(rows.use.start[row], rows.use.start[row + 1]):
        resource, amount = rows.use.resource[j], rows.use.amount[j]
        if draft.left[resource] < amount and draft.left[resource] + own_use(rows, hcp, resource, draft) < amount:
            return False
    return True
