"""What people ask and say over the wire: who answers for what, stops, and the queue. An agent's token opens none of it, and a person's nothing of the
agents'."""

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from fastapi import FastAPI, Request, Response
from msgspec import Meta, Struct

from remit.gateway.errors import GatewayError
from remit.gateway.rest import _body, _json, _Shape, routing
from remit.gateway.verbs import Refused

_Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
_Words = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$")]
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class StopIn(Struct, forbid_unknown_fields=True, frozen=True):
    """What is to be stopped: a scope, which one of it (nothing for `everything`), and why (nothing personal)."""

    scope: Annotated[str, Meta(pattern=r"^[a-z]{1,20}$")]
    reason: _Words
    of: _Name | None = None


class StartIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Why it may start again; nothing personal."""

    reason: _Words


class ApproveIn(Struct, forbid_unknown_fields=True, frozen=True):
    """As whom: the first role that is missing and that the person holds, if none is given."""

    role: Annotated[str, Meta(pattern=r"^[a-z0-9\-]{1,64}$")] | None = None


class DeclineIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Why not: one of the reasons that `decline` lists, and words, which are sealed under the physician's key."""

    because: Annotated[str, Meta(pattern=r"^[a-z]{1,20}$")]
    text: _Text = ""


class Desk(Protocol):
    """What these routes need of a worker. All but the executors block, and raise `Refused` or a `RemitError`."""

    at_once: Executor
    """Where stops run: nothing else keeps them waiting."""
    in_time: Executor
    """Where all else runs: an approval takes as long as what is known must be taken in."""

    def person(self, authorization: str | None, scope: str) -> str:
        """The person that a request's token stands for, if it allows the scope."""
        ...

    def ask(self, kind: str, name: str) -> Mapping[str, Any]:
        """Who answers for it."""
        ...

    def stop(self, by: str, scope: str, of: str, reason: str) -> Mapping[str, Any]:
        """Stops it; it is in force when this returns."""
        ...

    def start(self, by: str, name: str, reason: str) -> Mapping[str, Any]:
        """Asks for a start, or says yes to one."""
        ...

    def stops(self) -> Mapping[str, Any]:
        """What is stopped."""
        ...

    def queue(self, person: str) -> Mapping[str, Any]:
        """What waits for this person."""
        ...

    def approve(self, by: str, digest: str, role: str | None) -> Mapping[str, Any]:
        """Says yes."""
        ...

    def decline(self, by: str, digest: str, because: str, text: str) -> Mapping[str, Any]:
        """Says no."""
        ...


def for_people(served: FastAPI, desk: Desk) -> None:
    """Adds the routes to an application."""
    route = routing(served)

    def caller(request: Request, scope: str) -> str:
        return desk.person(request.headers.get("authorization"), scope)

    async def soon(work: Callable[..., Mapping[str, Any]], *given: Any) -> Response:
        executor = desk.at_once if work == desk.stop else desk.in_time
        return _json(await asyncio.get_running_loop().run_in_executor(executor, work, *given))

    @route("GET", "/v1/questions/{kind}/{name:path}", _Shape("Who answers for a decision, threshold, row, model or agent", dict[str, Any], scope="ask"))
    async def ask(request: Request) -> Response:
        caller(request, "ask")
        return await soon(desk.ask, str(request.path_params["kind"]), str(request.path_params["name"]))

    @route("GET", "/v1/stops", _Shape("What is stopped or downgraded, by whom, why, and the last action before", dict[str, Any], scope="stop"))
    async def stops(request: Request) -> Response:
        caller(request, "stop")
        return await soon(desk.stops)

    @route("POST", "/v1/stops", _Shape("Stop: when this is answered, nothing in the scope is decided or handed over", dict[str, Any], StopIn, "stop"))
    async def stop(request: Request) -> Response:
        by, said = caller(request, "stop"), _read(await _body(request), StopIn)
        return await soon(desk.stop, by, said.scope, said.of or "", said.reason)

    @route("POST", "/v1/stops/{name}/start", _Shape("Ask for a start, or say yes to one that another person asked for", dict[str, Any], StartIn, "stop"))
    async def start(request: Request) -> Response:
        by, said = caller(request, "stop"), _read(await _body(request), StartIn)
        return await soon(desk.start, by, str(request.path_params["name"]), said.reason)

    @route("GET", "/v1/queue", _Shape("What waits for this person's yes", dict[str, Any], scope="queue"))
    async def queue(request: Request) -> Response:
        return await soon(desk.queue, caller(request, "queue"))

    @route("POST", "/v1/queue/{digest}/approve", _Shape("Say yes to exactly this action", dict[str, Any], ApproveIn, "queue"))
    async def approve(request: Request) -> Response:
        by, said = caller(request, "queue"), _read(await _body(request) or b"{}", ApproveIn)
        return await soon(desk.approve, by, _digest(request), said.role)

    @route("POST", "/v1/queue/{digest}/decline", _Shape("Say no to exactly this action, with a reason", dict[str, Any], DeclineIn, "queue"))
    async def decline(request: Request) -> Response:
        by, said = caller(request, "queue"), _read(await _body(request), DeclineIn)
        return await soon(desk.decline, by, _digest(request), said.because, said.text)


_Said = TypeVar("_Said", bound=Struct)


def _read(data: bytes, kind: type[_Said]) -> _Said:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise GatewayError(f"the request cannot be read: {error}", do="Send JSON as the description of this interface says.") from None


def _digest(request: Request) -> str:
    """INVARIANT (bound): a yes over the wire names the whole digest, which commits to everything in the action."""
    digest = str(request.path_params["digest"])
    if not _DIGEST.match(digest):
        raise Refused(404, "no such action", "Name the action by its whole digest: 64 hexadecimal digits, as `GET /v1/queue` shows it.")
    return digest
