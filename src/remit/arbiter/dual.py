"""Prices by Lagrangian dual ascent: the least bound that any prices give.

The bound at prices p is the sum over HCPs of the best choice's worth net of its use at p, plus p x capacity (p x floor where p is negative): convex in p,
with kinks. It is smoothed as `sweep` says, and its minimum followed by Newton's method while the temperature falls (Nesterov, Smooth minimization of
non-smooth functions, 2005, gives the error: at most temperature / 2 per torn HCP).
"""

from dataclasses import dataclass

import numpy as np

from remit.arbiter.master import MOST_ROWS, Master
from remit.arbiter.newton import direction
from remit.arbiter.rows import Ints, Scarce
from remit.arbiter.sweep import Floats, Look, Sweeper, Torn
from remit.terms.encoding import MICRO

CLOSE = 1.5e-5
"""The prices are good enough when a lower temperature would lower the bound by less than this part of it."""
HOT, WARM, COOLING = 0.3, 0.027, 0.3
"""Temperatures, in mean values of a candidate, where the search starts without and with prices to start from; and how one follows another."""
BALANCED = 3.0
REACH, TRIES, SWEEPS = 4.0, 5, 60
FEWEST, MOST_SKIPPED = 12_500, 16
"""At the highest temperatures a part of the HCPs is enough: at least so many, or every so manieth."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices (micro-units of value per unit) and the bound they give (micro-units); and the prices and temperature at which smoothed use met all limits
    best, from which choices are drawn."""

    price: Ints
    bound: int
    smoothed: Ints
    temperature: float


@dataclass(slots=True)
class _Point:
    price: Ints
    look: Look
    smooth: float
    bound: float
    slope: Floats
    every: int


def _lower(best: _Point | None, point: _Point) -> _Point:
    """The point of lower bound, of those that looked at as many HCPs."""
    return point if best is None or point.every != best.every or point.bound < best.bound else best


class Dual:
    """The search for the prices of one problem."""

    def __init__(self, sweeper: Sweeper, scarce: Scarce) -> None:
        self._sweeper, self._scarce = sweeper, scarce
        self._capacity, self._floor = scarce.capacity / MICRO, np.minimum(scarce.floor, scarce.capacity) / MICRO
        self._lowest = np.where(scarce.floor > 0, -scarce.highest, 0)
        value = sweeper.rows.value
        positive = value[value > 0]
        self._scale = float(positive.sum()) / len(positive) if len(positive) else 0.0
        self._typical = typical_amounts(sweeper)
        self._every, self._reach, self.sweeps = 1, self._typical, 0

    def solve(self, start: Ints | None = None) -> Prices:
        """The prices of least bound found, from `start` or from nothing."""
        price = np.zeros(len(self._capacity), dtype=np.int64) if start is None else np.clip(start, self._lowest, self._scarce.highest)
        if self._sweeper.hcps + 2 * len(price) <= MOST_ROWS:
            if len(price):
                price = np.clip(Master(self._sweeper, self._scarce).solve(), self._lowest, self._scarce.highest)
            return Prices(price, self.bound(price, self._sweeper.look(price, 0.0).best), price, max(WARM * self._scale, 1.0))
        every = 1 if start is not None else min(max(self._sweeper.hcps // FEWEST, 1), MOST_SKIPPED)
        temperature = max(self._scale * (HOT if start is None else WARM), 1.0)
        stages: list[tuple[_Point, float]] = []
        point = best = None
        while True:
            self._every = every
            point = self._cooled(stages, temperature) if stages and stages[-1][0].every == every else self._at(price, temperature)
            point, best = self._balance(point, best, temperature)
            price = point.price
            stages = [*stages[-1:], (point, temperature)]
            if every == 1 and (self._close(stages) or temperature <= 1.0 or self.sweeps >= SWEEPS):
                break
            temperature, every = max(temperature * COOLING, 1.0), max(every // 2, 1) if every > 4 else 1
        if len(stages) > 1 and stages[0][0].every == 1:
            best = _lower(best, self._at(self._ahead(stages, 0.0), 0.0))
        return Prices(best.price, self.bound(best.price, best.look.best), price, temperature)

    def _close(self, stages: list[tuple[_Point, float]]) -> bool:
        """Whether the bound can hardly fall further.

        What smoothing gives up falls with the square of the temperature, and the bound's excess is a small part of it, unless many HCPs stay torn, as with
        tied values: then both fall in proportion to it.
        """
        if len(stages) < 2:
            return False
        (first, warm), (last, cold) = stages
        steeper = first.look.given_up / max(last.look.given_up, 1.0) * cold / warm
        return last.look.given_up <= CLOSE * abs(last.bound) * max(steeper * steeper, 1.0)

    def _balance(self, point: _Point, best: _Point | None, temperature: float) -> tuple[_Point, _Point]:
        """Newton's steps until the imbalance is worth no more than a few times what smoothing gives up; also the point of least bound so far."""
        self._reach = REACH * temperature / self._typical
        best, moved = _lower(best, point), True
        while moved and self._left(point) > BALANCED * point.look.given_up and self.sweeps < SWEEPS:
            point, moved = self._step(point, temperature)
            best = _lower(best, point)
        return point, best

    def _cooled(self, stages: list[tuple[_Point, float]], cooler: float) -> _Point:
        """The last balanced prices at a lower temperature, or those to which the last two point, if the HCPs that are torn stay torn as it falls."""
        point, temperature = stages[-1]
        if len(stages) > 1 and point.look.given_up > 0.5 * temperature / stages[0][1] * stages[0][0].look.given_up:
            ahead = self._at(self._ahead(stages, cooler), cooler)
            if ahead.bound < point.bound:
                return ahead
        return self._at(point.price, cooler)

    def _ahead(self, stages: list[tuple[_Point, float]], temperature: float) -> Ints:
        """The prices on the straight line through the last two balanced ones: with the same HCPs torn between the same choices, prices follow it."""
        (last, cold), (first, warm) = stages[-1], stages[0]
        way = (temperature - cold) / (cold - warm) if warm != cold else 0.0
        return self._within(last.price, np.rint((last.price - first.price) * way))

    def _within(self, price: Ints, step: Floats) -> Ints:
        """`price` after a step that stops at 0 and at the highest prices."""
        new = price + step.astype(np.int64)
        new[np.sign(new) * np.sign(price) < 0] = 0
        return np.clip(new, self._lowest, self._scarce.highest)

    def bound(self, price: Ints, best: int) -> int:
        """The bound that `price` gives, rounded up, if the HCPs' best choices there sum to `best`."""
        limit = np.where(price > 0, self._scarce.capacity, np.minimum(self._scarce.floor, self._scarce.capacity))
        return best - (-sum(each * most for each, most in zip(price.tolist(), limit.tolist(), strict=True)) // MICRO)

    def _at(self, price: Ints, temperature: float) -> _Point:
        look = self._sweeper.look(price, temperature, self._every)
        self.sweeps += 1
        limit = np.where(price > 0, self._capacity, self._floor)
        slope = limit - look.use
        slope[(price == 0) & (look.use <= self._capacity) & (look.use >= self._floor)] = 0.0
        over = (price == 0) & (look.use > self._capacity)
        slope[over] = (self._capacity - look.use)[over]
        priced = float(_dot(price, limit))
        return _Point(price, look, look.best + look.smooth + priced, look.best + priced, slope, self._every)

    def _left(self, point: _Point) -> float:
        """How much the imbalance of use and limits is worth at these prices; what is overdrawn is worth something even at price 0."""
        weight = np.abs(point.price).astype(np.float64)
        over = point.slope < 0
        weight[over] = np.maximum(weight, 0.1 * self._scale / self._typical)[over]
        return float(_dot(weight, np.abs(point.slope)))

    def _step(self, point: _Point, temperature: float) -> tuple[_Point, bool]:
        """One Newton step, shortened until the smoothed dual falls; False if it does not.

        Each price has a reach of its own: it shrinks where a step went past the balance of use and limit, and grows where it fell short.
        """
        step, torn, unit = np.zeros(len(point.price)), self._flat(), temperature / self._typical
        for _ in range(TRIES):
            direction(torn, temperature, point.slope, self._reach, 1e-3, 40, step)
            new = self._at(self._within(point.price, np.rint(step)), temperature)
            past = new.slope * point.slope < 0
            if new.smooth < point.smooth:
                self._reach = np.clip(np.where(past, 0.5, 2.0) * self._reach, 0.01 * unit, 32.0 * unit)
                return new, True
            self._reach *= np.where(past, 0.2, 0.6)
        return point, False

    def _flat(self) -> Torn:
        """All torn HCPs of the last sweep, in order."""
        choice, entry, resource, amount, choices, entries = [np.zeros(1, np.int32)], [np.zeros(1, np.int64)], [], [], 0, 0
        for torn, count in zip(self._sweeper.torn, self._sweeper.counts.tolist(), strict=True):
            last = int(torn.choice[count])
            end = int(torn.entry[last])
            choice.append(torn.choice[1 : count + 1] + np.int32(choices))
            entry.append(torn.entry[1 : last + 1] + entries)
            resource.append(torn.resource[:end])
            amount.append(torn.amount[:end])
            choices, entries = choices + last, entries + end
        return Torn(np.concatenate(choice), np.concatenate(entry), np.concatenate(resource), np.concatenate(amount))


def typical_amounts(sweeper: Sweeper) -> Floats:
    """The mean amount, in units, that one entry takes of each resource; 1 where none does."""
    total, count = np.zeros(sweeper.resources), np.zeros(sweeper.resources)
    for use in (sweeper.rows.use, sweeper.rows.call_use):
        total += np.bincount(use.resource, use.amount, sweeper.resources)
        count += np.bincount(use.resource, minlength=sweeper.resources)
    return np.where(total > 0, total / np.maximum(count, 1) / MICRO, 1.0)


def _dot(left: Ints | Floats, right: Floats) -> float:
    total = 0.0
    for each in (left * right).tolist():
        total += each
    return total

