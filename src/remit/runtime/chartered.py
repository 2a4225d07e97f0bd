"""The door to a workspace for its agents and people: tokens, bound to charters and to the file of people as they stand in the folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from remit.gateway import Tokens
from remit.ledger import Ledger, verifier_keys
from remit.runtime.workspace import Config, Workspace, config_texts, read_config
from remit.terms.charters import Charter
from remit.terms.encoding import digest

AUDIENCE = "remit-gateway"
"""For whom the tokens of a workspace are, unless whoever serves it says otherwise."""
_SETTLED_NS = 100_000_000
"""A file that was changed less than this before it was read may be changed again without its time telling."""

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Bound:
    """A charter, the digest of its text, and the file it stands in, with what told that file from another when it was read (None: it may not be relied on)."""

    charter: Charter
    digest: str
    path: Path
    stamp: Stamp | None


class Chartered:
    """Tells, as `Charters`, which charter an agent has: that of its file as it is now. The file is read again when it has changed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._config, self._bound = bound(workspace)

    def __call__(self, agent: str, now: int, cycled: int) -> str | None:
        """The digest of the agent's charter, None if there is none, or it has expired by the workspace's clock. Raises the error of whatever in the workspace's
        configuration cannot be read: nobody is let in by half of it."""
        held = self._bound.get(agent)
        if held is None or held.stamp is None or held.stamp != _stamp(held.path):
            self._config, self._bound = bound(self._workspace)
            held = self._bound.get(agent)
        settings = self._config.settings
        today = (cycled or settings.first) if settings.stepped else max(cycled, now)
        return None if held is None or held.charter.expires <= today else held.digest


class OnFile:
    """Tells, as `tokens.OnFile`, whether a person is on file: in `people.yaml` as it is now, which is read again when it has changed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._path = workspace, workspace.root / "people.yaml"
        self._read()

    def __call__(self, person: str, now: int, cycled: int) -> bool:
        """Whether the person is on file by the workspace's clock. Raises the error of whatever in the workspace's configuration cannot be read: nobody is
        let in by half of it."""
        if self._stamp is None or self._stamp != _stamp(self._path):
            self._read()
        settings = self._config.settings
        today = (cycled or settings.first) if settings.stepped else max(cycled, now)
        return person in self._config.people and self._config.people[person].active(today)

    def _read(self) -> None:
        read_at, stamp = time_ns(), _stamp(self._path)
        self._config = read_config(config_texts(self._workspace))
        self._stamp = stamp if stamp and abs(read_at - stamp[0]) > _SETTLED_NS else None


def bound(workspace: Workspace) -> tuple[Config, Mapping[str, Bound]]:
    """The workspace's configuration, and its charters by agent. Raises the error of the first file at fault."""
    read_at = time_ns()
    folder = workspace.root / "agents"
    stamps = {path: _stamp(path) for path in sorted(folder.glob("*.yaml"))}
    config = read_config(config_texts(workspace))
    names = sorted(name for name in config.texts if name.startswith("agents/"))
    found = {}
    for name, charter in zip(names, config.charters, strict=True):
        path = workspace.root / name
        stamp = stamps.get(path)
        found[charter.agent] = Bound(charter, digest(config.texts[name].encode()), path, stamp if stamp and abs(read_at - stamp[0]) > _SETTLED_NS else None)
    return config, found


def tokens(workspace: Workspace, ledger: Ledger, audience: str = AUDIENCE) -> Tokens:
    """The door to a workspace's agents and people, issued in the name of its ledger."""
    issuer = verifier_keys(ledger.folder)[0].split("+")[0]
    return Tokens(ledger, Chartered(workspace), issuer=issuer, audience=audience, entropy=os.urandom, on_file=OnFile(workspace))


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ctime_ns, found.st_mtime_ns, found.st_ino, found.st_size
