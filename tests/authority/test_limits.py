"""Counted limits in a table: what a good one is, and that a bad one is refused with every fault."""

import pytest

from remit.authority import AuthorityError, Layer, leaving, load_table
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS
from remit.terms.instants import DAY
from remit.terms.people import Person
from tests.authority.test_loading import PEOPLE, TABLE

LIMITED = (
    TABLE
    + """limits:
  - id: weekly
    of: contacts
    per: [hcp]
    within: 7 days
    most: 2
    where: {purpose: promotional, channel: email}
    owner: carer
    reason: Enough is enough.
  - id: spend
    of: budget/email
    per: [product, agent]
    within: ever
    most: 99.5
    owner: head
    reason: What there is to spend.
  - id: daily
    of: actions
    per: agent
    within: 1 day
    most: 10
    where: {channel: [email, call]}
    owner: head
    reason: No agent floods a day.
"""
)


def limit(**changed: str) -> str:
    """The table with one limit, of which lines are changed or (by an empty text) left out."""
    lines = {"of": "contacts", "per": "[hcp]", "within": "7 days", "most": "2", "owner": "carer", "reason": "So."} | changed
    return TABLE + "limits:\n  - id: one\n" + "".join(f"    {key}: {value}\n" for key, value in lines.items() if value)


def faults_of(text: str) -> tuple[str, ...]:
    with pytest.raises(AuthorityError) as raised:
        load_table(text, PEOPLE, FACTS, 2_000)
    return raised.value.faults


def test_limits_are_held_as_they_were_written() -> None:
    weekly, spend, daily = load_table(LIMITED, PEOPLE, FACTS, 2_000).limits
    assert (weekly.id, weekly.of, weekly.per, weekly.most, dict(weekly.where)) == (
        "weekly", "contacts", ("hcp",), 2 * MICRO, {"purpose": ("promotional",), "channel": ("email",)},
    )  # fmt: skip
    assert (spend.per, spend.most, spend.since(10 * DAY)) == (("agent", "product"), 99_500_000, None)
    assert (daily.per, daily.where["channel"], daily.since(10 * DAY)) == (("agent",), ("email", "call"), 9 * DAY)
    assert daily.name(agent="calls", channel="call", product="alpha", purpose="promotional") == "limit/daily/calls"
    assert daily.speaks_of(channel="call", agent="any")
    assert not daily.speaks_of(channel="msl_visit")


def test_a_table_without_limits_has_none() -> None:
    assert load_table(TABLE, PEOPLE, FACTS, 2_000).limits == ()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"owner": "former"}, "owner `former` is no longer on file"),
        ({"owner": "nobody"}, "owner `nobody` is not in the file of people"),
        ({"owner": ""}, "`owner` is missing"),
        ({"reason": ""}, "`reason` is missing"),
        ({"most": "two"}, "most `two` is not a number"),
        ({"most": "-1"}, "most `-1` is not a number"),
        ({"most": "1.5"}, "must be a whole number: contacts are counted"),
        ({"most": ""}, "`most` is missing"),
        ({"within": "a while"}, "within `a while` is not a span of time"),
        ({"within": "0 days"}, "within `0 days` is not a span of time"),
        ({"per": "[physician]"}, "`physician` is nothing to count by"),
        ({"per": "[hcp, hcp]"}, "`per` names something twice"),
        ({"per": "{hcp: yes}"}, "`per` must be a word, or a list of words"),
        ({"where": "email"}, "must be written as `key: value` lines"),
        ({"where": "{market: US}"}, "`market` is not a key here"),
        ({"where": "{purpose: sales}"}, "`sales` is no purpose"),
        ({"where": "{channel: []}"}, "`channel` must be a word, or a list of words"),
        ({"where": "{agent: email}"}, "so that a cycle can hold it exactly"),
        ({"where": "{channel: [email, call]}"}, "and at most one channel"),
        ({"per": "[hcp, agent]"}, "so that a cycle can hold it exactly"),
        ({"of": "actions"}, "so that a cycle can hold it exactly"),
        ({"with": "in"}, "`with` is not a key here; did you mean `within`?"),
    ],
)
def test_a_faulty_limit_is_refused_with_what_to_do(changed: dict[str, str], fault: str) -> None:
    (found,) = faults_of(limit(**changed))
    assert fault in found
    assert "limit `one`" in found


def test_every_fault_is_told_at_once_and_ids_are_taken_once() -> None:
    twice = LIMITED + LIMITED[LIMITED.index("  - id: daily") :].replace("most: 10", "most: ten")
    found = faults_of(twice)
    assert len(found) == 2
    assert "the id `daily` is taken" in found[0]
    assert "most `ten`" in found[1]


def test_a_packs_limits_carry_its_name_and_its_owner() -> None:
    pack = """market: US
version: 1
as_of: 2026-11-01
says: A pack.
limits:
  - {id: weekly, of: contacts, per: [hcp], within: 7 days, most: 1, reason: A code., source: A code, since: 2020-01-01}
  - {id: later, of: actions, within: ever, most: 1, reason: A bill., source: A bill, since: 2030-01-01}
"""
    layer = Layer("us", "packs/us.yaml", pack, ("market", "US"), "carer")
    *own, packed = load_table(LIMITED, PEOPLE, FACTS, 1_790_000_000_000_000, [layer]).limits
    assert [each.id for each in own] == ["weekly", "spend", "daily"]
    assert (packed.id, packed.owner, packed.layer) == ("us:weekly", "carer", "us")
    with pytest.raises(AuthorityError) as raised:
        load_table(TABLE, PEOPLE, FACTS, 1_790_000_000_000_000, [Layer("us", "p", pack.replace("source: A code, ", ""), ("market", "US"), "carer")])
    assert "`source` is missing" in str(raised.value)


def test_an_owner_who_leaves_is_named_with_the_limit() -> None:
    table = load_table(LIMITED, PEOPLE, FACTS, 0)
    people = {**PEOPLE, "carer": Person("carer", frozenset({"compliance", "medical"}), until=50)}
    (found, *_) = leaving(table, [], people, 0, 100)
    assert (found.who, "limit `weekly`" in found.of) == ("carer", True)
