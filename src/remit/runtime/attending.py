"""The desk of a worker: what people ask and say over the wire, as the commands do it. Never in the office's thread: a yes waits for its turn like everybody."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import time_ns
from typing import Any

from remit.gateway import Tokens
from remit.gateway.errors import CredentialError
from remit.gateway.verbs import Refused, bearer
from remit.ledger import Ledger, open_ledger
from remit.runtime import queue_commands, rights, rights_commands, stopping
from remit.runtime.chartered import AUDIENCE
from remit.runtime.errors import BusyError, NotAllowedError, WorkspaceError
from remit.runtime.office import without_data
from remit.runtime.run import present
from remit.runtime.workspace import Config, Workspace, config_texts, turn, usable_config

_PATIENCE_S = 0.1
"""How long a stop waits for its turn among those who decide; it is acknowledged within a quarter of a second."""
_LOG = logging.getLogger("remit.desk")


class Attending:
    """As `Desk`, for one workspace; `tokens` gives the door to it, `on_file` says whether an HCP is known (None: that is not known now)."""

    def __init__(self, workspace: Workspace, tokens: Callable[[], Tokens], on_file: Callable[[str], bool | None]) -> None:
        self._workspace, self._tokens, self._on_file = workspace, tokens, on_file
        self.at_once: Executor = ThreadPoolExecutor(2, "stop")
        self.in_time: Executor = ThreadPoolExecutor(4, "people")
        self._read: tuple[str | None, Config, str] | None = None

    def open(self) -> None:
        """Reads what a stop will need."""
        self.in_time.submit(self._look)

    def close(self) -> None:
        """Finishes what was asked."""
        self.at_once.shutdown()
        self.in_time.shutdown()

    def person(self, authorization: str | None, scope: str) -> str:
        """As `Desk`."""
        token = bearer(authorization)
        try:
            return self._tokens().check_person(token, time_ns() // 1000, AUDIENCE, scope).person
        except CredentialError as error:
            raise Refused(error.status, error.code, str(error), {"WWW-Authenticate": f'Bearer error="{error.code}"'}) from None

    def ask(self, kind: str, name: str) -> Mapping[str, Any]:
        """As `Desk`."""
        with _told(404):
            return rights_commands.who(self._workspace.root, kind, name)

    def stop(self, by: str, scope: str, of: str, reason: str) -> Mapping[str, Any]:
        """As `Desk`. What waits in the scope is refused, and what was handed over recalled, after this is answered."""
        place = self._workspace
        with _told(422), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
            config, owner, now = self._known(ledger)
            stopping.check(ledger, config, owner, scope, of, by, now)
            with turn(place, _PATIENCE_S):
                name = stopping.begin(ledger, scope, of, by, reason, now)
        self.in_time.submit(self._finish, name)
        told = {"stop": name, "scope": scope, "of": of if scope != "hcp" else "", "by": by, "reason": reason}
        return {**told, "on_file": scope != "hcp" or self._on_file(of)}

    def start(self, by: str, name: str, reason: str) -> Mapping[str, Any]:
        """As `Desk`."""
        with _told(422):
            return rights_commands.start(self._workspace.root, name, by, reason)

    def stops(self) -> Mapping[str, Any]:
        """As `Desk`."""
        with _told(422):
            return rights_commands.status(self._workspace.root)

    def queue(self, person: str) -> Mapping[str, Any]:
        """As `Desk`: what this person may say yes to, and how much else waits for others."""
        with _told(422):
            found = queue_commands.queue(self._workspace.root)
        own = [row for row in found["waiting"] if any(person in people for people in row["may"].values())]
        return {"now": found["now"], "waiting": own, "for_others": len(found["waiting"]) - len(own)}

    def approve(self, by: str, digest: str, role: str | None) -> Mapping[str, Any]:
        """As `Desk`."""
        with _told(422):
            return queue_commands.approve(self._workspace.root, digest, by, role, 1)

    def decline(self, by: str, digest: str, because: str, text: str) -> Mapping[str, Any]:
        """As `Desk`."""
        with _told(422):
            return queue_commands.decline(self._workspace.root, digest, by, because, text)

    def _look(self) -> None:
        with closing(open_ledger(self._workspace.ledger, entropy=os.urandom)) as ledger:
            self._known(ledger)

    def _known(self, ledger: Ledger) -> tuple[Config, str, int]:
        """What people have written, as the files are now, the owner of the table in force, and the time: read again when a file or the table in force has
        changed, as a stop has no time for it."""
        config = self._config(ledger)
        now = present(ledger, config.settings)
        held = rights.in_force(ledger, now)
        if self._read is None or self._read[0] != held or self._read[1] is not config:
            self._read = held, config, stopping.owner_in_force(self._workspace, ledger, config, now)
        return config, self._read[2], now

    def _config(self, ledger: Ledger) -> Config:
        try:
            if self._read is not None and self._read[1].texts == config_texts(self._workspace):
                return self._read[1]
        except WorkspaceError:
            _LOG.warning("what people have written cannot be read: a stop goes by what was used last")
        return usable_config(self._workspace, ledger)[0]

    def _finish(self, name: str) -> None:
        place = self._workspace
        try:
            with turn(place, rights_commands.PATIENCE_S), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
                config, _ = usable_config(place, ledger)
                stopping.finish(place, ledger, config, name, present(ledger, config.settings))
        except Exception as error:  # whatever it is: the stop is in force, and the next run, or worker that takes its place, does what is left
            _LOG.warning("%s is in force, and what follows it was broken off: %s", name, without_data(error))


@contextmanager
def _told(status: int) -> Iterator[None]:
    """Tells what a command refuses as a problem: of who may not, of a run that is at work, and of all else with `status`."""
    try:
        yield
    except BusyError as error:
        raise Refused(503, "a run is at work", str(error), {"Retry-After": "5"}) from None
    except NotAllowedError as error:
        raise Refused(403, "not yours to say", str(error)) from None
    except WorkspaceError as error:
        raise Refused(status, "it cannot be done", str(error)) from None
