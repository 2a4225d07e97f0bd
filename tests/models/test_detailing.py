"""The real set: forecasts of months 19-23 from months 1-18."""

import numpy as np
import polars as pl
import pytest

from benchmarks import detailing
from remit.features import build
from remit.models import response

pytestmark = pytest.mark.skipif(not detailing.FOLDER.exists(), reason="../shared/data/detailing is not there")


@pytest.fixture(scope="module")
def result() -> detailing.Backtest:
    """All forecasts, with the model trained once on months 1-18."""
    return detailing.backtest(detailing.FOLDER)


def test_the_metric_is_the_published_one(result: detailing.Backtest) -> None:
    """The simple forecasts have the published deviances: last value 4.249, running mean 2.667, weighted mean 2.255."""
    found = [round(detailing.mean_deviance(result, name), 3) for name in ("last value", "running mean", "weighted mean")]
    assert found == [4.249, 2.667, 2.255]


def test_the_lead_score_beats_the_weighted_mean(result: detailing.Backtest) -> None:
    """The 90% interval of the difference in deviance, by resampling physicians in pairs, lies below zero."""
    mean, low, high = detailing.difference(result, "lead score", "weighted mean")
    assert low < mean < high < 0


def test_nothing_after_the_month_before_is_used(result: detailing.Backtest) -> None:
    """The forecast of month 19 is the same where months 19-23 do not exist."""
    end = detailing._ENDS[18]
    early = {name: rows.filter(pl.col("received_at") <= end) for name, rows in detailing.tables(detailing.FOLDER).items()}
    model = detailing.fit(early, threads=1)
    scores = model.predict(build(early, detailing._STARTS[19], detailing.CATALOGUE), threads=1)["lead_score"]
    assert np.array_equal(scores.to_numpy() / 1e6, result.forecasts["lead score"][:, 0])


def test_calls_followed_volume_there() -> None:
    """Adjusted for history and physician, a call adds far less than the unadjusted slope says, and the model states its assumptions."""
    model = detailing.fit_response(detailing.tables(detailing.FOLDER), threads=1)
    told = model.learned[0].sensitivity
    assert float(told["common"]["high"]) < float(told["other_specifications"]["as found, nothing adjusted but the period"]["low"])
    assert 0 < float(told["robustness_value"]) < 0.2
    assert model.facts["assumptions"] == list(response.ASSUMPTIONS)
