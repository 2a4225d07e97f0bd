"""Every estimator keeps the contract of estimators, and the contract catches those that do not."""

import pkgutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import remit.models.estimators as folder
from remit.features import Catalogue
from remit.models import ESTIMATORS, check_estimator
from tests.models.learning import CATALOGUE, learning_frame


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_estimator_keeps_every_check(name: str) -> None:
    """A built-in estimator breaks no check."""
    assert check_estimator(ESTIMATORS[name], learning_frame(150, 8), CATALOGUE) == ()


def test_no_estimator_is_left_out() -> None:
    """Every file in `estimators/` is an estimator that the contract runs on."""
    assert {module.name for module in pkgutil.iter_modules(folder.__path__)} == set(ESTIMATORS)


def test_checks_catch_an_answer_that_depends_on_other_rows_and_on_hidden_ones() -> None:
    """An estimator that ranks instead of scoring, and reads a hidden column, breaks the checks that say so."""
    lead = ESTIMATORS["lead_score"]

    def ranked(model: object, frame: pl.DataFrame, threads: int) -> pl.DataFrame:
        return lead.predict(model, frame, threads).with_columns(pl.col("lead_score").rank("ordinal") + frame["rx_newest"].fill_null(0).cast(pl.Int64))

    broken = check_estimator(replace(lead, predict=ranked), learning_frame(60, 4), CATALOGUE)
    assert {"answers each row alone", "shows nothing of a physician under PDRP"} <= set(broken)


def test_checks_catch_training_that_depends_on_order_or_trusts_changed_parts() -> None:
    """An estimator that sees the order of rows, and loads whatever it is given, breaks the checks that say so."""
    lead = ESTIMATORS["lead_score"]
    kept: list[object] = []

    def careless(frame: pl.DataFrame, known: Catalogue, seed: int, threads: int) -> object:
        first = frame.with_columns(outcome=pl.col("outcome") + pl.Series(np.arange(len(frame)) % 2))
        kept.append(lead.train(first, known, seed, threads))
        return kept[-1]

    broken = check_estimator(replace(lead, train=careless, load=lambda _: kept[0]), learning_frame(60, 4), CATALOGUE)
    assert {"trains the same bytes from shuffled rows on other threads", "refuses any changed part", "refuses a missing or added part"} <= set(broken)
