"""A world is the same everywhere, does what its description says, and takes nothing that is not its own."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from remit.worlds import ACTIONS, World, WorldError, read_world
from tests.worlds.test_description import SMALL

HISTORY = 52


def built(text: str = SMALL, physicians: int = 200, seed: int = 3) -> World:
    return World.build(read_world(text, "test.yaml"), physicians, seed)


def lived(world: World, weeks: int) -> World:
    for _ in range(weeks):
        world.step(world.plan())
    return world


def nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=ACTIONS)


def called(world: World, who: list[int], **more: object) -> pl.DataFrame:
    rows = {"hcp_id": world.people.ids.gather(who), "channel": "call", "product": "ours", "content_id": "ours-detail-efficacy", "position": 1, "decision": None}
    return pl.DataFrame({**rows, **more}, schema=ACTIONS)


def fingerprint() -> str:
    """Everything that six weeks hand over, and the state they leave."""
    world, digest = built(), hashlib.sha256()
    for delivery in world.opening():
        digest.update(delivery.rows.write_csv().encode())
    for _ in range(6):
        for delivery in world.step(world.plan()).deliveries:
            digest.update(f"{delivery.feed}/{delivery.name}".encode() + delivery.rows.write_csv().encode())
    return digest.hexdigest()


def test_a_world_is_the_same_in_another_process() -> None:
    """Another process with another hash seed and one thread hands over the same bytes."""
    code = "from tests.worlds.test_world import fingerprint; print(fingerprint())"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "POLARS_MAX_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == fingerprint()


def test_a_world_goes_on_after_dump_and_load_as_if_nothing_had_been() -> None:
    """Weeks after loading are those that would have come."""
    world = lived(built(), 8)
    again = World.load(world.description, 200, 3, world.dump())
    first, second = world.step(world.plan()), again.step(again.plan())
    assert [d.rows.to_dicts() for d in first.deliveries] == [d.rows.to_dicts() for d in second.deliveries]
    assert world.dump() == again.dump()


@pytest.mark.parametrize("feed", ["touches", "rx", "inquiries", "consent"])
def test_what_a_stopped_feed_holds_back_is_kept_too(feed: str) -> None:
    """Withheld files, empty ones among them, come out of a dumped world as they went in."""
    text = SMALL + f"events: [{{kind: feed_stops, week: -50, weeks: 4, feed: {feed}}}]\n"
    world = built(text)
    for _ in range(4):
        world.step(nothing())
    again = World.load(world.description, 200, 3, world.dump())
    for _ in range(3):
        first, second = world.step(nothing()), again.step(nothing())
        assert [(d.feed, d.name, d.rows.write_csv()) for d in first.deliveries] == [(d.feed, d.name, d.rows.write_csv()) for d in second.deliveries]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 torn", lambda world: world.dump()[:-200]])
def test_a_torn_state_is_refused(data: object) -> None:
    """Bytes that are no state say so."""
    world = built()
    with pytest.raises(WorldError, match="cannot be read"):
        World.load(world.description, 200, 3, data(world) if callable(data) else data)  # type: ignore[arg-type]


def test_a_copy_lives_a_life_of_its_own() -> None:
    """What a copy does changes nothing in the world it was copied from."""
    world = lived(built(), 4)
    before = world.dump()
    copy = world.copy()
    copy.step(called(copy, [0, 1, 2]))
    assert world.dump() == before
    assert copy.week == world.week + 1


def test_a_call_adds_what_the_equations_say() -> None:
    """The expected gain of one call, summed over the weeks after it, is the response that the world tells its oracle."""
    world = built(SMALL.replace("promotion: {topics: {efficacy: 1.0}}", "promotion: {topics: {efficacy: 1.0}, fatigue: 0.0}"))
    told = world.responses(1, 8).filter((pl.col("channel") == "call") & (pl.col("product") == "ours")).sort("hcp_id")["increment"].to_numpy() / 1e6
    with_it, without = world.copy(), world.copy()
    gain = np.zeros(200)
    for week in range(8):
        acts = called(with_it, list(range(200))) if week == 0 else nothing()
        gain += (with_it.step(acts).expected - without.step(nothing()).expected)[:, 0]
    assert gain == pytest.approx(told, rel=1e-6, abs=1e-6)


def test_a_second_touch_adds_less_and_pressure_wears_response_out() -> None:
    """Diminishing returns, and fatigue beyond the tolerance."""
    world = built(SMALL.replace("efficacy: 1.0}}", "efficacy: 1.0}, fatigue: 0.5, tolerance: 3}"))
    increments = world.responses(3, 4).filter(channel="call").group_by("touch", maintain_order=True).agg(pl.col("increment").sum()).sort("touch")["increment"]
    assert increments.is_sorted(descending=True)
    pressed = world.copy()
    for _ in range(12):
        pressed.step(pl.concat([called(pressed, list(range(200)))] * 3))
    rested = world.copy()
    for _ in range(12):
        rested.step(called(rested, list(range(200))))
    last_pressed, last_rested = (w.step(nothing()).expected[:, 0].sum() for w in (pressed, rested))
    assert last_pressed < last_rested


def test_neighbours_gain_from_a_call_only_where_peers_have_influence() -> None:
    """With influence, those who were not called on gain a week later."""
    for influence, gains in ((0.0, False), (0.8, True)):
        world = built(SMALL + f"peers: {{degree: 6, influence: {influence}}}\n")
        other = world.copy()
        who = list(range(0, 200, 2))
        for acts in (called(world, who), nothing()):
            gained = world.step(acts).expected[:, 0] - other.step(nothing()).expected[:, 0]
        assert bool((gained[1::2] > 1e-9).any()) is gains


def test_reports_come_late_by_the_curve_and_end_at_what_was_written() -> None:
    """Nothing is known before the fourth week; in the end the reports add up to the prescriptions, as far as physicians are covered."""
    world = built(SMALL.replace("weeks_late: {4: 0.6, 5: 0.4}", "weeks_late: {4: 0.6, 5: 0.4}, covered: 1.0, taken_back: 0.0"), 400)
    expected, told = [], {}
    for number in range(1, 40):
        week = world.step(nothing())
        expected.append(week.expected.sum())
        rows = [delivery.rows for delivery in week.deliveries if delivery.feed == "rx"]
        assert bool(rows) is (number >= 4)
        for row in rows:
            told.update({(hcp, product, period): trx for hcp, product, period, trx in row.select("hcp_id", "product", "period", "trx").iter_rows()})
    weeks = 35
    assert sum(told.values()) == pytest.approx(sum(expected[:weeks]), rel=0.05)


@pytest.mark.parametrize(
    ("event", "check"),
    [
        ("{kind: competitor, week: -40, product: theirs, share: 0.5}", lambda before, after: after[:, 0].sum() < 0.6 * before[:, 0].sum()),
        ("{kind: formulary, week: -45, product: ours, share: 1.0, tier: restricted}", lambda before, after: after[:, 0].sum() < 0.75 * before[:, 0].sum()),
    ],
)
def test_events_change_what_is_prescribed(event: str, check: object) -> None:
    """A rival takes its share; a place lost on the formulary costs prescriptions."""
    plain, with_event = built(), built(SMALL + f"events: [{event}]\n")
    for _ in range(40):
        before, after = plain.step(nothing()).expected, with_event.step(nothing()).expected
    assert check(before, after)  # type: ignore[operator]


def test_a_feed_that_stops_hands_over_nothing_and_then_everything() -> None:
    """During the six weeks no prescriptions come; afterwards they come together, received then and in order."""
    world = built(SMALL + "events: [{kind: feed_stops, week: -40, weeks: 6, feed: rx}]\n")
    counts = []
    for _ in range(20):
        week = world.step(world.plan())
        files = [delivery for delivery in week.deliveries if delivery.feed == "rx"]
        counts.append(len(files))
        received = [each.rows["received_at"][0] for each in files]
        assert received == sorted(set(received))
    assert counts[11:17] == [0] * 6
    assert counts[17] == 7


def test_a_vendor_restates_half_a_year_downward() -> None:
    """In the week of the event the vendor tells lower counts of past weeks, for that product alone."""
    world = built(SMALL + "events: [{kind: restatement, week: -12, weeks: 26, product: ours, factor: 0.5}]\n")
    for _ in range(39):
        world.step(nothing())
    rows = next(delivery.rows for delivery in world.step(nothing()).deliveries if delivery.feed == "rx")
    assert rows.filter(product="ours")["period"].n_unique() > 15
    assert rows.filter(product="theirs")["period"].n_unique() <= 2


def test_opt_outs_are_told_and_kept() -> None:
    """Whoever leaves a channel is told in the consent feed of that week, and the plain call plan leaves them alone."""
    world = built(SMALL.replace("opt_out: 0.1}}", "opt_out: 0.1, leaving_a_week: 0.05}}"))
    left: set[tuple[str, str]] = set()
    for _ in range(10):
        plan = world.plan()
        assert not left & set(plan.select("hcp_id", "channel").iter_rows())
        news = next(delivery.rows for delivery in world.step(plan).deliveries if delivery.feed == "consent")
        left |= set(news.filter(status="opt_out").select("hcp_id", "channel").iter_rows())
    assert len(left) > 50


def test_actions_that_are_not_of_the_world_are_refused_by_name() -> None:
    """An unknown HCP, channel or product is named, and the week is not lived."""
    world = built()
    wrong = pl.concat([called(world, [1]), called(world, [2], product="theirs"), called(world, [3], channel="fax")])
    with pytest.raises(WorldError, match="2 actions") as caught:
        world.step(wrong)
    assert "fax" in str(caught.value)
    assert world.week == -HISTORY


def test_a_world_needs_ten_physicians() -> None:
    """Fewer are refused."""
    with pytest.raises(WorldError, match="too small"):
        built(physicians=9)
