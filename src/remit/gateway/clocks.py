"""The clock by which is decided: it never goes back, whatever the machine's does.

INVARIANT (one order): nothing is decided at an instant before one that was recorded. So a limit's window never opens again, and no deadline moves away.
"""

from remit.gateway.errors import ClockError
from remit.terms.instants import format_instant

SKEW_US = 30_000_000
"""How far the clocks of two machines may be apart, in microseconds."""


def steady(now: int, latest: int) -> int:
    """When it is by a clock that says `now`, after something was recorded at `latest`. Raises `ClockError` where the clock stands further before that than
    two machines' may be apart."""
    if now < latest - SKEW_US:
        what = f"the machine's clock stands at {format_instant(now)}, and {format_instant(latest)} is recorded already"
        raise ClockError(what, do="Set the clock right. Until then nothing is decided or handed over; after that it goes on by itself.")
    return max(now, latest)
