"""Arbitrating a country, beside HiGHS' LP methods on the same problem and beside greedy planning under the same capacity."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Row, seconds
from remit.arbiter import arbitrate
from remit.terms.encoding import MICRO
from remit.terms.problems import Calls, Candidates, Limits, Plan, Resources, Usage

Ints = NDArray[np.int64]
CANDIDATES, SHARED, CHANNELS, DETAILS, AGENTS, HCPS_PER_TERRITORY = 16, 42, 4, 6, 4, 100
_METHODS = (
    ("dual simplex", {"solver": "simplex"}),
    ("interior point", {"solver": "ipm"}),
    ("interior point without crossover", {"solver": "ipm", "run_crossover": "off"}),
    ("PDLP", {"solver": "pdlp"}),
)


@dataclass(frozen=True)
class Country:
    """How a problem is drawn. `values`: `even`, `tied` (rounded to 25 levels), `correlated` (by HCP), `heavy` (lognormal); `tight`: capacity per wish."""

    hcps: int
    values: str = "even"
    tight: float = 0.35
    skewed: bool = False
    actions: int = 1
    rich: bool = False
    calls: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Problem:
    candidates: Candidates
    calls: Calls
    resources: Resources
    limits: Limits

    def solve(self) -> Plan:
        return arbitrate(self.candidates, self.calls, self.resources, self.limits, agents=AGENTS, threads=2)


def measure(quick: bool) -> list[Row]:
    """The arbiter's figures; `quick` takes a tenth of the HCPs."""
    hcps = 20_000 if quick else 200_000
    _warm()
    rows = [_one_action(hcps)]
    rows += [_rich(hcps, values) for values in ("even", "tied")]
    rows += [_against_lp(hcps // 4)]
    rows += _large(hcps // 2, 5 * hcps)
    return rows + [_beside_greedy(name, country) for name, country in _shapes(hcps // 10)]


def draw(country: Country) -> Problem:
    """A country of this kind: half of an HCP's candidates use its territory, the others one of the shared resources; `rich` ones use a second, shared,
    resource each, and have floors and territories with room for one to three; `calls` makes six candidates details of one call."""
    rng = np.random.default_rng(country.seed)
    hcps, rows = country.hcps, country.hcps * CANDIDATES
    territories = max(hcps // HCPS_PER_TERRITORY, 2)
    share = rng.pareto(1.2, territories) + 0.05 if country.skewed else np.ones(territories)
    territory = np.sort(rng.choice(territories, hcps, p=share / share.sum()))
    slot = np.tile(np.arange(CANDIDATES), hcps)
    detail = (slot < DETAILS) & country.calls
    first = np.where(slot < CANDIDATES // 2, np.repeat(territory, CANDIDATES), territories + rng.integers(0, SHARED, rows))
    second = territories + (np.maximum(first - territories, 0) + rng.integers(1, SHARED, rows)) % SHARED
    use = np.stack([first, second], axis=1)
    amount = np.stack([np.full(rows, MICRO), rng.integers(MICRO // 2, 3 * MICRO // 2, rows)], axis=1)
    kept = np.stack([~detail, np.full(rows, country.rich)], axis=1)
    candidates = Candidates(
        start=np.arange(hcps + 1) * CANDIDATES,
        value=_values(country, rng),
        agent=(slot % AGENTS).astype(np.int32),
        channel=np.where(slot < CANDIDATES // 2, 0, 1 + slot % (CHANNELS - 1)).astype(np.int32),
        product=(slot % DETAILS).astype(np.int32),
        call=np.where(detail, np.repeat(np.arange(hcps), CANDIDATES), -1).astype(np.int32),
        exclusion=np.full(rows, -1, dtype=np.int32),
        mandatory=np.zeros(rows, dtype=np.bool_),
        usage=Usage(np.concatenate([[0], np.cumsum(kept.sum(axis=1))]), use[kept].astype(np.int32), amount[kept]),
    )
    wanted = np.bincount(use[kept], amount[kept] / MICRO, territories + SHARED) / CANDIDATES * country.actions
    if country.calls:
        wanted[:territories] = np.bincount(territory, minlength=territories)
    capacity = np.rint(wanted * country.tight * rng.uniform(0.6, 1.4, territories + SHARED)).astype(np.int64)
    floor = np.zeros(territories + SHARED, dtype=np.int64)
    if country.rich:
        capacity[rng.choice(territories, max(territories // 20, 1), replace=False)] = rng.integers(1, 4, max(territories // 20, 1))
        promised = territories + rng.choice(SHARED, 3, replace=False)
        floor[promised] = capacity[promised] * 9 // 10
    return Problem(
        candidates,
        _calls(country, territory),
        Resources(tuple(f"resource-{r}" for r in range(territories + SHARED)), capacity * MICRO, floor * MICRO),
        Limits(np.full(hcps, country.actions), np.full(hcps * CHANNELS, country.actions), CHANNELS),
    )


def _values(country: Country, rng: np.random.Generator) -> Ints:
    rows = country.hcps * CANDIDATES
    if country.values == "correlated":
        value = np.repeat(rng.lognormal(3, 1, country.hcps), CANDIDATES) * rng.uniform(0.5, 1.5, rows)
    elif country.values == "heavy":
        value = rng.lognormal(3, 1, rows)
    else:
        value = rng.uniform(0, 100, rows)
    value = np.ceil(value / 4) * 4 if country.values == "tied" else value
    return np.rint(value * MICRO).astype(np.int64)


def _calls(country: Country, territory: Ints) -> Calls:
    kinds = country.hcps if country.calls else 0
    start = np.arange(country.hcps + 1) if country.calls else np.zeros(country.hcps + 1, dtype=np.int64)
    usage = Usage(np.arange(kinds + 1), territory[:kinds].astype(np.int32), np.full(kinds, MICRO))
    return Calls(start, np.zeros(kinds, dtype=np.int32), np.ones(kinds, dtype=np.int32), usage)


def _warm() -> None:
    """Load or compile the kernels before anything is timed."""
    for country in (Country(2_000), Country(2_000, rich=True, calls=True, actions=2)):
        draw(country).solve()


def _one_action(hcps: int) -> Row:
    problem = draw(Country(hcps))
    took, plan = seconds(problem.solve, 3), problem.solve()
    limit = max(60.0, 40 * took)
    timed = {name: _highs(problem, settings, limit) for name, settings in _METHODS}
    fastest = min(timed.values())
    beside = "; ".join(f"{name} {'> ' if each >= limit else ''}{each:.0f} s" for name, each in timed.items())
    ratio = fastest / took
    return Row(
        f"arbitrate {hcps:,} HCPs x 16, {len(problem.resources.names):,} resources, one action",
        "<= 2 s at 200,000; 25x faster than the fastest of HiGHS' LP methods",
        f"{took:.2f} s, gap {plan.gap:.4%}",
        f"HiGHS, stopped at {limit:.0f} s: {beside}; {'more than ' if fastest >= limit else ''}{ratio:.0f}x",
        took <= 2 and ratio >= 25,
    )


def _rich(hcps: int, values: str) -> Row:
    problem = draw(Country(hcps, values, rich=True, calls=True, actions=2))
    took, plan = seconds(problem.solve), problem.solve()
    reach = 0.0005 if values == "tied" else 0.0001
    greedy = "HiGHS' LP of this problem: see the next rows"
    work = f"the same with two resources each, two actions, shared calls, floors, capacities of 1 to 3; {values} values"
    return Row(work, f"<= 6 s at 200,000; gap <= {reach:.2%}", f"{took:.2f} s, gap {plan.gap:.4%} to its own bound", greedy, took <= 6 and plan.gap <= reach)


def _against_lp(hcps: int) -> Row:
    """The gap to HiGHS' LP bound where that can be waited for: without calls, the LP is what the arbiter's bound is the dual of."""
    gaps = []
    for values in ("even", "tied", "heavy"):
        problem = draw(Country(hcps, values, rich=True, actions=2))
        plan, best = problem.solve(), _lp(problem, {"solver": "ipm"}, 600.0)[1]
        gaps.append(f"{values} {(best * MICRO - plan.value) / (best * MICRO):.4%} (own bound {(plan.bound / MICRO - best) / best:+.5%})")
    return Row(f"gap to HiGHS' LP optimum, {hcps:,} HCPs, two resources, two actions", "<= 0.01%, tied 0.05%", "; ".join(gaps), "HiGHS interior point", None)


def _large(small: int, large: int) -> list[Row]:
    times: dict[int, tuple[float, float]] = {}
    for hcps in (small, large):
        code = f"from benchmarks.arbiter import timed_alone; timed_alone({hcps})"
        ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        took, peak_gib = json.loads(ran.stdout.splitlines()[-1])
        times[hcps] = (took, peak_gib)
    took, peak_gib = times[large]
    ratio = (took / large) / (times[small][0] / small)
    beside = f"per HCP {ratio:.2f}x of {small:,} ({times[small][0]:.2f} s)"
    reached = took <= 15 and peak_gib <= 4 and ratio <= 1.5
    return [Row(f"arbitrate {large:,} HCPs x 16", "<= 15 s, <= 4 GB at 1,000,000; per HCP <= 1.5x", f"{took:.2f} s, peak {peak_gib:.2f} GiB", beside, reached)]


def timed_alone(hcps: int) -> None:
    """Prints seconds and peak GiB of arbitrating `hcps` HCPs in this process, the problem's own columns included."""
    _warm()
    problem = draw(Country(hcps))
    took = seconds(problem.solve)
    print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))


def _shapes(hcps: int) -> Iterator[tuple[str, Country]]:
    yield "loose", Country(hcps, tight=0.9, rich=True, actions=2)
    yield "tight", Country(hcps, tight=0.1, rich=True, actions=2)
    yield "values correlated within HCPs", Country(hcps, "correlated", rich=True, actions=2)
    yield "heavy-tailed values", Country(hcps, "heavy", rich=True, actions=2)
    yield "tied values", Country(hcps, "tied", rich=True, actions=2)
    yield "skewed territories", Country(hcps, skewed=True, rich=True, actions=2)
    yield "one action, one resource", Country(hcps)


def _beside_greedy(name: str, country: Country) -> Row:
    problem = draw(country)
    plan = problem.solve()
    value = np.asarray(problem.candidates.value)
    in_order = _greedy(problem, np.lexsort((-value, np.arange(len(value)) // CANDIDATES)))
    by_value = _greedy(problem, np.argsort(-value, kind="stable"))
    beside = f"each HCP in turn {plan.value / in_order - 1:+.1%}, by value {plan.value / by_value - 1:+.1%} (greedy keeps no floors)"
    return Row(f"value against greedy, {country.hcps:,} HCPs, {name}", "reported", f"{plan.value / MICRO:,.0f}, gap {plan.gap:.3%}", beside, None)


def _greedy(problem: Problem, order: Ints) -> int:
    """The value of taking candidates in this order while contacts and capacity last."""
    use = problem.candidates.usage
    start, used, amount, value = (np.asarray(column).tolist() for column in (use.start, use.resource, use.amount, problem.candidates.value))
    left, contacts, total = np.asarray(problem.resources.capacity).tolist(), np.asarray(problem.limits.total).tolist(), 0
    for row in order.tolist():
        if contacts[row // CANDIDATES] and all(left[used[j]] >= amount[j] for j in range(start[row], start[row + 1])):
            contacts[row // CANDIDATES] -= 1
            total += value[row]
            for j in range(start[row], start[row + 1]):
                left[used[j]] -= amount[j]
    return total


def _highs(problem: Problem, settings: dict[str, str], limit_s: float) -> float:
    return _lp(problem, settings, limit_s)[0]


def _lp(problem: Problem, settings: dict[str, str], limit_s: float) -> tuple[float, float]:
    """Seconds that HiGHS needs for the LP relaxation (`limit_s` if it does not finish), and the optimum in units."""
    solver = highspy.Highs()
    for name, value in ({"output_flag": False, "time_limit": limit_s} | settings).items():
        solver.setOptionValue(name, value)
    solver.passModel(_model(problem))
    start = time.perf_counter()
    solver.run()
    took = time.perf_counter() - start
    done = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return (took if done else max(took, limit_s)), float(solver.getInfo().objective_function_value)


def _model(problem: Problem) -> highspy.HighsLp:
    """The LP relaxation of a problem without calls: a row per resource and a row of contacts per HCP, columns as HiGHS likes them."""
    candidates, hcps = problem.candidates, len(problem.candidates.start) - 1
    rows, resources = len(candidates.value), len(problem.resources.names)
    entries = np.diff(candidates.usage.start)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_, lp.sense_ = rows, resources + hcps, highspy.ObjSense.kMaximize
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = np.asarray(candidates.value) / MICRO, np.zeros(rows), np.ones(rows)
    lp.row_lower_ = np.concatenate([np.asarray(problem.resources.floor) / MICRO, np.zeros(hcps)])
    lp.row_upper_ = np.concatenate([np.asarray(problem.resources.capacity) / MICRO, np.asarray(problem.limits.total, dtype=float)])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(entries + 1)])
    at = np.asarray(candidates.usage.start)[1:]
    lp.a_matrix_.index_ = np.insert(np.asarray(candidates.usage.resource), at, resources + np.arange(rows) // CANDIDATES).astype(np.int32)
    lp.a_matrix_.value_ = np.insert(np.asarray(candidates.usage.amount) / MICRO, at, 1.0)
    return lp
