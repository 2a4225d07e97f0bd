"""Forecasting real prescriptions: 700 physicians, learn from months 1-18, forecast months 19-23 one month ahead.

Everything is chosen and fitted on months 1-18, once: the model that forecasts month 23 is the one that was fitted at the end of month 18, and only the
features move on, each month from what was known the month before. `mean_samples` averages the whole window and would leak the future: it is not read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.report import Row, seconds
from remit.features import FEATURES, build, catalogue, training_frame
from remit.models import lead_score, response
from remit.terms.instants import DAY, FOREVER, period_bounds
from remit.terms.labels import Label

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "detailing"
CATALOGUE = catalogue(
    [feature for feature in FEATURES if feature.table in {"hcp", "rx", "touches"} and "touches.engaged" not in feature.inputs],
    {
        **{f"hcp.{name}": Label.COMMERCIAL for name in ("specialty", "practice_size")},
        **{f"touches.{name}": Label.COMMERCIAL for name in ("channel", "occurred_at")},
        **{f"rx.{name}": Label.PDRP for name in ("period", "trx", "nrx", "nbrx")},
    },
    ["call"],
)
SEED = 23

_MONTHS = {month: f"{2002 + (month - 1) // 12}-{(month - 1) % 12 + 1:02}" for month in range(1, 24)}
_STARTS = {month: period_bounds(name)[0] for month, name in _MONTHS.items()}
_ENDS = {month: period_bounds(name)[1] for month, name in _MONTHS.items()}
_FIRST, _LAST_LEARNT = 4, 18
_AHEAD = range(19, 24)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Backtest:
    """Forecasts by name, and the outcome: each a row per physician (in the order of ids) and a column per month 19-23. `fit_s` is the time to train."""

    outcome: Floats
    forecasts: Mapping[str, Floats]
    fit_s: float


def tables(folder: Path) -> dict[str, pl.DataFrame]:
    """The real set as tables; a month is known at its end, and its details are spread over its days."""
    counts = pl.read_csv(folder / "counts.csv").with_columns(hcp_id=_hcp_id())
    return {
        "hcp": _physicians(pl.read_csv(folder / "physicians.csv")),
        "rx": counts.select(
            "hcp_id",
            product=pl.lit("detailed"),
            period=pl.col("month").replace_strict(_MONTHS),
            trx="scripts",
            nrx=pl.lit(None, pl.Int64),
            nbrx=pl.lit(None, pl.Int64),
            occurred_at=pl.col("month").replace_strict(_ENDS),
            received_at=pl.col("month").replace_strict(_ENDS),
        ),
        "touches": _details(counts),
        "products": pl.DataFrame(
            {"product": ["detailed"], "own": [True], "basket": ["detailed"], "outcome": ["trx"], "valid_from": [0], "valid_to": [FOREVER], "received_at": [0]}
        ),
    }


def backtest(folder: Path, threads: int = 1) -> Backtest:
    """Every forecast of months 19-23 of the set in `folder`."""
    given = tables(folder)
    models: list[lead_score.LeadScore] = []
    fit_s = seconds(lambda: models.append(fit(given, threads)))
    counts = pl.read_csv(folder / "counts.csv").sort("id", "month")
    outcome = counts["scripts"].to_numpy().reshape(-1, len(_MONTHS)).astype(np.float64)
    forecasts = {name: np.column_stack([forecast(outcome[:, : month - 1]) for month in _AHEAD]) for name, forecast in _SIMPLE.items()}
    forecasts["boosting on lags"] = _boosting_on_lags(outcome, threads)
    scores = [models[0].predict(build(given, _STARTS[month], CATALOGUE), threads=threads)["lead_score"].to_numpy() / 1e6 for month in _AHEAD]
    return Backtest(outcome[:, _LAST_LEARNT:], {**forecasts, "lead score": np.column_stack(scores)}, fit_s)


def fit(given: Mapping[str, pl.DataFrame], threads: int) -> lead_score.LeadScore:
    """The lead score as it was known at the end of month 18."""
    return lead_score.train(_learning(given), CATALOGUE, seed=SEED, threads=threads)


def fit_response(given: Mapping[str, pl.DataFrame], threads: int) -> response.Response:
    """The response model as it was known at the end of month 18, over one month."""
    return response.train(_learning(given), CATALOGUE, periods=1, seed=SEED, threads=threads)


def difference(result: Backtest, name: str, other: str, resamples: int = 4_000) -> tuple[float, float, float]:
    """Mean Poisson deviance of `name` less that of `other`, with the 90% interval by resampling physicians in pairs."""
    by_physician = (lead_score.deviance(result.outcome, result.forecasts[name]) - lead_score.deviance(result.outcome, result.forecasts[other])).mean(axis=1)
    drawn = np.random.default_rng(SEED).integers(0, len(by_physician), (resamples, len(by_physician)))
    low, high = np.quantile(by_physician[drawn].mean(axis=1), (0.05, 0.95))
    return float(by_physician.mean()), float(low), float(high)


def mean_deviance(result: Backtest, name: str) -> float:
    """Mean Poisson deviance of a forecast over physicians and months, forecasts below 0.05 raised to it."""
    return float(lead_score.deviance(result.outcome, result.forecasts[name]).mean())


def measure(quick: bool) -> list[Row]:
    """The row of the benchmark table; `quick` resamples less."""
    if not FOLDER.exists():
        return [Row("detailing, months 19-23", "below 2.255", "not measured: ../shared/data/detailing is not there", "", None)]
    result = backtest(FOLDER)
    mean, low, high = difference(result, "lead score", "weighted mean", 400 if quick else 4_000)
    reached = mean_deviance(result, "lead score") < mean_deviance(result, "weighted mean") and high < 0
    return [
        Row(
            f"detailing, {len(result.outcome)} physicians, months 19-23 one month ahead: mean Poisson deviance",
            "below the exponentially weighted mean, 90% interval of the difference below 0",
            f"{mean_deviance(result, 'lead score'):.3f}; difference {mean:.3f} [{low:.3f}, {high:.3f}]; trained once, in {result.fit_s:.1f} s",
            ", ".join(f"{name} {mean_deviance(result, name):.3f}" for name in result.forecasts if name != "lead score"),
            reached,
        )
    ]


def _learning(given: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    return training_frame(lambda _: given, [_STARTS[month] for month in range(_FIRST, _LAST_LEARNT + 1)], _ENDS[_LAST_LEARNT], CATALOGUE)


def _hcp_id() -> pl.Expr:
    return pl.format("D{}", pl.col("id").cast(pl.String).str.zfill(4))


def _physicians(rows: pl.DataFrame) -> pl.DataFrame:
    practitioner, specialist = pl.col("generalphys") == 1, pl.col("specialist") == 1
    return rows.select(
        hcp_id=_hcp_id(),
        specialty=pl.when(practitioner).then(pl.lit("general practice")).when(specialist).then(pl.lit("specialist")).otherwise(pl.lit("neither")),
        practice_id=pl.lit(None, pl.String),
        practice_size=pl.lit(None, pl.Int64),
        pdrp=pl.lit(False),
        valid_from=pl.lit(0, pl.Int64),
        valid_to=pl.lit(FOREVER, pl.Int64),
        occurred_at=pl.lit(0, pl.Int64),
        received_at=pl.lit(0, pl.Int64),
    )


def _details(counts: pl.DataFrame) -> pl.DataFrame:
    details = counts.filter(pl.col("detailing") > 0).with_columns(number=pl.int_ranges(pl.col("detailing"))).explode("number", empty_as_null=False)
    month = pl.col("month")
    return details.select(
        "hcp_id",
        touch_id=pl.format("{}-{}-{}", "hcp_id", "month", "number"),
        channel=pl.lit("call"),
        product=pl.lit("detailed"),
        occurred_at=month.replace_strict(_STARTS) + (28 * DAY * (2 * pl.col("number") + 1)) // (2 * pl.col("detailing")),
        received_at=month.replace_strict(_ENDS),
    )


def _weighted_mean(known: Floats) -> Floats:
    weight = 0.5 ** (np.arange(known.shape[1])[::-1] / 3)
    return np.asarray(known @ weight / weight.sum())


_SIMPLE = {"last value": lambda known: known[:, -1], "running mean": lambda known: known.mean(axis=1), "weighted mean": _weighted_mean}


def _boosting_on_lags(outcome: Floats, threads: int) -> Floats:
    """What a user would pick instead: lightgbm with its defaults and Poisson loss on the last six months and the weighted mean."""
    months = range(7, _LAST_LEARNT + 1)
    learn = np.concatenate([_lags(outcome[:, : month - 1]) for month in months])
    target = np.concatenate([outcome[:, month - 1] for month in months])
    settings = {"objective": "poisson", "deterministic": True, "force_row_wise": True, "num_threads": threads, "seed": SEED, "verbosity": -1}
    trees = lgb.train(settings, lgb.Dataset(learn, target, params={"verbosity": -1}), num_boost_round=100)
    return np.column_stack([np.asarray(trees.predict(_lags(outcome[:, : month - 1]), num_threads=threads)) for month in _AHEAD])


def _lags(known: Floats) -> Floats:
    return np.column_stack([known[:, -6:], _weighted_mean(known)])
