"""The real set of details and prescriptions."""

from pathlib import Path

import polars as pl
import pytest

from remit.intake import IntakeError, Outcome, read_quarantine
from remit.terms.instants import parse_instant

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "detailing"
FEED = 'lag = "1 month"\nlag_from = "start"\n'
COUNTS = "id,month,scripts,detailing,lagged_scripts\n"


@pytest.fixture
def real(desk):
    if not DATA.exists():
        pytest.skip("the folder shared/data/detailing is absent")
    for name in ("counts.csv", "physicians.csv"):
        desk.write(f"detailing/{name}", (DATA / name).read_bytes())
    desk.write("detailing/feed.toml", FEED)
    return desk


def test_the_real_set_loads_whole(real):
    assert [(report.outcome, report.quarantined) for report in real.load().files] == [(Outcome.LOADED, 0)] * 2
    truth = pl.read_csv(DATA / "counts.csv")
    rx = real.read("rx")
    assert (rx.height, rx["trx"].sum()) == (16_100, truth["scripts"].sum())
    assert real.read("touches").height == truth["detailing"].sum()
    assert real.read("hcp").height == 700
    assert (rx["period"].min(), rx["period"].max()) == ("2002-01", "2003-11")


def test_a_month_is_known_at_its_end_and_not_before(real):
    real.load()
    end = parse_instant("2003-07-01")
    for table in ("rx", "touches"):
        assert real.read(table, end)["occurred_at"].max() <= end
        assert real.read(table, end).height > real.read(table, end - 1).height
    assert real.read("rx", end)["period"].max() == "2003-06"
    assert real.read("rx", end - 1)["period"].max() == "2003-05"


def test_the_average_of_samples_over_the_whole_window_is_not_loaded(real):
    real.load()
    assert "mean_samples" not in real.read("hcp").columns
    assert not any(b"mean_samples" in path.read_bytes() for path in real.warehouse.rglob("*") if path.is_file())


def test_details_of_a_month_are_spread_over_it(desk):
    desk.write("detailing/feed.toml", FEED)
    desk.write("detailing/counts.csv", COUNTS + "7,2,5,2,0\n")
    desk.load()
    rows = desk.read("touches").select("touch_id", "hcp_id", "channel", "occurred_at", "received_at", "received_assumed").rows()
    assert rows == [
        (f"D0007-2002-02-{number}", "D0007", "call", parse_instant(day), parse_instant("2002-03-01"), True)
        for number, day in ((1, "2002-02-08"), (2, "2002-02-22"))
    ]


def test_a_month_more_adds_to_what_is_known_and_repeats_nothing(desk):
    desk.write("detailing/feed.toml", FEED)
    desk.write("detailing/counts.csv", COUNTS + "7,1,5,2,0\n")
    desk.load()
    desk.write("detailing/counts.csv", COUNTS + "7,1,5,2,0\n7,2,6,1,5\n")
    desk.load()
    assert (desk.read("rx").height, desk.read("touches").height) == (2, 3)


def test_bad_lines_go_to_quarantine_with_their_rule(desk):
    desk.write("detailing/counts.csv", COUNTS + "7,1,5,2,0\n7,2,-5,2,0\nx,3,5,2,0\n8,1.5,5,2,0\n9,1,5,,0\n7,1,6,2,0\n10,1,5,1,0\n")
    desk.load()
    told = dict(read_quarantine(desk.warehouse).select("line", "rules").iter_rows())
    assert told == {
        2: "conflicting_lines",
        3: "scripts|min",
        4: "id|regex",
        5: "month|not_a_whole_number",
        6: "detailing|nullability",
        7: "conflicting_lines",
    }
    assert desk.read("touches")["hcp_id"].to_list() == ["D0010"]


def test_what_the_set_does_not_say_is_stated_in_the_feed_file(desk):
    desk.write(
        "detailing/feed.toml",
        FEED + 'first_month = "2020-06"\nproduct = "x"\nhcp_zone = "America/Chicago"\nmatch_confidence = 0.97\npdrp = true\nsource = "assumed"\n',
    )
    desk.write("detailing/counts.csv", COUNTS + "7,1,5,2,0\n")
    desk.write("detailing/physicians.csv", "id,generalphys,specialist,mean_samples\n7,1,0,0.5\n")
    desk.load()
    assert desk.read("rx").select("product", "period").rows() == [("x", "2020-06")]
    assert desk.read("hcp").select("specialty", "zone", "match_confidence", "pdrp", "source").rows() == [
        ("general practice", "America/Chicago", 970_000, True, "assumed")
    ]


@pytest.mark.parametrize("setting", ['first_month = "June"', 'match_confidence = "high"', 'pdrp = "perhaps"', 'hcp_zone = "Mars"'])
def test_a_statement_that_cannot_be_read_is_refused(desk, setting):
    desk.write("detailing/feed.toml", FEED + setting)
    desk.write("detailing/counts.csv", COUNTS + "7,1,5,2,0\n")
    desk.write("detailing/physicians.csv", "id,generalphys,specialist,mean_samples\n7,1,0,0.5\n")
    with pytest.raises(IntakeError, match=setting.split()[0]):
        desk.load()


def test_an_erased_physician_is_left_out_of_every_table(real):
    real.erased.add("D0001")
    assert all(report.suppressed for report in real.load().files)
    assert all("D0001" not in real.read(table)["hcp_id"] for table in ("hcp", "rx", "touches"))
