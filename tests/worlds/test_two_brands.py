"""The two-brands country: deterministic, dirty on purpose, and with a response that can be found."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from remit.intake import Outcome, load, read, read_quarantine, state
from remit.terms.instants import WEEK, period_bounds
from remit.worlds import FIRST_CYCLE, two_brands
from remit.worlds.country import HCPS_PER_TERRITORY, settle
from remit.worlds.promotion import promote
from remit.worlds.two_brands import _written

DIGEST = (
    "import hashlib; from remit.worlds import two_brands; d = hashlib.sha256()\n"
    "for each in two_brands(300, 11, weeks=6): d.update(f'{each.feed}/{each.name}\\n{each.rows.write_csv()}'.encode())\n"
    "print(d.hexdigest())"
)


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """A country of 1,200 physicians and 20 weeks, loaded at its first cycle and at the four later ones."""
    root = tmp_path_factory.mktemp("country")
    deliveries = list(two_brands(1_200, 5, weeks=20))
    for each in deliveries:
        (root / "feeds" / each.feed).mkdir(parents=True, exist_ok=True)
        each.rows.write_csv(root / "feeds" / each.feed / f"{each.name}.csv")
    reports = [load(root / "feeds", root / "warehouse", FIRST_CYCLE + week * WEEK, os.urandom, lambda _: ()) for week in range(5)]
    return root / "warehouse", deliveries, reports


def test_the_same_seed_gives_the_same_bytes_in_any_process():
    told = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": salt, "POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt, threads in (("1", "1"), ("2", "2"))
    }
    digest = hashlib.sha256()
    for each in two_brands(300, 11, weeks=6):
        digest.update(f"{each.feed}/{each.name}\n{each.rows.write_csv()}".encode())
    assert told == {digest.hexdigest() + "\n"}


def test_another_seed_gives_another_country():
    first, second = ({(each.feed, each.name): each.rows for each in two_brands(200, seed, weeks=4)} for seed in (1, 2))
    assert first.keys() == second.keys()
    assert not first["rx", "history-01"].equals(second["rx", "history-01"])


def test_every_file_loads_and_about_one_line_in_two_hundred_is_bad(country):
    _, deliveries, reports = country
    outcomes = [report.having(outcome) for report in reports for outcome in (Outcome.REFUSED, Outcome.LOADED)]
    assert not any(outcomes[::2])
    assert sum(len(loaded) for loaded in outcomes[1::2]) == len(deliveries)
    lines = sum(each.rows.height for each in deliveries)
    assert 0.004 < sum(report.quarantined for report in reports) / lines < 0.008
    assert not reports[-1].missing


def test_the_dirt_is_of_several_kinds(country):
    rules = set(read_quarantine(country[0])["rules"].str.split(", ").explode())
    assert rules >= {
        "trx|min",
        "period|not_a_week_or_month",
        "hcp_id|nullability",
        "zone|known_zone",
        "overlapping_exclusive_alignment",
        "duplicate_line",
        "tier|nullability",
    }


def test_history_is_known_at_the_first_cycle_and_a_week_comes_before_each_later_one(country):
    warehouse, _, reports = country
    assert all(report.having(Outcome.LOADED) for report in reports)
    for week in range(5):
        now = FIRST_CYCLE + week * WEEK
        rx = read(warehouse, "rx", now)
        assert rx["occurred_at"].max() == now - WEEK - 6 * 3_600_000_000
        assert rx["received_at"].max() == now - 2 * 3_600_000_000
    assert read(warehouse, "rx", FIRST_CYCLE)["period"].n_unique() == 20
    assert read(warehouse, "rx", FIRST_CYCLE)["occurred_at"].max() == period_bounds("2025-W52")[1]


def test_a_week_of_prescriptions_grows_for_three_weeks_and_sometimes_shrinks(country):
    warehouse, _, _ = country
    first, last = (read(warehouse, "rx", FIRST_CYCLE + week * WEEK).filter(pl.col("period") == "2025-W52") for week in (0, 3))
    both = first.join(last, on=["hcp_id", "product"], suffix="_last")
    assert both.height == first.height
    assert 1.15 < both["trx_last"].sum() / both["trx"].sum() < 1.35
    earlier, later = (read(warehouse, "rx", FIRST_CYCLE + week * WEEK).select("hcp_id", "product", "period", "trx") for week in (0, 4))
    assert earlier.join(later, on=["hcp_id", "product", "period"], suffix="_later").filter(pl.col("trx_later") < pl.col("trx")).height > 0


def test_some_physicians_are_not_in_the_prescription_data_at_all(country):
    known = state(country[0], "hcp", FIRST_CYCLE).height
    assert 0.9 < read(country[0], "rx", FIRST_CYCLE)["hcp_id"].n_unique() / known < 0.98


def test_every_agent_finds_what_it_needs(country):
    warehouse, _, _ = country
    resources = set(state(warehouse, "resources", FIRST_CYCLE)["resource"])
    assert resources >= {"calls/T001", "sends", "budget/email", "samples/alpha", "supply/beta", "hours/msl"}
    content = state(warehouse, "content", FIRST_CYCLE)
    assert set(content["status"]) == {"approved", "draft", "withdrawn"}
    assert set(content["channel"]) == {"email", "call", "msl_visit"}
    consent = state(warehouse, "consent", FIRST_CYCLE)
    assert set(consent.select("channel", "status").unique().rows()) == {
        (channel, said) for channel in ("email", "call", "msl_visit") for said in ("opt_in", "opt_out")
    }
    inquiries = read(warehouse, "inquiries", FIRST_CYCLE)
    assert 0 < inquiries["answered_at"].null_count() < inquiries.height
    assert set(state(warehouse, "alignments", FIRST_CYCLE).select("sales_force", "exclusive").unique().rows()) == {("field", True), ("medical", False)}


def test_what_is_scarce_and_what_is_approved_changes_over_the_later_weeks(country):
    warehouse, _, _ = country
    supply = [state(warehouse, "resources", FIRST_CYCLE + week * WEEK).filter(pl.col("resource") == "supply/beta")["capacity"][0] for week in range(5)]
    assert supply[2] * 5 < supply[0] == supply[4]
    status = [state(warehouse, "content", FIRST_CYCLE + week * WEEK).filter(pl.col("content_id") == "alpha-email-3")["status"][0] for week in range(5)]
    assert status == ["draft", "draft", "approved", "approved", "approved"]
    opted_out = [state(warehouse, "consent", FIRST_CYCLE + week * WEEK).filter(pl.col("status") == "opt_out").height for week in (0, 4)]
    assert opted_out[0] < opted_out[1]


def test_people_are_as_the_country_says():
    country = settle(20_000, 3)
    assert country.ids.n_unique() == 20_000
    assert 0.03 < country.pdrp.mean() < 0.05
    assert np.mean(country.confidence >= 95) > 0.9
    assert country.confidence.min() < 60
    assert all(len(set(country.territory[country.practice == practice])) == 1 for practice in range(200))
    assert abs(country.size / country.territories - HCPS_PER_TERRITORY) < 10


def test_calls_follow_volume_and_not_response():
    country = settle(5_000, 3)
    calls = np.zeros(country.size)
    for week in range(20):
        touches = promote(country, week)
        np.add.at(calls, touches.hcp[(touches.channel == 0) & (touches.position == 1)], 1)
    by_volume = [calls[country.volume == volume].mean() for volume in range(6)]
    assert by_volume == sorted(by_volume)
    responsive = country.response[:, 0] > 0.5
    assert abs(calls[responsive].mean() / calls[~responsive].mean() - 1) < 0.15


def test_promotion_adds_where_there_is_response_and_saturates():
    country = settle(20_000, 3)

    def written(stock, responsive):
        return _written(country, 1, np.full((country.size, 2), float(stock)))[responsive, 0].mean()

    keen, cold = country.response[:, 0] > 1, country.response[:, 0] == 0
    assert written(4, cold) == pytest.approx(written(0, cold), rel=0.05)
    gains = [written(stock, keen) / written(0, keen) for stock in (1, 2, 4)]
    assert gains == pytest.approx([1 + 1.6 / 3, 1 + 1.6 / 2, 1 + 1.6 * 2 / 3], rel=0.08)


def test_files_stay_small_whatever_the_size_of_the_country():
    files = [each for each in two_brands(60_000, 1, weeks=4, later=1) if each.feed in ("rx", "touches")]
    assert [each.name for each in files if each.feed == "rx"] == ["history-02", "history-03", "history-04", "history-05", "2026-W03"]
    assert max(each.rows.height for each in files) < 60_000 * 3 * 2
