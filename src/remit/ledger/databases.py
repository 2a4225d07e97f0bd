"""The ledger's two databases, log and vault: their tables, how they are opened, migrated, and how their failures are told.

`reading` and `writing` are the one way in, whichever kind of database it is.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from remit.ledger.errors import LedgerError
from remit.ledger.places import Place
from remit.ledger.postgresql import Postgresql, postgresql_engine
from remit.ledger.sqlite import Sqlite, sqlite_engine
from remit.ledger.stores import Store, upgrade

REVISIONS = {"ledger": ("ledger_0001", "ledger_0002"), "vault": ("vault_0001",)}
"""The revisions of each database that this version knows, the newest last."""

_STORES: dict[str, Store] = {"sqlite": Sqlite(), "postgresql": Postgresql()}
_METADATA = sa.MetaData()


def _table(name: str, **columns: Any) -> sa.Table:
    return sa.Table(name, _METADATA, *(sa.Column(column, kind) for column, kind in columns.items()))


_INT, _TEXT, _BLOB = sa.BigInteger, sa.Text, sa.LargeBinary
ENTRIES = _table("entries", seq=_INT, kind=_TEXT, schema=_TEXT, leaf=_BLOB, hcp=_BLOB, commitment=_BLOB, body=_BLOB, ciphertext=_BLOB)
NODES = _table("nodes", height=_INT, position=_INT, hash=_BLOB)
CHECKPOINTS = _table("checkpoints", size=_INT, batch=_TEXT, cycle=_TEXT, note=_BLOB)
KEYS = _table("keys", hcp_id=_TEXT, ref=_BLOB, key=_BLOB)
ERASED = _table("erased", ref=_BLOB, mac=_BLOB, mark=_BLOB, tombstone=_BLOB)
SECRET = _table("secret", mark=_BLOB)


def connect(path: Path, *, writing: bool, wait_s: float = 30.0) -> sa.Engine:
    """An engine on the SQLite database at `path`; its write transactions wait at most `wait_s` for another process."""
    return _listening(sqlite_engine(path, writing=writing, wait_s=wait_s))


def connect_log(place: Place, *, writing: bool, wait_s: float = 30.0) -> sa.Engine:
    """An engine on the log of the ledger at `place`. Raises `LedgerError` for a URL that is none."""
    if place.url is None:
        return connect(place.folder / "ledger.db", writing=writing, wait_s=wait_s)
    return _listening(postgresql_engine(place.url, writing=writing, wait_s=wait_s))


@contextmanager
def disposing(engine: sa.Engine) -> Iterator[sa.Engine]:
    """An engine that lets go of its connections at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


def _listening(engine: sa.Engine) -> sa.Engine:
    sa.event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    if statement := connection.get_execution_options()["begin"]:
        connection.exec_driver_sql(statement)


def _store(engine: sa.Engine) -> Store:
    return _STORES[engine.dialect.name]


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection on one unchanging state of the database. Raises `LedgerError`."""
    with _connection(engine, _store(engine).begin_reading) as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that holds the write lock, sees all that was committed before, and commits at the end or leaves nothing behind. Raises `LedgerError`."""
    with _connection(engine, _store(engine).begin_writing) as connection:
        yield connection


@contextmanager
def _connection(engine: sa.Engine, begin: str) -> Iterator[sa.Connection]:
    with telling(engine), engine.connect().execution_options(begin=begin) as connection, connection.begin():
        yield connection


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Adds many rows at once, their values in the order of the table's columns."""
    if rows:
        _store(connection.engine).insert(connection, table, rows)


def stored_entries(connection: sa.Connection, first: int, size: int) -> Any:
    """A driver's cursor over entries `first` up to `size`: see `Store.stored_entries`."""
    return _store(connection.engine).stored_entries(connection, first, size)


def limit(connection: sa.Connection, idle_s: float) -> None:
    """Ends a transaction that its own process leaves alone for `idle_s`: see `Store.limit`."""
    _store(connection.engine).limit(connection, idle_s)


def settle(engine: sa.Engine) -> bool:
    """Moves what was committed into the database file and empties the write-ahead log, where that is left to us; False if a reader kept it from being
    done in time."""
    with telling(engine):
        return _store(engine).settle(engine)


@contextmanager
def telling(engine: sa.Engine) -> Iterator[None]:
    """Turns the database's failures into a `LedgerError` that says what to do."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, psycopg.Error, UnicodeDecodeError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        what, do = _store(engine).explain(cause, engine.url)
        raise LedgerError(what, where=name_of(engine), do=do) from None
    except PoolTimeoutError:
        raise LedgerError("no connection came free", where=name_of(engine), do="Use fewer threads, and run again.") from None


def name_of(engine: sa.Engine) -> str:
    """The database's name in messages, without user and password."""
    return _store(engine).where(engine.url)


def check_revision(engine: sa.Engine, which: str) -> None:
    """Raises `LedgerError` unless the database's schema is the newest that this version knows."""
    revision = _refuse_newer(engine, which)
    if revision != REVISIONS[which][-1]:
        raise LedgerError(f"its schema is old (`{revision}`)", where=name_of(engine), do="Run `remit migrate`.")


def _refuse_newer(engine: sa.Engine, which: str) -> str:
    with reading(engine) as connection:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision not in REVISIONS[which]:
        raise LedgerError(f"it was written by a newer Remit (schema `{revision}`)", where=name_of(engine), do="Install that version; nothing was changed.")
    return str(revision)


def migrate(path: Path, which: str) -> None:
    """Creates the SQLite database at `path`, or brings it to the newest schema. Raises `LedgerError`."""
    path.touch()
    with disposing(connect(path, writing=True)) as engine:
        _migrate(engine, which, known=bool(path.stat().st_size))


def migrate_log(place: Place) -> None:
    """Creates the log's tables, or brings them to the newest schema. Raises `LedgerError`."""
    if place.url is None:
        migrate(place.folder / "ledger.db", "ledger")
        return
    with disposing(connect_log(place, writing=True)) as engine:
        with reading(engine) as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
            known = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar() is not None
        if encoding != "UTF8":
            raise LedgerError(f"its encoding is {encoding}", where=name_of(engine), do="Create it with ENCODING 'UTF8' TEMPLATE template0.")
        _migrate(engine, "ledger", known=known)


def _migrate(engine: sa.Engine, which: str, *, known: bool) -> None:
    if known:
        _refuse_newer(engine, which)
    with writing(engine) as connection:
        upgrade(connection, which)


def damage(connection: sa.Connection, which: str) -> list[str]:
    """What is broken in the database, and where its schema, triggers included, is not what the migrations make."""
    with telling(connection.engine):
        return _store(connection.engine).damage(connection, which)
