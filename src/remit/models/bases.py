"""Bases as of an instant, from the panel known then: what each HCP would write without promotion, and how much of that rests on everybody together.

What rests on everybody is given back, and may be given again: so that after an erasure the bases of those who remain come out as they did before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isclose
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from remit.features import Panel
from remit.models.effects import Floats, Ints
from remit.models.levels import Common, Levels, levels_of
from remit.models.multipliers import log_effect
from remit.models.panel_learning import Learned, gap_of, stocks_of, unit_levels
from remit.models.traits import Traits, traits_of
from remit.models.units import Units, bricks

_TURNS = 2


@dataclass(frozen=True, slots=True)
class Shared:
    """What the bases of one product take from everybody: the specialties in order, what levels take at each turn over so many `periods` up to the instant, and,
    where prescriptions are known of bricks, the level of each by id, with the growth expected and the usual level of all."""

    specialties: tuple[str, ...]
    periods: int
    turns: tuple[Common, ...]
    bricks: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    of_bricks: tuple[float, float] = (1.0, 0.0)

    def over(self, periods: int) -> tuple[Common, ...]:
        """The turns for a panel of so many periods up to the same instant."""
        return tuple(replace(turn, growth=turn.growth[max(self.periods - periods, 0) :]) for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Bases:
    """By row: the `base`, and the growth expected now (`ahead`)."""

    base: Floats
    ahead: Floats
    shared: Shared


def bases_of(entry: Learned, traits: Traits, rows: pl.DataFrame, data: Panel, days: float, shared: Shared | None = None) -> Bases:
    """The bases of one product's `rows`: the own, or the average of a brick of which no more is known; HCPs under PDRP, and those without reports, have their
    specialty's. `days` is the length of a period; what is `shared` is found, unless it is given."""
    at = places_of(rows, data)
    names = shared.specialties if shared else tuple(rows["specialty"].fill_null("").unique().sort().to_list())
    group = np.searchsorted(np.array(names), rows["specialty"].fill_null("").to_numpy())
    in_brick = (at >= 0) & (np.isin(np.array(data.brick_id), list(shared.bricks)) if shared else data.brick >= 0)[at]
    shown = np.flatnonzero((at >= 0) & ~in_brick & ~data.pdrp[at] & ~rows["pdrp"].fill_null(True).to_numpy())
    turns = _own(entry, traits, rows[shown], data, at[shown], days, group[shown], len(names), shared.over(len(data.ends)) if shared else ())
    if shared is None:
        shared = Shared(names, len(data.ends), tuple(turn.common for turn in turns))
        shared = _with_bricks(shared, entry, traits, rows, data, at, np.flatnonzero(in_brick), days) if in_brick.any() else shared
    levels = turns[-1]
    base, ahead = levels.usual[group], np.full(len(group), levels.ahead)
    base[shown] = levels.base
    base[in_brick], ahead[in_brick] = [shared.bricks[data.brick_id[place]] for place in at[in_brick].tolist()], shared.of_bricks[0]
    if in_brick.any() and not np.isfinite(data.outcome).any():
        ahead[~in_brick], base[~in_brick] = shared.of_bricks
    return Bases(base, ahead, shared)


def _with_bricks(shared: Shared, entry: Learned, traits: Traits, rows: pl.DataFrame, data: Panel, at: Ints, inside: Ints, days: float) -> Shared:
    levels = _of_bricks(entry, traits, rows[inside], data, at[inside], days)
    ids = {data.brick_id[place]: float(levels.base[data.brick[place]]) for place in sorted(set(at[inside].tolist()))}
    return replace(shared, bricks=ids, of_bricks=(levels.ahead, float(levels.usual[0])))


def places_of(rows: pl.DataFrame, data: Panel) -> Ints:
    """The place of each row's HCP in the panel (-1: none)."""
    numbered = pl.DataFrame({"hcp_id": list(data.hcps), "at": range(len(data.hcps))}, schema={"hcp_id": pl.String, "at": pl.Int64})
    return rows.select("hcp_id").join(numbered, on="hcp_id", how="left", maintain_order="left")["at"].fill_null(-1).to_numpy()


def dump_shared(shared: Mapping[str, Shared]) -> dict[str, Any]:
    """As plain values, by product, to ten digits: so that another machine finds the same."""
    return {
        product: {
            "specialties": list(each.specialties),
            "periods": each.periods,
            "turns": [
                {"growth": _texts(turn.growth), "ahead": _text(turn.ahead), "usual": _texts(turn.usual), "spread": _texts(turn.spread)} for turn in each.turns
            ],
            "bricks": {brick: _text(level) for brick, level in sorted(each.bricks.items())},
            "of_bricks": [_text(value) for value in each.of_bricks],
        }
        for product, each in sorted(shared.items())
    }


def load_shared(body: Mapping[str, Any]) -> dict[str, Shared]:
    """What `dump_shared` gave."""
    return {
        product: Shared(
            tuple(each["specialties"]),
            int(each["periods"]),
            tuple(Common(_floats(turn["growth"]), float(turn["ahead"]), _floats(turn["usual"]), _floats(turn["spread"])) for turn in each["turns"]),
            {brick: float(level) for brick, level in each["bricks"].items()},
            (float(each["of_bricks"][0]), float(each["of_bricks"][1])),
        )
        for product, each in body.items()
    }


def alike(one: Any, other: Any) -> bool:
    """Whether two dumps say the same but for the last digits, in which machines may differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(*pair) for pair in zip(one, other, strict=True))
    if one == other:
        return True
    try:
        return isclose(float(one), float(other), rel_tol=1e-8, abs_tol=1e-12)
    except ValueError:
        return False


def _own(
    entry: Learned, traits: Traits, rows: pl.DataFrame, data: Panel, at: Ints, days: float, group: Ints, groups: int, given: tuple[Common, ...]
) -> list[Levels]:
    """The levels of HCPs with outcomes of their own at each turn, between which what promotion added is left out."""
    place = data.products.index(entry.product)
    outcome, stocks = data.outcome[at, place], stocks_of(data, entry.shapes, at, place, days)
    lift, turns = np.ones_like(outcome), list[Levels]()
    for turn in range(_TURNS):
        turns.append(levels_of(outcome, lift, group, groups, gap_of(data, days), given[turn] if given else None))
        lift = np.ones_like(outcome)
        for effect, stock in zip(effects_of(entry, traits, rows, turns[-1].base), stocks, strict=True):
            lift += effect[:, None] * stock
    return turns


def _of_bricks(entry: Learned, traits: Traits, rows: pl.DataFrame, data: Panel, at: Ints, days: float) -> Levels:
    """The levels of bricks by HCP. What promotion added is taken from the brick's HCPs in `rows`, whose places in the panel are `at`, and from the others
    in proportion to their touches."""
    units, place, found = bricks(data), data.products.index(entry.product), data.brick[at]
    outcome, stocks = units.outcome[:, place], stocks_of(data, entry.shapes, units.hcps, place, days)
    asked, spot = Units(at, found, units.size, units.outcome), np.searchsorted(units.hcps, at)
    lift = np.ones_like(outcome)
    for _ in range(_TURNS):
        levels = unit_levels(outcome, lift, units, np.zeros(len(outcome), np.int64), data, days)
        lift = np.ones_like(outcome)
        for effect, stock in zip(effects_of(entry, traits, rows, levels.base[found]), stocks, strict=True):
            scale = units.sums(stock).sum(axis=1) / np.maximum(asked.sums(stock[spot]).sum(axis=1), 1e-9)
            lift += asked.sums(effect[:, None] * stock[spot]) * (scale / units.size)[:, None]
    return levels


def effects_of(entry: Learned, traits: Traits, rows: pl.DataFrame, base: Floats) -> list[Floats]:
    """The effect of each channel learnt on rows whose base is `base`, as far as it is likely to be more than nothing."""
    of = traits_of(rows, traits, entry.product, np.log(base), entry.shapes)
    return [np.asarray(entry.certain[number] * np.exp(log_effect(each, entry.mean[entry.of(number)]))) for number, each in enumerate(of)]


def _text(value: float) -> str:
    return f"{value:.10g}"


def _texts(values: Floats) -> list[str]:
    return [_text(value) for value in values.tolist()]


def _floats(texts: Any) -> Floats:
    return np.array([float(text) for text in texts], dtype=np.float64)
