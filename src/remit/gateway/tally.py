"""What has happened between cycles, folded from the entries of the log: contacts, capacity given out, answers given, stops. Nothing else counts.

INVARIANT (counted in the turn that decides): whoever decides holds the log still, takes in all that others recorded before, and records in the same turn; so
two workers cannot both take the last one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.authority import Stop, read_stop
from remit.gateway.counting import Counts, Made
from remit.gateway.guarding import Watch, numbered
from remit.ledger import Fresh

RENEWS = frozenset({"cycle", "rights", "signoff", "model", "tombstone"})
"""Kinds of entries after which what is known must be taken anew."""


@dataclass(slots=True)
class Given:
    """What an agent was answered: its proposal's id, what became of it, and the digest of what it asked."""

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

    @property
    def made(self) -> Made:
        """What it counts for: an action that is a contact of its own."""
        return Made(self.at, self.agent, self.channel, self.product, self.purpose, 1, 1, self.uses)


@dataclass(slots=True)
class Tally:
    """Counted since `upto`: entries below it are in what is known. `contacts` (at, channel) and `held` by the HCP's reference, `touches` by (reference, agent,
    channel, product), `used` micro-units by resource, `counts` against the table's limits, `given` by proposal id, `due` the entries to be acted on, `watch`
    the guards, `numbered` the highest number of a stop."""

    upto: int
    seq: int = 0
    contacts: dict[bytes, list[tuple[int, str]]] = field(default_factory=dict)
    touches: dict[tuple[bytes, str, str, str], int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    by_entry: dict[int, str] = field(default_factory=dict)
    due: dict[int, str] = field(default_factory=dict)
    stops: dict[str, Stop] = field(default_factory=dict)
    held: dict[str, bytes] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    watch: Watch = field(default_factory=Watch)
    numbered: int = 0
    renewed: bool = False
    changed: int = 0

    def note(self, entries: Iterable[Fresh]) -> None:
        """Takes in what is about to be recorded, under numbers of its own below nothing, until `settle` says the real ones."""
        for entry in entries:
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
            if entry.seq >= self.upto:
                self.watch.take([entry])
            reader = _READERS.get(entry.kind)
            if reader is not None:
                reader(self, entry)


def _action(tally: Tally, entry: Fresh) -> None:
    body = entry.body
    if "id" not in body:  # of a cycle, which is in what is known
        return
    given = _given(entry, "waiting" if "deadline" in body else "chosen")
    tally.given[given.id], tally.by_entry[entry.seq] = given, given.id
    if "deadline" not in body:
        tally.due[entry.seq] = given.id
    if _counts(tally, entry.seq):
        tally.counts.add(given.made, entry.hcp)
    if _counts(tally, entry.seq) and entry.hcp is not None:
        tally.contacts.setdefault(entry.hcp, []).append((given.at, body["channel"]))
        _add(tally, given.uses, 1)
    _touch(tally, given, 1)


def _touch(tally: Tally, given: Given, sign: int) -> None:
    if given.hcp is not None:
        key = (given.hcp, given.agent, given.channel, given.product)
        tally.touches[key] = tally.touches.get(key, 0) + sign


def _cycle(tally: Tally, entry: Fresh) -> None:
    del entry
    tally.touches.clear()  # they are counted in each cycle anew


def _declined(tally: Tally, entry: Fresh) -> None:
    given = _given(entry, str(entry.body["disposition"]))
    tally.given[given.id], tally.by_entry[entry.seq] = given, given.id


def _given(entry: Fresh, disposition: str) -> Given:
    body = entry.body
    said = (body["id"], body["agent"], disposition, body["asked"], entry.seq, int(body["at"]), body["channel"])
    return Given(*said, body.get("deadline"), body.get("uses", {}), entry.hcp, body["product"], body.get("purpose", ""))


def _acted(tally: Tally, entry: Fresh) -> None:
    for seq in entry.body["actions"]:
        tally.due.pop(seq, None)
        if seq in tally.by_entry:
            tally.given[tally.by_entry[seq]].disposition = "acted"


def _refused(tally: Tally, entry: Fresh) -> None:
    seq = int(entry.body["action"])
    tally.due.pop(seq, None)
    if seq in tally.by_entry:
        given = tally.given[tally.by_entry[seq]]
        given.disposition = "withdrawn" if entry.body.get("because") == "withdrawn" else "refused"
        _touch(tally, given, -1)
        if _counts(tally, given.entry):
            tally.counts.take_back(given.made, given.hcp)
        if _counts(tally, given.entry) and given.hcp is not None:
            tally.contacts[given.hcp].remove((given.at, given.channel))
    if entry.seq >= tally.upto:
        _add(tally, entry.body.get("uses", {}), -1)


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
    for given in [given for given in tally.given.values() if given.hcp == gone]:
        tally.due.pop(given.entry, None)


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
    "acted": _acted,
    "refused": _refused,
    "stop": _stop,
    "downgrade": _stop,
    "hold": _hold,
    "start": _start,
    "tombstone": _tombstone,
}
