"""Bases as of an instant, from the panel known then: what each HCP would write without promotion, and how much of that rests on everybody together.

What rests on everybody is given back, and may be given again: so that after an erasure the bases of those who remain come out as they did before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from remit.features import Panel
from remit.models.effects import Floats, Ints
from remit.models.levels import Common, Levels, levels_of
from remit.models.multipliers import log_effect
from remit.models.panel_learning import Learned, gap_of, stocks_of, unit_levels
from remit.models.stored import plain
from remit.models.traits import Traits, traits_of
from remit.models.units import Units, bricks

_TURNS = 2


@dataclass(frozen=True, slots=True)
class Shared:
    """What the bases of one product take from everybody: the specialties in order, what levels take at each turn, and where prescriptions are known of bricks
    the level of each, with the growth expected and the usual level of all (empty: there are none)."""

    specialties: tuple[str, ...]
    turns: tuple[Common, ...]
    bricks: Floats
    of_bricks: tuple[float, float] = (1.0, 0.0)


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
    named = rows["specialty"].fill_null("")
    names = shared.specialties if shared else tuple(named.unique().sort().to_list())
    group = np.searchsorted(np.array(names), named.to_numpy())
    in_brick = (at >= 0) & (data.brick[at] >= 0)
    shown = np.flatnonzero((at >= 0) & ~in_brick & ~data.pdrp[at] & ~rows["pdrp"].fill_null(True).to_numpy())
    turns = _own(entry, traits, rows[shown], data, at[shown], days, group[shown], len(names), shared.turns if shared else ())
    levels = turns[-1]
    base, ahead = levels.usual[group], np.full(len(group), levels.ahead)
    base[shown] = levels.base
    of_all = Shared(names, tuple(turn.common for turn in turns), np.zeros(0))
    if in_brick.any():
        inside = np.flatnonzero(in_brick)
        if shared is None or not len(shared.bricks):
            found = _of_bricks(entry, traits, rows[inside], data, at[inside], days)
            of_all = Shared(names, of_all.turns, found.base, (found.ahead, float(found.usual[0])))
        else:
            of_all = shared
        base[inside], ahead[inside] = of_all.bricks[data.brick[at[inside]]], of_all.of_bricks[0]
        if not np.isfinite(data.outcome).any():
            ahead[~in_brick], base[~in_brick] = of_all.of_bricks
    return Bases(base, ahead, of_all)


def places_of(rows: pl.DataFrame, data: Panel) -> Ints:
    """The place of each row's HCP in the panel (-1: none)."""
    numbered = pl.DataFrame({"hcp_id": list(data.hcps), "at": range(len(data.hcps))}, schema={"hcp_id": pl.String, "at": pl.Int64})
    return rows.select("hcp_id").join(numbered, on="hcp_id", how="left", maintain_order="left")["at"].fill_null(-1).to_numpy()


def dump_shared(shared: Mapping[str, Shared]) -> dict[str, Any]:
    """As plain values, by product."""
    return {
        product: {
            "specialties": list(each.specialties),
            "turns": [
                {"growth": plain(turn.growth.tolist()), "ahead": repr(turn.ahead), "usual": plain(turn.usual.tolist()), "spread": plain(turn.spread.tolist())}
                for turn in each.turns
            ],
            "bricks": plain(each.bricks.tolist()),
            "of_bricks": plain(list(each.of_bricks)),
        }
        for product, each in shared.items()
    }


def load_shared(body: Mapping[str, Any]) -> dict[str, Shared]:
    """What `dump_shared` gave."""
    return {
        product: Shared(
            tuple(each["specialties"]),
            tuple(Common(_floats(turn["growth"]), float(turn["ahead"]), _floats(turn["usual"]), _floats(turn["spread"])) for turn in each["turns"]),
            _floats(each["bricks"]),
            (float(each["of_bricks"][0]), float(each["of_bricks"][1])),
        )
        for product, each in body.items()
    }


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
        for number, (channel, stock) in enumerate(zip(entry.shapes, stocks, strict=True)):
            lift += _effect(entry, traits, rows, turns[-1].base, channel, number)[:, None] * stock
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
        for number, (channel, stock) in enumerate(zip(entry.shapes, stocks, strict=True)):
            effect = _effect(entry, traits, rows, levels.base[found], channel, number)
            scale = units.sums(stock).sum(axis=1) / np.maximum(asked.sums(stock[spot]).sum(axis=1), 1e-9)
            lift += asked.sums(effect[:, None] * stock[spot]) * (scale / units.size)[:, None]
    return levels


def _effect(entry: Learned, traits: Traits, rows: pl.DataFrame, base: Floats, channel: str, number: int) -> Floats:
    of = traits_of(rows, traits, entry.product, np.log(base), channel)
    return np.asarray(entry.certain[number] * np.exp(log_effect(of, entry.mean[entry.of(number)])))


def _floats(texts: Any) -> Floats:
    return np.array([float(text) for text in texts], dtype=np.float64)
