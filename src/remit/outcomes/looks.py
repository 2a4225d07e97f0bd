"""Looking again and again: estimates of one experiment at growing lengths, and how far their intervals must reach to hold all together.

At look t the estimate is a difference of unit means since the start, less what the units' own past explains (Deng, Xu, Kohavi and Walker 2013, CUPED).
Estimates at different looks share units, so they are dependent; their joint distribution is normal in the limit with a covariance that the units themselves
show. Boundaries spend the error that is allowed, alpha x t / (t + 13), look by look (Lan and DeMets 1983), over that joint distribution.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FEWEST = 10
"""Units of a side, below which it is no side."""
_HALF_SPENT = 13
"""Looks after which half of the allowed error is spent."""
_PATHS = 50_000


def running_means(rows: pl.DataFrame, units: pl.Series, periods: list[int | str]) -> Floats:
    """Per unit and look: the mean outcome of the periods so far that were reported; not a number before the first. `rows`: unit, period, outcome."""
    place = {period: number for number, period in enumerate(periods)}
    row = pl.DataFrame({"unit": units}).with_row_index("row")
    cells = rows.join(row, on="unit", how="inner").select("row", look=pl.col("period").replace_strict(place, return_dtype=pl.Int64), outcome="outcome")
    total, count = np.zeros((len(units), len(periods))), np.zeros((len(units), len(periods)))
    at = cells["row"].to_numpy(), cells["look"].to_numpy()
    np.add.at(total, at, cells["outcome"].to_numpy().astype(float))
    np.add.at(count, at, 1.0)
    total, count = total.cumsum(axis=1), count.cumsum(axis=1)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def less_past(means: Floats, past: Floats, side: Ints) -> Floats:
    """`means` less what `past` explains of them within each side, by least squares; every unit's past is known."""
    rest = np.empty_like(means)
    for look in range(means.shape[1]):
        seen = np.isfinite(means[:, look])
        y, x = _within(means[seen, look], side[seen]), _within(past[seen], side[seen])
        scale = float(np.dot(x, x))
        rest[:, look] = means[:, look] - (float(np.dot(x, y)) / scale if scale else 0.0) * (past - past[seen].mean())
    return rest


def _within(values: Floats, side: Ints) -> Floats:
    return values - (np.bincount(side, values) / np.maximum(np.bincount(side), 1))[side]


def mean_of(rest: Floats) -> tuple[Floats, Floats]:
    """The mean of units at each look, and the covariance of these means. At every look some unit is known."""
    seen = np.isfinite(rest)
    count = seen.sum(axis=0)
    mean = np.where(seen, rest, 0.0).sum(axis=0) / count
    off = np.where(seen, rest - mean, 0.0)
    return mean, off.T @ off / np.outer(count, count) * (count / np.maximum(count - 1, 1))


def paths(covariance: Floats, seed: int) -> Floats:
    """What estimates without any effect would do over the looks, in standard errors: a row per draw."""
    error = np.sqrt(np.diag(covariance))
    product = np.outer(error, error)
    correlation = np.divide(covariance, product, out=np.zeros_like(covariance), where=product > 0)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal((_PATHS, len(covariance)))
    moved: Floats = drawn @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return moved


def boundaries(drawn: Floats, alpha: float) -> Floats:
    """How many standard errors each look's interval reaches, so that all hold together with probability 1 - alpha."""
    away = np.abs(drawn)
    inside, spent, reach = np.ones(len(away), bool), 0.0, np.empty(away.shape[1])
    for look in range(away.shape[1]):
        allowed = alpha * (look + 1) / (look + 1 + _HALF_SPENT)
        stay = np.sort(away[inside, look])
        leave = min(max(round((allowed - spent) * len(away)), 1), len(stay))
        reach[look] = stay[-leave]
        inside &= away[:, look] < reach[look]
        spent = 1.0 - inside.mean()
    return reach
