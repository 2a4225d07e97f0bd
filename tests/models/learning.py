"""Made-up learning data with a known effect: frames as `features.training_frame` gives them."""

import numpy as np
import polars as pl

from remit.features import FEATURES, catalogue
from remit.terms.labels import Label

LABELS = {
    **{f"hcp.{name}": Label.COMMERCIAL for name in ("specialty", "practice_size", "practice_population", "rural")},
    **{f"rx.{name}": Label.PDRP for name in ("period", "trx", "nrx", "nbrx")},
    **{f"touches.{name}": Label.COMMERCIAL for name in ("channel", "occurred_at", "engaged")},
    "inquiries.asked_at": Label.INQUIRY,
    "formulary.tier": Label.COMMERCIAL,
}
CHANNELS = ("call", "email", "msl_visit")
CATALOGUE = catalogue(FEATURES, LABELS, CHANNELS)


def learning_frame(hcps: int = 400, instants: int = 14, effect: float = 0.5, seed: int = 3) -> pl.DataFrame:
    """Physicians of very different levels, called on by level; one unit of dose adds `effect` units to alpha and nothing to beta; nobody gets `msl_visit`,
    and e-mails do nothing."""
    draw = np.random.default_rng(seed)
    level = draw.gamma(1.2, 3.0, hcps)
    specialty = draw.integers(0, 3, hcps)
    parts = [_product(name, level, specialty, instants, amount, draw) for name, amount in (("alpha", effect), ("beta", 0.0))]
    return pl.concat(parts)


def _product(name: str, level: np.ndarray, specialty: np.ndarray, instants: int, effect: float, draw: np.random.Generator) -> pl.DataFrame:
    past = draw.poisson(level[:, None], (len(level), 13)).astype(float)
    stock = {channel: np.zeros(len(level)) for channel in CHANNELS}
    parts = []
    for instant in range(instants):
        given = {"call": draw.poisson(level / 3).astype(float), "email": draw.poisson(0.5, len(level)).astype(float), "msl_visit": np.zeros(len(level))}
        dose = np.log1p(stock["call"] + given["call"]) - np.log1p(stock["call"])
        outcome = draw.poisson(np.maximum(level + effect * dose, 0)).astype(float)
        parts.append(_rows(name, instant, specialty, past, stock, given, outcome))
        past = np.column_stack([outcome, past[:, :-1]])
        stock = {channel: 0.5 * (stock[channel] + given[channel]) for channel in CHANNELS}
    return pl.concat(parts)


def _rows(
    name: str, instant: int, specialty: np.ndarray, past: np.ndarray, stock: dict[str, np.ndarray], given: dict[str, np.ndarray], outcome: np.ndarray
) -> pl.DataFrame:
    hcps = len(outcome)
    values: dict[str, object] = {
        "rx_newest": past[:, 0],
        "rx_lag_2": past[:, 1],
        "rx_lag_3": past[:, 2],
        **{f"rx_mean_{half}": past @ (w := 0.5 ** (np.arange(past.shape[1]) / half)) / w.sum() for half in (2, 3, 6, 13)},
        "specialty": pl.Series(["cardiology", "nephrology", None])[specialty],
        "practice_size": (specialty + 1).astype(float),
        "formulary_tier": pl.Series(["covered", "preferred"])[np.arange(hcps) % 2],
        **{f"touches_stock_{channel}": stock[channel] for channel in CHANNELS},
        **{f"touches_recent_{channel}": np.ceil(stock[channel]) for channel in CHANNELS},
    }
    blank = {column.name: pl.repeat(None, hcps, dtype=pl.Float64, eager=True) for column in CATALOGUE.columns}
    return pl.DataFrame(
        {
            "hcp_id": [f"H{number:04}" for number in range(hcps)],
            "product": [name] * hcps,
            "pdrp": [False] * hcps,
            **blank,
            **values,
            "outcome": outcome,
            "instant": [instant] * hcps,
            "until": [instant + 1] * hcps,
            **{f"given_{channel}": given[channel] for channel in CHANNELS},
        },
        schema_overrides={"instant": pl.Int64, "until": pl.Int64},
    )
