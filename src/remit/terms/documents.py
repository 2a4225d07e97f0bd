"""Reading a mapping that a person wrote: every key checked, every fault told at once."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from remit.terms.encoding import MICRO
from remit.terms.errors import ClockError, RemitError
from remit.terms.instants import add_span, parse_instant

_T = TypeVar("_T")


class Document:
    """A mapping from a file, read key by key. Faults gather across nested documents; `close` raises them all, keys never asked for among them."""

    def __init__(self, body: object, where: str, path: str = "", faults: list[str] | None = None) -> None:
        self.where, self.path = where, path
        self.faults: list[str] = [] if faults is None else faults
        self._asked: set[str] = set()
        self._body: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        if not isinstance(body, Mapping):
            self.fault("", "is not a table of keys and values")

    def fault(self, key: str, what: str) -> None:
        """Notes a fault at `key`."""
        self.faults.append(f"`{self._at(key)}` {what}" if self._at(key) else what)

    def text(self, key: str, default: str | None = None, among: Iterable[str] = ()) -> str:
        """The text at `key`, one of `among` if any are given."""
        value = self._take(key, str, default, "")
        choices = sorted(among)
        if choices and value and value not in choices:
            self.fault(key, f"is `{value}`; it must be one of {', '.join(choices)}")
        return value

    def whole(self, key: str, default: int | None = None, least: int = 0) -> int:
        """The whole number at `key`, at least `least`."""
        value = self._take(key, int, default, least)
        if value < least:
            self.fault(key, f"is {value}; it must be at least {least}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """The boolean at `key`."""
        return self._take(key, bool, default, False)

    def micro(self, key: str, default: int | None = None) -> int:
        """The decimal at `key`, in exact millionths."""
        self._asked.add(key)
        if key not in self._body and default is not None:
            return default
        try:
            scaled = Decimal(str(self._body.get(key))) * MICRO
            if isinstance(self._body.get(key), bool) or scaled != int(scaled):
                raise InvalidOperation
            return int(scaled)
        except (InvalidOperation, ValueError, OverflowError):
            self.fault(key, "must be a number with at most six decimals")
            return 0

    def instant(self, key: str) -> int:
        """The instant at `key`, in UTC microseconds."""
        self._asked.add(key)
        value: Any = self._body.get(key)
        try:
            return parse_instant(value.isoformat() if isinstance(value, datetime) else str(value))
        except ClockError:
            self.fault(key, "must be an instant such as 2026-01-05T06:00:00Z")
            return 0

    def span(self, key: str, default: str | None = None) -> str:
        """The span of time at `key`, such as `1 week`."""
        value = self._take(key, str, default, "1 week")
        try:
            add_span(0, value)
        except ClockError:
            self.fault(key, f"is `{value}`; it must be a span such as `1 week` or `3 days`")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The list of texts at `key`."""
        values = self._take(key, list, None if default is None else list(default), [])
        if not all(isinstance(value, str) for value in values):
            self.fault(key, "must be a list of texts")
        return tuple(str(value) for value in values)

    def table(self, key: str, optional: bool = False) -> "Document":
        """The document at `key`; empty where it is optional and absent."""
        self._asked.add(key)
        if key not in self._body and not optional:
            self.fault(key, "is missing")
        return Document(self._body.get(key, {}), self.where, self._at(key), self.faults)

    def tables(self, key: str) -> dict[str, "Document"]:
        """The documents under `key`, by name."""
        table = self.table(key)
        return {name: table.table(name) for name in table.names()}

    def amounts(self, key: str) -> dict[str, int]:
        """The decimals under `key` by name, in millionths; none where `key` is absent."""
        table = self.table(key, optional=True)
        return {name: table.micro(name) for name in table.names()}

    def names(self) -> tuple[str, ...]:
        """The keys that are there."""
        return tuple(self._body)

    def raw(self, key: str) -> Any:
        """The value at `key` as it was read, or None."""
        self._asked.add(key)
        return self._body.get(key)

    def refuse(self, error: type[RemitError], what: str, do: str = "") -> None:
        """Raises `error` with every fault found so far, here and in nested documents; does nothing if there is none."""
        if self.faults:
            raise error(what, where=self.where, do=do, faults=self.faults)

    def close(self) -> None:
        """Notes every key that was never asked for: a setting nobody reads is a fault, not a silence."""
        for key in self._body:
            if key not in self._asked:
                self.fault(str(key), f"is not known here; the keys are {', '.join(sorted(self._asked))}")

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def _take(self, key: str, kind: type[_T], default: _T | None, fallback: _T) -> _T:
        self._asked.add(key)
        if key not in self._body:
            if default is None:
                self.fault(key, "is missing")
                return fallback
            return default
        value = self._body[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fault(key, f"is `{value}`; it must be {_NAMES.get(kind, kind.__name__)}")
            return fallback
        return value


_NAMES: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false", list: "a list"}
