"""Leading indicators: what is already known of a period whose prescriptions are not, as a share by which it should differ from its level."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.features.errors import FeatureError
from remit.features.nowcast.tracking import Tracks
from remit.features.nowcast.triangle import Flags, Floats, Ints, Triangle
from remit.features.periods import number_of

DELAYS = (0, 1, 2, 4)
"""Periods by which an indicator may lead."""

_COLUMNS = ("product", "period", "indicator", "value", "received_at")
_TRAILING = 8
"""Periods before, against whose mean a value is held."""
_BOUND = 1.0
_RIDGE = 4.0
"""Says beforehand that a coefficient is about 0, give or take a half."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Indicator `name`, `delay` periods earlier, against its trailing mean: `value[j, s, k]` as snapshot j knew it for the period at lag k + 1; 0: unknown."""

    name: str
    delay: int
    value: Floats


def signals(indicators: pl.DataFrame | None, triangle: Triangle) -> Iterator[Signal]:
    """Every indicator at every delay, sorted. Raises `FeatureError` where columns are missing."""
    if indicators is None or indicators.is_empty():
        return
    if missing := [name for name in _COLUMNS if name not in indicators.columns]:
        raise FeatureError("the indicators lack columns", where="indicators", faults=missing, do=f"Give {', '.join(_COLUMNS)}.")
    known = indicators.select(_COLUMNS).filter((pl.col("received_at") <= triangle.instants[0]) & pl.col("value").is_not_null()).sort("received_at", *_COLUMNS)
    for name in known["indicator"].unique().sort():
        moves = _moves(_as_known(known.filter(indicator=name), triangle))
        for delay in DELAYS:
            yield Signal(name, delay, _by_lag(moves, triangle, delay))


def _as_known(rows: pl.DataFrame, triangle: Triangle) -> Floats:
    """`[j, s, a]`: the value known at snapshot j of the period that ended a + 1 periods before the one of `as_of`, for the product of s."""
    _, depth, _ = triangle.total.shape
    products = triangle.series["product"].to_list()
    values = {product: np.full((depth, depth), np.nan) for product in products}
    rising = np.asarray(triangle.instants[::-1])
    steps = len(rising) - 1 - np.searchsorted(rising, rows["received_at"].to_numpy(), side="left")
    for product, period, value, step in zip(rows["product"], rows["period"], rows["value"], steps, strict=True):
        age = triangle.newest - number_of(period)
        if product in values and 1 <= age <= depth:
            values[product][: step + 1, age - 1] = value
    return np.stack([values[product] for product in products], axis=1)


def _moves(known: Floats) -> Floats:
    """Each value over the mean of the periods before it, less one; 0 where either is unknown or the mean is not positive."""
    depth = known.shape[2]
    padded = np.concatenate([known, np.full((*known.shape[:2], _TRAILING), np.nan)], axis=2)
    before = np.stack([padded[:, :, step : step + depth] for step in range(1, _TRAILING + 1)])
    there = ~np.isnan(before)
    count = there.sum(axis=0)
    mean = np.where(there, before, 0.0).sum(axis=0) / np.maximum(count, 1)
    usable = (count >= _TRAILING // 2) & (mean > 0) & ~np.isnan(known)
    move: Floats = np.where(usable, known, 0.0) / np.where(usable, mean, 1.0) - usable
    return move.clip(-_BOUND, _BOUND)


def _by_lag(moves: Floats, triangle: Triangle, delay: int) -> Floats:
    _, depth, lags = triangle.total.shape
    snapshot = np.arange(min(depth, lags))[:, None]  # as far as a study looks back
    age = snapshot + np.arange(lags)[None, :] + delay
    found = moves[snapshot, :, np.minimum(age, depth - 1)].transpose(0, 2, 1)
    return np.asarray(np.where((age < depth)[:, None, :], found, 0.0))


def lean(signal: Signal, tracks: Tracks, final: Floats, settled: Flags, irregular: Floats, product: Ints, settles: int) -> Floats:
    """The share by which the signal expects each period to differ, its coefficient learnt, per snapshot, from finals settled by then.

    Weighted least squares of the surprise at lag 1, as a share of what was expected, on the signal; the coefficient of a product is drawn half-way to the
    pooled one, and that towards zero.
    """
    expected = tracks.expected[:, :, 0]
    used = settled[:, :, 0] & (expected > 0.5)
    weight = np.where(used, expected**2 / irregular, 0.0)
    surprise = np.where(used, final[:, :, 0] / np.where(used, expected, 1.0) - 1, 0.0)
    move = signal.value[:, :, 0]
    both, square = (_earlier(weight * move * other, settles) for other in (surprise, move))
    pooled = (both.sum(axis=1) / (square.sum(axis=1) + _RIDGE))[:, None]
    own_both, own_square = (np.stack([part[:, product == each].sum(axis=1) for each in range(int(product.max()) + 1)], axis=1) for part in (both, square))
    half = square.sum(axis=1, keepdims=True) / own_square.shape[1] + _RIDGE
    coefficient = ((own_both + half * pooled) / (own_square + half))[:, product]
    return np.asarray(np.clip(coefficient[:, :, None] * signal.value, -0.5, 0.5))


def _earlier(values: Floats, settles: int) -> Floats:
    """Sums over all snapshots at least `settles` before each."""
    summed = values[::-1].cumsum(axis=0)[::-1]
    return np.concatenate([summed[settles:], np.zeros_like(summed[:settles])])
