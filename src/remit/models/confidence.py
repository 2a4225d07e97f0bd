"""How sure a response model is of each touch: as a fact that may tighten a verdict."""

from math import erf, sqrt

import numpy as np
import polars as pl

from remit.models.effects import Z_90
from remit.terms.encoding import MICRO

_STEPS = 1000


def confidence(increments: pl.DataFrame) -> pl.DataFrame:
    """The probability that each touch adds more than nothing: `hcp_id`, `product`, `channel`, `touch`, `model_confidence` (millionths, in whole thousandths, so
    that no machine's last digit shows; null where the model has no estimate). `increments` are as a response predicts them.

    What a touch adds is normal about the middle of its interval, as far as it is likely to be something: that part is `increment` over the middle.
    """
    low, high, expected = (increments[name].cast(pl.Float64).to_numpy() for name in ("low", "high", "increment"))
    mean, deviation = (low + high) / 2, (high - low) / (2 * Z_90)
    with np.errstate(divide="ignore", invalid="ignore"):
        something = np.where(mean > 0, np.clip(expected / mean, 0.0, 1.0), 0.0)
        away = np.where(deviation > 0, mean / deviation, np.where(mean > 0, np.inf, -np.inf))
    more = np.fromiter(((1 + erf(each / sqrt(2))) / 2 for each in away.tolist()), np.float64, len(away))
    steps = pl.Series("model_confidence", np.rint(something * more * _STEPS).astype(np.int64)) * (MICRO // _STEPS)
    found = increments.select("hcp_id", "product", "channel", "touch", "known").with_columns(steps)
    return found.with_columns(model_confidence=pl.when("known").then("model_confidence")).drop("known")
