"""Reads a ledger and the lists in out/, and says what went wrong: written apart from the gateway, and asks nothing of it.

What it goes by: entries in the order of the log, the lists as they lie there, what workers noted that they were answered, and when people were told that
something was done.
"""

import csv
import json
import tomllib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from remit.ledger import Stored, read_ledger
from tests.soak.world import LAST

MICRO = 1_000_000
_SAYING = frozenset({"acted", "refused", "stop", "hold", "start"})
_SPANS = {"hour": 3_600_000_000, "day": 86_400_000_000, "week": 604_800_000_000}


@dataclass(frozen=True)
class Fault:
    """What is wrong: `stop`, `limit`, `lost`, `twice` or `opt-out`, and where."""

    kind: str
    says: str


@dataclass
class Act:
    """An action that the ledger holds."""

    seq: int
    cycle: str
    said: Mapping[str, Any]
    at: int
    uses: Mapping[str, int]
    contact: Any
    id: str | None
    deadline: int | None
    number: int
    refused: int | None = None
    acted: list[int] = field(default_factory=list)

    @property
    def hcp(self) -> str:
        return str(self.said["hcp_id"])


@dataclass
class Seen:
    """What stands in a ledger."""

    acts: dict[int, Act]
    declined: dict[str, list[int]]
    entries: list[tuple[int, str, Mapping[str, Any], str | None]]
    cycles: list[Stored]
    size: int = 0


def check(root: Path, journal: Path) -> tuple[list[Fault], Counter[str]]:
    """Every fault of a run in the workspace `root` whose notes lie in `journal`, and how much was looked at."""
    seen = _read(root / "ledger")
    lists = list(_lists(root / "out"))
    counted: Counter[str] = Counter(acts=len(seen.acts), entries=seen.size, rows=len(lists))
    faults = [
        *_twice(seen, lists, set(_taken_back(root / "out"))),
        *_lost(seen, journal, counted),
        *_stops(seen, lists, journal, counted),
        *_opt_outs(lists, journal, counted),
    ]
    for limit in YAML(typ="safe").load((root / "authority.yaml").read_text())["limits"]:
        faults += _limit(seen, limit, counted)
    return [*faults, *_contacts(seen, root, counted), *_capacity(seen, root, counted)], counted


def _read(ledger: Path) -> Seen:
    seen = Seen({}, defaultdict(list), [], [])
    began: dict[str, int] = {}
    with closing(read_ledger(ledger)) as records:
        for entry in records.entries():
            seen.size += 1
            if entry.kind in _SAYING:
                seen.entries.append((entry.seq, entry.kind, entry.body, entry.hcp_id))
            if entry.kind == "cycle":
                seen.cycles.append(entry)
                began[entry.cycle] = int(entry.body["now"])
            elif entry.kind == "action" and entry.payload is not None:
                seen.acts[entry.seq] = _act(entry, entry.payload)
            elif entry.kind == "declined":
                seen.declined[entry.body["id"]].append(entry.seq)
    for act in seen.acts.values():
        act.at = act.at or began[act.cycle]  # the entry of a cycle comes after its actions
    for seq, kind, body, _ in seen.entries:
        if kind == "acted":
            for action in body["actions"]:
                if action in seen.acts:
                    seen.acts[action].acted.append(seq)
        if kind == "refused" and int(body["action"]) in seen.acts:
            seen.acts[int(body["action"])].refused = seq
    return seen


def _act(entry: Stored, payload: Mapping[str, Any]) -> Act:
    body, call = entry.body, payload["selection"]["call_number"]
    said, of = payload["proposal"], payload["context"]
    between = "id" in body
    contact = entry.seq if between or call == 0 else (entry.cycle, said["channel"], said["purpose"], of["territory"], call)
    deadline = int(body["deadline"]) if "deadline" in body else None
    return Act(entry.seq, entry.cycle, said, int(body.get("at", 0)), of["uses"], contact, body.get("id"), deadline, payload["number"])


def _lists(out: Path) -> Iterator[tuple[Path, str]]:
    """Every row of every list that a channel reads, by the decision it names."""
    for path in sorted(out.rglob("*.csv")):
        if not path.name.startswith(("recall", "notice")):
            with path.open() as file:
                yield from ((path, row["decision"]) for row in csv.DictReader(file))


def _taken_back(out: Path) -> Iterator[str]:
    """The decisions that recalls say they took out of lists."""
    for path in out.rglob("recall-*.csv"):
        with path.open() as file:
            yield from (row["decision"] for row in csv.DictReader(file) if row["taken_back"] == "yes")


def _twice(seen: Seen, lists: Sequence[tuple[Path, str]], taken_back: set[str]) -> Iterator[Fault]:
    by_name = {f"{act.cycle}/{act.number}": act for act in seen.acts.values()}
    for act in seen.acts.values():
        if len(act.acted) > 1:
            yield Fault("twice", f"action {act.seq} was acted on by the entries {act.acted}")
        if act.acted and act.refused is not None:
            yield Fault("twice", f"action {act.seq} was acted on and refused")
    refusals = Counter(int(body["action"]) for _, kind, body, _ in seen.entries if kind == "refused")
    yield from (Fault("twice", f"action {action} was refused {times} times") for action, times in refusals.items() if times > 1)
    listed = Counter(decision for _, decision in lists)
    yield from (Fault("twice", f"{decision} stands in {times} rows of lists") for decision, times in listed.items() if times > 1)
    for decision in listed:
        if decision not in by_name or not by_name[decision].acted:
            yield Fault("twice", f"{decision} stands in a list, and the ledger does not say that it was handed over")
    there = listed.keys() | taken_back
    yield from (Fault("lost", f"{name} was handed over, and stands in no list") for name, act in by_name.items() if act.acted and name not in there)
    yield from (Fault("twice", f"{name} was taken back, and stands in a list") for name in listed.keys() & taken_back)
    ids = Counter(act.id for act in seen.acts.values() if act.id) + Counter({name: len(found) for name, found in seen.declined.items()})
    yield from (Fault("twice", f"the proposal {name} was decided {times} times") for name, times in ids.items() if times > 1)


def _lost(seen: Seen, journal: Path, counted: Counter[str]) -> Iterator[Fault]:
    acts, last = {act.id: act for act in seen.acts.values() if act.id}, int(seen.cycles[-1].body["now"])
    told: dict[str, tuple[str, int]] = {}
    for said in _answers(journal):
        counted["answers"] += 1
        counted[said.get("disposition", "rejected")] += 1
        counted[f"after: {said.get('after')}"] += 1
        if "id" not in said:  # of an HCP who is not on file any more
            if "does not reach this HCP" not in said["error"]:
                yield Fault("lost", f"attempt {said['number']} was not taken: {said['error']}")
        elif told.setdefault(said["key"], (said["id"], said["entry"])) != (said["id"], said["entry"]):
            yield Fault("twice", f"the key {said['key']} was answered as {told[said['key']]} and as {said['id'], said['entry']}")
    counted["keys"] = len(told)
    for key, (name, entry) in told.items():
        act = acts.get(name)
        if (entry not in seen.declined.get(name, [])) if act is None else act.seq != entry:
            yield Fault("lost", f"the key {key} was answered, and entry {entry} does not hold it")
        elif act is not None and not act.acted and act.refused is None and not (act.deadline is not None and act.deadline > last):
            yield Fault("lost", f"the key {key} has no end: neither handed over nor refused")


def _stops(seen: Seen, lists: Sequence[tuple[Path, str]], journal: Path, counted: Counter[str]) -> Iterator[Fault]:
    """By the order of the log: nothing within a stop is chosen or acted on between its entry and that of its end."""
    ends = {str(body["stop"]): seq for seq, kind, body, _ in seen.entries if kind == "start" and body["step"] == "yes"}
    begun = [(seq, body, hcp) for seq, kind, body, hcp in seen.entries if kind in ("stop", "hold")]
    counted["stops"] = len(begun)
    for since, body, hcp in begun:
        scope, of, until = str(body.get("scope", "hcp")), str(body.get("of", hcp)), ends.get(str(body["stop"]), 1 << 62)
        says = f"while {body['stop']} ({scope} {of}) stood at {since}"
        for act in seen.acts.values():
            if _within(act, scope, of, seen):
                if act.id is not None and since < act.seq < until:
                    yield Fault("stop", f"action {act.seq} was chosen {says}")
                yield from (Fault("stop", f"action {act.seq} was acted on by {at}, {says}") for at in act.acted if since < at < until)
    yield from _acknowledged(seen, lists, journal)


def _acknowledged(seen: Seen, lists: Sequence[tuple[Path, str]], journal: Path) -> Iterator[Fault]:
    """By the clock of the wall: no list is written, and nothing that is asked is chosen, after a stop was acknowledged and before its end was begun."""
    began = {event["name"]: event["began"] for event in _events(journal) if event["what"] == "start"}
    by_name = {f"{act.cycle}/{act.number}": act for act in seen.acts.values()}
    by_id = {act.id: act for act in seen.acts.values() if act.id}
    written = [(path.stat().st_mtime_ns, by_name[decision], path) for path, decision in lists if decision in by_name]
    chosen = [said for said in _answers(journal) if said.get("disposition") == "chosen" and said["id"] in by_id]
    chosen.sort(key=lambda said: int(said["sent"]))
    for event in _events(journal):
        if event["what"] == "stop":
            since, until, scope, of = event["acknowledged"], began.get(event["name"], 1 << 62), event["scope"], event["of"]
            late = [f"{path.name} of {act.cycle}/{act.number}" for at, act, path in written if since < at < until and _within(act, scope, of, seen)]
            for said in chosen[bisect_right(chosen, since, key=lambda said: int(said["sent"])) :]:
                if said["answered"] < until and _within(by_id[said["id"]], scope, of, seen):
                    late.append(f"the answer to {said['id']}")
            yield from (Fault("stop", f"{each} came after {event['name']} ({scope} {of}) was acknowledged") for each in late)


def _answers(journal: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(journal.glob("worker-*.jsonl")):
        yield from map(json.loads, path.read_bytes().splitlines())


def _within(act: Act, scope: str, of: str, seen: Seen) -> bool:
    said = act.said
    if scope == "model":
        cycle = act.cycle.removesuffix(".between")
        return any(of in (entry.body["models"]["response"], entry.body["models"]["lead-score"]) for entry in seen.cycles if entry.cycle == cycle)
    if scope in ("everything", "market"):
        return True
    return bool(said[{"agent": "agent", "product": "product", "channel": "channel", "content": "content_id", "hcp": "hcp_id"}[scope]] == of)


def _opt_outs(lists: Sequence[tuple[Path, str]], journal: Path, counted: Counter[str]) -> Iterator[Fault]:
    """No list with promotion for a physician is written once the opt-out was loaded."""
    rows: dict[str, list[Path]] = defaultdict(list)
    for path in {path for path, _ in lists}:
        with path.open() as file:
            for row in csv.DictReader(file):
                if row["channel"] in ("email", "call"):
                    rows[row["hcp_id"]].append(path)
    for event in _events(journal):
        if event["what"] == "out":
            counted["opt-outs"] += 1
            late = [path for path in rows[event["hcp"]] if path.stat().st_mtime_ns > event["acknowledged"]]
            yield from (Fault("opt-out", f"{path.parent.name}/{path.name} was written after the opt-out of {event['hcp']} was loaded") for path in late)


def _events(journal: Path) -> list[dict[str, Any]]:
    path = journal / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _in_order(seen: Seen) -> Iterator[tuple[int, Act, int]]:
    """Actions as they were made (+1) and refused (-1), in the order of the log."""
    steps = [(act.seq, act, 1) for act in seen.acts.values()]
    steps += [(act.refused, act, -1) for act in seen.acts.values() if act.refused is not None]
    return iter(sorted(steps, key=lambda step: step[0]))


def _limit(seen: Seen, limit: Mapping[str, Any], counted: Counter[str]) -> Iterator[Fault]:
    """Counts everything under a limit anew, action by action, as it stood when each was recorded."""
    span = None if limit["within"] == "ever" else int(str(limit["within"]).split()[0]) * _SPANS[str(limit["within"]).split()[1].rstrip("s")]
    where = {name: [value] if isinstance(value, str) else value for name, value in limit.get("where", {}).items()}
    per, most = limit.get("per", []), round(float(limit["most"]) * MICRO)
    held: dict[tuple[str, ...], dict[int, tuple[int, int]]] = defaultdict(dict)
    contacts: dict[Any, set[int]] = defaultdict(set)
    for _, act, sign in _in_order(seen):
        if any(act.said[name] not in allowed for name, allowed in where.items()):
            continue
        key = tuple(str(act.said["hcp_id" if name == "hcp" else name]) for name in per)
        amounts = held[key]
        if sign < 0:
            amounts.pop(act.seq, None)
            contacts[act.contact].discard(act.seq)
            continue
        opened = bool(contacts[act.contact])
        contacts[act.contact].add(act.seq)
        amount = MICRO if limit["of"] == "actions" else int(not opened) * MICRO if limit["of"] == "contacts" else int(act.uses.get(limit["of"], 0))
        if not amount:
            continue
        if span is not None:  # a day more than the span is kept: the clock may be set back
            for seq in [seq for seq, (at, _) in amounts.items() if at <= act.at - span - _SPANS["day"]]:
                del amounts[seq]
        amounts[act.seq] = act.at, amount
        total = sum(much for at, much in amounts.values() if span is None or at > act.at - span)
        counted[f"most of {limit['id']}"] = max(counted[f"most of {limit['id']}"], total)
        if total > most:
            yield Fault("limit", f"with action {act.seq} the limit {limit['id']} of {'/'.join(key) or 'all'} stands at {total / MICRO:g} of {most / MICRO:g}")


def _contacts(seen: Seen, root: Path, counted: Counter[str]) -> Iterator[Fault]:
    """An HCP's contacts in a cycle, in all and by channel, and an agent's actions on one about a product."""
    settings = _settings(root)
    had: dict[tuple[str, ...], set[Any]] = defaultdict(set)
    for _, act, sign in _in_order(seen):
        cycle = act.cycle.removesuffix(".between")
        caps = [((cycle, act.hcp), settings["per_cycle"]), ((cycle, act.hcp, str(act.said["channel"])), settings["channels"][act.said["channel"]])]
        if act.id is not None:
            caps.append(((cycle, act.hcp, act.said["agent"], act.said["channel"], act.said["product"]), settings["agents"][act.said["agent"]]))
        for key, most in caps:
            (had[key].add if sign > 0 else had[key].discard)(act.contact if len(key) < 5 else act.seq)
            counted["most contacts"] = max(counted["most contacts"], len(had[key])) if len(key) == 2 else counted["most contacts"]
            if sign > 0 and len(had[key]) > most and cycle >= "cycle-0003":
                yield Fault("limit", f"with action {act.seq} {' '.join(key)} has {len(had[key])} of {most}")


def _settings(root: Path) -> dict[str, Any]:
    said = tomllib.loads((root / "remit.toml").read_text())
    charters = [YAML(typ="safe").load(path.read_text()) for path in (root / "agents").glob("*.yaml")]
    channels = {name: channel["most_per_hcp"] for name, channel in said["channels"].items()}
    return {"per_cycle": said["contacts"]["per_cycle"], "channels": channels, "agents": {each["agent"]: each["most_per_hcp"] for each in charters}}


def _capacity(seen: Seen, root: Path, counted: Counter[str]) -> Iterator[Fault]:
    """What was taken of each resource of which `more.csv` says how much there is, and from when."""
    with (root / "feeds" / "resources" / "more.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["valid_to"] == LAST]
    for row in rows:
        name, since, taken = row["resource"], round(datetime.fromisoformat(row["valid_from"]).timestamp() * MICRO), 0
        for _, act, sign in _in_order(seen):
            if act.at >= since and act.uses.get(name):
                taken += sign * int(act.uses[name])
                if sign > 0 and taken > round(float(row["capacity"]) * MICRO):
                    yield Fault("limit", f"with action {act.seq} {taken / MICRO:g} of {name} are taken, and there are {row['capacity']}")
        counted[f"taken of {name}"] = taken
