"""What loading stores, leaves, and says."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.intake import IntakeError, Outcome, freshness, load, read_quarantine, segments
from remit.terms.instants import FOREVER, parse_instant

WEEKS = ("2025-W40", "2025-W41")
ROW = st.builds(
    lambda hcp, week, trx, day: f"{hcp},alpha,{week},{trx},,,2025-12-{day:02}T04:00:00Z",
    st.sampled_from(["H1", "H2", "H3", "H 4"]),
    st.sampled_from(WEEKS),
    st.integers(-1, 4),
    st.integers(1, 5),
)
DELIVERIES = st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DELIVERIES, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_loads_gives_the_same_rows_and_the_same_quarantine(new_desk, deliveries, random):
    """One desk loads everything at once, the other one file at a time in another order, under other names, with repetitions."""
    at_once, piecemeal = new_desk(), new_desk()
    for number, rows in enumerate(deliveries):
        at_once.rx(f"{number}.csv", *rows)
    at_once.load()
    order = [*range(len(deliveries)), random.randrange(len(deliveries))]
    random.shuffle(order)
    for turn, number in enumerate(order):
        piecemeal.rx(f"again-{turn}.csv", *deliveries[number])
        piecemeal.load()
    assert at_once.read("rx").equals(piecemeal.read("rx"))
    told = [read_quarantine(desk.warehouse).drop("file").sort("line", "rules", "cells") for desk in (at_once, piecemeal)]
    assert told[0].equals(told[1])


def test_the_same_file_under_another_name_changes_nothing(desk):
    desk.rx("a.csv", "H1,alpha,2025-W40,3,,,2025-12-01T00:00:00Z")
    desk.load()
    before = {path: path.read_bytes() for path in desk.warehouse.rglob("*") if path.is_file()}
    desk.rx("b.csv", "H1,alpha,2025-W40,3,,,2025-12-01T00:00:00Z")
    assert [report.outcome for report in desk.load().files] == [Outcome.KNOWN, Outcome.KNOWN]
    assert {path: path.read_bytes() for path in desk.warehouse.rglob("*") if path.is_file()} == before


def test_a_restatement_counts_from_its_receipt_also_downward(desk):
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W40,7,,,2025-12-01T00:00:00Z")
    desk.rx("b.csv", "H1,alpha,2025-W40,3,,,2025-12-15T00:00:00Z")
    desk.load()
    before, after = (dict(desk.read("rx", parse_instant(day)).select("hcp_id", "trx").iter_rows()) for day in ("2025-12-14", "2025-12-15"))
    assert before == {"H1": 5, "H2": 7}
    assert after == {"H1": 3, "H2": 7}


def test_a_restatement_may_come_before_what_it_restates(desk):
    desk.rx("b.csv", "H1,alpha,2025-W40,3,,,2025-12-15T00:00:00Z")
    desk.load()
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2025-12-01T00:00:00Z")
    desk.load()
    assert desk.read("rx")["trx"].to_list() == [3]


def test_no_row_is_made_up_for_a_period_without_one(desk):
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2025-12-01T00:00:00Z", "H1,alpha,2025-W42,5,,,2025-12-01T00:00:00Z")
    desk.load()
    assert sorted(desk.read("rx")["period"]) == ["2025-W40", "2025-W42"]


RX = "hcp_id,product,period,trx\nH1,alpha,2025-11,5\n"


def received(desk):
    return desk.read("rx", FOREVER).select("received_at", "received_assumed").row(0)


def test_a_row_that_does_not_say_when_it_was_received_was_received_when_loaded(desk):
    desk.write("rx/a.csv", RX)
    desk.load()
    assert received(desk) == (desk.now, False)


def test_a_declared_lag_counts_from_the_end_of_the_period_and_is_marked_as_assumed(desk):
    desk.write("rx/feed.toml", 'lag = "10 days"\nzone = "Europe/Berlin"')
    desk.write("rx/a.csv", RX)
    desk.load()
    assert received(desk) == (parse_instant("2025-12-10T23:00:00Z"), True)
    assert desk.read("rx")["occurred_at"][0] == parse_instant("2025-11-30T23:00:00Z")


def test_a_lag_of_a_month_from_the_start_makes_a_month_known_at_its_end(desk):
    desk.write("rx/feed.toml", 'lag = "1 month"\nlag_from = "start"')
    desk.write("rx/a.csv", RX)
    desk.load()
    assert received(desk) == (parse_instant("2025-12-01"), True)


def test_a_row_s_own_word_beats_the_declared_lag(desk):
    desk.write("rx/feed.toml", 'lag = "1 month"')
    desk.rx("a.csv", "H1,alpha,2025-11,5,,,2025-12-24T00:00:00Z")
    desk.load()
    assert received(desk) == (parse_instant("2025-12-24"), False)


def test_a_row_assumed_to_be_received_later_is_stored_and_unseen_until_then(desk):
    desk.write("rx/feed.toml", 'lag = "3 months"')
    desk.write("rx/a.csv", RX)
    desk.load()
    assert desk.read("rx").is_empty()
    assert desk.read("rx", parse_instant("2026-03-01")).height == 1


def test_a_file_received_later_than_now_is_left_until_it_is_due(desk):
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2026-02-01T00:00:00Z")
    assert desk.load().files[0].outcome is Outcome.NOT_DUE
    assert not segments(desk.warehouse)
    assert desk.load(parse_instant("2026-02-01")).files[0].outcome is Outcome.LOADED


def test_a_row_from_the_future_among_others_goes_to_quarantine(desk):
    desk.rx("a.csv", "H1,alpha,2025-W40,5,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W40,5,,,2026-12-01T00:00:00Z")
    assert desk.load().files[0].rules == {"received_at|in_the_future": 1}


def test_an_empty_file_is_a_complete_load_of_no_rows_every_week(desk):
    desk.rx("w1.csv")
    first = desk.load()
    assert first.files[0].says == "rx/w1.csv: loaded whole, and has no rows"
    assert first.warnings[0] == first.files[0].says
    later = desk.now + 1000
    desk.rx("w2.csv")
    assert [report.outcome for report in desk.load(later).files] == [Outcome.KNOWN, Outcome.LOADED]
    rx = next(each for each in freshness(desk.warehouse, later + 5) if each.table == "rx")
    assert (rx.last_load, rx.feed_age_us, rx.newest_occurred) == (later, 5, None)


def test_a_feed_with_30_percent_bad_rows_loads_the_good_ones_and_is_doubtful(desk):
    rows = [f"H{number},alpha,2025-W40,{number},,,2025-12-01T00:00:00Z" for number in range(70)]
    bad = [f"H{number},alpha,2025-W99,{number},,,2025-12-01T00:00:00Z" for number in range(30)]
    desk.rx("a.csv", *rows, *bad)
    report = desk.load()
    assert (report.files[0].rows, report.files[0].quarantined, report.files[0].doubtful) == (70, 30, True)
    assert "DOUBTFUL" in report.warnings[0]
    assert report.quarantined == read_quarantine(desk.warehouse).height == 30


def test_the_share_of_bad_rows_that_makes_a_file_doubtful_is_a_setting(desk):
    desk.write("rx/feed.toml", "doubtful_percent = 50")
    desk.rx("a.csv", "H1,alpha,2025-W40,1,,,2025-12-01T00:00:00Z", "H1,alpha,2025-W99,1,,,2025-12-01T00:00:00Z")
    assert not desk.load().files[0].doubtful


def test_a_feed_without_files_is_reported_as_missing(desk):
    desk.write("consent/feed.toml", "")
    desk.rx("a.csv", "H1,alpha,2025-W40,1,,,2025-12-01T00:00:00Z")
    report = desk.load()
    assert "consent" in report.missing
    assert "rx" not in report.missing
    assert "consent: no file has come" in report.warnings


def test_lines_about_an_erased_hcp_are_stored_nowhere(desk):
    desk.erased.add("H2")
    desk.rx("a.csv", "H1,alpha,2025-W40,1,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W40,1,,,2025-12-01T00:00:00Z", " H2 ,alpha,2025-W99,1,,,2025-12-01T00:00:00Z")
    report = desk.load().files[0]
    assert (report.rows, report.quarantined, report.suppressed) == (1, 0, 2)
    assert not any(b"H2" in path.read_bytes() for path in desk.warehouse.rglob("*.*") if path.suffix == ".json")
    assert desk.read("rx")["hcp_id"].to_list() == ["H1"]
    assert read_quarantine(desk.warehouse).is_empty()


def test_every_row_knows_its_source_and_its_line(desk):
    desk.write("rx/feed.toml", 'source = "assumed"')
    desk.rx("a.csv", "H1,alpha,2025-W99,1,,,", "H1,alpha,2025-W40,1,,,2025-12-01T00:00:00Z")
    desk.load()
    assert desk.read("rx").select("source", "line").rows() == [("assumed", 3)]


def test_progress_is_told_before_each_file(desk):
    desk.rx("a.csv")
    desk.rx("b.csv")
    told = []
    load(desk.feeds, desk.warehouse, desk.now, desk.entropy, lambda _: (), progress=lambda *each: told.append(each))
    assert told == [("rx/a.csv", 0, 2), ("rx/b.csv", 1, 2)]


def test_a_folder_that_is_no_feed_is_refused_by_name(desk):
    desk.write("prescriptions/a.csv", "x")
    desk.write("rx.csv", "x")
    with pytest.raises(IntakeError) as error:
        desk.load()
    assert error.value.faults == ("`prescriptions`", "`rx.csv`")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('lga = "1 week"', "`lga` is not a setting of this feed"),
        ('lag = "soon"', "lag = `soon` is not a span of time"),
        ('zone = "Mars/Olympus"', "zone = `Mars/Olympus` is not a time zone"),
        ('lag_from = "middle"', "lag_from = `middle` is neither `start` nor `end`"),
        ("doubtful_percent = 120", "doubtful_percent = `120` is not a whole number from 0 to 100"),
        ("source = 7", "source = `7` is not text"),
        ("lag = ", "cannot be read"),
    ],
)
def test_a_malformed_feed_file_says_what_is_wrong(desk, content, said):
    desk.write("rx/feed.toml", content)
    desk.rx("a.csv")
    with pytest.raises(IntakeError) as error:
        desk.load()
    assert said in str(error.value)


def test_all_faults_of_a_feed_file_are_told_at_once(desk):
    desk.write("rx/feed.toml", 'lag = "soon"\nzone = "Mars"\nx = 1')
    desk.rx("a.csv")
    with pytest.raises(IntakeError) as error:
        desk.load()
    assert len(error.value.faults) == 3
