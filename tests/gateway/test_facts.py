"""The facts a proposal is judged by, and the lists that leave the house."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from remit.agents import PROPOSALS
from remit.gateway import Known, Single, deliver, gather, lists
from remit.terms.charters import Charter
from remit.terms.facts import FACTS, UNITS, UNKNOWN, Kind
from remit.terms.instants import DAY, HOUR
from remit.terms.people import Person
from remit.terms.proposals import Proposal

NOW = 1_000 * DAY
PEOPLE = {"owner": Person("owner", frozenset({"agent-owner"}))}
CHARTER = Charter("email", "email", "o", "promotional", "owner", (), ("email",), ("alpha",), 1, NOW + DAY, 0, {}, {})


def frame(schema: dict[str, type[pl.DataType]], *rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=pl.Schema(schema), orient="row")


def known(**tables: pl.DataFrame) -> Known:
    text, whole, flag = pl.String, pl.Int64, pl.Boolean
    validity = {"valid_from": whole, "valid_to": whole, "received_at": whole}
    empty = {
        "hcp": frame({"hcp_id": text, "specialty": text, "practice_size": whole, "rural": flag, "zone": text, "match_confidence": whole, "pdrp": flag}),
        "consent": frame({"hcp_id": text, "channel": text, "purpose": text, "status": text}),
        "content": frame(
            {"content_id": text, "product": text, "channel": text, "communication_type": text, "status": text, "risk": text, "indications": text, **validity}
        ),
        "inquiries": frame({"inquiry_id": text, "hcp_id": text, "product": text, "answered_at": whole, "received_at": whole}),
        "cover": frame({"hcp_id": text, "product": text, "channel": text, "rep_id": text, "territory": text}),
        "contacts": frame({"hcp_id": text, "channel": text, "purpose": text, "at": whole, "agent": text}),
        "scores": frame({"hcp_id": text, "product": text, "lead_score": whole, "rx_at": whole, "rx_loaded_at": whole}),
        "held": pl.Series("hcp_id", [], text),
        "channel_held": frame({"hcp_id": text, "channel": text}),
    }
    return Known(now=NOW, feed_age_h={"consent": 5}, model_age_h=None, **{**empty, **tables})  # type: ignore[arg-type]  # frames by name


def fill(table: pl.DataFrame, *rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=table.schema)


def facts(of: Known, charter: Charter = CHARTER, **changed: object) -> dict[str, object]:
    proposal = {
        "hcp_id": "H1", "agent": "email", "channel": "email", "product": "alpha", "content_id": "c1", "communication_type": "promotional",
        "purpose": "promotional", "touch": 1, "value": 5, "exclusion": None, "mandatory": False,
    }  # fmt: skip
    return gather(pl.DataFrame([{**proposal, **changed}], schema=PROPOSALS), of, [charter], PEOPLE).row(0, named=True)


def both(of: Known, **changed: object) -> Mapping[str, object]:
    """The facts by either reading, which are the same."""
    found = facts(of, **changed)
    single = Single(of, [CHARTER], PEOPLE).facts(Proposal(**{name: found[name] for name in PROPOSALS}), of.now)  # type: ignore[arg-type]  # by name
    assert {name: single[name] for name in FACTS} == {name: found[name] for name in FACTS}
    return single


def content(**said: object) -> dict[str, object]:
    """A row of content that says so much."""
    row = {"content_id": "c1", "product": "alpha", "channel": "email", "communication_type": "promotional", "status": "approved"}
    return {**row, "valid_from": 0, "valid_to": NOW + DAY, "received_at": 0, "risk": None, "indications": None, **said}


def test_every_fact_of_the_dictionary_is_gathered() -> None:
    assert set(FACTS) <= set(facts(known()))


def test_facts_are_unknown_where_nothing_is_known_as_the_dictionary_says_and_no_others() -> None:
    found = facts(replace(known(), feed_age_h={}), replace(CHARTER, agent="another"), content_id=None)
    assert {name for name in FACTS if found[name] is None} == set(UNKNOWN)


def test_every_number_of_the_dictionary_has_a_unit() -> None:
    assert {name for name, fact in FACTS.items() if fact.kind in (Kind.INT, Kind.NUMBER)} == set(UNITS)


def test_what_is_not_on_file_is_false_or_unknown_and_never_a_yes() -> None:
    found = facts(known())
    assert found["hcp_known"] is False
    assert found["aligned"] is False
    assert found["content_channel"] is False
    for name in ("consent", "pdrp", "match_confidence", "content_status", "rx_age_h", "rx_feed_age_h", "lead_score", "model_age_h"):
        assert found[name] is None


def test_contacts_are_counted_by_anyone_in_28_days_and_not_from_now_on() -> None:
    empty = known()
    rows = [
        {"hcp_id": "H1", "channel": channel, "purpose": "promotional", "at": at}
        for channel, at in [("email", NOW - DAY), ("call", NOW - 28 * DAY), ("call", NOW - 28 * DAY - 1), ("email", NOW)]
    ]
    found = facts(known(contacts=fill(empty.contacts, *rows)))
    assert (found["contacts_28d"], found["channel_contacts_28d"]) == (2, 1)


def test_content_that_has_expired_is_told_from_content_that_never_was() -> None:
    empty = known()
    row = {
        "content_id": "c1",
        "product": "alpha",
        "channel": "email",
        "communication_type": "promotional",
        "status": "approved",
        "valid_from": 0,
        "received_at": 0,
    }
    found = facts(known(content=fill(empty.content, {**row, "valid_to": NOW - 3 * HOUR})))
    assert (found["content_status"], found["content_expires_h"], found["content_channel"]) == ("approved", -3, True)


def test_the_latest_word_on_content_counts() -> None:
    empty = known()
    row = {"content_id": "c1", "product": "alpha", "channel": "email", "communication_type": "promotional", "valid_from": 0, "valid_to": None}
    rows = [{**row, "status": "withdrawn", "received_at": 2}, {**row, "status": "approved", "received_at": 1}]
    assert facts(known(content=fill(empty.content, *rows)))["content_status"] == "withdrawn"


def test_a_question_is_open_until_its_answer_is_known() -> None:
    empty = known()
    row = {"inquiry_id": "i1", "hcp_id": "H1", "product": "alpha"}
    asked = {**row, "answered_at": None, "received_at": 1}
    assert facts(known(inquiries=fill(empty.inquiries, asked)))["open_inquiries"] == 1
    assert facts(known(inquiries=fill(empty.inquiries, asked, {**row, "answered_at": NOW - 1, "received_at": 2})))["open_inquiries"] == 0


@pytest.mark.parametrize(("changed", "fact"), [({"channel": "call"}, "charter_channel"), ({"product": "beta"}, "charter_product")])
def test_a_charter_grants_what_it_names_and_no_more(changed: dict[str, object], fact: str) -> None:
    assert facts(known())[fact] is True
    assert facts(known(), **changed)[fact] is False


def test_a_charter_ends_at_its_instant() -> None:
    ended = Charter("email", "email", "o", "promotional", "owner", (), ("email",), ("alpha",), 1, NOW, 0, {}, {})
    assert facts(known())["charter_live"] is True
    assert facts(known(), ended)["charter_live"] is False


def test_the_order_of_proposals_is_kept() -> None:
    rows = [{"hcp_id": f"H{number}"} for number in (3, 1, 2)]
    base = facts(known())
    frame_ = pl.DataFrame([{**{name: base[name] for name in PROPOSALS}, **row} for row in rows], schema=PROPOSALS)
    assert gather(frame_, known(), [CHARTER], PEOPLE)["hcp_id"].to_list() == ["H3", "H1", "H2"]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_list_is_made_per_rep_or_for_the_whole_channel() -> None:
    rows = [{"channel": "call", "rep": rep, "hcp_id": hcp} for rep, hcp in (("rep-2", "H1"), ("rep-1", "H2"), ("rep-2", "H3"))]
    assert {name: data.decode() for name, data in lists(rows, "rep").items()} == {
        "call-rep-1.csv": "channel,rep,hcp_id\ncall,rep-1,H2\n",
        "call-rep-2.csv": "channel,rep,hcp_id\ncall,rep-2,H1\ncall,rep-2,H3\n",
    }
    assert list(lists(rows, "channel")) == ["call.csv"]
    assert lists([], "rep") == {}


def test_delivering_twice_writes_once(tmp_path: Path) -> None:
    written: list[Path] = []

    def write(files: Mapping[Path, bytes]) -> None:
        written.extend(files)
        for path, data in files.items():
            _write(path, data)

    files = {"call.csv": b"hcp_id\nH1\n", "email.csv": b"hcp_id\n"}
    first = deliver(tmp_path / "out", files, write)
    assert deliver(tmp_path / "out", files, write) == first
    assert len(written) == 2
    assert [delivery.rows for delivery in first] == [1, 0]


def test_who_is_held_out_is_a_fact_of_the_hcp_or_of_one_channel() -> None:
    of = known(held=pl.Series("hcp_id", ["H2"]), channel_held=fill(known().channel_held, {"hcp_id": "H1", "channel": "email"}))
    found = {(hcp, channel): facts(of, hcp_id=hcp, channel=channel) for hcp in ("H1", "H2") for channel in ("email", "call")}
    assert {key: row["held_out"] for key, row in found.items()} == {key: key[0] == "H2" for key in found}
    assert {key: row["channel_held_out"] for key, row in found.items()} == {key: key == ("H1", "email") for key in found}


def test_the_age_of_the_prescription_feed_is_that_of_the_feed_that_tells_of_the_hcp() -> None:
    """Of one whom neither tells of the older of both stands, so that a row on old data never lets through what it should ask about."""
    row = {"hcp_id": "H1", "product": "alpha", "lead_score": 1, "rx_at": NOW - DAY, "rx_loaded_at": NOW - 7 * HOUR}
    of = replace(known(scores=fill(known().scores, row)), feed_age_h={"rx": 7, "brick_rx": 30})
    assert facts(of)["rx_feed_age_h"] == 7
    assert facts(of, hcp_id="H2")["rx_feed_age_h"] == 30
    assert facts(replace(of, feed_age_h={"brick_rx": 30}), hcp_id="H2")["rx_feed_age_h"] == 30


@pytest.mark.parametrize("risk", ["low", "medium", "high", None])
def test_the_risk_of_content_is_what_its_feed_says_and_unknown_where_it_does_not(risk: str | None) -> None:
    of = known(content=fill(known().content, content(risk=risk)))
    assert both(of)["content_risk"] == risk
    assert both(of, content_id="c2")["content_risk"] is None


@pytest.mark.parametrize(
    ("about", "label", "matches"),
    [
        ("asthma", "asthma; COPD", True),
        ("copd ;Asthma", "asthma; COPD", True),
        ("asthma; croup", "asthma; COPD", False),
        ("croup", "asthma", False),
        (None, "asthma", None),
        ("asthma", None, None),
        (None, None, None),
    ],
)
def test_indications_match_where_the_label_covers_all_of_them_and_not_knowing_is_no_yes(about: str | None, label: str | None, matches: bool | None) -> None:
    of = replace(known(content=fill(known().content, content(indications=about))), indications={} if label is None else {"alpha": label})
    assert both(of)["indication_match"] is matches
    assert both(of, content_id=None)["indication_match"] is None


def test_what_the_master_data_say_of_an_hcp_is_a_fact() -> None:
    row = {"hcp_id": "H1", "practice_size": 3, "rural": True, "zone": "UTC", "specialty": "cardiology", "match_confidence": 900_000, "pdrp": False}
    of = known(hcp=fill(known().hcp, row))
    assert {name: both(of)[name] for name in row if name != "hcp_id"} == {name: value for name, value in row.items() if name != "hcp_id"}
    of = known(hcp=fill(known().hcp, {**row, "practice_size": None, "rural": None}))
    assert (both(of)["practice_size"], both(of)["rural"], both(of, hcp_id="H2")["zone"]) == (None, None, None)


def test_the_territory_is_that_in_which_the_hcp_is_covered() -> None:
    of = known(cover=fill(known().cover, {"hcp_id": "H1", "product": "alpha", "channel": "call", "rep_id": "r1", "territory": "T1"}))
    assert (both(of, channel="call")["territory"], both(of)["territory"]) == ("T1", None)


def test_contacts_are_told_apart_by_agent_and_purpose_within_28_days() -> None:
    """What people did by themselves counts for nobody's agent; 28 days before now to the microsecond counts."""
    made = [("email", NOW - 1, "promotional"), ("email", NOW - 28 * DAY, "medical"), ("email", NOW - 28 * DAY - 1, "promotional"),
            ("msl", NOW - DAY, "medical"), (None, NOW - DAY, "promotional"), ("other", NOW, "promotional")]  # fmt: skip
    rows = [{"hcp_id": "H1", "channel": "call", "purpose": purpose, "at": at, "agent": agent} for agent, at, purpose in made]
    found = both(known(contacts=fill(known().contacts, *rows)))
    assert {name: found[name] for name in ("contacts_28d", "promotional_contacts_28d", "agent_contacts_28d", "agents_28d")} == {
        "contacts_28d": 4,
        "promotional_contacts_28d": 2,
        "agent_contacts_28d": 2,
        "agents_28d": 2,
    }
    nobody = both(known())
    assert [nobody[name] for name in ("promotional_contacts_28d", "agent_contacts_28d", "agents_28d")] == [0, 0, 0]


def test_what_was_done_since_counts_for_its_agent_too() -> None:
    single = Single(known(), [CHARTER], PEOPLE)
    proposal = Proposal("H1", "email", "email", "alpha", None, "promotional", "promotional", 1, 5, None, mandatory=False)
    found = single.facts(proposal, NOW + HOUR, [(NOW, "call", "promotional", "calls"), (NOW, "email", "medical", "email")])
    assert [found[name] for name in ("contacts_28d", "promotional_contacts_28d", "agent_contacts_28d", "agents_28d")] == [2, 1, 1, 2]


def test_the_ages_of_all_feeds_that_decide_are_facts_and_a_feed_that_never_came_has_none() -> None:
    of = replace(known(), feed_age_h={"content": 1, "touches": 2, "hcp": 3})
    names = ("content_feed_age_h", "touches_feed_age_h", "hcp_feed_age_h", "consent_feed_age_h")
    assert [both(of)[name] for name in names] == [1, 2, 3, None]


def test_confidence_is_that_in_this_very_touch() -> None:
    rows = pl.DataFrame({"hcp_id": ["H1", "H1"], "product": ["alpha"] * 2, "channel": ["email"] * 2, "touch": [1, 2], "model_confidence": [900_000, None]})
    of = replace(known(), confidence=rows)
    assert [both(of, touch=touch)["model_confidence"] for touch in (1, 2, 3)] == [900_000, None, None]


@pytest.mark.parametrize("drift", ["none", "raise", "confirm", "stop", None])
def test_drift_is_the_same_fact_of_every_proposal(drift: str | None) -> None:
    assert both(replace(known(), drift=drift))["model_drift"] == drift


def test_cover_is_that_of_the_product_and_none_at_all_is_not_unknown() -> None:
    of = replace(known(), supply={"alpha": 0, "beta": 1_500_000})
    assert [both(of, product=product)["supply_cover_weeks"] for product in ("alpha", "beta", "gamma")] == [0, 1_500_000, None]
