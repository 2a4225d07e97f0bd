"""Acting to learn: tries and rests come as often as they are said to, take nothing from what was chosen, and are the same in every process."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from remit.authority import Table
from remit.runtime.countries import company_texts, open_world
from remit.runtime.exploring import Explored, explore
from remit.runtime.workspace import Config, read_config
from remit.terms.encoding import MICRO
from remit.terms.instants import WEEK

HCPS = 60
VALUES = {"kappa": 10_000, "lambda": 10_000}
START = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def company() -> Config:
    """A company whose table lets e-mails be tried (0.1) and left out (0.02)."""
    return read_config(company_texts(open_world("nothing"), 1))


def judged(chosen: list[int], *, ruling: str = "autonomous", channel: str = "email", agent: str = "email") -> pl.DataFrame:
    """A proposal about kappa for each HCP, expected to lose a little; those of the HCPs in `chosen` are chosen."""
    return pl.DataFrame(
        {
            "hcp_id": [f"H{number:04d}" for number in range(HCPS)],
            "agent": agent,
            "channel": channel,
            "product": "kappa",
            "content_id": "kappa-1",
            "communication_type": "promotional",
            "purpose": "promotional",
            "touch": 1,
            "value": -100_000,
            "exclusion": None,
            "mandatory": False,
            "territory": None,
            "allowance": 2,
            "ruling": ruling,
            "number": range(HCPS),
            "chosen": [number in chosen for number in range(HCPS)],
            "call_number": [1 if channel == "call" and number in chosen else 0 for number in range(HCPS)],
        },
        schema_overrides={"exclusion": pl.String, "territory": pl.String, "touch": pl.Int64, "value": pl.Int64, "number": pl.Int64, "call_number": pl.Int64},
    )


def responses(low: int, high: int) -> pl.DataFrame:
    """What an e-mail adds, the same for all: it is sure to be something, and lies between `low` and `high` micro-units nine times in ten."""
    hcps = [f"H{number:04d}" for number in range(HCPS)]
    return pl.DataFrame(
        {"hcp_id": hcps, "product": "kappa", "channel": "email", "touch": 1, "increment": (low + high) // 2, "low": low, "high": high},
        schema_overrides={"touch": pl.Int64},
    )


def explored(
    company: Config, frame: pl.DataFrame, week: int = 0, *, sends: int = 1_000, told: pl.DataFrame | None = None, table: Table | None = None
) -> Explored:
    """What is explored of `frame` in one week, with `sends` e-mails left."""
    known = responses(-2_000, 2_000 + 2 * 10_000) if told is None else told
    free = {"sends": sends * MICRO, "budget/email": 10**15}
    now = START + week * WEEK
    contacts = frame.filter("chosen").group_by("hcp_id", "channel").agg(contacts=pl.len().cast(pl.Int64))
    return explore(frame, contacts, table or company.table(now), company.charters, company.settings, free, known, VALUES, now)


def test_each_comes_as_often_as_its_probability_says(company: Config) -> None:
    """Over 150 weeks, rests of 2% and tries of whatever was recorded come within four standard errors; nobody is tried for certain, nor never."""
    frame, weeks = judged(list(range(20))), 150
    tried, rested, wanted = Counter[int](), 0, np.zeros(HCPS)
    for week in range(weeks):
        found = explored(company, frame, week)
        assert not found.tried[:20].any()
        assert not found.rested[20:].any()
        assert (found.probability[:20] == 980_000).all()
        tried.update(np.flatnonzero(found.tried).tolist())
        rested += int(found.rested.sum())
        wanted += found.probability / MICRO
    assert rested == pytest.approx(20 * weeks * 0.02, abs=4 * np.sqrt(20 * weeks * 0.02))
    share = wanted[20:] / weeks
    assert 0 < share.min() <= share.max() <= 0.1
    for at in range(20, HCPS):
        assert tried[at] == pytest.approx(share[at - 20] * weeks, abs=4 * np.sqrt(share[at - 20] * weeks) + 1)


def test_what_is_likelier_to_pay_is_tried_oftener(company: Config) -> None:
    """The probability is the table's times the chance to be worth the cost: nearly the whole where it surely pays, half where even, next to none where not."""
    told = responses(9_400, 10_600)
    sure, even, hardly = (explored(company, judged([]).with_columns(value=pl.lit(value)), told=told).probability for value in (100_000, 0, -100_000))
    assert sure.tolist() == pytest.approx([100_000] * HCPS, rel=0.01)
    assert set(even.tolist()) == {50_000}
    assert 0 < hardly.max() < 1_000


def test_tries_hold_every_limit(company: Config) -> None:
    """No more than the sends that are left, none for whoever has no contact left or was chosen for the same, none that a person must confirm."""
    sure = responses(20_000, 40_000)
    generous = replace(company.table(START), exploration=(replace(company.table(START).exploration[0], tries=490_000),))
    counts = [int(explored(company, judged([]), week, sends=7, told=sure, table=generous).tried.sum()) for week in range(50)]
    assert max(counts) <= 7 < HCPS * 0.49
    assert min(counts) >= 6
    spent = judged([]).with_columns(allowance=pl.lit(0))
    assert not explored(company, spent, told=sure).probability.any()
    assert not explored(company, judged([], ruling="confirm"), told=sure).probability.any()
    assert not explored(company, judged([], ruling="forbidden"), told=sure).probability.any()
    assert not explored(company, judged([], agent="calls-kappa", channel="call"), told=sure).probability.any()


def test_nothing_is_tried_without_leave_or_knowledge(company: Config) -> None:
    """A table without exploration changes nothing; a channel of which nothing is known to change is not tried."""
    frame = judged([0, 1])
    found = explored(company, frame, table=replace(company.table(START), exploration=()))
    assert found.probability.tolist() == [MICRO, MICRO, *[0] * (HCPS - 2)]
    assert not explored(company, frame, told=responses(0, 0).clear()).tried.any()


def test_a_call_rests_as_a_whole(company: Config) -> None:
    """Two details of one call are both made or both left out."""
    table = company.table(START)
    calls = replace(table, exploration=(replace(table.exploration[0], expression=pl.col("channel") == "call", rests=300_000),))
    first = judged(list(range(HCPS)), agent="calls-kappa", channel="call")
    both = pl.concat([first, first.with_columns(product=pl.lit("lambda"))]).sort("hcp_id", "product").with_columns(number=pl.int_range(pl.len()))
    rested = explored(company, both, table=calls).rested.reshape(-1, 2)
    assert (rested[:, 0] == rested[:, 1]).all()
    assert 0 < rested[:, 0].sum() < HCPS


def test_the_same_week_draws_the_same_and_the_next_another(company: Config) -> None:
    """Draws depend on seed and instant alone."""
    frame = judged(list(range(30)))
    once, again, next_week = (explored(company, frame, week) for week in (3, 3, 4))
    told = [(found.tried.tolist(), found.rested.tolist(), found.probability.tolist()) for found in (once, again, next_week)]
    assert told[0] == told[1]
    assert told[0][:2] != told[2][:2]
