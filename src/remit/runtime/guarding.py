"""Guards in a workspace: what a run looks at before it decides, and what follows a guard that has tripped, there or between cycles."""

from collections.abc import Callable, Mapping
from typing import Any

from remit.authority import Guard, Table
from remit.gateway.door import ELSEWHERE
from remit.gateway.guarding import KINDS, Figure, Watch, numbered, passed, tripped
from remit.ledger import Ledger, Records
from remit.runtime import holdouts, stopping
from remit.runtime.cycles import newest
from remit.runtime.enrolment import enrolled
from remit.runtime.workspace import Config, Workspace
from remit.terms.encoding import MICRO

_LEVEL = 0.9
"""Of the intervals by which an outcome lies below its floor."""


def watch_at(ledger: Records, table: Table, upto: int) -> Callable[[], Watch]:
    """Makes the guards of a table as the log's first `upto` entries leave them, each time anew."""
    entries = [entry for entry in ledger.fresh(0, KINDS) if entry.seq < upto] if table.guards else []

    def made() -> Watch:
        watch = Watch(table.guards)
        watch.take(entries)
        return watch

    return made


def trip(workspace: Workspace, ledger: Ledger, config: Config, table: Table, now: int) -> list[str]:
    """Records what the table's guards stop or downgrade by what the log and the warehouse show at `now`, and does what follows; also of every stop since the
    last cycle where it was broken off. Says by which names."""
    watch = watch_at(ledger, table, ledger.size)()
    found = watch.due(now)
    for guard in watch.standing():
        figure = _SEEN[guard.on](workspace, ledger, config, guard, now) if guard.on in _SEEN else None
        found += [] if figure is None else [(guard, figure)]
    names = []
    for guard, figure in found:
        size, known = ledger.size, stopping.highest(ledger)
        with ledger.turn(size) as turn:
            number = 1 + max([known, *(numbered(str(entry.body["stop"])) for entry in turn.fresh if entry.kind in stopping.MADE)])
            name, entry = tripped(guard, figure, number, now)
            turn.append(name, [entry], cycle=name)
        ledger.settle()
        names.append(name)
    for name in stopping.broken_off(ledger):
        stopping.follow(workspace, ledger, config, name, now)
    return names


def _failures(workspace: Workspace, records: Records, config: Config, guard: Guard, now: int) -> Figure | None:
    del workspace, config
    after, since = _started(records, guard), guard.since(now)
    cycles = {entry.cycle for entry in records.entries(kind="cycle") if entry.seq > after and int(entry.body["now"]) > since}
    failed = {entry.cycle for entry in records.entries(kind="failure") if entry.body["agent"] == guard.of and entry.cycle in cycles}
    return passed(guard, len(failed), len(cycles), "cycles in which it failed")


def _refusals(workspace: Workspace, records: Records, config: Config, guard: Guard, now: int) -> Figure | None:
    """Actions that were decided and refused at the door, against those that came there. What a person, the agent or a stop refused is none of them."""
    del workspace
    after, since = _started(records, guard), guard.since(now)
    recorded = [entry for kind in ("refused", "acted") for entry in records.entries(kind=kind) if entry.seq > after and int(entry.body["at"]) > since]
    refused = {int(entry.body["action"]) for entry in recorded if entry.kind == "refused" and _at_the_door(entry.body)}
    came = refused | {int(seq) for entry in recorded if entry.kind == "acted" for seq in entry.body["actions"]}
    guarded = stopping.within(guard.scope, guard.of, config, records)
    inside = {action.seq for action in records.some(came) if action.payload is not None and guarded(action, action.payload)}
    return passed(guard, len(refused & inside), len(inside), "refused at the door")


def _at_the_door(body: Mapping[str, Any]) -> bool:
    reason = str(body["reason"])
    stopped = any(f" {kind}-" in reason for kind in ("stop", "downgrade"))
    return not ({"role", "because"} & body.keys()) and not stopped and (reason == ELSEWHERE or reason.startswith(("forbidden: ", "confirm: ")))


def _drift(workspace: Workspace, records: Records, config: Config, guard: Guard, now: int) -> Figure | None:
    """What the last cycle's watch asked for."""
    del workspace, config, now
    last = newest(records)
    if last is None or last.seq < _started(records, guard):
        return None
    asked = {name: str(each["asks"]) for name, each in last.body.get("watch", {}).items() if guard.model in ("", name)}
    found = sorted(name for name, asks in asked.items() if asks in guard.asks)
    said = ", ".join(f"the drift of {name} asks to {asked[name]}" for name in found)
    return Figure({"models": len(found)}, f"{guard.id}: {said} in {last.cycle}") if found else None


def _outcome(workspace: Workspace, records: Records, config: Config, guard: Guard, now: int) -> Figure | None:
    """What acting changed, where the whole interval of the last look lies below the floor; after a start, once as many periods more have settled."""
    del now
    last = newest(records)
    if config.settings.holdout is None or last is None or enrolled(records, config.settings, records.size).is_empty():
        return None
    seen = [
        int(entry.body["figure"].get("periods", 0))
        for kind in ("stop", "downgrade")
        for entry in records.entries(kind=kind)
        if entry.body.get("guard") == guard.id
    ]
    looks = [look for look in _looks(holdouts.shown(workspace, _LEVEL), guard) if look["periods"] >= guard.least + max(seen, default=0)]
    if not looks or round(max(look["high"] for look in looks) * MICRO) >= guard.floor:
        return None
    best = max(looks, key=lambda look: float(look["high"]))
    numbers = {name: round(best[name] * MICRO) for name in ("effect", "low", "high")} | {"periods": int(best["periods"])}
    says = f"what acting changed is {best['low']:.4f} to {best['high']:.4f} per physician and period after {best['periods']} periods"
    return Figure(numbers, f"{guard.id}: {says}, below {guard.floor / MICRO:g}")


def _looks(shown: Mapping[str, Any], guard: Guard) -> list[Mapping[str, Any]]:
    """The last look of each product that the guard speaks of."""
    if guard.scope == "product":
        lifts = [each for each in shown["products"] if each["product"] == guard.of]
    else:
        lifts = [row["lift"] for each in shown["products"] for row in each["channels"] if row["channel"] == guard.of and row["lift"] is not None]
    return [each["looks"][-1] for each in lifts if each["looks"]]


def _started(records: Records, guard: Guard) -> int:
    """The number of the entry by which two people last started what this guard had stopped; -1 if it never was."""
    names = {entry.body["stop"] for kind in ("stop", "downgrade") for entry in records.entries(kind=kind) if entry.body.get("guard") == guard.id}
    return max((entry.seq for entry in records.entries(kind="start") if entry.body["stop"] in names and entry.body["step"] == "yes"), default=-1)


_SEEN = {"failures": _failures, "refusals": _refusals, "drift": _drift, "outcome": _outcome}
