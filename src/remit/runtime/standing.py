"""Where a workspace stands after its last cycle, for decisions until the next; and how what is decided between cycles reaches its channel."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from remit.authority import LEFT_ALONE
from remit.gateway import Clerk, Counts, Room, Single, Standing, Tally, deliver, histories, lists
from remit.ledger import Ledger
from remit.runtime import guarding, rights, stopping
from remit.runtime.errors import WorkspaceError
from remit.runtime.handing import notices, rows_of, standing_inputs, take_back_unrecorded
from remit.runtime.leases import CLERK_S, WAIT_S, Lease, held
from remit.runtime.reporting import last_cycle
from remit.runtime.run import present, unfinished
from remit.runtime.stopping import held_at, stops_at
from remit.runtime.workspace import Config, Workspace, config_texts, read_config, turn, turn_file, write_whole
from remit.terms.proposals import Cleared


def take_place(workspace: Workspace, ledger: Ledger, clock: Callable[[], int], threads: int) -> tuple[Clerk, Config]:
    """A clerk who knows what is known now, and the configuration it goes by. Raises `WorkspaceError` before the first cycle, and where the last one was
    interrupted."""
    config = read_config(config_texts(workspace))
    if (broken_off := unfinished(ledger)) is not None:
        raise WorkspaceError(f"`{broken_off}` was interrupted before its actions were handed over", do="Finish it with `remit run`.")
    upto, cycle = ledger.size, last_cycle(ledger)
    with turn(workspace) as lease:
        take_back_unrecorded(workspace, ledger)
        lease.mended()
    now = present(ledger, config.settings)
    config = rights.governed(workspace, ledger, config, now)
    cycles = list(ledger.entries(kind="cycle"))
    inputs = standing_inputs(workspace, config, ledger, now, threads)
    free = {name: amount - inputs.taken.get(name, 0) for name, amount in inputs.capacity.items()}
    standing = Standing(
        cycle=cycle,
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
    )
    known = histories(inputs.known.contacts) if any(limit.per_hcp for limit in standing.table.limits) else {}
    since = 0 if len(cycles) < 2 else cycles[-2].seq  # keys are remembered since the cycle before last

    watch, highest = guarding.watch_at(ledger, standing.table, upto), stopping.highest(ledger)

    def fresh() -> Tally:
        named = {stop.id: stop for stop in stops_at(ledger, upto) if stop is not LEFT_ALONE}
        return Tally(
            upto, since, stops=named, held=held_at(ledger, upto), counts=Counts(standing.table.limits, inputs.made, known), watch=watch(), numbered=highest
        )

    def gate() -> AbstractContextManager[Lease]:
        return held(turn_file(workspace), lasts_s=CLERK_S, beats=False, waits_s=WAIT_S)

    def mend() -> None:
        take_back_unrecorded(workspace, ledger)

    def finish(name: str) -> None:
        if name.startswith("stop-"):
            with turn(workspace):
                stopping.finish(workspace, ledger, config, name, now)

    return Clerk(ledger, standing, fresh, gate, lambda: clock() if not config.settings.stepped else now + 1, mend, finish), config


def deliverer(workspace: Workspace, config: Config) -> Callable[[str, int, Sequence[Cleared]], Mapping[str, Mapping[str, Any]]]:
    """Writes cleared actions into lists, in a folder beside those of their cycle."""

    def hand_over(label: str, first: int, cleared: Sequence[Cleared]) -> Mapping[str, Mapping[str, Any]]:
        files = {
            name: data for channel in config.settings.channels.values() for name, data in lists(rows_of(list(cleared), channel.name), channel.list_by).items()
        } | lists(notices(list(cleared), config.charters), "owner")
        folder = workspace.out / label / str(first)
        return {each.name: {"digest": each.digest, "rows": each.rows} for each in deliver(folder, files, write_whole)}

    return hand_over
