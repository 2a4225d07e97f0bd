"""The same verbs for agents that speak the Model Context Protocol, over streamable HTTP."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import mcp_types as types
import msgspec
from mcp.server import Server, ServerRequestContext
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.gateway.errors import GatewayError
from remit.gateway.events import EventsIn, read_events
from remit.gateway.messages import LARGEST, OutcomeIn, ProposalsIn, read_outcome, read_proposals
from remit.gateway.rest import schema_of
from remit.gateway.verbs import Backstage, Refused, Verbs
from remit.terms.errors import RemitError

INSTRUCTIONS = (
    "You act through this door or not at all. First ask `describe` what you may do. Then `propose`: each proposal is judged by the company's authority table, "
    "decided at current prices and recorded. `forbidden` is final, `outbid` means that others need the same more, `waiting` means that people decide. Never "
    "try to reach a physician by any other way."
)
_ID: dict[str, Any] = {"type": "object", "properties": {"id": {"type": "string", "maxLength": 64}}, "required": ["id"], "additionalProperties": False}
_NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
_AFTER = {"type": "object", "properties": {"after": {"type": "string", "maxLength": 64}}, "additionalProperties": False}
_OUTCOME = schema_of(OutcomeIn)
_OUTCOME_OF = {**_OUTCOME, "properties": {**_ID["properties"], **_OUTCOME["properties"]}, "required": [*_ID["required"], *_OUTCOME["required"]]}
_TOOLS = {
    "describe": ("What you may do, in words and as data", _NOTHING, "describe"),
    "hcps": ("Whom you may propose for, in pages, each of which begins `after` an id; and what you may read of them", _AFTER, "describe"),
    "propose": ("Propose one action or many: each is judged, decided and recorded", schema_of(ProposalsIn), "propose"),
    "report_events": ("Report engagement of HCPs: it counts at once, and agents are asked", schema_of(EventsIn), "events"),
    "status": ("What became of a proposal", _ID, "status"),
    "withdraw": ("Take a proposal back, if it was not acted on yet", _ID, "propose"),
    "report_outcome": ("Report what became of an action that was handed over", _OUTCOME_OF, "report"),
}


def served_by_mcp(backstage: Backstage, hosts: list[str]) -> tuple[ASGIApp, Callable[[], AbstractAsyncContextManager[None]]]:
    """The application at `/mcp`, and what must run while it is served. `hosts` are the names by which it may be called."""
    verbs = Verbs(backstage)

    async def list_tools(context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        del context, params
        return types.ListToolsResult(tools=[types.Tool(name=name, description=says, input_schema=asks) for name, (says, asks, _) in _TOOLS.items()])

    async def call_tool(context: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            if params.name not in _TOOLS:
                raise Refused(404, "no such tool", f"There are {', '.join(_TOOLS)}.")
            agent = backstage.caller(_authorization(context), _TOOLS[params.name][2])
            return _said(await _doing(verbs, agent, params.name)(params.arguments or {}))
        except Refused as refused:
            return _said({"error": refused.title, "detail": refused.detail}, failed=True)
        except RemitError as error:
            title = "the request cannot be taken" if isinstance(error, GatewayError) else "nothing can be decided now"
            return _said({"error": title, "detail": str(error)}, failed=True)

    server: Server[Any] = Server("remit", title="Remit gateway", instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool)
    application = server.streamable_http_app(json_response=True, stateless_http=True, max_request_body_size=LARGEST, transport_security=_allowed(hosts))
    return _Guarded(application, backstage), server.session_manager.run


def _doing(verbs: Verbs, agent: str, tool: str) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
    def text(arguments: Mapping[str, Any], name: str) -> str:
        value = arguments.get(name, "")
        if not isinstance(value, str):
            raise GatewayError(f"`{name}` is no text")
        return value

    def without_id(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in arguments.items() if name != "id"}

    return {
        "describe": lambda _: verbs.describe(agent),
        "hcps": lambda said: verbs.hcps(agent, text(said, "after")),
        "propose": lambda said: verbs.propose(agent, read_proposals(_encoded(said))),
        "report_events": lambda said: verbs.report(agent, read_events(_encoded(said))),
        "status": lambda said: verbs.status(agent, text(said, "id")),
        "withdraw": lambda said: verbs.withdraw(agent, text(said, "id")),
        "report_outcome": lambda said: verbs.report_outcome(agent, text(said, "id"), read_outcome(_encoded(without_id(said)))),
    }[tool]


def _encoded(said: Mapping[str, Any]) -> bytes:
    """As it would have come in a request of its own, half characters too: who reads it says what is wrong with them."""
    return json.dumps(said).encode()


class _Guarded:
    """Nobody without a token gets as far as the protocol."""

    def __init__(self, application: ASGIApp, backstage: Backstage) -> None:
        self._application, self._backstage = application, backstage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI asks."""
        request = Request(scope)
        try:
            self._backstage.caller(request.headers.get("authorization"), None)
        except Refused as refused:
            if refused.status == 401:
                where = f"{request.base_url}.well-known/oauth-protected-resource/mcp"
                refused.headers["WWW-Authenticate"] = f'Bearer resource_metadata="{where}"'
            await JSONResponse({"error": refused.title, "detail": refused.detail}, refused.status, refused.headers)(scope, receive, send)
            return
        except RemitError as error:
            await JSONResponse({"error": "nothing can be decided now", "detail": str(error)}, 503, {"Retry-After": "1"})(scope, receive, send)
            return
        await self._application(scope, receive, send)


def _authorization(context: ServerRequestContext[Any]) -> str | None:
    found: str | None = context.request.headers.get("authorization") if isinstance(context.request, Request) else None
    return found


def _said(body: Any, *, failed: bool = False) -> types.CallToolResult:
    text = msgspec.json.encode(body).decode()
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=msgspec.json.decode(text), is_error=failed)


def _allowed(hosts: list[str]) -> TransportSecuritySettings:
    names = [name for host in hosts for name in (host, f"{host}:*")]
    return TransportSecuritySettings(allowed_hosts=names, allowed_origins=[f"{scheme}://{name}" for name in names for scheme in ("http", "https")])
