"""Where a workspace stands after its last cycle, for decisions until the next; and how what is decided between cycles reaches its channel."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from remit.authority import LEFT_ALONE
from remit.gateway import CLOCKED, RENEWS, Clerk, Counts, Pending, Room, Single, Standing, Tally, between, deliver, histories, lists, steady, take_back
from remit.gateway.credentials import SKEW_S
from remit.intake import segments, turns
from remit.ledger import Entry, Ledger, Records
from remit.runtime import chartering, guarding, rights, stopping
from remit.runtime.carry import unsettled
from remit.runtime.cycle import Inputs
from remit.runtime.cycles import last_cycle
from remit.runtime.handing import notices, rows_of, standing_inputs, take_back_unrecorded
from remit.runtime.inputs import STATES, Warehouse, check_currency
from remit.runtime.leases import CLERK_S, WAIT_S, Lease, held
from remit.runtime.prompting import Prompter
from remit.runtime.run import check_finished, present
from remit.runtime.stopping import held_at, stops_at
from remit.runtime.workspace import Config, Workspace, among_machines, config_texts, keep, read_config, turn, turn_file, write_all
from remit.terms.encoding import canonical, digest
from remit.terms.instants import add_span
from remit.terms.proposals import Cleared

PLACE = "remit.place/1"
_SAME_US = 60_000_000
"""How old a place may be that is taken again, in microseconds."""
_LEAST_US = 60_000_000
"""For how long a place is good at least, however many rows begin and end meanwhile: taking one may itself take minutes."""


def take_place(workspace: Workspace, ledger: Ledger, clock: Callable[[], int], threads: int) -> tuple[Clerk, Config]:
    """As `take_desk`, of whom nobody asks other agents."""
    clerk, _, config = take_desk(workspace, ledger, clock, threads)
    return clerk, config


def take_desk(workspace: Workspace, ledger: Ledger, clock: Callable[[], int], threads: int) -> tuple[Clerk, Prompter, Config]:
    """A clerk who knows what is known now, what asks the agents by the same, and the configuration they go by. Raises `WorkspaceError` before the first
    cycle, and where the last one was interrupted; `GatewayError` where the clock stands before what is recorded."""
    stamps = _stamps(workspace)
    config = read_config(config_texts(workspace))
    check_finished(ledger)
    upto, cycle = ledger.size, last_cycle(ledger)
    with turn(workspace, gate=ledger.gate) as lease:
        take_back_unrecorded(workspace, ledger)
        lease.mended()
    if not config.settings.stepped:
        steady(clock(), ledger.latest(CLOCKED))  # before all that it takes to know what is known
    now = present(ledger, config.settings, clock)
    config = chartering.held_over(workspace, ledger, rights.governed(workspace, ledger, config, now))
    only = [segment.commitment for segment in segments(workspace.warehouse)]
    check_currency(Warehouse(workspace, only), config.settings, now)
    if left := stopping.broken_off(ledger):
        with turn(workspace, gate=ledger.gate):
            for name in left:
                stopping.follow(workspace, ledger, config, name, now)
        upto = ledger.size
    now, upto = _taken_before(workspace, config, ledger, between(cycle), only, now) or (now, upto)
    placed, until = place_at(workspace, config, ledger, upto, now, only, threads), None
    if not config.settings.stepped:
        loose = _loose(workspace, only, now)
        until = _first(_exact(config, ledger, now), None if loose is None else max(loose, clock() + _LEAST_US))
    with turn(workspace, gate=ledger.gate):  # a cycle that is being planned counts on a log that stands still
        standing = replace(placed.standing, place=_recorded(workspace, config, ledger, placed, upto, now, only), until=until)

    @contextmanager
    def gate() -> Iterator[Lease]:
        with (
            among_machines(workspace, ledger.gate, lasts_s=CLERK_S + WAIT_S),
            held(turn_file(workspace), lasts_s=CLERK_S, beats=False, waits_s=WAIT_S) as lease,
        ):
            yield lease

    def over() -> bool:  # an opt-out may be among what came, or somebody has left
        try:
            return _stamps(workspace) != stamps
        except OSError:  # one is just being replaced
            return True

    def mend() -> None:
        take_back_unrecorded(workspace, ledger)

    def finish(name: str) -> None:
        if name.startswith("stop-"):
            with turn(workspace, gate=ledger.gate):
                stopping.follow(workspace, ledger, config, name, present(ledger, config.settings, clock))

    clerk = Clerk(ledger, standing, placed.fresh, gate, lambda: clock() if not config.settings.stepped else now + 1, clock, mend, finish, over)
    return clerk, Prompter(placed.inputs), config


@dataclass(frozen=True, slots=True)
class Placed:
    """What decisions are made from, how the tally of what came since is begun, and the digest of what was `made` by then under limits."""

    standing: Standing
    inputs: Inputs
    fresh: Callable[[], Tally]
    made: str


def place_at(workspace: Workspace, config: Config, ledger: Records, upto: int, now: int, only: Collection[str], threads: int) -> Placed:
    """What is known at `now` after the log's first `upto` entries, from the warehouse segments `only`: the same for whoever decides and whoever replays."""
    cycles = [entry for entry in ledger.entries(kind="cycle") if entry.seq < upto]
    inputs = standing_inputs(workspace, config, ledger, now, threads, upto=upto, only=only)
    free = {name: amount - inputs.taken.get(name, 0) for name, amount in inputs.capacity.items()}
    standing = Standing(
        cycle=cycles[-1].cycle,
        begun=int(cycles[-1].body["now"]),
        table=config.table(now),
        charters={charter.agent: charter for charter in config.charters},
        channels={name: Room(channel.uses, channel.most_per_hcp, channel.carries_details) for name, channel in config.settings.channels.items()},
        prices=cycles[-1].body["prices"],
        free=free,
        per_cycle=config.settings.per_cycle,
        per_window=config.settings.per_window,
        window=config.settings.window,
        single=Single(inputs.known, config.charters, config.people),
        secret=ledger.draw_key(),
        ahead=add_span(now, config.settings.every) - now if config.settings.stepped else SKEW_S * 1_000_000,
        licences=config.settings.licences,
    )
    known = histories(inputs.known.contacts) if any(limit.per_hcp for limit in standing.table.limits) else {}
    since = 0 if len(cycles) < 2 else cycles[-2].seq  # keys are remembered since the cycle before last

    pending = _pending(ledger, upto)
    watch, highest = guarding.watch_at(ledger, standing.table, upto), stopping.highest(ledger)

    def fresh() -> Tally:
        named = {stop.id: stop for stop in stops_at(ledger, upto) if stop is not LEFT_ALONE}
        counts = Counts(standing.table.limits, inputs.made, known)
        return Tally(
            upto, since, stops=named, held=held_at(ledger, upto), counts=counts, pending=dict(pending), own=inputs.own, watch=watch(), numbered=highest
        )

    return Placed(standing, inputs, fresh, digest(canonical({"made": [asdict(each) for each in inputs.made]})))


def _taken_before(workspace: Workspace, config: Config, ledger: Ledger, label: str, only: Sequence[str], now: int) -> tuple[int, int] | None:
    """The instant and the log's size of the place that was taken last, if nothing that it was derived from has changed since: it is taken again, so that
    workers that begin together, or again and again, do not each record one."""
    last = max(ledger.entries(kind="place", cycle=label), key=lambda entry: entry.seq, default=None)
    if last is None or not 0 <= now - int(last.body["now"]) <= _SAME_US:
        return None
    inputs = last.body["inputs"]
    same = inputs["config"] == keep(workspace, config.texts) and inputs["warehouse"] == list(only)
    if not config.settings.stepped:
        over = _first(_exact(config, ledger, int(last.body["now"])), _loose(workspace, only, int(last.body["now"])))
        same = same and (over is None or now < over)
    return (int(last.body["now"]), int(inputs["log"])) if same and not ledger.since(int(inputs["log"]), sorted(RENEWS)) else None


def _exact(config: Config, records: Records, now: int) -> int | None:
    """When people's rights as known at `now` change by themselves: a table comes into force or expires, a row of a pack does, a person leaves."""
    return _first(rights.coming(records, now), config.read_table(now).turns)


def _loose(workspace: Workspace, only: Collection[str], now: int) -> int | None:
    """When rows of the warehouse, as known at `now`, begin or end by themselves; the end of a consent is looked at with each decision."""
    return _first(*(turns(workspace.warehouse, table, now, only=only, ends=table != "consent") for table in STATES))


def _first(*instants: int | None) -> int | None:
    return min((at for at in instants if at is not None), default=None)


def _recorded(workspace: Workspace, config: Config, ledger: Ledger, placed: Placed, upto: int, now: int, only: Sequence[str]) -> int:
    """The entry that says what `placed` was derived from; who has taken the same place already has recorded it."""
    standing = placed.standing
    models = next(entry.body["models"] for entry in ledger.entries(kind="cycle", cycle=standing.cycle))
    inputs = {"config": keep(workspace, config.texts), "warehouse": list(only), "log": upto}
    body = {"now": now, "inputs": inputs, "models": models, "table": standing.table.digest, "free": dict(standing.free), "made": placed.made}
    batch = f"{standing.label}:place:{digest(canonical(body))[:32]}"
    return ledger.append(batch, [Entry("place", PLACE, body)], cycle=standing.label).first


def _stamps(workspace: Workspace) -> tuple[tuple[str, int], ...]:
    """Changes with whatever is loaded into the warehouse, and with what people write there, but for the table, which takes two to change."""
    root = workspace.root
    folders = [folder for folder in (root / "agents", root / "packs", workspace.warehouse) if folder.is_dir()]
    held = [each for folder in folders for each in os.scandir(folder) if each.is_dir() or each.name.endswith(".yaml")]
    written = [(path.name, path.stat().st_ctime_ns) for path in (workspace.settings_file, root / "people.yaml") if path.exists()]
    return tuple(sorted([*written, *((each.path, each.stat().st_ctime_ns) for each in held)]))


def _pending(ledger: Records, upto: int) -> dict[int, Pending]:
    """What waits for people of the log's first `upto` entries."""
    began = {entry.cycle: int(entry.body["now"]) for entry in ledger.entries(kind="cycle")}
    return {
        action.seq: Pending(
            bytes.fromhex(action.hcp),
            payload["proposal"]["channel"],
            payload["proposal"]["purpose"],
            int(action.body.get("at", began.get(action.cycle, 0))),
            payload["context"]["uses"],
        )
        for action, payload in unsettled(ledger)
        if action.hcp is not None and action.seq < upto
    }


def deliverer(workspace: Workspace, config: Config) -> Callable[[str, int, Sequence[Cleared]], Mapping[str, Mapping[str, Any]]]:
    """Writes cleared actions into lists, in a folder beside those of their cycle."""

    def hand_over(label: str, first: int, cleared: Sequence[Cleared]) -> Mapping[str, Mapping[str, Any]]:
        files = {
            name: data for channel in config.settings.channels.values() for name, data in lists(rows_of(list(cleared), channel.name), channel.list_by).items()
        } | lists(notices(list(cleared), config.charters), "owner")
        folder = workspace.out / label / str(first)
        take_back(folder, {path.name for path in folder.glob("*.csv")} - files.keys())  # of a turn that failed, and was not recorded
        return {each.name: {"digest": each.digest, "rows": each.rows} for each in deliver(folder, files, write_all)}

    return hand_over
