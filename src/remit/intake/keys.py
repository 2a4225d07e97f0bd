"""Rows of one key, found fast."""

import numpy as np
import numpy.typing as npt
import polars as pl

Positions = npt.NDArray[np.int64]


def repeats(rows: pl.DataFrame, key: tuple[str, ...]) -> tuple[Positions, Positions]:
    """Positions of rows whose key comes again, each with the position where it comes next.

    Sorts hashes of the key, which is several times faster than grouping by long text keys, and compares the keys themselves where hashes are equal.
    """
    hashed = rows.select(pl.sum_horizontal(pl.col(name).hash(number) for number, name in enumerate(key))).to_series()
    ranked = np.sort(hashed.to_numpy())
    several = pl.Series(ranked[1:][ranked[1:] == ranked[:-1]])
    if several.is_empty():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = hashed.is_in(several.implode()).arg_true().to_numpy().astype(np.int64)
    hashes = hashed.to_numpy()[places]
    order = np.argsort(hashes, kind="stable")
    again = hashes[order[1:]] == hashes[order[:-1]]
    earlier, later = places[order[:-1][again]], places[order[1:][again]]
    if not rows[earlier].select(key).equals(rows[later].select(key)):
        return _exact_repeats(rows, key)
    return earlier, later


def _exact_repeats(rows: pl.DataFrame, key: tuple[str, ...]) -> tuple[Positions, Positions]:
    """The same without hashes, for the day on which two keys share one."""
    numbered = rows.select(key).with_row_index("position").with_columns(pl.col("position").cast(pl.Int64))
    pairs = numbered.with_columns(later=pl.col("position").shift(-1).over(key)).drop_nulls("later").sort("position")
    return pairs["position"].to_numpy(), pairs["later"].to_numpy()
