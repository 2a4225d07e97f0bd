"""Thresholds apart from rows, obligations, and what a country pack adds: it only ever makes a verdict stricter."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.authority import AuthorityError, Layer, Table, authorize, judge, leaving, load_table
from remit.terms.facts import FACTS, Kind
from remit.terms.instants import parse_instant
from remit.terms.people import Person
from remit.terms.verdicts import Ruling
from tests.authority.test_loading import PEOPLE, TABLE

NOW = parse_instant("2026-11-22T00:00:00Z")
PEOPLE_NOW = {**PEOPLE, "buyer": Person("buyer", frozenset({"brand-lead"}))}
WITH_THRESHOLD = TABLE.replace(
    "rows:\n",
    """thresholds:
  - name: big_step
    value: 100.5
    owner: carer
    says: More than this from one action is worth a second look.
rows:
""",
).replace("value > 100.5", "value > big_step")
OBLIGED = (
    TABLE
    + """obligations:
  - id: isi
    when: purpose = 'promotional'
    must: [include-isi]
    owner: carer
    reason: Risk beside benefit.
  - id: told
    when: value > 50
    must: [notify-owner, include-isi]
    owner: head
    reason: The owner wants to know.
"""
)
PACK = """\
market: US
version: 1
as_of: 2026-11-01
says: A small pack.
rows:
  - id: no-mail
    when: channel = 'email'
    verdict: forbidden
    source: An act
    since: 2020-01-01
    reason: No mail here.
  - id: ask
    when: channel = 'call'
    verdict: confirm
    deadline: 1 day
    on_timeout: refuse
    source: A code
    since: 2020-01-01
    reason: Ask first.
  - id: to-come
    when: 'TRUE'
    verdict: forbidden
    source: A bill
    since: 2030-01-01
    reason: From 2030 on nothing at all.
obligations:
  - id: write
    when: channel = 'call'
    must: [log-to-crm]
    source: An act
    since: 2020-01-01
    reason: Written down.
"""


def loaded(text: str = TABLE, *packs: str) -> Table:
    layers = [Layer("us", "packs/us.yaml", pack, ("market", "US"), "carer", ("medical",)) for pack in packs]
    return load_table(text, PEOPLE_NOW, FACTS, NOW, layers)


def facts(**said: Any) -> dict[str, Any]:
    known = {"market": "US", "channel": "call", "consent": "opt_in", "value": 1_000_000, "model_age_h": 1, "purpose": "promotional"}
    return {**known, **said}


def test_a_row_reads_a_threshold_by_name_and_decides_as_if_its_value_stood_there() -> None:
    table = loaded(WITH_THRESHOLD)
    assert [(each.name, each.value, each.owner) for each in table.thresholds] == [("big_step", "100.5", "carer")]
    assert table.rules[1].thresholds == ("big_step",)
    assert table.rules[1].condition == loaded().rules[1].condition
    for value in (100_500_000, 100_500_001):
        assert authorize(facts(value=value), table).ruling == authorize(facts(value=value), loaded()).ruling


def test_who_owns_a_threshold_or_an_obligation_and_leaves_is_told() -> None:
    both = load_table(WITH_THRESHOLD + OBLIGED[len(TABLE) :], PEOPLE_NOW, FACTS, 0)
    people = {**PEOPLE_NOW, "carer": Person("carer", frozenset({"compliance", "medical"}), until=50)}
    found = {each.who: each.of for each in leaving(both, [], people, 0, 100)}
    assert {"obligation `isi`", "threshold `big_step`"} <= set(found["carer"])


def test_a_table_knows_when_it_will_read_otherwise_by_itself() -> None:
    assert loaded().turns is None
    assert loaded(TABLE, PACK).turns == parse_instant("2030-01-01")
    expires = TABLE.replace("rows:\n", "expires: 2028-01-01\nrows:\n", 1)
    assert loaded(expires, PACK).turns == parse_instant("2028-01-01")
    leaves = {**PEOPLE_NOW, "leaver": Person("leaver", frozenset(), until=parse_instant("2027-06-01"))}
    assert load_table(expires, leaves, FACTS, NOW).turns == parse_instant("2027-06-01")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("name: big_step", "name: consent", "`consent` is a fact"),
        ("name: big_step", "name: Big", "small letters"),
        ("value: 100.5", "value: many", "not a number"),
        ("owner: carer\n    says", "owner: nobody\n    says", "not in the file of people"),
        ("value > big_step", "value > 100.5", "is read by no row"),
        ("value > big_step", "value > big_stp", "did you mean `big_step`?"),
        ("value > big_step", "consent = big_step", "is compared with number"),
        ("    says: More than this from one action is worth a second look.\n", "", "`says` is missing"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(old: str, new: str, fault: str) -> None:
    with pytest.raises(AuthorityError, match="cannot be used") as raised:
        loaded(WITH_THRESHOLD.replace(old, new, 1))
    assert any(fault in each for each in raised.value.faults)


def test_obligations_go_with_what_is_permitted_and_with_nothing_else() -> None:
    table = loaded(OBLIGED)
    assert authorize(facts(value=60_000_000), table).obligations == ("include-isi", "notify-owner")
    assert authorize(facts(purpose="medical"), table).obligations == ()
    assert authorize(facts(purpose=None), table).obligations == ("include-isi",)
    assert authorize(facts(value=200_000_000), table).ruling is Ruling.CONFIRM
    assert authorize(facts(value=200_000_000), table).obligations == ("include-isi", "notify-owner")
    assert authorize(facts(consent="opt_out"), table).obligations == ()


def test_a_word_that_obliges_to_nothing_known_is_refused() -> None:
    with pytest.raises(AuthorityError) as raised:
        loaded(OBLIGED.replace("notify-owner", "notify-owners"))
    assert "did you mean `notify-owner`?" in raised.value.faults[0]


def test_a_pack_forbids_asks_and_obliges_from_its_day_on() -> None:
    table = loaded(TABLE, PACK)
    assert [rule.id for rule in table.rules[3:]] == ["us:no-mail", "us:ask"]
    assert {rule.owner for rule in table.rules[3:]} == {"carer"}
    verdict = authorize(facts(), table)
    assert (verdict.ruling, verdict.rules, verdict.roles, verdict.obligations) == (Ruling.CONFIRM, ("us:ask",), ("medical",), ("log-to-crm",))
    assert authorize(facts(channel="email"), table).rules == ("us:no-mail",)
    assert authorize(facts(market="DE"), table).ruling is Ruling.AUTONOMOUS
    assert authorize(facts(market=None), table).ruling is Ruling.CONFIRM


def test_what_a_pack_asks_for_grants_nothing_that_the_table_does_not() -> None:
    assert (
        authorize(facts(consent=None, model_age_h=1), loaded(TABLE.replace("consent = 'opt_out'", "consent IS NOT NULL AND consent = 'opt_out'"), PACK)).rules
        == ()
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("verdict: confirm", "verdict: autonomous", "is not one of confirm, forbidden"),
        ("    source: A code\n", "", "`source` is missing"),
        ("since: 2020-01-01\n    reason: Ask", "since: soon\n    reason: Ask", "is not an instant"),
        ("market: US", "market: FR", "asked for as that of `US`"),
        ("says: A small pack.\n", "", "`says` is missing"),
        ("reason: Ask first.", "reason: Ask first.\n    owner: head", "`owner` is not a key here"),
    ],
)
def test_a_faulty_pack_is_refused(old: str, new: str, fault: str) -> None:
    with pytest.raises(AuthorityError) as raised:
        loaded(TABLE, PACK.replace(old, new, 1))
    assert any(fault in each for each in raised.value.faults)
    assert "packs/us.yaml" in str(raised.value)


def test_a_table_says_when_it_is_in_force() -> None:
    table = loaded(TABLE.replace("owner: head\nrows", "owner: head\neffective: 2026-11-01\nexpires: 2026-12-01T06:00:00Z\nrows"))
    assert not table.in_force(parse_instant("2026-10-31T23:59:59Z"))
    assert table.in_force(parse_instant("2026-11-01T00:00:00Z"))
    assert not table.in_force(parse_instant("2026-12-01T06:00:00Z"))
    with pytest.raises(AuthorityError, match="cannot be used"):
        loaded(TABLE.replace("owner: head\nrows", "owner: head\neffective: 2026-11-01\nexpires: 2026-10-01\nrows"))


CHARTER = """\
agent: mail
rows:
  - {id: few, when: value > 50, verdict: forbidden, reason: Not so much.}
  - {id: ask, when: channel = 'call', verdict: confirm, roles: [medical], deadline: 1 day, on_timeout: refuse, reason: Ask first.}
limits:
  - {id: day, of: actions, within: 1 day, most: 3, where: {channel: email}, reason: Three a day.}
"""


def chartered(charter: str = CHARTER, text: str = TABLE) -> Table:
    """The table with the rules of the charter of `mail`, whose owner is `carer`."""
    return load_table(text, PEOPLE_NOW, FACTS, NOW, [Layer("mail", "agents/mail.yaml", charter, ("agent", "mail"), "carer")])


def test_a_charters_rows_bind_its_agent_alone_and_ask_the_roles_that_they_name() -> None:
    table = chartered()
    assert [(rule.id, rule.owner, rule.layer) for rule in table.rules[3:]] == [("mail:few", "carer", "mail"), ("mail:ask", "carer", "mail")]
    (limit,) = table.limits
    assert (limit.id, dict(limit.where), limit.owner) == ("mail:day", {"agent": ("mail",), "channel": ("email",)}, "carer")
    asked = authorize(facts(agent="mail"), table)
    assert (asked.ruling, asked.rules, asked.roles) == (Ruling.CONFIRM, ("mail:ask",), ("medical",))
    assert authorize(facts(agent="mail", value=60_000_000), table).rules == ("mail:few",)
    assert authorize(facts(agent="mail", value=None), table).ruling is Ruling.FORBIDDEN
    assert authorize(facts(agent="other", value=60_000_000), table).ruling is Ruling.AUTONOMOUS
    assert authorize(facts(agent=None, value=60_000_000), table).rules == ("mail:few",)


def test_what_a_charter_asks_for_grants_nothing_that_the_table_does_not() -> None:
    assert authorize(facts(agent="mail", channel="call"), chartered(text=TABLE.replace("channel = 'call'", "channel = 'fax'"))).rules == ()


def test_all_faults_of_a_charters_rules_are_told_with_their_lines_in_its_file() -> None:
    pairs = (
        ("forbidden", "autonomous"),
        ("value > 50", "valu > 50"),
        ("[medical]", "[nobody]"),
        ("{channel: email}", "{agent: other}"),
        ("of: actions", "of: contacts, per: hcp"),
    )
    text = CHARTER
    for old, new in pairs:
        text = text.replace(old, new, 1)
    with pytest.raises(AuthorityError, match="its rules cannot be used") as raised:
        chartered(text)
    told = " ".join(raised.value.faults)
    for fault in (
        "line 3",
        "is not one of confirm, forbidden",
        "did you mean `value`?",
        "no person on file holds the role `nobody`",
        "counts its own agent",
        "per hcp",
    ):
        assert fault in told
    assert "agents/mail.yaml" in str(raised.value)


@pytest.mark.parametrize("more", ["owner: head", "source: A code"])
def test_a_charters_row_has_no_owner_of_its_own_and_needs_no_source(more: str) -> None:
    with pytest.raises(AuthorityError) as raised:
        chartered(CHARTER.replace("reason: Not so much.", f"reason: Not so much., {more}"))
    assert "is not a key here" in raised.value.faults[0]


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "market": st.sampled_from(["US", "DE", None]),
    "channel": st.sampled_from(["call", "email", "visit", None]),
    "consent": st.sampled_from(["opt_in", "opt_out", None]),
    "purpose": st.sampled_from(["promotional", "medical", None]),
    "value": st.sampled_from([0, 50_000_000, 60_000_000, 200_000_000, None]),
    "model_age_h": st.sampled_from([1, 25, None]),
    "agent": st.sampled_from(["mail", "other", None]),
}
_STRICT = [Ruling.AUTONOMOUS, Ruling.CONFIRM, Ruling.FORBIDDEN]


@given(st.lists(st.fixed_dictionaries(_VALUES), min_size=1, max_size=40))
def test_with_a_pack_and_a_charter_no_verdict_is_looser_and_both_readings_agree(rows: list[dict[str, Any]]) -> None:
    layers = [
        Layer("us", "packs/us.yaml", PACK, ("market", "US"), "carer", ("medical",)),
        Layer("mail", "agents/mail.yaml", CHARTER, ("agent", "mail"), "carer"),
    ]
    plain, beside = loaded(OBLIGED), load_table(OBLIGED, PEOPLE_NOW, FACTS, NOW, layers)
    kinds = {Kind.TEXT: pl.String, Kind.INT: pl.Int64, Kind.NUMBER: pl.Int64, Kind.BOOL: pl.Boolean}
    frame = pl.DataFrame([pl.Series(name, [row[name] for row in rows], kinds[FACTS[name].kind]) for name in _VALUES])
    judged = judge(frame, beside)
    assert len(set(judged.verdicts)) == len(judged.verdicts)
    for row, code in zip(rows, judged.columns["verdict"].to_list(), strict=True):
        verdict = authorize(row, beside)
        assert judged.verdicts[code] == verdict
        assert _STRICT.index(verdict.ruling) >= _STRICT.index(authorize(row, plain).ruling)
