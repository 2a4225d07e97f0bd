"""One clerk's turn: proposes for an HCP, or hands over what is due, and dies without any clean-up at the named step of it."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remit.ledger import Entry, Ledger, Turn, open_ledger
from remit.runtime.standing import deliverer, take_place
from remit.runtime.workspace import open_workspace
from remit.terms.proposals import Cleared
from tests.runtime.test_between import asked

STEPS = {
    "propose": ("the turn begins", "before it is recorded", "recorded, not committed", "committed, not answered"),
    "act": ("the turn begins", "before the list", "after the list", "recorded, not committed", "committed, not answered"),
}


def main(root: Path, what: str, step: str, hcp: str) -> None:
    """Dies at the step."""

    def die_at(name: str) -> None:
        if name == step:
            os._exit(9)

    class Dying(Turn):
        def append(self, batch: str, entries: Sequence[Entry], *, cycle: str) -> list[int]:
            die_at("before it is recorded")
            numbers = super().append(batch, entries, cycle=cycle)
            die_at("recorded, not committed")
            return numbers

    whole = Ledger.turn

    @contextmanager
    def turn(self: Ledger, since: int, idle_s: float | None = None) -> Iterator[Turn]:
        with whole(self, since, idle_s) as held:
            die_at("the turn begins")
            held.__class__ = Dying
            yield held
        die_at("committed, not answered")

    workspace = open_workspace(root)
    ledger = open_ledger(workspace.ledger, entropy=os.urandom)
    clerk, config = take_place(workspace, ledger, lambda: 0, 1)
    write = deliverer(workspace, config)

    def deliver(label: str, first: int, cleared: Sequence[Cleared]) -> Mapping[str, Mapping[str, Any]]:
        die_at("before the list")
        files = write(label, first, cleared)
        die_at("after the list")
        return files

    Ledger.turn = turn  # type: ignore[method-assign]
    if what == "propose":
        clerk.answer([(clerk.standing.charters["email"], asked(clerk, hcp, f"k-{hcp}"))])
    else:
        clerk.act(deliver)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4])
