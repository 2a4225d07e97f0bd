"""One look at all HCPs at given prices: what they would choose, what that is worth, and how it would answer to other prices.

With a temperature t > 0, an HCP spreads itself over its near-best choices by sparsemax (Martins and Astudillo 2016): it maximises p.r - t/2 |p|^2 over
weights p that sum to 1, where r is what each choice is worth. Its expected use is then continuous in the prices, and only choices within t of the best
have weight. Only additions, multiplications and divisions are made, in a fixed order, so every machine finds the same floats.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from remit.arbiter.choice import choose
from remit.arbiter.desk import BEST, BONUS, CALLED, COUNT, KEEP, KEY, PICK, STATE, desk
from remit.arbiter.draft import Draft, empty_draft, value_of, write
from remit.arbiter.kernel import entry, kernel
from remit.arbiter.layout import cost
from remit.arbiter.rows import Flags, Ints, Rows, Shorts, Table, Use

Floats = NDArray[np.float64]
SMALL = 20_000
LOOK, SAMPLE, POTENTIAL, MARGIN = 0, 1, 2, 3
GOLDEN = 0.6180339887498949
PART = 4_096
"""HCPs in one part of the work; fixed, so that sums do not depend on the number of threads."""


class Torn(NamedTuple):
    """The HCPs that are torn between choices: HCP k has the choices `choice[k]:choice[k + 1]`, choice c the entries `entry[c]:entry[c + 1]`."""

    choice: Shorts
    entry: Ints
    resource: Shorts
    amount: Floats


class Look(NamedTuple):
    """What a sweep found: int64 sum of the HCPs' best (`best`), their smoothed sum, what the spreading gives up, expected use in units."""

    best: int
    smooth: float
    given_up: float
    use: Floats


class Sweeper:
    """Sweeps over the HCPs of one problem, with `threads` threads."""

    def __init__(self, rows: Rows, resources: int, pool: ThreadPoolExecutor, threads: int) -> None:
        self.rows, self.resources, self._pool = rows, resources, pool
        self.hcps = len(rows.start) - 1
        self.plain = np.zeros(self.hcps, dtype=np.bool_)
        _mark_plain(rows, self.plain)
        edges = np.append(np.arange(0, self.hcps, PART), self.hcps)
        self.parts = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
        self.keep = KEEP if rows.start[-1] <= SMALL else 4
        self.torn = [self._room(low, high) for low, high in self.parts]
        self.counts = np.zeros(len(self.parts), dtype=np.int64)
        self._note = np.zeros(self.hcps, dtype=np.int64)
        self._nothing = empty_draft(rows, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        self.desks = [(desk(rows), np.zeros(desk(rows).shape[1])) for _ in range(threads)]

    def look(self, price: Ints, temperature: float) -> Look:
        """Sweep all HCPs at `price` (micro-units of value per unit)."""
        count = len(self.parts)
        use, best, floats = np.zeros((count, self.resources)), np.zeros(count, dtype=np.int64), np.zeros((count, 2))
        self._each(price, temperature, use, best, floats, self._nothing, LOOK, self._note)
        total = np.zeros(self.resources + 2)
        for part in range(count):
            total[:-2] += use[part]
            total[-2:] += floats[part]
        return Look(sum(best.tolist()), float(total[-2]), float(total[-1]), total[:-2])

    def sample(self, price: Ints, temperature: float, draft: Draft) -> Ints:
        """Write each HCP's choice at `price` to the draft, a torn one's drawn by its weights. Returns between how many each is torn."""
        self._run(price, temperature, draft, SAMPLE)
        return self._note

    def margins(self, price: Ints, window: float) -> Flags:
        """Which HCPs have more than one choice within `window` (micro-units) of the best at `price`."""
        self._run(price, window, self._nothing, MARGIN)
        return self._note > 1

    def potentials(self, price: Ints, draft: Draft) -> Ints:
        """What each HCP could win at `price`, in micro-units, if all its choices fitted."""
        self._run(price, 0.0, draft, POTENTIAL)
        return self._note

    def _run(self, price: Ints, temperature: float, draft: Draft, task: int) -> None:
        count = len(self.parts)
        self._each(price, temperature, np.zeros((count, 1)), np.zeros(count, dtype=np.int64), np.zeros((count, 2)), draft, task, self._note)

    def _each(self, price: Ints, temperature: float, use: Floats, best: Ints, floats: Floats, draft: Draft, task: int, note: Ints) -> None:
        """Do a task for all parts."""

        def run(worker: int) -> None:
            table, weight = self.desks[worker]
            for part in range(worker, len(self.parts), len(self.desks)):
                low, high = self.parts[part]
                torn, sums = self.torn[part], floats[part]
                self.counts[part] = _look(
                    self.rows, self.plain, low, high, price, temperature, table, weight, use[part], torn, best[part : part + 1], sums, draft, task, note, self.keep
                )

        if len(self.desks) == 1:
            run(0)
        else:
            list(self._pool.map(run, range(len(self.desks))))

    def _room(self, low: int, high: int) -> Torn:
        first, last = self.rows.start[low], self.rows.start[high]
        kinds = self.rows.call_start[high] - self.rows.call_start[low]
        choices = int(last - first) + self.keep * (high - low) + 2
        entries = int(self.rows.use.start[last] - self.rows.use.start[first]) + 2 * self.keep * (high - low + int(kinds))
        return Torn(
            np.zeros(high - low + 1, dtype=np.int32),
            np.zeros(choices, dtype=np.int64),
            np.zeros(entries, dtype=np.int32),
            np.zeros(entries, dtype=np.float64),
        )


@entry
def _mark_plain(rows: Rows, plain: Flags) -> None:
    """Mark HCPs that can have one action and no detail or mandatory one: their best choice is a plain maximum."""
    for hcp in range(len(plain)):
        plain[hcp] = rows.total[hcp] <= 1
        for row in range(rows.start[hcp], rows.start[hcp + 1]):
            plain[hcp] = plain[hcp] and rows.call[row] < 0 and not rows.mandatory[row]


@kernel
def plain_best(rows: Rows, hcp: int, price: Ints, window: int, d: Table) -> int:
    """The choices of a plain HCP within `window` of the best, in any order: `d[BEST]` worth, `d[KEY]` row or -1 for none. Returns how many.

    The best comes first; of equals, the first row.
    """
    d[BEST, 0], d[KEY, 0], best, found = 0, -1, 0, 1
    if rows.total[hcp] == 0:
        return 1
    base = hcp * rows.channels
    for row in range(rows.start[hcp], rows.start[hcp + 1]):
        net = rows.value[row] - cost(rows.use, row, price)
        if net > best - window and rows.limit[base + rows.channel[row]] > 0:
            if net > best:
                best = net
                d[BEST, found], d[KEY, found] = d[BEST, 0], d[KEY, 0]
                d[BEST, 0], d[KEY, 0] = net, row
            else:
                d[BEST, found], d[KEY, found] = net, row
            found += 1
    return found


@kernel
def spread(found: int, temperature: float, d: Table, weight: Floats) -> int:
    """Sparsemax weights of the found choices (Michelot's projection onto the simplex); returns how many are not 0."""
    best, inside = d[BEST, 0], 0
    for a in range(found):
        weight[a] = float(d[BEST, a] - best)
        inside += weight[a] > -temperature
    while True:
        total, count = 0.0, 0
        for a in range(found):
            if weight[a] > -temperature:
                total += weight[a]
                count += 1
        edge = (total - temperature) / count
        kept = 0
        for a in range(found):
            if weight[a] > -temperature:
                if weight[a] > edge:
                    kept += 1
                else:
                    weight[a] = -2.0 * temperature
        if kept == count:
            break
    for a in range(found):
        weight[a] = (weight[a] - edge) / temperature if weight[a] > -temperature else 0.0
    return kept


@kernel
def _note(use: Use, row: int, times: int, torn: Torn, at: int) -> int:
    for j in range(use.start[row], use.start[row + 1]):
        torn.resource[at], torn.amount[at] = use.resource[j], times * use.amount[j] * 1e-6
        at += 1
    return at


@kernel
def _note_choice(rows: Rows, hcp: int, plain: bool, a: int, d: Table, torn: Torn, at: int) -> int:
    """Append what choice a uses; returns the next free entry, or -1 if there is no room for it."""
    room = len(torn.resource) - at
    if plain:
        row = d[KEY, a]
        if row >= 0:
            room -= rows.use.start[row + 1] - rows.use.start[row]
            return -1 if room < 0 else _note(rows.use, row, 1, torn, at)
        return at
    for k in range(d[COUNT, a]):
        row = d[PICK + a, k]
        room -= rows.use.start[row + 1] - rows.use.start[row]
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        room -= rows.call_use.start[call + 1] - rows.call_use.start[call]
    if room < 0:
        return -1
    for k in range(d[COUNT, a]):
        at = _note(rows.use, d[PICK + a, k], 1, torn, at)
    for call in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
        times = d[CALLED + a, call - rows.call_start[hcp]]
        if times > 0:
            at = _note(rows.call_use, call, times, torn, at)
    return at


@kernel
def mandatory_bonus(rows: Rows, a: int, d: Table) -> int:
    """The bonus that choice a's worth holds."""
    bonus = 0
    if d[STATE, BONUS] > 0:
        for k in range(d[COUNT, a]):
            bonus += d[STATE, BONUS] if rows.mandatory[d[PICK + a, k]] else 0
    return bonus


@kernel
def find(rows: Rows, plain: bool, hcp: int, price: Ints, keep: int, window: int, d: Table) -> int:
    """The best choices of an HCP, as `plain_best` or `choose` say."""
    if plain:
        return plain_best(rows, hcp, price, window, d)
    return choose(rows, hcp, price, price, False, keep, window, d)


@entry
def _look(
    rows: Rows,
    plain: Flags,
    low: int,
    high: int,
    price: Ints,
    temperature: float,
    d: Table,
    weight: Floats,
    use: Floats,
    torn: Torn,
    best: Ints,
    floats: Floats,
    draft: Draft,
    task: int,
    note: Ints,
    most: int,
) -> int:
    """Do a task for the HCPs from `low` to `high`. Returns how many are torn."""
    window = int(temperature)
    keep = 1 if window == 0 else 2 if task == MARGIN else most
    torn_hcps, choices, at = 0, 0, 0
    torn.choice[0], torn.entry[0] = 0, 0
    for hcp in range(low, high):
        found = find(rows, plain[hcp], hcp, price, keep, window, d)
        if task == MARGIN:
            note[hcp] = 0
            for a in range(found):
                note[hcp] += d[BEST, a] > d[BEST, 0] - window
            continue
        if task == POTENTIAL:
            note[hcp] = d[BEST, 0] - value_of(rows, hcp, price, 0 if plain[hcp] else d[STATE, BONUS], draft)
            continue
        best[0] += d[BEST, 0]
        if not plain[hcp]:
            best[0] -= mandatory_bonus(rows, 0, d)
        if window == 0 and task != SAMPLE:
            continue
        kept = 1
        weight[0] = 1.0
        if window == 0:
            found = 1
        elif found > 1:
            kept = spread(found, temperature, d, weight)
        if task == SAMPLE:
            a = _drawn(hcp, found, weight)
            note[hcp] = kept
            if plain[hcp]:
                if d[KEY, a] >= 0:
                    draft.rank[d[KEY, a]] = 1
            else:
                write(rows, hcp, d, a, draft)
            continue
        first, first_choice = at, choices
        for a in range(found):
            if weight[a] > 0.0 and at >= 0:
                at = _note_choice(rows, hcp, plain[hcp], a, d, torn, at)
                choices += 1
                torn.entry[choices] = at
        if at < 0:  # no room to note all its choices: it takes the best one
            at, choices, kept = first, first_choice, 0
        elif kept > 1:
            squares, gain, choice = 0.0, 0.0, first_choice
            for a in range(found):
                if weight[a] > 0.0:
                    for j in range(torn.entry[choice], torn.entry[choice + 1]):
                        use[torn.resource[j]] += weight[a] * torn.amount[j]
                    choice += 1
                    squares += weight[a] * weight[a]
                    gain += weight[a] * (d[BEST, a] - d[BEST, 0])
            floats[0] += gain + 0.5 * temperature * (1.0 - squares)
            floats[1] -= gain
            torn_hcps += 1
            torn.choice[torn_hcps] = choices
        else:
            for j in range(first, at):
                use[torn.resource[j]] += torn.amount[j]
            at, choices = first, first_choice
    return torn_hcps


@kernel
def _drawn(hcp: int, found: int, weight: Floats) -> int:
    """The choice an HCP draws by its weights; multiples of the golden section spread the draws of neighbours evenly (Weyl's sequence)."""
    point = (hcp + 1) * GOLDEN
    point -= int(point)
    a = 0
    while a < found - 1 and point >= weight[a]:
        point -= weight[a]
        a += 1
    return a
