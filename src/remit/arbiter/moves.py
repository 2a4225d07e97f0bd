"""Moves that keep a draft feasible: give one HCP a better choice, or two HCPs better ones together."""

from remit.arbiter.choice import choose
from remit.arbiter.desk import BONUS, STATE
from remit.arbiter.draft import Draft, lacking, overdrawn, restore, revise, save, use_of, value_of, write
from remit.arbiter.kernel import entry, kernel
from remit.arbiter.rows import Ints, Rows, Shorts, Table


@entry
def move(
    rows: Rows,
    hcps: Ints,
    price: Ints,
    free: Ints,
    d: Table,
    draft: Draft,
    note: Shorts,
    start: Ints,
    users: Ints,
    other_note: Shorts,
    most: int,
) -> int:
    """Better the choices of these HCPs in order, measured at prices `free`; returns how many changed.

    Without lists of users: each takes its best choice at `price` that fits, until the floor of resource `most` is met (-1: all of them). With
    `users[start[r]:start[r + 1]]` of each resource r: each takes its best choice at `price` if one of `most` users of what it lacks can step aside.
    """
    changed = 0
    for hcp in hcps:
        if len(start) > 0:
            changed += _exchange(rows, hcp, price, free, d, draft, note, start, users, other_note, most)
        elif most >= 0 and draft.left[most] <= draft.most_left[most]:
            break
        else:
            changed += revise(rows, hcp, price, free, d, draft, note)
    return changed


@kernel
def _exchange(
    rows: Rows, hcp: int, price: Ints, free: Ints, d: Table, draft: Draft, note: Shorts, start: Ints, users: Ints, other_note: Shorts, most: int
) -> bool:
    short = lacking(draft)
    use_of(rows, hcp, draft, -1)
    choose(rows, hcp, price, price, False, 1, 0, d)
    bonus = d[STATE, BONUS]
    win = -value_of(rows, hcp, free, bonus, draft)
    save(rows, hcp, draft, note)
    write(rows, hcp, d, 0, draft)
    win += value_of(rows, hcp, free, bonus, draft)
    use_of(rows, hcp, draft, 1)
    wanted = overdrawn(rows, hcp, draft)
    if wanted < 0 and win > 0 and lacking(draft) <= short:
        return True
    if wanted >= 0:
        first, count = start[wanted], start[wanted + 1] - start[wanted]
        for k in range(min(most, count)):
            other = users[first + (hcp + k) % count]
            if other != hcp and _step_aside(rows, other, hcp, win, short, price, free, d, draft, other_note):
                return True
    use_of(rows, hcp, draft, -1)
    restore(rows, hcp, draft, note)
    use_of(rows, hcp, draft, 1)
    return False


@kernel
def _step_aside(
    rows: Rows, other: int, hcp: int, win: int, short: int, price: Ints, free: Ints, d: Table, draft: Draft, note: Shorts
) -> bool:
    """Let `other` make room for `hcp`, if both together win; whether it did."""
    use_of(rows, other, draft, -1)
    if overdrawn(rows, hcp, draft) < 0:
        choose(rows, other, price, draft.left, True, 1, 0, d)
        bonus = d[STATE, BONUS]
        win -= value_of(rows, other, free, bonus, draft)
        save(rows, other, draft, note)
        write(rows, other, d, 0, draft)
        win += value_of(rows, other, free, bonus, draft)
        use_of(rows, other, draft, 1)
        if win > 0 and lacking(draft) <= short:
            return True
        use_of(rows, other, draft, -1)
        restore(rows, other, draft, note)
    use_of(rows, other, draft, 1)
    return False
