"""The arbiter against exact solutions: thousands of small problems of every shape, solved as integer programmes by HiGHS."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from problems import MICRO, Problem, Shape, draw, exact, faults

from remit.arbiter import ArbiterError, arbitrate, arbitrate_one
from remit.terms.problems import Calls, Candidates, Limits, Plan, Resources, Usage

SHAPES = {
    "plain": Shape(kinds=0, negative=0.0, groups=0.0),
    "one action": Shape(kinds=0, most_contacts=1),
    "calls": Shape(candidates=8, kinds=2, most_calls=3),
    "one product": Shape(candidates=8, kinds=1, products=1),
    "tight": Shape(tightness=0.1, hcps=10),
    "loose": Shape(tightness=5.0),
    "whole units": Shape(fractional=False, tightness=0.3),
    "tied values": Shape(tied=True, fractional=False),
    "groups": Shape(groups=0.9),
    "floors": Shape(floors=0.5),
    "mandatory": Shape(mandatory=0.15, tightness=1.0),
    "negative": Shape(negative=0.6, floors=0.3),
    "one HCP": Shape(hcps=1, candidates=10, tightness=3.0),
    "many HCPs": Shape(hcps=30, resources=6),
}
SEEDS = range(150)


def solved(problem: Problem, threads: int = 1, displaced: bool = False) -> Plan:
    return arbitrate(problem.candidates, problem.calls, problem.resources, problem.limits, agents=problem.agents, threads=threads, displaced=displaced)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_a_plan_keeps_every_rule_and_lies_between_nothing_and_the_best_and_the_best_below_the_bound(shape: Shape) -> None:
    gaps = []
    for seed in SEEDS:
        problem = draw(shape, seed)
        plan, best = solved(problem), exact(problem)
        assert faults(problem, plan) == [], seed
        if best is None:
            assert plan.shortfalls, f"{seed}: no plan is feasible, and none is said to fall short"
            continue
        assert plan.bound >= best * MICRO - 1_000, seed
        if not plan.shortfalls:
            assert plan.value <= best * MICRO + 1_000, seed
            gaps.append((best * MICRO - plan.value) / max(abs(best * MICRO), MICRO))
    assert np.mean(gaps) < (0.1 if shape.floors else 0.02)  # of six HCPs, a floor that two actions can meet leaves little to repair with
    assert np.median(gaps) < 1e-6


@pytest.mark.parametrize("tied", [False, True], ids=["even", "tied"])
def test_on_a_large_problem_the_bound_is_that_of_the_linear_programme_and_the_plan_is_near_it(tied: bool) -> None:
    problem = draw(Shape(hcps=6_000, candidates=12, kinds=0, resources=12, groups=0.0, tightness=0.6, tied=tied), 7)
    plan, best = solved(problem, threads=2), exact(problem, integer=False)
    assert best is not None
    assert faults(problem, plan) == []
    assert 0 <= plan.bound / (best * MICRO) - 1 < 1e-5
    assert 0 <= 1 - plan.value / (best * MICRO) < 5e-4


@pytest.mark.parametrize("seed", range(100))
def test_one_more_unit_is_worth_at_most_its_price(seed: int) -> None:
    problem = draw(Shape(fractional=False, hcps=5), seed)
    plan = solved(problem)
    for resource, price in enumerate(np.asarray(plan.price).tolist()):
        more = solved(problem.with_capacity(resource, MICRO))
        assert more.bound - plan.bound <= price + 2


def test_for_one_hcp_the_answer_is_exact_and_fits() -> None:
    for seed in range(300):
        problem = draw(Shape(hcps=1, candidates=9, most_contacts=3), seed)
        price = np.zeros(len(problem.resources.names), np.int64)
        answer = arbitrate_one(problem.candidates, problem.calls, problem.limits, price, problem.resources.capacity)
        best = exact(replace(problem, resources=replace(problem.resources, floor=np.zeros(len(price), np.int64))))
        assert best is not None
        assert abs(answer.value - best * MICRO) <= 1_000, seed


def test_nothing_depends_on_the_number_of_threads() -> None:
    for seed in range(60):
        problem = draw(Shape(hcps=40, resources=6, floors=0.2), seed)
        one, two = solved(problem, 1), solved(problem, 2)
        assert np.array_equal(one.chosen, two.chosen)
        assert np.array_equal(one.price, two.price)
        assert (one.value, one.bound) == (two.value, two.bound)


def test_nothing_depends_on_the_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from problems import Shape, draw; from remit.arbiter import arbitrate\n"
        "p = draw(Shape(hcps=40, resources=6), 5); plan = arbitrate(p.candidates, p.calls, p.resources, p.limits, agents=p.agents)\n"
        "print(plan.value, plan.bound, list(plan.price), list(plan.chosen))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "99")
    }
    assert len(said) == 1


def test_rents_add_up_to_price_times_use_and_values_to_the_plans() -> None:
    for seed in range(60):
        plan = solved(draw(Shape(hcps=20, resources=6), seed), displaced=True)
        assert sum(account.value for account in plan.accounts) == plan.value
        priced = sum(int(price) * int(used) for price, used in zip(np.asarray(plan.price), np.asarray(plan.used), strict=True)) / MICRO
        assert abs(sum(account.rent for account in plan.accounts) - priced) <= 20 * 6 * 10
        assert all(account.displaced is not None for account in plan.accounts)


def test_what_an_agent_displaces_of_each_other_adds_up_to_what_it_displaces() -> None:
    for seed in range(60):
        plan = solved(draw(Shape(hcps=20, resources=6, agents=3), seed), displaced=True)
        for account in plan.accounts:
            assert account.displaces is not None
            assert (sum(account.displaces), account.displaces[account.agent]) == (account.displaced, 0)


def test_an_agent_displaces_the_one_that_would_have_its_place_and_no_other() -> None:
    """One HCP with one contact that agents 0 and 1 want, another HCP that agent 2 has to itself."""
    nothing = Usage(np.zeros(4, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
    no_calls = Calls(np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), Usage(np.zeros(1, np.int64), nothing.resource, nothing.amount))
    each = np.arange(3, dtype=np.int32)
    candidates = Candidates(
        start=np.array([0, 2, 3]),
        value=np.array([5, 3, 2]) * MICRO,
        agent=each,
        channel=np.zeros(3, np.int32),
        product=each,
        call=np.full(3, -1, np.int32),
        exclusion=np.full(3, -1, np.int32),
        mandatory=np.zeros(3, np.bool_),
        usage=nothing,
    )
    one = np.ones(2, np.int32)
    plan = arbitrate(candidates, no_calls, Resources((), np.empty(0, np.int64), np.empty(0, np.int64)), Limits(one, one, 1), agents=3, displaced=True)
    assert [account.displaces for account in plan.accounts] == [(0, 3 * MICRO, 0), (0, 0, 0), (0, 0, 0)]


def test_a_shortfall_says_what_and_by_how_much() -> None:
    problem = draw(Shape(kinds=0, negative=0.0, groups=0.0, most_contacts=4, tightness=2.0), 1)
    used = int(np.asarray(solved(problem).used)[0])
    floor = np.zeros(len(problem.resources.names), np.int64)
    floor[0] = used + 10_000 * MICRO
    capacity = np.array(problem.resources.capacity)
    capacity[0] = floor[0]
    plan = solved(replace(problem, resources=replace(problem.resources, floor=floor, capacity=capacity)))
    assert [(item.kind, item.index, item.by) for item in plan.shortfalls] == [("floor", 0, int(floor[0] - np.asarray(plan.used)[0]))]


def test_malformed_columns_are_told_all_at_once() -> None:
    problem = draw(Shape(), 3)
    broken = replace(problem.candidates, value=np.asarray(problem.candidates.value)[:-1], call=np.asarray(problem.candidates.call) + 1000)
    with pytest.raises(ArbiterError) as caught:
        arbitrate(broken, problem.calls, problem.resources, problem.limits, agents=problem.agents)
    assert caught.value.faults


def test_values_that_would_overflow_are_refused_and_named() -> None:
    problem = draw(Shape(), 3)
    with pytest.raises(ArbiterError, match="value"):
        arbitrate(
            replace(problem.candidates, value=np.full(len(problem.candidates.value), 2**62)),
            problem.calls,
            problem.resources,
            problem.limits,
            agents=problem.agents,
        )


def test_no_hcps_and_no_resources_make_an_empty_plan() -> None:
    for shape in (Shape(hcps=0), Shape(hcps=0, resources=0), Shape(resources=0)):
        plan = solved(draw(shape, 0))
        assert plan.value <= plan.bound
