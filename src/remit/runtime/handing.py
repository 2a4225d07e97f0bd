"""Handing over: what the ledger holds is cleared at the door, given to the channels, and recorded as acted on."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import polars as pl

from remit.gateway import Delivery, Stopped, between, clear, deliver, handed_over, lists, refusal, take_back
from remit.ledger import Entry, Ledger, Records, Turn
from remit.runtime import grouping, stopping, training, watching
from remit.runtime.carry import carry
from remit.runtime.cycle import Inputs
from remit.runtime.enrolment import enrolled
from remit.runtime.inputs import Observed, Warehouse, assemble, observe
from remit.runtime.living import live_on
from remit.runtime.told import opt_outs, with_opt_outs
from remit.runtime.workspace import Config, Workspace, write_all
from remit.terms.charters import Charter
from remit.terms.proposals import Acted, Cleared, Recorded


def inputs_at(
    workspace: Workspace,
    config: Config,
    ledger: Records,
    models: training.Models,
    upto: int,
    draws: pl.DataFrame,
    seen: Observed,
    members: pl.DataFrame,
    now: int,
    threads: int,
    but: str | None = None,
    only: Collection[str] | None = None,
    drift: str | None = None,
) -> Inputs:
    """What a cycle at `now` is given after the log's first `upto` entries; the contact that the decision `but` asks for is not counted. `only` names the
    warehouse segments to read (None: all); `drift` is what that of the models asks for."""
    source = Warehouse(workspace, only)
    stated = dict(source.state("resources", now).select("resource", "valid_from").iter_rows())
    carried = carry(ledger, upto, now, config.settings, stated, config.table(now).limits)
    if but is not None:
        carried = replace(carried, contacts=carried.contacts.filter(pl.col("decision") != but))
    return assemble(source, seen, config, models, carried, draws, members, now, threads, drift)


def standing_inputs(
    workspace: Workspace,
    config: Config,
    ledger: Records,
    now: int,
    threads: int,
    but: str | None = None,
    upto: int | None = None,
    only: Collection[str] | None = None,
) -> Inputs:
    """What is known at `now` by the models of the last cycle, after the log's first `upto` entries (None: all), without the contact that the decision `but`
    asks for. `only` names the warehouse segments to read (None: all)."""
    upto = ledger.size if upto is None else upto
    last = max((entry for entry in ledger.entries(kind="cycle") if entry.seq < upto), key=lambda entry: entry.seq)
    draws = enrolled(ledger, config.settings, upto, last.cycle)
    seen, members = observe(Warehouse(workspace, only), config.settings, now), grouping.recorded(ledger, upto, last.cycle)
    models, drift = training.load(workspace, last.body["models"]), watching.asked(last.body.get("watch", {}))
    return inputs_at(workspace, config, ledger, models, upto, draws, seen, members, now, threads, but, only, drift)


def hand_over(
    workspace: Workspace, config: Config, ledger: Ledger, cycle_id: str, inputs: Inputs, stage: Callable[[str], None]
) -> tuple[tuple[Stopped, ...], tuple[tuple[str, int], ...]]:
    """Clears what the ledger holds, gives it to the channel, and records both; with nothing to hand over, that is recorded too."""
    now = inputs.known.now
    while True:
        stage("check at the door")
        size = ledger.size
        config = stopping.applied(config, ledger, size)
        consent = with_opt_outs(inputs.known.consent, opt_outs(ledger, size), config.settings.channels)
        known = replace(inputs.known, stopped=config.holds, consent=consent)
        cleared, stopped = clear(ledger, cycle_id, known, config.table(now), config.charters, config.people)
        stage("act")
        files = {name: data for channel in config.settings.channels.values() for name, data in lists(rows_of(cleared, channel.name), channel.list_by).items()}
        files |= lists(notices(cleared, config.charters), "owner")
        folder = workspace.out / cycle_id
        take_back(folder, {path.name for path in folder.glob("*.csv")} - files.keys())  # of an attempt that was not recorded
        deliveries = deliver(folder, files, write_all)
        if ledger.size == size:
            break
        # Something was recorded meanwhile, which may be a stop.
    entries = [_acted([Acted(action, "files", now) for action in cleared], deliveries, now)]
    entries += [refusal(item.recorded.entry, item.reason, now, now, _reserved(ledger, item)) for item in stopped]
    live_on(workspace, [*_approved_since(ledger, cycle_id), *(action.recorded for action in cleared)], now, stage)
    ledger.append(batch_of(cycle_id), entries, cycle=cycle_id, expected_size=size)
    return tuple(stopped), tuple((delivery.name, delivery.rows) for delivery in deliveries)


def hand_over_approved(workspace: Workspace, config: Config, held: Turn, cleared: Cleared, now: int) -> tuple[tuple[str, int], ...]:
    """Gives one approved action to its channel, in a folder of its own beside the lists of its cycle, and records it in the turn that is `held`."""
    cycle, entry = cleared.recorded.cycle, cleared.recorded.entry
    channel = config.settings.channels[cleared.recorded.chosen.judged.proposal.channel]
    files = lists(rows_of([cleared], channel.name), channel.list_by) | lists(notices([cleared], config.charters), "owner")
    deliveries = deliver(workspace.out / cycle / f"approved-{entry}", files, write_all)
    held.append(handed_over(cycle, entry), [_acted([Acted(cleared, "files", now)], deliveries, now)], cycle=cycle)
    return tuple((f"{cycle}/approved-{entry}/{delivery.name}", delivery.rows) for delivery in deliveries)


def take_back_unrecorded(workspace: Workspace, ledger: Ledger) -> None:
    """Removes lists that were written after one of the last two cycles, by a worker that ended before they were recorded as handed over. The caller holds the
    turn."""
    cycles = [entry.cycle for entry in ledger.entries(kind="cycle")]
    for label in map(between, cycles[-2:]):  # what was decided before them is due no more
        recorded = {str(min(entry.body["actions"])) for entry in ledger.entries(kind="acted", cycle=label)}
        for folder in (workspace.out / label).glob("*"):
            if folder.name.isdigit() and folder.name not in recorded:
                take_back(folder, [path.name for path in folder.glob("*.csv")])


def batch_of(cycle_id: str) -> str:
    """The batch that records that a cycle's actions were handed over."""
    return f"{cycle_id}:handed-over"


def _acted(acted: list[Acted], deliveries: tuple[Delivery, ...], now: int) -> Entry:
    files = {delivery.name: {"digest": delivery.digest, "rows": delivery.rows} for delivery in deliveries}
    return Entry("acted", "remit.acted/1", {"actions": [item.cleared.recorded.entry for item in acted], "channel": "files", "at": now, "files": files})


def _approved_since(ledger: Ledger, cycle_id: str) -> list[Recorded]:
    """What was handed over with a yes since the cycle before handed over its own."""
    cycles = [entry.cycle for entry in ledger.entries(kind="cycle") if entry.cycle != cycle_id]
    ended = ledger.appended(batch_of(cycles[-1])) if cycles else None
    if ended is None:
        return []
    since = (entry for entry in ledger.entries(kind="acted") if entry.seq >= ended.size and entry.cycle != cycle_id)
    numbers = [int(number) for entry in since for number in entry.body["actions"]]
    return [ledger.action(number) for number in numbers if not ledger.entry(number).gone]


def _reserved(ledger: Ledger, item: Stopped) -> Mapping[str, int]:
    payload = ledger.entry(item.recorded.entry).payload or {}
    return dict(payload["context"]["uses"])


def rows_of(cleared: list[Cleared], channel: str) -> list[Mapping[str, str]]:
    """What the reader of a list sees, HCPs in order of id: no figure, no rank, no value, and no reason that rests on prescribing."""
    rows: list[Mapping[str, str]] = []
    for action in sorted(cleared, key=lambda action: _list_order(action)):
        chosen = action.recorded.chosen
        proposal = chosen.judged.proposal
        if proposal.channel == channel:
            rows.append(
                {
                    "channel": channel,
                    "rep": chosen.rep_id or "",
                    "hcp_id": proposal.hcp_id,
                    "call": str(chosen.call_number or ""),
                    "position": str(chosen.position or ""),
                    "product": proposal.product,
                    "content_id": proposal.content_id or "",
                    "must": " ".join(action.verdict.obligations),
                    "decision": f"{action.recorded.cycle}/{chosen.number}",
                }
            )
    return rows


def notices(cleared: list[Cleared], charters: tuple[Charter, ...]) -> list[Mapping[str, str]]:
    """Of the actions whose agent's owner must be told, which they are."""
    owners = {charter.agent: charter.owner for charter in charters}
    told = [action for action in sorted(cleared, key=_list_order) if "notify-owner" in action.verdict.obligations]
    agents = [(action, action.recorded.chosen.judged.proposal.agent) for action in told]
    return [
        {"channel": "notice", "owner": owners[agent], "agent": agent, "decision": f"{action.recorded.cycle}/{action.recorded.chosen.number}"}
        for action, agent in agents
    ]


def _list_order(action: Cleared) -> tuple[str, int, int, str]:
    chosen = action.recorded.chosen
    return chosen.judged.proposal.hcp_id, chosen.call_number, chosen.position, chosen.judged.proposal.product
