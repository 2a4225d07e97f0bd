"""Guards: figures that stop an agent, a product or a channel by themselves, or have a person asked, once they pass a threshold. They never loosen anything."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from remit.authority.counted import EVER, span_of
from remit.authority.documents import Section
from remit.authority.errors import nearest
from remit.terms.encoding import MICRO
from remit.terms.instants import add_span

GUARDED = ("agent", "product", "channel")
"""What a guard may stop."""
REPORTED = {"errors": ("failed", "bounced"), "complaints": ("complaint", "unsubscribed")}
"""Figures counted from what is reported of actions, and the reports that count against."""
COUNTED = (*REPORTED, "refusals", "failures")
ON = (*COUNTED, "drift", "outcome")
THEN = ("confirm", "stop")
_HEAD, _TAIL = ("id", "on", "scope", "of", "then"), ("owner", "reason")
_OWN = {**dict.fromkeys(COUNTED, ("within", "most", "count", "least")), "drift": ("model", "asks"), "outcome": ("floor", "least")}
_ASKS = {"confirm": ("confirm", "stop"), "stop": ("stop",)}
_CONFIRM = ("roles", "deadline", "on_timeout")


@dataclass(frozen=True, slots=True)
class Guard:
    """A checked guard on `scope` `of`. Of what is counted `within` a span (`ever`: without end) it trips above a share of `most` (millionths) of at least
    `least` cases, or above `count`; on drift where the watch of `model` (empty: any) asks for one of `asks`; on the outcome where, after `least` settled
    periods, the whole interval of what acting changed lies below `floor` (millionths of the outcome, per HCP and period). What trips is stopped, or asks for
    `roles`."""

    id: str
    on: str
    scope: str
    of: str
    then: str
    owner: str
    reason: str
    within: str = EVER
    most: int | None = None
    count: int | None = None
    least: int = 0
    model: str = ""
    asks: tuple[str, ...] = ()
    floor: int = 0
    roles: tuple[str, ...] = ()
    deadline_us: int | None = None
    on_timeout: str | None = None

    def since(self, now: int) -> int:
        """What happened after this instant counts at `now`."""
        return -1 if self.within == EVER else add_span(now, self.within, -1)

    def covers(self, agent: str, product: str, channel: str) -> bool:
        """Whether an action of these is in its scope."""
        return {"agent": agent, "product": product, "channel": channel}[self.scope] == self.of


def read_guard(row: Section, guard_id: str, owner: str, confirm: Callable[[], tuple[tuple[str, ...], int, str]]) -> Guard:
    """The guard that a section holds; its faults are noted there. `confirm` reads roles, deadline and what follows it."""
    on, scope, then = (_one_of(row, key, words) for key, words in (("on", ON), ("scope", GUARDED), ("then", THEN)))
    row.only((*_HEAD, *_OWN.get(on, ()), *(_CONFIRM if then == "confirm" else ()), *_TAIL))
    of, reason = row.text("of"), row.text("reason")
    roles, deadline, on_timeout = confirm() if then == "confirm" else ((), None, None)
    said = {"roles": roles, "deadline_us": deadline, "on_timeout": on_timeout}
    guard = Guard(guard_id, on, scope, of, then, owner, reason, **said)  # type: ignore[arg-type]  # as the keys say
    if on == "drift":
        return _drift(row, guard)
    if on == "outcome":
        return _outcome(row, guard)
    return _counted(row, guard) if on else guard


def _counted(row: Section, guard: Guard) -> Guard:
    share = _number(row, "most", 1) if row.has("most") else None
    count = _whole(row, "count") if row.has("count") else None
    if row.has("most") is row.has("count"):
        row.fault("give one of `most`, a share such as 0.02, and `count`, a number of cases such as 3: above it the guard trips")
    if row.has("most") and not row.has("least"):
        row.fault("`least` is missing: of how few cases a share says nothing", "most")
    if share == MICRO:
        row.fault("a share is never above 1: the guard would never trip", "most")
    if guard.on == "failures" and guard.scope not in ("agent", ""):
        row.fault("failures are those of an agent in a cycle: its `scope` is `agent`", "scope")
    least = _whole(row, "least") if row.has("least") else 0
    return _with(guard, within=span_of(row) or EVER, most=share, count=count, least=least)


def _drift(row: Section, guard: Guard) -> Guard:
    asks = _one_of(row, "asks", THEN)
    return _with(guard, model=row.text("model") if row.has("model") else "", asks=_ASKS.get(asks, ()))


def _outcome(row: Section, guard: Guard) -> Guard:
    if guard.scope == "agent":
        row.fault("what acting changed is known of products, and of channels that leave some out by themselves: its `scope` is one of them", "scope")
    least = _whole(row, "least")
    if least < 1 and row.has("least"):
        row.fault("at least one period must have settled", "least")
    return _with(guard, floor=_number(row, "floor", None) or 0, least=least)


def _with(guard: Guard, **changed: object) -> Guard:
    return replace(guard, **changed)  # type: ignore[arg-type]  # its own fields


def _one_of(row: Section, key: str, words: tuple[str, ...]) -> str:
    word = row.text(key)
    if not word or word in words:
        return word
    row.fault(f"{key} `{word}` is not one of {', '.join(words)}{nearest(word, words)}", key)
    return ""


def _number(row: Section, key: str, most: int | None) -> int | None:
    """In millionths."""
    text = row.text(key)
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or (most is not None and float(text) > most):
        if text:
            row.fault(f"{key} `{text}` is not a number from 0{'' if most is None else f' to {most}'} with at most six decimals", key)
        return None
    whole, _, decimals = text.partition(".")
    return int(whole) * MICRO + int(decimals.ljust(6, "0") or 0)


def _whole(row: Section, key: str) -> int:
    text = row.text(key)
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        row.fault(f"{key} `{text}` is not a whole number from 0", key)
        return 0
    return int(text or 0)
