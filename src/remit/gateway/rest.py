"""The REST interface: an OpenAPI description, and routes that take bytes from strangers and answer with data."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from re import findall, sub
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from remit.gateway.credentials import TOKEN_SCOPES
from remit.gateway.errors import GatewayError
from remit.gateway.events import EventsIn, EventsOut, read_events
from remit.gateway.messages import LARGEST, NoToken, OutcomeIn, OutcomeOut, Problem, ProposalOut, ProposalsIn, ProposalsOut, read_outcome, read_proposals
from remit.gateway.verbs import Backstage, Refused, Verbs
from remit.terms.errors import RemitError

_JSON, _PROBLEM, _TEXT = "application/json", "application/problem+json", "text/plain"
_LISTENED = 32 << 20
"""Bytes of a request that is too large that are read and thrown away, so that whoever sends it hears why."""
_FIELDS = 8
"""That a form may have."""
_ENCODE = msgspec.json.Encoder().encode
_TOKEN = {
    "type": "object",
    "required": ["grant_type", "client_id", "client_secret"],
    "properties": {"grant_type": {"const": "client_credentials"}, **{key: {"type": "string"} for key in ("client_id", "client_secret", "scope")}},
    "additionalProperties": {"type": "string"},
    "maxProperties": _FIELDS,
}
_CODES = frozenset({"invalid_request", "invalid_client", "invalid_scope", "unsupported_grant_type", "temporarily_unavailable"})
_AFTER = "Where the page begins: after this id."

_Handler = Callable[[Request], Awaitable[Response]]
_Route = Callable[[str, str, "_Shape"], Callable[[_Handler], None]]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a route is described; `query` says of each parameter what it is."""

    summary: str
    answers: Any
    asks: Any = None
    scope: str | None = None
    form: dict[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)


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

    route = routing(served)
    _for_agents(route, backstage)
    _for_operators(route, backstage)
    served.add_exception_handler(HTTPException, _unrouted)
    return served


def routing(served: FastAPI) -> _Route:
    """Adds routes to an application, each described, and with its refusals told as problems."""

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

            described = _described(shape, path)
            served.add_api_route(path, guarded, methods=[method], summary=shape.summary, openapi_extra=described, response_class=Response, name=path)

        return add

    return route


def _for_agents(route: _Route, backstage: Backstage) -> None:
    verbs = Verbs(backstage)

    def caller(request: Request, scope: str) -> str:
        return backstage.caller(request.headers.get("authorization"), scope)

    @route("POST", "/v1/token", _Shape("Client credentials for an access token (RFC 6749, section 4.4)", dict[str, Any], form=_TOKEN))
    async def token(request: Request) -> Response:
        try:
            form = _form(await _body(request)) | _basic(request.headers.get("authorization"))
            return _json(await asyncio.to_thread(backstage.token, form), {"Cache-Control": "no-store"})
        except Refused as refused:
            return _no_token(refused)
        except RemitError as error:
            return _no_token(Refused(503, "nothing can be decided now", str(error), {"Retry-After": "1"}))

    @route("GET", "/v1/describe", _Shape("What this agent may do, in words and as data", dict[str, Any], scope="describe"))
    async def describe(request: Request) -> Response:
        return _json(await verbs.describe(caller(request, "describe")))

    described = _Shape("Whom this agent may propose for, in pages, and what it may read of them", dict[str, Any], scope="describe", query={"after": _AFTER})

    @route("GET", "/v1/hcps", described)
    async def hcps(request: Request) -> Response:
        return _json(await verbs.hcps(caller(request, "describe"), request.query_params.get("after", "")))

    @route("POST", "/v1/proposals", _Shape("Propose: each is judged, decided and recorded", ProposalsOut, ProposalsIn, "propose"))
    async def propose(request: Request) -> Response:
        agent = caller(request, "propose")
        return _json(await verbs.propose(agent, read_proposals(await _body(request))))

    @route(
        "POST",
        "/v1/events",
        _Shape("Report engagement of HCPs: it counts at once, and agents are asked", EventsOut, _each_by_itself(schema_of(EventsIn), "events"), "events"),
    )
    async def events(request: Request) -> Response:
        agent = caller(request, "events")
        return _json(await verbs.report(agent, read_events(await _body(request))))

    @route("GET", "/v1/proposals/{id}", _Shape("What became of a proposal", ProposalOut, scope="status"))
    async def status(request: Request) -> Response:
        return _json(await verbs.status(caller(request, "status"), str(request.path_params["id"])))

    @route("GET", "/v1/proposals/{id}/receipt", _Shape("A receipt that the log holds its decision; facts stay sealed", dict[str, Any], scope="status"))
    async def receipt(request: Request) -> Response:
        return Response(await verbs.receipt(caller(request, "status"), str(request.path_params["id"])), media_type=_JSON)

    @route("POST", "/v1/proposals/{id}/withdraw", _Shape("Take a proposal back, if it was not acted on yet", ProposalOut, scope="propose"))
    async def withdraw(request: Request) -> Response:
        return _json(await verbs.withdraw(caller(request, "propose"), str(request.path_params["id"])))

    @route("POST", "/v1/proposals/{id}/outcomes", _Shape("Report what became of an action that was handed over", OutcomeOut, OutcomeIn, "report"))
    async def report_outcome(request: Request) -> Response:
        agent = caller(request, "report")
        return _json(await verbs.report_outcome(agent, str(request.path_params["id"]), read_outcome(await _body(request))))


def _for_operators(route: _Route, backstage: Backstage) -> None:
    @route("GET", "/.well-known/oauth-authorization-server", _Shape("How to get a token (RFC 8414)", dict[str, Any]))
    async def authorization_server(request: Request) -> Response:
        return _json(_discovery(request))

    @route("GET", "/.well-known/oauth-protected-resource/mcp", _Shape("Who gives tokens for the MCP endpoint (RFC 9728)", dict[str, Any]))
    async def protected_resource(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return _json(
            {"resource": f"{base}/mcp", "authorization_servers": [base], "scopes_supported": list(TOKEN_SCOPES), "bearer_methods_supported": ["header"]}
        )

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
        return Response(backstage.metrics(), media_type=f"{_TEXT}; version=0.0.4")


def _form(data: bytes) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(data.decode("ascii"), max_num_fields=_FIELDS).items()}
    except ValueError:
        raise Refused(400, "invalid_request", "The request is no form (application/x-www-form-urlencoded).") from None


def _basic(authorization: str | None) -> dict[str, str]:
    """A client's name and secret in the header, as RFC 6749 section 2.3.1 prefers."""
    scheme, _, coded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        name, _, secret = b64decode(coded, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise Refused(400, "invalid_request", "The header `Authorization` is not as RFC 6749 section 2.3.1 says.") from None
    return {"client_id": unquote(name), "client_secret": unquote(secret)}


def _discovery(request: Request) -> dict[str, Any]:
    """What a client must know to get a token (RFC 8414)."""
    base = str(request.base_url).rstrip("/")
    methods = ["client_secret_basic", "client_secret_post"]
    grants = {"grant_types_supported": ["client_credentials"], "token_endpoint_auth_methods_supported": methods, "response_types_supported": []}
    token = f"{base}/v1/token"
    # No grant uses an authorization endpoint, but clients of MCP do not read a description without one.
    return {"issuer": base, "authorization_endpoint": token, "token_endpoint": token, "scopes_supported": list(TOKEN_SCOPES), **grants}


async def _body(request: Request) -> bytes:
    """The body, which must not be larger than `LARGEST`, whatever its headers say."""
    parts, size = list[bytes](), 0
    async for part in request.stream():
        size += len(part)
        if size > _LISTENED:
            break
        if size <= LARGEST:
            parts.append(part)
    if size > LARGEST:
        raise Refused(413, "too large", f"A request may have {LARGEST:,} bytes: send fewer proposals at once.", {"Connection": "close"})
    return b"".join(parts)


def _json(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_ENCODE(body), media_type=_JSON, headers=dict(headers or {}))


async def _unrouted(request: Request, error: Any) -> Response:
    del request
    return _problem(Refused(error.status_code, error.detail.lower(), "Nothing answers this method and path: `/openapi.json` names what does.", error.headers))


def _problem(refused: Refused) -> Response:
    body = Problem(refused.title, refused.status, refused.detail)
    return Response(_ENCODE(body), refused.status, refused.headers, _PROBLEM)


def _no_token(refused: Refused) -> Response:
    """As clients of OAuth read it (RFC 6749, section 5.2)."""
    code = refused.title if refused.title in _CODES else "invalid_request" if refused.status < 429 else "temporarily_unavailable"
    headers = {**refused.headers, "Cache-Control": "no-store", **({"WWW-Authenticate": "Basic"} if refused.status == 401 else {})}
    words = sub(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]+", " ", " ".join(refused.detail.split()))  # the characters that the section allows
    return Response(_ENCODE(NoToken(code, words)), refused.status, headers, _JSON)


def _described(shape: _Shape, path: str) -> dict[str, Any]:
    """The part of the OpenAPI description that tells bodies and answers."""
    wrong = {_JSON: {"schema": schema_of(NoToken)}} if shape.form else {_PROBLEM: {"schema": schema_of(Problem)}}
    problem = {"description": "what is wrong", "content": wrong}
    kind = _TEXT if shape.answers is str else _JSON
    answers: dict[str, Any] = {"200": {"description": "the answer", "content": {kind: {"schema": schema_of(shape.answers)}}}}
    answers |= dict.fromkeys(("400", "422", "429", "503"), problem)
    answers |= dict.fromkeys(("401", "403", "404", "413"), problem) if shape.scope else {}
    answers |= dict.fromkeys(("401", "413"), problem) if shape.form else {}
    described: dict[str, Any] = {"responses": answers}
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in findall(r"{(\w+)}", path)]
    parameters += [{"name": name, "in": "query", "description": says, "schema": {"type": "string"}} for name, says in shape.query.items()]
    if parameters:
        described["parameters"] = parameters
    if shape.asks is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": shape.asks if isinstance(shape.asks, dict) else schema_of(shape.asks)}}}
    if shape.form is not None:
        described["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": shape.form}}}
    if shape.scope is not None:
        described["security"] = [{"oauth2": [shape.scope]}]
    return described


def _each_by_itself(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of a request whose items are read one by one: what is none is no fault of the request."""
    items = schema["properties"][name]
    loose = {**items, "items": {"anyOf": [items["items"], {"description": "Anything else is answered `rejected` by itself."}]}}
    return {**schema, "properties": {**schema["properties"], name: loose}}


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a message, whole."""
    (found,), parts = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    whole: dict[str, Any] = _inlined(found, parts)
    return whole


def _inlined(schema: Any, parts: Mapping[str, Any]) -> Any:
    """`schema` with the parts it refers to in their places: each route is described by itself."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(parts[schema["$ref"].rsplit("/", 1)[1]], parts)
        return {name: _inlined(value, parts) for name, value in schema.items()}
    return [_inlined(item, parts) for item in schema] if isinstance(schema, list) else schema
