"""Events come in: recorded in one turn, an opt-out in force with its entry; and what built-in agents propose because of them, one proposal of each."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remit.authority import authorize
from remit.gateway.between import Asked, rent_of
from remit.gateway.clerk import Answer, Clerk
from remit.gateway.engaged import CONTACTS, OPT_OUT, Noted, opted_out
from remit.gateway.errors import GatewayError
from remit.gateway.events import Event, event_entry, fault
from remit.gateway.queue import refusal
from remit.gateway.tally import Tally
from remit.ledger import Entry, Fresh
from remit.terms.charters import Charter
from remit.terms.encoding import canonical
from remit.terms.proposals import Proposal
from remit.terms.verdicts import Ruling

_ORDER = ("service", "medical", "promotional")


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event as it came: whose, and when by the machine's clock (UTC microseconds)."""

    charter: Charter
    event: Event
    received: int


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that the log holds at `entry`, received `at` by the workspace's clock, about the HCP with the reference `ref`."""

    id: str
    entry: int
    at: int
    reported: Arrived
    ref: bytes


def report(clerk: Clerk, told: Sequence[Arrived]) -> list[Taken | GatewayError]:
    """Records each event once, all with one commit; what an opt-out covers and is not yet handed over is refused with it. What the reporter's charter does not
    reach, or does not make sense, is that event's `GatewayError` alone. Raises `Renewed`, `LedgerError`."""
    with clerk.turn() as (turn, tally, now):
        standing = clerk.standing
        seen = {each.event.hcp_id for each in told if standing.single.serves(each.event.hcp_id, _charter(clerk, each).products)}
        refs = turn.refs(seen)
        fresh: dict[str, tuple[Entry, int]] = {}
        found: list[tuple[str, Arrived] | GatewayError] = []
        named = set(tally.engaged.visited)
        for each in told:
            event, name = each.event, each.event.name(standing.secret, each.charter.agent, each.received)
            charter = _charter(clerk, each)
            said = tally.engaged.noted[name].said if name in tally.engaged.noted else fresh[name][0].body["said"] if name in fresh else None
            wrong = fault(event, charter, standing, now)
            if event.hcp_id not in seen:
                found.append(_unseen(each))
            elif said is not None and said != event.digest(standing.secret):
                found.append(GatewayError(f"the key `{event.key}` was used for another event", do="The same key means the same event again."))
            elif said is None and wrong is not None:
                found.append(wrong)
            else:
                if said is None:
                    of = _asked_for(clerk, event, refs[event.hcp_id]) if event.kind in CONTACTS else None
                    entry = event_entry(event, name, charter, standing, each.received, now, None if of in named else of)
                    fresh[name] = entry, len(fresh)
                    named |= set() if of is None else {of}
                found.append((name, each))
        events = [entry for entry, _ in fresh.values()]
        _record(clerk, turn.append, turn.size, tally, [*events, *_refused(events, refs, tally, now)], refs)
        noted = tally.engaged.noted
        return [each if isinstance(each, GatewayError) else _taken(noted[each[0]], each[1], refs) for each in found]


def _charter(clerk: Clerk, arrived: Arrived) -> Charter:
    """The charter as it is: it may have changed while the event waited. Of an agent that has none any more, the one it came with: an opt-out is taken."""
    return clerk.standing.charters.get(arrived.charter.agent, arrived.charter)


def _asked_for(clerk: Clerk, event: Event, ref: bytes) -> int | None:
    """The entry of the decision that asked for a contact, if it was handed over."""
    if event.decision is None or event.channel is None or event.product is None:
        return None
    return clerk.handed_over(event.decision, event.hcp_id, ref, event.channel, event.product)


def preferred(clerk: Clerk, offers: Iterable[tuple[Proposal, Taken]]) -> tuple[list[tuple[Charter, Asked]], list[Mapping[str, Any]]]:
    """Of each agent's alternatives for an HCP, product and channel the one that is worth most net of its rent and not forbidden (or, if all are, worth most),
    the next touch of its kind, and worth its cost; in the order in which purposes come and worth falls. Each with the event that it answers."""
    standing, tally, table, now = clerk.standing, clerk.tally, clerk.table(), clerk.now()
    best: dict[tuple[str, str, str, str], tuple[tuple[bool, int], Proposal, Taken]] = {}
    for proposal, taken in offers:
        place = (taken.ref, proposal.agent, proposal.channel, proposal.product)
        if proposal.touch != 1 + tally.touches.get(place, 0) or (proposal.purpose == "promotional" and proposal.value <= 0):
            continue
        more = tally.contacts.get(taken.ref, ())
        facts = standing.single.facts(proposal, now, more, stopped=taken.ref in tally.held.values())
        ruling = authorize(tally.engaged.facts(facts, taken.ref), table).ruling
        territory = standing.single.covered(proposal.hcp_id, proposal.product, proposal.channel)[1] or ""
        _, rent = rent_of(proposal, standing.charters[proposal.agent], standing, territory, now)
        rank, key = (ruling is not Ruling.FORBIDDEN, proposal.value - rent), (proposal.hcp_id, *place[1:])
        if key not in best or rank > best[key][0]:
            best[key] = rank, proposal, taken
    chosen = sorted(best.items(), key=lambda item: (_ORDER.index(item[1][1].purpose), -item[1][0][1], item[0]))
    asks = [(standing.charters[proposal.agent], _asked(proposal, taken)) for _, (_, proposal, taken) in chosen]
    return asks, [{"event": taken.id, "clock": {"received": taken.reported.received, "proposed": clerk.wall()}} for _, (_, _, taken) in chosen]


def own_decisions(clerk: Clerk, taken: Taken) -> list[Answer]:
    """What the agent that reported an event was decided because of it; of others' nothing is told."""
    agent = taken.reported.charter.agent
    found = (clerk.status(agent, name) for name in clerk.tally.engaged.decided.get(taken.id, ()) if clerk.tally.given[name].agent == agent)
    return [answer for answer in found if answer is not None]


def _asked(proposal: Proposal, taken: Taken) -> Asked:
    key = f"event:{taken.id}:{proposal.channel}:{proposal.product}"
    return Asked(key, proposal.hcp_id, proposal.channel, proposal.product, proposal.communication_type, proposal.value, proposal.content_id)


def _refused(events: Iterable[Entry], refs: Mapping[str, bytes], tally: Tally, now: int) -> list[Entry]:
    """The refusals of what opt-outs cover."""
    gone: dict[int, Entry] = {}
    for entry in events:
        if entry.body["kind"] == OPT_OUT and entry.hcp_id is not None:
            said = {(entry.body["channel"], entry.body["purpose"])}
            for seq, channel, purpose, since, uses in tally.open(refs[entry.hcp_id]):
                if opted_out(said, channel, purpose):
                    gone[seq] = refusal(seq, "the physician has opted out", now, since, uses)
    return list(gone.values())


def _record(clerk: Clerk, append: Callable[..., list[int]], size: int, tally: Tally, entries: Sequence[Entry], refs: Mapping[str, bytes]) -> None:
    if not entries:
        return
    label = clerk.standing.label
    numbers = append(f"{label}:{size}", entries, cycle=label)
    recorded = zip(numbers, entries, strict=True)
    tally.take(sorted((_fresh(number, entry, refs) for number, entry in recorded), key=lambda fresh: fresh.seq))


def _fresh(number: int, entry: Entry, refs: Mapping[str, bytes]) -> Fresh:
    return Fresh(number, entry.kind, None if entry.hcp_id is None else refs[entry.hcp_id], json.loads(canonical(entry.body)))


def _taken(noted: Noted, reported: Arrived, refs: Mapping[str, bytes]) -> Taken:
    return Taken(noted.id, noted.entry, noted.at, reported, refs[reported.event.hcp_id])


def _unseen(each: Arrived) -> GatewayError:
    return GatewayError(f"the charter of `{each.charter.agent}` does not reach this HCP", where=each.event.key, do="Report of HCPs that `hcps` lists.")
