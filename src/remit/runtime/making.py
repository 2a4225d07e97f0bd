"""What was made under a table's limits: the sums that a cycle's entry keeps in the clear, which name nobody, and what the log holds of them later."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from remit.authority import Limit
from remit.gateway import Made, between
from remit.ledger import Entry, Records, Stored

_CELL = ("agent", "channel", "product", "purpose")


def sums(actions: Iterable[Entry]) -> list[dict[str, Any]]:
    """What these actions come to per agent, channel, product and purpose: `actions`, `contacts` (a call once, where its first detail counts), and what they
    `uses` of each resource (micro-units)."""
    return _summed(action.payload for action in actions if action.payload is not None)


def made(records: Records, upto: int, limits: Sequence[Limit], now: int) -> tuple[Made, ...]:
    """What the log's first `upto` entries hold of actions that count at `now` under limits which are not per HCP, and were not refused."""
    starts = [limit.since(now) for limit in limits if not limit.per_hcp]
    if not starts:
        return ()
    since = None if None in starts else min(start for start in starts if start is not None)
    refused = {int(entry.body["action"]) for entry in records.entries(kind="refused") if entry.seq < upto}
    cycles = [entry for entry in records.entries(kind="cycle") if entry.seq < upto]
    ends = [*(int(entry.body["now"]) for entry in cycles[1:]), now]
    found: list[Made] = []
    for cycle, end in zip(cycles, ends, strict=False):
        at = int(cycle.body["now"])
        if since is None or at > since:
            found += _of_cycle(records, cycle, at, refused)
        if since is None or end > since:
            found += _between(records, cycle.cycle, upto, refused)
    return tuple(found)


def _of_cycle(records: Records, cycle: Stored, at: int, refused: set[int]) -> Iterator[Made]:
    cells = cycle.body.get("made")
    if cells is None:  # recorded before sums were kept
        cells = _summed(action.payload for action in records.entries(kind="action", cycle=cycle.cycle) if action.payload is not None)
    yield from (Made(at=at, **cell) for cell in cells)
    batch = records.appended(cycle.cycle)
    own = [] if batch is None else sorted(seq for seq in refused if batch.first <= seq < batch.size)
    for seq in own:
        action = records.entry(seq)
        if action.payload is not None:  # of an HCP erased since, it stays counted
            uses = {name: -int(amount) for name, amount in action.payload["context"]["uses"].items()}
            yield Made(at, *_cell(action.payload), actions=-1, contacts=-_contact_gone(records, action, action.payload, refused), uses=uses)


def _contact_gone(records: Records, action: Stored, payload: Mapping[str, Any], refused: set[int]) -> int:
    """A call's contact counts where its first detail does, and is gone only with all of its details."""
    if not _opens(payload):
        return 0
    if payload["selection"]["call_number"] == 0:
        return 1
    about = records.entries(kind="action", cycle=action.cycle, hcp_id=str(payload["hcp_id"]))
    details = [each.seq for each in about if each.payload is not None and _call(each.payload) == _call(payload)]
    return int(all(seq in refused for seq in details))


def _between(records: Records, cycle: str, upto: int, refused: set[int]) -> Iterator[Made]:
    for action in records.said("action", between(cycle)):
        if action.seq < upto and action.seq not in refused:
            body = action.body
            yield Made(int(body["at"]), body["agent"], body["channel"], body["product"], body["purpose"], 1, 1, body["uses"])


def _summed(payloads: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    cells: dict[tuple[str, ...], dict[str, Any]] = {}
    for payload in payloads:
        cell = cells.setdefault(_cell(payload), {"actions": 0, "contacts": 0, "uses": {}})
        cell["actions"] += 1
        cell["contacts"] += int(_opens(payload))
        for name, amount in payload["context"]["uses"].items():
            cell["uses"][name] = cell["uses"].get(name, 0) + int(amount)
    return [{**dict(zip(_CELL, key, strict=True)), **cells[key], "uses": dict(sorted(cells[key]["uses"].items()))} for key in sorted(cells)]


def _cell(payload: Mapping[str, Any]) -> tuple[str, str, str, str]:
    proposal = payload["proposal"]
    return proposal["agent"], proposal["channel"], proposal["product"], proposal["purpose"]


def _opens(payload: Mapping[str, Any]) -> bool:
    return bool(payload["selection"]["position"] <= 1)


def _call(payload: Mapping[str, Any]) -> tuple[Any, ...]:
    return payload["proposal"]["channel"], payload["proposal"]["purpose"], payload["context"]["territory"], payload["selection"]["call_number"]
