"""A company in a market of bricks: it learns from whole bricks, and knows how old their reports are."""

from dataclasses import replace

import polars as pl
import pytest

from remit.runtime import training
from remit.runtime.countries import open_world
from remit.runtime.inputs import observe
from remit.runtime.simulating import Past, _inputs, burn_in
from remit.terms.instants import HOUR


@pytest.fixture(scope="module")
def past() -> Past:
    """The European market at its first cycle, small."""
    return burn_in(open_world("europe"), 160, 1, 0)


def test_a_sample_takes_bricks_whole(past: Past) -> None:
    """Half of the physicians: of every brick all or nobody; without bricks, every second physician."""
    settings = replace(past.company.config.settings, train_on=80)
    hcp = past.company.shelf.state("hcp", past.world.now)
    chosen = training.sample(hcp, settings)
    sizes = hcp.with_columns(mine=pl.col("hcp_id").is_in(chosen)).group_by("brick_id").agg(pl.col("mine").mean())
    assert set(sizes["mine"]) == {0.0, 1.0}
    assert 40 <= len(chosen) <= 110
    alone = hcp.with_columns(brick_id=pl.lit(None, pl.String))
    assert training.sample(alone, settings) == hcp["hcp_id"].unique().sort().gather_every(2).to_list()


def test_the_reports_of_bricks_are_the_prescription_feed(past: Past) -> None:
    """Their age is that of the feed of prescriptions, and every physician has a newest period."""
    inputs = _inputs(past.company.copy(), 1)
    assert "rx" not in inputs.known.feed_age_h
    assert inputs.known.feed_age_h["brick_rx"] < 24
    assert inputs.known.scores["rx_at"].null_count() == 0
    features = observe(past.company.shelf, past.company.config.settings, past.world.now)
    assert features["rx_feed_age_us"].max() < 24 * HOUR  # type: ignore[operator]  # a number
    assert features["rx_of_brick"].all()
    assert past.company.models is not None
    assert past.company.models.response.facts["bricks"] > 5
