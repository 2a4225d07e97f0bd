"""A ledger with nothing in it, and one with one cycle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.ledger import Ledger, create_ledger, open_ledger
from tests.ledger.small import run_cycle, stream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a ledger with nothing in it."""
    create_ledger(tmp_path / "ledger", name="remit/test", entropy=stream())
    return tmp_path / "ledger"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    """A ledger that holds `cycle-1`."""
    with open_ledger(folder, entropy=stream(8)) as opened:
        run_cycle(opened)
        yield opened
