"""Segments: the rules that place physicians, what each segment is called, and how the next training goes on with both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

MEMBERS = pl.Schema({"hcp_id": pl.String, "segment": pl.String, "hidden": pl.Boolean})
"""Who is in which segment (its id), and whether prescribing was hidden when it was found."""

UPTAKE = pl.Schema({"segment": pl.String, "product": pl.String, "channel": pl.String, "content_id": pl.String, "rate": pl.Int64})
"""What `uptake` gives."""

_UPTAKE = "uptake.csv"


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
    """Rules that place any HCP, and what is said of each segment; nothing here names an HCP. `channels` are those whose touches tell HCPs apart. `facts`: how
    many HCPs there were, `stayed`, `moved`, `joined` and `left` since the members before, `share_stayed` (text; null where there were none before), and `note`
    (null, or what is wrong with these segments). `uptake` (`UPTAKE`) is what each segment took up; none unless a caller adds it."""

    segments: tuple[Segment, ...]
    channels: tuple[str, ...]
    facts: Mapping[str, Any]
    rules: Tree
    claims: Mapping[str, tuple[Claims, Claims]]
    next_number: int
    uptake: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=UPTAKE))

    def placed(self, frame: pl.DataFrame, catalogue: Catalogue, before: pl.DataFrame | None = None) -> pl.DataFrame:
        """Everybody of `frame` and their segment, by hcp_id: `MEMBERS`. Whoever was in a segment `before` leaves it only for being beyond a rule by `MARGIN`,
        and not where it would then be too small or the other too large; what was found of somebody before prescribing was hidden counts no more.

        Raises `ModelError` for a frame without HCPs' ids, products or PDRP status."""
        _check(frame)
        known = behaviour(frame, catalogue, self.channels)
        return _members(known, _placed(self.rules, known, _before(known, before)))

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        body = {
            "estimator": NAME,
            "segments": [
                {"id": each.id, "size": each.size, "name": each.name, "open_name": each.open_name, "labels": sorted(each.labels)} for each in self.segments
            ],
            "channels": list(self.channels),
            "claims": {number: [said.plain() for said in both] for number, both in self.claims.items()},
            "facts": dict(self.facts),
            "rules": _dumped(self.rules),
            "next_number": self.next_number,
        }
        return seal(body, {_UPTAKE: self.uptake.write_csv().encode()})


def load(parts: Parts) -> Segments:
    """The segments stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    body = unseal(parts, NAME)
    segments = tuple(
        Segment(each["id"], each["size"], each["name"], each["open_name"], frozenset(Label(label) for label in each["labels"])) for each in body["segments"]
    )
    claims = {number: (Claims.of(said), Claims.of(open_said)) for number, (said, open_said) in body["claims"].items()}
    found = pl.read_csv(BytesIO(parts[_UPTAKE]), schema=UPTAKE)
    return Segments(segments, tuple(body["channels"]), body["facts"], _loaded(body["rules"]), claims, body["next_number"], found)


def segment(
    frame: pl.DataFrame,
    catalogue: Catalogue,
    *,
    channels: Sequence[str] | None = None,
    expected: pl.DataFrame | None = None,
    previous: Segments | None = None,
    before: pl.DataFrame | None = None,
) -> Segments:
    """Segments of the HCPs of `frame` (a row per HCP and product, as `features.build` gives), of `FEWEST` to `MOST` each; of touches, those through
    `channels` tell them apart (None: all of the catalogue; segments for promotion leave medical visits out).

    `expected` is what a response model answers (hcp_id, product, channel, touch, increment): segments are then alike in what a first touch of each channel
    is expected to add, and, as far as that leaves open, in behaviour; without it, in behaviour alone. With `previous`, its rules, ids and names go on, and
    whoever was in one of its segments `before` (`MEMBERS`, as `placed` gave) stays as `placed` says; `expected` decides only how a segment that grew too
    large is divided. Ids of `before` are never given to another segment.

    The answer depends on no order of rows and on no chance. Prescribing of physicians under PDRP changes nothing in it; nor may `expected` hold it, which
    `predict` of the models sees to. Raises `ModelError` for a frame without HCPs' ids, products or PDRP status.
    """
    _check(frame)
    asked = tuple(sorted(catalogue.channels if channels is None else channels))
    known = behaviour(frame, catalogue, asked)
    goal, was = _goal(known, expected), _before(known, before)
    taken = before["segment"].str.slice(1).cast(pl.Int64).max() if before is not None and before.height else 0
    numbers = count(max(previous.next_number if previous else 1, int(taken) + 1))  # type: ignore[arg-type]  # a number
    tree = _gone_on(known, goal, previous.rules, was, numbers) if previous else grow(known, goal, np.arange(len(known.hcps)), MOST, FEWEST, numbers)[0]
    member = _placed(tree, known, was)
    listed, sizes = (column.tolist() for column in np.unique(member, return_counts=True))
    said = [names(known, member, listed, _kept(previous, which), labels) for which, labels in enumerate((ADMITTED, COMMERCIAL))]
    segments = tuple(_segment(number, size, said[0][number], said[1][number]) for number, size in zip(listed, sizes, strict=True))
    claims = {_id(number): (said[0][number].claims, said[1][number].claims) for number in listed}
    return Segments(segments, asked, _facts(member, was, 0 if before is None else before.height), tree, claims, next(numbers))


def _check(frame: pl.DataFrame) -> None:
    missing = [f"the column `{name}` is missing" for name in ("hcp_id", "product", "pdrp", "specialty") if name not in frame.columns]
    if missing:
        raise ModelError("physicians cannot be grouped", faults=missing, do="Give a frame as `features.build` makes it.")


def _before(known: Behaviour, before: pl.DataFrame | None) -> Ints:
    """The number of the segment in which each HCP was; -1 for who was in none, or was there for what is now hidden."""
    if before is None or not known.hcps:
        return np.full(len(known.hcps), -1, np.int64)
    found = pl.DataFrame({"hcp_id": known.hcps, "now": known.hidden}).join(before, on="hcp_id", how="left", maintain_order="left")
    number = pl.when(pl.col("now") & ~pl.col("hidden")).then(None).otherwise(pl.col("segment").str.slice(1).cast(pl.Int64))
    return found.select(number.fill_null(-1)).to_series().to_numpy().astype(np.int64)


def _members(known: Behaviour, member: Ints) -> pl.DataFrame:
    return pl.DataFrame({"hcp_id": known.hcps, "segment": [_id(number) for number in member.tolist()], "hidden": known.hidden}, schema=MEMBERS)


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


def _gone_on(known: Behaviour, goal: Floats, tree: Tree, before: Ints, numbers: Iterator[int]) -> Tree:
    """The rules of the cycle before, mended where a segment became too small or too large."""
    while len(numbered := leaves(tree)) > 1:
        sizes = np.bincount(_placed(tree, known, before), minlength=max(numbered) + 1)
        small = min(numbered, key=lambda number: (int(sizes[number]), number))
        if sizes[small] >= FEWEST:
            break
        tree = without(tree, small)
    member = _placed(tree, known, before)
    for number in leaves(tree):
        rows = np.flatnonzero(member == number)
        if len(rows) > MOST:
            tree = grafted(tree, number, grow(known, goal, rows, MOST, FEWEST, numbers)[0])
    return tree


def _placed(tree: Tree, known: Behaviour, before: Ints) -> Ints:
    """Everybody's segment by the rules, less moves for which there is no room: nobody leaves a segment that would be too small, or enters one that would be too
    large."""
    margin = np.array([0.0 if trait.text else MARGIN for trait in known.traits]) * known.scale
    wanted, numbered = place(tree, known, np.arange(len(known.hcps)), before, margin), leaves(tree)
    stayed = np.isin(before, numbered)
    member = np.where(stayed, before, wanted)
    size = np.bincount(member, minlength=max(numbered) + 1)
    for row in np.flatnonzero(stayed & (wanted != before)):
        if size[before[row]] > FEWEST and size[wanted[row]] < MOST:
            member[row] = wanted[row]
            size[before[row]] -= 1
            size[wanted[row]] += 1
    return member


def _facts(member: Ints, before: Ints, known_before: int) -> dict[str, Any]:
    there = before >= 0
    stayed, moved = int((there & (member == before)).sum()), int((there & (member != before)).sum())
    note = f"{len(member)} HCPs are fewer than a segment has: their behaviour may be that of one" if len(member) < FEWEST else None
    return {
        "hcps": len(member),
        "stayed": stayed,
        "moved": moved,
        "joined": int((~there).sum()),
        "left": known_before - stayed - moved,
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
    return {"trait": tree.trait, "cut": repr(tree.cut), "below": _dumped(tree.below), "above": _dumped(tree.above), "was": tree.was}


def _loaded(body: Any) -> Tree:
    if isinstance(body, int):
        return body
    return Rule(body["trait"], float(body["cut"]), _loaded(body["below"]), _loaded(body["above"]), body["was"])
