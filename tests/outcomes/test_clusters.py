"""Clusters of peers: few ties between them, a bound on their size, the same in any order; and where who is new belongs."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.outcomes import between, clusters, joined


def tied(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(pairs), schema={"source": pl.String, "target": pl.String}, orient="row")


def clique(names: str) -> list[tuple[str, str]]:
    return [(one, other) for one in names for other in names if one < other]


def together(found: pl.DataFrame) -> list[str]:
    return ["".join(part["hcp_id"]) for _, part in found.group_by("cluster", maintain_order=True)]


def test_cliques_are_found_and_who_has_no_ties_is_alone() -> None:
    ties = tied(*clique("ABCD"), *clique("EFGH"), ("D", "E"), ("A", "X"))
    assert together(clusters(pl.Series(list("HGFEDCBAZ")), ties, 4)) == ["ABCD", "EFGH", "Z"]


def test_without_room_for_a_clique_it_is_cut() -> None:
    sizes = clusters(pl.Series(list("ABCDEF")), tied(*clique("ABCDEF")), 3).group_by("cluster").len()["len"]
    assert sizes.max() == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=120), st.integers(1, 12), st.randoms())
def test_everybody_is_in_one_cluster_within_the_bound_in_any_order(pairs: list[tuple[int, int]], most: int, shuffle: object) -> None:
    hcps = [f"H{number:02d}" for number in range(25)]
    ties = [(f"H{one:02d}", f"H{other:02d}") for one, other in pairs if one != other]
    found = clusters(pl.Series(hcps), tied(*ties), most)
    assert found["hcp_id"].to_list() == hcps
    assert found.group_by("cluster").len()["len"].max() <= most  # type: ignore[operator]  # a number
    assert found["cluster"].unique(maintain_order=True).to_list() == list(range(found["cluster"].n_unique()))
    shuffle.shuffle(ties)  # type: ignore[attr-defined]  # a source of randomness
    shuffle.shuffle(hcps)  # type: ignore[attr-defined]
    assert clusters(pl.Series(hcps), tied(*ties), most).equals(found)


def test_neighbours_on_a_ring_are_found_whatever_their_names() -> None:
    """Each follows the three after them: blocks of twenty cut 10% of the ties, clusters drawn at random nearly all."""
    names = np.random.default_rng(5).permutation([f"H{number:03d}" for number in range(600)])
    ties = tied(*((str(names[at]), str(names[(at + step) % 600])) for at in range(600) for step in (1, 2, 3)))
    found = clusters(pl.Series(names), ties, 20)
    cut = between(ties, found, "cluster")
    assert cut is not None
    assert cut < 0.18
    assert 30 <= found["cluster"].n_unique() <= 60


def test_who_is_new_joins_where_most_ties_lead_also_through_others_who_are_new() -> None:
    units = pl.DataFrame({"hcp_id": list("ABCD"), "unit": ["one", "one", "two", "two"]})
    ties = tied(("N", "A"), ("B", "N"), ("C", "N"), ("M", "N"), ("O", "C"), ("O", "A"), ("P", "Q"))
    assert joined(pl.Series(list("MNOPQ")), ties, units, 9).rows() == [("M", "one"), ("N", "one"), ("O", "one")]


def test_ties_between_sides_are_counted_where_both_ends_are_known() -> None:
    units = pl.DataFrame({"hcp_id": list("ABC"), "unit": ["one", "one", "two"]})
    assert between(tied(("A", "B"), ("A", "C"), ("A", "X")), units) == pytest.approx(0.5)
    assert between(tied(("A", "X")), units) is None


def test_who_finds_no_room_joins_none() -> None:
    """Nine who all follow one HCP of a unit with room for two more: two join, those with the most ties and first by id."""
    new = pl.Series(list("BCDEFGHIJ"))
    ties = pl.DataFrame({"source": [*new, "J"], "target": ["A"] * 10})
    assert joined(new, ties, pl.DataFrame({"hcp_id": ["A"], "unit": ["one"]}), 3).rows() == [("B", "one"), ("J", "one")]
