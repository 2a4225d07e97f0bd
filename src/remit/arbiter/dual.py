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

CLOSE = 1e-5
"""The prices are good enough when a lower temperature lowered the bound by less than this part of it."""
HOT, WARM, COOLING = 0.3, 0.04, 0.3
"""Temperatures, in mean values of a candidate: where rough prices start, where all HCPs are looked at; and how one follows another."""
SWEEPS = 60
TRIES = 5
REACH = 4.0
MANY, SOME = 40_000, 8
"""Of MANY HCPs or more, rough prices look at every SOME-th."""


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
        temperature = max(self._scale * WARM, 1.0)
        if self._sweeper.hcps + 2 * len(price) <= MOST_ROWS:
            if len(price):
                price = np.clip(Master(self._sweeper, self._scarce).solve(), self._lowest, self._scarce.highest)
            return Prices(price, self.bound(price, self._sweeper.look(price, 0.0).best), price, temperature)
        if start is None:
            price = self._rough(price)
        point = best = self._at(price, temperature)
        lean: list[tuple[_Point, float]] = []
        while True:
            point, best = self._balance(point, best, temperature, 0.5)
            lean = [*lean[-1:], (point, temperature)]
            fell = lean[0][0].bound - point.bound if len(lean) > 1 else abs(point.bound)
            if fell <= CLOSE * abs(point.bound) or temperature <= 1.0 or self.sweeps >= SWEEPS:
                break
            temperature = max(temperature * COOLING, 1.0)
            point = self._cooled(lean, temperature)
            best = point if point.bound < best.bound else best
        last = self._at(self._ahead(lean, 0.0), 0.0)
        best = last if last.bound < best.bound else best
        point, temperature = lean[-1]
        return Prices(best.price, self.bound(best.price, best.look.best), point.price, temperature)

    def _rough(self, price: Ints) -> Ints:
        """Prices to start from: high temperatures, and of many HCPs only some."""
        self._every = SOME if self._sweeper.hcps >= MANY else 1
        temperature = self._scale * HOT
        while temperature > self._scale * WARM:
            point = self._at(price, temperature)
            price = self._balance(point, point, temperature, 2.0)[0].price
            temperature *= COOLING
        self._every = 1
        return price

    def _balance(self, point: _Point, best: _Point, temperature: float, part: float) -> tuple[_Point, _Point]:
        """Newton's steps until the imbalance is worth less than `part` of what smoothing gives up; also the point of least bound on the way."""
        self._reach = REACH * temperature / self._typical
        moved = True
        while moved and self._left(point) > part * point.look.given_up and self.sweeps < SWEEPS:
            point, moved = self._step(point, temperature)
            best = point if point.bound < best.bound else best
        return point, best

    def _cooled(self, lean: list[tuple[_Point, float]], cooler: float) -> _Point:
        """The last balanced prices at a lower temperature, or those to which the last two point, if the HCPs that are torn stay torn as it falls."""
        point, temperature = lean[-1]
        if len(lean) > 1 and point.look.given_up > 0.5 * temperature / lean[0][1] * lean[0][0].look.given_up:
            ahead = self._at(self._ahead(lean, cooler), cooler)
            if ahead.bound < point.bound:
                return ahead
        return self._at(point.price, cooler)

    def _ahead(self, lean: list[tuple[_Point, float]], temperature: float) -> Ints:
        """The prices on the straight line through the last two balanced ones: with the same HCPs torn between the same choices, prices follow it."""
        (last, cold), (first, warm) = lean[-1], lean[0]
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
        return _Point(price, look, look.best + look.smooth + priced, look.best + priced, slope)

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

