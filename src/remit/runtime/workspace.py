"""A workspace: a folder of plain files that a person can read, and what Remit keeps beside them."""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from remit.agents import read_charter, read_people
from remit.authority import Layer, Stop, Table, load_table, stopped
from remit.ledger import RUN, TURN, Gate, Place, Records, gate_held
from remit.runtime.errors import BusyError, WorkspaceError
from remit.runtime.leases import COMMAND_S, Lease, held
from remit.runtime.settings import Market, Settings, read_settings
from remit.runtime.stores.postgresql import url_env_of, url_of
from remit.terms.charters import Charter
from remit.terms.encoding import digest
from remit.terms.errors import RemitError
from remit.terms.facts import FACTS
from remit.terms.instants import format_instant
from remit.terms.people import People

_AT_ONCE = 8
"""Files that are written at a time."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where everything lies. `ledger_url_env` names the environment variable with the URL of the log's database, if it is not in the folder."""

    root: Path
    ledger_url_env: str = ""

    @property
    def settings_file(self) -> Path:
        return self.root / "remit.toml"

    @property
    def feeds(self) -> Path:
        return self.root / "feeds"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def ledger(self) -> Place:
        """Raises `WorkspaceError` if the environment does not say where the log is."""
        return Place(self.root / "ledger", url_of(self.ledger_url_env, os.environ))

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def out(self) -> Path:
        return self.root / "out"


@dataclass(frozen=True, slots=True)
class Config:
    """What the people of a workspace have written, and the texts it was read from (by path from the workspace's root); with the stops in force, and the ids of
    HCPs whom one of them leaves alone. `kept` are rules of charters that hold on until the next cycle, though their texts have lost them."""

    settings: Settings
    people: People
    charters: tuple[Charter, ...]
    table_text: str
    texts: Mapping[str, str]
    stops: tuple[Stop, ...] = ()
    holds: tuple[str, ...] = ()
    kept: tuple[Layer, ...] = ()

    def with_table(self, text: str) -> "Config":
        """With another authority table's text."""
        return replace(self, table_text=text, texts={**self.texts, "authority.yaml": text})

    def read_table(self, now: int) -> Table:
        """The authority table, whose owners must be on file at `now`, in force then or not. Raises `AuthorityError` with every fault."""
        return load_table(self.table_text, self.people, FACTS, now, self.layers())

    def table(self, now: int) -> Table:
        """The authority table as it stands at `now`. Raises `AuthorityError` with every fault, and `WorkspaceError` if it is not in force, or does not keep the
        holdout."""
        table = self.read_table(now)
        if not table.in_force(now):
            since, until = ("ever" if at is None else format_instant(at) for at in (table.since, table.until))
            what = f"version {table.version} of the table is in force from {since} until {until}, and it is {format_instant(now)}"
            raise WorkspaceError(what, where="authority.yaml", do="Propose and approve a version that is in force now.")
        self._check_holdout(table)
        return stopped(table, self.stops)

    def _check_holdout(self, table: Table) -> None:
        holdout = self.settings.holdout
        if holdout is None:
            return
        if not table.always_forbids(held_out=True, purpose="promotional"):
            do = "Add a forbidden row `when: held_out AND purpose = 'promotional'`, or take [holdout] out of remit.toml."
            raise WorkspaceError(f"`{holdout.name}` holds HCPs out, and no row of the table forbids all promotion to them", where="authority.yaml", do=do)
        loose = [name for name in sorted(holdout.channels) if not table.always_forbids(channel_held_out=True, purpose="promotional", channel=name)]
        if loose:
            what = f"`{holdout.name}` holds HCPs out from {', '.join(loose)}, and no row of the table forbids all promotion to them there"
            do = "Add a forbidden row `when: channel_held_out AND purpose = 'promotional'`, or take `channels` out of [holdout] in remit.toml."
            raise WorkspaceError(what, where="authority.yaml", do=do)

    def layers(self) -> list[Layer]:
        """What applies beside the company's table: the market's pack, and the rows and limits of charters, each of its agent alone."""
        market = self.settings.market
        packs = [] if market is None else [_pack(market, self.texts[market.pack])]
        return [*packs, *(of_charter(charter) for charter in self.charters if charter.rules), *self.kept]


def _pack(market: Market, text: str) -> Layer:
    return Layer(market.name.lower(), market.pack, text, ("market", market.name), market.owner, market.confirm)


def of_charter(charter: Charter) -> Layer:
    """The rows and limits of a charter, as they stand beside the company's table."""
    return Layer(charter.agent, charter.where, charter.rules, ("agent", charter.agent), charter.owner)


def open_workspace(root: Path) -> Workspace:
    """The workspace in `root`. Raises `WorkspaceError` if there is none."""
    if not (root / "remit.toml").is_file():
        raise WorkspaceError("there is no workspace here: `remit.toml` is missing", where=str(root), do="Make one with `remit init DIR --example two-brands`.")
    try:
        return Workspace(root, url_env_of((root / "remit.toml").read_bytes().decode(), "remit.toml"))
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError("the workspace is not whole", where=str(root), faults=[f"`remit.toml` cannot be read: {error}"]) from None


def find_workspace(root: Path) -> Workspace:
    """As `open_workspace`, also where `remit.toml` cannot be used: stopping does not wait for it to be mended."""
    try:
        return open_workspace(root)
    except WorkspaceError:
        if not (root / "ledger").is_dir():
            raise
        path = root / "remit.toml"
        text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        named = re.search(r"""(?m)(?:^|[\s{.])url_env\s*=\s*["']([A-Za-z_][A-Za-z0-9_]*)["']""", text)
        return Workspace(root, named[1] if named else "")


def usable_config(workspace: Workspace, records: Records) -> tuple[Config, str]:
    """What people have written, as the files are now; where they cannot be used, as whoever decided last went by it, and what is at fault."""
    try:
        return read_config(config_texts(workspace)), ""
    except RemitError as error:
        given = max((entry for kind in ("cycle", "place") for entry in records.entries(kind=kind)), key=lambda entry: entry.seq, default=None)
        if given is None:
            raise
        return read_config(recall(workspace, given.body["inputs"]["config"])), str(error)


def config_texts(workspace: Workspace) -> dict[str, str]:
    """The texts of everything people write: settings, people, authority table, charters. Raises `WorkspaceError` listing what cannot be read."""
    folders = ("agents", "packs")
    held = {folder: sorted(f"{folder}/{path.name}" for path in (workspace.root / folder).glob("*.yaml")) for folder in folders}
    names = ["remit.toml", "people.yaml", "authority.yaml", *held["agents"], *held["packs"]]
    texts, faults = {}, []
    for name in names:
        try:
            texts[name] = (workspace.root / name).read_bytes().decode()
        except FileNotFoundError:
            faults.append(f"`{name}` is missing")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"`{name}` cannot be read: {error}")
    if not held["agents"]:
        faults.append("`agents/` holds no charter")
    if faults:
        raise WorkspaceError("the workspace is not whole", where=str(workspace.root), faults=faults)
    return texts


def read_config(texts: Mapping[str, str]) -> Config:
    """The configuration in texts by name. Raises the error of the first file at fault, with all its faults."""
    settings = read_settings(texts["remit.toml"], "remit.toml")
    people = read_people(texts["people.yaml"], "people.yaml")
    charters = tuple(read_charter(text, name, people) for name, text in sorted(texts.items()) if name.startswith("agents/"))
    _check_charters(charters, settings)
    if faults := settings.oversight.faults(people):
        raise WorkspaceError("the models' people do not fit the workspace", where="remit.toml", faults=faults)
    _check_market(settings, people, texts)
    return Config(settings, people, charters, texts["authority.yaml"], dict(texts))


def _check_market(settings: Settings, people: People, texts: Mapping[str, str]) -> None:
    market = settings.market
    if market is None:
        return
    held = {role for person in people.values() for role in person.roles}
    faults = [] if market.owner in people else [f"`market.owner` is `{market.owner}`, who is not in people.yaml"]
    faults += [f"`market.confirm` names `{role}`, a role that nobody in people.yaml holds" for role in market.confirm if role not in held]
    faults += [] if market.pack in texts else [f"`{market.pack}` is missing: `remit authority pack {market.name}` writes it, if Remit has one of that market"]
    if faults:
        raise WorkspaceError("the market does not fit the workspace", where="remit.toml", faults=faults)


def _check_charters(charters: tuple[Charter, ...], settings: Settings) -> None:
    names = [charter.agent for charter in charters]
    faults = [f"`{name}` has {names.count(name)} charters; it must have one" for name in sorted(set(names)) if names.count(name) > 1]
    faults += [
        f"`{charter.agent}` is granted the channel `{channel}`, which remit.toml does not describe"
        for charter in charters
        for channel in charter.channels
        if channel not in settings.channels
    ]
    market = settings.market.name.lower() if settings.market else ""
    faults += [f"`{charter.agent}` is called as the market's rules are: give the agent another name" for charter in charters if charter.agent == market]
    if faults:
        raise WorkspaceError("the charters do not fit the workspace", where="agents/", faults=faults)


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Holds the workspace for one writer, of whatever machine where the log is on PostgreSQL; the lock ends with the process. Raises `WorkspaceError` if
    another run holds it or it cannot be written."""
    if workspace.ledger_url_env:
        with gate_held(workspace.ledger, RUN, 0) as got:
            if not got:
                raise _at_work(workspace)
            with turn(workspace):
                yield
        return
    try:
        handle = os.open(workspace.root / ".remit.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkspaceError(
            f"the workspace cannot be written: {error.strerror}", where=str(workspace.root), do="Mend the folder's rights, then run again."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with turn(workspace):
            yield
    except BlockingIOError:
        raise _at_work(workspace) from None
    finally:
        os.close(handle)


def _at_work(workspace: Workspace) -> BusyError:
    return BusyError("another run is at work in this workspace", where=str(workspace.root), do="Wait until it has ended, then run again.")


@contextmanager
def turn(workspace: Workspace, patience_s: float | None = None, gate: Gate | None = None) -> Iterator[Lease]:
    """Waits for a turn at the workspace's log, which one process at a time has, of whatever machine where the log is on PostgreSQL; one who has waited
    `patience_s` goes on without. It ends with the process, and its lease renews itself while the process runs. `gate` is that of a ledger that is open
    already."""
    with among_machines(workspace, gate, patience_s), held(turn_file(workspace), lasts_s=COMMAND_S, beats=True, patience_s=patience_s) as lease:
        yield lease


@contextmanager
def among_machines(workspace: Workspace, gate: Gate | None, patience_s: float | None = None, lasts_s: float | None = None) -> Iterator[None]:
    """Waits for the turn among all machines, where the log is on PostgreSQL; the server ends it when nobody speaks for it for `lasts_s`."""
    if not workspace.ledger_url_env:
        yield
        return
    with gate_held(workspace.ledger, TURN, patience_s) if gate is None else gate.held(patience_s, lasts_s):
        yield


def turn_file(workspace: Workspace) -> Path:
    """The file that says who has the turn."""
    return workspace.root / ".remit.turn"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all, also when the machine stops. Raises `WorkspaceError` if the disk refuses."""
    _write(path, data)
    _settled(path.parent)


def write_all(files: Mapping[Path, bytes]) -> None:
    """As `write_whole`, of many files: the disk is waited for once, not once for each of them."""
    with ThreadPoolExecutor(min(len(files), _AT_ONCE) or 1) as pool:
        list(pool.map(_write, files.keys(), files.values()))
    for folder in {path.parent for path in files}:
        _settled(folder)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _refused(path, error) from None


def _settled(folder: Path) -> None:
    """Waits until the disk holds what was put into a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise _refused(folder, error) from None


def _refused(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(f"cannot be written: {error.strerror}", where=str(path), do="Mend the disk or its rights, then run again: nothing is lost.")


def keep(workspace: Workspace, texts: Mapping[str, str]) -> dict[str, str]:
    """Stores texts by their digest, as the record a replay reads, and returns the digest by name."""
    digests = {}
    for name, text in sorted(texts.items()):
        data = text.encode()
        digests[name] = digest(data)
        target = workspace.objects / digests[name]
        if not target.exists():
            write_whole(target, data)
    return digests


def recall(workspace: Workspace, digests: Mapping[str, str]) -> dict[str, str]:
    """The texts stored under `digests`. Raises `WorkspaceError` naming every one that is missing or changed."""
    texts, faults = {}, []
    for name, expected in sorted(digests.items()):
        path = workspace.objects / expected
        data = path.read_bytes() if path.is_file() else None
        if data is None:
            faults.append(f"`objects/{expected}` ({name}) is missing")
        elif digest(data) != expected:
            faults.append(f"`objects/{expected}` ({name}) was changed")
        else:
            texts[name] = data.decode()
    if faults:
        raise WorkspaceError("recorded inputs are not as they were", where=str(workspace.objects), faults=faults)
    return texts
