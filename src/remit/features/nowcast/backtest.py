"""How good would past nowcasts have been? Beside them the report as it stood, and the plain chain ladder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.features.errors import FeatureError
from remit.features.known import Frame
from remit.features.nowcast.estimate import nowcast_of
from remit.features.nowcast.triangle import Triangle, diagonals, triangle

METHODS = ("reported", "chain_ladder", "expected")
"""The columns of a backtest that estimate a final."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of `periods` nowcasts: per method the sum of absolute errors over the sum of finals (`error`), the share of finals inside the interval (`coverage`), and
    the interval's mean width over the mean final (`width`)."""

    periods: int
    error: Mapping[str, float]
    coverage: float
    width: float


def backtest(
    reports: Frame,
    instants: Sequence[int],
    outcome: str | Mapping[str, str],
    *,
    settled: int = 10,
    by: Sequence[str] = (),
    unit: str = "hcp_id",
    zone: str = "UTC",
    indicators: pl.DataFrame | None = None,
    recent: int = 8,
) -> pl.DataFrame:
    """Nowcasts of the `recent` newest periods at each of `instants`, beside `reported` (0 where there was none), `chain_ladder` and the `final` total.

    `reports` keep every restatement; the final is what they say at the newest receipt, of periods that ended at least `settled` periods before it. Rows are
    sorted by `as_of`, series and period; columns are those of `Nowcast.rows` and `as_of`, `chain_ladder`, `final`. Raises `FeatureError` as `nowcast` does, and
    where no period is settled.
    """
    newest = reports.lazy().select(pl.col("received_at").max()).collect().item()
    last = None if newest is None else triangle(reports, newest, outcome, by=by, unit=unit, zone=zone)
    parts = []
    for as_of in sorted(instants):
        then = triangle(reports, as_of, outcome, by=by, unit=unit, zone=zone)
        told = nowcast_of(then, by, indicators, recent).rows
        if then is not None and last is not None:
            keys = [*then.series.columns, "period"]
            beside = told.join(_chain_ladder(then, recent), on=keys, how="left", nulls_equal=True).join(_finals(last, settled), on=keys, nulls_equal=True)
            parts.append(beside.with_columns(pl.col("reported").fill_null(0), pl.col("chain_ladder").fill_null(0.0), as_of=pl.lit(as_of, pl.Int64)))
    if not parts or not sum(map(len, parts)):
        raise FeatureError("no period of a past nowcast is settled", where="rx", do="Choose earlier instants, or fewer periods after which one is settled.")
    return pl.concat(parts).sort("as_of", "product", "source", *by, "period")


def score(rows: pl.DataFrame) -> Score:
    """The score of rows of `backtest`."""
    final = rows["final"].to_numpy().astype(np.float64)
    total = max(float(final.sum()), 1.0)
    error = {name: float(np.abs(rows[name].to_numpy() - final).sum()) / total for name in METHODS}
    inside = (rows["low"].to_numpy() <= final) & (final <= rows["high"].to_numpy())
    return Score(len(rows), error, float(inside.mean()), float((rows["high"] - rows["low"]).sum()) / total)


def _finals(last: Triangle, settled: int) -> pl.DataFrame:
    """What each period came to, by the last triangle."""
    lags = last.total.shape[2]
    parts = []
    for age, name in last.names.items():
        lag = min(age, lags) - 1
        known = last.known[:, age - 1, lag]
        if age > settled:
            parts.append(last.series.with_columns(period=pl.lit(name), final=pl.Series(last.total[:, age - 1, lag])).filter(pl.Series(known)))
    nothing = last.series.clear().with_columns(period=pl.lit(None, pl.String), final=pl.lit(None, pl.Float64))
    return pl.concat([nothing, *parts])


def _chain_ladder(then: Triangle, recent: int) -> pl.DataFrame:
    """The plain chain ladder, volume-weighted, per series (Mack 1993, equation 1): what was reported over the share developed, as it stands."""
    seen, known = diagonals(then, then.total), diagonals(then, then.known)
    steps = known[1:, :, :-1] & known[:-1, :, 1:]
    before = np.where(steps, seen[1:, :, :-1], 0.0).sum(axis=0)
    after = np.where(steps, seen[:-1, :, 1:], 0.0).sum(axis=0)
    factor = np.where(before > 0, after / np.where(before > 0, before, 1.0), 1.0)
    grown = np.concatenate([factor, np.ones((len(factor), 1))], axis=1)[:, ::-1].cumprod(axis=1)[:, ::-1]
    now = (seen[0] * grown)[:, :recent]
    parts = [then.series.with_columns(period=pl.lit(name), chain_ladder=pl.Series(now[:, age - 1])) for age, name in then.names.items() if age <= recent]
    nothing = then.series.clear().with_columns(period=pl.lit(None, pl.String), chain_ladder=pl.lit(None, pl.Float64))
    return pl.concat([nothing, *parts])
