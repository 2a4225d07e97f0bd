"""`remit replay`: a recorded cycle, derived again from its recorded inputs and compared byte for byte."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from remit.intake import replaced
from remit.ledger import Entry, Ledger, Records
from remit.models.bases import alike, dump_shared, load_shared
from remit.runtime import grouping, registry, stood, stopping, training, watching
from remit.runtime.carry import carry
from remit.runtime.cycle import DECISION_COLUMNS, Inputs, Result, cycle
from remit.runtime.cycles import cycle_body
from remit.runtime.enrolment import enrolled
from remit.runtime.inputs import Observed, Warehouse, assemble, known_contacts, observe
from remit.runtime.limiting import Room
from remit.runtime.record import SCHEMA, STREAM, action_entries, cycle_entry
from remit.runtime.run import Stage
from remit.runtime.workspace import Config, Workspace, read_config, recall
from remit.terms.charters import Charter
from remit.terms.encoding import canonical

_BY_HCP = tuple(name for name in DECISION_COLUMNS if name not in {"number", "disposition", "call_number", "position", "probability"})
"""What of a decision depends on its own HCP alone; the rest depends on everybody's."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a recorded cycle was given: its entry's `body` and `inputs` (with the configuration, models, warehouse segments `only`, what was `seen`, who was in
    which segment); `bases` as they were recorded (None: they were not), and whether HCPs were `erased` since."""

    body: dict[str, Any]
    config: Config
    models: training.Models
    only: list[str]
    seen: Observed
    members: pl.DataFrame
    bases: dict[str, Any] | None
    erased: bool
    inputs: Inputs


def restore(workspace: Workspace, records: Records, cycle_id: str, threads: int, charters: tuple[Charter, ...] = ()) -> Restored:
    """The inputs of `cycle_id` from its record; `charters` act beside those that were recorded, in place of those of their names. It never trains."""
    body = cycle_body(records, cycle_id)
    now, upto = int(body["now"]), int(body["inputs"]["log"])
    config = stopping.applied(read_config(recall(workspace, body["inputs"]["config"])), records, upto)
    names = {charter.agent for charter in charters}
    config = replace(config, charters=(*(charter for charter in config.charters if charter.agent not in names), *charters))
    only = _segments(workspace, body)
    models = training.load(workspace, body["models"])
    source = Warehouse(workspace, only)
    stated = dict(source.state("resources", now).select("resource", "valid_from").iter_rows())
    carried = carry(records, upto, now, config.settings, stated, config.table(now).limits)
    seen, erased = observe(source, config.settings, now), any(entry.seq >= upto for entry in records.entries(kind="tombstone"))
    bases: dict[str, Any] | None = None
    if "bases" in body["inputs"]:
        bases = json.loads(recall(workspace, {"bases": body["inputs"]["bases"]})["bases"])
        seen = replace(seen, shared=load_shared(bases))
    draws, members = enrolled(records, config.settings, upto, cycle_id), grouping.recorded(records, upto, cycle_id)
    inputs = assemble(source, seen, config, models, carried, draws, members, now, threads, watching.asked(body.get("watch", {})))
    return Restored(body, config, models, only, seen, members, bases, erased, inputs)


def room_at(workspace: Workspace, records: Records, body: Mapping[str, Any]) -> Room:
    """What limits per HCP were counted from in the cycle with this `body`; what all others left stands in its plans."""
    now, upto = int(body["now"]), int(body["inputs"]["log"])
    config = read_config(recall(workspace, body["inputs"]["config"]))
    limits = config.table(now).limits
    if not any(limit.per_hcp for limit in limits):
        return Room(limits, now=now)
    source = Warehouse(workspace, _segments(workspace, body))
    carried = carry(records, upto, now, config.settings, {}, limits)
    return Room(limits, known_contacts(source.read("touches", now), carried.contacts, carried.agents), now=now)


def _segments(workspace: Workspace, body: Mapping[str, Any]) -> list[str]:
    """The warehouse segments that a cycle read, those that an erasure has replaced by what replaced them."""
    newer = replaced(workspace.warehouse)
    return [newer.get(commitment, commitment) for commitment in body["inputs"]["warehouse"]]


def replay(workspace: Workspace, ledger: Ledger, cycle_id: str, threads: int, stage: Stage) -> dict[str, Any]:
    """Derives `cycle_id` again. Returns what was compared, what differs, and what is gone.

    Where inputs were erased, the joint choice cannot be derived again; then proposals, facts and verdicts of everybody else are compared, from what their
    bases took from everybody as it was recorded. It never trains, and writes nothing.
    """
    restored = restore(workspace, ledger, cycle_id, threads)
    body, config, models, seen, members, bases = restored.body, restored.config, restored.models, restored.seen, restored.members, restored.bases
    upto = int(body["inputs"]["log"])
    result = cycle(restored.inputs, stage)
    stage("compare")
    found = [ledger.read_segment(segment) for segment in ledger.segments(cycle_id, STREAM)]
    recorded = pl.concat([each.frame for each in found]) if found else result.decisions.clear()
    gone = sum(len(each.gone) for each in found)
    if gone or _carried_are_gone(ledger, upto):
        differs = _compare_each(result, recorded)
        return {
            "cycle": cycle_id,
            "compared": "proposals, facts and verdicts of the HCPs that remain",
            "rows": recorded.height,
            "gone": gone,
            "differs": differs,
        }
    watched = _watched(workspace, ledger, body, config, models, restored.only, upto)
    left = stood.numbers(result, restored.inputs), stood.not_taken(result, restored.inputs)
    differs = _compare_all(ledger, cycle_id, body, result, recorded, config, threads, watched, grouping.named(models, members), left)
    if bases is not None and not restored.erased and not alike(bases, dump_shared(models.shared(seen.features, seen.panel))):
        differs.append("what bases take from everybody")
    if models.segments is not None and not restored.erased:
        again = grouping.placed(models, seen.features, config.settings, grouping.recorded(ledger, upto))
        differs += [] if grouping.moved(again, members).is_empty() else ["who is in which segment"]
    return {"cycle": cycle_id, "compared": "every decision, price and action, to the byte", "rows": recorded.height, "gone": 0, "differs": differs}


def _carried_are_gone(ledger: Ledger, upto: int) -> bool:
    """Whether an erasure since the cycle has taken an earlier action that the cycle counted, or an event that it knew."""
    since = {str(entry.body["hcp"]) for entry in ledger.entries(kind="tombstone") if entry.seq >= upto}
    return bool(since) and any(each.hcp in since for kind in ("action", "event") for each in ledger.entries(kind=kind) if each.seq < upto)


def _compare_each(result: Result, recorded: pl.DataFrame) -> list[str]:
    again = result.decisions.filter(pl.col("hcp_id").is_in(recorded["hcp_id"].unique().implode()))
    kept = [name for name in _BY_HCP if name in recorded.columns]
    return [f"column `{name}`" for name in kept if not again[name].equals(recorded[name].cast(again[name].dtype), null_equal=True)]


def _watched(workspace: Workspace, ledger: Ledger, body: dict[str, Any], config: Config, models: training.Models, only: list[str], upto: int) -> dict[str, Any]:
    """What the models showed, derived again; nothing where the cycle did not watch them, or an erasure since has taken rows they were watched by."""
    if "watch" not in body or any(entry.seq >= upto for entry in ledger.entries(kind="tombstone")):
        return {}
    evidence = {name: each["evidence"] for name, each in body["watch"].items() if each["evidence"]}
    return {"watch": registry.watch(workspace, config.settings, ledger, upto, models, int(body["now"]), evidence=evidence, only=only)}


def _compare_all(
    ledger: Ledger,
    cycle_id: str,
    body: dict[str, Any],
    result: Result,
    recorded: pl.DataFrame,
    config: Config,
    threads: int,
    watched: dict[str, Any],
    groups: Mapping[str, str],
    left: tuple[Mapping[int, int], list[Entry]],
) -> list[str]:
    again = result.decisions.select(recorded.columns)  # facts that came into the dictionary since were not recorded then
    differs = [f"column `{name}`" for name in again.columns if again.height != recorded.height or not again[name].equals(recorded[name], null_equal=True)]
    if differs:
        return differs
    # The same rows make the same files, so nothing is written.
    written = ledger.write_segments(again.drop("number"), cycle=cycle_id, stream=STREAM, schema=SCHEMA, workers=threads)
    actions = action_entries(result, int(body["now"]), config.settings, config.charters, groups, left[0])
    given = ("now", "seed", "inputs", "models", "table", *(["watch"] if "watch" in body else []))
    fresh = cycle_entry(result, {name: body[name] for name in given} | watched, written, actions)
    for purpose, plan in body["plans"].items():
        if "displaces" not in plan and purpose in fresh.body["plans"]:  # recorded before it was kept who displaces whom
            fresh.body["plans"][purpose].pop("displaces")
    unkept = {"made"} - body.keys()  # recorded before sums were kept
    differs += [
        f"`{name}` of the cycle" for name in fresh.body if name not in unkept and canonical({name: fresh.body[name]}) != canonical({name: body.get(name)})
    ]
    for kind, again_made in (("action", actions), ("declined", left[1])):
        held = {canonical({"body": each.body, "payload": each.payload}) for each in ledger.entries(kind=kind, cycle=cycle_id) if not each.gone}
        derived = {canonical({"body": each.body, "payload": each.payload}) for each in again_made}
        differs += [f"{len(held ^ derived)} entries `{kind}`"] if held != derived else []
    return differs
