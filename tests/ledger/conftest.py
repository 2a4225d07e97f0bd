"""A ledger with nothing in it, and one with one cycle: on SQLite and on PostgreSQL, unless a test is `on_sqlite` or `on_postgresql`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.ledger import Ledger, Place, create_ledger, open_ledger
from tests.ledger.small import run_cycle, stream


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a ledger with nothing in it lies."""
    made = Place(tmp_path / "ledger", None if request.param == "sqlite" else request.getfixturevalue("database"))
    create_ledger(made, name="remit/test", entropy=stream())
    return made


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    """A ledger that holds `cycle-1`."""
    with open_ledger(place, entropy=stream(8)) as opened:
        run_cycle(opened)
        yield opened
