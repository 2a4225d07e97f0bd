"""What is best for one HCP at given prices: an exact branch and bound over its calls, their details and its other actions.

For a given number m of calls of one kind, a set of details sorted by value, highest first, fills the m first positions, then the m second ones, and so
on. By Koenig's edge-colouring theorem such a set can be dealt to m calls with different products in each if and only if no product has more than m
details in it, so the search chooses m and the set, and `deal` seats the details afterwards.
"""

from remit.arbiter.desk import (
    AFTER,
    ALONE,
    ALONE_FROM,
    AMOUNT,
    BEST,
    CALLED,
    CALLS,
    CHANNEL,
    COUNT,
    DETAIL,
    END,
    ENTRY,
    ENTRY_END,
    FILLED,
    FILLED_BEFORE,
    FIRST_KIND,
    GAIN,
    GAIN_BEFORE,
    GROUP,
    KINDS,
    LEAST,
    LEVELS,
    MOST,
    NET,
    NEXT,
    NOTHING,
    PATH,
    PICK,
    PICKED,
    PICKS,
    POSITION,
    PRODUCT,
    RESOURCE,
    ROOM,
    ROOM_LEFT,
    ROW,
    SORT,
    STATE,
    SUM,
    TOOK,
    USED,
    USED_BEFORE,
    VALUE,
    WORTH,
)
from remit.arbiter.kernel import kernel, part
from remit.arbiter.layout import copy_use, lay
from remit.arbiter.rows import Ints, Rows, Table
from remit.arbiter.seats import deal, worth_up


@kernel
def choose(rows: Rows, hcp: int, price: Ints, left: Ints, fit: bool, keep: int, window: int, d: Table) -> int:
    """Find the `keep` best choices for one HCP, among those worth more than the best less `window` (micro-units of value).

    With `fit`, only what `left` (micro-units per resource) has room for; `left` is unchanged on return. Returns how many were found (at least 1: to
    do nothing). `d[BEST, a]` is what choice a is worth (with the bonus of each mandatory candidate in it), `d[PICK + a]` its `d[COUNT, a]` rows of
    candidates (details of a kind of call by rank), `d[CALLED + a]` how many calls it uses of each of the HCP's kinds.
    """
    lay(rows, hcp, price, window, d)
    if fit:
        copy_use(rows, d)
    found = _search(d, left, fit, keep, window, len(rows.positions))
    for a in range(found):
        for k in range(d[COUNT, a]):
            d[PICK + a, k] = d[ROW, d[PICK + a, k]]
    return found


@part
def _search(d: Table, left: Ints, fit: bool, keep: int, window: int, seats: int) -> int:
    levels = d[STATE, LEVELS]
    if levels == 0:
        return _keep(d, 0, 0, 0, keep)
    found, depth = 0, _push(d, 0, 0)
    while depth > 0:
        here = depth - 1
        if d[TOOK, here] >= 0:
            _undo(d, here, left, fit)
            d[TOOK, here] = -1
        option = d[NEXT, here]
        if option < 0:
            depth -= 1
            continue
        d[NEXT, here] = option - 1
        if not _apply(d, here, option, left, fit, seats):
            continue
        d[TOOK, here] = option
        level = d[PATH, here]
        level = d[END, level] if d[SORT, level] == CALLS and option == 0 else level + 1
        if level == levels:
            value = d[STATE, GAIN] + _negative_seats(d, depth, seats)
            if value > _threshold(d, found, keep, window):
                found = _keep(d, depth, value, found, keep)
        elif _bound(d, level, seats) > _threshold(d, found, keep, window):
            depth = _push(d, depth, level)
    return found


@kernel
def _push(d: Table, depth: int, level: int) -> int:
    d[PATH, depth], d[TOOK, depth], d[NEXT, depth] = level, -1, 1
    if d[SORT, level] == CALLS:
        d[NEXT, depth] = min(min(d[MOST, level], d[END, level] - level - 1), min(d[STATE, ROOM_LEFT], d[ROOM, d[CHANNEL, level]]))
    return depth + 1


@kernel
def _apply(d: Table, here: int, option: int, left: Ints, fit: bool, seats: int) -> bool:
    """Take an option at the end of the path; False, with nothing changed, if it breaks a limit."""
    level = d[PATH, here]
    sort = d[SORT, level]
    d[GAIN_BEFORE, here], d[FILLED_BEFORE, here], d[USED_BEFORE, here] = d[STATE, GAIN], d[STATE, FILLED], d[STATE, USED]
    if sort == DETAIL and d[STATE, FILLED] + option + d[END, level] - level - 1 < d[STATE, USED]:
        return False  # a call would stay empty
    if sort == CALLS:
        if option > 0 and fit and not _take(d, level, option, left):
            return False
        d[STATE, FILLED], d[STATE, USED] = 0, option
        d[STATE, GAIN] -= option * d[NET, level]
        d[STATE, ROOM_LEFT] -= option
        d[ROOM, d[CHANNEL, level]] -= option
        return True
    if option == 1:
        if not _allowed(d, level, seats) or (fit and not _take(d, level, 1, left)):
            return False
        _count_in(d, level, seats)
    return True


@kernel
def _allowed(d: Table, level: int, seats: int) -> bool:
    """Whether limits, seats, products and exclusion groups let this detail or other action in."""
    group, product, same = d[GROUP, level], d[PRODUCT, level], 0
    detail = d[SORT, level] == DETAIL
    if detail:
        if d[STATE, FILLED] == d[STATE, USED] * seats:
            return False
    elif d[STATE, ROOM_LEFT] == 0 or d[ROOM, d[CHANNEL, level]] == 0:
        return False
    for k in range(d[STATE, PICKS]):
        other = d[PICKED, k]
        if group >= 0 and d[GROUP, other] == group:
            return False
        same += detail and d[END, other] == d[END, level] and d[PRODUCT, other] == product
    return not detail or same < d[STATE, USED]


@kernel
def _count_in(d: Table, level: int, seats: int) -> None:
    d[PICKED, d[STATE, PICKS]] = level
    d[STATE, PICKS] += 1
    if d[SORT, level] == ALONE:
        d[STATE, ROOM_LEFT] -= 1
        d[ROOM, d[CHANNEL, level]] -= 1
        d[STATE, GAIN] += d[NET, level]
    else:
        # With several calls, a negative detail counts as if it sat last, until the set is complete and `_negative_seats` corrects it.
        value, calls = d[VALUE, level], d[STATE, USED]
        position = d[STATE, FILLED] if calls == 1 else seats - 1 if value < 0 else d[STATE, FILLED] // calls
        d[STATE, GAIN] += d[WORTH + position, level] - d[NET, level]
        d[STATE, FILLED] += 1


@kernel
def _undo(d: Table, here: int, left: Ints, fit: bool) -> None:
    level, option = d[PATH, here], d[TOOK, here]
    sort = d[SORT, level]
    d[STATE, GAIN], d[STATE, FILLED], d[STATE, USED] = d[GAIN_BEFORE, here], d[FILLED_BEFORE, here], d[USED_BEFORE, here]
    if option == 0:
        return
    if sort != DETAIL:
        d[STATE, ROOM_LEFT] += option
        d[ROOM, d[CHANNEL, level]] += option
    if sort != CALLS:
        d[STATE, PICKS] -= 1
    if fit:
        for j in range(d[ENTRY, level], d[ENTRY_END, level]):
            left[d[RESOURCE, j]] += option * d[AMOUNT, j]


@kernel
def _take(d: Table, level: int, times: int, left: Ints) -> bool:
    """Take what a level uses from what is left; take nothing if something is lacking."""
    lacking = False
    for j in range(d[ENTRY, level], d[ENTRY_END, level]):
        left[d[RESOURCE, j]] -= times * d[AMOUNT, j]
        lacking = lacking or (left[d[RESOURCE, j]] < 0 and d[AMOUNT, j] > 0)
    if lacking:
        for j in range(d[ENTRY, level], d[ENTRY_END, level]):
            left[d[RESOURCE, j]] += times * d[AMOUNT, j]
    return not lacking


@kernel
def _bound(d: Table, level: int, seats: int) -> int:
    """The most that a choice can be worth that continues the path from `level`."""
    alone = max(level, d[STATE, ALONE_FROM])
    bound: int = d[STATE, GAIN] + d[SUM, min(alone + d[STATE, ROOM_LEFT], d[STATE, LEVELS])] - d[SUM, alone]
    if level < alone:
        bound += d[AFTER, level]
        bound += d[SUM, level] if d[SORT, level] == CALLS else _details_bound(d, level, seats)
    return bound


@kernel
def _details_bound(d: Table, level: int, seats: int) -> int:
    """The most that the details from `level` on can add: the k-th one to be taken is worth no more than the k-th one there is, in the k-th seat."""
    filled, calls, total = d[STATE, FILLED], d[STATE, USED], 0
    position, beside = filled, 0
    if calls > 1:
        position, beside = filled // calls, filled % calls
    for k in range(level, min(d[END, level], level + calls * seats - filled)):
        seat = position if d[VALUE, k] >= 0 else seats - 1
        total += max(d[WORTH + seat, k] - d[LEAST, k], 0)
        beside += 1
        if beside == calls:
            position, beside = position + 1, 0
    return int(min(total, d[SUM, level]))


@kernel
def _negative_seats(d: Table, depth: int, seats: int) -> int:
    """The correction (0 or less) for negative details that were counted as if they sat last in one of several calls."""
    correction, first, picks = 0, 0, d[STATE, PICKS]
    for k in range(depth):
        level, calls = d[PATH, k], d[TOOK, k]
        if d[SORT, level] != CALLS or calls == 0:
            continue
        last = first
        while last < picks and d[PICKED, last] < d[END, level]:
            last += 1
        if calls > 1 and d[VALUE, d[PICKED, last - 1]] < 0:
            correction += deal(d, first, last, calls, seats)
            for j in range(first, last):
                value = d[VALUE, d[PICKED, j]]
                correction -= worth_up(value, d[POSITION, (j - first) // calls if value >= 0 else seats - 1])
        first = last
    return correction


@kernel
def _threshold(d: Table, found: int, keep: int, window: int) -> int:
    if found == 0:
        return NOTHING
    lowest = d[BEST, 0] - window
    return int(max(lowest, d[BEST, keep - 1]) if found == keep else lowest)


@kernel
def _keep(d: Table, depth: int, value: int, found: int, keep: int) -> int:
    """Enter the choice at the end of the path among the best ones; returns how many there are."""
    at = min(found, keep - 1)
    while at > 0 and d[BEST, at - 1] < value:
        d[BEST, at], d[COUNT, at] = d[BEST, at - 1], d[COUNT, at - 1]
        for k in range(d[COUNT, at]):
            d[PICK + at, k] = d[PICK + at - 1, k]
        for k in range(d[STATE, KINDS]):
            d[CALLED + at, k] = d[CALLED + at - 1, k]
        at -= 1
    d[BEST, at], d[COUNT, at] = value, d[STATE, PICKS]
    for k in range(d[STATE, KINDS]):
        d[CALLED + at, k] = 0
    for k in range(d[STATE, PICKS]):
        d[PICK + at, k] = d[PICKED, k]
    for k in range(depth):
        level = d[PATH, k]
        if d[SORT, level] == CALLS:
            d[CALLED + at, d[ROW, level] - d[STATE, FIRST_KIND]] = d[TOOK, k]
    return min(found + 1, keep)
