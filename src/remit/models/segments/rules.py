"""The rules that make segments: questions about one trait each, asked one after another, until a group is small enough (a regression tree; Breiman et al.
1984, chapter 8, with several outcomes at once as De'ath 2002, Ecology 83, has them)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from remit.models.segments.traits import Behaviour, Floats

Ints = npt.NDArray[np.int64]

BY_LOT = ""
"""The trait of a rule that parts HCPs by lot, where nothing else tells them apart."""

_ROOM = 12
"""Fewest that a part is made of: more than the fewest a segment may have, so that a few may leave."""

_ENOUGH = 30
"""A group of this many is not divided further: fewer than the most a segment may have, so that a few may come."""

_BALANCE = 0.05
"""The smaller part of a group is at least this share of it: rules stay few on the way to any segment."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who has at most `cut` of `trait` goes `below`, everybody else `above`; each is another rule or a segment's number. `was` is the segment that the rule
    divided: whoever was in it belongs here, on neither side."""

    trait: str
    cut: float
    below: "Rule | int"
    above: "Rule | int"
    was: int | None = None


Tree = Rule | int


def leaves(tree: Tree) -> list[int]:
    """The segments' numbers, in order."""
    return [tree] if isinstance(tree, int) else leaves(tree.below) + leaves(tree.above)


def grow(known: Behaviour, goal: Floats, rows: Ints, most: int, fewest: int, numbers: Iterator[int]) -> tuple[Tree, Ints]:
    """Rules that part `rows` into groups of `fewest` to `most` in which `goal` varies least, and each row's segment. Numbers are taken from `numbers`."""
    answer = np.zeros(len(known.hcps), np.int64)
    values = np.where(np.isfinite(known.values), known.values, -np.inf)
    tree = _grow(known, values, goal, rows, (most, fewest), numbers, answer)
    return tree, answer[rows]


def place(tree: Tree, known: Behaviour, rows: Ints, before: Ints, margin: Floats) -> Ints:
    """The segment of each of `rows`, by the rules. Who was in segment `before` (-1: in none) leaves it only for being beyond a cut by more than the margin
    of its trait; a trait that is not known moves nobody."""
    answer = np.full(len(known.hcps), -1, np.int64)
    _place(tree, known, rows, before, margin, answer)
    return answer[rows]


def without(tree: Tree, number: int) -> Tree:
    """The rules without a segment: whoever would go there goes where its neighbours in the tree go."""
    if isinstance(tree, int):
        return tree
    if tree.below == number:
        return tree.above
    if tree.above == number:
        return tree.below
    return replace(tree, below=without(tree.below, number), above=without(tree.above, number))


def grafted(tree: Tree, number: int, rules: Tree) -> Tree:
    """The rules with `rules` in the place of a segment that they divide."""
    if isinstance(tree, int):
        return tree if tree != number or isinstance(rules, int) else replace(rules, was=number)
    return replace(tree, below=grafted(tree.below, number, rules), above=grafted(tree.above, number, rules))


def _grow(known: Behaviour, values: Floats, goal: Floats, rows: Ints, sizes: tuple[int, int], numbers: Iterator[int], answer: Ints) -> Tree:
    most, fewest = sizes
    found = _best(values, goal, rows, max(_ROOM, int(_BALANCE * len(rows)))) if len(rows) > _ENOUGH else None
    if found is None and len(rows) > most:
        found = _best(values, goal, rows, fewest)
    if found is not None:
        trait, cut = found
        few = values[rows, trait] <= cut
        parts, name = (rows[few], rows[~few]), known.traits[trait].name
        below, above = (_grow(known, values, goal, part, sizes, numbers, answer) for part in parts)
        return Rule(name, cut, below, above)
    if len(rows) > most:
        lots, half = known.lots(rows), len(rows) // 2
        drawn = rows[np.argsort(lots, kind="stable")]
        below, above = (_grow(known, values, goal, np.sort(part), sizes, numbers, answer) for part in (drawn[:half], drawn[half:]))
        low, high = np.sort(lots)[half - 1 : half + 1].tolist()
        return Rule(BY_LOT, _between(low, high), below, above)
    answer[rows] = number = next(numbers)
    return number


def _best(values: Floats, goal: Floats, rows: Ints, fewest: int) -> tuple[int, float] | None:
    """The trait and the cut that leave least variance of the goal within two parts of at least `fewest`; None if there is no such cut."""
    count, best, found = len(rows), 1e-12, None
    if count < 2 * fewest:
        return None
    own = goal[rows]
    own = own - own.mean(axis=0)
    share = 1.0 / np.arange(1, count) + 1.0 / np.arange(count - 1, 0, -1)
    for trait in range(values.shape[1]):
        column = values[rows, trait]
        order = np.argsort(column, kind="stable")
        column = column[order]
        gain = (np.cumsum(own[order], axis=0)[:-1] ** 2).sum(axis=1) * share
        allowed = column[1:] > column[:-1]
        allowed[: fewest - 1] = False
        allowed[count - fewest :] = False
        gain[~allowed] = -1.0
        at = int(gain.argmax())
        if gain[at] > best * (1 + 1e-9):
            best, found = float(gain[at]), (trait, _between(float(column[at]), float(column[at + 1])))
    return found


def _between(low: float, high: float) -> float:
    """A cut that has `low` below it and `high` above."""
    middle = low + (high - low) / 2 if np.isfinite(low) else low
    return middle if low <= middle < high else low


def _place(tree: Tree, known: Behaviour, rows: Ints, before: Ints, margin: Floats, answer: Ints) -> None:
    if isinstance(tree, int):
        answer[rows] = tree
        return
    was_below, was_above = (np.isin(before[rows], _numbers(side)) for side in (tree.below, tree.above))
    own, slack = np.full(len(rows), np.nan), 0.0
    if tree.trait == BY_LOT:
        own, slack = known.lots(rows), np.inf
    elif (column := known.column(tree.trait)) is not None:
        own, slack = column[rows], float(margin[[trait.name for trait in known.traits].index(tree.trait)])
    above = np.where(was_below, own > tree.cut + slack, np.where(was_above, ~(own <= tree.cut - slack), own > tree.cut))
    _place(tree.below, known, rows[~above], before, margin, answer)
    _place(tree.above, known, rows[above], before, margin, answer)


def _numbers(tree: Tree) -> list[int]:
    """The segments that are here, and those that were and were divided."""
    return [tree] if isinstance(tree, int) else [*_numbers(tree.below), *_numbers(tree.above), *([] if tree.was is None else [tree.was])]
