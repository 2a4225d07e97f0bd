"""The tree against the RFC's recursive definition, the published vectors, and altered proofs."""

from hypothesis import given
from hypothesis import strategies as st

from remit.ledger.merkle import (
    EMPTY,
    KEPT,
    Frontier,
    consistency_path,
    extends,
    includes,
    inclusion_path,
    leaf_hash,
    leaf_hashes,
    levels,
    node_hash,
)

VECTOR = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def tree_hash(hashes: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return node_hash(tree_hash(hashes[:half]), tree_hash(hashes[half:]))


def leaves(count: int) -> list[bytes]:
    return leaf_hashes(number.to_bytes(4) for number in range(count))


def test_roots_are_those_of_the_published_vectors() -> None:
    for size, root in ROOTS.items():
        edge = Frontier()
        edge.extend([leaf_hash(bytes.fromhex(data)) for data in VECTOR[:size]])
        assert edge.root().hex() == root
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(st.integers(0, 700), max_size=6))
def test_a_tree_grown_in_any_steps_has_the_root_of_the_definition(steps: list[int]) -> None:
    hashes, edge, kept = leaves(sum(steps)), Frontier(), {}
    for step in steps:
        kept.update({(height, position): value for height, position, value in edge.extend(hashes[edge.size : edge.size + step])})
    assert edge.root() == tree_hash(hashes)
    assert kept == {(KEPT, place): tree_hash(hashes[place << KEPT : (place + 1) << KEPT]) for place in range(len(hashes) >> KEPT)}


@given(st.integers(1, 300))
def test_a_tree_taken_up_from_its_nodes_grows_like_the_one_that_made_them(size: int) -> None:
    hashes = leaves(size + 37)
    whole = levels(hashes[:size])
    edge = Frontier.of(size, lambda height, place: whole[height][place])
    edge.extend(hashes[size:])
    assert edge.root() == tree_hash(hashes)


@given(st.integers(1, 300), st.data())
def test_an_inclusion_proof_holds_for_its_leaf_and_for_no_other(size: int, data: st.DataObject) -> None:
    hashes, index = leaves(size), data.draw(st.integers(0, size - 1))
    whole, root = levels(hashes), tree_hash(hashes)
    path = inclusion_path(index, size, lambda height, place: whole[height][place])
    assert includes(hashes[index], index, size, path, root)
    assert not includes(leaf_hash(b"other"), index, size, path, root)
    assert not includes(hashes[index], size, size, path, root)
    assert not includes(hashes[index], index, size, [*path, root], root)
    if path:
        assert not includes(hashes[index], index, size, path[:-1], root)
        assert not includes(hashes[index], index ^ 1, size, path, root)


@given(st.integers(1, 300), st.data())
def test_a_consistency_proof_holds_for_its_trees_and_for_no_others(size: int, data: st.DataObject) -> None:
    hashes, old = leaves(size), data.draw(st.integers(1, size))
    whole, root, old_root = levels(hashes), tree_hash(hashes), tree_hash(hashes[:old])
    path = consistency_path(old, size, lambda height, place: whole[height][place])
    assert extends(old, old_root, size, root, path)
    assert not extends(old, leaf_hash(b"other"), size, root, path)
    assert not extends(old, old_root, size, leaf_hash(b"other"), path)
    assert not extends(old, old_root, size, root, [*path, root])
    if path:
        assert not extends(old, old_root, size, root, path[:-1])
        assert not extends(old, old_root, size, root, [leaf_hash(b"other"), *path[1:]])


def test_every_log_extends_the_empty_one_only_without_a_proof() -> None:
    root = tree_hash(leaves(5))
    assert extends(0, EMPTY, 5, root, [])
    assert not extends(0, EMPTY, 5, root, [root])
    assert not extends(0, root, 5, root, [])
