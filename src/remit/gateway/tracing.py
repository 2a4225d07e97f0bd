"""Spans of the gateway: request, turn, decide, commit, hand over. They name routes and counts, and nothing of a person. Until a provider is used they do
nothing.

The provider is ours and not the process's: what libraries would say of a request holds its path, in which anybody may write a name.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import trace

_T = TypeVar("_T")
_USED: list[trace.Tracer] = [trace.NoOpTracer()]


def tracer() -> trace.Tracer:
    """What begins spans."""
    return _USED[0]


def use(provider: trace.TracerProvider) -> None:
    """Has the spans of this process go to a provider."""
    _USED[0] = provider.get_tracer("remit.gateway")


class Awaited(Future[_T]):
    """What a request waits for, and the span in which it asked: a turn serves many requests, and is linked to each."""

    def __init__(self) -> None:
        super().__init__()
        self.span = trace.get_current_span().get_span_context()


def links(asked: Sequence["Future[Any]"]) -> list[trace.Link]:
    """Links to the spans of those who asked."""
    return [trace.Link(each.span) for each in asked if isinstance(each, Awaited) and each.span.is_valid]


@contextmanager
def until_here() -> Iterator[Callable[[str], None]]:
    """Gives what begins a span, which ends where this does."""
    begun = list[trace.Span]()
    try:
        yield lambda name: begun.append(tracer().start_span(name))
    finally:
        for span in begun:
            span.end()
