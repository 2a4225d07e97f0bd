"""Events that agents report between cycles: what they say, how they are read from strangers' bytes, and the entry that records one."""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from remit.gateway.between import Standing
from remit.gateway.engaged import CONTACTS, INQUIRY, OPT_OUT
from remit.gateway.errors import GatewayError
from remit.gateway.messages import MOST, ProposalOut
from remit.ledger import Entry
from remit.terms.charters import Charter
from remit.terms.encoding import canonical
from remit.terms.errors import RemitError
from remit.terms.instants import DAY, parse_instant

EVENT = "remit.event/1"
SKEW = 300_000_000
"""How far the clock of whoever reports may be ahead of ours, in microseconds."""
OLDEST = 366 * DAY
"""How old an event may be when it is reported; facts look back a year."""

_Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]{1,64}$")]
_Name = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}$")]
_Instant = Annotated[str, Meta(min_length=17, max_length=40)]
_Decision = Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_.:\-]{1,100}/[0-9]{1,18}$")]
_Text = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
Kind = Literal["opened", "clicked", "replied", "visited", "attended", "inquiry", "opt_out"]
Purpose = Literal["promotional", "medical", "service"]


class EventIn(Struct, forbid_unknown_fields=True, frozen=True):
    """One event. `key` is the reporter's own name for it, best the id under which its nightly file will name the same thing: sent again, it is taken once.
    `occurred_at` is an instant such as 2026-01-05T06:00:00Z. `decision` is the one that asked for it, as the lists that were handed over name it. An opt-out
    that names no channel or purpose is one from all. Consent is given by the consent feed alone."""

    key: _Word
    hcp_id: _Word
    kind: Kind
    occurred_at: _Instant
    channel: _Name | None = None
    product: _Word | None = None
    purpose: Purpose | None = None
    content_id: _Word | None = None
    decision: _Decision | None = None
    text: _Text | None = None


class EventsIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Events to be taken in their order."""

    events: Annotated[list[EventIn], Meta(min_length=1, max_length=MOST)]


class EventOut(Struct, frozen=True, omit_defaults=True):
    """What became of an event: `taken` (recorded; every decision after it knows), or `rejected` (`error` says why; nothing was recorded). `decisions` are
    those of the agent that reported it, where it was asked because of it: of other agents' nothing is told."""

    disposition: str
    key: str | None = None
    id: str | None = None
    entry: int | None = None
    received_at: str | None = None
    decisions: list[ProposalOut] | None = None
    error: str | None = None


class EventsOut(Struct, frozen=True):
    """An answer to each event, in their order."""

    answers: list[EventOut]


class _Envelope(Struct, forbid_unknown_fields=True, frozen=True):
    events: Annotated[list[Raw], Meta(min_length=1, max_length=MOST)]


class _OptOut(Struct, frozen=True):
    """What is needed of an opt-out, whatever else is wrong with it."""

    hcp_id: _Word
    kind: Literal["opt_out"]
    channel: Any = None
    purpose: Any = None
    key: Any = None


@dataclass(frozen=True, slots=True)
class Event:
    """What an agent reports of an HCP, under a `key` of its own: instants in UTC microseconds."""

    key: str
    hcp_id: str
    kind: str
    occurred_at: int
    channel: str | None = None
    product: str | None = None
    purpose: str | None = None
    content_id: str | None = None
    decision: str | None = None
    text: str | None = None

    def digest(self, secret: bytes) -> str:
        """The keyed digest of what is said: it stands in the clear, and tells nobody who lacks the secret whom it is about."""
        return _keyed(secret, {name: getattr(self, name) for name in self.__slots__})

    def name(self, secret: bytes, agent: str, received: int) -> str:
        """By what id it is asked after: of the same agent and key, always the same. An opt-out is named by all it says, so that no key is in its way; one that
        does not say when, also by when it was `received`, so that none from before is."""
        if self.kind != OPT_OUT:
            return _keyed(secret, {"agent": agent, "key": self.key})[:32]
        return _keyed(secret, {"agent": agent, "key": self.digest(secret), "received": 0 if self.occurred_at else received})[:32]


_HALVES = re.compile("[\ud800-\udfff]")
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
_Read = TypeVar("_Read")
_READ = msgspec.json.Decoder(_Envelope)
_ONE = msgspec.json.Decoder(EventIn)
_OUT = msgspec.json.Decoder(_OptOut)


def read_events(data: bytes) -> list[tuple[str | None, Event | GatewayError]]:
    """The events in a request's body with their keys, each read by itself: one that cannot be read is its own `GatewayError`. What cannot be read but names an
    HCP and says opt-out is one, from every channel or purpose that it does not name; a broken character is read as U+FFFD, and takes nothing with it. Raises
    `GatewayError` where there is no list of events at all."""
    try:
        parts = _decoded(_READ, data).events
    except _UNREADABLE as error:
        raise GatewayError(f"the request is no list of events: {error}", do="Send JSON as the description of this interface says.") from None
    return [_one(bytes(part)) for part in parts]


def _whole(data: bytes) -> bytes:
    """JSON with whatever is no character in its texts, bytes that are not UTF-8 or half of a pair, read as U+FFFD. Raises `ValueError`."""
    text = json.dumps(json.loads(data.decode(errors="replace")), ensure_ascii=False)
    return _HALVES.sub("\ufffd", text).encode()


def _one(part: bytes) -> tuple[str | None, Event | GatewayError]:
    try:
        read = _decoded(_ONE, part)
        occurred_at = parse_instant(read.occurred_at)
    except (*_UNREADABLE, RemitError) as error:
        found = _opt_out(part)
        return (None, GatewayError(f"it is no event: {error}")) if found is None else (found.key or None, found)
    return read.key, Event(occurred_at=occurred_at, **{name: getattr(read, name) for name in EventIn.__struct_fields__ if name != "occurred_at"})


def _decoded(decoder: msgspec.json.Decoder[_Read], data: bytes) -> _Read:
    """What is read; where a character is broken, without it. Raises one of `_UNREADABLE`."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decoder.decode(_whole(data))


def _opt_out(part: bytes) -> Event | None:
    try:
        read = _decoded(_OUT, part)
    except _UNREADABLE:
        return None

    def word(value: Any, kind: Any) -> str | None:
        try:
            return str(msgspec.convert(value, kind))
        except msgspec.ValidationError:
            return None

    return Event(word(read.key, _Word) or "", read.hcp_id, OPT_OUT, 0, channel=word(read.channel, _Name), purpose=word(read.purpose, Purpose))


def fault(event: Event, charter: Charter, standing: Standing, now: int) -> GatewayError | None:
    """What is wrong with an event of `charter`'s agent at `now`; of an opt-out nothing is."""
    if event.kind == OPT_OUT:
        return None
    if event.channel is not None and event.channel not in standing.channels:
        return GatewayError(f"there is no channel `{event.channel}`", where=event.key, do=f"There are {', '.join(sorted(standing.channels))}.")
    if event.product is not None and event.product not in charter.products:
        return GatewayError(f"the charter does not cover the product `{event.product}`", where=event.key, do=f"It covers {', '.join(charter.products)}.")
    missing = [name for name in _NEEDS[event.kind] if getattr(event, name) is None]
    if missing:
        return GatewayError(f"`{event.kind}` names no {' and no '.join(missing)}", where=event.key, do="Say it.")
    if not now - OLDEST <= event.occurred_at <= now + SKEW:
        what = "`occurred_at` lies " + ("in the future" if event.occurred_at > now else "more than a year back")
        return GatewayError(what, where=event.key, do="Set the reporter's clock right; what is old comes with its feed.")
    return None


_NEEDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("opened", "clicked", "replied", *CONTACTS), ("channel", "product")),
    INQUIRY: ("product",),
}


def event_entry(event: Event, name: str, charter: Charter, standing: Standing, received: int, now: int, asked_for: int | None = None) -> Entry:
    """The entry that records an event at `now`, received by the machine's clock at `received`. What was not named is, of an opt-out, everything, and else of
    the reporter's purpose. `asked_for` is the entry of the decision that asked for it, whose contact counts already."""
    out = event.kind == OPT_OUT
    product = event.product if event.product in charter.products else None  # an opt-out is read whatever it says; what it says is not written in the clear
    channel = event.channel if event.channel in standing.channels else None
    purpose = event.purpose if out or event.purpose else "medical" if event.kind == INQUIRY else charter.purpose
    happened = now if out and not 0 < event.occurred_at <= now else min(event.occurred_at, now)
    said = {"id": name, "agent": charter.agent, "said": event.digest(standing.secret), "kind": event.kind, "occurred_at": happened, "at": now}
    counts = event.kind in CONTACTS and asked_for is None
    body = {**said, "channel": channel, "product": product, "purpose": purpose, "counts": counts, "clock": {"received": received}}
    body |= {} if asked_for is None else {"of": asked_for}
    payload = {"hcp_id": event.hcp_id, "key": event.key, "content_id": event.content_id, "decision": event.decision, "text": event.text}
    return Entry("event", EVENT, body, event.hcp_id, payload)


def _keyed(secret: bytes, body: Mapping[str, Any]) -> str:
    return hmac.digest(secret, b"remit/event/1\x00" + canonical(body), "sha256").hex()
