"""`remit agent` and `remit person`: credentials of agents and of people. People are on file by the workspace's clock; credentials begin and end by the
machine's."""

import os
from contextlib import closing
from pathlib import Path
from time import time_ns
from typing import Any

from remit.gateway import TOKEN_SCOPES, Client, Register, issue_credential, issue_personal, may_rotate, revoke_credential, revoke_personal, rotate_token_key
from remit.gateway.credentials import LIFE_S
from remit.ledger import open_ledger, read_ledger
from remit.runtime.chartered import bound
from remit.runtime.errors import WorkspaceError
from remit.runtime.rights import governed
from remit.runtime.run import open_or_create, present
from remit.runtime.workspace import config_texts, locked, open_workspace, read_config
from remit.terms.instants import add_span, format_instant

LONGEST = "12 months"
"""How long a credential may hold."""


def issue(workspace: Path, agent: str, by: str, scopes: list[str], expires: str) -> dict[str, Any]:
    """Issues a credential and tells its secret, this once."""
    place, at = open_workspace(workspace), _clock()
    until = _until(at, expires)
    config, charters = bound(place)
    if agent not in charters:
        raise WorkspaceError(f"there is no agent `{agent}`", do=f"There are {', '.join(sorted(charters))}; each has its charter in agents/.")
    with locked(place), closing(open_or_create(place, config.settings, os.urandom)) as ledger:
        now = present(ledger, config.settings)
        made = issue_credential(ledger, charters[agent].charter, config.people, by, scopes or list(TOKEN_SCOPES), until, at=at, now=now, entropy=os.urandom)
    return {**_told(made.client, at, held=True), "secret": made.secret}


def issue_to_person(workspace: Path, person: str, by: str, scopes: list[str], expires: str) -> dict[str, Any]:
    """Issues a credential to a person and tells its secret, this once."""
    place, at = open_workspace(workspace), _clock()
    until, config = _until(at, expires), read_config(config_texts(place))
    with locked(place), closing(open_or_create(place, config.settings, os.urandom)) as ledger:
        now = present(ledger, config.settings)
        owner = governed(place, ledger, config, now).read_table(now).owner
        made = issue_personal(ledger, person, owner, config.people, by, scopes, until, at=at, now=now, entropy=os.urandom)
    return {**_told(made.client, at, held=True), "secret": made.secret}


def revoke_of_person(workspace: Path, client: str, by: str) -> dict[str, Any]:
    """Revokes a person's credential at once."""
    place, at = open_workspace(workspace), _clock()
    config = read_config(config_texts(place))
    with closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        now = present(ledger, config.settings)
        owner = governed(place, ledger, config, now).read_table(now).owner
        gone = revoke_personal(ledger, client, owner, config.people, by, at=at, now=now)
    return _told(gone, at, held=True)


def listed_of_people(workspace: Path) -> dict[str, Any]:
    """Every credential that was issued to a person; no secret."""
    place, at = open_workspace(workspace), _clock()
    config = read_config(config_texts(place))
    with closing(read_ledger(place.ledger)) as records:
        register, now = Register.of(records), present(records, config.settings)
    there = {name for name, person in config.people.items() if person.active(now)}
    clients = [_told(client, at, held=client.person in there) for client in register.clients.values() if client.person]
    return {"at": format_instant(at), "clients": clients, "keys": []}


def revoke(workspace: Path, client: str, by: str) -> dict[str, Any]:
    """Revokes a credential at once, also while a cycle runs, which then has to be decided again."""
    place, at = open_workspace(workspace), _clock()
    config, charters = bound(place)
    with closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        held = Register.of(ledger).clients.get(client)
        theirs = charters.get(held.agent) if held else None
        gone = revoke_credential(ledger, client, theirs.charter if theirs else None, config.people, by, at=at, now=present(ledger, config.settings))
    return _told(gone, at, held=theirs is not None)


def listed(workspace: Path) -> dict[str, Any]:
    """Every credential that was issued, and every key that signed tokens; no secret."""
    place, at = open_workspace(workspace), _clock()
    _, charters = bound(place)
    with closing(read_ledger(place.ledger)) as records:
        register = Register.of(records)
    clients = [_told(client, at, held=client.agent in charters) for client in register.clients.values() if client.agent]
    keys = [
        {"kid": key.kid, "since": format_instant(key.since), "by": key.by, "until": None if key.until is None else format_instant(key.until)}
        for key in register.keys.values()
    ]
    return {"at": format_instant(at), "clients": clients, "keys": keys}


def rotate_key(workspace: Path, by: str, stolen: bool) -> dict[str, Any]:
    """Makes a new key that signs tokens."""
    place, at = open_workspace(workspace), _clock()
    config = read_config(config_texts(place))
    with locked(place), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        now = present(ledger, config.settings)
        able = may_rotate(governed(place, ledger, config, now).read_table(now).owner, config.people, now)
        key = rotate_token_key(ledger, able, by, at=at, stolen=stolen, entropy=os.urandom)
    return {"kid": key.kid, "by": by, "stolen": stolen, "minutes": LIFE_S // 60}


def _told(client: Client, at: int, *, held: bool) -> dict[str, Any]:
    state = "revoked" if client.revoked is not None else "ended" if at >= client.until else "live" if held else "no charter" if client.agent else "not on file"
    whose = {"agent": client.agent} if client.agent else {"person": client.person}
    revoked = None if client.revoked is None else format_instant(client.revoked)
    told = {"client": client.id, **whose, "state": state, "scopes": list(client.scopes), "by": client.by, "since": format_instant(client.since)}
    return told | {"expires": format_instant(client.until), "revoked": revoked, "revoked_by": client.revoked_by or None}


def _until(at: int, expires: str) -> int:
    until = add_span(at, expires)
    if until > add_span(at, LONGEST):
        raise WorkspaceError(f"a credential holds for at most {LONGEST}", where=f"--expires `{expires}`", do="Issue another before it ends.")
    return until


def _clock() -> int:
    """The machine's clock, in whole seconds."""
    return time_ns() // 1_000_000_000 * 1_000_000
