"""The arbiter's two questions: what to do with all HCPs jointly, and what to do with one HCP at the prices of a plan."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from remit.arbiter.accounts import Settled, settle, shortfalls
from remit.arbiter.desk import desk
from remit.arbiter.draft import Draft, empty_draft
from remit.arbiter.dual import Dual, Prices
from remit.arbiter.errors import ArbiterError
from remit.arbiter.repair import SMALL, Repair, fit_one
from remit.arbiter.rows import LARGEST_VALUE, Flags, Ints, Rows, Scarce, Shorts, read, read_agents, read_amounts, read_only, read_scarce
from remit.arbiter.sweep import Sweeper
from remit.terms.columns import Column
from remit.terms.problems import Account, Calls, Candidates, Limits, Plan, Resources, Shortfall

DRAWS = (0.0, 1.0, 10.0)
"""Parts of the prices' temperature at which the choices of a small problem are drawn."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is best for one HCP: `chosen` (bool), `call_number`, `position` (int8) per candidate, their value and rent in micro-units, and mandatory
    candidates that do not fit."""

    chosen: Column
    call_number: Column
    position: Column
    value: int
    rent: int
    shortfalls: tuple[Shortfall, ...]


def arbitrate(candidates: Candidates, calls: Calls, resources: Resources, limits: Limits, *, agents: int, displaced: bool = False, threads: int = 1) -> Plan:
    """Choose jointly among all candidates: the plan of greatest value found, with prices, and a bound on the value of any feasible plan.

    The plan never breaks a capacity or a limit; floors and mandatory candidates that it could not meet are its `shortfalls`, and its bound then is that of
    the problem which asks for what it does meet. `displaced` solves once more per agent. The plan does not depend on `threads`.
    Raises `ArbiterError` with all faults of the columns.
    """
    rows = read(candidates, calls, limits, len(resources.names))
    agent = read_agents(candidates.agent, len(rows.value), agents)
    scarce = read_scarce(resources, rows)
    if threads < 1:
        raise ArbiterError(f"cannot work with `{threads}` threads", where="arbitrate", do="Give at least 1.")
    with ThreadPoolExecutor(threads) as pool:
        solved = _solve(rows, scarce, pool, threads, None)
        others = [_others(rows, scarce, agent, each, agents, pool, threads, solved) for each in range(agents)] if displaced else None
    return _plan(scarce, agent, agents, solved, others)


def arbitrate_one(candidates: Candidates, calls: Calls, limits: Limits, price: Column, remaining: Column) -> Answer:
    """The best choice for the one HCP of `candidates` at `price` (micro-units of value per unit of each resource) that fits in `remaining` (micro-units).

    Exact: no choice that fits is worth more net of price x use. Raises `ArbiterError` with all faults of the columns.
    """
    count = len(remaining)
    rows = read(candidates, calls, limits, count)
    if len(rows.start) != 2:
        raise ArbiterError(f"has {len(rows.start) - 1} HCPs", where="arbitrate_one", do="Give the candidates of one HCP, or call arbitrate.")
    left = read_amounts("remaining", remaining, count)
    prices = _bounded(np.asarray(price), rows, count)
    scarce = Scarce(left, np.zeros_like(left), prices)
    draft, table = empty_draft(rows, left, scarce.floor), desk(rows)
    fit_one(rows, prices, table, draft)
    settled = settle(rows, draft, prices, table)
    missed = shortfalls(rows, draft, scarce)
    return Answer(draft.rank > 0, settled.call_number, settled.position, int(settled.value.sum()), int(settled.rent.sum()), missed)


@dataclass(frozen=True, slots=True)
class _Solved:
    prices: Prices
    draft: Draft
    shortfalls: tuple[Shortfall, ...]
    settled: Settled


def _solve(rows: Rows, scarce: Scarce, pool: ThreadPoolExecutor, threads: int, start: Ints | None) -> _Solved:
    sweeper = Sweeper(rows, len(scarce.capacity), pool, threads)
    prices = Dual(sweeper, scarce).solve(start)
    draft = _repaired(sweeper, scarce, prices)
    missed = shortfalls(rows, draft, scarce)
    if missed:
        prices, draft = _relaxed(rows, scarce, draft, pool, threads)
        missed = shortfalls(rows, draft, scarce)
    return _Solved(prices, draft, missed, settle(rows, draft, prices.price, sweeper.desks[0][0]))


def _repaired(sweeper: Sweeper, scarce: Scarce, prices: Prices) -> Draft:
    """The draft at these prices; of a small problem, the best of several draws."""
    if sweeper.hcps > SMALL:
        return Repair(sweeper, scarce).run(prices)
    drafts = [Repair(sweeper, scarce).run(replace(prices, temperature=max(part * prices.temperature, 1.0))) for part in DRAWS]
    return max(drafts, key=lambda draft: _merit(sweeper, scarce, draft))


def _merit(sweeper: Sweeper, scarce: Scarce, draft: Draft) -> tuple[int, int]:
    """Few shortfalls, then much value."""
    settled = settle(sweeper.rows, draft, np.zeros_like(scarce.capacity), sweeper.desks[0][0])
    return -len(shortfalls(sweeper.rows, draft, scarce)), int(settled.value.sum())


def _relaxed(rows: Rows, scarce: Scarce, draft: Draft, pool: ThreadPoolExecutor, threads: int) -> tuple[Prices, Draft]:
    """Prices for the problem that asks for what `draft` meets, since what cannot be met has no finite price; and a draft at these prices that meets it."""
    met = rows._replace(mandatory=read_only(rows.mandatory & (draft.rank > 0)))
    reached = scarce._replace(floor=np.minimum(scarce.floor, scarce.capacity - draft.left))
    sweeper = Sweeper(met, len(scarce.capacity), pool, threads)
    prices = Dual(sweeper, reached).solve()
    again = _repaired(sweeper, reached, prices)
    return prices, draft if shortfalls(met, again, reached) else again


def _others(rows: Rows, scarce: Scarce, agent: Shorts, each: int, agents: int, pool: ThreadPoolExecutor, threads: int, solved: _Solved) -> Ints:
    """What each agent's candidates are worth in the plan solved without agent `each`; nothing for itself."""
    own = agent == each
    without = rows._replace(value=read_only(np.where(own, -LARGEST_VALUE, rows.value)), mandatory=read_only(rows.mandatory & ~own))
    reachable = scarce._replace(floor=np.minimum(scarce.floor, _most_used(rows, ~own, len(scarce.floor))))
    settled = _solve(without, reachable, pool, threads, solved.prices.price).settled
    value = np.zeros(agents, dtype=np.int64)
    np.add.at(value, agent[~own], settled.value[~own])
    return value


def _most_used(rows: Rows, allowed: Flags, resources: int) -> Ints:
    """What all `allowed` candidates and all the calls there could be would use together of each resource."""
    entries, calls = np.repeat(allowed, np.diff(rows.use.start)), rows.call_use.amount * np.repeat(rows.call_most, np.diff(rows.call_use.start))
    used = np.bincount(rows.use.resource[entries], rows.use.amount[entries], resources) + np.bincount(rows.call_use.resource, calls, resources)
    return used.astype(np.int64)


def _plan(scarce: Scarce, agent: Shorts, agents: int, solved: _Solved, others: list[Ints] | None) -> Plan:
    settled, draft = solved.settled, solved.draft
    value, rent = np.zeros(agents, dtype=np.int64), np.zeros(agents, dtype=np.int64)
    np.add.at(value, agent, settled.value)
    np.add.at(rent, agent, settled.rent)
    accounts = tuple(_account(each, value, int(rent[each]), None if others is None else others[each]) for each in range(agents))
    return Plan(
        chosen=draft.rank > 0,
        call_number=settled.call_number,
        position=settled.position,
        price=solved.prices.price,
        used=scarce.capacity - draft.left,
        value=int(value.sum()),
        bound=solved.prices.bound,
        accounts=accounts,
        shortfalls=solved.shortfalls,
    )


def _account(agent: int, value: Ints, rent: int, without: Ints | None) -> Account:
    if without is None:
        return Account(agent, int(value[agent]), rent, None)
    more = without - value
    more[agent] = 0
    return Account(agent, int(value[agent]), rent, int(more.sum()), tuple(more.tolist()))


def _bounded(price: Ints, rows: Rows, count: int) -> Ints:
    """The prices as int64, none so high that price x amount leaves int64; those beyond that are beyond what any candidate is worth."""
    if price.shape != (count,) or price.dtype.kind not in "iu":
        raise ArbiterError(f"price: must be {count} integers, is `{price.dtype}` of shape {price.shape}", where="arbitrate_one", do="Give a plan's prices.")
    largest = np.ones(count, dtype=np.int64)
    for use in (rows.use, rows.call_use):
        np.maximum.at(largest, use.resource, use.amount)
    most = (1 << 61) // largest
    return np.clip(price, -most, most).astype(np.int64)
