"""Where a ledger lies."""

from dataclasses import dataclass, field
from pathlib import Path

from remit.ledger.errors import LedgerError

_MARK = "ledger.postgresql"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger lies: `folder` holds keys, vault, segments and the published checkpoint; the log is in `ledger.db` beside them, or with `url` in that
    PostgreSQL database, such as `postgresql://remit@db.internal/north`. A password in the URL is never shown."""

    folder: Path
    url: str | None = field(default=None, repr=False)

    @property
    def log(self) -> str:
        """What the log's database is called in messages."""
        return "ledger.db" if self.url is None else "the ledger database"

    @property
    def made(self) -> bool:
        """Whether a whole ledger was made here. Raises `LedgerError` if its log was made in another kind of database than is asked for."""
        here, there = (self.folder / "ledger.db").is_file(), (self.folder / _MARK).is_file()
        if here and self.url is not None:
            do = "Leave the URL out, or choose another folder: a log does not move by itself."
            raise LedgerError("the log of this ledger is in `ledger.db`, and not on PostgreSQL", where=str(self.folder), do=do)
        if there and self.url is None:
            raise LedgerError("the log of this ledger is in a PostgreSQL database", where=str(self.folder), do=(self.folder / _MARK).read_text().strip())
        return here or there

    @property
    def mark(self) -> Path:
        """The file that says that a ledger with its log on PostgreSQL was made here."""
        return self.folder / _MARK


def place_of(where: Path | Place) -> Place:
    """A folder as the place of a ledger on SQLite."""
    return where if isinstance(where, Place) else Place(where)
