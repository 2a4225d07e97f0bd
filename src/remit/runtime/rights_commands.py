"""`remit authority` and `remit who`: decision rights, changed by two people and open to questions."""

import os
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

from remit.ledger import Ledger, LedgerError, open_ledger, read_ledger
from remit.runtime import asking, chartering, rights, stopping
from remit.runtime.carry import unsettled
from remit.runtime.cycles import last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.leases import end_lapsed
from remit.runtime.run import present
from remit.runtime.workspace import (
    Config,
    Workspace,
    config_texts,
    find_workspace,
    locked,
    open_workspace,
    read_config,
    turn,
    turn_file,
    usable_config,
    write_whole,
)
from remit.terms.encoding import digest
from remit.terms.instants import format_instant

PACKS = ("US", "UK", "DE")
PATIENCE_S = 0.25
"""How long a stop waits for its turn among those who decide; a cycle, which has it for long, does not hold a stop up."""


def propose(workspace: Path, file: Path | None, by: str, reason: str) -> dict[str, Any]:
    """Records a proposed text of the table: `file`, or `authority.yaml` as it stands."""
    place = open_workspace(workspace)
    source = file or place.root / rights.FILE
    try:
        text = source.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"the table cannot be read: {error}", where=str(source), do="Name a file of text in UTF-8.") from None
    return _changing(place, lambda ledger, config, now: rights.propose(place, ledger, config, text, by, reason, now))


def approve(workspace: Path, asked: str, by: str) -> dict[str, Any]:
    """Records a yes to the text whose digest begins with what is `asked`."""
    place = open_workspace(workspace)
    return _changing(place, lambda ledger, config, now: rights.approve(place, ledger, config, asked, by, now))


def log(workspace: Path) -> dict[str, Any]:
    """Every version of the table that was proposed or in force, with who said what and when."""
    place = open_workspace(workspace)
    with closing(read_ledger(place.ledger)) as records:
        now = present(records, read_config(config_texts(place)).settings)
        told = {"at", "from"}
        steps = [{key: format_instant(value) if key in told else value for key, value in step.items()} for step in rights.history(records)]
        return {"in_force": rights.in_force(records, now), "now": format_instant(now), "steps": steps}


def who(workspace: Path, kind: str, name: str) -> dict[str, Any]:
    """Who answers for a decision, a threshold, a row, a model or an agent."""
    place = open_workspace(workspace)
    with closing(read_ledger(place.ledger)) as records:
        config = read_config(config_texts(place))
        now = present(records, config.settings)
        config = chartering.held_over(place, records, rights.governed(place, records, config, now))
        return asking.who(kind, name, records, config, config.table(now), now)


def stop(workspace: Path, scope: str, of: str, by: str, reason: str) -> dict[str, Any]:
    """Stops at once, also while a cycle runs, and where what people have written cannot be used."""
    place = find_workspace(workspace)
    try:
        return _stopped(place, scope, of, by, reason)
    except LedgerError:
        if not end_lapsed(turn_file(place)):
            raise
        return _stopped(place, scope, of, by, reason)  # a run was halted while it held the log


def _stopped(place: Workspace, scope: str, of: str, by: str, reason: str) -> dict[str, Any]:
    with turn(place, PATIENCE_S), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        config, fault = usable_config(place, ledger)
        return {**stopping.stop(place, ledger, config, scope, of, by, reason, present(ledger, config.settings)), "fault": fault}


def start(workspace: Path, name: str, by: str, reason: str) -> dict[str, Any]:
    """Asks for a start, or says yes to one that another person asked for."""
    place = open_workspace(workspace)
    with closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        config = read_config(config_texts(place))
        return stopping.start(place, ledger, config, name, by, reason, present(ledger, config.settings))


def status(workspace: Path) -> dict[str, Any]:
    """What is stopped, what waits for a person, which table is in force and what it ran last; what people have written may be at fault."""
    place = find_workspace(workspace)
    with closing(read_ledger(place.ledger)) as records:
        config, fault = usable_config(place, records)
        now = present(records, config.settings)
        stops = [{**row, "at": format_instant(row["at"])} for row in stopping.status(records)]
        held = rights.in_force(records, now)
        draft = held is not None and held != digest(config.table_text.encode())
        waiting = sum(1 for _ in unsettled(records))
        return {"cycle": last_cycle(records), "now": format_instant(now), "table": held, "draft": draft, "waiting": waiting, "stops": stops, "fault": fault}


def pack(workspace: Path, market: str) -> dict[str, Any]:
    """Writes Remit's rules of a market into the workspace."""
    place, name = open_workspace(workspace), market.upper()
    if name not in PACKS:
        raise WorkspaceError(f"Remit has no pack of `{market}`", do=f"There are {', '.join(PACKS)}; or write packs/{market.lower()}.yaml after one of these.")
    path = place.root / "packs" / f"{name.lower()}.yaml"
    if path.exists():
        raise WorkspaceError("the pack is there already", where=str(path), do="Move it away first, if it is to be replaced.")
    write_whole(path, (files("remit.runtime") / "packs" / path.name).read_bytes())
    return {"market": name, "file": str(path)}


def _changing(place: Workspace, change: Callable[[Ledger, Config, int], dict[str, Any]]) -> dict[str, Any]:
    with locked(place), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        config = read_config(config_texts(place))
        return change(ledger, config, present(ledger, config.settings))
