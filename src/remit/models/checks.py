"""What every estimator must keep, as small named checks: run them all with `check_estimator`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl

from remit.features import Catalogue
from remit.models.errors import ModelError
from remit.models.stored import Parts
from remit.terms.labels import Label


class Model(Protocol):
    """A trained model."""

    def parts(self) -> dict[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Estimator:
    """How a model is trained from a frame of `features.training_frame` (with catalogue, seed, threads), loaded, and asked (model, frame, threads)."""

    train: Callable[[pl.DataFrame, Catalogue, int, int], Any]
    load: Callable[[Parts], Any]
    predict: Callable[[Any, pl.DataFrame, int], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class _Trial:
    estimator: Estimator
    model: Model
    frame: pl.DataFrame
    catalogue: Catalogue

    def ask(self, frame: pl.DataFrame, threads: int = 1) -> pl.DataFrame:
        return self.estimator.predict(self.model, frame, threads)


def check_estimator(estimator: Estimator, frame: pl.DataFrame, catalogue: Catalogue) -> tuple[str, ...]:
    """The names of the checks that an estimator, trained on `frame`, breaks: none if it keeps the contract."""
    trial = _Trial(estimator, estimator.train(frame, catalogue, 1, 1), frame, catalogue)
    return tuple(name for name, holds in CHECKS.items() if not holds(trial))


def _trains_the_same(trial: _Trial) -> bool:
    shuffled = trial.frame.sample(fraction=1.0, shuffle=True, seed=5)
    return bool(trial.estimator.train(shuffled, trial.catalogue, 1, 2).parts() == trial.model.parts())


def _predicts_the_same_when_loaded(trial: _Trial) -> bool:
    loaded = trial.estimator.load(trial.model.parts())
    return trial.estimator.predict(loaded, trial.frame, 2).equals(trial.ask(trial.frame))


def _stores_again_what_it_loaded(trial: _Trial) -> bool:
    return bool(trial.estimator.load(trial.model.parts()).parts() == trial.model.parts())


def _answers_each_row_alone(trial: _Trial) -> bool:
    some = _one_instant(trial.frame).gather_every(7)
    together = trial.ask(_one_instant(trial.frame)).join(some.select("hcp_id", "product"), on=["hcp_id", "product"], how="semi")
    keys = together.columns
    return together.sort(keys).equals(trial.ask(some).sort(keys))


def _gives_whole_micro_units(trial: _Trial) -> bool:
    answer = trial.ask(trial.frame)
    return not any(kind.is_float() for kind in answer.dtypes) and answer.null_count().sum_horizontal().item() == 0


def _refuses_any_changed_part(trial: _Trial) -> bool:
    parts = trial.model.parts()
    return all(_refused(trial, {**parts, name: _flipped(part)}) for name, part in parts.items())


def _refuses_a_missing_or_added_part(trial: _Trial) -> bool:
    parts = trial.model.parts()
    missing = all(_refused(trial, {other: part for other, part in parts.items() if other != name}) for name in parts)
    return missing and _refused(trial, {**parts, "more": b""})


def _shows_nothing_of_a_physician_under_pdrp(trial: _Trial) -> bool:
    rows = _one_instant(trial.frame)
    private = [column.name for column in trial.catalogue.columns if Label.PDRP in column.labels]
    blank = rows.with_columns(pl.lit(None, rows[name].dtype).alias(name) for name in private)
    other = rows.with_columns(pl.col(name) * 3 + 1 for name in private)
    answers = [trial.ask(version.with_columns(pdrp=pl.lit(flag, pl.Boolean))) for version in (rows, blank, other) for flag in (True, None)]
    return all(answer.equals(answers[0]) for answer in answers)


def _learns_nothing_from_a_physician_under_pdrp(trial: _Trial) -> bool:
    added = trial.frame.with_columns(pl.col("hcp_id") + "-hidden", pl.col("outcome") * 50, pdrp=pl.lit(True))
    return bool(trial.estimator.train(pl.concat([trial.frame, added]), trial.catalogue, 1, 1).parts() == trial.model.parts())


CHECKS: Mapping[str, Callable[[_Trial], bool]] = MappingProxyType(
    {
        "trains the same bytes from shuffled rows on other threads": _trains_the_same,
        "predicts the same when loaded": _predicts_the_same_when_loaded,
        "stores again what it loaded": _stores_again_what_it_loaded,
        "answers each row alone": _answers_each_row_alone,
        "gives whole micro-units": _gives_whole_micro_units,
        "refuses any changed part": _refuses_any_changed_part,
        "refuses a missing or added part": _refuses_a_missing_or_added_part,
        "shows nothing of a physician under PDRP": _shows_nothing_of_a_physician_under_pdrp,
        "learns nothing from a physician under PDRP": _learns_nothing_from_a_physician_under_pdrp,
    }
)


def _one_instant(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("instant") == pl.col("instant").max())


def _refused(trial: _Trial, parts: Parts) -> bool:
    try:
        trial.estimator.load(parts)
    except ModelError:
        return True
    return False


def _flipped(part: bytes) -> bytes:
    middle = len(part) // 2
    return part[:middle] + bytes([part[middle] ^ 1]) + part[middle + 1 :]
