"""How well a forecast did on time it did not learn from: against a baseline, in calibration, with intervals clustered by unit."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.models.bias import Interval
from remit.models.effects import Z_90
from remit.models.errors import ModelError
from remit.models.estimators.lead_score import deviance
from remit.terms.encoding import MICRO

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows of one tenth by score: expected and observed, units a row."""

    rows: int
    expected: float
    observed: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out metrics of a forecast. `gain` is the part of the baseline's mean Poisson deviance that it saves, `calibration` observed over expected (None
    where nothing is expected), both with 90% intervals clustered by unit: who shares an outcome (a brick) is one. `since` and `until` are the first and
    the last instant."""

    rows: int
    hcps: int
    units: int
    since: int
    until: int
    deviance: float
    baseline: float
    gain: Interval
    calibration: Interval | None
    bins: tuple[Bin, ...]


def held_out(rows: pl.DataFrame) -> HeldOut:
    """The metrics of held-out `rows`: `instant`, `hcp_id`, `product`, `score` (int64 micro-units), `baseline` (units), `outcome` (units) and, where HCPs share
    outcomes, `unit`, whose it is. Raises `ModelError` without rows."""
    if rows.is_empty():
        raise ModelError("nothing is held out", do="Train on a longer history, of which a later part can be held out.")
    rows = rows.sort("hcp_id", "product", "instant")
    outcome, expected = rows["outcome"].to_numpy().astype(np.float64), rows["score"].to_numpy().astype(np.float64) / MICRO
    own, plain = deviance(outcome, expected), deviance(outcome, rows["baseline"].to_numpy().astype(np.float64))
    cluster = rows["unit" if "unit" in rows.columns else "hcp_id"].rank("dense").to_numpy().astype(np.int64) - 1
    saved = ratio(plain - own, plain, cluster)
    return HeldOut(
        rows=rows.height,
        hcps=rows["hcp_id"].n_unique(),
        units=int(cluster.max()) + 1,
        since=int(rows["instant"].to_numpy().min()),
        until=int(rows["instant"].to_numpy().max()),
        deviance=float(own.mean()),
        baseline=float(plain.mean()),
        gain=saved or Interval(0.0, 0.0, 0.0),
        calibration=ratio(outcome, expected, cluster),
        bins=_bins(expected, outcome),
    )


def ratio(above: Floats, below: Floats, cluster: npt.NDArray[np.int64]) -> Interval | None:
    """A ratio of totals with its linearised 90% interval over clusters (Cochran 1977, Sampling Techniques, 6.4); None where the lower total is nothing."""
    total = float(below.sum())
    if total <= 0:
        return None
    ratio = float(above.sum()) / total
    parts = np.bincount(cluster, above - ratio * below)
    error = float(parts.std(ddof=1)) * sqrt(len(parts)) / total if len(parts) > 1 else float("inf")
    return Interval(ratio, ratio - Z_90 * error, ratio + Z_90 * error)


def _bins(expected: Floats, outcome: Floats) -> tuple[Bin, ...]:
    order = np.argsort(expected, kind="stable")
    size = max(1, ceil(len(order) / 10))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return tuple(Bin(len(part), float(expected[part].mean()), float(outcome[part].mean())) for part in parts)
