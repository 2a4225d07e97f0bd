"""How a column is distributed, as counts in bins that the reference fixed once; and how far two such distributions lie apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FINE, _COARSE = 100, 10
_RARE = 0.01
_OTHER = ""
"""Stands for every level that the reference holds rarely or not at all."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Where a column's values are counted: the upper bounds of numbers (values above the last one have a bin of their own), or the levels of a text; the
    last bin holds what is unknown. `coarse` are the first fine bins of each coarse one."""

    name: str
    edges: tuple[float, ...] | None
    levels: tuple[str, ...] | None
    coarse: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A column's counts in its bins, whole numbers."""

    bins: Bins
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.counts)

    @property
    def null_share(self) -> float:
        return self.counts[-1] / max(self.rows, 1)


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a column lies from its reference.

    `psi` is the population stability index over the coarse bins and the unknown, each count raised by half; `ks` the largest difference of the shares up
    to a bound, over known values (None for a text). `psi_line` and `ks_line` are what chance alone exceeds with the given probability each.
    """

    psi: float
    psi_line: float
    ks: float | None
    ks_line: float | None
    null_share: float
    null_reference: float

    @property
    def shown(self) -> float:
        """How far either distance is towards its line: from 1 on chance does not explain it."""
        of_ks = 0.0 if self.ks is None or not self.ks_line else self.ks / self.ks_line
        return max(self.psi / self.psi_line, of_ks)


def bins_of(column: pl.Series) -> Bins:
    """Bins for `column` from its own values: percentiles and deciles of a number, the levels of a text that are not rare."""
    if column.dtype.is_numeric():
        known = column.drop_nulls().cast(pl.Float64).drop_nans().to_numpy()
        fine = _bounds(known, _FINE)
        coarse = sorted({0, *(fine.index(bound) + 1 for bound in _bounds(known, _COARSE))})
        return Bins(column.name, tuple(fine), None, tuple(coarse))
    texts = column.cast(pl.String).drop_nulls()
    counts = texts.value_counts().rename({texts.name: "level"})
    common = counts.filter(pl.col("count") >= _RARE * max(texts.len(), 1))["level"].sort().to_list()
    return Bins(column.name, None, (*(level for level in common if level != _OTHER), _OTHER), tuple(range(len([*common, _OTHER]))))


def profile(column: pl.Series, bins: Bins) -> Profile:
    """The counts of `column` in `bins`."""
    if bins.edges is not None:
        values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        unknown = np.isnan(values)
        place = np.searchsorted(np.asarray(bins.edges), values[~unknown] if unknown.any() else values, side="left")
        counts = np.bincount(place, minlength=len(bins.edges) + 1).tolist()
        return Profile(bins, (*counts, int(unknown.sum())))
    assert bins.levels is not None  # noqa: S101 - bins hold edges or levels
    found = dict(column.cast(pl.String).value_counts().iter_rows())
    unknown_texts, named = int(found.pop(None, 0)), [int(found.pop(level, 0)) for level in bins.levels[:-1]]
    return Profile(bins, (*named, sum(found.values()), unknown_texts))


def distance(reference: Profile, current: Profile, chance: float) -> Distance:
    """How far `current` lies from `reference`, with the lines that chance exceeds with probability `chance` each, rows taken as independent.

    The index times n m / (n + m) is chi-squared with as many degrees of freedom as bins less one (Yurdakul & Naranjo 2020, Journal of Risk Model
    Validation 14, section 3); the line of the largest difference is that of Massart (1990, Annals of Probability 18) for two samples.
    """
    before, now = np.asarray(reference.counts, np.float64), np.asarray(current.counts, np.float64)
    starts = [*reference.bins.coarse, len(before) - 1]
    old, new = np.add.reduceat(before, starts), np.add.reduceat(now, starts)
    used = (old + new) > 0
    old, new = old[used] + 0.5, new[used] + 0.5
    shares = old / old.sum(), new / new.sum()
    psi = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    scale = 1 / max(float(before.sum()), 1.0) + 1 / max(float(now.sum()), 1.0)
    ks, ks_line = _largest_difference(before[:-1], now[:-1], chance) if reference.bins.edges is not None else (None, None)
    return Distance(psi, max(chi_squared(len(old) - 1, chance) * scale, 1e-12), ks, ks_line, current.null_share, reference.null_share)


def chi_squared(freedom: int, chance: float) -> float:
    """What a chi-squared variable exceeds with probability `chance` (Wilson & Hilferty 1931, PNAS 17)."""
    if freedom < 1:
        return 0.0
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + NormalDist().inv_cdf(1 - chance) * sqrt(part)) ** 3)


def dump_profile(each: Profile) -> dict[str, Any]:
    """A profile as plain values, numbers that are not whole as text."""
    bins = each.bins
    return {
        "name": bins.name,
        "edges": None if bins.edges is None else [repr(edge) for edge in bins.edges],
        "levels": None if bins.levels is None else list(bins.levels),
        "coarse": list(bins.coarse),
        "counts": list(each.counts),
    }


def load_profile(body: Mapping[str, Any]) -> Profile:
    """The profile that `dump_profile` wrote."""
    edges = None if body["edges"] is None else tuple(float(edge) for edge in body["edges"])
    levels = None if body["levels"] is None else tuple(body["levels"])
    return Profile(Bins(body["name"], edges, levels, tuple(body["coarse"])), tuple(body["counts"]))


def _bounds(known: Floats, parts: int) -> list[float]:
    if not len(known):
        return []
    ranks = np.unique((np.arange(1, parts) * len(known)) // parts)
    return sorted(set(np.partition(known, ranks)[ranks].tolist()))


def _largest_difference(before: Floats, now: Floats, chance: float) -> tuple[float, float | None]:
    n, m = float(before.sum()), float(now.sum())
    if not n or not m:
        return 0.0, None
    ks = float(np.abs(before.cumsum() / n - now.cumsum() / m).max())
    return ks, sqrt(-log(chance / 2) / 2 * (n + m) / (n * m))
