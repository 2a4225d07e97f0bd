"""What a response is worth on time that it did not learn from.

The model is trained on the panel as it stood some periods ago, and says what the touches of the periods since then added, relative to each HCP's level. What
was written in those periods, freed of the HCP's own level and of what moved the specialty, is compared with that, freed alike. (A response by thirds says
it in units, of rows each weighing alike, freed of what history explains.)

    gain  = 1 - sum of w (y - p)^2 / sum of w y^2        slope = sum of w y p / sum of w p^2

`y` is what was written over what was to be expected without promotion, `p` what promotion is said to have added, `w` the units expected: the inverse of the
Poisson variance. A slope of 1 is right, of 1/2 an effect exaggerated twofold, and no gain is left there: gain = (2 slope - 1) x sum of w p^2 / sum of w y^2.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import polars as pl

from remit.features import Panel
from remit.models.bias import Interval
from remit.models.effects import Floats, Ints
from remit.models.estimators.response import LEVEL, Response
from remit.models.evidence import ratio
from remit.models.inputs import hidden_rows
from remit.models.levels import levels_of
from remit.models.panel_learning import specialties
from remit.models.panel_response import PanelResponse, units_of
from remit.models.residuals import residuals
from remit.models.units import Units, alone, bricks
from remit.models.weeks import Sample, saturated

QUARTER_DAYS = 91
_LEAST_EARLIER, _LEAST_HELD = 8, 3
"""Periods to learn from and to judge on, below which nothing is judged."""


@dataclass(frozen=True, slots=True)
class HeldOutTouches:
    """What a response said of the touches of held-out periods, against what was written there: `gain` the part of the weighted squared error that it saves
    over no effect at all, `slope` what was seen by what was said (None: it said nothing), both with 90% intervals clustered by unit. `rows` are periods of
    HCPs or bricks with a known outcome (of a response by thirds: instants of HCPs), `hcps` the HCPs in them, `units` the HCPs or bricks; `since` and `until`
    when the first began and the last ended (the first and the last instant)."""

    rows: int
    hcps: int
    units: int
    since: int
    until: int
    gain: Interval
    slope: Interval | None


def held_periods(data: Panel) -> range:
    """The periods to hold out, by place: the last third of those with a known outcome, a quarter year at most; none where too few would be left."""
    told = np.flatnonzero(np.isfinite(np.concatenate([data.outcome, *([data.brick_outcome] if len(data.brick_size) else [])])).any(axis=(0, 1)))
    if told.size < _LEAST_EARLIER + _LEAST_HELD:
        return range(0)
    days = float(np.median(np.diff(data.ends))) / 86_400_000_000
    count = min(len(told) // 3, ceil(QUARTER_DAYS / days))
    return range(int(told[-count]), int(told[-1]) + 1)


def until(data: Panel, periods: int) -> Panel:
    """The first `periods` of a panel, as known at the end of the last of them."""
    return replace(
        data,
        as_of=int(data.ends[periods - 1]),
        ends=data.ends[:periods],
        outcome=data.outcome[:, :, :periods],
        touches=data.touches[:, :, :, :periods],
        brick_outcome=data.brick_outcome[:, :, :periods],
    )


def among(data: Panel, hcps: Collection[str], products: Collection[str]) -> Panel:
    """The panel of those of `hcps` and `products` that it holds."""
    mine, own = np.isin(np.array(data.hcps), list(hcps)), np.isin(np.array(data.products), list(products))
    left = np.unique(data.brick[mine & (data.brick >= 0)])
    place = np.full(len(data.brick_size) + 1, -1)
    place[left] = np.arange(len(left))
    return replace(
        data,
        hcps=tuple(np.array(data.hcps)[mine].tolist()),
        products=tuple(np.array(data.products)[own].tolist()),
        outcome=data.outcome[mine][:, own],
        touches=data.touches[:, mine][:, :, own],
        pdrp=data.pdrp[mine],
        brick=place[data.brick[mine]],
        brick_outcome=data.brick_outcome[left][:, own] if len(left) else np.empty((0, int(own.sum()), len(data.ends))),
        brick_size=data.brick_size[left],
        brick_id=tuple(np.array(data.brick_id)[mine].tolist()),
    )


def held_out_touches(model: PanelResponse, frame: pl.DataFrame, whole: Panel, held: range) -> HeldOutTouches | None:
    """What `model`, trained on `whole` until `held` and on `frame`, is worth in the periods `held`; `frame` has a row for each HCP and product of `whole`, as
    known when `held` began. None where no outcome is known in them."""
    earlier = until(whole, held.start)
    kind = units_of(earlier)
    units = alone(whole, kind.hcps) if kind.unit is None else bricks(whole)
    frame = frame.sort("hcp_id", "product")
    effects, group = model.effects(frame, earlier), units.groups(specialties(frame.filter(product=whole.products[0]))[units.hcps])
    sums, told = np.zeros((3, len(units.size))), np.zeros(len(units.size), np.int64)
    for place, entry in enumerate(model.learned):
        added = np.zeros((len(units.hcps), len(whole.ends)))
        for at, (channel, shape) in enumerate(entry.shapes.items()):
            stock = saturated(whole.touches[whole.channels.index(channel), units.hcps, place], *shape, model.period_days)
            added += effects[entry.product][1][units.hcps, at][:, None] * stock
        parts, known = _compared(units, units.outcome[:, place], units.mean(added), group, held)
        sums, told = sums + parts, told + known
    if not told.any():
        return None
    each = np.arange(len(told))
    inside = np.flatnonzero(told > 0)
    return HeldOutTouches(
        rows=int(told.sum()),
        hcps=len(inside) if units.unit is None else int(np.isin(units.unit, inside).sum()),
        units=len(inside),
        since=int(whole.ends[held.start - 1]),
        until=int(whole.ends[held.stop - 1]),
        gain=ratio(2 * sums[1] - sums[2], sums[0], each) or Interval(0.0, 0.0, 0.0),
        slope=ratio(sums[1], sums[2], each),
    )


def held_out_rows(model: Response, rows: pl.DataFrame, seed: int) -> HeldOutTouches | None:
    """What `model` is worth on `rows` of `features.training_frame` with its horizon, of instants that it did not learn from; `unit` is whose outcome each is,
    where HCPs share them. None where it knows of no effect that varies there."""
    rows = rows.filter(~hidden_rows(rows)).sort("hcp_id", "product", "instant")
    rows = rows if "unit" in rows.columns else rows.with_columns(unit="hcp_id")
    kept, parts = [], []
    for product, cuts in sorted(model.cuts.items()):
        effects = {entry.channel: entry.effects for entry in model.learned if entry.product == product and entry.effects is not None}
        needed = [f"{kind}_{channel}" for channel in effects for kind in ("given", "touches_stock")]
        mine = rows.filter(product=product).drop_nulls(needed)
        if not effects or mine.is_empty():
            continue
        freed = residuals(mine, tuple(effects), model.inputs, seed=seed, threads=1).clean
        group = np.searchsorted(np.asarray(cuts), mine[LEVEL].fill_null(0.0).to_numpy(), side="right")
        each = np.column_stack([np.array([max(effect.estimate, 0.0) for effect in of_channel])[group] for of_channel in effects.values()])
        parts.append(np.column_stack([freed[:, 0], (each * freed[:, 1:]).sum(axis=1)]))
        kept.append(mine.select("hcp_id", "instant", "unit"))
    if not kept:
        return None
    (seen, said), judged = np.concatenate(parts).T, pl.concat(kept)
    unit = judged["unit"].rank("dense").to_numpy().astype(np.int64) - 1
    return HeldOutTouches(
        rows=judged.height,
        hcps=judged["hcp_id"].n_unique(),
        units=int(unit.max()) + 1,
        since=int(judged["instant"].to_numpy().min()),
        until=int(judged["instant"].to_numpy().max()),
        gain=ratio(2 * seen * said - said**2, seen**2, unit) or Interval(0.0, 0.0, 0.0),
        slope=ratio(seen * said, said**2, unit),
    )


def _compared(units: Units, outcome: Floats, added: Floats, group: Ints, held: range) -> tuple[Floats, Ints]:
    """Per unit the sums of w y^2, w y p, w p^2 over the periods `held`, and in how many of them an outcome is known; `added[u, t]` is what promotion is said to
    have added."""
    levels = levels_of(outcome, (1.0 + added) * units.size[:, None], group, int(group.max()) + 1, 0.5)
    expected = (levels.base * units.size)[:, None] * np.maximum(levels.growth, 1e-3)
    later = slice(held.start, held.stop)
    sample = Sample(outcome[:, later], expected[:, later], group)
    said = sample.free(added[:, later, None])[:, :, 0]
    weight, seen = sample.weight, sample.target
    return np.stack([(weight * one * other).sum(axis=1) for one, other in ((seen, seen), (seen, said), (said, said))]), sample.told.sum(axis=1)
