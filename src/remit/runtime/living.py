"""A workspace whose country is simulated: the world's files beside it, and the week it lives when the channels have acted."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from remit.runtime.countries import company_texts, world_text
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Workspace, write_whole
from remit.terms.instants import format_instant
from remit.terms.proposals import Recorded
from remit.worlds import ACTIONS, Delivery, World, read_world

_SEED = 20260105
_ROWS_PER_FILE = 500_000


def create_world(folder: Path, name: str, physicians: int | None) -> None:
    """Fills `folder` for the world `name` (bundled, or a file): what a company there has written, and the feeds of its history.

    Raises `WorldError` with every fault of the description.
    """
    text = world_text(name)
    description = read_world(text, name)
    count = physicians or description.physicians
    world = World.build(description, count, _SEED)
    files = list(world.opening())
    for _ in range(description.history):
        files += world.step(world.plan()).deliveries
    _hand_over(folder / "feeds", _together(files))
    write_whole(folder / "world" / "world.yaml", text.encode())
    write_whole(folder / "world" / "about.json", json.dumps({"physicians": count, "seed": _SEED}).encode())
    write_whole(folder / "world" / "state.npz", world.dump())
    for path, words in sorted(company_texts(description, _SEED).items()):  # `remit.toml` last: without it a folder is no workspace
        write_whole(folder / path, words.encode())


def open_living(workspace: Workspace) -> World | None:
    """The world of a workspace, None where its country is not simulated. Raises `WorkspaceError` or `WorldError` where its files are at fault."""
    place = workspace.root / "world"
    if not place.is_dir():
        return None
    try:
        about = json.loads((place / "about.json").read_bytes())
        description = read_world((place / "world.yaml").read_text("utf-8"), str(place / "world.yaml"))
        return World.load(description, int(about["physicians"]), int(about["seed"]), (place / "state.npz").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"the world beside the workspace cannot be read: {error}", where=str(place), do="Restore the folder `world/`.") from None


def check_clock(workspace: Workspace, now: int) -> None:
    """Raises `WorkspaceError` unless the world beside the workspace, if there is one, stands at the week that a cycle at `now` begins."""
    world = open_living(workspace)
    if world is not None and world.now != now:
        there, here = format_instant(world.now), format_instant(now)
        do = "A world lives a week at a time: set [clock] back to `stepped`, its `first` and `every` as they were made."
        raise WorkspaceError(f"the world stands at {there}, and the cycle would be at {here}", where="remit.toml", do=do)


def live_on(workspace: Workspace, acted: Iterable[Recorded], now: int, stage: Callable[[str], None]) -> None:
    """Lets the world live the week of the cycle at `now`, with what was acted, and hand over its files; never twice for one week.

    The files come first and the state last, so that a week that was broken off is lived again, to the same files. Does nothing where the country is not
    simulated.
    """
    world = open_living(workspace)
    if world is None or world.now != now:
        return
    stage("live a week")
    week = world.step(_actions(acted))
    _hand_over(workspace.feeds, week.deliveries)
    write_whole(workspace.root / "world" / "state.npz", world.dump())


def _actions(acted: Iterable[Recorded]) -> pl.DataFrame:
    rows = []
    for action in acted:
        chosen = action.chosen
        proposal = chosen.judged.proposal
        decision = f"{action.cycle}/{chosen.number}"
        rows.append((proposal.hcp_id, proposal.channel, proposal.product, proposal.content_id, chosen.position or None, decision))
    return pl.DataFrame(rows, schema=ACTIONS, orient="row")


def _together(files: Iterable[Delivery]) -> list[Delivery]:
    """History in few files: the rows of each feed in order of delivery, a bounded number to a file."""
    parts: dict[str, list[pl.DataFrame]] = {}
    answer: list[Delivery] = []
    for item in files:
        kept = parts.setdefault(item.feed, [])
        kept.append(item.rows)
        if sum(part.height for part in kept) >= _ROWS_PER_FILE:
            answer.append(_history(item.feed, answer, kept))
            parts[item.feed] = []
    return [*answer, *(_history(feed, answer, kept) for feed, kept in parts.items() if kept)]


def _history(feed: str, before: list[Delivery], kept: list[pl.DataFrame]) -> Delivery:
    number = sum(1 for item in before if item.feed == feed) + 1
    return Delivery(feed, f"history-{number:02}", pl.concat([part.with_columns(pl.all().cast(pl.String)) for part in kept], how="diagonal"))


def _hand_over(feeds: Path, files: Iterable[Delivery]) -> None:
    for item in files:
        if item.rows.height:
            write_whole(feeds / item.feed / f"{item.name}.csv", item.rows.write_csv().encode())
