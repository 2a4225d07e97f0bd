"""How much of a period is reported at each lag: reverse link ratios, drawn from series towards product, source and all.

The ratio at lag d is what was known at d over what was known at d + 1 (the inverse of the development factor of the chain ladder; Mack 1993, ASTIN Bulletin
23, section 2). Unlike the factor it exists where the first reports are zero. The share developed at d is the product of the ratios from d on. Recent
transitions weigh more, since curves drift. A series borrows from its parent by credibility (Buehlmann & Straub 1970): as far as its own volume does not tell
it apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.features.nowcast.triangle import Flags, Floats, Ints, Triangle, diagonals

_REGULAR = 0.6
"""A feed that brings rows in so many of its periods is regular; only a regular feed can fall silent."""
_ALIVE = 0.2
"""A period with fewer rows than this share of the usual is silent."""
_RESTATED, _SPREADS = 0.02, 6.0
"""A snapshot is a restatement if known periods moved together by more than this share, and by more than so many usual moves."""


@dataclass(frozen=True, slots=True)
class History:
    """The triangle made ready: `seen[j, s, k]` as snapshot j saw it (restatements taken back to the level of today), `known` likewise, `silent[j, s]`
    periods since the source last brought rows, `usable[j, s, k]` whether the step from lag k + 1 to k + 2 that snapshot j completed tells of reporting,
    `restated[s]` variance of the share by which a vendor's restatements may still move a period. Periods too old to have been restated are scaled as well, lest
    the break look like one in demand: `level[s, k]` by how much, of the period at lag k + 1 now."""

    seen: Floats
    known: Flags
    silent: Ints
    usable: Flags
    restated: Floats
    level: Floats
    levels: tuple[Ints, ...]


@dataclass(frozen=True, slots=True)
class Development:
    """`share[j, s, k]` of a period that is known at lag k + 1, as estimated at snapshot j; `doubt` is the variance of its relative error."""

    share: Floats
    doubt: Floats


def history(triangle: Triangle) -> History:
    """What each snapshot saw, silence and restatements found."""
    levels = _levels(triangle.series)
    alive, started = _alive(triangle)
    total, restated, level = _on_level(triangle, levels[-2], alive)
    seen, known = diagonals(triangle, total), diagonals(triangle, triangle.known)
    usable = _usable(seen, known, alive, started, levels[-2])
    return History(seen, known, _silence(alive), usable, restated, level, levels)


def develop(past: History, half_life: float) -> Development:
    """Shares developed, estimated at each snapshot from the steps completed by then, weights halving every `half_life` periods."""
    before, after = _steps(past.seen, past.usable)
    fade = 0.5 ** (1.0 / half_life)
    ratio = np.ones((before.shape[0], 1, before.shape[2]))
    unseen = _UNSEEN * 0.7 ** np.arange(before.shape[2])
    doubt = np.broadcast_to(unseen, ratio.shape)
    parent = np.zeros(before.shape[1], dtype=np.int64)
    for level in past.levels:
        own_before, own_after = _summed(before, level), _summed(after, level)
        above = _parent_of(level, parent)
        known_before, known_after, squares = _faded(own_before, fade), _faded(own_after, fade), _faded(own_after, fade * fade)
        noise = _noise(own_before, own_after)
        weight = _credibility(known_before[0], known_after[0], squares[0], ratio[0][above], noise)
        total = known_after + weight
        safe = np.where(total > 0, total, 1.0)
        own = np.where(total > 0, (known_before + weight * ratio[:, above]) / safe, ratio[:, above])
        mine = np.where(known_after > 0, known_after / safe, 0.0)
        doubt = mine * mine * np.minimum(noise / np.where(known_after > 0, known_after, 1.0), unseen) + (1 - mine) ** 2 * doubt[:, above]
        ratio, parent = own, level
    relative = doubt / np.maximum(ratio, 0.05) ** 2
    tail = np.ones((*ratio.shape[:2], 1))
    share = np.concatenate([ratio, tail], axis=2)[:, :, ::-1].cumprod(axis=2)[:, :, ::-1]
    spread = np.concatenate([relative, 0 * tail], axis=2)[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    return Development(share, np.minimum(spread, 1.0))


_UNSEEN = 0.1
"""Variance of the ratio of the first step, if nobody has ever seen it; later steps are each surer by the factor 0.7."""


def _levels(series: pl.DataFrame) -> tuple[Ints, ...]:
    """The group of each series at every level: all, source, source and product, itself."""

    def numbers(keys: Sequence[str]) -> Ints:
        groups = series.select(keys).unique().sort(keys).with_row_index("group")
        return np.asarray(series.join(groups, on=list(keys), how="left", nulls_equal=True, maintain_order="left")["group"].to_numpy(), dtype=np.int64)

    alone = np.arange(series.height)
    return np.zeros(series.height, dtype=np.int64), numbers(["source"]), numbers(["source", "product"]), alone


def _alive(triangle: Triangle) -> tuple[Flags, Flags]:
    """Per snapshot and series: whether the source brought rows in the period before, and whether it had ever brought any."""
    sources = triangle.series["source"].fill_null("").to_list()
    alive, started = _heard(triangle.received)
    return np.column_stack([alive[name] for name in sources]), np.column_stack([started[name] for name in sources])


def _heard(received: Mapping[str, Ints]) -> tuple[dict[str, Flags], dict[str, Flags]]:
    alive, started = {}, {}
    for name, rows in received.items():
        first = int(np.flatnonzero(rows).max())
        since = rows[: first + 1]
        regular = float((since > 0).mean()) >= _REGULAR
        usual = float(np.median(since[since > 0]))
        steps = np.arange(len(rows) - 1)
        started[name] = steps <= first
        alive[name] = started[name] & ((rows[:-1] >= _ALIVE * usual) if regular else np.ones(len(steps), dtype=bool))
        # The first delivery may be all of history at once: it started there, and tells nothing of the step before.
    return alive, started


def _silence(alive: Flags) -> Ints:
    """Periods between each snapshot and the newest earlier one whose source was alive."""
    silent = np.zeros(alive.shape, dtype=np.int64)
    running = np.full(alive.shape[1], alive.shape[0], dtype=np.int64)
    for j in range(alive.shape[0] - 1, -1, -1):
        running = np.where(alive[j], 0, running + 1)
        silent[j] = running
    return silent


def _steps(seen: Floats, usable: Flags) -> tuple[Floats, Floats]:
    """What was known before and after each usable step; zero elsewhere. The step of [j, s, k] led to snapshot j at lag k + 2."""
    before = np.where(usable, np.concatenate([seen[1:, :, :-1], np.zeros_like(seen[:1, :, :-1])]), 0.0)
    return before, np.where(usable, seen[:, :, 1:], 0.0)


def _summed(values: Floats, group: Ints) -> Floats:
    """Sums over the series of each group: exact, as counts are whole numbers wherever nothing was restated."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return np.add.reduceat(values[:, order], starts, axis=1)


def _parent_of(level: Ints, above: Ints) -> Ints:
    parent = np.zeros(int(level.max()) + 1, dtype=np.int64)
    parent[level] = above
    return parent


def _faded(values: Floats, fade: float) -> Floats:
    """Running sums from the oldest snapshot to each, fading."""
    summed = values.copy()
    for j in range(len(values) - 2, -1, -1):
        summed[j] += fade * summed[j + 1]
    return summed


def _noise(before: Floats, after: Floats) -> Floats:
    """Per group and lag: the variance of a step's ratio times its volume (Mack 1993, theorem 3), groups with few steps taking the mean of all."""
    used = after > 0
    count = used.sum(axis=0)
    volume = after.sum(axis=0)
    mean = before.sum(axis=0) / np.where(volume > 0, volume, 1.0)
    squares = np.where(used, (before - mean * after) ** 2 / np.where(used, after, 1.0), 0.0).sum(axis=0)
    pooled = squares.sum(axis=0) / np.maximum((count - 1).clip(0).sum(axis=0), 1)
    return np.asarray((squares + _BORROWED * pooled) / (np.maximum(count - 1, 0) + _BORROWED))


_BORROWED = 4
"""Steps' worth of noise that a group takes from the mean of all."""


def _credibility(before: Floats, after: Floats, squares: Floats, parent: Floats, noise: Floats) -> Floats:
    """The volume that the parent's ratio counts for, per lag: noise over the spread between groups (moment estimate of DerSimonian & Laird 1986)."""
    if before.shape[0] == 1:
        return np.where(after > 0, 0.0, 1.0)
    volume = after**2 / np.where(squares > 0, squares, 1.0)
    own = before / np.where(after > 0, after, 1.0)
    precision = np.where(noise > 0, volume / np.where(noise > 0, noise, 1.0), 0.0)
    total = precision.sum(axis=0)
    spare = total - (precision**2).sum(axis=0) / np.where(total > 0, total, 1.0)
    excess = (precision * (own - parent) ** 2).sum(axis=0) - ((precision > 0).sum(axis=0) - 1)
    spread = np.where(spare > 0, np.maximum(excess, 0.0) / np.where(spare > 0, spare, 1.0), 0.0)
    return np.where(noise > 0, np.minimum(noise / np.maximum(spread, 1e-9), _WHOLLY), 0.0)


_WHOLLY = 1e9
"""Credibility volume at which a group counts for nothing beside its parent."""


def _usable(seen: Floats, known: Flags, alive: Flags, started: Flags, family: Ints) -> Flags:
    """Steps between two live snapshots of a source, less those far from their lag's usual (a period skipped and delivered later)."""
    earlier = np.concatenate([alive[1:] & started[1:], np.zeros_like(alive[:1])])
    usable = (alive & earlier)[:, :, None] & known[:, :, 1:]
    before, after = (_summed(each, family) for each in _steps(seen, usable))
    return np.asarray(usable & ~_odd(before, after)[:, family])


def _odd(before: Floats, after: Floats) -> Flags:
    ratio = np.where(after > 0, before / np.where(after > 0, after, 1.0), np.nan)
    middle, spread = _middle(ratio)
    count = (~np.isnan(ratio)).sum(axis=0)
    far = np.abs(ratio - middle) > np.maximum(0.15, _SPREADS * spread)
    return np.asarray(far & (count >= 5))


def _middle(values: Floats) -> tuple[Floats, Floats]:
    """Median and scaled median absolute deviation over the first axis, of what is a number; 1 and 0 where nothing is."""
    nothing = np.isnan(values).all(axis=0)
    filled = np.where(nothing, 1.0, values)
    middle = np.nanmedian(filled, axis=0)
    return middle, 1.4826 * np.nanmedian(np.abs(filled - middle), axis=0)


def _on_level(triangle: Triangle, family: Ints, alive: Flags) -> tuple[Floats, Floats, Floats]:
    """Totals with the past of restated periods scaled to today's level ("on-level", as in ratemaking), and what risk of another restatement that leaves."""
    total = triangle.total.copy()
    seen, known = diagonals(triangle, total), diagonals(triangle, triangle.known)
    earlier = np.concatenate([known[1:, :, :-1], np.zeros_like(known[:1, :, :-1])])
    live = alive & np.concatenate([alive[1:], np.zeros_like(alive[:1])])
    before, after = (_summed(each, family) for each in _steps(seen, earlier & known[:, :, 1:] & live[:, :, None]))
    moved = np.where((before > 0) & (after > 0), after / np.where(before > 0, before, 1.0), np.nan)
    usual, _ = _middle(moved)
    moved = moved / usual
    common = _common(moved)
    _, spread = _middle(common)
    risk, level = np.zeros(common.shape[1]), np.ones(total.shape[:2])
    found = np.abs(common - 1) > np.maximum(_RESTATED, _SPREADS * spread)
    touched = found[:, :, None] & ~np.isnan(moved) & (np.abs(moved - common[:, :, None]) < 0.5 * np.abs(common - 1)[:, :, None])
    seen_steps = np.maximum((~np.isnan(common)).sum(axis=0), 1)
    for j, group in np.argwhere(found):
        risk[group] += (common[j, group] - 1) ** 2
        lags = np.flatnonzero(touched[j, group])
        for lag in lags:
            total[family == group, j + lag + 1, : lag + 1] *= common[j, group]
        level[family == group, j + lags.max() + 2 :] *= common[j, group]
    total *= level[:, :, None]
    return total, (risk * np.minimum(_EXPOSED / seen_steps, 1.0))[family], level[:, : total.shape[2]]


_EXPOSED = 6
"""Periods during which the restatement of a recent period would still be called one of its nowcast."""


def _common(moved: Floats) -> Floats:
    """By how much a snapshot moved the periods at lags 3 to 21 together; not a number where it saw fewer than ten."""
    part = moved[:, :, 2:20]
    few = (~np.isnan(part)).sum(axis=2) < 10
    common = np.nanmedian(np.where(few[:, :, None], 1.0, part), axis=2)
    return np.where(few, np.nan, common)
