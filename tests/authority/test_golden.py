"""Decisions with a business meaning, on the tables of the example workspaces. A change of any expectation is a change of what Remit decides."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from remit.authority import Table, authorize, judge, load_table
from remit.terms.facts import FACTS, Kind
from remit.terms.people import People, Person

HERE = Path(__file__).parent
GOLDEN = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "golden").glob("*.json"))}
CASES = [pytest.param(name, case, id=f"{name}: {case['says']}") for name, golden in GOLDEN.items() for case in golden["cases"]]
COLUMNS = {Kind.BOOL: pl.Boolean, Kind.INT: pl.Int64, Kind.NUMBER: pl.Int64, Kind.TEXT: pl.String}
PEOPLE: People = {
    name: Person(name, frozenset({role}))
    for name, role in (
        ("owner-authority", "authority-owner"),
        ("owner-calls", "agent-owner"),
        ("owner-calls-alpha", "agent-owner"),
        ("owner-calls-beta", "agent-owner"),
        ("owner-email", "agent-owner"),
        ("owner-msl", "agent-owner"),
        ("compliance-lead", "compliance"),
        ("mlr-lead", "mlr"),
        ("medical-lead", "medical"),
        ("brand-lead", "brand-lead"),
        ("data-steward", "data-steward"),
    )
}


def example_table(name: str) -> Table:
    text = (HERE.parents[1] / "src" / "remit" / "runtime" / "examples" / name / "authority.yaml").read_text()
    return load_table(text, PEOPLE, FACTS, 0)


TABLES = {name: example_table(golden["table"]) for name, golden in GOLDEN.items()}


def facts_of(name: str, case: dict[str, Any]) -> dict[str, Any]:
    return {**GOLDEN[name]["usual"], **GOLDEN[name]["like"][case["like"]], **case["but"]}


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_decision_is_made_as_its_golden_case_says(name: str, case: dict[str, Any]) -> None:
    table, facts = TABLES[name], facts_of(name, case)
    verdict = authorize(facts, table)
    found = {key: getattr(verdict, key) for key in ("ruling", "rules", "owner", "roles", "deadline_us", "on_timeout")}
    expected = {"roles": (), "deadline_us": None, "on_timeout": None} | case["expect"]
    assert found == expected | {"rules": tuple(expected["rules"]), "roles": tuple(expected["roles"])}
    assert verdict.table == table.digest
    assert len(verdict.reasons) == max(1, len(verdict.rules))


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_cases_are_judged_alike_as_a_frame(name: str) -> None:
    facts = [facts_of(name, case) for case in GOLDEN[name]["cases"]]
    judgement = judge(pl.DataFrame(facts, schema={fact: COLUMNS[entry.kind] for fact, entry in FACTS.items()}), TABLES[name])
    assert [judgement.verdicts[code] for code in judgement.columns["verdict"]] == [authorize(one, TABLES[name]) for one in facts]


@pytest.mark.parametrize("name", GOLDEN)
def test_every_row_of_an_example_table_makes_a_verdict_in_some_golden_case_and_keeps_silent_in_another(name: str) -> None:
    made_by = [set(case["expect"]["rules"]) for case in GOLDEN[name]["cases"]]
    for rule in TABLES[name].rules:
        assert any(rule.id in rules for rules in made_by), f"no case shows `{rule.id}` at work"
        assert any(rule.holds(facts_of(name, case)) is False for case in GOLDEN[name]["cases"]), f"no case shows `{rule.id}` silent"


@pytest.mark.parametrize("name", GOLDEN)
def test_every_case_states_every_fact_of_the_dictionary(name: str) -> None:
    assert all(set(facts_of(name, case)) == set(FACTS) for case in GOLDEN[name]["cases"])


def test_there_are_golden_cases_for_every_example_workspace() -> None:
    examples = HERE.parents[1] / "src" / "remit" / "runtime" / "examples"
    assert {golden["table"] for golden in GOLDEN.values()} == {path.parent.name for path in examples.glob("*/authority.yaml")}
