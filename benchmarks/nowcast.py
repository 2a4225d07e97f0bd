"""Nowcasts of prescriptions against the report as it stands and the chain ladder: in every world, in the two-brands country, in made-up ones, at full size."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import nowcast_worlds
from benchmarks.report import Row
from remit.features.nowcast import Score, backtest, score
from remit.terms.instants import DAY, HOUR, WEEK, parse_instant
from remit.worlds import FIRST_CYCLE, two_brands

Floats = npt.NDArray[np.float64]
_Part = tuple[npt.NDArray[np.int64], ...]
"""Rows of one product, source and week: place of the HCP, product, source, week, week of delivery, count."""

START = parse_instant("2024-01-01T00:00:00Z")
"""The Monday that starts the first week of made-up reports; deliveries come on Mondays at four."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How reports come about. `curve` is the share of a week that is first known 1, 2, ... weeks after its end (the last brings it to one); sources after
    the first are `apart` slower; the curve of each week wobbles by `wobble` and slows by `drift` a year. Growth is a share a week; `season` the depth of a
    yearly wave, `dip` what is lost in the last week of a year, `unrest` the walk of the level a week. `taken_back` is the share of cells restated downward."""

    hcps: int = 80
    weeks: int = 104
    products: int = 3
    sources: int = 2
    level: float = 3.0
    curve: tuple[float, ...] = (0.35, 0.25, 0.15, 0.1, 0.07, 0.05, 0.03)
    apart: float = 0.3
    wobble: float = 0.08
    drift: float = 0.0
    growth: float = 0.002
    season: float = 0.0
    dip: float = 0.0
    unrest: float = 0.01
    taken_back: float = 0.01
    engagement: float = 0.0
    silent: tuple[int, ...] = ()
    restated_at: int | None = None
    restated_to: float = 0.8
    launch: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Made-up reports with every restatement, and the engagement that ran ahead of them."""

    reports: pl.DataFrame
    indicators: pl.DataFrame


PLANS: Mapping[str, Plan] = {
    "steady": Plan(),
    "slow curve, four to eight weeks": Plan(curve=(0.02, 0.05, 0.1, 0.2, 0.25, 0.2, 0.1, 0.08)),
    "curve that slows": Plan(drift=1.0, wobble=0.05),
    "season and holidays": Plan(season=0.15, dip=0.3),
    "restless level": Plan(unrest=0.04),
    "large": Plan(hcps=400, level=10.0),
    "launch": Plan(launch=52),
    "engagement leads": Plan(engagement=0.4),
}
"""Made-up countries in which every method is scored; broken feeds stand apart."""

BROKEN: Mapping[str, tuple[Plan, Sequence[int]]] = {
    "feeds silent for six weeks": (Plan(silent=tuple(range(70, 76))), range(71, 82)),
    "half a year restated to 80%": (Plan(restated_at=60), range(61, 95, 2)),
}
"""Plans in which something breaks, and the Mondays after that are scored."""


def make(plan: Plan, seed: int) -> Made:
    """The reports of `plan`. The same arguments give the same rows."""
    draw = np.random.default_rng(seed)
    engaged = np.exp(0.4 * draw.standard_normal((plan.products, plan.weeks)))
    base = draw.gamma(1.5, 1 / 1.5, (plan.hcps, plan.products, plan.sources))
    parts: list[_Part] = []
    for product in range(plan.products):
        path = _path(plan, product, draw) * (1 + plan.engagement * np.clip(engaged[product] - 1, -1, 2))
        for source in range(plan.sources):
            for week in range(plan.weeks):
                written = draw.poisson(base[:, product, source] * path[week])
                if plan.launch is None or product or week >= plan.launch:
                    parts.append(_told(plan, written, product, source, week, draw))
    return Made(_framed(parts, plan), _engagement(engaged))


def mondays(*weeks: int) -> list[int]:
    """Six o'clock on the Mondays that start these weeks: what was delivered that morning is known."""
    return [START + week * WEEK + 6 * HOUR for week in weeks]


def _path(plan: Plan, product: int, draw: np.random.Generator) -> Floats:
    week = np.arange(plan.weeks)
    walk = np.cumsum(plan.unrest * draw.standard_normal(plan.weeks))
    path = plan.level / (1 + product) * np.exp(plan.growth * (1 - product) * week + walk) * (1 + plan.season * np.sin(2 * np.pi * week / 52 + product))
    if plan.launch is not None and product == 0:
        path = path * np.clip((week - plan.launch + 1) / 20, 0, 1)
    return np.asarray(np.where(week % 52 == 51, 1 - plan.dip, 1.0) * path)


def _told(plan: Plan, written: npt.NDArray[np.int64], product: int, source: int, week: int, draw: np.random.Generator) -> _Part:
    """Every report of a week: of all cells at first, of what changed afterwards."""
    lags = np.arange(len(plan.curve))
    slower = 1 + plan.apart * source + plan.drift * week / 52
    share = np.asarray(plan.curve) * np.exp(lags * (slower - 1) * 0.4 + plan.wobble * draw.standard_normal(len(lags)))
    parts = draw.multinomial(written, share / share.sum())
    parts[:, -1] -= (draw.random(len(written)) < plan.taken_back) & (parts.sum(axis=1) > 0)
    kept = draw.binomial(np.maximum(parts, 0), plan.restated_to) + np.minimum(parts, 0)
    delivered, values = _delivered(plan, week, parts.cumsum(axis=1), kept.cumsum(axis=1))
    changed = np.diff(values, axis=1, prepend=-1) != 0
    changed[:, 0] = True
    hcp, place = np.nonzero(changed)
    return hcp, np.full(len(hcp), product), np.full(len(hcp), source), np.full(len(hcp), week), np.asarray(delivered)[place], np.maximum(values, 0)[changed]


def _framed(parts: Sequence[_Part], plan: Plan) -> pl.DataFrame:
    hcp, product, source, week, delivered, trx = (np.concatenate(each) for each in zip(*parts, strict=True))
    ids = pl.Series([f"H{vendor}{number:04}" for vendor in range(plan.sources) for number in range(plan.hcps)])
    return pl.DataFrame(
        {
            "hcp_id": ids[source * plan.hcps + hcp],
            "product": pl.Series([f"product-{number}" for number in range(plan.products)])[product],
            "source": pl.Series([f"vendor-{number}" for number in range(plan.sources)])[source],
            "period": pl.Series([_iso_week(START + number * WEEK) for number in range(plan.weeks)])[week],
            "trx": trx,
            "occurred_at": START + (week + 1) * WEEK,
            "received_at": START + delivered * WEEK + 4 * HOUR,
        }
    )


def _delivered(plan: Plan, week: int, known: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]) -> tuple[list[int], npt.NDArray[np.int64]]:
    """The weeks on whose Mondays reports of `week` come, and what they say: late by a silence, and restated from `restated_at` on."""
    restated = plan.restated_at if plan.restated_at is not None and week >= plan.restated_at - 26 else None
    told: dict[int, npt.NDArray[np.int64]] = {}
    ends = [week + 1 + lag for lag in range(known.shape[1])]
    for due in sorted({*ends, *([restated] if restated is not None and restated > ends[0] else [])}):
        lag = min(due - week - 1, known.shape[1] - 1)
        on = due
        while on in plan.silent:
            on += 1
        told[on] = (kept if restated is not None and due >= restated else known)[:, lag]
    return list(told), np.column_stack(list(told.values()))


def _engagement(engaged: Floats) -> pl.DataFrame:
    """Engagement of each product and week, known on the Monday after; and an indicator that says nothing."""
    product, week = (each.ravel() for each in np.indices(engaged.shape))
    noise = np.exp(0.4 * np.random.default_rng(5).standard_normal(engaged.shape))
    return pl.concat(
        pl.DataFrame(
            {
                "product": [f"product-{number}" for number in product],
                "period": pl.Series([_iso_week(START + number * WEEK) for number in range(engaged.shape[1])])[week],
                "indicator": [name] * len(week),
                "value": values.ravel(),
                "received_at": START + (week + 1) * WEEK + HOUR,
            }
        )
        for name, values in (("engagement", engaged), ("noise", noise))
    )


def _iso_week(monday: int) -> str:
    return str(pl.Series([monday + DAY]).cast(pl.Datetime("us")).dt.strftime("%G-W%V")[0])


@dataclass(frozen=True, slots=True)
class Compared:
    """The score of past nowcasts, and per other method the difference of its share of error to ours (below 0: ours is better) with the 90% interval."""

    score: Score
    difference: Mapping[str, tuple[float, float, float]]
    rows: pl.DataFrame


def compare(
    reports: pl.DataFrame, instants: Sequence[int], outcome: str | Mapping[str, str] = "trx", *, indicators: pl.DataFrame | None = None, resamples: int = 2_000
) -> Compared:
    """The three methods on one set of reports that keep every restatement, as of each of `instants`; intervals by resampling instants in pairs."""
    rows = backtest(reports, instants, outcome, indicators=indicators)
    return Compared(score(rows), {name: _difference(rows, name, resamples) for name in ("reported", "chain_ladder")}, rows)


def two_brands_reports(physicians: int, seed: int, weeks: int) -> pl.DataFrame:
    """Every good report of the two-brands country up to its first cycle."""
    parts = [delivery.rows for delivery in two_brands(physicians, seed, weeks=weeks, later=0) if delivery.feed == "rx"]
    told = pl.concat([part.select(pl.col("hcp_id", "product", "period", "received_at"), pl.col("trx").cast(pl.Int64)) for part in parts])
    received = pl.col("received_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ").dt.epoch("us")
    return told.with_columns(received_at=received).filter(pl.col("hcp_id").is_not_null() & (pl.col("trx") >= 0) & ~pl.col("period").str.ends_with("W60"))


def measure(quick: bool) -> list[Row]:
    """Errors and coverage in each country, and the cost at full size."""
    physicians, weeks = (500, 60) if quick else (2_000, 104)
    instants = [FIRST_CYCLE - week * WEEK for week in range(10, weeks - 40, 4 if quick else 2)]
    rows = [_row("two-brands country", compare(two_brands_reports(physicians, 11, weeks), instants))]
    for name, plan in PLANS.items():
        rows.append(_row(name, _made(plan, range(52, 94, 12 if quick else 3))))
        if plan.engagement:
            rows.append(_row(f"{name}, as indicator", _made(plan, range(52, 94, 12 if quick else 3), indicators=True)))
    rows += [_row(name, _made(plan, list(mornings)[:: 4 if quick else 1])) for name, (plan, mornings) in BROKEN.items()]
    return [*rows, *nowcast_worlds.measure(quick), _cost(20_000 if quick else 1_000_000)]


def _made(plan: Plan, mornings: Sequence[int], *, indicators: bool = False) -> Compared:
    made = make(plan, seed=3)
    return compare(made.reports, mondays(*mornings), indicators=made.indicators if indicators else None)


def _row(name: str, told: Compared) -> Row:
    error, newest = told.score.error, score(told.rows.filter(pl.col("lag") <= 2)).error
    against = ", ".join(f"{other} {mean:+.2%} [{low:+.2%}, {high:+.2%}]" for other, (mean, low, high) in _words(told.difference).items())
    return Row(
        f"nowcast, {name}: {told.score.periods} totals of the last 8 weeks, error as a share of the final",
        "below the report and the chain ladder; 85-95% inside the 90% interval",
        f"{error['expected']:.2%} (lags 1-2: {newest['expected']:.2%}); {told.score.coverage:.0%} inside, interval {told.score.width:.1%} wide; less {against}",
        f"as reported {error['reported']:.2%} ({newest['reported']:.2%}), chain ladder {error['chain_ladder']:.2%} ({newest['chain_ladder']:.2%})",
        all(high < 0 for _, _, high in told.difference.values()) and 0.85 <= told.score.coverage <= 0.95,
    )


def _words(difference: Mapping[str, tuple[float, float, float]]) -> dict[str, tuple[float, float, float]]:
    return {{"reported": "the report", "chain_ladder": "the chain ladder"}[name]: values for name, values in difference.items()}


def _difference(rows: pl.DataFrame, other: str, resamples: int) -> tuple[float, float, float]:
    off = {name: (pl.col(name) - pl.col("final")).abs().sum() for name in ("expected", other)}
    at = rows.group_by("as_of").agg(less=off["expected"] - off[other], final=pl.col("final").sum()).sort("as_of")
    less, final = at["less"].to_numpy(), at["final"].to_numpy()
    drawn = np.random.default_rng(7).integers(0, len(less), (resamples, len(less)))
    low, high = np.quantile(less[drawn].sum(axis=1) / final[drawn].sum(axis=1), (0.05, 0.95))
    return float(less.sum() / final.sum()), float(low), float(high)


# The job runs in a process of its own, so that its peak memory is its own.
_JOB = """
import json, resource, sys, time
from benchmarks import nowcast as bench
from remit.features.nowcast import nowcast
reports = bench.full_size(int(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
start = time.perf_counter()
nowcast(reports, bench.mondays(26)[0], "trx")
took = time.perf_counter() - start
print(json.dumps([took, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, len(reports)]))
"""


def full_size(hcps: int) -> pl.DataFrame:
    """26 weeks of one product, two prescriptions an HCP and week, reported over four weeks."""
    draw = np.random.default_rng(1)
    ids, parts = pl.Series(np.arange(hcps)).cast(pl.String).str.zfill(7), []
    for week in range(26):
        left = draw.poisson(2.0, hcps)
        known = np.zeros_like(left)
        for lag, share in enumerate((0.5, 0.5, 0.6, 1.0)):
            new = draw.binomial(left, share)
            left, known = left - new, known + new
            told = np.flatnonzero(new) if lag else np.arange(hcps)
            shared = {"product": "alpha", "period": _iso_week(START + week * WEEK), "received_at": START + (week + lag + 1) * WEEK + 4 * HOUR}
            parts.append(pl.DataFrame({"hcp_id": ids[told], "trx": known[told]}).with_columns(pl.lit(value).alias(name) for name, value in shared.items()))
    return pl.concat(parts)


def _cost(hcps: int) -> Row:
    ran = subprocess.run([sys.executable, "-c", _JOB, str(hcps)], capture_output=True, text=True, check=True)
    took, before, peak, rows = json.loads(ran.stdout)
    return Row(
        f"nowcast of {hcps:,} HCPs x 26 weeks, {rows / 1e6:.1f} million reports in memory",
        "reported",
        f"{took:.1f} s, {peak:.1f} GB",
        f"the reports, and making them: {before:.1f} GB",
        None,
    )
