"""A log, or a vault, in a SQLite file."""

import os
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from remit.ledger.stores import Store, upgrade

_DAMAGED = ("the file is damaged", "Run `remit verify`, and restore it from its backup.")
_SAYS = {
    "SQLITE_BUSY": ("another process is writing to it", "Wait until that one is done, and run again."),
    "SQLITE_FULL": ("the disk is full; nothing was written", "Free space, and run again: what was half done is not there."),
    "SQLITE_READONLY": ("it cannot be written", "Mend the permissions of the file and its folder, and run again."),
    "SQLITE_CANTOPEN": ("it cannot be opened", "Check that the folder holds a ledger and may be read and written."),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": ("the file is damaged: it is no SQLite database", "Restore it from its backup."),
    "SQLITE_IOERR": ("the disk refused to read or write; nothing was written", "Free space or mend the disk, and run again."),
}
_ENTRIES = "SELECT seq, CAST(kind AS BLOB), CAST(schema AS BLOB), leaf, hcp, commitment, body, ciphertext FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq"
_SCHEMA = "SELECT type, name, sql FROM sqlite_master"


class Sqlite(Store):
    """SQLite."""

    begin_reading, begin_writing = "BEGIN", "BEGIN IMMEDIATE"

    def where(self, url: sa.URL) -> str:
        return str(url.database).removeprefix("file:")

    def explain(self, error: BaseException, url: sa.URL) -> tuple[str, str]:
        del url
        if isinstance(error, UnicodeDecodeError):  # SQLite's own complaint about a damaged schema quotes it
            return _DAMAGED
        name = str(getattr(error, "sqlite_errorname", ""))
        what, do = next((says for code, says in _SAYS.items() if name.startswith(code)), (str(error), "Run `remit verify`."))
        return f"{what} ({name or error})", do

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        names = ", ".join(table.columns.keys())
        marks = ", ".join("?" * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))  # noqa: S608 - names of ours

    def stored_entries(self, connection: sa.Connection, first: int, size: int) -> Any:
        return connection.exec_driver_sql(_ENTRIES, (first, size)).cursor

    def limit(self, connection: sa.Connection, idle_s: float) -> None:
        del connection, idle_s  # no server holds it

    def settle(self, engine: sa.Engine) -> bool:
        with engine.connect().execution_options(begin="") as connection, connection.begin():
            return bool(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0)

    def damage(self, connection: sa.Connection, which: str) -> list[str]:
        found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(20)") if row[0] != "ok"]
        strange = set(connection.exec_driver_sql(_SCHEMA).all()) ^ _fresh_schema(which)
        return found + sorted(f"{kind} `{name}` is missing or was changed" for kind, name in {row[:2] for row in strange})


def sqlite_engine(path: Path, *, writing: bool, wait_s: float) -> sa.Engine:
    """An engine on the file at `path`; its write transactions wait at most `wait_s` for another process."""
    mode, wal = "rw" if writing else "ro", path.with_name(f"{path.name}-wal")
    if not writing and not os.access(path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size):
        mode = "ro&immutable=1"  # WAL mode wants to put a file beside the database, which a read-only folder does not take
    engine = sa.create_engine(f"sqlite:///file:{quote(str(path))}?mode={mode}&uri=true", connect_args={"timeout": wait_s})
    sa.event.listen(engine, "connect", _write_pragmas if writing else _read_pragmas)
    return engine


def _write_pragmas(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    _set_up(connection, "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")


def _read_pragmas(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    _set_up(connection, "query_only=ON")


def _set_up(connection: sqlite3.Connection, *pragmas: str) -> None:
    connection.isolation_level = None  # transactions begin where `databases` says so
    connection.text_factory = _lenient  # a changed byte that makes a name no text is for `verify` to find, not for the driver to choke on
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _lenient(text: bytes) -> str:
    return text.decode(errors="replace")


@cache
def _fresh_schema(which: str) -> frozenset[sa.Row[Any]]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, which)
        schema = frozenset(connection.exec_driver_sql(_SCHEMA).all())
    engine.dispose()
    return schema
