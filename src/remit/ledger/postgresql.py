"""A log in a PostgreSQL database."""

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from remit.ledger.errors import LedgerError
from remit.ledger.stores import Store

_SCHEMES = ("postgresql", "postgresql+psycopg", "postgres")
_AGAIN = "run again: what was half done is not there, and what was committed is not written twice."
_DAMAGED = ("its files are damaged", "Run `remit verify`, and restore it from its backup.")
_LOST = ("the connection to the server was lost", f"Check that the server runs, and {_AGAIN}")
_BUSY = ("another process is writing to it", "Wait until that one is done, and run again.")
_REFUSED = ("the server refused the user or the password", "Mend the URL, or what the server lets this user do.")
_SAYS = {
    "08": _LOST,
    "21000": ("a statement found more than it may", "Run `remit verify`."),
    "25006": ("it cannot be written: it is read-only, or a standby", "Name the primary server, or lift the restriction, and run again."),
    "25P03": _LOST,
    "28": _REFUSED,
    "3D000": ("there is no such database", "Create it, or mend its name in the URL."),
    "3F000": ("there is no schema to hold the tables", "Create it, or mend `search_path` in the URL."),
    "40P01": ("two transactions waited for each other, and this one gave way; nothing was written", "Run again."),
    "40": ("another transaction came in between; nothing was written", "Run again."),
    "42501": ("the user may not do this", "Grant SELECT and INSERT on the tables, and to whoever runs `remit migrate` also CREATE on the schema."),
    "42P01": ("it holds no ledger, or not all of it", "Mend the URL, or restore the database from its backup."),
    "42P07": ("it holds tables of these names that are not a ledger's", "Give the ledger a database or a schema of its own."),
    "53100": ("the server's disk is full; nothing was written", "Free space there, and run again: what was half done is not there."),
    "53200": ("the server has no memory left; nothing was written", "Free memory there, and run again."),
    "53300": ("the server takes no more connections", "Close others or raise `max_connections`, and run again."),
    "55P03": _BUSY,
    "57014": ("a statement took longer than the server allows; nothing was written", "Raise `statement_timeout` for this user, and run again."),
    "57P03": ("the server is starting, or stopping", "Wait until it runs, and run again."),
    "57P": _LOST,
    "58": ("the server's disk refused to read or write; nothing was written", "Mend the disk there, and run again."),
    "P0001": ("the ledger is append-only", "Run `remit verify`: something else writes to these tables."),
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
# Before a connection stands, the server's answer has no code, only words.
_REFUSALS = {
    "too many clients": _SAYS["53300"],
    "too many connections": _SAYS["53300"],
    "connection slots are reserved": _SAYS["53300"],
    "the database system is": _SAYS["57P03"],
    "password authentication failed": _REFUSED,
    "no password supplied": _REFUSED,
    "no pg_hba.conf entry": _REFUSED,
    'role "': _REFUSED,
    '" does not exist': _SAYS["3D000"],
}
_NO_CONNECTION = ("connection to server", "connection failed", "connection is bad", "failed to resolve", "timeout expired", "connection timeout")
_UNREACHABLE = "Check that the server runs and can be reached from here, mend the URL, and run again."

_LOCK = 0x52454D54 << 32
"""Our advisory locks, to which the table's number is added: two ledgers in two schemas do not wait for each other, and whoever finds the table, by
whatever search path, takes the same lock."""
_ENTRIES = (
    "SELECT seq, convert_to(kind, 'UTF8'), convert_to(schema, 'UTF8'), leaf, hcp, commitment, body, ciphertext "
    "FROM entries WHERE seq >= %s AND seq < %s ORDER BY seq"
)
_CURSORS = count()
_FACTS = Path(__file__).parent / "migrations" / "postgresql.json"
"""What `schema_facts` finds in the newest schema."""


class Postgresql(Store):
    """PostgreSQL.

    Writers take turns by an advisory lock, and only then look: in READ COMMITTED each statement sees what was committed before it. A lost acknowledged
    commit would be a fork, so a server that does not wait for its disk is told to.
    """

    begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    begin_writing = (
        "BEGIN ISOLATION LEVEL READ COMMITTED; "
        f"SELECT pg_advisory_xact_lock({_LOCK} + coalesce(to_regclass('entries')::oid::bigint, 0)), "
        "CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END"
    )

    def where(self, url: sa.URL) -> str:
        host = url.host or url.query.get("host", "localhost")
        port = f":{url.port}" if url.port else ""
        return f"postgresql://{host}{port}/{url.database or ''}"

    def explain(self, error: BaseException, url: sa.URL) -> tuple[str, str]:
        if isinstance(error, UnicodeDecodeError):
            return _DAMAGED
        said, code = _without_password(str(error), url), str(getattr(error, "sqlstate", None) or "")
        line = next((line.strip() for line in reversed(said.splitlines()) if line.strip() and not line.lstrip().startswith("Is the server")), "")
        for start, says in _SAYS.items():
            if code.startswith(start):
                return f"{says[0]} ({code})", says[1]
        if code:
            return f"{line} ({code})", "Run `remit verify`."
        if any(words in said for words in _NO_CONNECTION):
            return next((says for words, says in _REFUSALS.items() if words in said), (f"the server cannot be reached: {line}", _UNREACHABLE))
        if isinstance(error, psycopg.OperationalError):
            return _LOST
        return line, "Run `remit verify`."

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        kinds = [_KINDS[type(column.type)] for column in table.columns]
        with _raw(connection).cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(kinds)
            for row in rows:
                copy.write_row(row)

    def stored_entries(self, connection: sa.Connection, first: int, size: int) -> Any:
        cursor = _raw(connection).cursor(f"entries_{next(_CURSORS)}", binary=True)  # on the server: a share of the log need not fit in memory
        cursor.execute(_ENTRIES, (first, size))
        return cursor

    def limit(self, connection: sa.Connection, idle_s: float) -> None:
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {round(idle_s * 1000)}")

    def settle(self, engine: sa.Engine) -> bool:
        del engine  # the server's own business
        return True

    def damage(self, connection: sa.Connection, which: str) -> list[str]:
        del which  # the vault is never here
        known = {(kind, name, definition) for kind, name, definition in json.loads(_FACTS.read_bytes())}
        strange = set(schema_facts(connection, sorted(name for kind, name, _ in known if kind == "table"))) ^ known
        return sorted(f"{kind} `{name}` is missing or was changed" for kind, name in {fact[:2] for fact in strange})


_KINDS = {sa.BigInteger: "int8", sa.Text: "text", sa.LargeBinary: "bytea"}


def _raw(connection: sa.Connection) -> "psycopg.Connection[Any]":
    raw: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # this is the driver we asked for
    return raw


def postgresql_engine(url: str, *, writing: bool, wait_s: float) -> sa.Engine:
    """An engine on the database at `url`; a write transaction waits at most `wait_s` for another. Raises `LedgerError` for what is no URL of a
    PostgreSQL database."""
    parsed = _parsed(url)
    given = {"connect_timeout": 10, "application_name": "remit", "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    arguments = {name: value for name, value in given.items() if name not in parsed.query}
    engine = sa.create_engine(parsed, connect_args={**arguments, "autocommit": True, "client_encoding": "UTF8"}, pool_pre_ping=True)
    session = [f"SET lock_timeout = {max(1, round(wait_s * 1000))}", f"SET default_transaction_read_only = {'off' if writing else 'on'}"]
    session += [f"SET tcp_keepalives_{name}" for name in ("idle = 30", "interval = 10", "count = 3")]  # a client that vanished holds its lock a minute

    def set_up(connection: "psycopg.Connection[Any]", _entry: ConnectionPoolEntry) -> None:
        connection.execute("; ".join(session))

    sa.event.listen(engine, "connect", set_up)
    return engine


def _parsed(url: str) -> sa.URL:
    do = "It reads `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25."
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError("the URL of the ledger database cannot be read", do=do) from None
    faults = [f"it begins with `{parsed.drivername}`, not `postgresql`"] if parsed.drivername not in _SCHEMES else []
    faults += ["its host holds an @"] if "@" in (parsed.host or "") else []
    faults += ["it names no database"] if not parsed.database else []
    if faults:
        raise LedgerError("the URL of the ledger database cannot be used", do=do, faults=faults)
    return parsed.set(drivername="postgresql+psycopg")


def _without_password(text: str, url: sa.URL) -> str:
    secrets = [url.password, *(value for name, value in url.query.items() if "password" in name)]
    for secret in secrets:
        text = text.replace(str(secret), "***") if secret else text
    return text


_QUERY = """
WITH ours AS (SELECT oid, relname, relkind, relrowsecurity, relpersistence, relnamespace::regnamespace::text AS space FROM pg_class
              WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('entries')) AND relname = ANY(%s) AND relkind <> 'i')
SELECT 'table', relname, concat_ws(' ', relkind, relpersistence, relrowsecurity), space FROM ours
UNION ALL SELECT 'column', relname || '.' || attname, concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, collname, attgenerated, atthasdef), space
  FROM ours JOIN pg_attribute ON attrelid = ours.oid LEFT JOIN pg_collation ON pg_collation.oid = attcollation WHERE attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'constraint', conname, relname || ' ' || pg_get_constraintdef(pg_constraint.oid, true) || ' ' || convalidated, space
  FROM ours JOIN pg_constraint ON conrelid = ours.oid WHERE contype <> 'n'
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid, 0, true) || ' ' || indisvalid, space
  FROM ours JOIN pg_index ON indrelid = ours.oid
UNION ALL SELECT 'trigger', tgname, concat_ws(' ', tgenabled, pg_get_triggerdef(pg_trigger.oid, true), prosrc), space
  FROM ours JOIN pg_trigger ON tgrelid = ours.oid JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal
UNION ALL SELECT 'rule', rulename, pg_get_ruledef(pg_rewrite.oid, true), space FROM ours JOIN pg_rewrite ON ev_class = ours.oid
UNION ALL SELECT 'policy', polname, relname, space FROM ours JOIN pg_policy ON polrelid = ours.oid
UNION ALL SELECT 'child table', inhrelid::regclass::text, relname, space FROM ours JOIN pg_inherits ON inhparent = ours.oid
"""


def schema_facts(connection: sa.Connection, tables: Sequence[str]) -> list[tuple[str, str, str]]:
    """Everything that the catalogue says of these tables, as kind, name and definition: columns, constraints, indexes, triggers with their functions, and
    what there should be none of. The schema's own name is left out."""
    rows = _raw(connection).execute(_QUERY, (list(tables),)).fetchall()
    return sorted((kind, _bare(name, space), _bare(definition, space)) for kind, name, definition, space in rows)


def _bare(text: str, space: str) -> str:
    return text.replace(f"{space}.", "")
