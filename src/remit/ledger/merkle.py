"""The Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1: roots, inclusion and consistency proofs, and their verification. Pure.

A leaf's hash is SHA-256(0x00 || data), a node's SHA-256(0x01 || left || right). A complete subtree is named by its height and its position among
the subtrees of that height, from the left; `Complete` gives its hash, from memory or from a store.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

Complete = Callable[[int, int], bytes]
"""The hash of the complete subtree of a height at a position."""

KEPT = 8
"""A store keeps the leaf hashes and the nodes of every height that is a multiple of this: a proof then needs at most a few hundred of them."""

EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def leaf_hashes(data: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each."""
    return [sha256(b"\x00" + item).digest() for item in data]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of the complete subtree over 2^k hashes of equal height."""
    level = list(hashes)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def levels(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """All complete subtrees over the leaves `hashes`: element [height][position] is one's hash."""
    above = [list(hashes)]
    while len(above[-1]) > 1:
        above.append(_parents(above[-1]))
    return above


def _parents(level: Sequence[bytes]) -> list[bytes]:
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]


class Frontier:
    """The right edge of a growing tree: enough to take more leaves and to tell the root at every size, in memory that grows with its logarithm."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes | None] = []

    @classmethod
    def of(cls, size: int, complete: Complete) -> "Frontier":
        """The edge of the tree of `size` leaves that `complete` knows."""
        edge = cls()
        edge.size = size
        edge._peaks = [complete(height, (size >> height) - 1) if size >> height & 1 else None for height in range(size.bit_length())]
        return edge

    def copy(self) -> "Frontier":
        """Another that may be extended apart from this."""
        edge = Frontier()
        edge.size, edge._peaks = self.size, list(self._peaks)
        return edge

    def extend(self, hashes: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Takes more leaf hashes, a level of the tree at a time. Returns (height, position, hash) of those complete subtrees that this closed and whose
        height is a multiple of `KEPT`."""
        kept, rising, height = [], list(hashes), 0
        while rising:
            if height == len(self._peaks):
                self._peaks.append(None)
            if height and height % KEPT == 0:
                kept += [(height, position, value) for position, value in enumerate(rising, self.size >> height)]
            if (peak := self._peaks[height]) is not None:
                rising.insert(0, peak)
            self._peaks[height] = rising.pop() if len(rising) % 2 else None
            rising, height = _parents(rising), height + 1
        self.size += len(hashes)
        return kept

    def root(self) -> bytes:
        """The root at this size."""
        root: bytes | None = None
        for peak in self._peaks:
            if peak is not None:
                root = peak if root is None else node_hash(peak, root)
        return EMPTY if root is None else root


def subtree(start: int, stop: int, complete: Complete) -> bytes:
    """The root over leaves `start` to `stop` (exclusive); `start` must be a multiple of the next power of two of their number."""
    count = stop - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return complete(height, start >> height)
    middle = start + _split(count)
    return node_hash(subtree(start, middle, complete), subtree(middle, stop, complete))


def inclusion_path(index: int, size: int, complete: Complete) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves, from the leaf upwards (RFC 9162 section 2.1.3.1)."""
    path, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(subtree(middle, stop, complete))
            stop = middle
        else:
            path.append(subtree(start, middle, complete))
            start = middle
    return path[::-1]


def consistency_path(old: int, size: int, complete: Complete) -> list[bytes]:
    """The proof that the tree of `size` leaves begins with the tree of `old` leaves, 0 < old <= size (RFC 9162 section 2.1.4.1)."""
    path, start, stop = [], 0, size
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append(subtree(middle, stop, complete))
            stop = middle
        else:
            path.append(subtree(start, middle, complete))
            start = middle
    return [*([subtree(start, stop, complete)] if start else []), *path[::-1]]


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that the leaf hash `leaf` is number `index` of the tree with this size and root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, value = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            value = node_hash(step, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, step)
        position, last = position >> 1, last >> 1
    return last == 0 and value == root


def extends(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree (`size`, `root`) begins with the tree (`old`, `old_root`) (RFC 9162 section 2.1.4.2)."""
    if old in (0, size):
        return not path and old_root == (root if old else EMPTY)
    if not 0 < old < size:
        return False
    steps = [*([old_root] if old & (old - 1) == 0 else []), *path]
    if not steps:
        return False
    position, last = old - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_value = value = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_value, value = node_hash(step, old_value), node_hash(step, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, step)
        position, last = position >> 1, last >> 1
    return last == 0 and old_value == old_root and value == root
