"""What a table says without meaning to, each kind of finding on a table that has it and on one that has not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.authority import Gap, Idle, Leaving, Table, authorize, gaps, leaving, load_table, overlaps, unreached
from remit.authority.conditions import to_python
from remit.authority.judging import applies
from remit.terms.charters import Charter
from remit.terms.facts import FACTS
from remit.terms.people import Person
from remit.terms.verdicts import Ruling
from tests.authority.tables_at_random import dictionaries, load, some_facts, tables
from tests.authority.test_laws import laws

PEOPLE = {
    "head": Person("head", frozenset({"authority-owner"})),
    "carer": Person("carer", frozenset({"compliance"}), until=100),
    "doctor": Person("doctor", frozenset({"medical"}), until=50),
    "nurse": Person("nurse", frozenset({"medical"}), until=300),
}
CONFIRM = "confirm, roles: [compliance], deadline: 1 days, on_timeout: refuse"
CALLS = "channel = 'call'"


def table(*rows: tuple[str, str, str], owner: str = "head") -> Table:
    """Rows of id, condition and verdict."""
    lines = [f'  - {{id: {name}, when: "{when}", verdict: {verdict}, owner: {owner}, reason: Why.}}\n' for name, when, verdict in rows]
    return load_table("version: 1\nname: checked\nowner: head\nrows:\n" + "".join(lines), PEOPLE, FACTS, 0)


def idle(*rows: tuple[str, str, str]) -> list[tuple[str, Idle, tuple[str, ...]]]:
    return [(found.row, found.why, found.by) for found in unreached(table(*rows).rules)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("calls", CALLS, "autonomous"), ("old", "rx_age_h > 10", "forbidden")], []),
        ([("none", "touch > 5 AND touch < 3", "autonomous")], [("none", Idle.NEVER, ())]),
        ([("none", "FALSE", "forbidden")], [("none", Idle.NEVER, ())]),
        ([("none", "consent IS NULL AND consent IS NOT NULL", CONFIRM)], [("none", Idle.NEVER, ())]),
        ([("slip", "touch > 5 AND touch < 3", "forbidden")], [("slip", Idle.UNKNOWN, ())]),
        ([("calls", CALLS, "autonomous"), ("no-calls", f"{CALLS} OR touch > 1", "forbidden")], [("calls", Idle.OVERRULED, ("no-calls",))]),
        ([("calls", CALLS, "autonomous"), ("asked", CALLS, CONFIRM)], [("calls", Idle.OVERRULED, ("asked",))]),
        (
            [("calls", CALLS, "autonomous"), ("few", "touch <= 2", "forbidden"), ("other", "pdrp", "forbidden"), ("many", "touch > 2", CONFIRM)],
            [("calls", Idle.OVERRULED, ("few", "many"))],
        ),
        ([("model", "model_age_h > 5", CONFIRM)], [("model", Idle.OVERRULED, ())]),
        ([("model", "model_age_h > 5 AND touch > 1", CONFIRM), ("calls", CALLS, "autonomous")], []),
        (
            [("model", "model_age_h > 5 AND channel IS NOT NULL AND channel = 'email'", CONFIRM), ("calls", CALLS, "autonomous")],
            [("model", Idle.OVERRULED, ())],
        ),
        ([("old", "rx_age_h > 10", "forbidden"), ("older", "rx_age_h > 20", "forbidden")], [("older", Idle.COVERED, ("old",))]),
        (
            [("one", CALLS, "forbidden"), ("two", CALLS, "forbidden"), ("three", CALLS, "forbidden")],
            [("two", Idle.COVERED, ("one",)), ("three", Idle.COVERED, ("one",))],
        ),
        (
            [
                ("low", "touch < 3", "forbidden"),
                ("high", "touch > 1", "forbidden"),
                ("two", "touch = 2", "forbidden"),
                ("any", "touch > 7 OR touch < 5", "forbidden"),
            ],
            [("two", Idle.COVERED, ("low",)), ("any", Idle.COVERED, ("low", "high"))],
        ),
        ([("calls", CALLS, "autonomous"), ("first-calls", f"{CALLS} AND touch = 1", "autonomous")], [("first-calls", Idle.COVERED, ("calls",))]),
        ([("asked", CALLS, CONFIRM), ("asked-soon", CALLS, CONFIRM.replace("1 days", "2 hours"))], [("asked", Idle.COVERED, ("asked-soon",))]),
        ([("asked", CALLS, CONFIRM), ("others", CALLS, CONFIRM.replace("compliance", "medical"))], []),
    ],
)
def test_a_row_that_decides_nothing_is_found_with_the_reason_and_the_rows_that_see_to_it(
    rows: list[tuple[str, str, str]], expected: list[tuple[str, Idle, tuple[str, ...]]]
) -> None:
    assert idle(*rows) == expected


def test_the_reasons_are_told_in_words() -> None:
    rules = table(
        ("calls", CALLS, "autonomous"),
        ("few", "touch <= 2", "forbidden"),
        ("many", "touch > 2", CONFIRM),
        ("fewer", "touch < 2", "forbidden"),
        ("none", "FALSE", CONFIRM),
    ).rules
    assert {found.row: found.says for found in unreached(rules)} == {
        "calls": "It never decides: wherever it applies, one of the rows `few` and `many` applies too, and wins.",
        "fewer": "It adds nothing: wherever it decides, the row `few` says as much.",
        "none": "It never applies: its condition contradicts itself.",
    }


@settings(laws, max_examples=100)
@given(st.data())
def test_what_is_said_of_idle_rows_holds_for_facts_at_random(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    drawn = load(data.draw(tables(facts)), facts)
    found = {one.row: one for one in unreached(drawn.rules, facts)}
    by_id = {rule.id: rule for rule in drawn.rules}
    for given_facts in data.draw(st.lists(some_facts(facts), min_size=20, max_size=20)):
        verdict = authorize(given_facts, drawn)
        for name, one in found.items():
            rule = by_id[name]
            assert one.why is not Idle.NEVER or not applies(rule, given_facts)
            assert one.why is not Idle.UNKNOWN or to_python(rule.condition)(given_facts) is not True
            assert one.why is not Idle.OVERRULED or name not in verdict.rules
            assert one.why is not Idle.COVERED or name not in verdict.rules or set(one.by) & set(verdict.rules)


def test_rows_of_different_verdicts_that_apply_together_are_paired_with_an_example() -> None:
    rules = table(("calls", f"{CALLS} AND agent = 'planner'", "autonomous"), ("old", "rx_age_h > 10", "forbidden"), ("dear", "value > 200", CONFIRM)).rules
    found = overlaps(rules)
    assert [(one.row, one.over, one.known) for one in found] == [("old", "calls", True), ("dear", "calls", True), ("old", "dear", True)]
    assert found[0].says == "A call of the agent `planner`, where the age of the newest prescriptions known is 11 hours: `old` forbids what `calls` lets pass."
    assert found[1].says == "A call of the agent `planner`, where the expected value is 200.000001: `dear` asks about what `calls` lets pass."


def test_rows_that_never_apply_together_are_no_pair_and_what_takes_something_unknown_is_marked() -> None:
    assert overlaps(table(("calls", CALLS, "autonomous"), ("mails", "channel = 'email'", "forbidden")).rules) == []
    (found,) = overlaps(table(("calls", CALLS, "autonomous"), ("unknown", "pdrp IS NULL", "forbidden")).rules)
    assert (found.known, found.facts) == (False, {"channel": "call", "pdrp": None})
    assert found.says == "A call, where it is not known whether the HCP keeps prescribing from reps: `unknown` forbids what `calls` lets pass."


def test_a_row_that_never_decides_is_paired_all_the_same() -> None:
    (found,) = overlaps(table(("calls", CALLS, "autonomous"), ("all", "TRUE", "forbidden")).rules)
    assert found.says == "A call: `all` forbids what `calls` lets pass."


@settings(laws, max_examples=60)
@given(st.data())
def test_every_pair_applies_to_its_example_and_no_facts_at_random_show_another(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    drawn = load(data.draw(tables(facts)), facts)
    by_id = {rule.id: rule for rule in drawn.rules}
    found = {(one.row, one.over): one for one in overlaps(drawn.rules, facts)}
    for (row, over), one in found.items():
        assert applies(by_id[row], one.facts)
        assert applies(by_id[over], one.facts)
    rank = {Ruling.AUTONOMOUS: 0, Ruling.CONFIRM: 1, Ruling.FORBIDDEN: 2}
    for given_facts in data.draw(st.lists(some_facts(facts), min_size=20, max_size=20)):
        applying = [rule for rule in drawn.rules if applies(rule, given_facts)]
        for row in applying:
            for over in applying:
                assert rank[row.ruling] <= rank[over.ruling] or (row.id, over.id) in found


def charter(agent: str, channels: tuple[str, ...], products: tuple[str, ...], owner: str = "head") -> Charter:
    return Charter(agent, "email", "to try", "promotional", owner, (), channels, products, 1, 1_000, 0, {}, {})


GRANTS = [
    ("planner-calls", f"agent = 'planner' AND {CALLS} AND product = 'alpha'", "autonomous"),
    ("scope", "NOT charter_channel OR NOT charter_product OR NOT charter_live", "forbidden"),
    ("no-medical", "purpose = 'medical'", "forbidden"),
]


def test_what_a_charter_grants_and_no_row_lets_pass_is_a_gap_by_agent_channel_and_product() -> None:
    found = gaps(table(*GRANTS).rules, [charter("planner", ("call", "email"), ("alpha", "beta"))])
    assert found == [
        Gap("planner", "call", "beta", Ruling.FORBIDDEN, (), "It is always forbidden: no row allows it."),
        Gap("planner", "email", "alpha", Ruling.FORBIDDEN, (), "It is always forbidden: no row allows it."),
        Gap("planner", "email", "beta", Ruling.FORBIDDEN, (), "It is always forbidden: no row allows it."),
    ]


def test_a_gap_that_rows_make_by_forbidding_names_them() -> None:
    never = ("never-alpha", "product = 'alpha' AND touch > 1", "forbidden"), ("nor-first", "touch < 2", "forbidden"), ("apart", "pdrp", "forbidden")
    (found,) = gaps(table(*GRANTS, *never).rules, [charter("planner", ("call",), ("alpha",))])
    assert (found.by, found.says) == (("never-alpha", "nor-first"), "It is always forbidden by the rows `never-alpha` and `nor-first`.")


def test_what_only_a_person_can_let_pass_is_told_as_such() -> None:
    (found,) = gaps(table(*GRANTS, ("dear", "value > 200", CONFIRM)).rules, [charter("mailer", ("email",), ("alpha",))])
    assert (found.ruling, found.says) == (Ruling.CONFIRM, "It is never autonomous: what is not forbidden waits for a person's yes.")


def test_owners_who_are_gone_or_leave_soon_are_told_with_what_they_answer_for() -> None:
    rows = ("calls", CALLS, "autonomous"), ("dear", "value > 200", CONFIRM)
    found = leaving(table(*rows, owner="carer"), [charter("planner", ("call",), ("alpha",), owner="nurse")], PEOPLE, 100, 200)
    assert found == [
        Leaving("carer", 100, True, ("row `calls`", "row `dear`")),
        Leaving("role compliance", 100, True, ("row `dear`",)),
        Leaving("nurse", 300, False, ("charter `planner`",)),
    ]
    assert leaving(table(*rows), [], PEOPLE, 0, 99) == []


def test_a_role_is_told_where_its_last_holder_leaves() -> None:
    asked = table(("dear", "value > 200", CONFIRM.replace("compliance", "medical")))
    assert leaving(asked, [], PEOPLE, 0, 299) == []
    assert leaving(asked, [], PEOPLE, 0, 300) == [Leaving("role medical", 300, False, ("row `dear`",))]
