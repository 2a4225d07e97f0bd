"""Gates: locks on the database of a ledger's log that hold across machines, each kept by a session of its own for as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from remit.ledger.databases import connect_log, disposing, telling
from remit.ledger.places import Place

TURN, RUN = 0x52545552, 0x5252554E
"""Whose turn it is at the log; who runs a cycle, or changes what one goes by."""
_SPACE = "coalesce((SELECT relnamespace FROM pg_class WHERE oid = to_regclass('entries')), to_regnamespace(quote_ident(current_schema()))::oid, 0)::bigint"
"""The schema that holds the log, or will: the same before and after its tables are made."""
_TAKEN = "55P03"


class Gate:
    """One lock of one log on PostgreSQL, on an `engine` of its own. It is no lock on writing: whoever only appends, such as a stop, passes by."""

    def __init__(self, engine: sa.Engine, which: int = TURN) -> None:
        self._engine, self._key = engine, f"({which}::bigint << 32) + {_SPACE}"

    @contextmanager
    def held(self, patience_s: float | None = None, lasts_s: float | None = None) -> Iterator[bool]:
        """Waits at most `patience_s` for it (None: as long as it takes), in the order in which it was asked for, and says whether it is held. It ends with the
        session, so also with the process or the machine; the server ends it after `lasts_s` (None: never), so that a process that is halted does not keep
        other machines out. Raises `LedgerError`."""
        with telling(self._engine):
            connection = self._engine.connect().execution_options(begin="")
        try:
            with telling(self._engine):
                got = self._take(connection, patience_s, 0 if lasts_s is None else round(lasts_s * 1000))
            try:
                yield got
            finally:
                _let_go(connection)
        finally:
            connection.close()

    def close(self) -> None:
        """Lets go of the database."""
        self._engine.dispose()

    def _take(self, connection: sa.Connection, patience_s: float | None, idle_ms: int) -> bool:
        connection.exec_driver_sql(f"SET idle_session_timeout = {idle_ms}")
        if patience_s == 0:
            return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({self._key})").scalar())
        wait_ms = 0 if patience_s is None else max(1, round(patience_s * 1000))
        try:
            connection.exec_driver_sql(f"SET lock_timeout = {wait_ms}; SELECT pg_advisory_lock({self._key})")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _TAKEN:
                return False
            raise
        return True


def _let_go(connection: sa.Connection) -> None:
    try:
        connection.exec_driver_sql("SET idle_session_timeout = 0; SELECT pg_advisory_unlock_all()")
    except DBAPIError:
        connection.invalidate()  # the session is lost, and the lock ended with it


@contextmanager
def gate_held(place: Place, which: int, patience_s: float | None = None) -> Iterator[bool]:
    """As `Gate.held`, with a connection of its own."""
    with disposing(connect_log(place, writing=False)) as engine, Gate(engine, which).held(patience_s) as got:
        yield got
