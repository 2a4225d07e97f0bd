"""An office: the one thread of a worker that takes turns at the log, for all requests that come in meanwhile."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any

from remit.gateway import Answer, Asked, Clerk, GatewayError, Renewed
from remit.gateway.clerk import Deliver
from remit.terms.charters import Charter
from remit.terms.errors import RemitError

AT_ONCE = 128
"""Proposals that are decided in one turn."""
_IDLE_S, _SETTLE_S, _AGAIN_S = 0.02, 1.0, 0.5
_LOG = logging.getLogger("remit.office")


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker needs to decide: a clerk, how it hands over, and how the ledger is settled."""

    clerk: Clerk
    deliver: Deliver
    settle: Callable[[], None]


@dataclass(slots=True)
class Measured:
    """Counted since the start: decisions by disposition, actions handed over and refused at the door, turns, faults, seconds spent in turns."""

    decided: dict[str, int]
    handed_over: int = 0
    refused: int = 0
    turns: int = 0
    faults: int = 0
    seconds: float = 0.0


class Office:
    """`take` gives a place that knows what is known now; it is asked again whenever a cycle or a table came, and after a failure.

    INVARIANT (one thread): whatever touches the clerk runs here.
    """

    def __init__(self, take: Callable[[], Place]) -> None:
        self._take = take
        self._place: Place | None = None
        self._asks: queue.SimpleQueue[tuple[Callable[[Clerk], Any] | tuple[Charter, Asked], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="office", daemon=True)
        self.measured = Measured({})
        self.trouble = "it has not begun"

    @property
    def clerk(self) -> Clerk | None:
        """The clerk, for what may be read at any time; None while what is known is being taken anew."""
        return self._place.clerk if self._place is not None else None

    def open(self) -> None:
        """Begins to work."""
        self._thread.start()

    def close(self) -> None:
        """Finishes what was asked, hands over what is due, and ends."""
        self._asks.put(None)
        self._thread.join()

    def propose(self, charter: Charter, asked: Asked) -> "Future[Answer | GatewayError]":
        """Decides in the next turn."""
        future: Future[Answer | GatewayError] = Future()
        self._asks.put(((charter, asked), future))
        return future

    def call(self, work: Callable[[Clerk], Any]) -> "Future[Any]":
        """Does something else with the clerk, between turns."""
        future: Future[Any] = Future()
        self._asks.put((work, future))
        return future

    def _work(self) -> None:
        settled, begun = monotonic(), None
        while True:
            if self._place is None:
                self._begin()
            asks, ended = self._gather(begun)
            begun = None
            if self._place is None:
                self._refuse(asks)
            elif not self._serve(asks):
                begun = asks  # what is known is taken anew, and they are asked again
            if monotonic() - settled > _SETTLE_S or ended:
                self._settle()
                settled = monotonic()
            if ended and begun is None:
                return

    def _begin(self) -> None:
        try:
            self._place, self.trouble = self._take(), ""
        except (RemitError, OSError) as error:
            self.trouble = str(error)
            self.measured.faults += 1
            threading.Event().wait(_AGAIN_S)

    def _gather(self, left: list[Any] | None) -> tuple[list[Any], bool]:
        asks, ended = list(left or ()), False
        with suppress(queue.Empty):
            while len(asks) < AT_ONCE:
                item = self._asks.get(timeout=_IDLE_S) if not asks else self._asks.get_nowait()
                if item is None:
                    ended = True
                    break
                asks.append(item)
        return asks, ended

    def _serve(self, asks: list[Any]) -> bool:
        """Whether it was served; False where what is known must be taken anew first."""
        place, start = self._place, perf_counter()
        if place is None:
            return False
        proposals = [(what, future) for what, future in asks if not callable(what)]
        others = [(what, future) for what, future in asks if callable(what)]
        try:
            if proposals:
                answers = place.clerk.answer([what for what, _ in proposals])
                for (_, future), answer in zip(proposals, answers, strict=True):
                    _set(future, answer)
                    if isinstance(answer, Answer):
                        self.measured.decided[answer.disposition] = self.measured.decided.get(answer.disposition, 0) + 1
            for work, future in others:
                _set(future, work(place.clerk))
            handed, refused = place.clerk.act(place.deliver)
        except Renewed:
            self._place = None
            return False
        except (RemitError, OSError) as error:
            self._place, self.trouble = None, str(error)
            self.measured.faults += 1
            _LOG.warning("a turn failed: %s", error)
            for _, future in asks:
                if not future.done():
                    future.set_exception(error)
            return True
        self.measured.handed_over += handed
        self.measured.refused += refused
        self.measured.turns += bool(asks or handed or refused)
        self.measured.seconds += perf_counter() - start
        return True

    def _refuse(self, asks: list[Any]) -> None:
        for _, future in asks:
            future.set_exception(GatewayError(f"nothing can be decided now: {self.trouble}", do="Ask again later, with the same key."))

    def _settle(self) -> None:
        if self._place is None:
            return
        try:
            self._place.settle()
        except RemitError as error:
            self.measured.faults += 1
            _LOG.warning("the checkpoint was not published: %s", error)


def _set(future: "Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)
