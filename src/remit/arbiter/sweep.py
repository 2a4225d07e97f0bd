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
from remit.arbiter.draft import Draft, bare_draft, could_change, empty_draft, value_of, write
from remit.arbiter.kernel import bare, entry, kernel, part
from remit.arbiter.layout import cost
from remit.arbiter.rows import Flags, Ints, Rows, Shorts, Table, Use, bare_rows

Floats = NDArray[np.float64]
SMALL, MANY = 20_000, 6
"""Candidates of a problem whose HCPs note as many choices as there is room for; and how many they note in a larger one."""
LOOK, SAMPLE, POTENTIAL = 0, 1, 2
NEAR, TORN = 1, 2
GOLDEN = 0.6180339887498949
PART = 4_096
"""HCPs in one part of the work; fixed, so that sums do not depend on the number of threads."""


class Torn(NamedTuple):
    """HCPs with several near-best choices: HCP k has `choice[k]:choice[k + 1]`; choice c is worth `worth[c]` micro-units before its use, weighs `weight[c]`,
    and uses `amount[e]` units of `resource[e]` for e in `entry[c]:entry[c + 1]`."""

    choice: Shorts
    worth: Floats
    weight: Floats
    entry: Ints
    resource: Shorts
    amount: Floats


class Look(NamedTuple):
    """What a sweep found: the sum of all HCPs' best choices, that of the HCPs with one near-best choice, and these HCPs' use in units."""

    best: int
    single: int
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
        self.keep = KEEP if rows.start[-1] <= SMALL else MANY
        self.torn = [self._room(low, high) for low, high in self.parts]
        self.counts = np.zeros(len(self.parts), dtype=np.int64)
        self._note = np.zeros(self.hcps, dtype=np.int64)
        self._nothing = empty_draft(rows, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        self.desks = [(desk(rows), np.zeros(desk(rows).shape[1])) for _ in range(threads)]

    def look(self, price: Ints, window: float, step: int = 1) -> Look:
        """Sweep every `step`-th HCP at `price` (micro-units of value per unit), and scale up; `flat` then has those torn between choices in `window`."""
        count = len(self.parts)
        use, best = np.zeros((count, self.resources)), np.zeros((count, 2), dtype=np.int64)
        self._each(price, window, self._nothing, LOOK, use=use, best=best, step=step)
        total = np.zeros(self.resources)
        for each in range(count):
            total += use[each]
        return Look(step * sum(best[:, 0].tolist()), step * sum(best[:, 1].tolist()), step * total)

    def flat(self) -> Torn:
        """All torn HCPs of the last look, in order."""
        parts = [(torn, count, int(torn.choice[count]), int(torn.entry[torn.choice[count]])) for torn, count in zip(self.torn, self.counts, strict=True)]
        choices = np.cumsum([0, *(choice for _, _, choice, _ in parts)])
        entries = np.cumsum([0, *(entry for _, _, _, entry in parts)])
        zero = [np.zeros(1, dtype=np.int64)]
        return Torn(
            np.concatenate(zero + [torn.choice[1 : count + 1] + first for (torn, count, _, _), first in zip(parts, choices, strict=False)]).astype(np.int32),
            np.concatenate([np.zeros(0)] + [torn.worth[:choice] for torn, _, choice, _ in parts]),
            np.zeros(int(choices[-1])),
            np.concatenate(zero + [torn.entry[1 : choice + 1] + first for (torn, _, choice, _), first in zip(parts, entries, strict=False)]),
            np.concatenate([np.zeros(0, dtype=np.int32)] + [torn.resource[:entry] for torn, _, _, entry in parts]),
            np.concatenate([np.zeros(0)] + [torn.amount[:entry] for torn, _, _, entry in parts]),
        )

    def sample(self, price: Ints, temperature: float, draft: Draft, width: float = 1.0) -> Ints:
        """Write each HCP's choice at `price` to the draft, a torn one's drawn by its weights.

        Returns per HCP: TORN, NEAR if a second choice lies within `width` temperatures of the best, or 0.
        """
        self._each(price, temperature, draft, SAMPLE, width=width)
        return self._note.copy()

    def potentials(self, price: Ints, draft: Draft, ask: Flags, wanted: Flags, fitting: bool) -> Ints:
        """What each HCP in `ask` could win at `price`, in micro-units, if its choices fitted.

        0 where no candidate uses a `wanted` resource or, with `fitting`, where none of those would fit by itself.
        """
        self._each(price, 0.0, draft, POTENTIAL, ask=ask, wanted=wanted, fitting=fitting)
        return self._note

    def _each(
        self,
        price: Ints,
        temperature: float,
        draft: Draft,
        task: int,
        *,
        use: Floats | None = None,
        best: Ints | None = None,
        ask: Flags | None = None,
        wanted: Flags | None = None,
        fitting: bool = False,
        width: float = 1.0,
        step: int = 1,
    ) -> None:
        """Do a task for all parts."""
        count = len(self.parts)
        use = np.zeros((count, 1)) if use is None else use
        best = np.zeros((count, 2), dtype=np.int64) if best is None else best
        ask = self.plain if ask is None else ask
        wanted = self.plain if wanted is None else wanted

        def run(worker: int) -> None:
            table, weight = self.desks[worker]
            for each in range(worker, count, len(self.desks)):
                low, high = self.parts[each]
                self.counts[each] = _look(
                    self.rows,
                    self.plain,
                    low,
                    high,
                    price,
                    temperature,
                    table,
                    weight,
                    use[each],
                    self.torn[each],
                    best[each],
                    draft,
                    task,
                    self._note,
                    ask,
                    wanted,
                    fitting,
                    self.keep,
                    width,
                    step,
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
            np.zeros(choices),
            np.zeros(0),
            np.zeros(choices, dtype=np.int64),
            np.zeros(entries, dtype=np.int32),
            np.zeros(entries, dtype=np.float64),
        )


@kernel
def bare_torn(torn: Torn) -> Torn:
    """The same as `bare` arrays."""
    return Torn(bare(torn.choice), bare(torn.worth), bare(torn.weight), bare(torn.entry), bare(torn.resource), bare(torn.amount))


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
def spread(weight: Floats, first: int, last: int, temperature: float) -> int:
    """Turn what choices are worth into their sparsemax weights (Michelot's projection onto the simplex); returns how many are not 0."""
    best = weight[first]
    for a in range(first, last):
        best = max(best, weight[a])
    out = -2.0 * temperature
    for a in range(first, last):
        weight[a] = weight[a] - best if weight[a] - best > -temperature else out
    while True:
        total, count = 0.0, 0
        for a in range(first, last):
            if weight[a] > -temperature:
                total += weight[a]
                count += 1
        edge, kept = (total - temperature) / count, 0
        for a in range(first, last):
            if weight[a] > -temperature:
                if weight[a] > edge:
                    kept += 1
                else:
                    weight[a] = out
        if kept == count:
            break
    for a in range(first, last):
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


@part
def find(rows: Rows, plain: bool, hcp: int, price: Ints, keep: int, window: int, d: Table) -> int:
    """The best choices of an HCP, as `plain_best` or `choose` say."""
    if plain:
        return plain_best(rows, hcp, price, window, d)
    return choose(rows, hcp, price, price, False, keep, window, d)


@entry
def _look(
    owned: Rows,
    plain: Flags,
    low: int,
    high: int,
    price: Ints,
    temperature: float,
    d: Table,
    weight: Floats,
    use: Floats,
    noted: Torn,
    best: Ints,
    plan: Draft,
    task: int,
    note: Ints,
    ask: Flags,
    wanted: Flags,
    fitting: bool,
    most: int,
    width: float,
    step: int,
) -> int:
    """Do a task for the HCPs from `low` to `high`. Returns how many are torn."""
    rows, draft, price, d, weight, use = bare_rows(owned), bare_draft(plan), bare(price), bare(d), bare(weight), bare(use)
    torn = bare_torn(noted)
    window = int(temperature * width)
    keep = most if window > 0 else 1
    torn_hcps, choices, at = 0, 0, 0
    torn.choice[0], torn.entry[0] = 0, 0
    for hcp in range(low, high, step):
        if task == POTENTIAL and (not ask[hcp] or not could_change(rows, hcp, draft, wanted, fitting)):
            note[hcp] = 0
            continue
        found = find(rows, plain[hcp], hcp, price, keep, window, d)
        if task == POTENTIAL:
            note[hcp] = d[BEST, 0] - value_of(rows, hcp, price, 0 if plain[hcp] else d[STATE, BONUS], draft)
            continue
        if task == SAMPLE:
            near = 0
            for a in range(found):
                weight[a] = float(d[BEST, a])
                near += d[BEST, a] > d[BEST, 0] - window
            kept = spread(weight, 0, found, temperature) if temperature > 0.0 else 1
            a = _drawn(hcp, found, weight) if kept > 1 else 0
            note[hcp] = TORN if kept > 1 else NEAR if near > 1 else 0
            if plain[hcp]:
                if d[KEY, a] >= 0:
                    draft.rank[d[KEY, a]] = 1
            else:
                write(rows, hcp, d, a, draft)
            continue
        worth = d[BEST, 0] if plain[hcp] else d[BEST, 0] - mandatory_bonus(rows, 0, d)
        best[0] += worth
        first, first_choice = at, choices
        for a in range(found):
            if at >= 0 and d[BEST, a] > d[BEST, 0] - max(window, 1):
                begin, at = at, _note_choice(rows, hcp, plain[hcp], a, d, torn, at)
                torn.worth[choices] = float(d[BEST, a] - d[BEST, 0] + worth)
                for j in range(begin, at):
                    torn.worth[choices] += price[torn.resource[j]] * torn.amount[j]
                choices += 1
                torn.entry[choices] = at
        if at < 0 or choices == first_choice + 1:  # one choice, or no room to note them all: then it takes the best one
            best[1] += worth
            at = _note_choice(rows, hcp, plain[hcp], 0, d, torn, first)
            for j in range(first, at):
                use[torn.resource[j]] += torn.amount[j]
            at, choices = first, first_choice
        else:
            torn_hcps += 1
            torn.choice[torn_hcps] = choices
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
