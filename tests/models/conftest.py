"""What the tests of models share."""

import polars as pl
import pytest

from remit.models import lead_score, response
from tests.models.learning import CATALOGUE, learning_frame


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    """Learning data with a known effect."""
    return learning_frame()


@pytest.fixture(scope="session")
def lead(frame: pl.DataFrame) -> lead_score.LeadScore:
    """A lead score trained on it."""
    return lead_score.train(frame, CATALOGUE, seed=1, threads=1)


@pytest.fixture(scope="session")
def responses(frame: pl.DataFrame) -> response.Response:
    """A response model trained on it."""
    return response.train(frame, CATALOGUE, periods=1, seed=1, threads=1)


@pytest.fixture(scope="session")
def latest(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of the newest instant."""
    return frame.filter(pl.col("instant") == pl.col("instant").max())
