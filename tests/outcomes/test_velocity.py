"""How long decisions wait at each stage: figures computed by hand."""

from remit.outcomes import Clock, Owner, Wait, velocity

S = 1_000_000
AGENT, ROW, GATEWAY = Owner("agent", "owner-email", person=True), Owner("row", "compliance-lead", person=True), Owner("gateway", "gateway", person=False)


def clock(judged: int, **other: int) -> Clock:
    return Clock("email", 0, 10 * S, 10 * S + judged, 10 * S + judged, owners={"propose": AGENT, "judge": ROW, "act": GATEWAY}, **other)


def test_each_stage_has_its_wait_and_its_owner() -> None:
    found = velocity([*(clock(wait) for wait in (1, 2, 3, 4, 5)), clock(6, confirmed=70 * S, acted=71 * S)])
    assert found.decisions == 6
    stages = {wait.stage: (wait.count, wait.median_us, wait.p90_us, wait.largest_us) for wait in found.stages}
    assert stages == {
        "arrive": (6, 10 * S, 10 * S, 10 * S),
        "propose": (6, 3, 6, 6),
        "judge": (6, 0, 0, 0),
        "confirm": (1, 60 * S - 6, 60 * S - 6, 60 * S - 6),
        "act": (1, S, S, S),
        "whole": (1, 61 * S, 61 * S, 61 * S),
    }
    assert Wait("cycle", "propose", "email", AGENT, 6, 3, 6, 6) in found.agents
    assert Wait("cycle", "act", "email", GATEWAY, 1, S, S, S) in found.agents


def test_of_ten_waits_nine_are_within_the_ninth() -> None:
    (wait,) = velocity(Clock("a", received=0, acted=number) for number in range(1, 11)).stages
    assert (wait.median_us, wait.p90_us, wait.largest_us) == (5, 9, 10)


def test_a_person_who_owns_the_stage_of_few_decisions_is_not_shown() -> None:
    found = velocity([clock(1)] * 4)
    assert {wait.stage for wait in found.agents} == {"arrive"}
    assert found.too_few == 2
    assert {wait.stage for wait in found.stages} == {"arrive", "propose", "judge"}


def test_events_are_told_apart_from_cycles() -> None:
    found = velocity([Clock("a", received=0, acted=9, route="event"), Clock("a", received=0, acted=700)])
    assert [(wait.route, wait.largest_us) for wait in found.stages] == [("cycle", 700), ("event", 9)]


def test_clocks_that_disagree_make_no_wait_below_nothing() -> None:
    (wait,) = velocity([Clock("a", occurred=7, received=5)]).stages
    assert (wait.stage, wait.largest_us) == ("arrive", 0)
