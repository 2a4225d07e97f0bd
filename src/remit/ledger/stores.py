"""What a database must do to hold a log. SQLite and PostgreSQL differ here and nowhere else; `databases` is the one way to both."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


class Store(ABC):
    """One kind of database."""

    begin_reading: str
    """Begins a transaction on one unchanging state."""
    begin_writing: str
    """Begins a transaction that holds the write lock and sees all that was committed before."""

    @abstractmethod
    def where(self, url: sa.URL) -> str:
        """The database's name in messages, without user and password."""

    @abstractmethod
    def explain(self, error: BaseException, url: sa.URL) -> tuple[str, str]:
        """What went wrong and what to do, from an error of the driver; without password."""

    @abstractmethod
    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Adds many rows, their values in the order of the table's columns."""

    @abstractmethod
    def stored_entries(self, connection: sa.Connection, first: int, size: int) -> Any:
        """A driver's cursor over seq, kind and schema (as bytes, so that a changed byte that makes a name no text is found like any other), leaf, hcp,
        commitment, body and ciphertext of entries `first` up to `size`, in their order."""

    @abstractmethod
    def limit(self, connection: sa.Connection, idle_s: float) -> None:
        """Has the server end this transaction, if whoever began it does nothing for `idle_s`; where there is no server, its lock ends with the process."""

    @abstractmethod
    def settle(self, engine: sa.Engine) -> bool:
        """Moves what was committed to where it stays, if that is left to us; False if a reader kept it from being done in time."""

    @abstractmethod
    def damage(self, connection: sa.Connection, which: str) -> list[str]:
        """What is broken in the database, and where its schema, triggers included, is not what the migrations make."""


def upgrade(connection: sa.Connection, which: str) -> None:
    """Runs the migrations that the database lacks."""
    scripts = Path(__file__).parent / "migrations"
    config = Config()
    for option, value in (("script_location", scripts), ("version_locations", scripts / which), ("path_separator", "newline")):
        config.set_main_option(option, str(value).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
