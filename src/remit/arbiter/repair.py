"""From prices to a plan that keeps every capacity and limit: admit, meet floors, fill what is left, and exchange.

At prices p, the bound exceeds a plan's value by the sum of what each HCP's choice falls short of its best one at p, plus p x what is left. Both are made
small: HCPs that are not torn between choices come first, the torn ones draw theirs by the weights of the smoothed dual, and then HCPs whose best choice did
not fit try to take the place of one that can step aside for less.
"""

import numpy as np

from remit.arbiter.draft import Draft, drop, empty_draft, use_of
from remit.arbiter.dual import Prices, typical_amounts
from remit.arbiter.kernel import entry
from remit.arbiter.moves import EXCHANGE, NOTES, RELIEVE, REVISE, move
from remit.arbiter.rows import Flags, Ints, Rows, Scarce, Table
from remit.arbiter.sweep import Sweeper

SMALL = 2_000
"""HCPs of a problem where everyone may be asked to step aside."""
ROUNDS = 3
COOLER, GROWTH = 0.3, 1.5
TURNS, NEAR_TURNS = 18, 5
FEW = 0.02
"""A resource is local if it has no more users than this part of the HCPs."""
TRIES, MORE_TRIES = 12, 64
WIDER = 1.5
"""How much further than the smoothed dual's temperature an HCP's next choice may lie for it to be asked to step aside."""


class Repair:
    """Turns prices into a draft that fits."""

    def __init__(self, sweeper: Sweeper, scarce: Scarce) -> None:
        self._sweeper, self._rows, self._scarce = sweeper, sweeper.rows, scarce
        self.draft = empty_draft(sweeper.rows, scarce.capacity, scarce.floor)
        self._desk, _ = sweeper.desks[0]
        self._note = np.zeros((NOTES, self._desk.shape[1]), dtype=np.int32)
        self._near = np.zeros(sweeper.hcps, dtype=np.bool_)
        self._typical = typical_amounts(sweeper)
        self._all, self._any = np.ones(sweeper.hcps, dtype=np.bool_), np.ones(len(scarce.capacity), dtype=np.bool_)
        users = np.bincount(sweeper.rows.use.resource, minlength=len(scarce.capacity))
        self._local = users <= max(FEW * sweeper.hcps, SMALL)
        self._free = np.zeros(len(scarce.capacity), dtype=np.int64)

    def run(self, prices: Prices) -> Draft:
        """A feasible draft near the prices' own choices."""
        width = WIDER if self._sweeper.hcps > SMALL else 1e15 / prices.temperature
        drawn = self._sweeper.sample(prices.smoothed, COOLER * prices.temperature, self.draft, width / COOLER)
        self._near = drawn > 0
        self._admit(prices.price)
        self._meet_floors(prices.price)
        self._settle(prices)
        for _ in range(ROUNDS):
            changed = self._exchange(self._wanting(prices.price, self._near, self._any), prices.price, self._free)
            if self._sweeper.hcps <= SMALL:
                changed += self._exchange(self._wanting(self._free, self._all, self._any), self._free, self._free)
            if not changed:
                break
        self._revise(self._wanting(self._free, self._all, self.draft.left > 0, fitting=True), self._free, self._free)
        return self.draft

    def _settle(self, prices: Prices) -> None:
        """Lower the prices of what is left, little by little, until those take it who give up least for it."""
        price, bump = prices.price.copy(), np.maximum(np.rint(prices.temperature / self._typical), 1).astype(np.int64)
        for turn in range(TURNS):
            slack = (price > 0) & (self.draft.left > 500_000 * self._typical)
            if not slack.any():
                break
            price[slack] = np.maximum(price - bump, 0)[slack]
            bump[slack] = np.rint(GROWTH * bump[slack])
            ask, wanted = (self._near, slack) if turn < NEAR_TURNS else (self._all, slack & self._local)
            if not wanted.any():
                break
            hcps = self._wanting(price, ask, wanted)
            self._revise(hcps, price, price)
            self._exchange(hcps[: 8 * int(np.count_nonzero(wanted))], price, price)

    def _admit(self, price: Ints) -> None:
        """Take what all HCPs' choices use, mandatory ones first, and relieve what is overdrawn."""
        rows, hcps = self._rows, self._sweeper.hcps
        bound = np.zeros(hcps, dtype=np.bool_)
        if rows.mandatory.any():
            bound[np.searchsorted(rows.start, np.flatnonzero(rows.mandatory), side="right") - 1] = True
        first = np.flatnonzero(bound)
        _drop(rows, first, self.draft)
        for each in (self._scarce.highest, price):
            self._revise(first, each, each)
        _take_all(rows, np.flatnonzero(~bound), self.draft)
        self._near &= ~bound
        self._relieve(price, np.flatnonzero(self._near), TRIES)
        self._relieve(price, np.flatnonzero(~bound), MORE_TRIES)
        self._near |= bound

    def _relieve(self, price: Ints, hcps: Ints, tries: int) -> None:
        """Let some of these HCPs step aside from what is overdrawn."""
        over = np.flatnonzero(self.draft.left < 0)
        if len(over):
            start, users = _users(self._rows, hcps, self.draft)
            self._move(RELIEVE, over, price, price, start, users, tries)

    def _meet_floors(self, price: Ints) -> None:
        draft = self.draft
        for r in draft.floored.tolist():
            bump = 1_000
            while draft.left[r] > draft.most_left[r] and bump < self._scarce.highest[r]:
                push = price.copy()
                push[r] -= bump
                hcps = self._wanting(push, self._all, self._any)
                self._revise(hcps, push, push, r)
                if draft.left[r] > draft.most_left[r] and self._sweeper.hcps <= SMALL:
                    self._exchange(hcps, push, push)
                bump *= 4

    def _exchange(self, hcps: Ints, price: Ints, free: Ints) -> int:
        """Let these HCPs, in order, take others' place if their best choice does not fit; returns how many did."""
        start, users = _users(self._rows, np.flatnonzero(self._near), self.draft)
        return self._move(EXCHANGE, hcps, price, free, start, users, TRIES)

    def _wanting(self, price: Ints, ask: Flags, wanted: Flags, fitting: bool = False) -> Ints:
        """The HCPs of `ask` that could win at `price` with some of the `wanted` resources, most first; with `fitting`, if that would fit by itself."""
        return _most_first(self._sweeper.potentials(price, self.draft, ask, wanted, fitting))

    def _revise(self, hcps: Ints, price: Ints, free: Ints, until: int = -1) -> int:
        nobody = np.zeros(0, dtype=np.int64)
        return self._move(REVISE, hcps, price, free, nobody, nobody, until)

    def _move(self, task: int, items: Ints, price: Ints, free: Ints, start: Ints, users: Ints, most: int) -> int:
        return move(self._rows, task, items, price, free, self._desk, self.draft, self._note, start, users, most)


def _most_first(potential: Ints) -> Ints:
    some = np.flatnonzero(potential > 0)
    return some[np.argsort(-potential[some], kind="stable")]


@entry
def _drop(rows: Rows, hcps: Ints, draft: Draft) -> None:
    for hcp in hcps:
        drop(rows, hcp, draft)


@entry
def _take_all(rows: Rows, hcps: Ints, draft: Draft) -> None:
    for hcp in hcps:
        use_of(rows, hcp, draft, 1)


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
    nobody, note = np.zeros(0, dtype=np.int64), np.zeros((NOTES, table.shape[1]), dtype=np.int32)
    move(rows, REVISE, np.zeros(1, dtype=np.int64), price, price, table, draft, note, nobody, nobody, -1)
