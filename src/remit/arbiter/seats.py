"""How details sit in calls: what a position is worth, and which detail goes into which call."""

from remit.arbiter.desk import BEST_CALL, BEST_POSITION, NOTHING, PICKED, POSITION, PRODUCT, SEAT_CALL, SEAT_POSITION, VALUE
from remit.arbiter.kernel import kernel
from remit.arbiter.rows import Table
from remit.terms.encoding import MICRO


@kernel
def worth(value: int, position: int) -> int:
    """floor(value x position / 1e6), exact for every int64 value; `position` in millionths."""
    whole = value // MICRO
    return whole * position + (value - whole * MICRO) * position // MICRO


@kernel
def worth_up(value: int, position: int) -> int:
    """The same, rounded up: bounds use it, so that they hold whatever the order of details."""
    return -worth(-value, position)


@kernel
def _next_call(d: Table, first: int, k: int, calls: int, seats: int, even: bool) -> int:
    """The next call, after the one it sits in, that detail k may join behind those before it; `calls` if there is none."""
    for number in range(d[SEAT_CALL, k] + 1, calls):
        length, twice = 0, False
        for j in range(k):
            if d[SEAT_CALL, j] == number:
                length += 1
                twice = twice or d[PRODUCT, d[PICKED, first + j]] == d[PRODUCT, d[PICKED, first + k]]
        if not twice and (length == k // calls if even else length < seats):
            d[SEAT_POSITION, k] = length
            return number
    return calls


@kernel
def _seated_worth(d: Table, first: int, count: int, calls: int) -> int:
    """What this seating is worth, or NOTHING if a call is empty."""
    total, used = 0, 0
    for k in range(count):
        total += worth_up(d[VALUE, d[PICKED, first + k]], d[POSITION, d[SEAT_POSITION, k]])
        used += d[SEAT_POSITION, k] == 0
    return total if used == calls else NOTHING


@kernel
def deal(d: Table, first: int, last: int, calls: int, seats: int) -> int:
    """Seat the picked details from `first` to `last`, highest value first, in `calls` calls of `seats` seats: none empty, no product twice in one.

    `BEST_CALL` and `BEST_POSITION` (both from 0) take the seat of each; returns the worth, rounded up. Details worth 0 or more fill all first
    positions, then all second ones, which is best (see `choice`); with a negative one, which had to be chosen, every seating is tried.
    """
    count, best, k = last - first, NOTHING, 0
    even = d[VALUE, d[PICKED, last - 1]] >= 0
    d[SEAT_CALL, 0] = -1
    while k >= 0:
        if k < count:
            d[SEAT_CALL, k] = _next_call(d, first, k, calls, seats, even)
            if d[SEAT_CALL, k] < calls:
                k += 1
                if k < count:
                    d[SEAT_CALL, k] = -1
                continue
        else:
            total = _seated_worth(d, first, count, calls)
            if total > best:
                best = total
                for j in range(count):
                    d[BEST_CALL, j], d[BEST_POSITION, j] = d[SEAT_CALL, j], d[SEAT_POSITION, j]
            if even:
                return best
        k -= 1
    return best
