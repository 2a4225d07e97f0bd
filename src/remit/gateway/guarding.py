"""Guards between cycles: what is reported of actions, counted against the table's guards in the turn that reads it, and the stop or downgrade that follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.authority import MACHINE, REPORTED, Guard
from remit.ledger import Entry, Fresh
from remit.terms.encoding import MICRO

STOP, DOWNGRADE = "remit.stop/1", "remit.downgrade/1"
KINDS = ("outcome", "stop", "downgrade", "start")
"""The entries that it is counted from."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a guard saw when it tripped: whole numbers by name, and a sentence."""

    numbers: Mapping[str, int]
    says: str


@dataclass(slots=True)
class Gauge:
    """Of a guard, the actions that were reported on and those with a report `against` them, each with when that was last said, in the order of the log: what
    it shows does not depend on when it was looked at."""

    guard: Guard
    reported: dict[int, int] = field(default_factory=dict)
    against: dict[int, int] = field(default_factory=dict)

    def note(self, body: Mapping[str, Any]) -> None:
        """Takes in a report; an action counts once, whatever is said of it how often."""
        if self.guard.covers(str(body["agent"]), str(body["product"]), str(body["channel"])):
            action, at = int(body["action"]), int(body["at"])
            against = body["what"] in REPORTED[self.guard.on]
            for said in (self.reported, self.against) if against else (self.reported,):
                said.pop(action, None)
                said[action] = at

    def shown(self, now: int) -> Figure | None:
        """What it shows at `now`, if that trips the guard."""
        since = self.guard.since(now)
        for said in (self.reported, self.against):
            while said and next(iter(said.values())) <= since:
                del said[next(iter(said))]
        return passed(self.guard, len(self.against), len(self.reported), " or ".join(REPORTED[self.guard.on]))


def passed(guard: Guard, against: int, cases: int, what: str) -> Figure | None:
    """The figure, where so many `against` of so many `cases` trip the guard. In whole numbers, so that it is the same everywhere."""
    span = "ever" if guard.since(0) == -1 else f"in {guard.within}"
    if guard.count is not None and against > guard.count:
        return Figure({"against": against, "cases": cases}, f"{guard.id}: {what} of {against} {span}, where at most {guard.count} may be")
    if guard.most is not None and cases >= max(1, guard.least) and against * MICRO > guard.most * cases:
        share = f"{against} of {cases} {span}, {against / cases:.1%} where at most {guard.most / MICRO:.1%} may be"
        return Figure({"against": against, "cases": cases}, f"{guard.id}: {what} of {share}")
    return None


@dataclass(slots=True)
class Watch:
    """All `guards` of a table: gauges of what is reported, and which have tripped and were not started again, by the name of their stop. INVARIANT (no
    flapping): one that has tripped stays so until people start it again, and then counts from there."""

    guards: tuple[Guard, ...] = ()
    gauges: dict[str, Gauge] = field(default_factory=dict)
    tripped: dict[str, str] = field(default_factory=dict)
    news: bool = True

    def take(self, entries: Iterable[Fresh]) -> None:
        """Takes in entries in their order; those of other kinds than `KINDS` say nothing here."""
        for entry in entries:
            if not self.guards or entry.kind not in KINDS:
                continue
            self.news, body = True, entry.body
            if entry.kind == "outcome":
                for guard in self.guards:
                    if guard.on in REPORTED:
                        self.gauges.setdefault(guard.id, Gauge(guard)).note(body)
            elif entry.kind == "start":
                self._start(entry)
            elif "guard" in body:
                self.tripped[str(body["stop"])] = str(body["guard"])

    def _start(self, entry: Fresh) -> None:
        guard = self.tripped.get(str(entry.body["stop"])) if entry.body["step"] == "yes" else None
        if guard is not None:
            del self.tripped[str(entry.body["stop"])]
            self.gauges.pop(guard, None)

    def standing(self) -> list[Guard]:
        """The guards that have not tripped."""
        return [guard for guard in self.guards if guard.id not in self.tripped.values()]

    def due(self, now: int) -> list[tuple[Guard, Figure]]:
        """The guards that what was reported trips at `now`."""
        if not self.news:
            return []
        self.news = False
        shown = [(guard, self.gauges[guard.id].shown(now)) for guard in self.standing() if guard.id in self.gauges]
        return [(guard, figure) for guard, figure in shown if figure is not None]


def tripped(guard: Guard, figure: Figure, number: int, at: int) -> tuple[str, Entry]:
    """The name and the entry of the stop or downgrade that a guard makes; `number` is one that no other has."""
    name = f"{'stop' if guard.then == 'stop' else 'downgrade'}-{number:04d}"
    body = {"stop": name, "scope": guard.scope, "of": guard.of, "by": MACHINE, "reason": figure.says, "at": at}
    body |= {"owner": guard.owner, "guard": guard.id, "figure": dict(figure.numbers)}
    if guard.then == "stop":
        return name, Entry("stop", STOP, body)
    return name, Entry("downgrade", DOWNGRADE, {**body, "roles": list(guard.roles), "deadline_us": guard.deadline_us, "on_timeout": guard.on_timeout})


def numbered(name: str) -> int:
    """The number in a stop's name."""
    return int(name.rpartition("-")[2])
