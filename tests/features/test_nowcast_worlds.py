"""Nowcasts in a small world whose reports come four to seven weeks late: also where the feed stops and where a vendor restates."""

from collections.abc import Mapping
from functools import cache

import polars as pl
import pytest

from benchmarks.nowcast_worlds import Setting, difference, judged, lived, setting
from remit.features.nowcast import score

WEEKS = (4, 7, 10, 13)
PHYSICIANS = 300


@cache
def _lived(name: str) -> Mapping[str, pl.DataFrame]:
    return lived(_setting(name), PHYSICIANS, 5)


def _setting(name: str) -> Setting:
    return Setting(setting(name).text + "\nhistory_weeks: 36\n", weeks=WEEKS)


@pytest.mark.parametrize("name", ["nothing", "feed silent for six weeks"])
def test_it_beats_the_report_and_both_chain_ladders(name: str) -> None:
    """Over all unsettled weeks the error is surely below that of the report and of the plain chain ladder, and below the chain ladder carried forward."""
    rows = judged(_setting(name), [_lived(name)], leading=False)
    assert difference(rows, "expected", "reported")[2] < 0
    assert difference(rows, "expected", "chain_ladder")[2] < 0
    assert difference(rows, "expected", "carried")[0] < 0
    assert score(rows).coverage >= 0.8


def test_a_restatement_downward_is_followed_and_leaves_other_products_alone() -> None:
    """After a product was restated, its nowcasts are closer to the new finals than report and chain ladders are; others are told as if nothing had happened."""
    name = "half a year restated to 80%"
    rows = judged(_setting(name), [_lived(name)], leading=False)
    usual = judged(_setting("nothing"), [_lived("nothing")], leading=False)
    moved = rows.filter(product="lambda")
    assert difference(moved, "expected", "reported")[2] < 0
    assert difference(moved, "expected", "chain_ladder")[2] < 0
    assert difference(moved, "expected", "carried")[0] < 0
    for product in ("kappa", "mu"):
        assert score(rows.filter(product=product)).error["expected"] < 1.5 * score(usual.filter(product=product)).error["expected"]
