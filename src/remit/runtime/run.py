"""`remit run`: load, choose, record, act. The ledger commit in the middle is the only commit point; every step before and after it may be done again."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from time import time_ns
from typing import Any

import polars as pl

from remit.authority import Table
from remit.gateway import CLOCKED, Known, Stopped, steady
from remit.intake import LoadReport, load, segments, state
from remit.ledger import Entry, Ledger, Records, Segment, create_ledger, open_ledger
from remit.models.bases import dump_shared, load_shared
from remit.models.segments import Segments
from remit.runtime import chartering, confirming, grouping, guarding, limiting, registry, rights, stood, stopping, taken_up, training, watching
from remit.runtime.cycle import Result, cycle
from remit.runtime.cycles import newest
from remit.runtime.enrolment import SCHEMA as HOLDOUT_SCHEMA
from remit.runtime.enrolment import check_unit, draw, enrolled, stream
from remit.runtime.errors import WorkspaceError
from remit.runtime.handing import batch_of, hand_over, inputs_at
from remit.runtime.inputs import Observed, Warehouse, check_currency, observe, tables
from remit.runtime.living import check_clock
from remit.runtime.record import SCHEMA, STREAM, action_entries, cycle_entry
from remit.runtime.settings import Settings
from remit.runtime.workspace import Config, Workspace, config_texts, keep, locked, read_config
from remit.terms.encoding import canonical
from remit.terms.instants import add_span

Stage = Callable[[str], None]
Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Done:
    """A finished cycle: what was loaded, decided (None where an interrupted cycle was only finished), handed over and stopped; `draft` says that the table in
    the folder is not the one that decided; `charters` say whose rules have become others."""

    cycle: str
    now: int
    loaded: LoadReport
    result: Result | None
    known: Known
    settings: Settings
    trained: bool
    refused: int
    stopped: tuple[Stopped, ...]
    files: tuple[tuple[str, int], ...]
    log_size: int
    watch: Mapping[str, Any]
    draft: bool = False
    charters: tuple[str, ...] = ()


def run_cycle(workspace: Workspace, threads: int, stage: Stage, entropy: Entropy = os.urandom, clock: Callable[[], int] | None = None) -> Done:
    """Runs one cycle, or finishes the one that was interrupted. `stage` is told each step as it begins.

    Raises the error of whatever is at fault; the workspace is then as it was after the last step that was finished, and the next run goes on from there.
    """
    with locked(workspace):
        config = read_config(config_texts(workspace))
        with closing(open_or_create(workspace, config.settings, entropy)) as ledger:
            open_cycle = unfinished(ledger)
            if open_cycle is not None:
                done = _finish(workspace, config, ledger, open_cycle, threads, stage, entropy)
            else:
                at = present(ledger, config.settings)
                standing = chartering.held_over(workspace, ledger, rights.governed(workspace, ledger, config, at))
                confirming.finish(workspace, ledger, standing, threads, at)
                done = _new(workspace, config, ledger, next_instant(ledger, config.settings, clock), threads, stage, entropy)
            return replace(done, draft=rights.governed(workspace, ledger, config, done.now) is not config)


def open_or_create(workspace: Workspace, settings: Settings, entropy: Entropy) -> Ledger:
    """The workspace's ledger, made on the first run."""
    if not workspace.ledger.made:
        create_ledger(workspace.ledger, name=f"remit/{settings.name}", entropy=entropy)
    return open_ledger(workspace.ledger, entropy=entropy)


def unfinished(ledger: Ledger) -> str | None:
    """The last cycle, if it was recorded and its actions were not handed over to the end."""
    last = newest(ledger)
    return last.cycle if last is not None and ledger.appended(batch_of(last.cycle)) is None else None


def check_finished(ledger: Ledger) -> None:
    """Raises `WorkspaceError` where the last cycle is `unfinished`."""
    if (cycle := unfinished(ledger)) is not None:
        raise WorkspaceError(f"`{cycle}` was interrupted before its actions were handed over", do="Finish it with `remit run`, and then ask for this again.")


def next_instant(records: Records, settings: Settings, clock: Callable[[], int] | None) -> int:
    """When the next cycle is. Raises `WorkspaceError` where the machine's clock counts and stands before the last one, `GatewayError` where it stands before
    what was decided since."""
    instants = [int(entry.body["now"]) for entry in records.entries(kind="cycle")]
    if settings.stepped:
        return add_span(settings.first, settings.every, len(instants))
    now = clock() if clock else time_ns() // 1000
    if instants and now <= max(instants):
        raise WorkspaceError("the clock stands before the last cycle", where="the machine's clock", do="Set the clock right, then run again.")
    return steady(now, records.latest(CLOCKED))


def present(records: Records, settings: Settings, clock: Callable[[], int] | None = None) -> int:
    """Where the workspace's clock stands, in UTC microseconds: at its last cycle, where it moves by cycles, else now, and never before what is recorded."""
    instants = [int(entry.body["now"]) for entry in records.entries(kind="cycle")] or [settings.first]
    if settings.stepped:
        return max(instants)
    return max(*instants, records.latest(CLOCKED), clock() if clock else time_ns() // 1000)


def _new(workspace: Workspace, config: Config, ledger: Ledger, now: int, threads: int, stage: Stage, entropy: Entropy) -> Done:
    config = rights.governed(workspace, ledger, config, now)
    settings = config.settings
    cycle_id = f"cycle-{sum(1 for _ in ledger.entries(kind='cycle')) + 1:04d}"
    stage("load feeds")
    loaded = load_feeds(workspace, config, ledger, now, entropy)
    if taken_up.tell(workspace, ledger, cycle_id, now):
        loaded = taken_up.together(loaded, load_feeds(workspace, config, ledger, now, entropy))
    table = config.table(now)
    _check(workspace, config, table, ledger, now)
    stage("read the warehouse")
    source = Warehouse(workspace)
    check_currency(source, settings, now)
    seen, held = observe(source, settings, now), grouping.recorded(ledger, ledger.size)
    trained = training.due(workspace, settings, now, registry.drifted(ledger))
    if trained:
        stage("train models")
        _train(workspace, config, ledger, source, seen, held, now, threads)
    models = training.load(workspace)
    bases = canonical(dump_shared(models.shared(seen.features, seen.panel)))
    seen = replace(seen, shared=load_shared(json.loads(bases)))
    stage("refuse what waited too long")  # after everything that a person may have to mend
    refused = _refuse_late(workspace, config, ledger, cycle_id, now)
    stage("look at the guards")
    guarding.trip(workspace, ledger, config, table, now)
    stage("score")
    log_size = ledger.size
    config = stopping.applied(config, ledger, log_size)
    before = enrolled(ledger, settings, log_size)
    new = draw(source, settings, before, ledger.draw_key(), now)
    members = grouping.placed(models, seen.features, settings, held)
    stage("watch the models")  # before anything is decided: what their drift asks for is a fact of every decision
    watch = registry.watch(workspace, settings, ledger, log_size, models, now)
    drift = watching.asked(watch)
    inputs = inputs_at(workspace, config, ledger, models, log_size, pl.concat([before, new]), seen, members, now, threads, drift=drift)
    result = cycle(inputs, stage)
    recorded: dict[str, Any] = {
        "now": now,
        "seed": settings.seed,
        "inputs": {
            "config": keep(workspace, config.texts),
            "warehouse": [segment.commitment for segment in segments(workspace.warehouse)],
            "log": log_size,
            **keep(workspace, {"bases": bases.decode()}),
        },
        "models": dict(models.digests),
        "table": inputs.table.digest,
        "watch": watch,
    }
    stage("write segments")
    written = ledger.write_segments(result.decisions.drop("number"), cycle=cycle_id, stream=STREAM, schema=SCHEMA, workers=threads)
    draws: tuple[Segment, ...] = ()
    if settings.holdout is not None:
        draws = ledger.write_segments(new, cycle=cycle_id, stream=stream(settings.holdout), schema=HOLDOUT_SCHEMA, plain=["unit"])
    places = ledger.write_segments(grouping.moved(members, held), cycle=cycle_id, stream=grouping.STREAM, schema=grouping.SCHEMA)
    stage("commit to the ledger")
    actions = action_entries(result, now, settings, config.charters, grouping.named(models, members), stood.numbers(result, inputs))
    failures = [Entry("failure", "remit.failure/1", {"agent": failure.agent, "error": failure.error, "at": now}) for failure in result.failures]
    amended = chartering.amended(workspace, ledger, config)
    told = [
        *rights.establish(ledger, table, now),
        *chartering.told(amended, now),
        *registry.new_models(workspace, ledger, log_size, models, settings, now),
        *failures,
    ]
    entries = [cycle_entry(result, recorded, written, actions), *told, *actions, *stood.not_taken(result, inputs)]
    ledger.append(cycle_id, entries, cycle=cycle_id, segments=(*written, *draws, *places), expected_size=log_size)
    stopped, files = hand_over(workspace, config, ledger, cycle_id, inputs, stage)
    charters = tuple(chartering.sentences(amended))
    return Done(cycle_id, now, loaded, result, inputs.known, settings, trained, refused, stopped, files, ledger.size, recorded["watch"], charters=charters)


def _check(workspace: Workspace, config: Config, table: Table, ledger: Ledger, now: int) -> None:
    """Raises `WorkspaceError` where what a person wrote does not fit what is there."""
    if not any(ledger.entries(kind="rights")):
        faults = [check(table, config.settings, config.charters) for check in (limiting.unknown, limiting.unfit_guards)]
        if any(faults):
            raise WorkspaceError("limits and guards do not fit the workspace", where="authority.yaml", faults=[*faults[0], *faults[1]])
    check_clock(workspace, now)
    _check_holdout(workspace, config.settings, ledger, now)


def _train(workspace: Workspace, config: Config, ledger: Ledger, source: Warehouse, seen: Observed, held: pl.DataFrame, now: int, threads: int) -> None:
    def group(models: training.Models, previous: Segments | None) -> Segments:
        return grouping.grouped(source, seen, config, models, previous, held, now)

    given = {int(entry.body["now"]): entry.body["inputs"]["warehouse"] for entry in ledger.entries(kind="cycle")}
    hcp = state(workspace.warehouse, "hcp", now)
    training.train(workspace, config.settings, hcp, lambda instant, hcps: tables(workspace, instant, hcps=hcps), now, group, given, threads)


def _refuse_late(workspace: Workspace, config: Config, ledger: Ledger, cycle_id: str, now: int) -> int:
    """Records what became of everything that waited for a person past its deadline; says how much of it was refused."""
    with ledger.turn(ledger.size) as its_turn:
        late = confirming.overdue(ledger, config, now)
        refused = [entry for entry in late if entry.kind == "refused"]
        for action in [ledger.entry(int(entry.body["action"])) for entry in refused]:
            stopping.take_back_approved(workspace, action.cycle, action.seq)
        if late:
            its_turn.append(f"{cycle_id}:overdue:{its_turn.size}", late, cycle=cycle_id)
    ledger.settle()
    return len(refused)


def _check_holdout(workspace: Workspace, settings: Settings, ledger: Ledger, now: int) -> None:
    """Raises `WorkspaceError` before the first draw of an experiment that could not be compared."""
    if settings.holdout is not None and enrolled(ledger, settings, ledger.size).is_empty():
        do = 'Write `by = "{by}"` under [holdout] in remit.toml; nobody has been drawn yet.'
        check_unit(Warehouse(workspace), settings.holdout.by, now, do)


def _finish(workspace: Workspace, config: Config, ledger: Ledger, cycle_id: str, threads: int, stage: Stage, entropy: Entropy) -> Done:
    body = next(entry.body for entry in ledger.entries(kind="cycle", cycle=cycle_id))
    now = int(body["now"])
    config = chartering.held_over(workspace, ledger, rights.governed(workspace, ledger, config, now))
    stage("load feeds")
    loaded = load_feeds(workspace, config, ledger, now, entropy)
    stage("read the warehouse")
    upto = int(body["inputs"]["log"])
    draws = enrolled(ledger, config.settings, upto, cycle_id)
    seen, members = observe(Warehouse(workspace), config.settings, now), grouping.recorded(ledger, upto, cycle_id)
    models, drift = training.load(workspace, body["models"]), watching.asked(body.get("watch", {}))
    inputs = inputs_at(workspace, config, ledger, models, upto, draws, seen, members, now, threads, drift=drift)
    stopped, files = hand_over(workspace, config, ledger, cycle_id, inputs, stage)
    return Done(cycle_id, now, loaded, None, inputs.known, config.settings, False, 0, stopped, files, ledger.size, body.get("watch", {}))


def load_feeds(workspace: Workspace, config: Config, ledger: Ledger, now: int, entropy: Entropy) -> LoadReport:
    """Loads what arrived by `now`."""
    return load(workspace.feeds, workspace.warehouse, now, entropy, ledger.erased_among, zone=config.settings.zone)
