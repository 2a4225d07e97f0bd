"""How sure a response is that a touch adds anything."""

import polars as pl
import pytest

from remit.models.confidence import confidence
from remit.models.effects import Z_90


def of(increment: float, low: float, high: float, *, known: bool = True) -> int | None:
    row = {"hcp_id": "H1", "product": "alpha", "channel": "call", "touch": 1, "increment": increment, "low": low, "high": high, "known": known}
    frame = pl.DataFrame([row]).with_columns(pl.col("increment", "low", "high").cast(pl.Int64))
    found = confidence(frame)
    assert found.columns == ["hcp_id", "product", "channel", "touch", "model_confidence"]
    value: int | None = found["model_confidence"][0]
    return value


@pytest.mark.parametrize(
    ("increment", "low", "high", "expected"),
    [
        (100_000, 100_000 - 100_000 * Z_90, 100_000 + 100_000 * Z_90, 841_000),  # one standard deviation above nothing
        (50_000, 100_000 - 100_000 * Z_90, 100_000 + 100_000 * Z_90, 421_000),  # and only half likely to be anything
        (100_000, 0, 200_000, 950_000),  # a 90% interval that begins at nothing
        (100_000, 100_000, 100_000, 1_000_000),
        (0, -100_000, 100_000, 0),
        (0, 0, 0, 0),
        (0, -200_000, -100_000, 0),
    ],
)
def test_it_is_the_probability_that_the_touch_adds_more_than_nothing(increment: float, low: float, high: float, expected: int) -> None:
    assert of(increment, low, high) == expected


def test_where_nothing_was_learnt_it_is_unknown() -> None:
    assert of(0, -100_000, 100_000, known=False) is None


def test_of_nobody_it_says_nothing() -> None:
    frame = pl.DataFrame(schema={"hcp_id": pl.String, "product": pl.String, "channel": pl.String, "touch": pl.Int64, "increment": pl.Int64, "low": pl.Int64,
                                 "high": pl.Int64, "known": pl.Boolean})  # fmt: skip
    assert confidence(frame).is_empty()
