"""Drift and bias of one cycle: 1,000,000 scored rows of 60 columns against a reference, and an audit by five columns. Beside it, the tests a user would
reach for: scipy's Kolmogorov-Smirnov per number, chi-squared per text, and selection rates by a group-by, without intervals, lines or memory of last week."""

import resource

import numpy as np
import polars as pl
from scipy import stats

from benchmarks.report import Row, seconds
from remit.models import bias, drift

ROWS, COLUMNS, TEXTS, PERIODS = 1_000_000, 60, 10, 6
NAMES = [f"c{number:02}" for number in range(COLUMNS)]
GROUPS = ("practice_population", "rural", "sex", "specialty", "practice_size")


def measure(quick: bool) -> list[Row]:
    """One cycle of drift with settled outcomes, and one audit; numbers of several shapes with unknowns, texts of few and of many levels."""
    rows = ROWS // 20 if quick else ROWS
    now = _rows(rows, 2)
    reference = drift.reference(
        pl.concat([_outcomes(rows // 5, 10 + period, period) for period in range(PERIODS)]), NAMES, drift.Limits(), profiled=_rows(rows // 5, 1)
    )
    before = _peak_gb()
    taken = seconds(lambda: drift.watch(reference, {}, now, now))
    audited = seconds(lambda: bias.audit(now, GROUPS))
    peak = _peak_gb()
    then = _rows(rows // 5, 1)
    tests = seconds(lambda: _tests(then, now))
    grouped = seconds(lambda: [now.group_by(name).agg(pl.col("selected").mean(), pl.col("value").mean()) for name in GROUPS if name in now.columns])
    total, own = taken + audited, now.estimated_size() / 2**30
    return [
        Row(
            f"drift and bias, {rows:,} rows x {COLUMNS} columns",
            "<= 30 s",
            f"{total:.1f} s (drift {taken:.1f}, audit {audited:.1f}), {peak - before:+.2f} GB at the peak over the rows' own {own:.2f}",
            f"scipy's tests per column and a group-by: {tests + grouped:.1f} s, {(tests + grouped) / total:.1f} x",
            None if quick else total <= 30,
        )
    ]


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _rows(rows: int, seed: int) -> pl.DataFrame:
    """Scored rows with outcomes, groups and columns."""
    draw = np.random.default_rng(seed)
    columns = [_number(name, place, rows, draw) if place >= TEXTS else _text(name, place, rows, draw) for place, name in enumerate(NAMES)]
    groups = {
        "practice_population": pl.Series(["older", "mixed", "young", None])[draw.integers(0, 4, rows)],
        "rural": pl.Series([True, False, None])[draw.choice(3, rows, p=[0.2, 0.75, 0.05])],
        "specialty": pl.Series([f"s{number}" for number in range(40)])[draw.integers(0, 40, rows)],
        "practice_size": draw.integers(1, 60, rows),
    }
    return (
        _outcomes(rows, seed + 100, 0)
        .with_columns(columns)
        .with_columns(**groups, selected=pl.Series(draw.random(rows) < 0.3), value=draw.integers(0, 9, rows))
    )


def _outcomes(rows: int, seed: int, period: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    expected = draw.gamma(1.2, 2.0, rows)
    whole = {"instant": pl.Series([period], dtype=pl.Int64).new_from_index(0, rows), "product": pl.Series(["alpha", "beta"])[draw.integers(0, 2, rows)]}
    hcps = pl.select(hcp_id=pl.format("H{}", pl.int_range(rows).cast(pl.String).str.zfill(8)))
    observed = draw.poisson(expected).astype(float)
    columns = {"score": np.rint(expected * 1e6).astype(np.int64), "outcome": observed, "observed": observed, "expected": expected}
    return hcps.with_columns(**whole, **columns, **{name: pl.lit(0.0) for name in NAMES})


def _number(name: str, place: int, rows: int, draw: np.random.Generator) -> pl.Series:
    shapes = (draw.normal, draw.standard_exponential, draw.standard_cauchy, lambda size: draw.poisson(1.5, size).astype(float))
    values = np.asarray(shapes[place % len(shapes)](size=rows), np.float64)
    values[draw.random(rows) < 0.02 * (place % 5)] = np.nan
    return pl.Series(name, values).fill_nan(None)


def _text(name: str, place: int, rows: int, draw: np.random.Generator) -> pl.Series:
    levels = pl.Series([f"level-{number}" for number in range(3 ** (1 + place % 5))])
    return levels[draw.integers(0, len(levels), rows)].alias(name)


def _tests(then: pl.DataFrame, now: pl.DataFrame) -> None:
    for name in NAMES:
        if then[name].dtype.is_numeric():
            stats.ks_2samp(then[name].drop_nulls().to_numpy(), now[name].drop_nulls().to_numpy(), method="asymp")
        else:
            both = then[name].value_counts().join(now[name].value_counts(), on=name).select(pl.selectors.numeric())
            stats.chi2_contingency(both.to_numpy())
