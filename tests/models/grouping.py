"""Made-up physicians to be grouped: features as `features.build` gives them."""

import numpy as np
import polars as pl

from tests.models.learning import CATALOGUE


def people(count: int, seed: int = 1, *, start: int = 0, pdrp: float = 0.0) -> pl.DataFrame:
    """`count` physicians and two products, with traits of every kind."""
    draw = np.random.default_rng(seed)
    specialty = pl.Series(["cardiology", "nephrology", "family medicine", None])[draw.integers(0, 4, count)]
    hidden, size = draw.random(count) < pdrp, draw.integers(1, 20, count).astype(float)
    blank = {column.name: pl.repeat(None, count, dtype=pl.Float64, eager=True) for column in CATALOGUE.columns}
    parts = []
    for product in ("alpha", "beta"):
        judged = draw.poisson(8, count).astype(float)
        values = {
            "specialty": specialty,
            "practice_size": size,
            "formulary_tier": pl.Series(["covered", "preferred"])[draw.integers(0, 2, count)],
            "rx_mean_13": draw.gamma(1.2, 3.0, count),
            "inquiries_recent": draw.poisson(1, count).astype(float),
        }
        for channel in CATALOGUE.channels:
            values |= {f"touches_judged_{channel}": judged, f"touches_engaged_{channel}": draw.binomial(judged.astype(int), 0.3).astype(float)}
            values |= {f"touches_stock_{channel}": draw.gamma(2, 1, count)}
        keys = {"hcp_id": [f"H{start + number:06}" for number in range(count)], "product": [product] * count, "pdrp": hidden}
        parts.append(pl.DataFrame({**keys, **blank, **values}))
    return pl.concat(parts)
