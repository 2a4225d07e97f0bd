"""The REST interface: an OpenAPI description, and routes that take bytes from strangers and answer with data."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from fastapi import FastAPI, Request, Response

from remit.gateway.between import Asked
from remit.gateway.clerk import Answer, Clerk
from remit.gateway.errors import GatewayError
from remit.gateway.messages import LARGEST, Problem, ProposalOut, ProposalsIn, ProposalsOut, read_proposals, told
from remit.terms.charters import Charter
from remit.terms.errors import RemitError

PATIENCE_S = 10.0
"""How long a request waits for its turn before it is told to ask again."""
_JSON, _PROBLEM = "application/json", "application/problem+json"
_ENCODE = msgspec.json.Encoder().encode


class Refused(Exception):  # noqa: N818 - an answer, no fault
    """A request that is answered with a status and a problem."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, dict(headers or {})


class Backstage(Protocol):
    """What the routes need of a worker."""

    def caller(self, authorization: str | None, scope: str) -> str:
        """The agent that a request's credentials stand for. Raises `Refused`."""
        ...

    def charter(self, agent: str) -> Charter:
        """Its charter. Raises `Refused` where it has none any more."""
        ...

    def propose(self, charter: Charter, asked: Asked) -> "Future[Answer | GatewayError]":
        """Decides in the next turn."""
        ...

    def call(self, work: Callable[[Clerk], Any]) -> "Future[Any]":
        """Does something else with the clerk."""
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


_Handler = Callable[[Request], Awaitable[Response]]
_Route = Callable[[str, str, "_Shape"], Callable[[_Handler], None]]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a route is described."""

    summary: str
    answers: Any
    asks: Any = None
    scope: str | None = None


def app(backstage: Backstage, lifespan: Callable[[FastAPI], Any] | None = None) -> FastAPI:
    """The application."""
    served = FastAPI(
        title="Remit gateway",
        version="1",
        description="One door for every agent: what may I do, may I do this, what became of it. Every answer is recorded in a ledger that cannot be changed.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )

    def route(method: str, path: str, shape: _Shape) -> Callable[[_Handler], None]:
        def add(handler: _Handler) -> None:
            async def guarded(request: Request) -> Response:
                try:
                    return await handler(request)
                except Refused as refused:
                    return _problem(refused)
                except GatewayError as error:
                    return _problem(Refused(422, "the request cannot be taken", str(error)))
                except RemitError as error:
                    return _problem(Refused(503, "nothing can be decided now", str(error), {"Retry-After": "1"}))

            served.add_api_route(path, guarded, methods=[method], summary=shape.summary, openapi_extra=_described(shape), response_class=Response, name=path)

        return add

    _for_agents(route, backstage)
    _for_operators(route, backstage)
    return served


def _for_agents(route: _Route, backstage: Backstage) -> None:
    def caller(request: Request, scope: str) -> str:
        return backstage.caller(request.headers.get("authorization"), scope)

    async def one(request: Request, scope: str, find: Callable[[Clerk, str, str], Answer | None]) -> Response:
        agent, name = caller(request, scope), str(request.path_params["id"])
        backstage.charter(agent)
        found: Answer | None = await _soon(backstage.call(lambda clerk: find(clerk, agent, name)))
        if found is None:
            raise Refused(404, "no such proposal", "This agent has made no proposal of this id since the cycle before last.")
        return _json(told(found))

    @route("POST", "/v1/token", _Shape("Client credentials for an access token (RFC 6749, section 4.4)", dict[str, Any]))
    async def token(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=8)
        return _json(await asyncio.to_thread(backstage.token, {name: str(value) for name, value in form.items()}), {"Cache-Control": "no-store"})

    @route("GET", "/v1/describe", _Shape("What this agent may do, in words and as data", dict[str, Any], scope="describe"))
    async def describe(request: Request) -> Response:
        charter = backstage.charter(caller(request, "describe"))
        return _json(await _soon(backstage.call(lambda clerk: backstage.describe(charter, clerk))))

    @route("GET", "/v1/hcps", _Shape("Whom this agent may propose for, in pages", dict[str, Any], scope="describe"))
    async def hcps(request: Request) -> Response:
        charter, after = backstage.charter(caller(request, "describe")), request.query_params.get("after", "")
        found: Sequence[str] = await _soon(backstage.call(lambda clerk: clerk.standing.single.served(charter.products)))
        page = [hcp for hcp in found if hcp > after][:_PAGE]
        return _json({"hcps": page, "next": page[-1] if len(page) == _PAGE else None, "all": len(found)})

    @route("POST", "/v1/proposals", _Shape("Propose: each is judged, decided and recorded", ProposalsOut, ProposalsIn, "propose"))
    async def propose(request: Request) -> Response:
        charter = backstage.charter(caller(request, "propose"))
        asks = read_proposals(await _body(request))
        answers = await asyncio.gather(*(_soon(backstage.propose(charter, asked)) for asked in asks))
        return _json(ProposalsOut([told(answer, asked.key) for answer, asked in zip(answers, asks, strict=True)]))

    @route("GET", "/v1/proposals/{id}", _Shape("What became of a proposal", ProposalOut, scope="status"))
    async def status(request: Request) -> Response:
        return await one(request, "status", lambda clerk, agent, name: clerk.status(agent, name))

    @route("POST", "/v1/proposals/{id}/withdraw", _Shape("Take a proposal back, if it was not acted on yet", ProposalOut, scope="propose"))
    async def withdraw(request: Request) -> Response:
        return await one(request, "propose", lambda clerk, agent, name: clerk.withdraw(agent, name))


def _for_operators(route: _Route, backstage: Backstage) -> None:
    @route("GET", "/healthz", _Shape("Whether the process lives", dict[str, Any]))
    async def health(request: Request) -> Response:
        del request
        return _json({"alive": True})

    @route("GET", "/readyz", _Shape("Whether it can decide now", dict[str, Any]))
    async def ready(request: Request) -> Response:
        del request
        if why := backstage.trouble():
            raise Refused(503, "not ready", why, {"Retry-After": "1"})
        return _json({"ready": True})

    @route("GET", "/metrics", _Shape("What was counted, for Prometheus", str))
    async def metrics(request: Request) -> Response:
        del request
        return Response(backstage.metrics(), media_type="text/plain; version=0.0.4")


_PAGE = 1000


async def _soon(future: "Future[Any]") -> Any:
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), PATIENCE_S)
    except TimeoutError:
        detail = "It is not your turn yet: a cycle may be deciding. Ask again with the same keys; what was asked is answered once."
        raise Refused(503, "not yet", detail, {"Retry-After": "2"}) from None


async def _body(request: Request) -> bytes:
    """The body, which must not be larger than `LARGEST`, whatever its headers say."""
    if int(request.headers.get("content-length") or 0) > LARGEST:
        raise _too_large()
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _too_large() -> Refused:
    return Refused(413, "too large", f"A request may have {LARGEST:,} bytes: send fewer proposals at once.", {"Connection": "close"})


def _json(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_ENCODE(body), media_type=_JSON, headers=dict(headers or {}))


def _problem(refused: Refused) -> Response:
    body = Problem(refused.title, refused.status, refused.detail)
    return Response(_ENCODE(body), refused.status, refused.headers, _PROBLEM)


def _described(shape: _Shape) -> dict[str, Any]:
    """The part of the OpenAPI description that tells bodies and answers."""
    problem = {"description": "what is wrong", "content": {_PROBLEM: {"schema": _schema(Problem)}}}
    answers: dict[str, Any] = {"200": {"description": "the answer", "content": {_JSON: {"schema": _schema(shape.answers)}}}}
    answers |= dict.fromkeys(("400", "422", "503"), problem)
    answers |= dict.fromkeys(("401", "403", "404", "413"), problem) if shape.scope else {}
    described: dict[str, Any] = {"responses": answers}
    if shape.asks is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": _schema(shape.asks)}}}
    if shape.scope is not None:
        described["security"] = [{"oauth2": [shape.scope]}]
    return described


def _schema(kind: Any) -> dict[str, Any]:
    (found,), parts = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    return _inlined(found, parts)


def _inlined(schema: Any, parts: Mapping[str, Any]) -> Any:
    """`schema` with the parts it refers to in their places: each route is described by itself."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(parts[schema["$ref"].rsplit("/", 1)[1]], parts)
        return {name: _inlined(value, parts) for name, value in schema.items()}
    return [_inlined(item, parts) for item in schema] if isinstance(schema, list) else schema
