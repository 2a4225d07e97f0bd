"""Decisions between cycles: one proposal at a time is judged, and chosen at the prices of the last cycle within what capacity is left."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from remit.authority import LEFT_ALONE, Table, authorize, stopped
from remit.gateway.counting import one_more, rents
from remit.gateway.reading import Licence
from remit.gateway.single import Single
from remit.gateway.tally import Tally
from remit.ledger import Entry, action_entry, verdict_body
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO, canonical
from remit.terms.instants import add_span
from remit.terms.proposals import Chosen, Judged, Proposal
from remit.terms.verdicts import Ruling, Verdict

DECLINED = "remit.declined/1"
_SELECTION = "prices of the last cycle"


@dataclass(frozen=True, slots=True)
class Asked:
    """A proposal as an agent sent it under a `key` of its own, by which it is answered once: value in micro-units. `stands`: for the next cycle to decide."""

    key: str
    hcp_id: str
    channel: str
    product: str
    communication_type: str
    value: int
    content_id: str | None = None
    stands: bool = False

    def digest(self, secret: bytes) -> str:
        """The keyed digest of what is asked: it stands in the clear, and tells nobody who lacks the secret whom it is about. Of what does not stand it is as it
        was before anything could."""
        return _keyed(secret, {name: getattr(self, name) for name in self.__slots__ if name != "stands" or self.stands})


@dataclass(frozen=True, slots=True)
class Room:
    """What a channel takes of which resource and how often it may reach an HCP in a cycle; `details`: its action opens a call."""

    uses: Mapping[str, int]
    most: int
    details: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a cycle has left things, for decisions until the next: when it was (`begun`, UTC microseconds), its `table` (stops since are the tally's to tell),
    `charters`, prices by purpose and resource (micro-units of value per unit), capacity `free` (micro-units), contacts per cycle and window, what is known of
    every HCP, the `secret` of keyed digests, how far `ahead` of its clock others' clocks may be (microseconds), and the `licences` of feeds. `place` is the
    entry of the log that says what all this was derived from. At `until` (None: never) it is over: a table begins, a person leaves, rows begin or end."""

    cycle: str
    begun: int
    table: Table
    charters: Mapping[str, Charter]
    channels: Mapping[str, Room]
    prices: Mapping[str, Mapping[str, int]]
    free: Mapping[str, int]
    per_cycle: int
    per_window: int
    window: str
    single: Single
    secret: bytes = field(repr=False)
    ahead: int = 30_000_000
    licences: Mapping[str, Licence] = field(default_factory=dict)
    place: int | None = None
    until: int | None = None

    @property
    def label(self) -> str:
        """The name under which the ledger holds what is decided after this cycle."""
        return between(self.cycle)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proposal stands in the plan: its worth net of the `rent` of what it `uses` at current prices (micro-units), and why it was not chosen."""

    net: int
    rent: int
    uses: Mapping[str, int]
    why: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a proposal: `chosen`, `waiting`, `outbid` or `forbidden`, with its verdict, its place (None: forbidden), and the entry that records it."""

    id: str
    disposition: str
    verdict: Verdict
    place: Place | None
    entry: Entry
    facts: Mapping[str, Any] = field(repr=False)


def between(cycle: str) -> str:
    """The name under which the ledger holds what is decided after a cycle, and before the next."""
    return f"{cycle}.between"


def proposal_id(secret: bytes, agent: str, key: str) -> str:
    """By what name a proposal is asked after: of the same agent and key, always the same."""
    return _keyed(secret, {"agent": agent, "key": key})[:32]


def _keyed(secret: bytes, body: Mapping[str, Any]) -> str:
    return hmac.digest(secret, b"remit/proposal/1\x00" + canonical(body), "sha256").hex()


def in_force(standing: Standing, tally: Tally) -> Table:
    """The table with the stops of the tally."""
    return stopped(standing.table, [*tally.stops.values(), *([LEFT_ALONE] if tally.held else [])])


def decide(
    asked: Asked,
    charter: Charter,
    standing: Standing,
    table: Table,
    tally: Tally,
    ref: bytes,
    number: int,
    now: int,
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> Decision:
    """Judges one proposal of `charter`'s agent about the HCP with the ledger's reference `ref`, by `table` and all that was counted, and chooses. `number`
    names it among those of its cycle; `beside` is said of it in the clear. Records nothing: the caller holds the turn."""
    single, agent = standing.single, charter.agent
    touch = 1 + tally.touches.get((ref, agent, asked.channel, asked.product), 0)
    what = (asked.hcp_id, agent, asked.channel, asked.product, asked.content_id, asked.communication_type, charter.purpose)
    proposal = Proposal(*what, touch, asked.value, exclusion=None, mandatory=False)
    more = tally.contacts.get(ref, ())
    facts = tally.engaged.facts(single.facts(proposal, now, more, stopped=ref in tally.held.values()), ref)
    verdict = authorize(facts, table)
    name = proposal_id(standing.secret, agent, asked.key)
    said = {**_said(name, asked, standing, agent, number, now), **beside}
    if verdict.ruling is Ruling.FORBIDDEN:
        return Decision(name, "forbidden", verdict, None, _not_done(proposal, verdict, said, "forbidden", asked.key, facts, None), facts)
    rep, territory = single.covered(asked.hcp_id, asked.product, asked.channel)
    place = _place(proposal, charter, standing, tally, ref, territory or "", now)
    if place.why is not None:
        return Decision(name, "outbid", verdict, place, _not_done(proposal, verdict, said, "outbid", asked.key, facts, place), facts)
    opens = standing.channels[asked.channel].details
    chosen = Chosen(Judged(proposal, verdict), number, number if opens else 0, 1 if opens else 0, MICRO, _SELECTION, rep)
    context: dict[str, Any] = {"territory": territory, "uses": dict(place.uses), "reasons": [], "facts": facts, "rent": place.rent, "net": place.net}
    context["key"] = asked.key
    waits = verdict.ruling is Ruling.CONFIRM
    deadline = now + verdict.deadline_us if waits and verdict.deadline_us is not None else None
    entry = action_entry(chosen, context, deadline, {**said, "purpose": charter.purpose, "uses": dict(place.uses)})
    return Decision(name, "waiting" if waits else "chosen", verdict, place, entry, facts)


def _said(name: str, asked: Asked, standing: Standing, agent: str, number: int, now: int) -> dict[str, Any]:
    """What the entry of a decision says in the clear: `number` orders those of one turn, `place` is what they were derived from. The agent reads all of it in
    its receipt: nothing may stand here that is not the agent's own."""
    placed = {} if standing.place is None else {"place": standing.place}
    about = {"id": name, "agent": agent, "channel": asked.channel, "product": asked.product, "asked": asked.digest(standing.secret)}
    return {**about, "at": now, "number": number, **placed}


def _not_done(
    proposal: Proposal, verdict: Verdict, said: Mapping[str, Any], disposition: str, key: str, facts: Mapping[str, Any], place: Place | None
) -> Entry:
    context = {
        "key": key,
        "facts": dict(facts),
        **({} if place is None else {"uses": dict(place.uses), "rent": place.rent, "net": place.net, "why": place.why}),
    }
    payload = {"hcp_id": proposal.hcp_id, "verdict": verdict_body(verdict), "context": context}
    return Entry("declined", DECLINED, {**said, "disposition": disposition}, proposal.hcp_id, payload)


def _place(proposal: Proposal, charter: Charter, standing: Standing, tally: Tally, ref: bytes, territory: str, now: int) -> Place:
    """Chosen is what is worth more than the rent of what it uses, if that is left, and the HCP has a contact left for it."""
    uses, rent = rent_of(proposal, charter, standing, territory, now)
    net = proposal.value - rent
    return Place(net, rent, uses, _why_not(proposal, charter, standing, tally, ref, uses, net, now))


def rent_of(proposal: Proposal, charter: Charter, standing: Standing, territory: str, now: int) -> tuple[dict[str, int], int]:
    """What an action uses of each resource, and the rent of it at current prices (micro-units)."""
    room = standing.channels[proposal.channel]
    templates = dict(charter.uses) | dict(room.uses)
    uses = {name.replace("{territory}", territory).replace("{product}", proposal.product): amount for name, amount in templates.items()}
    prices = standing.prices.get(proposal.purpose, {})
    limited = rents(standing.table.limits, one_more(proposal, uses, now))
    return uses, sum(prices.get(name, 0) * amount // MICRO for name, amount in {**uses, **limited}.items())


def _why_not(proposal: Proposal, charter: Charter, standing: Standing, tally: Tally, ref: bytes, uses: Mapping[str, int], net: int, now: int) -> str | None:
    single = standing.single
    window = add_span(now, standing.window, -1)
    made = [*single.contacts(proposal.hcp_id), *tally.contacts.get(ref, ())]
    cycle = [channel for at, channel, *_ in made if at >= standing.begun]
    if proposal.touch > charter.most_per_hcp:
        return f"the charter allows {charter.most_per_hcp} such actions on a physician in a cycle"
    if len(cycle) >= standing.per_cycle:
        return "the physician has had all contacts of this cycle"
    if sum(at >= window for at, *_ in made) >= standing.per_window:
        return f"the physician has had all contacts of {standing.window}"
    if cycle.count(proposal.channel) >= standing.channels[proposal.channel].most:
        return f"the physician has had all contacts of this cycle through {proposal.channel}"
    short = [name for name, amount in uses.items() if standing.free.get(name, 0) - tally.used.get(name, 0) < amount]
    if short:
        return f"nothing is left of {', '.join(short)}"
    reached = tally.counts.reached(proposal, ref, uses, now)
    if reached is not None:
        return reached
    if net <= 0 and (proposal.purpose == "promotional" or net < 0):
        return "other uses of what it takes are worth more"
    return None
