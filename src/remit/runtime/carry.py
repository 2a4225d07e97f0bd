"""What earlier cycles leave for the next: contacts made, capacity given out, proposals that wait for a person."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from remit.authority import Limit
from remit.gateway import Heard, Made, between, heard
from remit.gateway.tally import Touch
from remit.ledger import Records, Stored
from remit.runtime.making import made
from remit.runtime.settings import Settings
from remit.runtime.stood import stood
from remit.runtime.told import Told, told
from remit.terms.instants import DAY, add_span

CONTACTS = pl.Schema({"hcp_id": pl.String, "channel": pl.String, "purpose": pl.String, "at": pl.Int64, "decision": pl.String, "agent": pl.String})
_UNTIL_TOLD = 14 * DAY
"""How long after its decision a contact may be made and still be known for its agent's."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A chosen proposal that waits for a person: its entry, the instant of its cycle and its deadline (UTC microseconds), what it reserves (micro-units)."""

    entry: int
    since: int
    deadline: int
    uses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Carried:
    """`contacts`: our own recent contacts, planned and waiting ones included, with the decision that asked for each and its agent, and those that agents
    reported. `taken`: capacity given out per resource. `waiting`: what still waits. `made`: what counts under limits. `agents`: of decisions of six weeks,
    waiting and refused ones included, whose they are. `standing`: proposals of agents of others that stand. `told`: what else agents reported. `own`: whose
    touch each action of the last cycle is, by entry."""

    contacts: pl.DataFrame
    taken: Mapping[str, int]
    waiting: tuple[Waiting, ...]
    made: tuple[Made, ...] = ()
    agents: Mapping[str, str] = field(default_factory=dict)
    standing: tuple[Mapping[str, Any], ...] = ()
    told: Told | None = None
    own: Mapping[int, Touch] = field(default_factory=dict)


def carry(records: Records, upto: int, now: int, settings: Settings, valid_from: Mapping[str, int], limits: Sequence[Limit] = ()) -> Carried:
    """What the log's first `upto` entries leave for a cycle at `now`. `valid_from` says, per resource, when the capacity that holds now began; `limits` are
    those of the table."""
    cycles = [entry for entry in records.entries(kind="cycle") if entry.seq < upto]
    refused = {int(entry.body["action"]): entry for entry in records.entries(kind="refused") if entry.seq < upto}
    said = heard(records, upto)
    escalated = {records.entry(seq).cycle: until for seq, (_, until) in said.escalated.items()}
    spans = [limit.since(now) for limit in limits if limit.per_hcp]
    horizon = min(add_span(now, settings.window, -1), now - 28 * DAY, *(-1 if since is None else since for since in spans))
    contacts: dict[tuple[str, str, str, str, int], tuple[str, str, str, int, str, str]] = {}
    agents: dict[str, str] = {}
    own: dict[int, Touch] = {}
    waiting: list[Waiting] = []
    given: list[tuple[int, Mapping[str, int], int]] = []
    for label, began, ended in _spans(cycles, now):
        over = ended < min((horizon, *valid_from.values())) and max(_waiting_until(cycles, label), escalated.get(label, 0)) <= now
        if over and ended < now - 28 * DAY - _UNTIL_TOLD and label != cycles[-1].cycle:
            continue
        for action, payload in opened(records, label):
            since = int(action.body.get("at", began))
            if action.seq >= upto:
                continue
            agents[f"{label}/{payload['number']}"] = payload["proposal"]["agent"]
            if label == cycles[-1].cycle and action.hcp is not None:
                of = payload["proposal"]
                own[action.seq] = bytes.fromhex(action.hcp), of["agent"], of["channel"], of["product"]
            if over:
                continue
            if "uses" in action.body:
                given.append((since, action.body["uses"], 1))
            if action.seq in refused:
                continue
            proposal, call, context = payload["proposal"], payload["selection"]["call_number"], payload["context"]
            contact = action.seq if call == 0 else -call
            key, decision = (proposal["hcp_id"], proposal["channel"], proposal["purpose"], label, contact), f"{label}/{payload['number']}"
            if key not in contacts or payload["selection"]["position"] <= 1:  # a call comes back under the detail that opened it
                contacts[key] = (proposal["hcp_id"], proposal["channel"], proposal["purpose"], since, decision, proposal["agent"])
            if "deadline" in action.body and action.seq not in said.settled and said.deadline(action) > now:
                waiting.append(Waiting(action.seq, since, said.deadline(action), context["uses"]))
    spent = [*given, *((int(cycle.body["now"]), cycle.body["used"], 1) for cycle in cycles)]
    given_back = [(int(entry.body["since"]), entry.body["uses"], -1) for entry in refused.values()]
    reserved = [(item.since, item.uses, 1) for item in waiting]
    taken = dict.fromkeys(valid_from, 0)
    _add(taken, spent + given_back, lambda name, since: valid_from[name] <= since)
    _add(taken, reserved, lambda name, since: valid_from[name] > since)
    said_of = told(records, upto, min(horizon, now - 365 * DAY), {contact[4] for contact in contacts.values()})
    known = pl.concat([pl.DataFrame(list(contacts.values()), schema=CONTACTS, orient="row"), said_of.contacts])
    stand = tuple(stood(records, upto, cycles, refused))
    return Carried(known, taken, tuple(waiting), made(records, upto, limits, now), agents, stand, said_of, own)


def _spans(cycles: list[Stored], now: int) -> Iterator[tuple[str, int, int]]:
    """The names under which actions stand, with when the first and the last of them may have been decided."""
    ends = [*(int(cycle.body["now"]) for cycle in cycles[1:]), now]
    for cycle, end in zip(cycles, ends, strict=False):
        since = int(cycle.body["now"])
        yield cycle.cycle, since, since
        yield between(cycle.cycle), since, end


def _waiting_until(cycles: list[Stored], label: str) -> int:
    return next((int(cycle.body["waiting_until"]) for cycle in cycles if cycle.cycle == label), 0)


def unsettled(records: Records, said: Heard | None = None) -> Iterator[tuple[Stored, dict[str, Any]]]:
    """Actions that wait for a person, with their payloads: no entry says that they were refused, or handed over with a yes. `said` is what was `heard`."""
    settled = (said or heard(records)).settled
    for cycle in list(records.entries(kind="cycle")):
        for label in [cycle.cycle] * bool(cycle.body["waiting_until"]) + [between(cycle.cycle)]:
            waiting = [action.seq for action in records.said("action", label) if "deadline" in action.body and action.seq not in settled]
            yield from ((action, action.payload) for action in records.some(waiting) if action.payload is not None)


def opened(records: Records, cycle: str) -> Iterator[tuple[Stored, dict[str, Any]]]:
    """The cycle's actions with their payloads; those of erased HCPs are gone and leave nothing behind."""
    return ((action, action.payload) for action in records.entries(kind="action", cycle=cycle) if action.payload is not None)


def _add(taken: dict[str, int], amounts: Iterable[tuple[int, Mapping[str, int], int]], counts: Callable[[str, int], bool]) -> None:
    for since, uses, sign in amounts:
        for name, amount in uses.items():
            if name in taken and counts(name, since):
                taken[name] += sign * int(amount)
