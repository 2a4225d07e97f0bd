"""Prices by Lagrangian dual ascent: the least bound that any prices give.

The bound at prices p is the sum over HCPs of the best choice's worth net of its use at p, plus p x capacity (p x floor where p is negative): convex in p,
with kinks. It is smoothed as `sweep` says, and its minimum followed by Newton's method while the temperature falls (Nesterov, Smooth minimization of
non-smooth functions, 2005, gives the error: at most temperature / 2 per torn HCP).
"""

from dataclasses import dataclass

import numpy as np

from remit.arbiter.master import MOST_ROWS, Master
from remit.arbiter.newton import direction, survey
from remit.arbiter.rows import Ints, Scarce
from remit.arbiter.sweep import Floats, Look, Sweeper, Torn
from remit.terms.encoding import MICRO

CLOSE = 1.5e-5
"""The prices are good enough when a lower temperature would lower the bound by less than this part of it."""
HOT, WARM, COOLING = 0.3, 0.05, 0.3
"""Temperatures, in mean values of a candidate, where the search starts without and with prices to start from; and how one follows another."""
BALANCED, ROUGHLY = 5.0, 10.0
STALLED, PATIENCE = 0.05, 2
"""A step stalls if it lowers the smoothed dual by less than this part of what smoothing gives up; so many in a row end the search at one temperature."""
SAMPLED = 2
"""Temperatures at which a part of the HCPs is looked at."""
REACH, TRIES, SWEEPS = 4.0, 5, 60
FARTHEST = 3.0
"""The farthest a price may go in one step, in mean values of a candidate per typical amount: a call that carries several details is worth several."""
WIDTH, STEPS = 3.0, 5
FORCING, ROUNDS = 1e-2, 15
FEWEST, MOST_SKIPPED = 12_500, 8
"""At the highest temperatures a part of the HCPs is enough: at least so many, or every so manieth."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices (micro-units of value per unit) and the bound they give (micro-units); and the prices and temperature at which smoothed use met all limits
    best, from which choices are drawn."""

    price: Ints
    bound: int
    smoothed: Ints
    temperature: float


@dataclass(frozen=True, slots=True)
class _Model:
    """The dual as one look saw it: HCPs with one near-best choice keep it, the others choose among those noted. Exact at `price`, too low elsewhere."""

    price: Ints
    look: Look
    torn: Torn
    every: int


@dataclass(frozen=True, slots=True)
class _Point:
    """Prices, the bound and the smoothed bound there, what smoothing gives up, and by how much use falls short of each limit, in units."""

    price: Ints
    bound: float
    smooth: float
    given_up: float
    slope: Floats
    model: _Model


def _lower(best: _Point | None, point: _Point) -> _Point:
    """The point of lower bound, of those that looked at as many HCPs."""
    return point if best is None or point.model.every != best.model.every or point.bound < best.bound else best


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
        self._every, self._reach, self.sweeps = 1, np.zeros(len(scarce.capacity)), 0

    def solve(self, start: Ints | None = None) -> Prices:
        """The prices of least bound found, from `start` or from nothing."""
        price = np.zeros(len(self._capacity), dtype=np.int64) if start is None else np.clip(start, self._lowest, self._scarce.highest)
        if self._sweeper.hcps + 2 * len(price) <= MOST_ROWS:
            if len(price):
                price = np.clip(Master(self._sweeper, self._scarce).solve(), self._lowest, self._scarce.highest)
            return Prices(price, self.bound(price, self._sweeper.look(price, 0.0).best), price, max(WARM * self._scale, 1.0))
        every, sampled = min(max(self._sweeper.hcps // FEWEST, 1), MOST_SKIPPED), 0
        temperature = max(self._scale * HOT, 1.0)
        if start is not None:
            every, sampled, temperature = max(every // 2, 1), 1, max(COOLING * temperature, 1.0)
        stages: list[tuple[_Point, float]] = []
        point, best = None, None
        while True:
            self._every = every
            point = self._cooled(stages, temperature) if stages and stages[-1][0].model.every == every else self._at(price, temperature)
            point, best = self._balance(point, best, temperature)
            price = point.price
            stages = [*stages[-1:], (point, temperature)]
            if every == 1 and (self._close(stages, CLOSE if start is None else 10 * CLOSE) or temperature <= 1.0 or self.sweeps >= SWEEPS):
                break
            temperature = max(temperature * COOLING, 1.0)
            if every > 1:
                sampled += 1
                every = max(every // 2, 1) if sampled < SAMPLED else 1
                temperature = temperature if every > 1 else max(WARM * self._scale, 1.0)
        if len(stages) > 1 and stages[0][0].model.every == 1:
            best = _lower(best, self._at(self._ahead(stages, 0.0), 0.0))
        return Prices(best.price, self.bound(best.price, best.model.look.best), price, temperature)

    def _close(self, stages: list[tuple[_Point, float]], close: float) -> bool:
        """Whether the bound can hardly fall further.

        What smoothing gives up falls with the square of the temperature, and the bound's excess is a small part of it, unless many HCPs stay torn, as with
        tied values: then both fall in proportion to it.
        """
        if len(stages) < 2:
            return stages[0][0].given_up <= close * abs(stages[0][0].bound)
        (first, warm), (last, cold) = stages
        steeper = first.given_up / max(last.given_up, 1.0) * cold / warm
        return last.given_up <= close * abs(last.bound) * max(steeper * steeper, 1.0)

    def _balance(self, point: _Point, best: _Point | None, temperature: float) -> tuple[_Point, _Point]:
        """Newton's steps until the imbalance is worth no more than a few times what smoothing gives up, or they stall: of an HCP with many near-best choices
        only a few are noted, which leaves kinks. Also the point of least bound so far."""
        self._reach = np.maximum(COOLING * self._reach, REACH * temperature / self._typical)
        best, stalled = _lower(best, point), 0
        enough = BALANCED if self._every == 1 else ROUGHLY
        while stalled < PATIENCE and self._left(point) > enough * point.given_up and self.sweeps < SWEEPS:
            before = point
            point, moved = self._step(point, temperature)
            if not moved:
                break
            best = _lower(best, point)
            stalled = stalled + 1 if before.smooth - point.smooth < STALLED * point.given_up else 0
        return point, best

    def _cooled(self, stages: list[tuple[_Point, float]], cooler: float) -> _Point:
        """The last balanced prices at a lower temperature, or those to which the last two point, if the HCPs that are torn stay torn as it falls."""
        point, temperature = stages[-1]
        if len(stages) > 1 and point.given_up > 0.5 * temperature / stages[0][1] * stages[0][0].given_up:
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
        priced = sum(int(each) * int(most) for each, most in zip(price, limit, strict=True))
        return best - (-priced // MICRO)

    def _at(self, price: Ints, temperature: float) -> _Point:
        """Look at all HCPs."""
        look = self._sweeper.look(price, WIDTH * temperature, self._every)
        self.sweeps += 1
        return self._seen(_Model(price, look, self._sweeper.flat(), self._every), price, temperature)

    def _seen(self, model: _Model, price: Ints, temperature: float) -> _Point:
        """The dual at `price`, as a model sees it."""
        use, sums = np.zeros(len(price)), np.zeros(3)
        survey(model.torn, price.astype(np.float64), max(temperature, 1.0), use, sums)
        use, sums = model.look.use + model.every * use, model.every * sums
        single = model.look.single - _dot(price - model.price, model.look.use)
        limit = np.where(price > 0, self._capacity, self._floor)
        slope = limit - use
        idle = price == 0
        slope[idle & (use <= self._capacity) & (use >= self._floor)] = 0.0
        over = idle & (use > self._capacity)
        slope[over] = (self._capacity - use)[over]
        base = single + _dot(price, limit)
        return _Point(price, base + float(sums[0]), base + float(sums[1]), float(sums[2]), slope, model)

    def _left(self, point: _Point) -> float:
        """How much the imbalance of use and limits is worth at these prices; what is overdrawn is worth something even at price 0."""
        weight = np.abs(point.price).astype(np.float64)
        over = point.slope < 0
        weight[over] = np.maximum(weight, 0.1 * self._scale / self._typical)[over]
        return float(_dot(weight, np.abs(point.slope)))

    def _step(self, point: _Point, temperature: float) -> tuple[_Point, bool]:
        """Go to the minimum of the smoothed dual as this point's look saw it, within reach, and look again; False if the dual is no lower there.

        Each price has a reach of its own: it shrinks where a step went past the balance of use and limit, and grows where it fell short.
        """
        unit = temperature / self._typical
        for _ in range(TRIES):
            new = self._at(self._model_minimum(point, temperature), temperature)
            past = new.slope * point.slope < 0
            if new.smooth < point.smooth:
                self._reach = np.clip(np.where(past, 0.5, 2.0) * self._reach, 0.01 * unit, FARTHEST * self._scale / self._typical)
                return new, True
            self._reach *= np.where(past, 0.2, 0.6)
        return point, False

    def _model_minimum(self, start: _Point, temperature: float) -> Ints:
        """Newton's method on the model of one look."""
        point, step, reach = self._seen(start.model, start.price, temperature), np.zeros(len(start.price)), self._reach.copy()
        lowest, highest = np.maximum(start.price - self._reach, self._lowest), np.minimum(start.price + self._reach, self._scarce.highest)
        for _ in range(STEPS):
            direction(point.model.torn, temperature, point.slope * (1.0 / point.model.every), reach, FORCING, ROUNDS, step)
            price = np.clip(self._within(point.price, np.rint(step)), lowest, highest).astype(np.int64)
            new = self._seen(start.model, price, temperature)
            past = new.slope * point.slope < 0
            if new.smooth >= point.smooth:
                reach *= np.where(past, 0.2, 0.6)
                point = self._seen(start.model, point.price, temperature)
                continue
            point, reach = new, np.minimum(np.where(past, 0.5, 2.0) * reach, self._reach)
            if self._left(point) <= point.given_up:
                break
        return point.price


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
