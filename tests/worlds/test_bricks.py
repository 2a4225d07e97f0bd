"""A world may tell prescriptions of bricks only: whole practices together, by the same curve, and of nobody alone."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from remit.worlds import World, WorldError, read_world
from tests.worlds.test_description import SMALL
from tests.worlds.test_world import built, nothing

BRICKS = SMALL.replace("reports: {", "reports: {level: brick, physicians_each: 20, ")


def fingerprint() -> str:
    """Everything that seven weeks hand over."""
    world, digest = built(BRICKS), hashlib.sha256()
    for delivery in world.opening():
        digest.update(delivery.rows.write_csv().encode())
    for _ in range(7):
        for delivery in world.step(world.plan()).deliveries:
            digest.update(f"{delivery.feed}/{delivery.name}".encode() + delivery.rows.write_csv().encode())
    return digest.hexdigest()


def test_a_world_of_bricks_is_the_same_in_another_process() -> None:
    """Another process with another hash seed and one thread hands over the same bytes."""
    code = "from tests.worlds.test_bricks import fingerprint; print(fingerprint())"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "POLARS_MAX_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == fingerprint()


def test_bricks_are_whole_practices_and_master_data_name_them() -> None:
    """No practice lies in two bricks; a brick has about so many physicians as asked for, and its size is told."""
    world = built(BRICKS, 400)
    rows = next(delivery.rows for delivery in world.opening() if delivery.feed == "hcp")
    assert rows.group_by("practice_id").n_unique()["brick_id"].to_list() == [1] * rows["practice_id"].n_unique()
    sizes = rows.group_by("brick_id").len().sort("brick_id")
    assert sizes.height == pytest.approx(20, abs=2)
    assert sizes["len"].mean() == pytest.approx(20, rel=0.1)
    told = rows.select("brick_id", "brick_size").unique().sort("brick_id")
    assert told["brick_size"].to_list() == sizes["len"].to_list()


def test_nobody_is_told_of_alone_and_bricks_end_at_what_was_written() -> None:
    """The feed of physicians stays away; the last word on every brick, product and week adds up to the prescriptions that the same world tells of each."""
    exact = "covered: 1.0, taken_back: 0.0}"
    by_brick, by_hcp = (built(text.replace("5: 0.4}}", "5: 0.4}, " + exact)) for text in (BRICKS, SMALL))
    bricks, hcps = {}, {}
    for number in range(1, 16):
        first, second = by_brick.step(nothing()), by_hcp.step(nothing())
        assert {delivery.feed for delivery in first.deliveries} & {"rx", "brick_rx"} == ({"brick_rx"} if number >= 4 else set())
        for delivery in first.deliveries:
            if delivery.feed == "brick_rx":
                bricks.update({row[:3]: row[3] for row in delivery.rows.select("brick_id", "product", "period", "trx").iter_rows()})
        for delivery in second.deliveries:
            if delivery.feed == "rx":
                hcps.update({row[:3]: row[3] for row in delivery.rows.select("hcp_id", "product", "period", "trx").iter_rows()})
    home = dict(zip(by_brick.people.ids.to_list(), by_brick.people.brick.tolist(), strict=True))
    sums: dict[tuple[str, str, str], int] = {}
    for (hcp, product, period), trx in hcps.items():
        key = (f"B{home[hcp] + 1:05}", product, period)
        sums[key] = sums.get(key, 0) + trx
    assert bricks == sums


def test_a_world_of_bricks_goes_on_after_dump_and_load() -> None:
    """Weeks after loading are those that would have come."""
    world = built(BRICKS)
    for _ in range(6):
        world.step(world.plan())
    again = World.load(world.description, 200, 3, world.dump())
    first, second = world.step(world.plan()), again.step(again.plan())
    assert np.array_equal(first.expected, second.expected)
    assert all(one.rows.equals(other.rows) for one, other in zip(first.deliveries, second.deliveries, strict=True))


def test_a_level_that_is_none_and_a_brick_of_one_are_refused() -> None:
    """Both faults are told, each where it is."""
    with pytest.raises(WorldError) as told:
        read_world(SMALL.replace("reports: {", "reports: {level: postcode, "), "test.yaml")
    assert "reports.level" in str(told.value)
    with pytest.raises(WorldError) as told:
        read_world(BRICKS.replace("physicians_each: 20", "physicians_each: 1"), "test.yaml")
    assert "reports.physicians_each" in str(told.value)


def test_reps_who_tour_call_on_few_bricks_in_a_week_and_on_all_in_time() -> None:
    """With tours, calls of a week lie closer together than without, and no brick is left out over the year; tours without bricks are refused."""
    shares, toured = [], set()
    for tours in (0.0, 3.0):
        world = built(BRICKS.replace("topics:", f"tours: {tours}, topics:"), 400)
        brick = world.people.brick
        found = []
        for _ in range(30):
            called = world.plan().filter(pl.col("channel") == "call")["hcp_id"].str.slice(1).cast(pl.Int64).to_numpy() - 1
            counts = np.bincount(brick[called], minlength=20) / np.bincount(brick)
            found.append(float(np.var(counts)))
            toured |= set(brick[called].tolist()) if tours else set()
            world.step(world.plan())
        shares.append(float(np.mean(found)))
    assert shares[1] > 2 * shares[0]
    assert toured == set(range(int(brick.max()) + 1))
    with pytest.raises(WorldError, match="tours go by brick"):
        read_world(SMALL.replace("topics:", "tours: 1, topics:"), "test.yaml")
