"""Moves that keep a draft feasible: give one HCP a better choice, or two HCPs better ones together."""

import numpy as np

from remit.arbiter.choice import choose
from remit.arbiter.desk import BONUS, STATE
from remit.arbiter.draft import Draft, bare_draft, lacking, overdrawn, own_use, restore, revise, save, step_down, use_of, value_of, write
from remit.arbiter.kernel import bare, entry, kernel, part
from remit.arbiter.rows import Ints, Rows, Shorts, Table, bare_rows

REVISE, EXCHANGE, RELIEVE = 0, 1, 2
VICTIMS = 6
"""How many HCPs may step aside for one."""
NOTES = VICTIMS + 2
"""Rows of a notebook: the HCP's own, one for each that stepped aside, one to try on."""


@entry
def move(owned: Rows, task: int, items: Ints, price: Ints, free: Ints, d: Table, plan: Draft, notes: Shorts, start: Ints, users: Ints, most: int) -> int:
    """Change the choices of some HCPs; returns how many changed. `users[start[r]:start[r + 1]]` are HCPs that may use resource r.

    REVISE: each HCP of `items` takes its best choice at `price` that fits, if that is worth more at the prices `free`; until the floor of resource `most`
    is met (-1: all of them). RELIEVE: of each overdrawn resource of `items`, those of `most` users step aside that lose least at `price` for it.
    EXCHANGE: each takes its best choice at `price` if users of what it overdraws can step aside, and all together win at the prices `free`.
    """
    changed = 0
    rows, draft, price, free, d = bare_rows(owned), bare_draft(plan), bare(price), bare(free), bare(d)
    for item in items:
        if task == EXCHANGE:
            changed += _exchange(rows, item, price, free, d, draft, notes, start, users, most)
        elif task == RELIEVE:
            while draft.left[item] < 0:
                other = _least_loss(rows, item, -1, price, d, draft, notes[NOTES - 1], users[start[item] : start[item + 1]], most, changed)
                if other < 0:
                    break
                step_down(rows, other, price, d, draft)
                changed += 1
        elif most >= 0 and draft.left[most] <= draft.most_left[most]:
            break
        else:
            changed += revise(rows, item, price, free, d, draft, notes[0])
    return changed


@kernel
def _least_loss(rows: Rows, resource: int, hcp: int, price: Ints, d: Table, draft: Draft, note: Shorts, users: Ints, most: int, turn: int) -> int:
    """The user, other than `hcp`, that loses least per micro-unit of the resource that it would give up; -1 if none would give up any."""
    best, least, tried, lack = -1, 0.0, 0, -draft.left[resource]
    for k in range(len(users)):
        other = users[(turn + k) % len(users)]
        own = own_use(rows, other, resource, draft)
        if own > 0 and other != hcp:
            tried += 1
            if tried > most:
                break
            save(rows, other, draft, note)
            loss = step_down(rows, other, price, d, draft)
            relief = own - own_use(rows, other, resource, draft)
            use_of(rows, other, draft, -1)
            restore(rows, other, draft, note)
            use_of(rows, other, draft, 1)
            if relief > 0 and (best < 0 or loss / min(relief, lack) < least):
                best, least = other, loss / min(relief, lack)
    return best


@part
def _exchange(rows: Rows, hcp: int, price: Ints, free: Ints, d: Table, draft: Draft, notes: Shorts, start: Ints, users: Ints, most: int) -> bool:
    short, count = lacking(draft), 0
    victim = np.zeros(VICTIMS, dtype=np.int64)
    use_of(rows, hcp, draft, -1)
    choose(rows, hcp, price, price, False, 1, 0, d)
    bonus = d[STATE, BONUS]
    win = -value_of(rows, hcp, free, bonus, draft)
    save(rows, hcp, draft, notes[0])
    write(rows, hcp, d, 0, draft)
    win += value_of(rows, hcp, free, bonus, draft)
    use_of(rows, hcp, draft, 1)
    wanted = overdrawn(rows, hcp, draft)
    while wanted >= 0 and count < VICTIMS and win > 0:
        other = _least_loss(rows, wanted, hcp, price, d, draft, notes[NOTES - 1], users[start[wanted] : start[wanted + 1]], most, hcp)
        if other < 0:
            break
        count += 1
        victim[count - 1] = other
        save(rows, other, draft, notes[count])
        win -= value_of(rows, other, free, 0, draft)
        step_down(rows, other, price, d, draft)
        win += value_of(rows, other, free, 0, draft)
        wanted = overdrawn(rows, hcp, draft)
    if wanted < 0 and win > 0 and lacking(draft) <= short:
        return True
    for k in range(count - 1, -1, -1):
        use_of(rows, victim[k], draft, -1)
        restore(rows, victim[k], draft, notes[k + 1])
        use_of(rows, victim[k], draft, 1)
    use_of(rows, hcp, draft, -1)
    restore(rows, hcp, draft, notes[0])
    use_of(rows, hcp, draft, 1)
    return False
