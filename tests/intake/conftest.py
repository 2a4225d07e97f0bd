"""A workspace's feeds and warehouse in a temporary folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from remit.intake import LoadReport, Outcome, load, read, state
from remit.terms.instants import parse_instant

NOW = parse_instant("2026-01-05T06:00:00Z")


def numbered_entropy() -> Callable[[int], bytes]:
    """Salts that differ and repeat from run to run."""
    numbers: Iterator[int] = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


@dataclass
class Desk:
    """Writes feeds, loads them, reads the warehouse."""

    root: Path
    now: int = NOW
    erased: set[str] = field(default_factory=set)
    entropy: Callable[[int], bytes] = field(default_factory=numbered_entropy)

    @property
    def feeds(self) -> Path:
        return self.root / "feeds"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    def write(self, path: str, content: str | bytes) -> Path:
        """Writes `feeds/<path>`."""
        target = self.feeds / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def rx(self, file: str, *rows: str) -> Path:
        """Writes a file of prescriptions with its header."""
        return self.write(f"rx/{file}", "\n".join(["hcp_id,product,period,trx,nrx,nbrx,received_at", *rows]) + "\n")

    def load(self, now: int | None = None) -> LoadReport:
        return load(self.feeds, self.warehouse, self.now if now is None else now, self.entropy, self.erased.intersection)

    def read(self, table: str, as_of: int | None = None) -> pl.DataFrame:
        return read(self.warehouse, table, self.now if as_of is None else as_of)

    def state(self, table: str, as_of: int | None = None) -> pl.DataFrame:
        return state(self.warehouse, table, self.now if as_of is None else as_of)

    def faults(self, path: str, content: str | bytes) -> tuple[str, ...]:
        """The faults for which a file is refused."""
        self.write(path, content)
        (refused,) = self.load().having(Outcome.REFUSED)
        return refused.faults


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def new_desk(tmp_path: Path) -> Callable[[], Desk]:
    """Desks of their own, for properties."""
    numbers = count()
    return lambda: Desk(tmp_path / f"desk-{next(numbers)}")
