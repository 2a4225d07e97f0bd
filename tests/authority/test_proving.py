"""Invariants of a table: proved, or refuted by an example that the judgement confirms."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.authority import AuthorityError, Table, authorize, broken, load_invariants, load_table, prove
from remit.authority.conditions import Value, to_python
from remit.authority.invariants import Invariant
from remit.authority.sql import read_condition
from remit.authority.wording import verdict_in_words
from remit.terms.facts import FACTS, Fact, Kind
from remit.terms.verdicts import Ruling, Verdict
from tests.authority.tables_at_random import VALUES, conditions, dictionaries, load, some_facts, tables
from tests.authority.test_laws import laws
from tests.authority.test_loading import PEOPLE

TABLE = """\
version: 1
name: A small table
owner: head
rows:
  - {id: old, when: consent_feed_age_h > 192, verdict: forbidden, owner: head, reason: Old.}
  - {id: doubtful, when: match_confidence < 0.85, verdict: confirm, owner: head, reason: H, roles: [compliance, medical], deadline: 1 days, on_timeout: refuse}
  - {id: calls, when: "agent = 'calls' AND channel = 'call' AND product IN ('alpha', 'beta')", verdict: autonomous, owner: head, reason: Calls.}
  - {id: mails, when: agent = 'mail' AND channel = 'email' AND consent = 'opt_in', verdict: autonomous, owner: head, reason: Mails.}
"""
ONE = "invariants:\n  - id: {id}\n    says: It must be so.\n    when: {when}\n    at_least: {at_least}\n    owner: head\n"


def table(text: str = TABLE) -> Table:
    return load_table(text, PEOPLE, FACTS, 0)


def invariants(when: str, at_least: str = "confirm") -> tuple[Invariant, ...]:
    return load_invariants(ONE.format(id="it", when=when, at_least=at_least), PEOPLE, FACTS, 0)


@pytest.mark.parametrize(
    ("when", "at_least"),
    [
        ("consent_feed_age_h > 192", "forbidden"),
        ("consent_feed_age_h IS NULL", "forbidden"),
        ("match_confidence < 0.85 AND channel = 'email'", "confirm"),
        ("channel = 'email' AND consent <> 'opt_in' AND match_confidence >= 0.85", "confirm"),
        ("agent <> 'calls' AND agent <> 'mail'", "confirm"),
        ("FALSE", "forbidden"),
    ],
)
def test_what_the_table_keeps_is_proved(when: str, at_least: str) -> None:
    assert broken(table(), invariants(when, at_least)) == []


CALL = "A call of the agent `calls` about `alpha`, where {}, is autonomous by the row `calls`."
MAIL = "An e-mail of the agent `mail` about `alpha`{} is autonomous by the row `mails`."
WAITS = "A call of the agent `calls` about `alpha`, where {}, waits for a yes of compliance and medical by the row `doubtful`."
MATCH = "the confidence that the HCP's records belong together is"


@pytest.mark.parametrize(
    ("when", "at_least", "rows", "says"),
    [
        ("consent <> 'opt_in'", "confirm", "calls", CALL.format("consent is not known")),
        ("consent_feed_age_h > 168 AND channel = 'email'", "confirm", "mails", MAIL.format(", where the age of the consent feed is 169 hours,")),
        ("consent_feed_age_h > 168 AND consent_feed_age_h < 170", "confirm", "calls mails", CALL.format("the age of the consent feed is 169 hours")),
        ("match_confidence < 0.9", "confirm", "calls mails", CALL.format(f"{MATCH} 0.899999")),
        (
            "match_confidence < 0.5 AND consent IS NOT NULL AND consent = 'opt_out'",
            "forbidden",
            "doubtful",
            WAITS.format(f"{MATCH} 0 and consent is `opt_out`"),
        ),
        ("pdrp", "confirm", "calls mails", CALL.format("the HCP keeps prescribing from reps")),
        (
            "NOT hcp_known AND value < -1.5",
            "confirm",
            "calls mails",
            CALL.format("the HCP is not in the master data and the expected value is -1.500001"),
        ),
        ("aligned IS NULL", "confirm", "calls mails", CALL.format("it is not known whether somebody covers this HCP for this product")),
        (
            "contacts_28d > channel_contacts_28d",
            "confirm",
            "calls mails",
            CALL.format("the number of contacts in 28 days is 1 and the number of contacts in this channel in 28 days is 0"),
        ),
        ("channel <> 'call'", "forbidden", "mails doubtful", MAIL.format("")),
    ],
)
def test_what_the_table_breaks_is_refuted_by_an_example_in_words(when: str, at_least: str, rows: str, says: str) -> None:
    (refutation,) = broken(table(), invariants(when, at_least))
    assert (refutation.rows, refutation.says) == (tuple(rows.split()), says)
    assert authorize(refutation.facts, table()) == refutation.verdict
    assert refutation.invariant.broken_by(refutation.facts, refutation.verdict.ruling)


def test_a_proposal_that_names_no_channel_agent_or_product_is_told_too() -> None:
    anything = table("version: 1\nname: all\nowner: head\nrows:\n  - {id: all, when: TRUE, verdict: autonomous, owner: head, reason: All.}\n")
    (refutation,) = broken(anything, invariants("channel IS NULL AND agent IS NULL AND product IS NULL"))
    assert refutation.says == (
        "A proposal in a channel that is not known of an agent that is not known about a product that is not known is autonomous by the row `all`."
    )
    assert broken(anything, invariants("touch > 1"))[0].says == "A proposal, where touch is 2, is autonomous by the row `all`."
    assert broken(anything, invariants("channel = 'fax'"))[0].says == "A contact by `fax` is autonomous by the row `all`."


def test_a_verdict_that_no_row_made_is_told_as_such() -> None:
    assert verdict_in_words(Verdict(Ruling.FORBIDDEN, (), "head", (), "")) == "is forbidden as no row allows it"
    assert verdict_in_words(Verdict(Ruling.FORBIDDEN, ("a", "b", "c"), "head", (), "")) == "is forbidden by the rows `a`, `b` and `c`"


def test_an_invariant_whose_condition_can_never_be_true_is_marked_as_empty() -> None:
    found = prove(
        table().rules, [*invariants("touch > 5 AND touch < 3"), *invariants("touch > 5")], lambda given: authorize(given, table()), given=table().kinds
    )
    assert [proof.empty for proof in found] == [True, False]


def test_an_example_that_python_does_not_confirm_is_raised_as_a_defect() -> None:
    with pytest.raises(RuntimeError, match="the two readings of the table differ"):
        prove(table().rules, invariants("pdrp"), lambda _: Verdict(Ruling.FORBIDDEN, (), "head", (), ""))


def test_facts_that_only_exploration_speaks_of_are_given_too() -> None:
    explores = TABLE + "exploration:\n  - {id: learn, when: touch = 1, tries: 0.1, owner: head, reason: To learn.}\n"
    (refutation,) = broken(table(explores), invariants("consent <> 'opt_in'"))
    assert "touch" in refutation.facts


def test_the_order_of_invariants_changes_no_proof_and_two_runs_tell_the_same() -> None:
    several = [*invariants("consent <> 'opt_in'"), *invariants("pdrp"), *invariants("match_confidence < 0.9")]
    assert [found.facts for found in broken(table(), several)] == [found.facts for found in broken(table(), several)]
    assert {found.invariant.when for found in broken(table(), several[::-1])} == {found.invariant.when for found in broken(table(), several)}


def invariant_at_random(data: st.DataObject, facts: Mapping[str, Fact]) -> Invariant:
    when = data.draw(conditions(facts))
    at_least = data.draw(st.sampled_from((Ruling.CONFIRM, Ruling.FORBIDDEN)))
    condition, _ = read_condition(when, facts)
    return Invariant("drawn", "drawn", when, condition, at_least, "ann", to_python(condition))


@settings(laws, max_examples=150)
@given(st.data())
def test_a_proof_holds_for_facts_at_random_and_a_refutation_for_its_own(data: st.DataObject) -> None:
    facts = data.draw(dictionaries())
    drawn = load(data.draw(tables(facts)), facts)
    invariant = invariant_at_random(data, facts)
    found = broken(drawn, [invariant], facts)
    if found:
        assert invariant.broken_by(found[0].facts, authorize(found[0].facts, drawn).ruling)
        assert found[0].says
    else:
        for one in data.draw(st.lists(some_facts(facts), min_size=20, max_size=20)):
            assert not invariant.broken_by(one, authorize(one, drawn).ruling)


def every_case(facts: Mapping[str, Fact]) -> list[dict[str, Value | None]]:
    """All facts there can be, as far as conditions drawn at random can tell them apart: two facts beside each other need room for a third and fourth value."""
    around = {
        Kind.BOOL: (None, True, False),
        Kind.TEXT: (None, *VALUES[Kind.TEXT], "other", "another"),
        Kind.INT: (None, -4, -3, -2, -1, 0, 1, 2, 3, 4, 2**63 - 2, 2**63 - 1),
        Kind.NUMBER: tuple({None, *(value + step for value in VALUES[Kind.NUMBER] if type(value) is int for step in (-2, -1, 0, 1, 2))}),
    }
    return [dict(zip(facts, values, strict=True)) for values in itertools.product(*(around[fact.kind] for fact in facts.values()))]


@settings(laws, max_examples=100)
@given(st.data())
def test_z3_proves_what_trying_every_case_proves(data: st.DataObject) -> None:
    facts = data.draw(dictionaries().filter(lambda drawn: len(drawn) <= 2))
    drawn = load(data.draw(tables(facts)), facts)
    invariant = invariant_at_random(data, facts)
    by_trying = any(invariant.broken_by(one, authorize(one, drawn).ruling) for one in every_case(facts))
    assert bool(broken(drawn, [invariant], facts)) == by_trying


GOOD = """\
invariants:
  - id: approved
    says: No agent acts alone on content that is not approved.
    when: content_status <> 'approved'
    at_least: confirm
    owner: head
  - id: opted-out
    says: Nothing promotional reaches a physician who opted out.
    when: purpose = 'promotional' AND consent = 'opt_out'
    at_least: forbidden
    owner: carer
"""


def test_invariants_are_held_as_they_were_written() -> None:
    first, second = load_invariants(GOOD, PEOPLE, FACTS, 2_000)
    assert (first.id, first.says, first.at_least, first.owner) == ("approved", "No agent acts alone on content that is not approved.", Ruling.CONFIRM, "head")
    assert (second.when, second.at_least) == ("purpose = 'promotional' AND consent = 'opt_out'", Ruling.FORBIDDEN)


@pytest.mark.parametrize(
    ("facts", "ruling", "breaks"),
    [
        ({"content_status": "draft"}, Ruling.AUTONOMOUS, True),
        ({"content_status": None}, Ruling.AUTONOMOUS, True),
        ({"content_status": "draft"}, Ruling.CONFIRM, False),
        ({"content_status": "approved"}, Ruling.AUTONOMOUS, False),
    ],
)
def test_an_invariant_is_demanded_where_its_condition_is_true_or_unknown(facts: dict[str, str | None], ruling: Ruling, breaks: bool) -> None:
    assert load_invariants(GOOD, PEOPLE, FACTS, 0)[0].broken_by(facts, ruling) is breaks


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("content_status <>", "content_state <>", 4, "invariant `approved`: fact `content_state` is not in the dictionary; did you mean `content_status`?"),
        ("at_least: confirm", "at_least: autonomous", 5, "at_least `autonomous` is not one of confirm, forbidden"),
        ("    at_least: confirm\n", "", 2, "invariant `approved`: `at_least` is missing"),
        ("    says: No agent acts alone on content that is not approved.\n", "", 2, "invariant `approved`: `says` is missing"),
        ("owner: carer", "owner: carrer", 11, "invariant `opted-out`: owner `carrer` is not in the file of people; did you mean `carer`?"),
        ("owner: carer", "owner: former", 11, "is no longer on file"),
        ("id: opted-out", "id: approved", 7, "the id `approved` is taken by the row on line 2"),
        ("id: opted-out", "id: Opted out", 7, "must be small letters and digits joined by hyphens"),
        ("- id: opted-out\n    says", "- says", 7, "invariant 2: `id` is missing"),
        ("    owner: carer", "    verdict: forbidden\n    owner: carer", 11, "`verdict` is not a key here"),
        ("invariants:", "version: 1\ninvariants:", 1, "the file: `version` is not a key here"),
        ("consent = 'opt_out'", "consent LIKE 'opt%'", 9, "is not allowed"),
        (GOOD, "invariants: none\n", 1, "`invariants` must be a list"),
        (GOOD, "", 1, "`invariants` is missing"),
        (GOOD, "- a list\n", 1, "the file: must be written as `key: value` lines"),
        (GOOD, "invariants: [", 1, "this is not YAML"),
    ],
)
def test_a_fault_of_the_invariants_is_told_with_its_line_and_what_to_do(old: str, new: str, line: int, word: str) -> None:
    assert old in GOOD
    with pytest.raises(AuthorityError) as raised:
        load_invariants(GOOD.replace(old, new, 1), PEOPLE, FACTS, 2_000)
    assert any(fault.startswith(f"line {line}: ") and word in fault for fault in raised.value.faults), raised.value.faults


def test_all_faults_of_the_invariants_are_told_in_one_go() -> None:
    faulty = GOOD.replace("content_status <>", "content_state <>").replace("at_least: confirm", "at_least: never").replace("owner: carer", "owner: nobody")
    with pytest.raises(AuthorityError) as raised:
        load_invariants(faulty, PEOPLE, FACTS, 2_000)
    assert [fault.split(":")[0] for fault in raised.value.faults] == ["line 4", "line 5", "line 11"]
