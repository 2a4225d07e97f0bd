"""What an agent may read of physicians: what its charter names, its work may be shown, the physician's word allows and no licence withholds; nothing else."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.agents import AgentError, read_charter
from remit.gateway import Known, Licence, Since, Single, facts_of, reads, withheld
from remit.intake import FEEDS as DELIVERED
from remit.intake import TABLES
from remit.terms.charters import PURPOSES, Charter
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS, FEEDS
from remit.terms.instants import DAY
from remit.terms.labels import ADMITTED, Label
from tests.gateway.test_facts import CHARTER, NOW, PEOPLE, fill, known

VENDOR = replace(CHARTER, agent="vendor", proposer="external", channels=("email", "call"), reads=tuple(sorted(FEEDS)))
TEXT = """
agent: vendor
proposer: external
objective: Reminders
purpose: promotional
owner: owner
channels: [email]
products: [alpha]
most_per_hcp: 1
expires: 2026-12-31T00:00:00Z
"""


def country() -> Known:
    """Three physicians: H1 shows prescribing, H2 keeps it from reps, of H3 that is not known."""
    empty = known()
    hcps = [{"hcp_id": f"H{number}", "specialty": "cardiology", "match_confidence": MICRO, "pdrp": pdrp} for number, pdrp in ((1, False), (2, True), (3, None))]
    scores = [{"hcp_id": f"H{number}", "product": "alpha", "lead_score": 7 * MICRO, "rx_at": NOW - DAY, "rx_loaded_at": NOW} for number in (1, 2, 3)]
    consent = [{"hcp_id": "H1", "channel": "email", "purpose": "promotional", "status": "opt_in"}]
    contacts = [{"hcp_id": "H1", "channel": channel, "purpose": "promotional", "at": NOW - DAY} for channel in ("email", "call", "call")]
    return known(
        hcp=fill(empty.hcp, *hcps), scores=fill(empty.scores, *scores), consent=fill(empty.consent, *consent), contacts=fill(empty.contacts, *contacts)
    )


def shown(charter: Charter, hcp: str = "H1", licences: dict[str, Licence] | None = None, since: Since = Since()) -> list[dict[str, Any]]:  # noqa: B008 - frozen
    return facts_of(charter, hcp, Single(country(), [charter], PEOPLE), licences or {}, since, NOW)


def test_what_the_charter_names_is_shown_for_each_channel_and_nothing_of_who_made_a_contact() -> None:
    email, call = shown(replace(VENDOR, reads=("channel_contacts_28d", "consent", "contacts_28d", "lead_score", "specialty")))
    assert email == {
        "product": "alpha", "channel": "email", "channel_contacts_28d": 1, "consent": "opt_in", "contacts_28d": 3, "lead_score": 7.0, "specialty": "cardiology",
    }  # fmt: skip
    assert (call["channel"], call["channel_contacts_28d"], call["consent"]) == ("call", 2, None)
    assert shown(replace(VENDOR, reads=())) == [{"product": "alpha", "channel": "email"}, {"product": "alpha", "channel": "call"}]
    assert shown(VENDOR, "H9") == []


def test_what_has_happened_since_is_counted() -> None:
    def left_email(facts: dict[str, Any]) -> dict[str, Any]:
        return facts | ({"consent": "opt_out"} if facts["channel"] == "email" else {})

    since = Since([(NOW, "email", "promotional", None)], told=left_email)
    email, call = shown(replace(VENDOR, reads=("channel_contacts_28d", "consent")), since=since)
    assert (email["channel_contacts_28d"], email["consent"]) == (2, "opt_out")
    assert (call["channel_contacts_28d"], call["consent"]) == (2, None)


@pytest.mark.parametrize(("hcp", "told"), [("H1", True), ("H2", False), ("H3", False)])
def test_prescribing_is_withheld_of_who_keeps_it_from_reps_and_of_whom_that_is_not_known(hcp: str, told: bool) -> None:
    for row in shown(VENDOR, hcp):
        assert ("lead_score" in row, "rx_age_h" in row) == (told, told)
        assert "specialty" in row


def test_a_licence_withholds_all_that_comes_from_its_feed_unless_it_names_the_agent() -> None:
    licence = {"rx": Licence("a vendor of prescriptions", ("somebody-else",))}
    assert set(withheld(VENDOR, licence)) == {"lead_score", "model_confidence", "open_inquiries", "rx_age_h", "rx_feed_age_h"}
    assert withheld(VENDOR, licence)["lead_score"] == (
        "it comes from data licensed from a vendor of prescriptions, whose licence does not name this agent as a reader"
    )
    assert set(withheld(VENDOR, {"rx": Licence("v", ("vendor",))})) == {"open_inquiries"}
    assert "lead_score" in withheld(VENDOR, {"rx": Licence("v", ("vendor",)), "hcp": Licence("w", ())})
    assert {"lead_score", "contacts_28d"} <= set(withheld(VENDOR, {"detailing": Licence("v", ())}))
    ours = replace(VENDOR, proposer="email")
    assert set(withheld(ours, licence)) == {"open_inquiries"}


@given(
    names=st.sets(st.sampled_from(sorted(FACTS))),
    purpose=st.sampled_from(PURPOSES),
    proposer=st.sampled_from(["external", "email"]),
    licences=st.dictionaries(st.sampled_from(sorted(DELIVERED)), st.sets(st.sampled_from(["vendor", "other"])), max_size=3),
    hcp=st.sampled_from(["H1", "H2", "H3", "H9"]),
)
def test_no_fact_that_the_charter_does_not_grant_is_ever_shown(names: set[str], purpose: str, proposer: str, licences: dict[str, set[str]], hcp: str) -> None:
    """Of any charter, also one that no file could hold."""
    charter = replace(VENDOR, reads=tuple(sorted(names)), purpose=purpose, proposer=proposer)
    held = {feed: Licence(f"vendor of {feed}", tuple(readers)) for feed, readers in licences.items()}
    granted = set(reads(charter, held))
    assert granted <= names & set(FEEDS)
    assert granted | set(withheld(charter, held)) == names
    for row in shown(charter, hcp, held):
        assert row.keys() - {"product", "channel"} <= granted
        for name in row.keys() - {"product", "channel"}:
            labels = FACTS[name].labels
            assert not labels & {Label.SAFETY, Label.PATIENT}
            assert labels <= ADMITTED[purpose]
            assert Label.PDRP not in labels or hcp == "H1"
            for feed, readers in licences.items() if proposer == "external" else ():
                filled = {table for layout in DELIVERED[feed].files for table in layout.tables}
                assert "vendor" in readers or not filled & set(FEEDS[name])
        json.dumps(row)


def test_every_fact_that_may_be_read_is_in_the_dictionary_and_comes_from_tables_there_are() -> None:
    assert set(FEEDS) <= set(FACTS)
    assert {table for tables in FEEDS.values() for table in tables} <= set(TABLES)
    assert not [name for name in FEEDS if FACTS[name].labels & {Label.SAFETY, Label.PATIENT}]


def test_a_charter_that_asks_for_what_it_may_not_have_is_refused_with_all_its_faults() -> None:
    good = read_charter(TEXT + "reads: {specialty: commercial, lead_score: pdrp}\n", "a.yaml", PEOPLE)
    assert good.reads == ("lead_score", "specialty")
    assert read_charter(TEXT, "a.yaml", PEOPLE).reads == ()
    asks = "reads: {specialty: pdrp, open_inquiries: inquiry, held_out: commercial, shoe_size: commercial, consent: commercial}\n"
    with pytest.raises(AgentError) as refused:
        read_charter(TEXT + asks, "a.yaml", PEOPLE)
    said = str(refused.value)
    assert "`reads.specialty` is labelled `commercial`, and the charter says `pdrp`" in said
    assert "`reads.open_inquiries` is labelled `inquiry`, which an agent for promotional work is not shown" in said
    assert "`reads.held_out` is a fact that no agent is shown" in said
    assert "`reads.shoe_size` is no fact of the dictionary" in said
    assert "consent" not in said.split("no agent is shown")[0]
    with pytest.raises(AgentError, match="is not a table"):
        read_charter(TEXT + "reads: [specialty]\n", "a.yaml", PEOPLE)
    medical = TEXT.replace("purpose: promotional", "purpose: medical") + "reads: {lead_score: pdrp, open_inquiries: inquiry}\n"
    with pytest.raises(AgentError, match=r"reads.lead_score. is labelled .pdrp., which an agent for medical work is not shown"):
        read_charter(medical, "a.yaml", PEOPLE)
