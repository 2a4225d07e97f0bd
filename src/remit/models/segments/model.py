"""Segments of one cycle: who is in which, what they are called, and the rules that the next cycle goes on with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any

import numpy as np
import polars as pl

from remit.features import Catalogue
from remit.models.errors import ModelError
from remit.models.inputs import ADMITTED
from remit.models.segments.naming import COMMERCIAL, Claims, Name, names
from remit.models.segments.rules import Ints, Rule, Tree, grafted, grow, leaves, place, without
from remit.models.segments.traits import FEWEST, Behaviour, Floats, behaviour
from remit.models.stored import Parts, seal, unseal
from remit.terms.encoding import MICRO
from remit.terms.labels import Label

NAME = "segments"
MOST = 50
"""The most HCPs of a segment; the fewest are `FEWEST`. Fewer than these in all are one segment, which says so."""

MARGIN = 0.5
"""How far beyond a cut, in standard deviations of the trait, somebody must be to leave a segment."""

_BEHAVIOUR = 0.1
"""What all traits together count beside the expected response in what a segment should be alike in: it settles what the response leaves open."""

_MEMBERS = "members.csv"
_SCHEMA = {"hcp_id": pl.String, "segment": pl.String}


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: its id, how many HCPs it has, and two names. `name` may speak of prescribing: show it to those who may see all of `labels`. `open_name` is
    made of commercial information alone. Both are unlike those of any other segment."""

    id: str
    size: int
    name: str
    open_name: str
    labels: frozenset[Label]


@dataclass(frozen=True, slots=True)
class Segments:
    """`members`: hcp_id and segment (its id), by hcp_id. `facts`: how many HCPs there are, `stayed`, `moved`, `joined` and `left` since the segments before,
    `share_stayed` (text; null where there were none before), and `note` (null, or what is wrong with these segments)."""

    members: pl.DataFrame
    segments: tuple[Segment, ...]
    facts: Mapping[str, Any]
    rules: Tree
    claims: Mapping[str, tuple[Claims, Claims]]
    next_number: int

    def beside(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` (with `hcp_id`) with a column `segment`: null for an HCP who is in none."""
        return rows.join(self.members, on="hcp_id", how="left", maintain_order="left")

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        body = {
            "estimator": NAME,
            "segments": [
                {"id": each.id, "size": each.size, "name": each.name, "open_name": each.open_name, "labels": sorted(each.labels)} for each in self.segments
            ],
            "claims": {number: [said.plain() for said in both] for number, both in self.claims.items()},
            "facts": dict(self.facts),
            "rules": _dumped(self.rules),
            "next_number": self.next_number,
        }
        return seal(body, {_MEMBERS: self.members.write_csv().encode()})


def load(parts: Parts) -> Segments:
    """The segments stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    body = unseal(parts, NAME)
    segments = tuple(
        Segment(each["id"], each["size"], each["name"], each["open_name"], frozenset(Label(label) for label in each["labels"])) for each in body["segments"]
    )
    claims = {number: (Claims.of(said), Claims.of(open_said)) for number, (said, open_said) in body["claims"].items()}
    members = pl.read_csv(BytesIO(parts[_MEMBERS]), schema=_SCHEMA)
    return Segments(members, segments, body["facts"], _loaded(body["rules"]), claims, body["next_number"])


def segment(
    frame: pl.DataFrame,
    catalogue: Catalogue,
    *,
    channels: Sequence[str] | None = None,
    expected: pl.DataFrame | None = None,
    previous: Segments | None = None,
) -> Segments:
    """Segments of the HCPs of `frame` (a row per HCP and product, as `features.build` gives), of `FEWEST` to `MOST` each; of touches, those through
    `channels` tell them apart (None: all of the catalogue; segments for promotion leave medical visits out).

    `expected` is what a response model answers (hcp_id, product, channel, touch, increment): segments are then alike in what a first touch of each channel
    is expected to add, and, as far as that leaves open, in behaviour; without it, in behaviour alone. With `previous`, its rules, ids and names go on:
    whoever's behaviour has not moved beyond a rule by `MARGIN` stays, and `expected` decides only how a segment that grew too large is divided.

    The answer depends on no order of rows and on no chance. Prescribing of physicians under PDRP changes nothing in it; nor may `expected` hold it, which
    `predict` of the models sees to. Raises `ModelError` for a frame without HCPs' ids, products or PDRP status.
    """
    missing = [f"the column `{name}` is missing" for name in ("hcp_id", "product", "pdrp", "specialty") if name not in frame.columns]
    if missing:
        raise ModelError("physicians cannot be grouped", faults=missing, do="Give a frame as `features.build` makes it.")
    known = behaviour(frame, catalogue, catalogue.channels if channels is None else channels)
    goal = _goal(known, expected)
    numbers = count(previous.next_number if previous else 1)
    before = _before(known, previous)
    if previous is None:
        tree, member = grow(known, goal, np.arange(len(known.hcps)), MOST, FEWEST, numbers)
    else:
        tree, member = _gone_on(known, goal, previous.rules, before, numbers)
    return _told(known, tree, member, before, previous, next(numbers))


def _before(known: Behaviour, previous: Segments | None) -> Ints:
    """The number of the segment in which each HCP was; -1 for who was in none."""
    if previous is None or not known.hcps:
        return np.full(len(known.hcps), -1, np.int64)
    found = previous.beside(pl.DataFrame({"hcp_id": known.hcps}))["segment"].str.slice(1).cast(pl.Int64)
    return found.fill_null(-1).to_numpy().astype(np.int64)


def _goal(known: Behaviour, expected: pl.DataFrame | None) -> Floats:
    """What should vary little within a segment: square roots of the expected increments of a first touch, in standard deviations, and the traits."""
    scaled = np.nan_to_num((known.values - _mean(known.values)) / known.scale)
    traits: Floats = _BEHAVIOUR * scaled * np.sqrt(known.weight / max(float(known.weight.sum()), 1.0))
    if expected is None or not known.hcps:
        return traits
    columns = []
    hcps = pl.DataFrame({"hcp_id": known.hcps}, schema={"hcp_id": pl.String})
    first = expected.filter(pl.col("touch") == 1)
    for product, channel in first.select("product", "channel").unique().sort("product", "channel").iter_rows():
        own = hcps.join(first.filter(product=product, channel=channel).select("hcp_id", "increment"), on="hcp_id", how="left", maintain_order="left")
        root = np.sqrt(np.maximum(own["increment"].cast(pl.Float64).fill_null(np.nan).to_numpy() / MICRO, 0.0))[:, None]
        spread = float(np.nanstd(root)) if np.isfinite(root).any() else 0.0
        columns += [np.nan_to_num((root - _mean(root)) / spread)] if spread > 1e-9 else []
    return np.column_stack([traits, *(column / np.sqrt(len(columns)) for column in columns)])


def _mean(values: Floats) -> Floats:
    """The mean of each column over what is known of it."""
    told = np.isfinite(values)
    return np.asarray(np.where(told, values, 0.0).sum(axis=0) / np.maximum(told.sum(axis=0), 1))


def _gone_on(known: Behaviour, goal: Floats, tree: Tree, before: Ints, numbers: Iterator[int]) -> tuple[Tree, Ints]:
    """The rules of the cycle before, mended where a segment became too small or too large, and everybody's segment."""
    everybody = np.arange(len(known.hcps))
    margin = np.array([0.0 if trait.text else MARGIN for trait in known.traits]) * known.scale
    member = _held(place(tree, known, everybody, before, margin), before, leaves(tree))
    while len(numbered := leaves(tree)) > 1:
        sizes = np.bincount(member, minlength=max(numbered) + 1)
        small = min(numbered, key=lambda number: (int(sizes[number]), number))
        if sizes[small] >= FEWEST:
            break
        tree, homeless = without(tree, small), np.flatnonzero(member == small)
        member[homeless] = place(tree, known, homeless, np.full(len(known.hcps), -1, np.int64), margin)
    sizes = np.bincount(member, minlength=max(leaves(tree)) + 1)
    for number in leaves(tree):
        if sizes[number] > MOST:
            rows = np.flatnonzero(member == number)
            tree, member[rows] = _divided(known, goal, tree, rows, number, numbers)
    return tree, member


def _divided(known: Behaviour, goal: Floats, tree: Tree, rows: Ints, number: int, numbers: Iterator[int]) -> tuple[Tree, Ints]:
    """The rules with a segment divided; its largest part keeps its number."""
    found, parts = grow(known, goal, rows, MOST, FEWEST, numbers)
    largest = max(leaves(found), key=lambda part: (int((parts == part).sum()), -part))
    return grafted(tree, number, grafted(found, largest, number)), np.where(parts == largest, number, parts)


def _held(wanted: Ints, before: Ints, numbers: list[int]) -> Ints:
    """`wanted`, less moves for which there is no room: nobody leaves a segment that would be too small, or enters one that would be too large."""
    member = wanted.copy()
    top = max(numbers) + 1
    stayed = np.isin(before, numbers)
    start = np.where(stayed, before, wanted)
    size = np.bincount(start, minlength=top)
    member[stayed] = before[stayed]
    for row in np.flatnonzero(stayed & (wanted != before)):
        if size[before[row]] > FEWEST and size[wanted[row]] < MOST:
            member[row] = wanted[row]
            size[before[row]] -= 1
            size[wanted[row]] += 1
    return member


def _told(known: Behaviour, tree: Tree, member: Ints, before: Ints, previous: Segments | None, next_number: int) -> Segments:
    numbers, sizes = np.unique(member, return_counts=True)
    listed = numbers.tolist()
    said = [names(known, member, listed, _kept(previous, which), labels) for which, labels in enumerate((ADMITTED, COMMERCIAL))]
    segments = tuple(_segment(number, size, said[0][number], said[1][number]) for number, size in zip(listed, sizes.tolist(), strict=True))
    members = pl.DataFrame({"hcp_id": known.hcps, "segment": [_id(number) for number in member.tolist()]}, schema=_SCHEMA)
    claims = {_id(number): (said[0][number].claims, said[1][number].claims) for number in listed}
    return Segments(members, segments, _facts(member, before, previous), tree, claims, next_number)


def _facts(member: Ints, before: Ints, previous: Segments | None) -> dict[str, Any]:
    there = before >= 0
    stayed, moved = int((there & (member == before)).sum()), int((there & (member != before)).sum())
    note = f"{len(member)} HCPs are fewer than a segment has: their behaviour may be that of one" if len(member) < FEWEST else None
    return {
        "hcps": len(member),
        "stayed": stayed,
        "moved": moved,
        "joined": int((~there).sum()),
        "left": (previous.members.height if previous else 0) - stayed - moved,
        "share_stayed": f"{stayed / (stayed + moved):.4f}" if stayed + moved else None,
        "note": note,
    }


def _segment(number: int, size: int, name: Name, open_name: Name) -> Segment:
    return Segment(_id(number), size, name.text, open_name.text, name.labels)


def _kept(previous: Segments | None, which: int) -> dict[int, Claims]:
    return {int(number[1:]): both[which] for number, both in previous.claims.items()} if previous else {}


def _id(number: int) -> str:
    return f"S{number:04}"


def _dumped(tree: Tree) -> Any:
    if isinstance(tree, int):
        return tree
    cut = {"id": tree.cut} if isinstance(tree.cut, str) else {"number": repr(tree.cut)}
    return {"trait": tree.trait, **cut, "below": _dumped(tree.below), "above": _dumped(tree.above)}


def _loaded(body: Any) -> Tree:
    if isinstance(body, int):
        return body
    cut = body["id"] if "id" in body else float(body["number"])
    return Rule(body["trait"], cut, _loaded(body["below"]), _loaded(body["above"]))
