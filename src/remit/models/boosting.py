"""lightgbm through its native interface, set so that the trees do not depend on threads, process or row count."""

import re
from collections.abc import Mapping
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def boost(
    matrix: Floats,
    target: Floats,
    *,
    objective: str,
    settings: Mapping[str, int | float],
    rounds: int,
    categorical: list[int],
    seed: int,
    threads: int,
    offset: Floats | None = None,
) -> lgb.Booster:
    """Trees that predict `target`; with `offset`, what is to be added to it (on the scale of the objective's raw score)."""
    fixed = _fixed(objective, offset is None, seed, threads)
    data = lgb.Dataset(matrix, target, init_score=offset, categorical_feature=categorical, params={**settings, **fixed}, free_raw_data=True)
    return lgb.train({**settings, **fixed}, data, num_boost_round=rounds)


def seedling(
    matrix: Floats, target: Floats, *, objective: str, settings: Mapping[str, int | float], categorical: list[int], seed: int, threads: int
) -> lgb.Booster:
    """What grows, with each `update`, the next of the trees that `boost` would give."""
    fixed = _fixed(objective, True, seed, threads)
    return lgb.Booster({**settings, **fixed}, lgb.Dataset(matrix, target, categorical_feature=categorical, params={**settings, **fixed}))


def _fixed(objective: str, from_average: bool, seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": objective,
        "boost_from_average": from_average,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbosity": -1,
    }


def raw_scores(trees: lgb.Booster, matrix: Floats, threads: int, rounds: int | None = None, start: int = 0) -> Floats:
    """The raw score of each row from `rounds` trees (None: all) after the first `start`; each row's own, whatever the other rows."""
    if not len(matrix):
        return np.empty(0)
    return np.asarray(trees.predict(matrix, start_iteration=start, raw_score=True, num_threads=threads, num_iteration=rounds), dtype=np.float64)


def contributions(trees: lgb.Booster, matrix: Floats, threads: int) -> Floats:
    """What each column adds to each row's raw score (TreeSHAP: Lundberg et al. 2020, Nature Machine Intelligence 2), the last column the trees' mean."""
    return np.asarray(trees.predict(matrix, pred_contrib=True, num_threads=threads), dtype=np.float64)


def to_text(trees: lgb.Booster) -> bytes:
    """The trees in lightgbm's text form, without the number of threads that grew them."""
    return re.sub(r"\[num_threads: \d+\]\n", "", trees.model_to_string()).encode()


def from_text(text: bytes) -> lgb.Booster:
    """The trees of a text form."""
    return lgb.Booster(model_str=text.decode())
