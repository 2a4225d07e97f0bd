"""Exact prices of a small problem: Dantzig and Wolfe's decomposition, whose master problem is solved by the revised simplex method.

The master mixes, per HCP, the choices found so far; its multipliers are prices, at which every HCP is asked for a better choice, until none has one
(Dantzig and Wolfe, Decomposition principle for linear programs, 1960). Capacities are enlarged, and floors lowered, by minute and different amounts:
that avoids cycling, and among optimal prices it finds those that hold for more capacity rather than for less, as a right derivative must.
"""

import numpy as np

from remit.arbiter.draft import Draft, empty_draft, value_of
from remit.arbiter.kernel import entry
from remit.arbiter.rows import Ints, Rows, Scarce
from remit.arbiter.simplex import maximise
from remit.arbiter.sweep import Floats, Sweeper
from remit.terms.encoding import MICRO

MOST_ROWS = 300
"""HCPs, capacities and floors of a problem that is still small."""
ROUNDS = 200
_MINUTE = 1e-7


class Master:
    """The master problem: rows are HCPs, then capacities, then floors; columns are choices, slacks, and breaches at the highest price."""

    def __init__(self, sweeper: Sweeper, scarce: Scarce) -> None:
        self._sweeper, self._scarce = sweeper, scarce
        self._hcps, self._resources = sweeper.hcps, len(scarce.capacity)
        self._floored = np.flatnonzero(scarce.floor > 0)
        self._rows = self._hcps + self._resources + len(self._floored)
        self._columns: list[Floats] = []
        self._worth: list[float] = []

    def solve(self) -> Ints:
        """The prices of the least bound, in micro-units of value per unit."""
        hcps, rows = self._hcps, self._rows
        right, basis = self._start()
        inverse = np.zeros((rows, rows))
        price = np.zeros(self._resources, dtype=np.int64)
        for _ in range(ROUNDS):
            columns, worth = np.array(self._columns), np.array(self._worth)
            multiplier = np.zeros(rows)
            maximise(columns, worth, right, basis, inverse, multiplier)
            price = np.rint(multiplier[hcps : hcps + self._resources] * MICRO).astype(np.int64)
            price[self._floored] += np.rint(multiplier[hcps + self._resources :] * MICRO).astype(np.int64)
            if not self._enter_choices(price, multiplier):
                break
        return price

    def _start(self) -> tuple[Floats, Ints]:
        """Enlarged limits, and a first basis: least use of every HCP, and slack or breach on every row of a resource."""
        hcps, resources, rows = self._hcps, self._resources, self._rows
        minute = _MINUTE * (1.0 + np.arange(rows) * 0.6180339887498949 % 1.0)
        right = np.ones(rows)
        right[hcps : hcps + resources] = self._scarce.capacity / MICRO
        right[hcps + resources :] = np.minimum(self._scarce.floor, self._scarce.capacity)[self._floored] / MICRO
        right[hcps : hcps + resources] += minute[hcps : hcps + resources]
        right[hcps + resources :] -= minute[hcps + resources :]
        use = np.zeros(rows)
        for column, worth in self._choices(self._scarce.highest):
            self._add(column, worth)
            use += column
        basis = np.arange(rows)
        for row in range(hcps, rows):
            floor = row >= hcps + resources
            resource = self._floored[row - hcps - resources] if floor else row - hcps
            unit = np.zeros(rows)
            unit[row] = -1.0 if floor else 1.0
            slack = self._add(unit, 0.0)
            breach = self._add(-unit, -float(self._scarce.highest[resource]) / MICRO)
            basis[row] = slack if (use[row] >= right[row]) == floor else breach
        return right, basis

    def _add(self, column: Floats, worth: float) -> int:
        self._columns.append(column)
        self._worth.append(worth)
        return len(self._worth) - 1

    def _choices(self, price: Ints) -> list[tuple[Floats, float]]:
        """Every HCP's best choice at `price`, as a column and its worth in units."""
        rows = self._sweeper.rows
        draft = empty_draft(rows, self._scarce.capacity, self._scarce.floor)
        self._sweeper.sample(price, 0.0, draft)
        use, worth = np.zeros((self._hcps, self._rows)), np.zeros(self._hcps)
        _columns(rows, draft, np.zeros(self._resources, dtype=np.int64), use, worth)
        use[:, self._hcps + self._resources :] = use[:, self._hcps + self._floored]
        return list(zip(use, (worth / MICRO).tolist(), strict=True))

    def _enter_choices(self, price: Ints, multiplier: Floats) -> bool:
        """Add every HCP's best choice that would improve the master; False if none would."""
        before = len(self._worth)
        for column, worth in self._choices(price):
            gain = worth - float((column * multiplier).cumsum()[-1])
            if gain > 1e-9 * (1.0 + abs(worth)):
                self._add(column, worth)
        return len(self._worth) > before


@entry
def _columns(rows: Rows, draft: Draft, free: Ints, use: Floats, worth: Floats) -> None:
    """Write each HCP's choice as a column (1 in the HCP's own row, then its use of each resource, in units) and what it is worth, in micro-units."""
    hcps = len(worth)
    for hcp in range(hcps):
        use[hcp, hcp] = 1.0
        worth[hcp] = value_of(rows, hcp, free, 0, draft)
        for row in range(rows.start[hcp], rows.start[hcp + 1]):
            if draft.rank[row] > 0:
                for j in range(rows.use.start[row], rows.use.start[row + 1]):
                    use[hcp, hcps + rows.use.resource[j]] += rows.use.amount[j] / MICRO
        for row in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
            for j in range(rows.call_use.start[row], rows.call_use.start[row + 1]):
                use[hcp, hcps + rows.call_use.resource[j]] += draft.made[row] * rows.call_use.amount[j] / MICRO
