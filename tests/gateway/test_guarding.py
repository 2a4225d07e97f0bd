"""Counting what is reported against guards: each action once, within its span, in whole numbers, and never again until people start it."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from remit.authority import Guard
from remit.gateway.guarding import Gauge, Watch, passed, tripped
from remit.ledger import Fresh
from remit.ledger.entries import SCHEMAS, check_entries
from remit.terms.instants import DAY

ERRORS = Guard("errors", "errors", "agent", "email", "stop", "ann", "A test.", within="7 days", most=250_000, least=4)
COMPLAINTS = Guard(
    "complaints", "complaints", "channel", "email", "confirm", "ann", "A test.", count=1, roles=("compliance",), deadline_us=DAY, on_timeout="refuse"
)


def outcome(seq: int, action: int, what: str, at: int, agent: str = "email") -> Fresh:
    return Fresh(seq, "outcome", b"ref", {"action": action, "agent": agent, "channel": "email", "product": "alpha", "what": what, "at": at})


def said(kind: str, seq: int, **body: Any) -> Fresh:
    return Fresh(seq, kind, None, body)


def test_a_share_trips_above_its_most_once_there_are_enough_cases() -> None:
    assert passed(ERRORS, 3, 3, "failed") is None
    assert passed(ERRORS, 1, 4, "failed") is None
    figure = passed(ERRORS, 2, 7, "failed")
    assert figure is not None
    assert figure.says == "errors: failed of 2 of 7 in 7 days, 28.6% where at most 25.0% may be"
    assert figure.numbers == {"against": 2, "cases": 7}


reports = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["delivered", "failed", "bounced", "complaint"]), st.integers(0, 3 * DAY), st.sampled_from(["email", "calls"])
    ),
    max_size=40,
)


@given(reports, st.integers(0, 20 * DAY))
def test_a_gauge_counts_what_a_plain_count_over_its_span_counts(found: list[tuple[int, str, int, str]], wait: int) -> None:
    gauge, at, told = Gauge(replace(ERRORS, most=0, least=0)), 0, list[tuple[int, int, str]]()
    for seq, (action, what, step, agent) in enumerate(found):
        at += step
        gauge.note(outcome(seq, action, what, at, agent).body)
        told += [(action, at, what)] if agent == "email" else []
        gauge.shown(at)
    now = at + wait
    figure = gauge.shown(now)
    cases, against = dict[int, int](), dict[int, int]()
    for action, when, what in told:  # an action is as old as what was said of it last
        for counted, counts in ((cases, True), (against, what in ("failed", "bounced"))):
            if counts:
                counted[action] = when
    expected = tuple(sum(when > now - 7 * DAY for when in each.values()) for each in (against, cases))
    assert (0 if figure is None else figure.numbers["against"]) == expected[0]
    assert figure is None or figure.numbers["cases"] == expected[1]


def test_one_that_tripped_stays_so_until_two_people_start_it_and_then_counts_from_there() -> None:
    watch = Watch((COMPLAINTS,))
    watch.take([outcome(1, 1, "complaint", 5), outcome(2, 1, "complaint", 6)])
    assert watch.due(10) == []  # one action, twice
    watch.take([outcome(3, 2, "unsubscribed", 7)])
    ((guard, figure),) = watch.due(10)
    name, entry = tripped(guard, figure, 4, 10)
    check_entries("a", "a", [entry])
    assert (name, entry.body["by"], entry.body["owner"], entry.body["roles"]) == ("downgrade-0004", "remit", "ann", ["compliance"])
    watch.take([said("downgrade", 4, **entry.body), outcome(5, 3, "complaint", 8)])
    assert watch.due(11) == []
    watch.take([said("start", 6, stop=name, step="asked")])
    assert watch.due(12) == []
    watch.take([said("start", 7, stop=name, step="yes"), outcome(8, 4, "complaint", 13)])
    assert watch.due(13) == []
    watch.take([outcome(9, 5, "complaint", 14)])
    assert [guard.id for guard, _ in watch.due(14)] == ["complaints"]


def test_a_persons_stop_trips_nothing_and_a_stop_by_a_guard_is_a_stop() -> None:
    watch = Watch((ERRORS,))
    watch.take([said("stop", 1, stop="stop-0001", scope="agent", of="email", by="ann", reason="", at=1)])
    watch.take(outcome(seq, seq, "failed", 5) for seq in range(2, 6))
    ((guard, figure),) = watch.due(10)
    name, entry = tripped(guard, figure, 2, 10)
    assert (name, entry.schema, SCHEMAS[entry.schema].kind) == ("stop-0002", "remit.stop/1", "stop")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.booleans()), max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_what_a_guard_shows_does_not_depend_on_when_it_was_looked_at(reports: list[tuple[int, int, bool]], looks: list[int]) -> None:
    guard = replace(ERRORS, most=0, least=0)
    once, often, at = Gauge(guard), Gauge(guard), 0
    for place, (action, days, bad) in enumerate(reports):
        at += days * DAY
        body = {"agent": guard.of, "product": "alpha", "channel": "email", "action": action, "at": at, "what": "failed" if bad else "delivered"}
        for each in (once, often):
            each.note(body)
        if place in looks:
            often.shown(at)
    assert once.shown(at) == often.shown(at)
