"""`remit queue`, `remit approve`, `remit decline`, `remit outcomes overrides`: what waits for people."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from remit.ledger import Ledger, open_ledger, read_ledger
from remit.runtime import chartering, confirming, rights
from remit.runtime.run import check_finished, load_feeds, present
from remit.runtime.workspace import Config, Workspace, config_texts, locked, open_workspace, read_config
from remit.terms.instants import format_instant


def queue(workspace: Path) -> dict[str, Any]:
    """Everything that waits for a person."""
    place = open_workspace(workspace)
    config = read_config(config_texts(place))
    with closing(read_ledger(place.ledger)) as records:
        now = present(records, config.settings)
        return {"now": format_instant(now), "waiting": confirming.listed(records, config, now)}


def approve(workspace: Path, asked: str, by: str, role: str | None, threads: int) -> dict[str, Any]:
    """Records a yes, and hands the action over when no other is missing."""
    return _saying(workspace, lambda place, ledger, config, now: confirming.approve(place, ledger, config, asked, by, role, threads, now))


def decline(workspace: Path, asked: str, by: str, because: str, text: str) -> dict[str, Any]:
    """Records a no, with its reason."""
    return _saying(workspace, lambda _, ledger, config, now: confirming.decline(ledger, config, asked, by, because, text, now))


def overrides(workspace: Path) -> dict[str, Any]:
    """What people overruled, by agent, rule, team and reason."""
    place = open_workspace(workspace)
    with closing(read_ledger(place.ledger)) as records:
        return confirming.overruled(records, read_config(config_texts(place)))


def _saying(workspace: Path, say: Callable[[Workspace, Ledger, Config, int], dict[str, Any]]) -> dict[str, Any]:
    """What a person says, with the files that arrived in the meantime loaded: an opt-out among them counts."""
    place = open_workspace(workspace)
    with locked(place), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        check_finished(ledger)
        config = read_config(config_texts(place))
        now = present(ledger, config.settings)
        config = chartering.held_over(place, ledger, rights.governed(place, ledger, config, now))
        load_feeds(place, config, ledger, now, os.urandom)
        return say(place, ledger, config, now)
