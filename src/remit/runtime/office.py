"""An office: the one thread of a worker that takes turns at the log, for all requests that come in meanwhile."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic, perf_counter, sleep
from typing import Any

from remit.gateway import Answer, Arrived, Asked, Clerk, Event, GatewayError, Renewed, Taken
from remit.gateway.clerk import Deliver
from remit.gateway.reporting import own_decisions, preferred, report
from remit.gateway.tracing import Awaited, links, tracer
from remit.runtime.errors import WorkspaceError
from remit.runtime.prompting import Prompter
from remit.terms.charters import Charter
from remit.terms.errors import RemitError

AT_ONCE = 128
"""Proposals that are decided in one turn."""
MOST_WAITING = 20_000
"""Requests of one agent that may wait."""
_LONG_S = 2.0
"""How long a turn may take before whoever asks is told that it is held up."""
_IDLE_S, _ACT_S, _SETTLE_S, _AGAIN_S = 0.02, 0.2, 1.0, 0.5
_LOG = logging.getLogger("remit.office")


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker needs to decide: a clerk, whom it asks because of events, how it hands over, and how the ledger is settled."""

    clerk: Clerk
    prompt: Prompter
    deliver: Deliver
    settle: Callable[[], None]


@dataclass(slots=True)
class Measured:
    """Counted since the start: decisions by disposition, actions handed over and refused at the door, turns, faults, seconds spent in turns,
    events taken."""

    decided: dict[str, int]
    handed_over: int = 0
    refused: int = 0
    turns: int = 0
    faults: int = 0
    seconds: float = 0.0
    events: int = 0


@dataclass(frozen=True, slots=True)
class _Withdrawal:
    agent: str
    name: str


class _Fair:
    """What was asked, by who asked: each gets its share of a turn, however much another has asked."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_whom: dict[str, deque[Any]] = {}
        self._closed = False

    def put(self, who: str, item: Any) -> None:
        with self._changed:
            self._by_whom.setdefault(who, deque()).append(item)
            self._changed.notify()

    def waiting(self, who: str) -> int:
        with self._changed:
            return len(self._by_whom.get(who, ()))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, most: int, wait_s: float) -> tuple[list[Any], bool]:
        """Up to `most` in turns from everybody who asked, and whether there is no more to come."""
        with self._changed:
            if not self._by_whom and not self._closed:
                self._changed.wait(wait_s)
            taken: list[Any] = []
            while self._by_whom and len(taken) < most:
                for who in list(self._by_whom):
                    if len(taken) == most:
                        break
                    asked = self._by_whom.pop(who)
                    taken.append(asked.popleft())
                    if asked:
                        self._by_whom[who] = asked  # behind all others
            return taken, self._closed and not self._by_whom


class Office:
    """`take` gives a place that knows what is known now; it is asked again whenever a cycle or a table came, and after a failure.

    INVARIANT (one thread): whatever touches the clerk runs here.
    """

    def __init__(self, take: Callable[[], Place]) -> None:
        self._take = take
        self._place: Place | None = None
        self._asks = _Fair()
        self._thread = threading.Thread(target=self._work, name="office", daemon=True)
        self._acted, self._stale = 0.0, False
        self._turn: float | None = None
        self._tried = threading.Event()
        self.measured = Measured({})
        self.trouble = "it has not begun"

    @property
    def clerk(self) -> Clerk | None:
        """The clerk, for what may be read at any time; None while what is known is being taken anew."""
        return self._place.clerk if self._place is not None else None

    @property
    def held_up(self) -> str:
        """Since when it waits for its turn at the log, if that is long; else empty."""
        begun = self._turn
        waited_s = 0.0 if begun is None else monotonic() - begun
        return f"it has waited for its turn at the log for {waited_s:.0f} s: a cycle may be running, or the database is held" if waited_s > _LONG_S else ""

    def waiting(self, agent: str) -> int:
        """How many requests of an agent wait for a turn."""
        return self._asks.waiting(agent)

    def open(self, wait_s: float = 0.0) -> None:
        """Begins to work, and waits up to `wait_s` seconds until it has its place, or knows why it has none."""
        self._thread.start()
        self._tried.wait(wait_s)

    def close(self) -> None:
        """Finishes what was asked, hands over what is due, and ends."""
        self._asks.close()
        self._thread.join()

    def propose(self, charter: Charter, asked: Asked, received: int) -> "Future[Answer | GatewayError]":
        """Decides in the next turn what came at `received` (UTC microseconds of the machine)."""
        future: Future[Answer | GatewayError] = Awaited()
        self._asks.put(charter.agent, ((charter, asked, received), future))
        return future

    def report(self, charter: Charter, event: Event, received: int) -> "Future[tuple[Taken, list[Answer]] | GatewayError]":
        """Takes an event that came at `received` in the next turn, and asks the agents that it concerns."""
        future: Future[tuple[Taken, list[Answer]] | GatewayError] = Awaited()
        self._asks.put(charter.agent, (Arrived(charter, event, received), future))
        return future

    def withdraw(self, agent: str, name: str) -> "Future[Answer | None]":
        """Takes an agent's proposal back in the next turn, with whatever else is taken back then."""
        future: Future[Answer | None] = Awaited()
        self._asks.put(agent, (_Withdrawal(agent, name), future))
        return future

    def call(self, agent: str, work: Callable[[Clerk], Any]) -> "Future[Any]":
        """Does something else with the clerk for an agent, between turns."""
        future: Future[Any] = Awaited()
        self._asks.put(agent, (work, future))
        return future

    def renew(self) -> None:
        """Has what is known taken anew before the next turn."""
        self._stale = True

    def _work(self) -> None:
        settled, begun = monotonic(), None
        while True:
            if self._place is None or self._stale:
                self._begin()
            asks, ended = self._gather(begun)
            begun = None
            if self._place is None:
                self._refuse(asks)
            elif not self._serve(asks):
                begun = asks  # what is known is taken anew, and they are asked again
            if monotonic() - settled > _SETTLE_S or ended:
                self._settle()
                self._look()
                settled = monotonic()
            if ended and begun is None and not self._due():
                return

    def _due(self) -> bool:
        return self._place is not None and self._place.clerk.due

    def _begin(self) -> None:
        self._place, self._stale = None, False
        try:
            self._place, self.trouble = self._take(), ""
        except Exception as error:  # as in a turn
            self.trouble = without_data(error)
            self.measured.faults += 1
            _LOG.warning("nothing can be decided: %s", self.trouble)
        self._tried.set()
        if self._place is None:
            sleep(_AGAIN_S)

    def _gather(self, left: list[Any] | None) -> tuple[list[Any], bool]:
        return (left, False) if left else self._asks.take(AT_ONCE, _IDLE_S)

    def _serve(self, asks: list[Any]) -> bool:
        """Whether it was served; False where what is known must be taken anew first."""
        place, start = self._place, perf_counter()
        if place is None:
            return False
        events = [(what, future) for what, future in asks if isinstance(what, Arrived)]
        proposals = [(what, future) for what, future in asks if isinstance(what, tuple)]
        withdrawn = [(what, future) for what, future in asks if isinstance(what, _Withdrawal)]
        others = [(what, future) for what, future in asks if callable(what)]
        self._turn = monotonic()
        try:
            if events or proposals:
                with tracer().start_as_current_span("turn", links=links([future for _, future in [*events, *proposals]]), record_exception=False):
                    self._decide(place, events, proposals)
            if withdrawn:
                told = place.clerk.withdraw([(what.agent, what.name) for what, _ in withdrawn])
                for (_, future), answer in zip(withdrawn, told, strict=True):
                    _set(future, answer)
            for work, future in others:
                _set(future, work(place.clerk))
            handed, refused = self._act(place)
        except Renewed:
            self._place = None
            return False
        except Exception as error:  # whatever it is: the thread goes on, those who asked are told, and it is counted and logged
            self._place, self.trouble = None, without_data(error)
            self._refuse(asks)
            return True
        finally:
            self._turn = None
        self.measured.handed_over += handed
        self.measured.refused += refused
        self.measured.turns += bool(asks or handed or refused)
        self.measured.seconds += perf_counter() - start
        return True

    def _decide(self, place: Place, events: list[Any], proposals: list[Any]) -> None:
        taken = report(place.clerk, [what for what, _ in events]) if events else []
        prompted, because = self._prompted(place, [each for each in taken if isinstance(each, Taken)])
        if proposals or prompted:
            came = [{"clock": {"received": received, "proposed": received}} for (_, _, received), _ in proposals]
            answers = place.clerk.answer([*((charter, asked) for (charter, asked, _), _ in proposals), *prompted], [*came, *because])
            for (_, future), answer in zip(proposals, answers, strict=False):
                _set(future, answer)
            for answer in answers:
                if isinstance(answer, Answer):
                    self.measured.decided[answer.disposition] = self.measured.decided.get(answer.disposition, 0) + 1
        for (_, future), event in zip(events, taken, strict=True):
            _set(future, event if isinstance(event, GatewayError) else (event, own_decisions(place.clerk, event)))

    def _prompted(self, place: Place, taken: list[Taken]) -> tuple[list[tuple[Charter, Asked]], list[Mapping[str, Any]]]:
        """What the agents that events concern propose, outside any turn. What goes wrong there takes nothing back: the events are recorded."""
        decided = place.clerk.tally.engaged.decided
        fresh = [each for each in taken if each.id not in decided]
        self.measured.events += len(taken)
        if not fresh:
            return [], []
        try:
            offers = place.prompt(fresh, place.clerk.tally)
            self.measured.faults += len(place.prompt.failures)
            for failure in place.prompt.failures:
                _LOG.warning("agent `%s` could not propose: %s", failure.agent, failure.error)
            place.prompt.failures.clear()
            return preferred(place.clerk, offers)
        except Exception as error:  # as in a turn
            self.measured.faults += 1
            _LOG.warning("no agent was asked because of %d events: %s", len(fresh), without_data(error))
            return [], []

    def _act(self, place: Place) -> tuple[int, int]:
        """Hands over what is due, from time to time: a list of many costs as much as a list of one."""
        if monotonic() - self._acted < _ACT_S:
            return 0, 0
        done = place.clerk.act(place.deliver)
        self._acted = monotonic()
        return done

    def _refuse(self, asks: list[Any]) -> None:
        if asks:
            self.measured.faults += 1
            _LOG.warning("%d requests were not served: %s", len(asks), self.trouble)
        for _, future in asks:
            if not future.done():
                future.set_exception(WorkspaceError(f"nothing can be decided now: {self.trouble}", do="Ask again later, with the same key."))

    def _look(self) -> None:
        """Whether what is known is over, though nobody asks for a decision: others read it."""
        if self._place is not None and self._place.clerk.over():
            self._stale = True

    def _settle(self) -> None:
        if self._place is None:
            return
        try:
            self._place.settle()
        except Exception as error:  # as in a turn
            self.measured.faults += 1
            _LOG.warning("the checkpoint was not published: %s", without_data(error))


def without_data(error: Exception) -> str:
    """An error in words that name no HCP: of one that is not ours, its kind alone."""
    return str(error) if isinstance(error, RemitError | OSError) else f"a fault of the program ({type(error).__name__})"


def _set(future: "Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)
