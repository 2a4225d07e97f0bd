"""What is known as of an instant."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.intake import IntakeError, erase, freshness, last_of_each, read, segments, state
from remit.intake.keys import _exact_repeats, repeats
from remit.terms.instants import DAY, parse_instant

CONSENT = "hcp_id,channel,purpose,status,valid_from,valid_to,received_at\n"


def consent(desk, file, *rows):
    desk.write(f"consent/{file}", CONSENT + "\n".join(f"H1,email,promotional,{row}" for row in rows) + "\n")
    desk.load(parse_instant("2027-01-01"))


def status(desk, day):
    return desk.state("consent", parse_instant(day))["status"].to_list()


EVENT = st.tuples(st.sampled_from(["H1", "H2"]), st.sampled_from(["2025-W40", "2025-W41"]), st.integers(0, 9), st.integers(1, 20))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, min_size=1, max_size=12), st.lists(EVENT, max_size=12), st.integers(1, 20))
def test_rows_received_later_never_change_an_earlier_read(new_desk, now_known, more, day):
    desk = new_desk()
    as_of = parse_instant(f"2025-12-{day:02}T12:00:00Z")
    for number, events in enumerate((now_known, [event for event in more if event[3] > day])):
        desk.rx(
            f"{number}.csv",
            *{(hcp, week, received): f"{hcp},alpha,{week},{trx},,,2025-12-{received:02}T00:00:00Z" for hcp, week, trx, received in events}.values(),
        )
        desk.load()
        if not number:
            before = desk.read("rx", as_of)
    assert desk.read("rx", as_of).equals(before)
    truth = {}
    for hcp, week, trx, received in sorted({event[:2] + event[3:]: event for event in now_known}.values(), key=lambda event: event[3]):
        if received <= day:
            truth[hcp, week] = trx
    assert {(hcp, week): trx for hcp, week, trx in before.select("hcp_id", "period", "trx").iter_rows()} == truth


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, min_size=1, max_size=12), st.integers(1, 20))
def test_every_restatement_can_be_read_and_the_last_of_each_is_what_a_plain_read_gives(new_desk, events, day):
    desk = new_desk()
    as_of = parse_instant(f"2025-12-{day:02}T12:00:00Z")
    told = {(hcp, week, received): trx for hcp, week, trx, received in events}
    for file, some in (("a.csv", [key for key in told if key[2] % 2]), ("b.csv", [key for key in told if not key[2] % 2])):
        desk.rx(file, *(f"{hcp},alpha,{week},{told[hcp, week, received]},,,2025-12-{received:02}T00:00:00Z" for hcp, week, received in some))
    desk.load()
    rows = read(desk.warehouse, "rx", as_of, restated=True)
    days = (rows["received_at"].cast(pl.Datetime("us")).dt.day()).to_list()
    found = dict(zip(zip(rows["hcp_id"], rows["period"], days, strict=True), rows["trx"], strict=True))
    assert found == {key: trx for key, trx in told.items() if key[2] <= day}
    assert rows.height == len(found)
    assert last_of_each(rows, "rx").sort("hcp_id", "period").equals(desk.read("rx", as_of).sort("hcp_id", "period"))
    assert read(desk.warehouse, "rx", as_of, restated=True, columns=["trx"]).equals(rows.select("trx"))


def test_an_opt_out_acts_from_its_receipt_though_it_be_valid_later(desk):
    consent(desk, "a.csv", "opt_in,2025-01-01,,2025-01-02", "opt_out,2025-09-01,,2025-06-01")
    assert status(desk, "2025-05-31T23:59:59Z") == ["opt_in"]
    assert status(desk, "2025-06-01") == ["opt_out"]


def test_an_opt_in_acts_from_when_it_is_valid(desk):
    consent(desk, "a.csv", "opt_out,2025-01-01,,2025-01-02", "opt_in,2025-09-01,,2025-06-01")
    assert status(desk, "2025-08-31") == ["opt_out"]
    assert status(desk, "2025-09-01") == ["opt_in"]


def test_a_late_word_about_the_past_does_not_undo_a_later_opt_out(desk):
    consent(desk, "a.csv", "opt_out,2025-06-01,,2025-06-02")
    consent(desk, "b.csv", "opt_in,2025-03-01,,2025-07-01")
    assert status(desk, "2025-08-01") == ["opt_out"]


def test_of_an_opt_in_and_an_opt_out_at_one_instant_the_opt_out_holds(desk):
    consent(desk, "a.csv", "opt_out,2025-06-01,,2025-06-02", "opt_in,2025-06-01,,2025-06-02")
    assert status(desk, "2025-08-01") == ["opt_out"]


def test_consent_ends_with_its_validity(desk):
    consent(desk, "a.csv", "opt_in,2025-06-01,2025-07-01,2025-06-02")
    assert status(desk, "2025-06-30") == ["opt_in"]
    assert status(desk, "2025-07-01") == []


ALIGNMENTS = "rep_id,territory,hcp_id,sales_force,product,exclusive,valid_from,valid_to,received_at\n"


def aligned(desk, day):
    return desk.state("alignments", parse_instant(day))["rep_id"].sort().to_list()


def test_a_realignment_closes_one_rep_and_opens_the_next(desk):
    desk.write(
        "alignments/a.csv",
        ALIGNMENTS
        + "rep-1,T1,H1,field,alpha,true,2025-01-01,,2025-01-01\n"
        + "rep-1,T1,H1,field,alpha,true,2025-01-01,2025-07-01,2025-06-01\n"
        + "rep-2,T1,H1,field,alpha,true,2025-07-01,,2025-06-01\n",
    )
    assert desk.load().quarantined == 0
    assert aligned(desk, "2025-05-01") == aligned(desk, "2025-06-30") == ["rep-1"]
    assert aligned(desk, "2025-07-01") == ["rep-2"]


def test_those_who_share_an_hcp_are_all_in_force(desk):
    desk.write(
        "alignments/a.csv", ALIGNMENTS + "msl-1,M1,H1,medical,alpha,false,2025-01-01,,2025-01-01\nmsl-2,M1,H1,medical,alpha,false,2025-02-01,,2025-01-01\n"
    )
    desk.load()
    assert aligned(desk, "2025-03-01") == ["msl-1", "msl-2"]


def test_of_two_files_that_claim_an_hcp_exclusively_the_one_valid_last_counts(desk):
    for number in (1, 2):
        desk.write(f"alignments/{number}.csv", ALIGNMENTS + f"rep-{number},T1,H1,field,alpha,true,2025-0{number}-01,,2025-03-01\n")
    desk.load()
    assert aligned(desk, "2025-04-01") == ["rep-2"]


def test_an_answer_closes_its_question_from_its_receipt(desk):
    head = "inquiry_id,hcp_id,product,topic,asked_at,answered_at,received_at\n"
    desk.write("inquiries/a.csv", head + "q1,H1,alpha,dosing,2025-05-01,,2025-05-02\nq1,H1,alpha,dosing,2025-05-01,2025-05-03,2025-05-06\n")
    desk.load()
    assert [desk.read("inquiries", parse_instant(day))["answered_at"].to_list() for day in ("2025-05-05", "2025-05-06")] == [
        [None],
        [parse_instant("2025-05-03")],
    ]


def test_events_have_no_state(desk):
    with pytest.raises(IntakeError, match="has no state"):
        state(desk.warehouse, "rx", 0)


def test_an_unknown_table_is_refused(desk):
    with pytest.raises(IntakeError, match="there is no table `rxx`"):
        read(desk.warehouse, "rxx", 0)


def test_a_replay_reads_only_the_segments_that_it_names_and_says_which_is_gone(desk):
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2025-12-01T00:00:00Z")
    desk.load()
    recorded = [segment.commitment for segment in segments(desk.warehouse)]
    desk.rx("b.csv", "H1,alpha,2025-W40,6,,,2025-12-02T00:00:00Z")
    desk.load()
    assert read(desk.warehouse, "rx", desk.now, only=recorded)["trx"].to_list() == [5]
    erase(desk.warehouse, "H1", desk.entropy)
    with pytest.raises(IntakeError, match=recorded[0]):
        read(desk.warehouse, "rx", desk.now, only=recorded)


def test_wanted_columns_are_read_in_the_order_asked(desk):
    assert read(desk.warehouse, "rx", 0, columns=["trx", "hcp_id"]).columns == ["trx", "hcp_id"]
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2025-12-01T00:00:00Z")
    desk.load()
    assert read(desk.warehouse, "rx", desk.now, columns=["trx", "hcp_id"]).rows() == [(5, "H1")]


def test_freshness_tells_feed_age_from_data_age(desk):
    consent(desk, "a.csv", "opt_in,2020-01-01,,2025-12-01", "opt_in,2027-06-01,,2025-12-02")
    told = {each.table: each for each in freshness(desk.warehouse, parse_instant("2025-12-04"))}
    assert told["consent"].feed_age_us == 2 * DAY
    assert told["consent"].newest_occurred == parse_instant("2020-01-01")
    assert (told["rx"].rows, told["rx"].last_load, told["rx"].feed_age_us) == (0, None, None)
    assert {each.table: each for each in freshness(desk.warehouse, parse_instant("2025-12-01"))}["consent"].feed_age_us == 0


def test_a_file_of_assumed_receipts_renews_its_feed_when_it_is_loaded(desk):
    desk.write("consent/feed.toml", 'lag = "1 day"\nsource = "assumed"')
    desk.write("consent/a.csv", "hcp_id,channel,purpose,status,valid_from\nH1,call,promotional,opt_in,2020-01-01\n")
    desk.load()
    told = next(each for each in freshness(desk.warehouse, desk.now + DAY) if each.table == "consent")
    assert (told.feed_age_us, told.assumed_rows) == (DAY, 1)


def test_a_file_of_which_every_line_is_bad_does_not_renew_its_feed(desk):
    desk.rx("a.csv", "H1,alpha,2025-W99,5,,,2025-12-01T00:00:00Z")
    desk.load()
    assert next(each for each in freshness(desk.warehouse, desk.now) if each.table == "rx").last_load is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), max_size=12))
def test_repeats_are_found_exactly_with_hashes_and_without(rows):
    frame = pl.DataFrame(rows, schema={"x": pl.String, "y": pl.Int64}, orient="row")
    pairs = [sorted(zip(*(each.tolist() for each in find(frame, ("x", "y"))), strict=True)) for find in (repeats, _exact_repeats)]
    truth = [(i, next((j for j in range(i + 1, len(rows)) if rows[j] == rows[i]), None)) for i in range(len(rows))]
    assert pairs[0] == pairs[1] == [pair for pair in truth if pair[1] is not None]


def test_a_bad_line_that_may_be_an_opt_out_counts_as_one_until_a_later_statement(desk):
    good = ["H1,email,promotional,opt_in,2025-01-01,,2025-01-02", "H2,email,promotional,opt_in,2025-01-01,,2025-01-02", "H3,call,service,opt_in,2025-01-01,,"]
    bad = [
        "H1,email,promotional,opt-out,2025-06-01,,2025-06-02",
        "H2,,,opt_out,31/12/2025,,",
        "H3,call,service,opt_in,31/12/2025,,",
        ",email,promotional,maybe,,,",
    ]
    desk.write("consent/a.csv", CONSENT + "\n".join(good + bad) + "\n")
    report = desk.load()
    assert (report.quarantined, report.files[0].heeded) == (4, 2)
    assert "2 of them may be opt-outs" in report.warnings[0]
    said = {(row["hcp_id"], row["channel"], row["purpose"]): row["status"] for row in desk.state("consent").iter_rows(named=True)}
    assert said[("H1", "email", "promotional")] == "opt_out"
    assert {key[1:] for key, status in said.items() if key[0] == "H2" and status == "opt_out"} == {
        (channel, purpose) for channel in ("email", "call") for purpose in ("promotional", "medical", "service")
    }
    assert said[("H3", "call", "service")] == "opt_in"
    desk.write("consent/b.csv", CONSENT + "H1,email,promotional,opt_in,2026-01-06,,2026-01-06\n")
    desk.load(parse_instant("2026-01-07"))
    assert desk.state("consent", parse_instant("2026-01-07")).row(0, named=True)["status"] == "opt_in"


def test_a_bad_line_without_a_readable_hcp_or_any_channel_stands_for_nobody(desk):
    desk.write("consent/a.csv", CONSENT + "H 1,,promotional,opt_out,2025-06-01,,\nH2,,promotional,opt_out,2025-06-01,,\n")
    report = desk.load()
    assert (report.quarantined, report.files[0].heeded) == (2, 0)
    assert desk.state("consent").is_empty()
