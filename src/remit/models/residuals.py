"""Outcome and doses freed of the physician's own level, and of what history and season explain."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.models.boosting import boost, raw_scores
from remit.models.effects import Floats, Ints, within
from remit.models.inputs import Inputs

_FOLDS = 2
_ROUNDS = 40
SETTINGS: Mapping[str, int | float] = {"learning_rate": 0.15, "num_leaves": 8, "min_data_in_leaf": 100, "lambda_l2": 10.0, "max_bin": 63}


@dataclass(frozen=True, slots=True)
class Residuals:
    """The rows of one product; `touches` has a column per channel, the others first the outcome and then a dose per channel.

    `raw` is less the mean of the instant; `own` also less the physician's mean; `clean` also less what trees say of `own` from history and season.
    `explained` is the share of each column of `own` that the trees explain.
    """

    physician: Ints
    touches: Floats
    raw: Floats
    own: Floats
    clean: Floats
    explained: tuple[float, ...]


def dose(stock: Floats, touches: Floats) -> Floats:
    """What `touches` add to the logarithm of one plus the stock: concave in touches, and less where the stock is high."""
    return np.asarray(np.log1p(stock + touches) - np.log1p(stock))


def residuals(rows: pl.DataFrame, channels: tuple[str, ...], inputs: Inputs, *, seed: int, threads: int) -> Residuals:
    """The residuals of `rows` (of one product, no nulls in touches), cross-fitted: trees never saw the physician whose rows they explain."""
    physician = rows["hcp_id"].rank("dense").to_numpy().astype(np.int64) - 1
    touches = np.column_stack([rows[f"given_{channel}"].to_numpy() for channel in channels])
    doses = [dose(rows[f"touches_stock_{channel}"].to_numpy(), touches[:, place]) for place, channel in enumerate(channels)]
    raw = within(np.column_stack([rows["outcome"].to_numpy(), *doses]), rows["instant"].rank("dense").to_numpy().astype(np.int64))
    matrix = np.column_stack([inputs.matrix(rows), rows["instant"].rank("dense").to_numpy().astype(np.float64)])
    # The physician's mean goes first: trees that explained levels from past outcomes would err alike in outcome and dose, and that would pass for an effect.
    own = within(raw, physician)
    fold = np.random.default_rng(seed).permutation(int(physician.max()) + 1)[physician] % _FOLDS
    categorical = [place for place, column in enumerate(inputs.columns) if column.levels is not None]
    explained = np.column_stack([_cross_fitted(matrix, own[:, place], fold, categorical, seed, threads) for place in range(own.shape[1])])
    clean = own - explained
    share = 1 - (clean**2).sum(axis=0) / np.maximum((own**2).sum(axis=0), np.finfo(float).tiny)
    return Residuals(physician, touches, raw, own, clean, tuple(share.tolist()))


def _cross_fitted(matrix: Floats, target: Floats, fold: Ints, categorical: list[int], seed: int, threads: int) -> Floats:
    answer = np.empty(len(target))
    for held in range(_FOLDS):
        learn, judge = fold != held, fold == held
        if judge.any() and learn.any():
            trees = boost(
                matrix[learn], target[learn], objective="regression", settings=SETTINGS, rounds=_ROUNDS, categorical=categorical, seed=seed, threads=threads
            )
            answer[judge] = raw_scores(trees, matrix[judge], threads)
    return answer
