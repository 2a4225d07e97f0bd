"""Small random problems of many shapes, an exact solution of them by HiGHS, and a check of plans that shares no code with the arbiter."""

from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from remit.terms.problems import Calls, Candidates, Limits, Resources, Usage

MICRO = 1_000_000
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    candidates: Candidates
    calls: Calls
    resources: Resources
    limits: Limits
    agents: int

    def with_capacity(self, resource: int, amount: int) -> "Problem":
        """The same problem with `amount` more of one resource."""
        capacity = np.array(self.resources.capacity)
        capacity[resource] += amount
        return replace(self, resources=replace(self.resources, capacity=capacity))


@dataclass(frozen=True)
class Shape:
    """How a random problem is drawn."""

    hcps: int = 6
    candidates: int = 6
    resources: int = 4
    channels: int = 3
    kinds: int = 2
    most_calls: int = 3
    products: int = 3
    tightness: float = 0.5
    negative: float = 0.1
    mandatory: float = 0.0
    floors: float = 0.0
    groups: float = 0.3
    tied: bool = False
    fractional: bool = True
    most_contacts: int = 4
    agents: int = 2


def draw(shape: Shape, seed: int) -> Problem:
    """The random problem of this shape and seed."""
    rng = np.random.default_rng(seed)
    start, call_start = [0], [0]
    rows: list[tuple[int, ...]] = []
    kinds: list[tuple[int, int]] = []
    use: list[list[tuple[int, int]]] = []
    call_use: list[list[tuple[int, int]]] = []

    def usage(least: int) -> list[tuple[int, int]]:
        count = int(rng.integers(least, 3))
        return [(int(rng.integers(shape.resources)), _amount(rng, shape)) for _ in range(count)] if shape.resources else []

    for _ in range(shape.hcps):
        own = int(rng.integers(0, shape.kinds + 1))
        for _ in range(own):
            kinds.append((int(rng.integers(shape.channels)), int(rng.integers(0, shape.most_calls + 1))))
            call_use.append(usage(0))
        for _ in range(int(rng.integers(0, shape.candidates + 1))):
            value = int(rng.integers(1, 10)) * 10 * MICRO if shape.tied else int(rng.integers(0, 100 * MICRO))
            value = -value if rng.random() < shape.negative else value
            call = call_start[-1] + int(rng.integers(own)) if own and rng.random() < 0.6 else -1
            group = int(rng.integers(0, 3)) if rng.random() < shape.groups else -1
            product, channel = int(rng.integers(shape.products)), int(rng.integers(shape.channels))
            rows.append((value, int(rng.integers(shape.agents)), channel, product, call, group, int(rng.random() < shape.mandatory)))
            use.append(usage(1))
        start.append(len(rows))
        call_start.append(len(kinds))
    table = np.array(rows, dtype=np.int64).reshape(-1, 7)
    kind = np.array(kinds, dtype=np.int64).reshape(-1, 2)
    total = np.zeros(shape.resources)
    for row in use + call_use:
        for resource, amount in row:
            total[resource] += amount
    capacity = np.floor(total * shape.tightness * rng.random(shape.resources) / MICRO).astype(np.int64) * MICRO
    floor = np.where(rng.random(shape.resources) < shape.floors, capacity // 2, 0)
    return Problem(
        Candidates(
            np.array(start),
            table[:, 0],
            table[:, 1],
            table[:, 2],
            table[:, 3],
            table[:, 4],
            table[:, 5],
            table[:, 6].astype(bool),
            _usage(use),
        ),
        Calls(np.array(call_start), kind[:, 0], kind[:, 1], _usage(call_use)),
        Resources(tuple(f"resource {r}" for r in range(shape.resources)), capacity, floor),
        Limits(
            rng.integers(0, shape.most_contacts + 1, shape.hcps),
            rng.integers(0, 4, shape.hcps * shape.channels),
            shape.channels,
        ),
        shape.agents,
    )


def _amount(rng: np.random.Generator, shape: Shape) -> int:
    return int(rng.integers(0, 3 * MICRO)) if shape.fractional else int(rng.integers(1, 3)) * MICRO


def _usage(rows: list[list[tuple[int, int]]]) -> Usage:
    flat = np.array([entry for row in rows for entry in row], dtype=np.int64).reshape(-1, 2)
    return Usage(np.cumsum([0, *(len(row) for row in rows)]), flat[:, 0], flat[:, 1])


class Model:
    """A linear model in 0-1 variables, built row by row."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self._rows: list[tuple[float, float, dict[int, float]]] = []

    def variable(self, value: float) -> int:
        self.cost.append(value)
        return len(self.cost) - 1

    def row(self, low: float, terms: dict[int, float], high: float) -> None:
        self._rows.append((low, high, terms))

    def solve(self, integer: bool) -> float | None:
        """The greatest value; None if there is no solution."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self._rows)
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = np.array(self.cost), np.zeros(len(self.cost)), np.ones(len(self.cost))
        lp.row_lower_ = np.array([low for low, _, _ in self._rows], dtype=float)
        lp.row_upper_ = np.array([high for _, high, _ in self._rows], dtype=float)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.cumsum([0, *(len(terms) for _, _, terms in self._rows)])
        lp.a_matrix_.index_ = np.array([column for _, _, terms in self._rows for column in terms], dtype=np.int32)
        lp.a_matrix_.value_ = np.array([value for _, _, terms in self._rows for value in terms.values()], dtype=float)
        if integer:
            lp.integrality_ = [highspy.HighsVarType.kInteger] * len(self.cost)
        solver = highspy.Highs()
        for name, value in (("output_flag", False), ("mip_rel_gap", 0.0), ("mip_abs_gap", 1e-9), ("threads", 1)):
            solver.setOptionValue(name, value)
        solver.passModel(lp)
        solver.run()
        if not self.cost:
            return 0.0 if all(low <= 0 <= high for low, high, _ in self._rows) else None
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return float(solver.getInfo().objective_function_value)


def exact(problem: Problem, integer: bool = True) -> float | None:
    """The value of the best plan, in units, by a model that seats every detail in a numbered call; None if no plan is feasible."""
    model, c = Model(), problem.candidates
    contacts: dict[tuple[int, int], dict[int, float]] = {}
    used: list[dict[int, float]] = [{} for _ in problem.resources.names]
    for hcp in range(len(c.start) - 1):
        picks = {row: _pick(model, problem, row, hcp, contacts, used) for row in range(c.start[hcp], c.start[hcp + 1])}
        _seat(model, problem, hcp, picks, contacts, used)
        for row, pick in picks.items():
            model.row(1.0 if c.mandatory[row] else 0.0, dict.fromkeys(pick, 1.0), 1.0)
        for group in {int(c.exclusion[row]) for row in picks} - {-1}:
            model.row(0.0, {v: 1.0 for row, pick in picks.items() if c.exclusion[row] == group for v in pick}, 1.0)
    for hcp in range(len(c.start) - 1):
        mine = {channel: terms for (owner, channel), terms in contacts.items() if owner == hcp}
        for channel, terms in mine.items():
            model.row(0.0, terms, float(problem.limits.channel[hcp * problem.limits.channels + channel]))
        model.row(0.0, {v: 1.0 for terms in mine.values() for v in terms}, float(problem.limits.total[hcp]))
    for r, terms in enumerate(used):
        model.row(problem.resources.floor[r] / MICRO, terms, problem.resources.capacity[r] / MICRO)
    return model.solve(integer)


def _add_use(used: list[dict[int, float]], usage: Usage, row: int, variable: int) -> None:
    for j in range(usage.start[row], usage.start[row + 1]):
        terms = used[usage.resource[j]]
        terms[variable] = terms.get(variable, 0.0) + usage.amount[j] / MICRO


def _pick(model: Model, problem: Problem, row: int, hcp: int, contacts: Any, used: list[dict[int, float]]) -> list[int]:
    """The variables that choose a candidate: one, or one per call and position, in that order."""
    c, value = problem.candidates, int(problem.candidates.value[row])
    call = int(c.call[row])
    if call < 0:
        pick = [model.variable(value / MICRO)]
        contacts.setdefault((hcp, int(c.channel[row])), {})[pick[0]] = 1.0
    else:
        positions = problem.limits.positions
        pick = [model.variable(value * p // MICRO / MICRO) for _ in range(problem.calls.most[call]) for p in positions]
    for variable in pick:
        _add_use(used, c.usage, row, variable)
    return pick


def _seat(model: Model, problem: Problem, hcp: int, picks: dict[int, list[int]], contacts: Any, used: list[dict[int, float]]) -> None:
    c, seats = problem.candidates, len(problem.limits.positions)
    for call in range(problem.calls.start[hcp], problem.calls.start[hcp + 1]):
        details = [row for row in picks if c.call[row] == call]
        for number in range(problem.calls.most[call]):
            made = model.variable(0.0)
            contacts.setdefault((hcp, int(problem.calls.channel[call])), {})[made] = 1.0
            _add_use(used, problem.calls.usage, call, made)
            before = {made: -1.0}
            for position in range(seats):
                here = {picks[row][number * seats + position]: 1.0 for row in details}
                model.row(0.0 if position == 0 else -np.inf, {**here, **before}, 0.0)
                before = dict.fromkeys(here, -1.0)
            for product in {int(c.product[row]) for row in details}:
                model.row(0.0, {picks[row][number * seats + p]: 1.0 for row in details if c.product[row] == product for p in range(seats)}, 1.0)


def faults(problem: Problem, plan: Any) -> list[str]:
    """Which capacities, limits and rules of calls a plan breaks, and where what it says of itself is wrong."""
    found: list[str] = []
    c, chosen = problem.candidates, np.asarray(plan.chosen)
    used, value = np.zeros(len(problem.resources.names), dtype=np.int64), 0
    for hcp in range(len(c.start) - 1):
        contacts = np.zeros(problem.limits.channels, dtype=np.int64)
        calls: dict[tuple[int, int], list[tuple[int, int]]] = {}
        groups: list[int] = []
        for row in range(c.start[hcp], c.start[hcp + 1]):
            number, position = int(plan.call_number[row]), int(plan.position[row])
            if not chosen[row]:
                if number or position:
                    found.append(f"candidate {row} is seated but not chosen")
                continue
            groups += [int(c.exclusion[row])] if c.exclusion[row] >= 0 else []
            _use(used, c.usage, row)
            if c.call[row] < 0:
                contacts[c.channel[row]] += 1
                value += int(c.value[row])
                if number or position:
                    found.append(f"candidate {row} is outside calls but seated")
            else:
                calls.setdefault((int(c.call[row]), number), []).append((position, int(c.product[row])))
                value += int(c.value[row]) * problem.limits.positions[position - 1] // MICRO
        for (call, number), details in calls.items():
            contacts[problem.calls.channel[call]] += 1
            _use(used, problem.calls.usage, call)
            if not 1 <= number <= problem.calls.most[call]:
                found.append(f"call {call} has number {number}")
            if sorted(position for position, _ in details) != list(range(1, len(details) + 1)) or len(details) > len(problem.limits.positions):
                found.append(f"call {call} has positions {details}")
            if len({product for _, product in details}) < len(details):
                found.append(f"call {call} has a product twice")
        if len(set(groups)) < len(groups):
            found.append(f"HCP {hcp} has two of an exclusion group")
        limit = np.asarray(problem.limits.channel[hcp * problem.limits.channels : (hcp + 1) * problem.limits.channels])
        if np.any(contacts > limit) or contacts.sum() > problem.limits.total[hcp]:
            found.append(f"HCP {hcp} is contacted too often")
    if np.any(used > problem.resources.capacity):
        found.append("a capacity is exceeded")
    if not np.array_equal(used, plan.used):
        found.append(f"used is {plan.used}, must be {used}")
    if value != plan.value:
        found.append(f"value is {plan.value}, must be {value}")
    return found


def _use(used: Ints, usage: Usage, row: int) -> None:
    for j in range(usage.start[row], usage.start[row + 1]):
        used[usage.resource[j]] += usage.amount[j]
