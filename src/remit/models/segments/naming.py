"""Names of segments: the few traits in which they differ most from the rest, in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from remit.models.segments.rules import Ints
from remit.models.segments.traits import Behaviour, Floats, Trait
from remit.terms.labels import Label

COMMERCIAL = frozenset({Label.COMMERCIAL})

_APART, _SLIGHTLY, _STILL = 0.5, 0.3, 0.2
"""Standard deviations from the rest at which a trait sets a segment apart, at which it is worth a word where there is no better, and at which a name that
says so is kept."""

_SHARE = 0.6
"""The share of a segment of whom a text must be true before its name says so."""

_TWO, _FEW = 2, 3
"""How many traits a name has: two, and a third that sets apart."""

Claim = tuple[str, bool]
"""A trait and whether the segment has much of it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a name says: in what the segment differs from all the rest, and, where others have the same name so far, in what it differs `among` these."""

    first: tuple[Claim, ...] = ()
    among: tuple[Claim, ...] = ()

    def plain(self) -> list[list[list[str | bool]]]:
        """As plain values."""
        return [[list(claim) for claim in part] for part in (self.first, self.among)]

    @classmethod
    def of(cls, plain: Any) -> "Claims":
        """What `plain` gave."""
        first, among = (tuple((name, much) for name, much in part) for part in plain)
        return cls(first, among)


@dataclass(frozen=True, slots=True)
class Name:
    """A name, what it says, and the labels of what it is made of."""

    text: str
    claims: Claims
    labels: frozenset[Label]


def names(known: Behaviour, member: Ints, numbers: list[int], before: Mapping[int, Claims], labels: frozenset[Label]) -> dict[int, Name]:
    """A name of its own for each segment of `numbers`, from traits that carry no label but `labels`. What a name of `before` says is kept while it is true."""
    if len(numbers) <= 1:
        return {number: Name("all physicians", Claims(), frozenset()) for number in numbers}
    allowed = np.array([trait.labels <= labels for trait in known.traits], bool)
    sums = _sums(known, member, numbers)
    differences = _differences(sums, numbers)
    first = {number: _first(known, *differences[number], allowed, before.get(number, Claims()).first) for number in numbers}
    alike: dict[str, list[int]] = {}
    for number, claims in first.items():
        alike.setdefault(_said(known, claims), []).append(number)
    answer: dict[int, Name] = {}
    for text, group in alike.items():
        among = _among(known, sums, {number: first[number] for number in group}, allowed, before) if len(group) > 1 else {group[0]: ()}
        words = [_said(known, among[number], "those") for number in group]
        for number, said in zip(group, words, strict=True):
            answer[number] = _name(known, text, said, Claims(first[number], among[number]), number, words.count(said) > 1)
    return answer


@dataclass(frozen=True, slots=True)
class _Sums:
    """Per segment, over its HCPs: the sum of each trait, and of how many it is known; `scale` is each trait's standard deviation over everybody."""

    total: Mapping[int, Floats]
    count: Mapping[int, Floats]
    scale: Floats


def _sums(known: Behaviour, member: Ints, numbers: list[int]) -> _Sums:
    place = np.searchsorted(np.array(numbers, np.int64), member)
    told = np.isfinite(known.values)
    total, count = np.zeros((len(numbers), len(known.traits))), np.zeros((len(numbers), len(known.traits)))
    np.add.at(total, place, np.where(told, known.values, 0.0))
    np.add.at(count, place, told.astype(np.float64))
    return _Sums(dict(zip(numbers, total, strict=True)), dict(zip(numbers, count, strict=True)), known.scale)


def _differences(sums: _Sums, numbers: list[int]) -> dict[int, tuple[Floats, Floats]]:
    """Per segment and trait, among the segments of `numbers`: its mean less that of the others in standard deviations, and its mean."""
    total, count = (np.stack([part[number] for number in numbers]) for part in (sums.total, sums.count))
    others = count.sum(axis=0) - count
    mean = total / np.maximum(count, 1.0)
    apart = (mean - (total.sum(axis=0) - total) / np.maximum(others, 1.0)) / sums.scale
    apart[(count == 0) | (others == 0)] = 0.0
    return {number: (apart[row], mean[row]) for row, number in enumerate(numbers)}


def _first(known: Behaviour, apart: Floats, mean: Floats, allowed: npt.NDArray[np.bool_], before: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """What sets a segment apart from all the rest."""
    if before and set(before) <= set(_claims(known, apart, mean, allowed, _STILL)):
        return before
    strong = len(_claims(known, apart, mean, allowed, _APART))
    return tuple(_claims(known, apart, mean, allowed, _SLIGHTLY)[: min(max(strong, _TWO), _FEW)])


def _among(
    known: Behaviour,
    sums: _Sums,
    first: Mapping[int, tuple[Claim, ...]],
    allowed: npt.NDArray[np.bool_],
    before: Mapping[int, Claims],
) -> dict[int, tuple[Claim, ...]]:
    """What tells segments that were said to be alike (`first`) from each other: each says as little as makes it differ; one may say nothing."""
    group = sorted(first)
    differences = _differences(sums, group)
    found = {}
    for number in group:
        already = {name for name, _ in first[number]}
        found[number] = [claim for claim in _claims(known, *differences[number], allowed, _SLIGHTLY) if claim[0] not in already]
    said = {}
    for number in group:
        kept = before.get(number, Claims()).among
        still = set(_claims(known, *differences[number], allowed, _STILL))
        said[number] = kept if kept and still.issuperset(kept) else tuple(found[number][:1])
    for many in range(2, _FEW + 1):
        words = {number: _said(known, claims) for number, claims in said.items()}
        twins = [number for number in group if list(words.values()).count(words[number]) > 1]
        said |= {number: tuple(found[number][:many]) for number in twins[1:]}
    return said


def _claims(known: Behaviour, apart: Floats, mean: Floats, allowed: npt.NDArray[np.bool_], least: float) -> list[Claim]:
    """The traits by which a segment is at least `least` apart, the most telling first."""
    found = [int(place) for place in np.flatnonzero(allowed & (np.abs(apart) >= least)) if _sayable(known.traits[place], apart[place], mean[place])]
    return [(known.traits[place].name, bool(apart[place] > 0)) for place in sorted(found, key=lambda place: (-round(abs(float(apart[place])), 9), place))]


def _sayable(trait: Trait, apart: float, share: float) -> bool:
    return not trait.text or (apart > 0 and share >= _SHARE)


def _name(known: Behaviour, text: str, said: str, claims: Claims, number: int, twin: bool) -> Name:
    """The name of a segment: the words it may share, what it is `said` to be among those who share them, and its number where that has a twin."""
    full = text + (f"; of these, {said}" if claims.among else "") + (f", group {number}" if twin else "")
    by_name = {trait.name: trait.labels for trait in known.traits}
    return Name(full, claims, frozenset().union(*(by_name[name] for name, _ in (*claims.first, *claims.among))))


def _said(known: Behaviour, claims: tuple[Claim, ...], people: str = "physicians") -> str:
    """The claims as words about `people`."""
    if not claims:
        return f"{people} much like the rest"
    by_name = {trait.name: trait for trait in known.traits}
    deeds: dict[str, list[str]] = {}
    for name, much in claims:
        trait = by_name[name]
        deeds.setdefault(trait.much if much else trait.little, []).append(trait.of)
    head = deeds.pop("", [people])[0]
    places = " and ".join(f"{deed} practices" for deed in deeds if deed.startswith("in "))
    others = [f"{deed} {_listed(sorted(of))}" for deed, of in deeds.items() if not deed.startswith("in ")]
    return " ".join(part for part in (head, places, f"who {_listed(others)}" if others else "") if part)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
