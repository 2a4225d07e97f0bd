"""Loading a table: what a good one is, and that a bad one is refused with every fault, its line and what to do."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.authority import AuthorityError, load_table
from remit.authority.sql import read_condition
from remit.terms.facts import FACTS, Kind
from remit.terms.instants import DAY
from remit.terms.people import Person
from remit.terms.verdicts import Ruling

PEOPLE = {
    "head": Person("head", frozenset({"authority-owner"})),
    "carer": Person("carer", frozenset({"compliance", "medical"})),
    "former": Person("former", frozenset({"brand-lead"}), until=1_000),
}
TABLE = """\
version: 3
name: A small table
owner: head
rows:
  - id: opted-out
    when: consent = 'opt_out'
    verdict: forbidden
    owner: carer
    reason: The physician has opted out.
  - id: big-value
    when: value > 100.5 OR model_age_h > 24
    verdict: confirm
    owner: head
    reason: A big step.
    roles: [compliance, medical]
    deadline: 3 days
    on_timeout: escalate
  - id: calls
    when: channel = 'call' AND consent IS NOT NULL
    verdict: autonomous
    owner: head
    reason: Calls may be planned.
"""


def faults_of(text: str, now: int = 2_000) -> tuple[str, ...]:
    with pytest.raises(AuthorityError) as raised:
        load_table(text, PEOPLE, FACTS, now)
    return raised.value.faults


def test_a_good_table_is_held_as_it_was_written() -> None:
    table = load_table(TABLE, PEOPLE, FACTS, 2_000)
    assert (table.version, table.name, table.owner) == (3, "A small table", "head")
    assert [(rule.id, rule.ruling, rule.owner) for rule in table.rules] == [
        ("opted-out", Ruling.FORBIDDEN, "carer"),
        ("big-value", Ruling.CONFIRM, "head"),
        ("calls", Ruling.AUTONOMOUS, "head"),
    ]
    confirm = table.rules[1]
    assert (confirm.when, confirm.reason) == ("value > 100.5 OR model_age_h > 24", "A big step.")
    assert (confirm.roles, confirm.deadline_us, confirm.on_timeout) == (("compliance", "medical"), 3 * DAY, "escalate")
    assert [rule.only_tightens for rule in table.rules] == [False, True, False]


def test_a_table_says_which_facts_it_must_be_given() -> None:
    kinds = {"channel": Kind.TEXT, "consent": Kind.TEXT, "model_age_h": Kind.INT, "value": Kind.NUMBER}
    assert load_table(TABLE, PEOPLE, FACTS, 2_000).kinds == kinds


def test_the_digest_is_the_sha256_of_the_file() -> None:
    assert load_table(TABLE, PEOPLE, FACTS, 2_000).digest == hashlib.sha256(TABLE.encode()).hexdigest()


def test_two_loads_of_one_text_give_equal_tables() -> None:
    assert load_table(TABLE, PEOPLE, FACTS, 2_000) == load_table(TABLE, PEOPLE, FACTS, 2_000)


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("consent = 'opt_out'", "consnt = 'opt_out'", 6, "row `opted-out`: fact `consnt` is not in the dictionary; did you mean `consent`?"),
        ("verdict: forbidden", "verdict: forbiden", 7, "verdict `forbiden` is not one of autonomous, confirm, forbidden; did you mean `forbidden`?"),
        ("id: big-value", "id: opted-out", 10, "the id `opted-out` is taken by the row on line 5"),
        ("id: big-value", "id: Big value", 10, "must be small letters and digits joined by hyphens"),
        ("- id: big-value\n    when", "- when", 10, "row 2: `id` is missing"),
        ("owner: carer", "owner: carrer", 8, "owner `carrer` is not in the file of people; did you mean `carer`?"),
        ("owner: carer", "owner: former", 8, "owner `former` is no longer on file"),
        ("owner: carer", "owner: [carer, head]", 8, "`owner` must be text"),
        ("owner: carer", "owner:", 8, "`owner` is missing"),
        ("    owner: carer\n", "", 5, "row `opted-out`: `owner` is missing"),
        ("    reason: The physician has opted out.\n", "", 5, "`reason` is missing"),
        ("    reason: A", "    because: A", 14, "`because` is not a key here"),
        ("name: A small table\n", "", 1, "the table: `name` is missing"),
        ("version: 3", "version: 3.1", 1, "version `3.1` is not a whole number"),
        ("version: 3", "version: 0", 1, "version `0` is not a whole number"),
        ("version: 3", "version: 3\nscope: all", 2, "`scope` is not a key here"),
        ("owner: head\nrows", "owner: nobody\nrows", 3, "the table: owner `nobody`"),
        ("[compliance, medical]", "[complience]", 15, "no person on file holds the role `complience`; did you mean `compliance`?"),
        ("[compliance, medical]", "[brand-lead]", 15, "no person on file holds the role `brand-lead`"),
        ("[compliance, medical]", "[medical, medical]", 15, "a role is named twice"),
        ("[compliance, medical]", "[[medical]]", 15, "a role must be a word"),
        ("[compliance, medical]", "compliance", 15, "`roles` must be a list"),
        ("    roles: [compliance, medical]\n", "", 10, "`roles` is missing"),
        ("    deadline: 3 days\n", "", 10, "`deadline` is missing"),
        ("3 days", "soon", 16, "deadline `soon` is not a time to answer in"),
        ("3 days", "0 days", 16, "deadline `0 days` is not a time to answer in"),
        ("3 days", "1 month", 16, "deadline `1 month` is not a time to answer in"),
        ("3 days", "99999999999999999999 days", 16, "is not a time to answer in"),
        ("    on_timeout: escalate\n", "", 10, "`on_timeout` is missing"),
        ("escalate", "approve", 17, "on_timeout `approve` is not one of refuse, escalate"),
        ("reason: Calls may", "deadline: 3 days\n    reason: Calls may", 22, "`deadline` is not a key here"),
        ("    reason: Calls", "    owner: carer\n    reason: Calls", 22, "`owner` stands twice here (first on line 21); keep one"),
        ("name: A small table", "name: A: small", 2, "this is not YAML"),
        ("  - id: calls", "  - calls", 19, "this is not YAML"),
        ("reason: A big step.", "reason: &why A big step.", 14, "lets text stand for other text"),
        (TABLE[TABLE.index("rows:") :], "rows: none\n", 4, "`rows` must be a list"),
        (TABLE[TABLE.index("rows:") :], "rows:\n  - calls\n", 5, "row 1: must be written as `key: value` lines"),
        (TABLE, "", 1, "`version` is missing"),
        (TABLE, "- just\n- a list\n", 1, "the table: must be written as `key: value` lines"),
        (TABLE, "[" * 1000, 1, "nested too deeply"),
        (TABLE, "a: \x00", 1, "this is not YAML"),
        (TABLE, "a: 1\n---\nb: 2\n", 2, "this is not YAML"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_to_do(old: str, new: str, line: int, word: str) -> None:
    assert old in TABLE
    faults = faults_of(TABLE.replace(old, new, 1))
    assert any(fault.startswith(f"line {line}: ") and word in fault for fault in faults), faults


@pytest.mark.parametrize(
    "when",
    [
        "consent IS NULL",
        "NOT consent IS NOT NULL",
        "NOT (consent IS NOT NULL AND touch > 1)",
        "touch > 1 OR (touch = 1 AND NOT NOT consent IS NULL)",
        "consent ISNULL",
        "consent IS UNKNOWN",
        "pdrp IS NOT TRUE",
        "pdrp IS NOT FALSE",
        "NOT pdrp IS TRUE",
    ],
)
def test_an_autonomous_row_may_not_allow_what_is_unknown_in_any_disguise(when: str) -> None:
    assert "it would allow where" in " ".join(faults_of(TABLE.replace("channel = 'call' AND consent IS NOT NULL", when)))


@pytest.mark.parametrize("when", ["consent IS NOT NULL", "NOT consent IS NULL", "pdrp IS TRUE", "pdrp IS FALSE", "NOT pdrp IS NOT TRUE"])
def test_an_autonomous_row_may_ask_that_something_is_known(when: str) -> None:
    assert load_table(TABLE.replace("channel = 'call' AND consent IS NOT NULL", when), PEOPLE, FACTS, 0)


@pytest.mark.parametrize(
    "when", ["lead_score > 1", "lead_score IS NOT NULL", "touch = 1 AND NOT model_age_h >= 10", "model_confidence > 0.9", "model_drift = 'none'"]
)
def test_an_autonomous_row_may_not_speak_of_what_a_model_says(when: str) -> None:
    assert "is said by a model" in " ".join(faults_of(TABLE.replace("channel = 'call' AND consent IS NOT NULL", when)))


def test_an_owner_is_accepted_until_the_instant_they_leave() -> None:
    with_former = TABLE.replace("owner: carer", "owner: former")
    assert load_table(with_former, PEOPLE, FACTS, 999).rules[0].owner == "former"
    assert "is no longer on file" in faults_of(with_former, now=1_000)[0]


def test_all_faults_are_told_in_one_go_in_the_order_of_the_file() -> None:
    broken = TABLE.replace("version: 3", "version: x").replace("consent = 'opt_out'", "consnt = 1").replace("owner: carer", "owner: x")
    broken = broken.replace("3 days", "soon").replace("channel = 'call' AND consent IS NOT NULL", "lead_score > 1 OR consent IS NULL")
    lines = [int(fault.split(":")[0].removeprefix("line ")) for fault in faults_of(broken)]
    assert lines == [1, 6, 8, 16, 19, 19]


def test_a_misspelt_verdict_is_one_fault_whatever_its_row_goes_on_to_say() -> None:
    assert len(faults_of(TABLE.replace("verdict: confirm", "verdict: confrim"))) == 1


def test_a_text_that_is_not_yaml_has_that_one_fault() -> None:
    assert faults_of("rows: [") == ("line 1: this is not YAML: expected the node content, but found '<stream end>'",)


def test_a_table_of_no_rows_forbids_everything_and_must_say_so() -> None:
    nothing = TABLE[: TABLE.index("rows:")]
    assert load_table(nothing + "rows: []\n", PEOPLE, FACTS, 0).rules == ()
    assert "`rows` is missing" in faults_of(nothing)[0]


_SIGNS = list("()[]{},;:.'\"`*+-/%<>=!|&?@#$~^\\\0\n\té")
_WORDS = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "NULL",
    "TRUE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "END",
    "SELECT",
    "CAST",
    "AS",
    "DATE",
    "LIKE",
    "ANY",
    "EXISTS",
    "OVER",
    "IF",
]
_PIECES = st.sampled_from([*_SIGNS, *_WORDS, "consent", "touch", "pdrp", "'a'", "1", "0.5", "--", "/*", "*/", "::", "->>", "<=>"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(_PIECES, max_size=12).map(" ".join) | st.lists(_PIECES, max_size=12).map("".join) | st.text(max_size=30))
def test_any_text_is_a_condition_or_a_list_of_faults(text: str) -> None:
    read_condition(text, FACTS)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, len(TABLE)), st.integers(0, 60), st.text(max_size=6))
def test_a_damaged_table_loads_or_is_refused_and_never_breaks_the_loader(start: int, length: int, put: str) -> None:
    try:
        load_table(TABLE[:start] + put + TABLE[start + length :], PEOPLE, FACTS, 0)
    except AuthorityError as error:
        assert error.faults  # noqa: PT017 - most damaged tables are refused, some are still tables
