"""What has happened between cycles, folded from the entries of the log: contacts, capacity given out, answers given, stops. Nothing else counts.

INVARIANT (counted in the turn that decides): whoever decides holds the log still, takes in all that others recorded before, and records in the same turn; so
two workers cannot both take the last one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from sys import intern
from types import MappingProxyType
from typing import Any

from remit.authority import Stop, read_stop
from remit.gateway.counting import Counts, Made
from remit.gateway.engaged import Engaged
from remit.gateway.facts import Contact
from remit.gateway.guarding import Watch, numbered
from remit.ledger import Fresh

RENEWS = frozenset({"cycle", "rights", "signoff", "model", "tombstone"})
"""Kinds of entries after which what is known must be taken anew."""
CLOCKED = frozenset({"cycle", "action", "declined", "acted", "refused"})
"""Kinds of entries that say when, by the clock by which is decided."""
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(slots=True)
class Given:
    """What an agent was answered: its proposal's id, what became of it, and the digest of what it asked. `stood`: it stood, and a cycle chose it, which
    counts in what is known; `number`: by which lists name it among those between cycles."""

    id: str
    agent: str
    disposition: str
    asked: str
    entry: int
    at: int
    channel: str
    deadline: int | None = None
    uses: Mapping[str, int] = field(default_factory=dict)
    hcp: bytes | None = None
    product: str = ""
    purpose: str = ""
    stood: bool = False
    number: int = -1

    @property
    def made(self) -> Made:
        """What it counts for: an action that is a contact of its own."""
        return Made(self.at, self.agent, self.channel, self.product, self.purpose, 1, 1, self.uses)

    @property
    def contact(self) -> Contact:
        """The contact it is with its HCP."""
        return self.at, self.channel, self.purpose, self.agent

    @property
    def touch(self) -> "Touch | None":
        """Whose touch it is; None where the HCP was erased."""
        return None if self.hcp is None else (self.hcp, self.agent, self.channel, self.product)


@dataclass(frozen=True, slots=True)
class Pending:
    """An action that waits for people and is not among what agents are answered of: about whom, through which channel and for which purpose, and what it has
    reserved since when (UTC microseconds, micro-units)."""

    hcp: bytes
    channel: str
    purpose: str
    since: int
    uses: Mapping[str, int]


Touch = tuple[bytes, str, str, str]
"""Whose it is: the HCP's reference, agent, channel, product."""


@dataclass(slots=True)
class Tally:
    """Counted since `upto`: entries below it are in what is known. `contacts` and `held` by the HCP's reference, `touches` since the last cycle began, its own
    (`own`, by entry) included, and so those `standing`; how many `stood` since by agent, `used` micro-units by resource, `counts` against the table's limits,
    `given` by proposal id, the ids of actions `about` each reference, `due` the entries to be acted on, `pending` what waits for people beside `given`, by
    entry; `reported` the entries of outcomes by action, what and when, `engaged` what agents reported of HCPs; `watch` the guards, `numbered` the highest
    number of a stop; `latest` the newest instant that was recorded."""

    upto: int
    seq: int = 0
    contacts: dict[bytes, list[Contact]] = field(default_factory=dict)
    touches: dict[Touch, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    standing: dict[Touch, int] = field(default_factory=dict)
    stood: dict[str, int] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    by_entry: dict[int, str] = field(default_factory=dict)
    about: dict[bytes, list[str]] = field(default_factory=dict)
    due: dict[int, str] = field(default_factory=dict)
    stops: dict[str, Stop] = field(default_factory=dict)
    held: dict[str, bytes] = field(default_factory=dict)
    reported: dict[tuple[int, str, int], int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    pending: dict[int, Pending] = field(default_factory=dict)
    own: Mapping[int, Touch] = field(default_factory=dict)
    engaged: Engaged = field(default_factory=Engaged)
    watch: Watch = field(default_factory=Watch)
    numbered: int = 0
    renewed: bool = False
    changed: int = 0
    latest: int = 0

    def note(self, entries: Iterable[Fresh]) -> None:
        """Takes in what is about to be recorded, under numbers of its own below nothing, until `settle` says the real ones."""
        for entry in entries:
            self._clock(entry)
            _READERS[entry.kind](self, entry)

    def settle(self, numbers: Mapping[int, int], seq: int) -> None:
        """Gives what was noted its numbers in the log; what comes next in the log has `seq`."""
        for noted, number in numbers.items():
            name = self.by_entry.pop(noted)
            self.by_entry[number], self.given[name].entry = name, number
            if noted in self.due:
                self.due[number] = self.due.pop(noted)
        self.seq = seq

    def take(self, fresh: Iterable[Fresh]) -> None:
        """Takes in entries, in their order."""
        for entry in fresh:
            self.seq = entry.seq + 1
            if entry.seq >= self.upto and entry.kind in RENEWS:
                self.renewed = True
            self._clock(entry)
            if entry.seq >= self.upto:
                self.watch.take([entry])
            reader = _READERS.get(entry.kind)
            if reader is not None:
                reader(self, entry)

    def open(self, ref: bytes) -> Iterator[tuple[int, str, str, int, Mapping[str, int]]]:
        """What was chosen for the HCP with this reference or waits, and was not handed over: entry, channel, purpose, since when it reserves what it uses."""
        for seq, pending in self.pending.items():
            if pending.hcp == ref and seq not in self.by_entry:
                yield seq, pending.channel, pending.purpose, pending.since, pending.uses
        for given in (self.given[name] for name in self.about.get(ref, ())):
            if given.disposition in ("chosen", "waiting"):
                yield given.entry, given.channel, given.purpose, given.at, given.uses

    def _clock(self, entry: Fresh) -> None:
        if entry.kind in CLOCKED:
            self.latest = max(self.latest, int(entry.body.get("at", entry.body.get("now", 0))))


def _event(tally: Tally, entry: Fresh) -> None:
    new, body = _counts(tally, entry.seq), entry.body
    tally.engaged.take(entry, new=new)
    if new and body["counts"] and entry.hcp is not None:
        at = int(body["occurred_at"])
        tally.contacts.setdefault(entry.hcp, []).append((at, body["channel"], body["purpose"], None))
        tally.counts.contact(entry.hcp, (at, body["channel"], body["purpose"]))


def _action(tally: Tally, entry: Fresh) -> None:
    body = entry.body
    if "id" not in body:  # of a cycle, which is in what is known
        _chosen(tally, entry)
        _touch(tally, tally.own.get(entry.seq), 1)
        return
    given = _given(entry, "waiting" if "deadline" in body else "chosen")
    tally.engaged.note(body)
    tally.given[given.id], tally.by_entry[entry.seq] = given, given.id
    if "deadline" not in body:
        tally.due[entry.seq] = given.id
    if _counts(tally, entry.seq):
        tally.counts.add(given.made, entry.hcp)
    if _counts(tally, entry.seq) and entry.hcp is not None:
        tally.contacts.setdefault(entry.hcp, []).append(given.contact)
        _add(tally, given.uses, 1)
    _touch(tally, given.touch, 1)
    if entry.hcp is not None:
        tally.about.setdefault(entry.hcp, []).append(given.id)


def _chosen(tally: Tally, entry: Fresh) -> None:
    """A cycle has chosen what stood."""
    name = tally.by_entry.get(int(entry.body.get("standing", -1)))
    if name is not None:
        deadline = entry.body.get("deadline")
        became = "chosen" if deadline is None else "waiting"
        tally.given[name] = replace(tally.given[name], disposition=became, entry=entry.seq, at=int(entry.body["at"]), deadline=deadline, stood=True)
        tally.by_entry[entry.seq] = name


def _standing(tally: Tally, entry: Fresh) -> None:
    given = _given(entry, "standing")
    tally.given[given.id], tally.by_entry[entry.seq] = given, given.id
    tally.stood[given.agent] = tally.stood.get(given.agent, 0) + 1
    _stands(tally, given, 1)


def _stands(tally: Tally, given: Given, sign: int) -> None:
    if given.touch is not None:
        tally.standing[given.touch] = tally.standing.get(given.touch, 0) + sign


def _touch(tally: Tally, touch: Touch | None, sign: int) -> None:
    if touch is not None:
        tally.touches[touch] = tally.touches.get(touch, 0) + sign


def _cycle(tally: Tally, entry: Fresh) -> None:
    del entry
    for counted in (tally.touches, tally.standing, tally.stood):
        counted.clear()  # they are counted in each cycle anew


def _declined(tally: Tally, entry: Fresh) -> None:
    given = _given(entry, intern(str(entry.body["disposition"])))
    tally.engaged.note(entry.body)
    tally.given[given.id], tally.by_entry[entry.seq] = given, given.id


def _given(entry: Fresh, disposition: str) -> Given:
    body = entry.body
    agent, channel, product, purpose = (intern(str(body.get(name, ""))) for name in ("agent", "channel", "product", "purpose"))  # few, and held once
    said = (body["id"], agent, disposition, body["asked"], entry.seq, int(body["at"]), channel)
    return Given(*said, body.get("deadline"), body.get("uses", _NOTHING), entry.hcp, product, purpose, number=int(body.get("number", -1)))


def _acted(tally: Tally, entry: Fresh) -> None:
    for seq in entry.body["actions"]:
        tally.due.pop(seq, None)
        tally.pending.pop(seq, None)
        if seq in tally.by_entry:
            tally.given[tally.by_entry[seq]].disposition = "acted"


def _refused(tally: Tally, entry: Fresh) -> None:
    seq = int(entry.body["action"])
    tally.due.pop(seq, None)
    tally.pending.pop(seq, None)
    _touch(tally, tally.own.get(seq), -1)
    if seq in tally.by_entry:
        given = tally.given[tally.by_entry[seq]]
        before, given.disposition = given.disposition, "withdrawn" if entry.body.get("because") == "withdrawn" else "refused"
        if before == "standing":
            _stands(tally, given, -1)
        elif not given.stood:
            _touch(tally, given.touch, -1)
            if _counts(tally, given.entry):
                tally.counts.take_back(given.made, given.hcp)
            if _counts(tally, given.entry) and given.hcp is not None:
                tally.contacts[given.hcp].remove(given.contact)
    if entry.seq >= tally.upto:
        _add(tally, entry.body.get("uses", {}), -1)


def _outcome(tally: Tally, entry: Fresh) -> None:
    body = entry.body
    tally.reported[int(body["action"]), body["what"], int(body["occurred_at"])] = entry.seq
    if _counts(tally, entry.seq):
        tally.engaged.outcome(entry)


def _stop(tally: Tally, entry: Fresh) -> None:
    name = str(entry.body["stop"])
    tally.stops[name] = read_stop(entry.body)
    tally.numbered = max(tally.numbered, numbered(name))
    tally.changed += 1


def _hold(tally: Tally, entry: Fresh) -> None:
    tally.numbered = max(tally.numbered, numbered(str(entry.body["stop"])))
    if entry.hcp is not None:
        tally.held[entry.body["stop"]] = entry.hcp
        tally.changed += 1


def _start(tally: Tally, entry: Fresh) -> None:
    if entry.body["step"] == "yes":
        tally.stops.pop(entry.body["stop"], None)
        tally.held.pop(entry.body["stop"], None)
        tally.changed += 1


def _tombstone(tally: Tally, entry: Fresh) -> None:
    gone = bytes.fromhex(str(entry.body["hcp"]))
    tally.contacts.pop(gone, None)
    tally.engaged.forget(gone)
    for given in [given for given in tally.given.values() if given.hcp == gone]:
        tally.due.pop(given.entry, None)
        given.disposition = "lapsed" if given.disposition == "standing" else given.disposition


def _counts(tally: Tally, seq: int) -> bool:
    """Whether it is not in what is known: it came after, or is only noted."""
    return seq >= tally.upto or seq < 0


def _add(tally: Tally, uses: Mapping[str, Any], sign: int) -> None:
    for name, amount in uses.items():
        tally.used[name] = tally.used.get(name, 0) + sign * int(amount)


_READERS = {
    "cycle": _cycle,
    "action": _action,
    "declined": _declined,
    "standing": _standing,
    "event": _event,
    "acted": _acted,
    "refused": _refused,
    "outcome": _outcome,
    "stop": _stop,
    "downgrade": _stop,
    "hold": _hold,
    "start": _start,
    "tombstone": _tombstone,
}
