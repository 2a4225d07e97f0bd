"""How often tokens may be asked for. A secret is checked by tens of milliseconds of a processor and 19 MiB, whoever asks: without a bound, anybody could take
the whole machine.

Each client has a bucket of its own, clients that are not known share one, and all together have one more. Whoever was let in with a secret before is let in
again without it being hashed, so an agent that behaves does not notice who else asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from threading import BoundedSemaphore, Lock

AT_ONCE, WAITING = 2, 8
"""Secrets that a worker hashes at a time, and that may wait for it."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and then one every so many seconds."""

    burst: int
    every_s: float


PER_CLIENT, OVERALL = Rate(20, 3.0), Rate(40, 0.1)


class TooOften(Exception):  # noqa: N818 - an answer, no fault
    """Asked for too often: again after so many seconds."""

    def __init__(self, after_s: int) -> None:
        super().__init__(f"asked for too often: again after {after_s} s")
        self.after_s = after_s


class Throttle:
    """Lets in or sends away. For any number of threads; instants in seconds, by a clock that only goes on."""

    def __init__(self, per_client: Rate = PER_CLIENT, overall: Rate = OVERALL) -> None:
        self._per_client, self._overall = per_client, overall
        self._free: dict[str, float] = {}  # by client, "" of those not known: when its bucket will be full again
        self._all = 0.0
        self._hashing, self._waiting, self._lock = BoundedSemaphore(AT_ONCE), 0, Lock()

    @contextmanager
    def admitted(self, client: str, now_s: float) -> Iterator[None]:
        """Waits for its turn to hash. `client` is known, or empty: so there are never more buckets than clients. Raises `TooOften`."""
        with self._lock:
            own, every = self._free.get(client, 0.0), self._all
            after_s = max(_wait(own, self._per_client, now_s), _wait(every, self._overall, now_s))
            if after_s > 0 or self._waiting >= WAITING:
                raise TooOften(max(1, ceil(after_s)))
            self._free[client] = max(own, now_s) + self._per_client.every_s
            self._all = max(every, now_s) + self._overall.every_s
            self._waiting += 1
        try:
            with self._hashing:
                yield
        finally:
            with self._lock:
                self._waiting -= 1


def _wait(full: float, rate: Rate, now_s: float) -> float:
    """Seconds until a bucket that will be full at `full` has room for one more."""
    return max(full, now_s) + rate.every_s - now_s - rate.burst * rate.every_s
