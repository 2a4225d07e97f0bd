"""Decisions between cycles, each derived again from what the log says it was made from, and compared byte for byte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remit.authority import Table
from remit.gateway import Asked, Standing, Tally, decide, in_force
from remit.intake import replaced
from remit.ledger import Entry, Records, Stored
from remit.runtime import chartering
from remit.runtime.standing import Placed, place_at
from remit.runtime.workspace import Workspace, read_config, recall
from remit.terms.encoding import canonical

DECIDED = ("action", "declined")
"""The kinds of entries that hold a decision."""
_EVERY = "every decision between cycles, to the byte"
_REMAIN = "facts and verdicts of the HCPs that remain"


@dataclass(slots=True)
class _Found:
    """Decisions of a label: compared, of erased HCPs, recorded before it was kept what they were made from; and what differs."""

    rows: int = 0
    gone: int = 0
    unplaced: int = 0
    compared: str = _EVERY
    differs: dict[str, int] | None = None

    def differ(self, what: str) -> None:
        self.differs = self.differs or {}
        self.differs[what] = self.differs.get(what, 0) + 1


def decisions(records: Records, label: str) -> list[Stored]:
    """The decisions between cycles that the log holds under `label`, in its order."""
    return sorted((entry for kind in DECIDED for entry in records.entries(kind=kind, cycle=label) if "id" in entry.body), key=lambda entry: entry.seq)


def rederive(workspace: Workspace, records: Records, label: str, threads: int) -> dict[str, Any]:
    """Derives every decision of `label` again. Returns what was compared, what differs, and what is gone; it never trains, and writes nothing.

    A decision of an HCP who was erased is gone; where what was left, or what had been made under limits, was counted from an erased HCP's actions too, others
    are compared in facts and verdicts.
    """
    found, by_place = _Found(), dict[int, list[Stored]]()
    for entry in decisions(records, label):
        if "place" not in entry.body:
            found.unplaced += 1
        else:
            by_place.setdefault(int(entry.body["place"]), []).append(entry)
    for seq, entries in by_place.items():
        _of_place(workspace, records, records.entry(seq), entries, threads, found)
    differs = [f"{what} ({number}x)" for what, number in sorted((found.differs or {}).items())]
    return {"cycle": label, "compared": found.compared, "rows": found.rows, "gone": found.gone, "unplaced": found.unplaced, "differs": differs}


def _of_place(workspace: Workspace, records: Records, place: Stored, entries: Sequence[Stored], threads: int, found: _Found) -> None:
    body = place.body
    upto, now = int(body["inputs"]["log"]), int(body["now"])
    config = chartering.held_over(workspace, records, read_config(recall(workspace, body["inputs"]["config"])), upto)
    newer = replaced(workspace.warehouse)
    only = [newer.get(commitment, commitment) for commitment in body["inputs"]["warehouse"]]
    placed = place_at(workspace, config, records, upto, now, only, threads)
    erased = any(entry.seq >= upto for entry in records.entries(kind="tombstone"))
    differs = _placed_differs(placed, body)
    if differs and not erased:
        for what in differs:
            found.differ(what)
    whole = not (erased and "what was made under limits" in differs)
    if not whole:
        found.compared = _REMAIN
    standing = replace(placed.standing, place=place.seq, free={name: int(amount) for name, amount in body["free"].items()})
    _fold(records, standing, placed.fresh(), entries, found, whole=whole)


def _placed_differs(placed: Placed, body: Mapping[str, Any]) -> list[str]:
    standing = placed.standing
    found = {"table": standing.table.digest, "free": dict(standing.free), "made": placed.made}
    says = {"table": "the table", "free": "what was left of each resource", "made": "what was made under limits"}
    return [says[name] for name, value in found.items() if canonical({"": value}) != canonical({"": body[name]})]


def _fold(records: Records, standing: Standing, tally: Tally, entries: Sequence[Stored], found: _Found, *, whole: bool) -> None:
    """Goes through the log as the clerk did: what each turn found, then its decisions in their order, each counted before the next."""
    mine, last = {entry.seq: entry for entry in entries}, max(entry.seq for entry in entries)
    for turn in records.turns(tally.seq, last + 1):
        ours = sorted((entry for entry in turn if entry.seq in mine), key=lambda entry: int(entry.body["number"]))
        tally.take(entry for entry in turn if entry.seq not in mine)
        table = in_force(standing, tally) if ours else standing.table
        for each in ours:
            _compare(standing, tally, table, mine[each.seq], found, whole=whole)
            tally.take([each])


def _compare(standing: Standing, tally: Tally, table: Table, entry: Stored, found: _Found, *, whole: bool) -> None:
    if entry.payload is None or entry.hcp is None:
        found.gone += 1
        return
    found.rows += 1
    body, context = entry.body, entry.payload["context"]
    charter = standing.charters.get(body["agent"])
    if charter is None:
        found.differ("the charter")
        return
    beside: dict[str, Any] = {name: body[name] for name in ("event", "clock") if name in body}
    made = decide(_asked(context), charter, standing, table, tally, bytes.fromhex(entry.hcp), int(body["number"]), int(body["at"]), beside).entry
    for what in _differences(made, entry, whole=whole):
        found.differ(what)


def _asked(context: Mapping[str, Any]) -> Asked:
    """What the agent asked, from its own words among the facts."""
    facts = context["facts"]
    named = {name: facts[name] for name in ("hcp_id", "channel", "product", "communication_type", "value", "content_id")}
    return Asked(key=str(context["key"]), **named)


def _differences(made: Entry, entry: Stored, *, whole: bool) -> list[str]:
    """The parts in which a derived entry is not the recorded one; a fact that was not in the dictionary when it was recorded is left out."""
    was, payload = entry.payload or {}, dict(made.payload or {})
    context = dict(payload["context"])
    context["facts"] = {name: value for name, value in context["facts"].items() if name in was["context"]["facts"]}
    payload["context"] = context
    if whole:
        parts = {
            "kind": (made.kind, entry.kind),
            "body": (made.body, entry.body),
            **{f"`{name}`": (payload.get(name), was.get(name)) for name in payload | was},
        }
    else:
        parts = {"facts": (context["facts"], was["context"]["facts"]), "`verdict`": (payload["verdict"], was["verdict"])}
    return [f"{name} of a decision" for name, (ours, theirs) in parts.items() if canonical({"": ours}) != canonical({"": theirs})]
