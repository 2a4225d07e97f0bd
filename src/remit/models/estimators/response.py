"""Response: what one more touch in each channel changes, for each HCP and product.

    outcome = m(history, season) + effect[group, channel] x dose + noise
    dose    = log(1 + stock + touches) - log(1 + stock)

`stock` is what is left of earlier touches, so a touch is worth less to an HCP who had many, and each further touch less than the one before. Outcome and
dose are first compared within the physician (less the physician's own mean), then freed of what history and season explain, by boosted trees that never
saw the physician (Robinson 1988; cross-fitted as in Chernozhukov et al. 2018, Econometrics Journal 21). Groups are thirds of physicians by own level; their
effects are shrunk towards the common one; intervals are clustered by physician.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features import Catalogue
from remit.models.effects import Effect, Floats, Ints, clustered_regression, robustness_value, shrink, within
from remit.models.errors import ModelError
from remit.models.inputs import Input, Inputs, dump_inputs, hidden_rows, learn_inputs, load_inputs
from remit.models.residuals import SETTINGS, Residuals, dose, residuals
from remit.models.stored import Parts, seal, unseal
from remit.terms.encoding import MICRO

Bools = npt.NDArray[np.bool_]

NAME = "response"
ASSUMPTIONS = (
    "Given a physician's own history and the season, when a touch falls is as good as random.",
    "What else moves both touches and prescribing (a congress, a sample, a colleague) biases it; `robustness_value` says how strong it would have to be.",
    "Physicians differ in level for reasons that do not change over the window, so targeting by level does not bias the effect.",
    "The effect rises with touches as a logarithm does, and earlier touches fade by half every 28 days.",
    "A touch on one physician does not change what another prescribes, nor a touch about one product what is prescribed of another.",
    "An effect estimated below zero counts as zero. A channel without variation has no estimate, and counts as zero.",
)
"""What the estimate assumes, in words; stored with each model."""

LEVEL = "rx_mean_13"
"""The feature by whose thirds physicians are grouped: low, middle, high."""

BEFORE = "rx_newest"
"""The outcome before the instant, on which a touch at the instant can have no effect: what is found there is timing that was not random."""

_CUTS = (1 / 3, 2 / 3)
_LEAST_PHYSICIANS = 50
"""Physicians a channel must have reached: with fewer, clustered intervals are too narrow (Cameron & Miller 2015, section VI)."""

_LEAST_VARIANCE = 1e-4
_NEXT_TO_NOTHING = 1e-3
"""The share of the common effect that stands for none, where logarithms are asked for."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of one product and channel: the effect per group (None: nothing to learn from) and, as plain values, how far to trust it."""

    product: str
    channel: str
    effects: tuple[Effect, ...] | None
    sensitivity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Response:
    """A trained response model. `cuts[product]` are the levels between the groups; `facts` are what it was trained on, as plain values."""

    inputs: Inputs
    learned: tuple[Learned, ...]
    cuts: Mapping[str, tuple[float, ...]]
    facts: Mapping[str, Any]

    def predict(self, frame: pl.DataFrame, *, most: int) -> pl.DataFrame:
        """The outcome units over the horizon that each further touch adds, if it comes in the period of the instant.

        Returns `hcp_id`, `product`, `channel`, `touch` (1 to `most`), `increment`, `low`, `high` (int64 micro-units, rounded half to even; a 90% interval)
        and `known`. `increment` is never negative and never rises with `touch`. Where `known` is false nothing could be learned: the increment is 0, and
        the interval reaches from minus to plus the physician's own level.
        """
        protected = self.inputs.protected(frame)
        parts = [self._answer(entry, protected.filter(product=entry.product), most) for entry in self.learned]
        return pl.concat(parts).sort("hcp_id", "product", "channel", "touch")

    def contributions(self, frame: pl.DataFrame) -> Iterator[tuple[str, str, tuple[Input, ...], Floats]]:
        """By product and channel with an effect: features, and what each adds to the logarithm of what a touch adds on each of the product's rows in `frame`,
        against the common effect on whoever had no touch: a row per row, a column per feature."""
        protected, known = self.inputs.protected(frame), {column.name: column for column in self.inputs.columns}
        for entry in self.learned:
            common = float(entry.sensitivity["common"]["estimate"]) if entry.effects is not None else 0.0
            if entry.effects is None or common <= 0:
                continue
            rows = protected.filter(product=entry.product)
            group = np.searchsorted(np.asarray(self.cuts[entry.product]), self._level(rows), side="right")
            of_level = np.maximum([effect.estimate for effect in entry.effects], _NEXT_TO_NOTHING * common) / common
            stock = rows[f"touches_stock_{entry.channel}"].cast(pl.Float64).fill_null(0.0).to_numpy()
            added = np.log(np.column_stack([of_level[group], dose(stock, np.ones_like(stock)) / dose(np.zeros(1), np.ones(1))]))
            yield entry.product, entry.channel, (known[LEVEL], known[f"touches_stock_{entry.channel}"]), added

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        learned = [
            {"product": entry.product, "channel": entry.channel, "effects": _dump_effects(entry.effects), "sensitivity": dict(entry.sensitivity)}
            for entry in self.learned
        ]
        cuts = {product: [repr(cut) for cut in cuts] for product, cuts in self.cuts.items()}
        return seal({"estimator": NAME, "inputs": dump_inputs(self.inputs), "learned": learned, "cuts": cuts, "facts": dict(self.facts)}, {})

    def _answer(self, entry: Learned, rows: pl.DataFrame, most: int) -> pl.DataFrame:
        level = self._level(rows)
        stock = rows[f"touches_stock_{entry.channel}"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        known = ~np.isnan(stock) & (entry.effects is not None)
        effects = entry.effects or (Effect(0.0, 0.0),) * (len(_CUTS) + 1)
        group = np.searchsorted(np.asarray(self.cuts[entry.product]), level, side="right")
        before = np.nan_to_num(stock)[:, None] + np.arange(most)
        added = dose(before, np.ones_like(before))
        values = {
            "increment": np.array([max(effect.estimate, 0.0) for effect in effects])[group][:, None] * added,
            "low": np.array([effect.low for effect in effects])[group][:, None] * added,
            "high": np.array([max(effect.high, 0.0) for effect in effects])[group][:, None] * added,
        }
        unknown = {"increment": 0.0 * level, "low": -level, "high": level}
        micro = {name: np.rint(np.where(known[:, None], value, unknown[name][:, None]) * MICRO).astype(np.int64) for name, value in values.items()}
        return rows.select(
            pl.col("hcp_id", "product").repeat_by(most).explode(),
        ).with_columns(
            pl.lit(entry.channel).alias("channel"),
            pl.Series("touch", np.tile(np.arange(1, most + 1, dtype=np.int64), len(rows))),
            *(pl.Series(name, value.ravel()) for name, value in micro.items()),
            pl.Series("known", np.repeat(known, most)),
        )

    def _level(self, protected: pl.DataFrame) -> Floats:
        own = protected[LEVEL].fill_null(np.nan).to_numpy()
        return np.nan_to_num(np.where(np.isnan(own), self.inputs.average(protected, LEVEL), own))


def load(parts: Parts) -> Response:
    """The response model stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    model = unseal(parts, NAME)
    learned = tuple(Learned(e["product"], e["channel"], _load_effects(e["effects"]), e["sensitivity"]) for e in model["learned"])
    cuts = {product: tuple(float(cut) for cut in cuts) for product, cuts in model["cuts"].items()}
    return Response(load_inputs(model["inputs"]), learned, cuts, model["facts"])


def train(frame: pl.DataFrame, catalogue: Catalogue, *, periods: int, seed: int, threads: int) -> Response:
    """A response model from rows of `features.training_frame` with the same `periods`, the horizon; rows of physicians under PDRP are left out.

    Same frame, catalogue and seed: same bytes, in any process, on any number of threads. Raises `ModelError` where the frame or the catalogue lack what
    it needs.
    """
    needed = {LEVEL, BEFORE, "specialty", *(f"touches_stock_{channel}" for channel in catalogue.channels)}
    faults = [f"the catalogue has no `{name}`" for name in sorted(needed - {column.name for column in catalogue.columns})]
    frame = frame.filter(~hidden_rows(frame)).sort("hcp_id", "product", "instant")
    faults += [] if len(frame) else ["there are no rows of physicians who are not under PDRP"]
    if faults:
        raise ModelError("a response model cannot be trained", faults=faults, do="Give a longer history, and the built-in features.")
    inputs = learn_inputs(frame, catalogue)
    learned: list[Learned] = []
    cuts = {}
    for product in sorted(inputs.averages):
        rows = frame.filter(product=product)
        cuts[product] = tuple(np.quantile(rows[LEVEL].drop_nulls().to_numpy(), _CUTS).tolist()) if rows[LEVEL].count() else (0.0,) * len(_CUTS)
        learned += _learn(product, rows, catalogue.channels, inputs, cuts[product], seed, threads)
    facts = {
        "seed": seed,
        "horizon_periods": periods,
        "window": {"from": int(frame["instant"].to_numpy().min()), "to": int(frame["instant"].to_numpy().max())},
        "rows": frame.height,
        "hcps": frame["hcp_id"].n_unique(),
        "settings": {name: repr(value) for name, value in sorted(SETTINGS.items())},
        "assumptions": list(ASSUMPTIONS),
    }
    return Response(inputs, tuple(learned), cuts, facts)


def _learn(product: str, rows: pl.DataFrame, channels: tuple[str, ...], inputs: Inputs, cuts: tuple[float, ...], seed: int, threads: int) -> list[Learned]:
    touched = tuple(channel for channel in channels if rows[f"given_{channel}"].count() and rows[f"touches_stock_{channel}"].count())
    complete = rows.drop_nulls([f"{kind}_{channel}" for channel in touched for kind in ("given", "touches_stock")])
    if not touched or complete.is_empty():
        return [_nothing(product, channel) for channel in channels]
    parts = residuals(complete, touched, inputs, seed=seed, threads=threads)
    group = np.searchsorted(np.asarray(cuts), complete[LEVEL].fill_null(0.0).to_numpy(), side="right")
    varied = _varied(parts, np.ones(complete.height, dtype=bool), list(range(len(touched))))
    before = within(np.nan_to_num(complete[BEFORE].to_numpy())[:, None], parts.physician)[:, 0]
    found = _effects(parts, varied, group, before) if varied else {}
    places = {channel: place for place, channel in enumerate(touched)}
    return [Learned(product, channel, *found[places[channel]]) if places.get(channel) in found else _nothing(product, channel) for channel in channels]


def _nothing(product: str, channel: str) -> Learned:
    note = "the channel reached too few physicians, hardly varies, or only together with another: its effect is unknown, and counts as zero"
    return Learned(product, channel, None, {"note": note})


def _varied(parts: Residuals, inside: Bools, places: list[int]) -> list[int]:
    """Those of `places` whose channel reached enough physicians among the rows inside, and whose dose varies there other than together with the others'."""
    doses, touches, physician = parts.clean[inside][:, [place + 1 for place in places]], parts.touches[inside], parts.physician[inside]
    answer = []
    for at, place in enumerate(places):
        own, others = doses[:, at], np.delete(doses, at, axis=1)
        left = own - others @ np.linalg.lstsq(others, own, rcond=None)[0] if others.shape[1] else own
        reached = len(np.unique(physician[touches[:, place] > 0]))
        if reached >= _LEAST_PHYSICIANS and (left**2).mean() > _LEAST_VARIANCE:
            answer.append(place)
    return answer


def _effects(parts: Residuals, varied: list[int], group: Ints, before: Floats) -> dict[int, tuple[tuple[Effect, ...], dict[str, Any]]]:
    columns = [place + 1 for place in varied]
    pooled = clustered_regression(parts.clean[:, 0], parts.clean[:, columns], parts.physician)
    by_group = [_of_group(parts, varied, group == number) for number in range(len(_CUTS) + 1)]
    others = {
        "within the physician, history not used": clustered_regression(parts.own[:, 0], parts.own[:, columns], parts.physician),
        "as found, nothing adjusted but the period": clustered_regression(parts.raw[:, 0], parts.raw[:, columns], parts.physician),
        "on the period before the touch, where there can be none": clustered_regression(before, parts.own[:, columns], parts.physician),
    }
    answer = {}
    for at, place in enumerate(varied):
        effects = shrink([of_group.get(place) for of_group in by_group], pooled.effects[at])
        sensitivity = {
            "common": _texts(pooled.effects[at]),
            "physicians": pooled.clusters,
            "partial_r2": repr(pooled.partial_r2[at]),
            "robustness_value": repr(robustness_value(pooled.partial_r2[at])),
            "dose_explained_by_history": repr(parts.explained[place + 1]),
            "outcome_explained_by_history": repr(parts.explained[0]),
            "other_specifications": {name: _texts(other.effects[at]) for name, other in others.items()},
        }
        answer[place] = (tuple(effects), sensitivity)
    return answer


def _of_group(parts: Residuals, varied: list[int], inside: Bools) -> dict[int, Effect]:
    """The effects in one group, of the channels that vary within it."""
    places = _varied(parts, inside, varied)
    if not places:
        return {}
    found = clustered_regression(parts.clean[inside, 0], parts.clean[inside][:, [place + 1 for place in places]], parts.physician[inside])
    return dict(zip(places, found.effects, strict=True))


def _texts(effect: Effect) -> dict[str, str]:
    return {"estimate": repr(effect.estimate), "low": repr(effect.low), "high": repr(effect.high)}


def _dump_effects(effects: tuple[Effect, ...] | None) -> list[dict[str, str]] | None:
    return None if effects is None else [{"estimate": repr(effect.estimate), "error": repr(effect.error)} for effect in effects]


def _load_effects(body: list[dict[str, str]] | None) -> tuple[Effect, ...] | None:
    return None if body is None else tuple(Effect(float(effect["estimate"]), float(effect["error"])) for effect in body)
