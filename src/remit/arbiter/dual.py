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

CLOSE = 2e-6
"""A dual is good enough when what is left to gain is this part of the bound; small problems are followed down to a micro-unit."""

COOLING = 0.3
SWEEPS = 60


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices (micro-units of value per unit) and the bound they give (micro-units); and the prices and temperature at which smoothed use met all limits
    best, from which choices are drawn."""

    price: Ints
    bound: int
    smoothed: Ints
    temperature: float


_Lean = tuple[Ints, float]


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
        self._typical = _typical_amounts(sweeper)
        self.sweeps = 0

    def solve(self, start: Ints | None = None) -> Prices:
        """The prices of least bound found, from `start` or from nothing."""
        price = np.zeros(len(self._capacity), dtype=np.int64) if start is None else np.clip(start, self._lowest, self._scarce.highest)
        temperature = max(self._scale * (0.5 if start is None else 0.02), 1.0)
        point = best = self._at(price, temperature)
        if not len(price):
            return Prices(price, self.bound(price, point.look.best), price, temperature)
        if self._sweeper.hcps + 2 * len(price) <= MOST_ROWS:
            exact = np.clip(Master(self._sweeper, self._scarce).solve(), self._lowest, self._scarce.highest)
            return Prices(exact, self.bound(exact, self._sweeper.look(exact, 0.0).best), exact, 0.05 * temperature)
        lean, before = (price, 2.0 * temperature), None
        self._reach = 8.0 * temperature
        while self.sweeps < SWEEPS:
            point, moved = self._step(point, temperature)
            best = point if point.bound < best.bound else best
            left = self._left(point)
            if moved and left > 0.5 * point.look.given_up:
                continue
            if left <= point.look.given_up:
                before, lean = lean, (point.price, temperature)
            if point.look.given_up + left <= CLOSE * abs(point.bound) or temperature <= 1.0:
                break
            cooler = max(temperature * COOLING, 1.0)
            point = self._cool(point, cooler, before, lean)
            temperature, self._reach = cooler, 8.0 * cooler
            best = point if point.bound < best.bound else best
        if before is not None:
            last = self._at(_extrapolated(before, lean, 0.0, self._lowest, self._scarce.highest), 0.0)
            best = last if last.bound < best.bound else best
        return Prices(best.price, self.bound(best.price, best.look.best), *lean)

    def _cool(self, point: _Point, cooler: float, before: _Lean | None, lean: _Lean) -> _Point:
        """The better of the same prices and of those to which the last two balanced ones point, at a lower temperature."""
        same = self._at(point.price, cooler)
        if before is None:
            return same
        ahead = self._at(_extrapolated(before, lean, cooler, self._lowest, self._scarce.highest), cooler)
        return ahead if ahead.smooth < same.smooth else self._at(point.price, cooler)

    def bound(self, price: Ints, best: int) -> int:
        """The bound that `price` gives, rounded up, if the HCPs' best choices there sum to `best`."""
        limit = np.where(price > 0, self._scarce.capacity, np.minimum(self._scarce.floor, self._scarce.capacity))
        return best - (-sum(each * most for each, most in zip(price.tolist(), limit.tolist(), strict=True)) // MICRO)

    def _at(self, price: Ints, temperature: float) -> _Point:
        look = self._sweeper.look(price, temperature)
        self.sweeps += 1
        limit = np.where(price > 0, self._capacity, self._floor)
        slope = limit - look.use
        slope[(price == 0) & (look.use <= self._capacity) & (look.use >= self._floor)] = 0.0
        over = (price == 0) & (look.use > self._capacity)
        slope[over] = (self._capacity - look.use)[over]
        priced = float(_dot(price, limit))
        return _Point(price, look, look.best + look.smooth + priced, look.best + priced, slope)

    def _left(self, point: _Point) -> float:
        """How much the imbalance of use and limits is worth at these prices."""
        return float(_dot(np.abs(point.price), np.abs(point.slope)))

    def _step(self, point: _Point, temperature: float) -> tuple[_Point, bool]:
        """One Newton step, shortened until the smoothed dual falls; False if it does not."""
        step = np.zeros(len(point.price))
        direction(self._flat(), temperature, point.slope, self._reach / self._typical, 1e-3, 40, step)
        part = 1.0
        for _ in range(6):
            price = point.price + np.rint(part * step).astype(np.int64)
            price[np.sign(price) * np.sign(point.price) < 0] = 0
            price = np.clip(price, self._lowest, self._scarce.highest)
            new = self._at(price, temperature)
            if new.smooth < point.smooth:
                self._reach = min(max(self._reach * (2.0 if part == 1.0 else part), temperature), 32.0 * temperature)
                return new, True
            part *= 0.4
        self._reach = max(self._reach * part, temperature)
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


def _typical_amounts(sweeper: Sweeper) -> Floats:
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


def _extrapolated(before: _Lean, lean: _Lean, temperature: float, lowest: Ints, highest: Ints) -> Ints:
    """The prices on the straight line through two balanced ones; with the same HCPs torn between the same choices, prices are linear in temperature."""
    ahead = (temperature - lean[1]) / (lean[1] - before[1]) if lean[1] != before[1] else 0.0
    price = lean[0] + np.rint((lean[0] - before[0]) * ahead).astype(np.int64)
    price[np.sign(price) * np.sign(lean[0]) < 0] = 0
    return np.clip(price, lowest, highest)
