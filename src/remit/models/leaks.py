"""Does a feature know the future? Three tests on the rows that a model learned from.

A feature must come out the same when it is built again from what had been received by its instant. It must be what earlier cycles were served at theirs: a row
that came later and says that it was there before is known to training alone. And what is made of the past tells no more of the coming
period than of the one before: of the changes within a physician, a column that explains those of the period after the instant better than those of the
period before it has seen what was not yet known (leakage in the sense of Kaufman, Rosset, Perlich & Stitelman 2012, ACM TKDD 6, section 3).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.models.effects import within

Floats = npt.NDArray[np.float64]

KEYS = ("instant", "hcp_id", "product")
FORESIGHT = 0.1
"""Variance of the coming period's changes that a column may explain beyond that of the period before: a touch explains a few hundredths at most."""

SKEW = 0.01
"""The share of rows that a column may have been served differently in: a few rows restated under their old date make no model."""

FEWEST = 200
"""Rows with a period before, below which foresight cannot be told."""

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Leak:
    """One column: how much more it explains of the period after the instant than of the one before, as stored and as built again (None: not built again,
    or too few rows), the share of the rows built again that came out differently, and the share of those that earlier cycles were served which training
    would take for something else (None: there is no cycle that rows loaded since claim to have come before)."""

    column: str
    foresight: float | None
    foresight_rebuilt: float | None
    differs: float | None
    skewed: float | None = None

    @property
    def found(self) -> bool:
        """Whether the column knows the future: it does not come out again, was served otherwise, or sees ahead."""
        return bool(self.differs) or (self.skewed or 0.0) > SKEW or (self.foresight is not None and self.foresight > FORESIGHT)

    @property
    def says(self) -> str:
        """What was found, in words."""
        again = "" if self.foresight_rebuilt is None else f", and {self.foresight_rebuilt:.0%} when built again"
        ahead = f"explains {self.foresight:.0%} more of the changes after the instant than before it{again}" if self.foresight is not None else ""
        other = f"comes out differently in {self.differs:.1%} of the rows when built from what had been received" if self.differs else ""
        skew = f"was something else in {self.skewed:.1%} of the rows that earlier cycles were served" if self.skewed else ""
        return f"`{self.column}` " + "; ".join(part for part in (other, skew, ahead) if part)


def leaks(
    stored: pl.DataFrame,
    rebuilt: pl.DataFrame | None,
    columns: Sequence[str],
    *,
    apart: Collection[int] | None = None,
    skewed: Mapping[str, float] | None = None,
) -> tuple[Leak, ...]:
    """All tests for each of `columns`, those that see furthest ahead first.

    `stored` are the rows learned from (`KEYS`, `outcome`, the columns); `rebuilt` rows of the same columns, built again for some of the instants. A row
    built again that the stored ones lack says nothing; a stored row of such an instant that does not come out again differs in every column. `apart` are
    instants of different periods (None: all are), for within a period there is nothing to see ahead of; `skewed` the share of rows that earlier
    cycles were served otherwise.
    """
    again = share_that_differs(stored, rebuilt, columns) if rebuilt is not None else {}
    stored = stored if apart is None else stored.filter(pl.col("instant").is_in(list(apart)))
    ahead = _foresight(stored, columns)
    afterwards = dict[str, float | None]()
    suspects = [name for name in columns if again.get(name) or (ahead[name] or 0.0) > FORESIGHT]
    if rebuilt is not None and suspects:
        afterwards = _foresight(_replaced(stored, rebuilt, suspects), suspects)
    found = [Leak(name, ahead[name], afterwards.get(name), again.get(name), (skewed or {}).get(name)) for name in columns]
    return tuple(sorted(found, key=lambda leak: (-(leak.foresight or 0.0), -(leak.differs or 0.0), leak.column)))


def _foresight(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, float | None]:
    """Per column the share of variance it explains of the outcome's changes after the instant, less that before it; both within physician and instant."""
    rows = rows.sort("hcp_id", "product", "instant").with_columns(before=pl.col("outcome").shift(1).over("hcp_id", "product"))
    rows = rows.filter(pl.col("before").is_not_null())
    if rows.height < FEWEST:
        return dict.fromkeys(columns)
    unit, instant = (rows.select(pl.struct(keys).rank("dense")).to_series().to_numpy().astype(np.int64) for keys in (["hcp_id", "product"], ["instant"]))
    outcomes = _changes(rows.select(pl.col("outcome", "before").cast(pl.Float64)).to_numpy(), unit, instant)
    answer: dict[str, float | None] = {}
    for name in columns:
        moved = _changes(_ranks(rows[name], rows["outcome"])[:, None], unit, instant)[:, 0]
        answer[name] = _explained(moved, outcomes[:, 0]) - _explained(moved, outcomes[:, 1])
    return answer


def _changes(values: Floats, unit: npt.NDArray[np.int64], instant: npt.NDArray[np.int64]) -> Floats:
    return within(within(values, unit), instant)


def _ranks(column: pl.Series, outcome: pl.Series) -> Floats:
    """A column by rank, so that its scale does not matter; a text by its mean outcome; unknown in the middle."""
    if not column.dtype.is_numeric():
        column = pl.DataFrame({"level": column, "outcome": outcome}).select(pl.col("outcome").mean().over("level")).to_series()
    ranks = column.fill_nan(None).rank("average") if column.dtype.is_float() else column.rank("average")
    return ranks.fill_null(ranks.len() / 2).cast(pl.Float64).to_numpy()


def _explained(column: Floats, outcome: Floats) -> float:
    spread = float((column**2).sum()) * float((outcome**2).sum())
    return float((column * outcome).sum()) ** 2 / spread if spread > 0 else 0.0


def share_that_differs(stored: pl.DataFrame, rebuilt: pl.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """Per column the share of the stored rows of the instants built again that came out differently; both with `KEYS` and the columns."""
    mine = stored.filter(pl.col("instant").is_in(rebuilt["instant"].unique().implode())).select(*KEYS, *columns)
    both = mine.join(rebuilt.select(*KEYS, *columns, again=pl.lit(True)), on=list(KEYS), how="left", suffix=":again")
    return {name: int((both["again"].is_null() | ~_same(both[name], both[f"{name}:again"])).sum()) / max(both.height, 1) for name in columns}


def _same(one: pl.Series, other: pl.Series) -> pl.Series:
    if one.dtype.is_float():
        return (one.is_null() & other.is_null()) | ((one - other).abs() <= _SLACK * (1 + one.abs())).fill_null(False)
    return one.eq_missing(other)


def _replaced(stored: pl.DataFrame, rebuilt: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The stored rows of the instants built again, with the columns as they came out."""
    return stored.drop(*columns).join(rebuilt.select(*KEYS, *columns), on=list(KEYS), how="inner")
