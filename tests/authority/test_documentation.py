"""The page for readers of tables says what the code does."""

import re
import textwrap
from pathlib import Path

import pytest

from remit.authority import AuthorityError, Layer, authorize, broken, load_invariants, load_table
from remit.authority.sql import read_condition
from remit.terms.facts import FACTS
from remit.terms.people import Person
from tests.authority.test_golden import PEOPLE as OWNERS
from tests.authority.test_loading import PEOPLE, TABLE

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "authority.md").read_text()
GOLDEN = (Path(__file__).parent / "golden" / "two-brands.json").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)]


def test_the_row_on_the_page_loads_and_forbids_where_consent_is_unknown() -> None:
    (row,) = [block for block in BLOCKS if block.startswith("- id:")]
    table = load_table(f"version: 1\nname: page\nowner: compliance-lead\nrows:\n{row}", {"compliance-lead": Person("compliance-lead", frozenset())}, FACTS, 0)
    assert authorize({"channel": "email", "purpose": "promotional", "consent": None}, table).rules == ("email-consent",)


def test_the_limits_on_the_page_load() -> None:
    (limits,) = [block for block in BLOCKS if block.startswith("limits:")]
    people = {owner: Person(owner, frozenset()) for owner in ("compliance-lead", "owner-email")}
    weekly, spend = load_table(f"version: 1\nname: page\nowner: compliance-lead\nrows: []\n{limits}", people, FACTS, 0).limits
    assert (weekly.per_hcp, spend.name(product="alpha")) == (True, "limit/email-spend/alpha")


def test_the_rules_of_a_charter_on_the_page_load() -> None:
    (rules,) = [block for block in BLOCKS if block.startswith("rows:")]
    people = {"owner-email": Person("owner-email", frozenset()), "compliance-lead": Person("compliance-lead", frozenset({"compliance"}))}
    layer = Layer("email", "agents/email.yaml", rules, ("agent", "email"), "owner-email")
    table = load_table("version: 1\nname: page\nowner: compliance-lead\nrows: []\n", people, FACTS, 0, [layer])
    assert [row.id for row in (*table.rules, *table.limits)] == ["email:few", "email:seen", "email:trial"]


def test_each_fact_that_the_page_explains_is_in_the_dictionary() -> None:
    explained = PAGE[PAGE.index("### Facts worth a word") : PAGE.index("The example `two-brands` forbids")]
    names = [name for line in explained.splitlines() if line.startswith("| `") for name in re.findall(r"`([a-z_0-9]+)`", line.split("|")[1])]
    assert len(names) == 15
    assert set(names) <= set(FACTS)


def test_the_message_on_the_page_is_the_message_of_such_a_table() -> None:
    (message,) = [block for block in BLOCKS if block.startswith("authority table:")]
    faulty = TABLE.replace("consent = 'opt_out'", "consnt = 'opt_out'").replace("owner: carer", "owner: former")
    faulty = faulty.replace("channel = 'call' AND consent IS NOT NULL", "lead_score > 1")
    with pytest.raises(AuthorityError) as raised:
        load_table(faulty, PEOPLE, FACTS, 2_000)
    assert str(raised.value) == message.rstrip()


def test_the_case_on_the_page_stands_in_the_golden_file() -> None:
    (case,) = [block for block in BLOCKS if block.startswith("{")]
    assert "".join(case.split()) in "".join(GOLDEN.split())


def test_every_example_of_a_condition_on_the_page_is_read() -> None:
    lines = PAGE[PAGE.index("| write | meaning |") : PAGE.index("Nothing else is accepted")].splitlines()
    examples = re.findall(r"`([^`]+)`", "".join(line.split("|")[1] for line in lines if line))
    conditions = [example for example in examples if any(fact in example for fact in FACTS)]
    assert len(conditions) >= 12
    assert [read_condition(condition, FACTS)[1] for condition in conditions] == [[]] * len(conditions)


def test_the_invariant_on_the_page_is_broken_by_the_table_as_it_was_with_the_words_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "concepts" / "proofs.md").read_text()
    (text,) = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", page, re.MULTILINE) if block.strip().startswith("invariants:")]
    example = Path(__file__).parents[2] / "src" / "remit" / "runtime" / "examples" / "two-brands"
    assert text.removeprefix("invariants:\n") in (example / "invariants.yaml").read_text()
    table, mended = (example / "authority.yaml").read_text(), "AND purpose = 'promotional' AND consent = 'opt_in'"
    assert mended in table
    invariants = load_invariants(text, OWNERS, FACTS, 0)
    (refutation,) = broken(load_table(table.replace(mended, "AND consent = 'opt_in'"), OWNERS, FACTS, 0), invariants)
    assert f"But: {refutation.says}" in page
    assert broken(load_table(table, OWNERS, FACTS, 0), invariants) == []
