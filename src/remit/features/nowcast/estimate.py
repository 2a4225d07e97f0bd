"""Prescriptions corrected for what is not yet reported, with an interval that past nowcasts of the same reports have earned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from remit.features.known import Frame
from remit.features.nowcast.development import History, history
from remit.features.nowcast.indicators import Signal, lean, signals
from remit.features.nowcast.study import Study, study
from remit.features.nowcast.tracking import Tracks, Walk, follow, follow_each
from remit.features.nowcast.triangle import Flags, Floats, Ints, Triangle, triangle
from remit.features.periods import name_of

COVERAGE = 0.9
"""Share of finals that the interval is to hold."""
COMPLETE = 0.01
"""A period is complete if no more than this share of it is expected to change."""

_WALKS = tuple(Walk(level, slope) for slope in (0.0, 0.002, 0.02) for level in (0.0, 0.03, 0.1, 0.3, 1.0))
_KEPT = (1.0, 0.95, 0.85)
_SHARED = (0.0, 0.0004, 0.004)
_FEW = 20
"""Past errors that what is believed without any counts for."""
_BELIEVED = 2.0
"""Half-width of the interval in standard errors, before any past error is known."""
_LEAST = 1.3
"""Least half-width of the interval in standard errors, however well the past went: a series that has always been zero need not stay so."""
_MOST_SERIES = 200
"""Series, the largest, on which settings are chosen."""
_BETTER, _SURELY = 0.01, 2.5
"""An indicator is used if it lowers past error by this share, and by so many standard errors."""


@dataclass(frozen=True, slots=True)
class Leading:
    """An indicator that was used: how many periods it leads by, and the share by which it lowered the error of past nowcasts."""

    indicator: str
    delay: int
    lower_error: float


@dataclass(frozen=True, slots=True)
class Nowcast:
    """`rows`: per series (`product`, `source`, and what it was split by) and recent period, `lag` (periods since it ended, from 1), `reported` (null: no
    report), `expected` final total, `low` and `high` of the 90% interval, `share` of the final that should be known by now (null: no report), and `complete`
    (it and all before it hardly change any more). `leading`: the indicators that were used. `half_life`: of what reports teach about the curve, in periods.
    """

    rows: pl.DataFrame
    leading: tuple[Leading, ...]
    half_life: float | None


def nowcast(
    reports: Frame,
    as_of: int,
    outcome: str | Mapping[str, str],
    *,
    by: Sequence[str] = (),
    unit: str = "hcp_id",
    zone: str = "UTC",
    indicators: pl.DataFrame | None = None,
    recent: int = 13,
) -> Nowcast:
    """The totals of the `recent` newest periods that have ended, per product, source and `by`, from rows received by `as_of` (UTC microseconds), none later.

    `reports` holds every restatement: `unit` (an HCP or a brick), `product`, `period` (ISO weeks or months), `received_at`, the outcome, and where there is
    one `source`. `outcome` names the column that counts, for all or per product. `indicators` holds `product`, `period`, `indicator`, `value` (not negative)
    and `received_at`. The same rows give the same answer in any order. Raises `FeatureError` where columns are missing, weeks and months are mixed, or a
    period is neither.
    """
    return nowcast_of(triangle(reports, as_of, outcome, by=by, unit=unit, zone=zone), by, indicators, recent)


def nowcast_of(reported: Triangle | None, by: Sequence[str], indicators: pl.DataFrame | None, recent: int) -> Nowcast:
    """As `nowcast`, from a triangle."""
    if reported is None:
        keys = dict.fromkeys(["product", "source", *by], pl.String())
        return Nowcast(pl.DataFrame(schema={**keys, **_COLUMNS}), (), None)
    past = history(reported)
    found, half_life = study(past)
    walk = _walk(found.of(np.sort(np.argsort(-found.size, kind="stable")[:_MOST_SERIES])))
    leans, leading = _leaning(found, walk, reported, indicators)
    tracks = follow(found.views, found.irregular, walk, leans)
    return Nowcast(_rows(reported, past, found, tracks, recent), leading, half_life)


def _walk(found: Study) -> Walk:
    """The walk under which past nowcasts would have been best: how it moves, then what it keeps and shares."""
    moves = _best(found, _WALKS)
    return _best(found, [replace(moves, kept=kept, shared=shared) for kept in _KEPT for shared in _SHARED])


def _best(found: Study, walks: Sequence[Walk]) -> Walk:
    losses = [found.loss(tracks.total) for tracks in follow_each(found.views, found.irregular, walks)]
    return walks[int(np.argmin(losses))]


_COLUMNS: Mapping[str, pl.DataType] = {
    "period": pl.String(),
    "lag": pl.Int64(),
    "reported": pl.Int64(),
    "expected": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "share": pl.Float64(),
    "complete": pl.Boolean(),
}


def _leaning(found: Study, walk: Walk, reported: Triangle, indicators: pl.DataFrame | None) -> tuple[Floats | None, tuple[Leading, ...]]:
    """The leading indicators that lower past error, chosen one after another, each on top of those before it; what they say together."""
    candidates: list[Signal] = list(signals(indicators, reported))
    product = reported.series["product"].rank("dense").to_numpy().astype(np.int64) - 1
    chosen: list[Leading] = []
    leans: Floats | None = None
    tracks = follow(found.views, found.irregular, walk)
    while candidates:
        trials = [_trial(found, walk, tracks, leans, signal, product) for signal in candidates]
        best = max(range(len(trials)), key=lambda place: trials[place][0])
        gain, surely, tracks_with, leans_with = trials[best]
        if gain < _BETTER or surely < _SURELY:
            break
        chosen.append(Leading(candidates[best].name, candidates[best].delay, round(gain, 6)))
        candidates = [each for each in candidates if each.name != candidates[best].name]
        tracks, leans = tracks_with, leans_with
    return leans, tuple(chosen)


def _trial(found: Study, walk: Walk, tracks: Tracks, leans: Floats | None, signal: Signal, product: Ints) -> tuple[float, float, Tracks, Floats]:
    """By which share the signal lowers past error, by how many standard errors, and the tracks and leanings with it."""
    more = lean(signal, tracks, found.final, found.settled, found.irregular, product, found.settles)
    leans = more if leans is None else leans + more
    with_it = follow(found.views, found.irregular, walk, leans)
    before, after = found.losses(tracks.total), found.losses(with_it.total)
    lower = before - after
    if len(lower) < 8 or not before.sum() > 0:
        return 0.0, 0.0, with_it, leans
    # Errors of neighbouring snapshots are about the same periods, so a snapshot counts for a part of itself.
    error = float(lower.std()) / np.sqrt(max(len(lower) / max(found.reach / 2, 1.0), 2.0))
    return float(lower.sum() / before.sum()), float(lower.mean()) / error if error > 0 else 0.0, with_it, leans


def _rows(reported: Triangle, past: History, found: Study, tracks: Tracks, recent: int) -> pl.DataFrame:
    lags = min(recent, tracks.total.shape[2])
    known, begun, root = past.known[0], tracks.total[0] >= 0, tracks.root[0]
    half = _half_widths(found, tracks) * np.sqrt(tracks.variance[0] + root**2 * past.restated[:, None] / 4)
    now = np.arange(lags)
    cells = {
        "lag": np.broadcast_to(now + 1, (len(root), lags)),
        "reported": reported.total[:, now, now].astype(np.int64),
        "expected": (tracks.total[0] / past.level)[:, :lags].round(3),
        "low": (np.minimum(np.maximum(root - half, 0.0) ** 2, tracks.total[0]) / past.level)[:, :lags].round(3),
        "high": (np.maximum((root + half) ** 2, tracks.total[0]) / past.level)[:, :lags].round(3),
        "share": found.share[0, :, :lags].round(6),
        "complete": _complete(found, known, begun)[:, :lags],
        "known": known[:, :lags],
        "begun": begun[:, :lags],
    }
    series, place = (each.ravel() for each in np.broadcast_arrays(np.arange(len(root))[:, None], now))
    names = pl.Series("period", [name_of(reported.newest - lag - 1, reported.cadence) for lag in range(lags)])
    flat = pl.DataFrame({name: values.ravel() for name, values in cells.items()})
    rows = pl.concat([reported.series[series], names[place].to_frame(), flat], how="horizontal")
    unknown = [pl.when("known").then(pl.col(name)).alias(name) for name in ("reported", "share")]
    return rows.filter("begun").with_columns(unknown).drop("known", "begun").sort(*reported.series.columns, "period")


def _complete(found: Study, known: Flags, begun: Flags) -> Flags:
    """A period that nobody ever reported does not hold up those after it for longer than reports take."""
    lags = np.arange(known.shape[1])
    whole = known & (np.abs(1 - found.share[0]) <= COMPLETE)
    passed = whole | ~begun | (~known & (lags >= found.settles))
    return np.asarray(np.logical_and.accumulate(passed[:, ::-1], axis=1)[:, ::-1] & whole)


def _half_widths(found: Study, tracks: Tracks) -> Floats:
    """Per lag, the half-width of the interval in standard errors: the quantile of past errors, few at a lag leaning on those of all lags, and these on
    what is believed before."""
    told = found.settled & (tracks.total >= 0) & (tracks.variance > 0)
    told[:, :, found.reach :] = False
    errors = np.where(told, np.abs(tracks.root - found.final) / np.sqrt(np.where(told, tracks.variance, 1.0)), np.nan)
    overall = _leant(errors[told], _BELIEVED)
    each = [_leant(errors[:, :, lag][told[:, :, lag]], overall) for lag in range(found.reach)]
    return np.maximum(each + [overall] * (errors.shape[2] - found.reach), _LEAST)


def _leant(errors: Floats, towards: float) -> float:
    """The quantile of `errors` that leaves the next one out with probability 1 - COVERAGE (Vovk, Gammerman & Shafer 2005, section 2.2), leant on `towards`."""
    if not len(errors):
        return towards
    rank = min(int(np.ceil((len(errors) + 1) * COVERAGE)), len(errors))
    return float((len(errors) * np.sort(errors)[rank - 1] + _FEW * towards) / (len(errors) + _FEW))
