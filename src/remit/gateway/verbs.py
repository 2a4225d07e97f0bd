"""What an agent may say, whatever it speaks: REST and MCP are two ways to these."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from remit.gateway.between import Asked
from remit.gateway.clerk import Answer, Clerk
from remit.gateway.errors import ClockError, GatewayError
from remit.gateway.events import Event, EventOut, EventsOut
from remit.gateway.messages import OutcomeOut, ProposalOut, ProposalsOut, told, told_outcome
from remit.gateway.reported import Outcome, Reported
from remit.gateway.reporting import Taken
from remit.terms.charters import Charter
from remit.terms.instants import format_instant

PATIENCE_S = 10.0
"""How long a request waits for its turn before it is told to ask again."""
_PAGE, _PAGE_OF_FACTS = 1000, 100
_NONE = "This agent has made no proposal of this id since the cycle before last."


class Refused(Exception):  # noqa: N818 - an answer, no fault
    """A request that is answered with a status and a problem."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, dict(headers or {})


def bearer(authorization: str | None) -> str:
    """The access token in the header `Authorization`. Raises `Refused`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused(401, "unauthorized", "Send an access token: `Authorization: Bearer ...`.", {"WWW-Authenticate": "Bearer"})
    return token.strip()


class Backstage(Protocol):
    """What the verbs need of a worker."""

    def caller(self, authorization: str | None, scope: str | None) -> str:
        """The agent that a request's token stands for, if it allows the scope (None: it need not allow anything in particular). Raises `Refused`."""
        ...

    def charter(self, agent: str) -> Charter:
        """Its charter. Raises `Refused` where it has none any more."""
        ...

    def propose(self, charter: Charter, asked: Asked) -> "Future[Answer | GatewayError]":
        """Decides in the next turn."""
        ...

    def report(self, charter: Charter, event: Event) -> "Future[tuple[Taken, list[Answer]] | GatewayError]":
        """Takes an event in the next turn: with what its reporter was decided because of it."""
        ...

    def withdraw(self, agent: str, name: str) -> "Future[Answer | None]":
        """Takes a proposal back in the next turn."""
        ...

    def call(self, agent: str, work: Callable[[Clerk], Any]) -> "Future[Any]":
        """Does something else with the clerk for an agent."""
        ...

    def token(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer of the token endpoint (RFC 6749, client credentials). Raises `Refused`."""
        ...

    def describe(self, charter: Charter, clerk: Clerk) -> Mapping[str, Any]:
        """What an agent may do, in words and as data."""
        ...

    def trouble(self) -> str:
        """Why nothing can be decided now; empty where it can."""
        ...

    def metrics(self) -> bytes:
        """What was counted, in Prometheus' text format."""
        ...


class Verbs:
    """What an agent may ask of a worker. All raise `Refused`, or a `RemitError` where nothing can be decided."""

    def __init__(self, backstage: Backstage) -> None:
        self._backstage = backstage

    async def describe(self, agent: str) -> Mapping[str, Any]:
        """What it may do."""
        charter = self._backstage.charter(agent)
        found: Mapping[str, Any] = await _soon(self._backstage.call(agent, lambda clerk: self._backstage.describe(charter, clerk)))
        return found

    async def hcps(self, agent: str, after: str) -> Mapping[str, Any]:
        """Whom it may propose for, in pages, each of which begins `after` an id; and what its charter lets it read of them."""
        charter = self._backstage.charter(agent)
        found: Mapping[str, Any] = await _soon(self._backstage.call(agent, lambda clerk: _paged(clerk, charter, after)))
        return found

    async def propose(self, agent: str, asks: Sequence[Asked]) -> ProposalsOut:
        """Decides each in its order."""
        charter = self._backstage.charter(agent)
        answers = await asyncio.gather(*(_soon(self._backstage.propose(charter, asked)) for asked in asks))
        return ProposalsOut([told(answer, asked.key) for answer, asked in zip(answers, asks, strict=True)])

    async def report(self, agent: str, events: Sequence[tuple[str | None, Event | GatewayError]]) -> EventsOut:
        """Takes each in its order."""
        charter = self._backstage.charter(agent)
        waiting = [None if isinstance(event, GatewayError) else self._backstage.report(charter, event) for _, event in events]
        answers = []
        for (key, event), future in zip(events, waiting, strict=True):
            answer = event if future is None else await _soon(future)
            answers.append(_of_event(answer, key))
        return EventsOut(answers)

    async def status(self, agent: str, name: str) -> ProposalOut:
        """What became of its proposal."""
        self._backstage.charter(agent)
        return await _one(self._backstage.call(agent, lambda clerk: clerk.status(agent, name)))

    async def receipt(self, agent: str, name: str) -> bytes:
        """The receipt of its decision: that the log holds it, without what is sealed."""
        self._backstage.charter(agent)
        found: bytes | None = await _soon(self._backstage.call(agent, lambda clerk: clerk.receipt(agent, name)))
        if found is None:
            raise Refused(404, "no such proposal", _NONE)
        return found

    async def withdraw(self, agent: str, name: str) -> ProposalOut:
        """Takes its proposal back, if it was not acted on yet."""
        self._backstage.charter(agent)
        return await _one(self._backstage.withdraw(agent, name))

    async def report_outcome(self, agent: str, name: str, outcome: Outcome) -> OutcomeOut:
        """Records what became of its action."""
        self._backstage.charter(agent)
        found: Reported | GatewayError | None = await _soon(self._backstage.call(agent, lambda clerk: _answered(clerk, agent, name, outcome)))
        if isinstance(found, GatewayError):
            raise found
        if found is None:
            raise Refused(404, "no such proposal", "This agent has made no proposal of this id, or it is from long ago: then name its `entry`, too.")
        return told_outcome(found)


async def _one(future: "Future[Answer | None]") -> ProposalOut:
    found: Answer | None = await _soon(future)
    if found is None:
        raise Refused(404, "no such proposal", _NONE)
    return told(found)


def _paged(clerk: Clerk, charter: Charter, after: str) -> dict[str, Any]:
    found, most = clerk.standing.single.served(charter.products), _PAGE_OF_FACTS if charter.reads else _PAGE
    page = [hcp for hcp in found if hcp > after][:most]
    told = {"hcps": page, "next": page[-1] if len(page) == most else None, "all": len(found)}
    return told | {"facts": clerk.read(charter, page)} if charter.reads else told


def _answered(clerk: Clerk, agent: str, name: str, outcome: Outcome) -> Reported | GatewayError | None:
    """What is wrong with a report is its answer, and no fault of the office."""
    try:
        return clerk.report(agent, name, outcome)
    except ClockError:
        raise
    except GatewayError as error:
        return error


def _of_event(answer: Any, key: str | None) -> EventOut:
    """What a reporter is told of its event."""
    if isinstance(answer, GatewayError):
        return EventOut("rejected", key=key, error=str(answer))
    taken, own = answer
    return EventOut("taken", key, taken.id, taken.entry, format_instant(taken.at), [told(each) for each in own] or None)


async def _soon(future: "Future[Any]") -> Any:
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), PATIENCE_S)
    except TimeoutError:
        detail = "It is not your turn yet: a cycle may be deciding. Ask again with the same keys; what was asked is answered once."
        raise Refused(503, "not yet", detail, {"Retry-After": "2"}) from None
