"""The reading of conditions and tables in z3: equal to those of Python, polars and SQLite, and examples that hold."""

from collections.abc import Mapping

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.authority import authorize, judge
from remit.authority.conditions import facts_of, to_polars, to_python
from remit.authority.solving import Space
from remit.authority.sql import read_condition
from remit.terms.facts import FACTS, Fact, Kind, Source, dictionary
from remit.terms.labels import Label
from tests.authority.tables_at_random import VALUES, asked_of_sqlite, conditions, dictionaries, leaf_texts, load, some_facts, tables
from tests.authority.test_laws import framed, laws, resolved

Given = Mapping[str, bool | int | str | None]


def kinds_of(facts: Mapping[str, Fact]) -> dict[str, Kind]:
    return {name: fact.kind for name, fact in facts.items()}


def in_z3(space: Space, condition: object, one: Given) -> bool | None:
    """What z3 says of a condition where each fact is as it is in `one`: exactly one of true, false and unknown must be possible."""
    fixed = [space.fixed(name, value) for name, value in one.items()]
    truth = space.truth(condition)  # type: ignore[arg-type]  # a tree
    true, false = (space.claim((place, condition), lambda part=part: part) for place, part in enumerate((truth.true, truth.false)))
    answers: list[bool | None] = [answer for answer, claim in ((True, true), (False, false)) if space.possible(*fixed, claim)]
    answers += [None] if space.possible(*fixed, ~true, ~false) else []
    (answer,) = answers
    return answer


@pytest.mark.parametrize("kind", Kind)
def test_every_comparison_means_the_same_to_z3_as_to_sqlite_on_every_value(kind: Kind) -> None:
    facts = dictionary(*(Fact(name, kind, Source.RECORD, frozenset({Label.COMMERCIAL}), "drawn") for name in ("fact_0", "fact_1")))
    whens = leaf_texts(facts["fact_0"], tuple(facts.values()))
    trees = [read_condition(when, facts)[0] for when in whens]
    values = (None, *VALUES[kind][:3], VALUES[kind][-1])
    given_facts: list[dict[str, bool | int | str | None]] = [{"fact_0": left, "fact_1": right} for left in values for right in values]
    space = Space(kinds_of(facts), trees)
    assert [[in_z3(space, tree, one) for tree in trees] for one in given_facts] == asked_of_sqlite(whens, given_facts, facts)


@settings(laws, max_examples=150)
@given(st.data())
def test_z3_python_polars_and_sqlite_agree_on_every_condition(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    when = data.draw(conditions(facts))
    given_facts = data.draw(st.lists(some_facts(facts), min_size=1, max_size=5))
    condition, _ = read_condition(when, facts)
    space = Space(kinds_of(facts), [condition])
    answers = [in_z3(space, condition, one) for one in given_facts]
    assert answers == [to_python(condition)(one) for one in given_facts]
    assert answers == framed(given_facts, facts).select(pl.repeat(True, pl.len()) & to_polars(condition)).to_series().to_list()
    assert answers == [answer for (answer,) in asked_of_sqlite([when], given_facts, facts)]


@settings(laws, max_examples=100)
@given(st.data())
def test_z3_authorize_judge_and_a_second_writing_of_semantics_agree_on_every_table(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table_rows = data.draw(tables(facts))
    table = load(table_rows, facts)
    given_facts = data.draw(st.lists(some_facts(facts), min_size=1, max_size=5))
    truths = asked_of_sqlite([row.when for row in table_rows], given_facts, facts) if table_rows else [[] for _ in given_facts]
    space = Space(kinds_of(facts), [rule.condition for rule in table.rules])
    rulings = space.rulings(table.rules)
    judged = judge(framed(given_facts, facts), table).columns["ruling"].to_list()
    for one, truth, ruling in zip(given_facts, truths, judged, strict=True):
        fixed = [space.fixed(name, value) for name, value in one.items()]
        (found,) = [name for name, formula in rulings.items() if space.possible(*fixed, formula)]
        applying = {rule.id for rule in table.rules if space.possible(*fixed, space.applies(rule))}
        expected, rules = resolved(table_rows, truth, facts)
        assert found == authorize(one, table).ruling == ruling == expected
        assert set(rules) <= applying


@settings(laws, max_examples=100)
@given(st.data())
def test_an_example_holds_is_as_usual_where_it_can_be_and_is_the_same_a_second_time(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    condition, _ = read_condition(data.draw(conditions(facts)), facts)
    like = data.draw(some_facts(facts))
    space = Space(kinds_of(facts), [condition])
    true = space.claim("true", lambda: space.truth(condition).true)
    if not space.possible(true):
        return
    found = space.example([true], like)
    assert to_python(condition)(found) is True
    if to_python(condition)(like) is True and all(
        facts[name].kind in (Kind.BOOL, Kind.TEXT) or (value is not None and value >= 0) for name, value in like.items()
    ):
        assert found == like
    again = Space(kinds_of(facts), [condition])
    assert again.example([again.claim("true", lambda: again.truth(condition).true)], like) == found


NEWER = {
    "content_risk = 'high'": ("low", "medium", "high", None),
    "NOT indication_match": (True, False, None),
    "indication_match IS FALSE": (True, False, None),
    "practice_size > 20": (19, 20, 21, None),
    "rural": (True, False, None),
    "zone IN ('UTC', 'Europe/Berlin')": ("UTC", "utc", None),
    "territory <> 'T001'": ("T001", "T002", None),
    "content_feed_age_h > 192": (191, 192, 193, None),
    "touches_feed_age_h >= 192": (191, 192, 193, None),
    "hcp_feed_age_h < 192": (191, 192, 193, None),
    "promotional_contacts_28d >= 6": (5, 6, 7, None),
    "agent_contacts_28d > 2": (1, 2, 3, None),
    "agents_28d BETWEEN 2 AND 3": (1, 2, 3, 4, None),
    "supply_cover_weeks < 2": (0, 1_999_999, 2_000_000, 2_000_001, None),
    "model_confidence < 0.8": (0, 799_999, 800_000, 1_000_000, None),
    "model_drift IS NOT NULL AND model_drift IN ('confirm', 'stop')": ("none", "raise", "confirm", "stop", None),
}
"""Conditions on facts that came into the dictionary later, with values known, unknown and at their borders."""


@pytest.mark.parametrize("when", NEWER)
def test_each_newer_fact_means_the_same_to_z3_python_polars_and_sqlite_at_its_border(when: str) -> None:
    condition, faults = read_condition(when, FACTS)
    assert not faults
    (name,) = set(facts_of(condition))
    facts, space = {name: FACTS[name]}, Space({name: FACTS[name].kind}, [condition])
    given_facts: list[dict[str, bool | int | str | None]] = [{name: value} for value in NEWER[when]]
    answers = [in_z3(space, condition, one) for one in given_facts]
    assert answers == [to_python(condition)(one) for one in given_facts]
    assert answers == framed(given_facts, facts).select(pl.repeat(True, pl.len()) & to_polars(condition)).to_series().to_list()
    assert answers == [answer for (answer,) in asked_of_sqlite([when], given_facts, facts)]
    assert len(set(answers)) > 1
