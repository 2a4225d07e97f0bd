"""From prices to a plan that keeps every capacity and limit: admit, meet floors, fill what is left, and exchange.

At prices p, the bound exceeds a plan's value by the sum of what each HCP's choice falls short of its best one at p, plus p x what is left. Both are made
small: HCPs that are not torn between choices come first, the torn ones draw theirs by the weights of the smoothed dual, and then HCPs whose best choice did
not fit try to take the place of one that can step aside for less.
"""

import numpy as np

from remit.arbiter.draft import Draft, drop, empty_draft, overdrawn, use_of
from remit.arbiter.dual import Prices
from remit.arbiter.kernel import entry
from remit.arbiter.moves import move
from remit.arbiter.rows import Flags, Ints, Rows, Scarce, Table
from remit.arbiter.sweep import Sweeper

ROUNDS = 3
TRIES = 24
WIDER = 6.0
"""How much further than the smoothed dual's temperature an HCP's next choice may lie for it to be asked to step aside."""


class Repair:
    """Turns prices into a draft that fits."""

    def __init__(self, sweeper: Sweeper, scarce: Scarce) -> None:
        self._sweeper, self._rows, self._scarce = sweeper, sweeper.rows, scarce
        self.draft = empty_draft(sweeper.rows, scarce.capacity, scarce.floor)
        self._desk, _ = sweeper.desks[0]
        self._note = np.zeros((2, self._desk.shape[1]), dtype=np.int32)
        self._free = np.zeros(len(scarce.capacity), dtype=np.int64)

    def run(self, prices: Prices) -> Draft:
        """A feasible draft near the prices' own choices."""
        torn = self._sweeper.sample(prices.smoothed, prices.temperature, self.draft) > 1
        self._admit(prices.price, torn)
        self._meet_floors(prices.price)
        self._improve(prices)
        return self.draft

    def _admit(self, price: Ints, torn: Flags) -> None:
        rows, hcps = self._rows, self._sweeper.hcps
        bound = np.zeros(hcps, dtype=np.bool_)
        if rows.mandatory.any():
            bound[np.searchsorted(rows.start, np.flatnonzero(rows.mandatory), side="right") - 1] = True
        first = np.flatnonzero(bound)
        _drop(rows, first, self.draft)
        for each in (self._scarce.highest, price):
            self._revise(first, each, each)
        rest = np.concatenate([np.flatnonzero(~bound & ~torn), np.flatnonzero(~bound & torn)])
        refused = rest[_admit(rows, rest, self.draft)]
        self._revise(refused, price, price)

    def _meet_floors(self, price: Ints) -> None:
        draft = self.draft
        for r in draft.floored.tolist():
            bump = 1_000
            while draft.left[r] > draft.most_left[r] and bump < self._scarce.highest[r]:
                push = price.copy()
                push[r] -= bump
                hcps = self._wanting(push)
                self._revise(hcps, push, push, r)
                bump *= 4

    def _improve(self, prices: Prices) -> None:
        for _ in range(ROUNDS):
            fill = prices.price.copy()
            fill[self.draft.left > 0] = 0
            changed = self._revise(self._wanting(fill), fill, self._free)
            changed += self._exchange(prices)
            if not changed:
                break
        self._revise(self._wanting(self._free), self._free, self._free)

    def _exchange(self, prices: Prices) -> int:
        """Let HCPs whose best choice does not fit take another's place; returns how many did."""
        sweeper, rows = self._sweeper, self._rows
        wanting = self._wanting(prices.price)
        window = WIDER * prices.temperature if sweeper.hcps > 2_000 else 1e15
        movable = np.flatnonzero(sweeper.margins(prices.price, window))
        start, users = _users(rows, movable, self.draft)
        return move(rows, wanting, prices.price, self._free, self._desk, self.draft, self._note[0], start, users, self._note[1], TRIES)

    def _wanting(self, price: Ints) -> Ints:
        """The HCPs that could win at `price` if all fitted, most first."""
        potential = self._sweeper.potentials(price, self.draft)
        some = np.flatnonzero(potential > 0)
        return some[np.argsort(-potential[some], kind="stable")]

    def _revise(self, hcps: Ints, price: Ints, free: Ints, until: int = -1) -> int:
        nobody = np.zeros(0, dtype=np.int64)
        return move(self._rows, hcps, price, free, self._desk, self.draft, self._note[0], nobody, nobody, self._note[1], until)


@entry
def _drop(rows: Rows, hcps: Ints, draft: Draft) -> None:
    for hcp in hcps:
        drop(rows, hcp, draft)


@entry
def _admit(rows: Rows, hcps: Ints, draft: Draft) -> Flags:
    """Take what each HCP's choice uses, in order, where it fits; the others get nothing. Returns which ones."""
    refused = np.zeros(len(hcps), dtype=np.bool_)
    for k in range(len(hcps)):
        hcp = hcps[k]
        use_of(rows, hcp, draft, 1)
        if overdrawn(rows, hcp, draft) >= 0:
            use_of(rows, hcp, draft, -1)
            drop(rows, hcp, draft)
            refused[k] = True
    return refused


@entry
def _users(rows: Rows, hcps: Ints, draft: Draft) -> tuple[Ints, Ints]:
    """Which of these HCPs use each resource: `users[start[r]:start[r + 1]]`."""
    start = np.zeros(len(draft.left) + 1, dtype=np.int64)
    for count in range(2):
        if count == 1:
            for r in range(len(draft.left)):
                start[r + 1] += start[r]
            users = np.zeros(start[-1], dtype=np.int64)
            at = start[:-1].copy()
        for hcp in hcps:
            for row in range(rows.start[hcp], rows.start[hcp + 1]):
                if draft.rank[row] > 0:
                    for j in range(rows.use.start[row], rows.use.start[row + 1]):
                        r = rows.use.resource[j]
                        if count == 0:
                            start[r + 1] += 1
                        else:
                            users[at[r]] = hcp
                            at[r] += 1
            for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
                if draft.made[call] > 0:
                    for j in range(rows.call_use.start[call], rows.call_use.start[call + 1]):
                        r = rows.call_use.resource[j]
                        if count == 0:
                            start[r + 1] += 1
                        else:
                            users[at[r]] = hcp
                            at[r] += 1
    return start, users


def fit_one(rows: Rows, price: Ints, table: Table, draft: Draft) -> None:
    """The best choice at `price` that fits, for a problem of one HCP."""
    nobody, note = np.zeros(0, dtype=np.int64), np.zeros((2, table.shape[1]), dtype=np.int32)
    move(rows, np.zeros(1, dtype=np.int64), price, price, table, draft, note[0], nobody, nobody, note[1], -1)
