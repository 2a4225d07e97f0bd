"""Segments in a cycle: agents for promotion see them, and what they took up comes first."""

from dataclasses import replace

import polars as pl

from remit.models.segments import segment, uptake
from remit.runtime.countries import open_world
from remit.runtime.cycle import proposed
from remit.runtime.inputs import observe
from remit.runtime.simulating import _inputs, burn_in
from remit.runtime.training import feature_catalogue


def test_a_cycle_with_segments_proposes_first_what_each_segment_took_up_most_and_the_same_visits() -> None:
    """E-mails of the quickstart world, whose touches say what they carried; without segments nothing is preferred."""
    company = burn_in(open_world("quickstart"), 200, 3, 0).company
    plain = replace(_inputs(company, 1), responses=company.world.responses(1, 13))
    features = observe(company.shelf, company.config.settings, company.world.now)
    members = segment(features, feature_catalogue(company.config.settings), channels=["call", "email"], expected=plain.responses).members
    rates = uptake(members, company.shelf.read("touches", company.world.now))
    assert set(rates["segment"]) == set(members["segment"])
    before, after = (proposed(inputs, lambda _: None)[0] for inputs in (plain, replace(plain, segments=members, uptake=rates)))
    keys = ["hcp_id", "product", "touch"]
    mails = [rows.filter(pl.col("channel") == "email") for rows in (before, after)]
    assert mails[0].group_by(keys).agg(pl.col("value").n_unique())["value"].max() == 1
    best = mails[1].sort("value", descending=True).unique(keys, keep="first", maintain_order=True).join(members, on="hcp_id")
    most = rates.filter(channel="email").sort("rate", "content_id", descending=[True, False]).unique(["segment", "product"], keep="first", maintain_order=True)
    told = best.join(most, on=["segment", "product"], suffix="_most")
    assert told.height > 50
    assert (told["content_id"] == told["content_id_most"]).all()
    visits = [rows.filter(pl.col("channel") == "msl_visit").drop("number").sort("hcp_id", "product") for rows in (before, after)]
    assert visits[0].height > 0
    assert visits[0].equals(visits[1])
