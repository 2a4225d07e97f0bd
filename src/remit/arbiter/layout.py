"""The levels of the search for one HCP: per kind of call how many calls and then its details by value, and then the actions outside calls by gain."""

from remit.arbiter.desk import (
    AFTER,
    ALONE,
    ALONE_FROM,
    AMOUNT,
    BONUS,
    CALLS,
    CHANNEL,
    DETAIL,
    END,
    ENTRY,
    ENTRY_END,
    FIRST_KIND,
    GAIN,
    GROUP,
    KEY,
    KINDS,
    LEAST,
    LEVELS,
    MOST,
    NET,
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
    VALUE,
    WORTH,
)
from remit.arbiter.kernel import kernel
from remit.arbiter.rows import Ints, Rows, Table, Use
from remit.arbiter.seats import worth_up
from remit.terms.encoding import MICRO


@kernel
def cost(use: Use, row: int, price: Ints) -> int:
    """What row `row` uses at these prices, in micro-units of value, each entry rounded down: what a choice is worth is never understated."""
    total = 0
    for j in range(use.start[row], use.start[row + 1]):
        total += price[use.resource[j]] * use.amount[j] // MICRO
    return total


@kernel
def lay(rows: Rows, hcp: int, price: Ints, window: int, d: Table) -> None:
    """Lay out the search for one HCP on the desk: only what can add something, or lose less than `window`, is on it."""
    for k in range(rows.channels):
        d[ROOM, k] = rows.limit[hcp * rows.channels + k]
    for p in range(len(rows.positions)):
        d[POSITION, p] = rows.positions[p]
    d[STATE, GAIN], d[STATE, ROOM_LEFT], d[STATE, PICKS] = 0, rows.total[hcp], 0
    d[STATE, FIRST_KIND], d[STATE, KINDS] = rows.call_start[hcp], rows.call_start[hcp + 1] - rows.call_start[hcp]
    d[STATE, BONUS] = _bonus(rows, hcp, price)
    level = 0
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        if rows.call_most[call] > 0 and d[ROOM, rows.call_channel[call]] > 0:
            level = _lay_call(rows, hcp, call, price, window, d, level)
    d[STATE, ALONE_FROM] = level
    level = _lay_alone(rows, hcp, price, window, d, level)
    d[STATE, LEVELS] = level
    _copy_levels(rows, d, level)
    _sum_kinds(d)


@kernel
def _bonus(rows: Rows, hcp: int, price: Ints) -> int:
    """More than any choice can win or lose: added to each mandatory candidate, it puts their number before all else. 0 if there is none."""
    some = False
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        some = some or rows.mandatory[row]
    if not some:
        return 0
    bonus = 1
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        bonus += abs(rows.value[row]) + abs(cost(rows.use, row, price))
    for row in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        bonus += abs(cost(rows.call_use, row, price)) * rows.call_most[row]
    return bonus


@kernel
def _put(d: Table, first: int, level: int, sort: int, row: int, net: int, key: int) -> None:
    """Insert a level among those from `first` to `level`, by `key`, highest first, then in order of arrival."""
    at = level
    while at > first and d[KEY, at - 1] < key:
        d[ROW, at], d[NET, at], d[KEY, at] = d[ROW, at - 1], d[NET, at - 1], d[KEY, at - 1]
        at -= 1
    d[SORT, level] = sort
    d[ROW, at], d[NET, at], d[KEY, at] = row, net, key


@kernel
def _lay_call(rows: Rows, hcp: int, call: int, price: Ints, window: int, d: Table, at: int) -> int:
    level, last, each = at + 1, len(rows.positions) - 1, cost(rows.call_use, call, price)
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        if rows.call[row] == call:
            net = cost(rows.use, row, price) - (d[STATE, BONUS] if rows.mandatory[row] else 0)
            value = rows.value[row]
            # A call that a floor makes worth having may need a detail that is not.
            if each < 0 or worth_up(value, rows.positions[0 if value >= 0 else last]) - net > -window:
                _put(d, at + 1, level, DETAIL, row, net, value)
                level += 1
    if level == at + 1:
        return at
    least, total = 1 << 62, 0
    for back in range(level - 1, at, -1):
        value = d[KEY, back]
        for p in range(last + 1):
            d[WORTH + p, back] = worth_up(value, rows.positions[p])
        least = min(least, d[NET, back])
        total += max(d[WORTH if value >= 0 else WORTH + last, back] - d[NET, back], 0)
        d[LEAST, back], d[SUM, back], d[END, back] = least, total, level
    d[SORT, at], d[ROW, at], d[NET, at], d[END, at], d[MOST, at] = CALLS, call, each, level, rows.call_most[call]
    return level


@kernel
def _lay_alone(rows: Rows, hcp: int, price: Ints, window: int, d: Table, at: int) -> int:
    level = at
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        if rows.call[row] < 0 and d[ROOM, rows.channel[row]] > 0:
            net = rows.value[row] - cost(rows.use, row, price) + (d[STATE, BONUS] if rows.mandatory[row] else 0)
            if net > -window:
                _put(d, at, level, ALONE, row, net, net)
                level += 1
    total = 0
    for forth in range(at, level):
        d[SUM, forth] = total
        total += max(d[NET, forth], 0)
    d[SUM, level] = total
    return level


@kernel
def _copy_levels(rows: Rows, d: Table, levels: int) -> None:
    for level in range(levels):
        row = d[ROW, level]
        if d[SORT, level] == CALLS:
            d[CHANNEL, level] = rows.call_channel[row]
        else:
            d[VALUE, level], d[CHANNEL, level] = rows.value[row], rows.channel[row]
            d[PRODUCT, level], d[GROUP, level] = rows.product[row], rows.exclusion[row]


@kernel
def _sum_kinds(d: Table) -> None:
    """Per level: what later kinds of call can add at most; and on a kind's own first level, what it can add itself."""
    later, at = 0, d[STATE, ALONE_FROM]
    while at > 0:
        at -= 1
        d[AFTER, at] = later
        if d[SORT, at] == CALLS:
            each = d[NET, at]
            d[SUM, at] = max(d[SUM, at + 1] - max(each, 0), 0) + max(-each, 0) * min(d[MOST, at], d[END, at] - at - 1)
            later += d[SUM, at]


@kernel
def copy_use(rows: Rows, d: Table) -> None:
    """Put what each level uses on the desk, for a choice that must fit what is left."""
    entry = 0
    for level in range(d[STATE, LEVELS]):
        use = rows.call_use if d[SORT, level] == CALLS else rows.use
        row = d[ROW, level]
        d[ENTRY, level] = entry
        for j in range(use.start[row], use.start[row + 1]):
            d[RESOURCE, entry], d[AMOUNT, entry] = use.resource[j], use.amount[j]
            entry += 1
        d[ENTRY_END, level] = entry
