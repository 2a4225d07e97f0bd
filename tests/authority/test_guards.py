"""Guards of a table: what a good one is, every fault of a bad one, and that what they make of a table only tightens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.authority import AuthorityError, Stop, Table, authorize, load_table, stopped
from remit.terms.facts import FACTS, Fact
from remit.terms.instants import DAY
from remit.terms.people import Person
from remit.terms.verdicts import Ruling
from tests.authority.tables_at_random import dictionaries, load, some_facts, tables
from tests.authority.test_laws import at_least_as_tight

PEOPLE = {"ann": Person("ann", frozenset({"compliance"})), "ben": Person("ben", frozenset({"brand-lead"}))}
ROW = {"id": "mail", "when": "channel = 'email'", "verdict": "autonomous", "owner": "ann", "reason": "A test."}
GUARD = {
    "id": "complaints",
    "on": "complaints",
    "scope": "agent",
    "of": "email",
    "within": "7 days",
    "most": "0.02",
    "least": "20",
    "then": "confirm",
    "roles": "[compliance]",
    "deadline": "3 days",
    "on_timeout": "refuse",
    "owner": "ann",
    "reason": "Whoever complains is right.",
}


def written(*guards: dict[str, str]) -> str:
    rows = "\n".join(f"  {'-' if name == 'id' else ' '} {name}: {value}" for name, value in ROW.items())
    said = "\n".join(f"  {'-' if name == 'id' else ' '} {name}: {value}" for guard in guards for name, value in guard.items())
    return f"version: 1\nname: drawn\nowner: ann\nrows:\n{rows}\nguards:\n{said}\n"


def loaded(*guards: dict[str, str]) -> Table:
    return load_table(written(*guards), PEOPLE, FACTS, 0)


def without(guard: dict[str, str], *names: str, **changed: str) -> dict[str, str]:
    return {name: value for name, value in guard.items() if name not in names} | changed


def test_a_good_guard_is_held_as_it_was_written() -> None:
    first, second, third, fourth = loaded(
        GUARD,
        without(GUARD, "most", "least", "roles", "deadline", "on_timeout", id="errors", on="errors", count="3", then="stop", within="ever"),
        without(GUARD, "most", "least", "within", id="drift", on="drift", model="response", asks="confirm"),
        without(GUARD, "most", "within", id="floor", on="outcome", scope="product", of="alpha", floor="0.05", least="4"),
    ).guards
    assert (first.most, first.least, first.roles, first.deadline_us, first.on_timeout, first.since(10 * DAY)) == (
        20_000,
        20,
        ("compliance",),
        3 * DAY,
        "refuse",
        3 * DAY,
    )
    assert (second.count, second.most, second.then, second.roles, second.since(DAY)) == (3, None, "stop", (), -1)
    assert (third.model, third.asks) == ("response", ("confirm", "stop"))
    assert (fourth.floor, fourth.least, fourth.scope) == (50_000, 4, "product")
    assert loaded(GUARD).guards == loaded(GUARD).guards


@pytest.mark.parametrize(
    ("guard", "says"),
    [
        (without(GUARD, on="complaint"), "did you mean `complaints`"),
        (without(GUARD, scope="hcp"), "not one of agent, product, channel"),
        (without(GUARD, owner="cat"), "not in the file of people"),
        (without(GUARD, roles="[medical]"), "nobody could say yes"),
        (without(GUARD, deadline="2 months"), "not a time to answer in"),
        (without(GUARD, "roles"), "`roles` is missing"),
        (without(GUARD, then="stop"), "`roles` is not a key here"),
        (without(GUARD, within="a while"), "not a span of time"),
        (without(GUARD, most="2"), "not a number from 0 to 1"),
        (without(GUARD, most="1"), "would never trip"),
        (without(GUARD, "most"), "give one of `most`"),
        (without(GUARD, "least"), "`least` is missing"),
        (without(GUARD, count="3"), "give one of `most`"),
        (without(GUARD, "most", count="few"), "not a whole number"),
        (without(GUARD, on="failures", scope="product"), "its `scope` is `agent`"),
        (without(GUARD, "most", "least", "within", on="drift", asks="raise"), "not one of confirm, stop"),
        (without(GUARD, "most", "within", on="outcome", floor="0.1"), "what acting changed is known of products"),
        (without(GUARD, "most", "within", on="outcome", scope="product", floor="0.1", least="0"), "at least one period"),
        (without(GUARD, id="mail"), "is taken"),
    ],
)
def test_a_fault_is_told(guard: dict[str, str], says: str) -> None:
    with pytest.raises(AuthorityError) as raised:
        loaded(guard)
    assert says in " ".join(raised.value.faults)


def test_all_faults_are_told_in_one_go() -> None:
    with pytest.raises(AuthorityError) as raised:
        loaded(without(GUARD, scope="hcp", owner="cat", within="a while", most="2", deadline="soon"))
    assert len(raised.value.faults) == 5


DOWNGRADE = Stop("downgrade-0001", "agent", "email", "remit", "complaints", "ann", ("compliance",), 3 * DAY, "refuse")


def test_a_downgrade_asks_where_a_machine_might_act_alone_and_grants_nothing() -> None:
    table = stopped(loaded(GUARD), [DOWNGRADE])
    facts: dict[str, bool | int | str | None] = {**dict.fromkeys(FACTS), "agent": "email", "channel": "email"}
    verdict = authorize(facts, table)
    assert (verdict.ruling, verdict.rules, verdict.roles, verdict.owner) == (Ruling.CONFIRM, ("downgrade-0001",), ("compliance",), "ann")
    assert authorize(facts | {"agent": "calls"}, table).ruling is Ruling.AUTONOMOUS
    assert authorize(facts | {"agent": None}, table).ruling is Ruling.CONFIRM  # who asks is not known
    assert authorize(facts | {"channel": "call"}, table).ruling is Ruling.FORBIDDEN  # no row allows it


@given(st.data())
def test_whatever_the_table_a_downgrade_only_tightens(data: st.DataObject) -> None:
    facts: dict[str, Fact] = dict(data.draw(dictionaries()))
    rows = data.draw(tables(facts))
    known = {**dict.fromkeys(FACTS), **data.draw(some_facts(facts)), "agent": data.draw(st.sampled_from(["email", "calls", None]))}
    table = load(rows, facts)
    assert at_least_as_tight(authorize(known, stopped(table, [DOWNGRADE])), authorize(known, table))
