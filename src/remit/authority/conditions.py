"""Conditions: what a row of the table asks of the facts, as a small tree with one meaning in Python and in polars.

The meaning is SQL's three-valued logic: comparing an unknown fact gives unknown (None, null). There is no NOT in the tree, because reading a condition
pushes every NOT inward: `NOT (a < 1 AND b IS NULL)` is held as `a >= 1 OR b IS NOT NULL`, which is the same in three-valued logic. So two things can
be seen by looking at the leaves alone:

- INVARIANT (unknown never grants): a condition without `IS NULL` leaves that is true while a fact is unknown stays true whatever the fact turns out to
  be. That is why autonomous rows may not contain such a leaf.
- INVARIANT (unknown never excuses): a condition without `IS NOT NULL` leaves that is false while a fact is unknown stays false whatever the fact turns
  out to be. A forbidden or confirm row that has such a leaf says in plain sight that it keeps silent where the fact is unknown.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

Value: TypeAlias = bool | int | str
Facts: TypeAlias = Mapping[str, Value | None]
"""The facts of one proposal by name; None is unknown."""

Test: TypeAlias = Callable[[Facts], bool | None]
"""A condition as a function: True, False, or None where it cannot be known."""

_Compare: TypeAlias = Callable[[Any, Any], Any]
_COMPARE: Mapping[str, _Compare] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Constant:
    """TRUE or FALSE."""

    value: bool


@dataclass(frozen=True, slots=True)
class FactName:
    """Another fact, as the right side of a comparison."""

    name: str


@dataclass(frozen=True, slots=True)
class Compare:
    """A fact beside a literal or another fact of its kind; `sign` is one of `= <> < <= > >=`. A `number` literal is int64 millionths."""

    fact: str
    sign: str
    right: FactName | Value


@dataclass(frozen=True, slots=True)
class Among:
    """`fact IN (values)`, or `NOT IN` where `inside` is False."""

    fact: str
    values: tuple[Value, ...]
    inside: bool


@dataclass(frozen=True, slots=True)
class Known:
    """`fact IS NOT NULL`, or `IS NULL` where `known` is False. The only leaf that is never unknown."""

    fact: str
    known: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """AND: false if any part is false, else unknown if any is unknown."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """OR: true if any part is true, else unknown if any is unknown."""

    parts: tuple["Condition", ...]


Condition: TypeAlias = Constant | Compare | Among | Known | AllOf | AnyOf
Leaf: TypeAlias = Constant | Compare | Among | Known


def leaves(condition: Condition) -> Iterator[Leaf]:
    """The leaves of a condition, left to right."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from leaves(part)
    else:
        yield condition


def facts_of(condition: Condition) -> Iterator[str]:
    """The names of the facts that a condition speaks of, with repetitions."""
    for leaf in leaves(condition):
        if not isinstance(leaf, Constant):
            yield leaf.fact
        if isinstance(leaf, Compare) and isinstance(leaf.right, FactName):
            yield leaf.right.name


def to_python(condition: Condition) -> Test:
    """The condition as a function of one proposal's facts. Closures, so that no text of a user is ever evaluated as code."""
    match condition:
        case Constant(value):
            return lambda _: value
        case Compare(fact, sign, right):
            compare = _COMPARE[sign]
            return _compare_facts(fact, compare, right.name) if isinstance(right, FactName) else _compare_literal(fact, compare, right)
        case Among(fact, values, inside):
            return _among(fact, frozenset(values), inside)
        case Known(fact, known):
            return lambda facts: (facts[fact] is not None) is known
        case AllOf(parts):
            return _combine([to_python(part) for part in parts], decisive=False)
        case AnyOf(parts):
            return _combine([to_python(part) for part in parts], decisive=True)


def to_polars(condition: Condition) -> pl.Expr:
    """The condition as a Boolean expression over columns named like the facts: Boolean, Int64 (`int` and `number`) and String."""
    match condition:
        case Constant(value):
            return pl.lit(value)
        case Compare(fact, sign, right):
            other = pl.col(right.name) if isinstance(right, FactName) else pl.lit(right)
            compared: pl.Expr = _COMPARE[sign](pl.col(fact), other)
            return compared
        case Among(fact, values, inside):
            among = pl.col(fact).is_in(list(values))
            return among if inside else ~among
        case Known(fact, known):
            return pl.col(fact).is_not_null() if known else pl.col(fact).is_null()
        case AllOf(parts):
            return pl.all_horizontal([to_polars(part) for part in parts])
        case AnyOf(parts):
            return pl.any_horizontal([to_polars(part) for part in parts])


def _compare_facts(fact: str, compare: _Compare, other: str) -> Test:
    def test(facts: Facts) -> bool | None:
        left, right = facts[fact], facts[other]
        return None if left is None or right is None else compare(left, right)

    return test


def _compare_literal(fact: str, compare: _Compare, right: Value) -> Test:
    def test(facts: Facts) -> bool | None:
        left = facts[fact]
        return None if left is None else compare(left, right)

    return test


def _among(fact: str, values: frozenset[Value], inside: bool) -> Test:
    def test(facts: Facts) -> bool | None:
        found = facts[fact]
        return None if found is None else (found in values) is inside

    return test


def _combine(parts: list[Test], decisive: bool) -> Test:
    """AND where False decides, OR where True does; otherwise unknown as soon as one part is."""

    def test(facts: Facts) -> bool | None:
        outcome: bool | None = not decisive
        for part in parts:
            found = part(facts)
            if found is decisive:
                return decisive
            if found is None:
                outcome = None
        return outcome

    return test
