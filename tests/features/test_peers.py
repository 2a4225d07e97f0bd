"""What peers did: who counts, as of when, and whose prescribing shows nowhere."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from remit.features import of_peers, ties
from remit.runtime.countries import open_world
from remit.runtime.shelf import Shelf
from remit.terms.instants import FOREVER
from remit.worlds import World

SCHEMA = {
    "hcp_id": pl.String,
    "peer_id": pl.String,
    "kind": pl.String,
    "weight": pl.Int64,
    "valid_from": pl.Int64,
    "valid_to": pl.Int64,
    "received_at": pl.Int64,
}
FOUR = [("A", peer, "referral", 1, 0, FOREVER, 5) for peer in "BCDE"]


def tied(rows: list[tuple[object, ...]], as_of: int) -> list[tuple[str, str]]:
    return ties(pl.DataFrame(rows, schema=SCHEMA, orient="row"), as_of).rows()


def features(**changed: tuple[bool | None, float | None, float | None, float | None]) -> pl.DataFrame:
    """A names B, C, D and E; of each: pdrp, rx_frequency, rx_mean_2, rx_mean_13."""
    told = {
        "A": (False, 0.0, 0.0, 0.0),
        "B": (False, 1.0, 3.0, 2.0),
        "C": (False, 0.0, 0.0, 1.0),
        "D": (False, 0.5, 3.0, 1.0),
        "E": (False, 1.0, 2.0, 4.0),
    } | changed
    rows = [(hcp, "alpha", *values) for hcp, values in told.items()]
    return pl.DataFrame(rows, schema=["hcp_id", "product", "pdrp", "rx_frequency", "rx_mean_2", "rx_mean_13"], orient="row", infer_schema_length=None)


def of_a(frame: pl.DataFrame) -> tuple[float | None, float | None]:
    found = of_peers(frame, ties(pl.DataFrame(FOUR, schema=SCHEMA, orient="row"), 9))
    assert found.select("hcp_id", "product").equals(frame.select("hcp_id", "product"))
    return tuple(found.filter(hcp_id="A").select("peers_wrote", "peers_growth").row(0))  # type: ignore[return-value]  # two numbers


def test_a_tie_counts_from_its_receipt_and_while_it_holds() -> None:
    rows = [("A", "B", "referral", 1, 0, 20, 5), ("A", "C", "nomination", None, 0, FOREVER, 12), ("A", "B", "nomination", None, 0, FOREVER, 5)]
    assert tied(rows, 4) == []
    assert tied(rows, 10) == [("A", "B")]
    assert tied(rows[:2], 25) == [("A", "C")]
    assert tied([*rows[:1], ("A", "B", "referral", 1, 0, 8, 9)], 10) == []


def test_the_share_who_wrote_and_the_growth_are_those_of_the_peers_together() -> None:
    assert of_a(features()) == (0.75, 1.0)
    assert of_a(features(E=(False, 1.0, 6.0, 4.0))) == (0.75, 1.5)
    assert of_peers(features(), ties(pl.DataFrame(FOUR, schema=SCHEMA, orient="row"), 9)).filter(pl.col("hcp_id") != "A")["peers_wrote"].null_count() == 4


@pytest.mark.parametrize("pdrp", [True, None])
def test_a_peer_under_pdrp_shows_in_nothing(pdrp: bool | None) -> None:
    """Whatever it prescribed, the bytes are the same: those without it."""
    found = [of_peers(features(B=(pdrp, *values)), ties(pl.DataFrame(FOUR, schema=SCHEMA, orient="row"), 9)) for values in ((1.0, 9.0, 1.0), (0.0, 0.0, 0.0))]
    assert_frame_equal(*found)
    assert of_a(features(B=(pdrp, 1.0, 9.0, 1.0))) == (2 / 3, 5 / 6)


def test_of_fewer_than_three_peers_nothing_is_told() -> None:
    """A share of one or two would tell of each; one of whom nothing is known does not count."""
    assert of_a(features(B=(True, 1.0, 3.0, 2.0), C=(False, None, None, None))) == (None, None)


def test_the_order_of_rows_changes_nothing() -> None:
    frame, known = features(), ties(pl.DataFrame(FOUR, schema=SCHEMA, orient="row"), 9)
    assert_frame_equal(of_peers(frame.reverse(), known.reverse()).reverse(), of_peers(frame, known))


def test_a_world_with_a_network_delivers_it_and_one_without_does_not() -> None:
    """Each tie of the truth is in the feed, known since the history began; week by week a row says that the feed is alive."""
    for name in ("peers", "quickstart"):
        world = World.build(open_world(name), 60, 1)
        shelf, since = Shelf("UTC"), world.now
        shelf.add(world.opening(), since)
        shelf.add(world.step(world.plan()).deliveries, world.now)
        people = world.people
        truth = {(people.ids[hcp], people.ids[int(peer)]) for hcp in range(people.size) for peer in people.peers[hcp] if int(peer) != hcp}
        assert set(ties(shelf.read("peers", since), since).rows()) == truth
        assert bool(truth) == (name == "peers")
        assert ("peers" in shelf.loads(world.now)) == (name == "peers")
