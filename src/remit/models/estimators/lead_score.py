"""Lead score: who will prescribe. The expected outcome units of an HCP and product in the period that contains the instant.

    expected = base x exp(trees),   base = (1 - share) x own weighted mean + share x mean of the specialty

`base` shrinks each physician's own exponentially weighted mean towards its specialty; boosted trees with Poisson loss correct it from all features.
The half-life, the share and the number of trees are chosen by rolling validation: learn from earlier instants, judge on later ones.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl

from remit.features import Catalogue
from remit.models.boosting import Floats, boost, contributions, from_text, raw_scores, to_text
from remit.models.errors import ModelError
from remit.models.inputs import Inputs, dump_inputs, hidden_rows, learn_inputs, load_inputs
from remit.models.stored import Parts, seal, unseal
from remit.terms.encoding import MICRO

NAME = "lead_score"
LEAST = 0.05
"""Units to which the deviance raises lower expectations: a Poisson mean of nothing would make any prescription impossible."""

_TREES = "trees.txt"
_FLOOR = 0.01
"""Units that the base never falls below, so that trees have something to multiply."""

_FOLDS = 3
_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)
_ROUNDS = (4, 8, 16, 32, 64, 128)
_BOOSTING: Mapping[str, int | float] = {
    "num_leaves": 8,
    "max_bin": 63,
    "learning_rate": 0.1,
    "min_data_in_leaf": 200,
    "lambda_l2": 10.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What rolling validation chooses: the mean to start from, how much of the specialty's mean is mixed in, and the number of trees."""

    history: str
    share: float = 0.0
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class LeadScore:
    """A trained lead score. `facts` are what it was trained on and how well it did, as plain values."""

    inputs: Inputs
    choice: Choice
    facts: Mapping[str, Any]
    trees: lgb.Booster

    def predict(self, frame: pl.DataFrame, *, threads: int) -> pl.DataFrame:
        """`hcp_id`, `product` and `lead_score` (expected outcome units, int64 micro-units, rounded half to even) of each row, in the frame's order."""
        protected = self.inputs.protected(frame)
        raw = raw_scores(self.trees, self.inputs.matrix(protected), threads)
        score = _base(self.inputs, protected, self.choice) * np.exp(raw)
        return frame.select("hcp_id", "product").with_columns(pl.Series("lead_score", np.rint(score * MICRO).astype(np.int64), dtype=pl.Int64))

    def contributions(self, protected: pl.DataFrame, *, threads: int) -> Floats:
        """What each input adds to the logarithm of a row's expectation, against the mean of its product: a row per row, a column per input."""
        added = contributions(self.trees, self.inputs.matrix(protected), threads)[:, :-1]
        usual = self.inputs.average(protected.with_columns(specialty=pl.lit(None, pl.String)), self.choice.history)
        added[:, self.inputs.names.index(self.choice.history)] += np.log(_base(self.inputs, protected, self.choice) / np.fmax(usual, _FLOOR))
        return added

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        choice = asdict(self.choice) | {"share": repr(self.choice.share)}
        model = {"estimator": NAME, "inputs": dump_inputs(self.inputs), "choice": choice, "facts": dict(self.facts)}
        return seal(model, {_TREES: to_text(self.trees)})


def load(parts: Parts) -> LeadScore:
    """The lead score stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    model = unseal(parts, NAME)
    choice = Choice(**(model["choice"] | {"share": float(model["choice"]["share"])}))
    return LeadScore(load_inputs(model["inputs"]), choice, model["facts"], from_text(parts[_TREES]))


def train(frame: pl.DataFrame, catalogue: Catalogue, *, seed: int, threads: int) -> LeadScore:
    """A lead score from rows of `features.training_frame`; those of physicians under PDRP are left out.

    Same frame, catalogue and seed: same bytes, in any process, on any number of threads. Raises `ModelError` where no period was over before the newest
    instant, and where the catalogue has no `rx_mean_*`.
    """
    frame = frame.filter(~hidden_rows(frame)).sort("instant", "hcp_id", "product")
    histories = [column.name for column in catalogue.columns if column.name.startswith("rx_mean_")]
    folds = _folds(frame, catalogue, seed, threads)
    faults = [] if histories else ["the catalogue has no `rx_mean_*` to start from"]
    faults += [] if folds else ["no period of physicians who are not under PDRP was over before the newest instant"]
    if faults:
        raise ModelError("a lead score cannot be trained", faults=faults, do="Give a longer history, and the built-in features.")
    choice, validation = _choose(folds, histories)
    inputs = learn_inputs(frame, catalogue)
    trees = _fit(frame, inputs, choice, seed, threads)
    facts = {
        "seed": seed,
        "window": {"from": int(frame["instant"].to_numpy().min()), "to": int(frame["instant"].to_numpy().max())},
        "rows": frame.height,
        "hcps": frame["hcp_id"].n_unique(),
        "settings": {name: repr(value) for name, value in sorted(_BOOSTING.items())},
        "validation_deviance": {name: repr(value) for name, value in sorted(validation.items())},
    }
    return LeadScore(inputs, choice, facts, trees)


def deviance(outcome: Floats, expected: Floats) -> Floats:
    """The Poisson deviance of each row, 2 (y log(y / m) - (y - m)), means below `LEAST` raised to it (McCullagh & Nelder 1989, section 2.3)."""
    mean = np.maximum(expected, LEAST)
    return np.asarray(2 * (np.where(outcome > 0, outcome * np.log(np.where(outcome > 0, outcome, 1.0) / mean), 0.0) - (outcome - mean)))


class _Fold:
    """Rows to learn from, and the rows of later instants to judge on."""

    def __init__(self, earlier: pl.DataFrame, later: pl.DataFrame, catalogue: Catalogue, seed: int, threads: int) -> None:
        self._earlier, self._seed, self._threads = earlier, seed, threads
        self._inputs = learn_inputs(earlier, catalogue)
        known = later.filter(pl.col("product").is_in(list(self._inputs.averages)))
        self._later, self._outcome = self._inputs.protected(known), known["outcome"].to_numpy()

    def of_base(self, choice: Choice) -> Floats:
        """The deviance of each later row where `choice` has no trees."""
        return deviance(self._outcome, _base(self._inputs, self._later, choice))

    def of_trees(self, choice: Choice) -> list[Floats]:
        """The deviance of each later row for each number of trees in `_ROUNDS`."""
        trees = _fit(self._earlier, self._inputs, replace(choice, rounds=_ROUNDS[-1]), self._seed, self._threads)
        base, matrix = _base(self._inputs, self._later, choice), self._inputs.matrix(self._later)
        return [deviance(self._outcome, base * np.exp(raw_scores(trees, matrix, self._threads, rounds))) for rounds in _ROUNDS]


def _folds(frame: pl.DataFrame, catalogue: Catalogue, seed: int, threads: int) -> list[_Fold]:
    """The later half of the instants in up to `_FOLDS` blocks, each judged by the rows whose period was over before it."""
    instants = frame["instant"].unique().sort().to_list()
    cuts = np.unique(np.linspace((len(instants) + 1) // 2, len(instants), _FOLDS + 1).astype(int)).tolist()
    parts = [(frame.filter(pl.col("until") <= instants[start]), instants[start:stop]) for start, stop in pairwise(cuts)]
    return [_Fold(earlier, frame.filter(pl.col("instant").is_in(block)), catalogue, seed, threads) for earlier, block in parts if earlier.height]


def _choose(folds: list[_Fold], histories: list[str]) -> tuple[Choice, dict[str, float]]:
    bases = [Choice(history, share) for history, share in product(histories, _SHARES)]
    base = min(bases, key=lambda choice: _mean([fold.of_base(choice) for fold in folds]))
    by_fold = [fold.of_trees(base) for fold in folds]
    found = {rounds: _mean([by_rounds[place] for by_rounds in by_fold]) for place, rounds in enumerate(_ROUNDS)}
    rounds = min(found, key=lambda rounds: found[rounds])
    validation = {"chosen": found[rounds], "without_trees": _mean([fold.of_base(base) for fold in folds])}
    return replace(base, rounds=rounds), validation | {"own_mean": _mean([fold.of_base(Choice(base.history)) for fold in folds])}


def _mean(parts: list[Floats]) -> float:
    return float(np.concatenate(parts).mean())


def _base(inputs: Inputs, protected: pl.DataFrame, choice: Choice) -> Floats:
    of_specialty = inputs.average(protected, choice.history)
    own = protected[choice.history].fill_null(np.nan).to_numpy()
    own = np.where(np.isnan(own), of_specialty, own)
    return np.asarray(np.fmax((1 - choice.share) * own + choice.share * of_specialty, _FLOOR))


def _fit(frame: pl.DataFrame, inputs: Inputs, choice: Choice, seed: int, threads: int) -> lgb.Booster:
    categorical = [place for place, column in enumerate(inputs.columns) if column.levels is not None]
    return boost(
        inputs.matrix(frame),
        frame["outcome"].to_numpy(),
        objective="poisson",
        settings=_BOOSTING,
        rounds=choice.rounds,
        categorical=categorical,
        seed=seed,
        threads=threads,
        offset=np.log(_base(inputs, frame, choice)),
    )
