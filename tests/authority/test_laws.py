"""The laws of the authority, over random tables, dictionaries and facts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.authority import Table, authorize, judge
from remit.authority.conditions import Known, facts_of, leaves, to_polars, to_python
from remit.authority.sql import read_condition
from remit.terms.facts import Fact, Kind, Source, dictionary
from remit.terms.labels import Label
from remit.terms.verdicts import Ruling, Verdict
from tests.authority.tables_at_random import VALUES, RandomRow, asked_of_sqlite, conditions, dictionaries, leaf_texts, load, rows, some_facts, tables

RANK = {Ruling.AUTONOMOUS: 0, Ruling.CONFIRM: 1, Ruling.FORBIDDEN: 2}
COLUMNS = {Kind.BOOL: pl.Boolean, Kind.INT: pl.Int64, Kind.NUMBER: pl.Int64, Kind.TEXT: pl.String}
laws = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def framed(given_facts: Sequence[Mapping[str, object]], facts: Mapping[str, Fact]) -> pl.DataFrame:
    return pl.DataFrame(given_facts, schema={name: COLUMNS[fact.kind] for name, fact in facts.items()})


def at_least_as_tight(verdict: Verdict, other: Verdict) -> bool:
    """Confirms compare by what they ask: more roles, less time, and no escalation where there was a refusal."""
    if verdict.ruling is not other.ruling or verdict.ruling is not Ruling.CONFIRM:
        return RANK[verdict.ruling] >= RANK[other.ruling]
    assert verdict.deadline_us is not None
    assert other.deadline_us is not None
    refuses = verdict.on_timeout == "refuse" or other.on_timeout != "refuse"
    return set(verdict.roles) >= set(other.roles) and verdict.deadline_us <= other.deadline_us and refuses


def resolved(table_rows: Sequence[RandomRow], truths: Sequence[bool | None], facts: Mapping[str, Fact]) -> tuple[str, tuple[str, ...]]:
    """SEMANTICS, "Rules", written out a second time over SQLite's answers: the ruling and the ids of its rows."""
    applying = [row for row, truth in zip(table_rows, truths, strict=True) if truth or (truth is None and row.verdict != "autonomous")]
    for verdict in ("forbidden", "confirm", "autonomous"):
        made_by = tuple(row.id for row in applying if row.verdict == verdict)
        of_a_model = [row for row in applying if any(facts[name].source is Source.MODEL for name in facts if name in row.when)]
        if made_by and (verdict != "confirm" or len(of_a_model) < len(applying)):
            return verdict, made_by
    return "forbidden", ()


@pytest.mark.parametrize("kind", Kind)
def test_every_comparison_and_its_negation_agree_with_sqlite_on_every_value(kind: Kind) -> None:
    facts = dictionary(*(Fact(name, kind, Source.RECORD, frozenset({Label.COMMERCIAL}), "drawn") for name in ("fact_0", "fact_1")))
    plain = leaf_texts(facts["fact_0"], tuple(facts.values()))
    whens = plain + [f"NOT {when}" for when in plain] + [f"NOT ({when} AND NOT fact_1 IS NULL)" for when in plain]
    values = (None, *VALUES[kind])
    given_facts: list[dict[str, bool | int | str | None]] = [{"fact_0": left, "fact_1": right} for left in values for right in values]
    trees = [read_condition(when, facts) for when in whens]
    assert [faults for _, faults in trees if faults] == []
    expected = asked_of_sqlite(whens, given_facts, facts)
    assert [[to_python(tree)(one) for tree, _ in trees] for one in given_facts] == expected
    in_polars = framed(given_facts, facts).select(to_polars(tree).alias(str(number)) for number, (tree, _) in enumerate(trees))
    assert [list(line) for line in in_polars.rows()] == expected


@settings(laws, max_examples=300)
@given(st.data())
def test_python_polars_and_sqlite_agree_on_every_condition(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    when = data.draw(conditions(facts))
    given_facts = data.draw(st.lists(some_facts(facts), min_size=1, max_size=8))
    condition, faults = read_condition(when, facts)
    assert faults == []
    in_python = [to_python(condition)(one) for one in given_facts]
    in_polars = framed(given_facts, facts).select(pl.repeat(True, pl.len()) & to_polars(condition)).to_series().to_list()
    assert in_python == in_polars == [answer for (answer,) in asked_of_sqlite([when], given_facts, facts)]


@laws
@given(st.data())
def test_authorize_judge_and_a_second_writing_of_semantics_agree_on_every_table(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table_rows = data.draw(tables(facts))
    table = load(table_rows, facts)
    given_facts = data.draw(st.lists(some_facts(facts), min_size=1, max_size=8))
    truths = asked_of_sqlite([row.when for row in table_rows], given_facts, facts) if table_rows else [[] for _ in given_facts]
    one_by_one = [authorize(one, table) for one in given_facts]
    judgement = judge(framed(given_facts, facts), table)
    assert [judgement.verdicts[code] for code in judgement.columns["verdict"]] == one_by_one
    assert judgement.columns["ruling"].to_list() == [verdict.ruling.value for verdict in one_by_one]
    assert [(verdict.ruling.value, verdict.rules) for verdict in one_by_one] == [resolved(table_rows, truth, facts) for truth in truths]


@laws
@given(st.data())
def test_a_verdict_carries_the_owner_reasons_and_confirmations_of_its_rules_together(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table = load(data.draw(tables(facts)), facts)
    verdict = authorize(data.draw(some_facts(facts)), table)
    made_by = [rule for rule in table.rules if rule.id in verdict.rules]
    assert verdict.table == table.digest
    assert verdict.owner == (made_by[0].owner if made_by else table.owner)
    assert len(verdict.reasons) == max(1, len(made_by))
    if verdict.ruling is Ruling.CONFIRM:
        assert set(verdict.roles) == {role for rule in made_by for role in rule.roles}
        assert verdict.deadline_us == min(rule.deadline_us or 0 for rule in made_by)
        assert verdict.on_timeout == ("refuse" if "refuse" in [rule.on_timeout for rule in made_by] else "escalate")
    else:
        assert (verdict.roles, verdict.deadline_us, verdict.on_timeout) == ((), None, None)


@laws
@given(st.data())
def test_no_row_means_forbidden(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    verdict = authorize(data.draw(some_facts(facts)), load([], facts))
    assert (verdict.ruling, verdict.rules, verdict.owner) == (Ruling.FORBIDDEN, (), "ann")


@laws
@given(st.data())
def test_adding_a_forbidden_row_never_loosens(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table_rows, one = data.draw(tables(facts)), data.draw(some_facts(facts))
    added = data.draw(rows(facts, "added", ("forbidden",)))
    assert at_least_as_tight(authorize(one, load([*table_rows, added], facts)), authorize(one, load(table_rows, facts)))


@laws
@given(st.data())
def test_adding_a_confirm_row_never_loosens_what_a_row_ruled_and_never_makes_anything_autonomous(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table_rows, one = data.draw(tables(facts)), data.draw(some_facts(facts))
    added = data.draw(rows(facts, "added", ("confirm",)))
    before, after = authorize(one, load(table_rows, facts)), authorize(one, load([*table_rows, added], facts))
    if before.rules:
        assert at_least_as_tight(after, before)
    assert after.ruling is not Ruling.AUTONOMOUS or before.ruling is Ruling.AUTONOMOUS


def excused(table: Table) -> set[str]:
    """Facts whose being unknown silences a forbidden or confirm row, because the row says so (IS NOT NULL, IS TRUE, IS FALSE)."""
    strict = [rule for rule in table.rules if rule.ruling is not Ruling.AUTONOMOUS]
    return {leaf.fact for rule in strict for leaf in leaves(rule.condition) if isinstance(leaf, Known) and leaf.known}


@laws
@given(st.data())
def test_replacing_facts_by_unknown_never_loosens_save_that_a_default_denial_may_become_a_confirm(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table = load(data.draw(tables(facts)), facts)
    one = data.draw(some_facts(facts))
    forgotten = data.draw(st.sets(st.sampled_from(sorted(facts)))) - excused(table)
    before, after = authorize(one, table), authorize({**one, **dict.fromkeys(forgotten)}, table)
    assert at_least_as_tight(after, before) or (not before.rules and after.ruling is Ruling.CONFIRM)


@laws
@given(st.data())
def test_what_a_model_says_never_makes_a_verdict_looser_than_the_table_without_it(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table = load(data.draw(tables(facts)), facts)
    one = data.draw(some_facts(facts))
    without = tuple(rule for rule in table.rules if all(facts[name].source is not Source.MODEL for name in facts_of(rule.condition)))
    assert at_least_as_tight(authorize(one, table), authorize(one, replace(table, rules=without)))


@laws
@given(st.data())
def test_the_order_of_rows_changes_neither_the_ruling_nor_what_a_confirm_asks(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table_rows, one = data.draw(tables(facts)), data.draw(some_facts(facts))
    shuffled = data.draw(st.permutations(table_rows))
    left, right = authorize(one, load(table_rows, facts)), authorize(one, load(shuffled, facts))
    assert (left.ruling, set(left.rules), set(left.roles), left.deadline_us, left.on_timeout) == (
        right.ruling,
        set(right.rules),
        set(right.roles),
        right.deadline_us,
        right.on_timeout,
    )


@laws
@given(st.data())
def test_a_frame_is_judged_as_its_parts_are(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    table = load(data.draw(tables(facts)), facts)
    frame = framed(data.draw(st.lists(some_facts(facts), min_size=2, max_size=8)), facts)
    cut = data.draw(st.integers(0, frame.height))
    whole = judge(frame, table)
    parts = [judge(part, table) for part in (frame[:cut], frame[cut:])]
    assert [whole.verdicts[code] for code in whole.columns["verdict"]] == [part.verdicts[code] for part in parts for code in part.columns["verdict"]]
