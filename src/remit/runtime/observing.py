"""What is seen of a gateway at work: a log line and a span for each request, and a file of spans. Off unless asked for."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.gateway.tracing import tracer, use

Log = Callable[..., None]
"""Writes an event with its fields."""


class Observed:
    """An application whose requests are told by method, route, status and milliseconds: no path, no query, no header, no body."""

    def __init__(self, application: ASGIApp, log: Log | None) -> None:
        self._application, self._log = application, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI asks."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        status, start = 500, perf_counter()  # of what raises before it answers, the server says this

        async def sending(message: Message) -> None:
            nonlocal status
            status = message["status"] if message["type"] == "http.response.start" else status
            await send(message)

        with tracer().start_as_current_span("request", record_exception=False) as span:
            try:
                await self._application(scope, receive, sending)
            finally:
                told = {"method": scope["method"], "route": _route(scope), "status": status}
                span.set_attributes(told)
                if self._log is not None:
                    self._log("request", **told, ms=round((perf_counter() - start) * 1e3, 1))


def _route(scope: Scope) -> str:
    """The pattern of the route, which names nobody: what stands in its place is none of a log's business."""
    return str(getattr(scope.get("route"), "path", None) or ("/mcp" if scope["path"].startswith("/mcp") else "none"))


class Lines(SpanExporter):
    """Writes spans into a file, one line of JSON each, whole lines at a time: several processes may share it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As opentelemetry asks: a file that cannot be written costs spans, and nothing else."""
        try:
            for span in spans:
                os.write(self._file, json.dumps(_line(span), separators=(",", ":")).encode() + b"\n")
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """As opentelemetry asks."""
        os.close(self._file)


def _line(span: ReadableSpan) -> dict[str, Any]:
    context, parent = span.get_span_context(), span.parent
    return {
        "name": span.name,
        "trace": _hex(context.trace_id, 32) if context else None,
        "span": _hex(context.span_id, 16) if context else None,
        "parent": _hex(parent.span_id, 16) if parent else None,
        "links": [_hex(link.context.span_id, 16) for link in span.links],
        "start_ns": span.start_time,
        "ns": (span.end_time or 0) - (span.start_time or 0),
        "attributes": dict(span.attributes or {}),
        "run_id": span.resource.attributes.get("run_id"),
    }


def _hex(number: int, digits: int) -> str:
    return f"{number:0{digits}x}"


def traced(path: Path, run_id: str) -> Callable[[], None]:
    """Has the spans of this process written into a file, and gives what ends that."""
    provider = TracerProvider(resource=Resource({"service.name": "remit", "run_id": run_id}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Lines(path)))
    use(provider)
    return provider.shutdown
