"""The two SQLite databases: their tables, how they are opened, migrated, and how their failures are told."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from remit.ledger.errors import LedgerError

REVISIONS = {"ledger": ("ledger_0001",), "vault": ("vault_0001",)}
"""The revisions of each database that this version knows, the newest last."""

_METADATA = sa.MetaData()


def _table(name: str, **columns: Any) -> sa.Table:
    return sa.Table(name, _METADATA, *(sa.Column(column, kind) for column, kind in columns.items()))


_INT, _TEXT, _BLOB = sa.Integer, sa.Text, sa.LargeBinary
ENTRIES = _table("entries", seq=_INT, kind=_TEXT, schema=_TEXT, leaf=_BLOB, hcp=_BLOB, commitment=_BLOB, body=_BLOB, ciphertext=_BLOB)
NODES = _table("nodes", height=_INT, position=_INT, hash=_BLOB)
CHECKPOINTS = _table("checkpoints", size=_INT, batch=_TEXT, cycle=_TEXT, note=_BLOB)
KEYS = _table("keys", hcp_id=_TEXT, ref=_BLOB, key=_BLOB)
ERASED = _table("erased", ref=_BLOB, mac=_BLOB, mark=_BLOB, tombstone=_BLOB)
SECRET = _table("secret", mark=_BLOB)

_SAYS = {
    "SQLITE_BUSY": ("another process is writing to it", "Wait until that one is done, and run again."),
    "SQLITE_FULL": ("the disk is full; nothing was written", "Free space, and run again: what was half done is not there."),
    "SQLITE_READONLY": ("it cannot be written", "Mend the permissions of the file and its folder, and run again."),
    "SQLITE_CANTOPEN": ("it cannot be opened", "Check that the folder holds a ledger and may be read and written."),
    "SQLITE_CORRUPT": ("the file is damaged", "Run `remit verify`, and restore it from its backup."),
    "SQLITE_NOTADB": ("the file is damaged: it is no SQLite database", "Restore it from its backup."),
    "SQLITE_IOERR": ("the disk refused to read or write; nothing was written", "Free space or mend the disk, and run again."),
}


def connect(path: Path, *, writing: bool, wait_s: float = 30.0) -> sa.Engine:
    """An engine on the SQLite database at `path`; its write transactions wait at most `wait_s` for another process."""
    mode, wal = "rw" if writing else "ro", path.with_name(f"{path.name}-wal")
    if not writing and not os.access(path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size):
        mode = "ro&immutable=1"  # WAL mode wants to put a file beside the database, which a read-only folder does not take
    engine = sa.create_engine(f"sqlite:///file:{quote(str(path))}?mode={mode}&uri=true", connect_args={"timeout": wait_s})
    sa.event.listen(engine, "connect", _write_pragmas if writing else _read_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _write_pragmas(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    _set_up(connection, "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")


def _read_pragmas(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    _set_up(connection, "query_only=ON")


def _set_up(connection: sqlite3.Connection, *pragmas: str) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    connection.text_factory = _lenient  # a changed byte that makes a name no text is for `verify` to find, not for the driver to choke on
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _lenient(text: bytes) -> str:
    return text.decode(errors="replace")


def _begin(connection: sa.Connection) -> None:
    if statement := connection.get_execution_options()["begin"]:
        connection.exec_driver_sql(statement)


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection on one unchanging state of the database. Raises `LedgerError`."""
    with _connection(engine, "BEGIN") as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that holds the write lock, and commits at the end or leaves nothing behind. Raises `LedgerError`."""
    with _connection(engine, "BEGIN IMMEDIATE") as connection:
        yield connection


def truncate_wal(engine: sa.Engine) -> bool:
    """Moves what was committed into the database file and empties the write-ahead log; False if a reader kept it from doing so in time."""
    with _connection(engine, "") as connection:
        return bool(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0)


@contextmanager
def _connection(engine: sa.Engine, begin: str) -> Iterator[sa.Connection]:
    with telling(engine), engine.connect().execution_options(begin=begin) as connection, connection.begin():
        yield connection


@contextmanager
def telling(engine: sa.Engine) -> Iterator[None]:
    """Turns the database's failures into a `LedgerError` that says what to do."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        name = str(getattr(cause, "sqlite_errorname", ""))
        what, do = next((says for code, says in _SAYS.items() if name.startswith(code)), (str(cause), "Run `remit verify`."))
        raise LedgerError(f"{what} ({name or cause})", where=_path(engine), do=do) from None
    except UnicodeDecodeError:  # SQLite's own complaint about a damaged schema quotes it
        what, do = _SAYS["SQLITE_CORRUPT"]
        raise LedgerError(what, where=_path(engine), do=do) from None


def _path(engine: sa.Engine) -> str:
    return str(engine.url.database).removeprefix("file:")


def check_revision(engine: sa.Engine, which: str) -> None:
    """Raises `LedgerError` unless the database's schema is the newest that this version knows."""
    revision = _refuse_newer(engine, which)
    if revision != REVISIONS[which][-1]:
        raise LedgerError(f"its schema is old (`{revision}`)", where=_path(engine), do="Run `remit migrate`.")


def _refuse_newer(engine: sa.Engine, which: str) -> str:
    with reading(engine) as connection:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision not in REVISIONS[which]:
        raise LedgerError(f"it was written by a newer Remit (schema `{revision}`)", where=_path(engine), do="Install that version; nothing was changed.")
    return str(revision)


def migrate(path: Path, which: str) -> None:
    """Creates the database, or brings it to the newest schema. Raises `LedgerError`."""
    path.touch()
    engine = connect(path, writing=True)
    if path.stat().st_size:
        _refuse_newer(engine, which)
    with writing(engine) as connection:
        _upgrade(connection, which)
    engine.dispose()


def _upgrade(connection: sa.Connection, which: str) -> None:
    scripts = Path(__file__).parent / "migrations"
    config = Config()
    for option, value in (("script_location", scripts), ("version_locations", scripts / which), ("path_separator", "newline")):
        config.set_main_option(option, str(value).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def damage(connection: sa.Connection, which: str) -> list[str]:
    """What SQLite finds broken in the database, and where its schema, triggers included, is not what the migrations make."""
    with telling(connection.engine):
        found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(20)") if row[0] != "ok"]
        strange = set(connection.exec_driver_sql(_SCHEMA).all()) ^ _fresh_schema(which)
    return found + sorted(f"{kind} `{name}` is missing or was changed" for kind, name in {row[:2] for row in strange})


_SCHEMA = "SELECT type, name, sql FROM sqlite_master"


@cache
def _fresh_schema(which: str) -> frozenset[sa.Row[Any]]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        _upgrade(connection, which)
        schema = frozenset(connection.exec_driver_sql(_SCHEMA).all())
    engine.dispose()
    return schema
