"""A level with a trend, followed through thin reports: each period's final total, from its own reports and from where the series was heading.

Everything is on the scale of square roots, where a count's noise does not grow with it and zero is a number (Bartlett 1936, JRSS supplement 3). The model is
the local linear trend (Harvey 1989, section 2.3.2): level and slope walk at random, a period's final is the level plus its own irregular part, and the report
so far, over the share developed, sees the final through reporting noise. The final is the precision-weighted mean of both views: the Bornhuetter-Ferguson
method with the weight that the noise gives. All snapshots and series are followed at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from remit.features.nowcast.triangle import Flags, Floats

LEAST = 0.1
"""Least variance of a period's irregular part; a Poisson count has 0.25."""
_FAR = 4.0
"""Surprises of more standard deviations move level and slope as if they were so many."""
_CELLS = 250_000
"""Cells that are followed at once."""


@dataclass(frozen=True, slots=True)
class Views:
    """What reports say, by snapshot, series and lag: square root of the corrected total, its variance, and whether there is a report."""

    seen: Floats
    noise: Floats
    there: Flags


@dataclass(frozen=True, slots=True)
class Walk:
    """How level and slope move, as multiples of the series' irregular variance; `kept` is the share of a slope that the next period keeps (a damped trend;
    Gardner & McKenzie 1985); `shared` is the variance of what moves the roots of all series in a period alike (a holiday), as a share of them."""

    level: float
    slope: float
    kept: float = 1.0
    shared: float = 0.0


@dataclass(frozen=True, slots=True)
class Tracks:
    """By snapshot, series and lag: the final `total` (-1 before the first report); of its square root, `root`, its `variance` and what was `expected` before
    the period's own report."""

    total: Floats
    root: Floats
    variance: Floats
    expected: Floats


def follow(views: Views, irregular: Floats, walk: Walk, lean: Floats | None = None) -> Tracks:
    """The tracks of every snapshot, from the oldest lag to the newest. `irregular[s]` is the variance of a period around its level; `lean[j, s, k]` the
    share of its level by which leading indicators expect a period to differ from it."""
    (tracks,) = follow_each(views, irregular, (walk,), lean)
    return tracks


def follow_each(views: Views, irregular: Floats, walks: Sequence[Walk], lean: Floats | None = None) -> Iterator[Tracks]:
    """As `follow`, under each of `walks`; several at once where they are small."""
    at_once = max(1, _CELLS // max(views.seen.size, 1))
    for first in range(0, len(walks), at_once):
        together = _follow(views, irregular, walks[first : first + at_once], lean)
        parts = (together.total, together.root, together.variance, together.expected)
        yield from (Tracks(*(part[place] for part in parts)) for place in range(len(together.total)))


def _follow(views: Views, irregular: Floats, walks: Sequence[Walk], lean: Floats | None) -> Tracks:
    """Tracks with a first axis over `walks`."""
    moves, turns, kept, shared = (np.array([getattr(walk, name) for walk in walks])[:, None, None] for name in ("level", "slope", "kept", "shared"))
    shape = (len(walks), *views.seen.shape[:2])
    scale = np.broadcast_to(irregular, shape)
    tracks = Tracks(*(np.zeros((len(walks), *views.seen.shape)) for _ in range(4)))
    level, slope, begun = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    p_level, p_both, p_slope = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for k in range(views.seen.shape[2] - 1, -1, -1):
        seen, noise, there = views.seen[:, :, k], views.noise[:, :, k], views.there[:, :, k]
        slope, p_both, p_slope = kept * slope, kept * p_both, kept * kept * p_slope
        level, p_level, p_both = level + slope, p_level + 2 * p_both + p_slope + moves * scale, p_both + p_slope
        p_slope = p_slope + turns * scale
        shift = np.zeros(shape) if lean is None else lean[:, :, k] * np.maximum(level, 0)
        expected = np.maximum(level + shift, 0.0)
        prior = p_level + scale
        both = prior + noise
        if (shared > 0).any():
            expected = expected * (1 + _shared_move(seen, expected, both, there & begun, shared))
        surprise = np.where(there & begun, seen - expected, 0.0)
        tracks.expected[..., k] = np.where(begun, expected, 0.0)
        gain = np.where(there, prior / both, 0.0)
        # A thinned count is unbiased on its own scale and not on that of roots: with Poisson noise this is the report plus what the level leaves open.
        mean = expected**2 + prior
        tracks.total[..., k] = np.where(begun, np.maximum(mean + gain * (seen**2 - mean), 0.0), np.where(there, seen**2, -1.0))
        tracks.root[..., k] = np.where(begun, np.maximum(expected + gain * surprise, 0.0), seen)
        tracks.variance[..., k] = np.where(begun, prior * (1 - gain), scale + noise)
        bounded = np.clip(surprise, -_FAR * np.sqrt(both), _FAR * np.sqrt(both))
        weight = np.where(there & begun, 1.0 / both, 0.0)
        level, slope = level + p_level * weight * bounded, slope + p_both * weight * bounded
        p_level, p_both, p_slope = p_level - p_level**2 * weight, p_both - p_level * p_both * weight, p_slope - p_both**2 * weight
        begins = there & ~begun
        level, p_level = np.where(begins, seen, level), np.where(begins, scale + noise, p_level)
        slope, p_both, p_slope = np.where(begins, 0.0, slope), np.where(begins, 0.0, p_both), np.where(begins, 0.25 * scale + 0.0025 * seen**2, p_slope)
        begun = begun | there
    return tracks


def _shared_move(seen: Floats, expected: Floats, variance: Floats, told: Flags, shared: Floats) -> Floats:
    """Per walk and snapshot, by which share the series that have a report lie off what was expected, drawn towards none."""
    weight = np.where(told, expected**2 / variance, 0.0).sum(axis=2, keepdims=True)
    off = np.where(told, (seen - expected) * expected / variance, 0.0).sum(axis=2, keepdims=True)
    return np.asarray(np.where(shared > 0, off / (weight + 1 / np.where(shared > 0, shared, 1.0)), 0.0))


def irregular_of(root: Floats, there: Flags) -> Floats:
    """Per series, the variance of a period around a smooth path: a sixth of the mean square of second differences, extremes bounded; short series lean on
    a Poisson count with a twentieth of noise. `root[s, k]` and `there[s, k]` are of finals, by lag."""
    bend = root[:, 2:] - 2 * root[:, 1:-1] + root[:, :-2]
    whole = there[:, 2:] & there[:, 1:-1] & there[:, :-2]
    count = whole.sum(axis=1)
    size = np.where(there, root, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    assumed = 0.25 + (0.025 * size) ** 2
    squares = np.where(whole, bend * bend, np.nan)
    usual = np.nanmedian(np.where(count[:, None] > 0, squares, 0.0), axis=1) / 0.455
    bounded = np.where(whole, np.minimum(bend * bend, 9 * np.maximum(usual, LEAST)[:, None]), 0.0).sum(axis=1)
    return np.asarray(np.maximum((bounded / 6 + 6 * assumed) / (count + 6), LEAST))
