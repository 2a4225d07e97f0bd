"""Response over time: what one more touch in each channel changes in the weeks after it, for each HCP and product.

    outcome[h, t] = base[h] x growth[t] x (1 + sum over channels of effect[c](x[h]) x stock / (stock + saturation)) + noise

`stock` gains one with each touch and halves every so many weeks. Half-life and saturation of each channel are those that explain the outcomes of all products
best; an effect is relative to the HCP's own base, its logarithm linear in what is known of the HCP (`x`: specialty, practice, base, engagement). What a channel
does for one product is drawn towards what it does for the others, and what a trait does towards what it does in all channels and products, as far as the
differences are no larger than chance (automatic relevance: MacKay 1992, Neural Computation 4; Tipping 2001, JMLR 1). An HCP is compared with the own other
weeks, less what moved everybody of the specialty; a week counts in inverse proportion to its Poisson variance. Intervals are clustered by HCP (Liang & Zeger
1986). Bases and effects are found in turn. Where outcomes are known of bricks only, a brick is compared with its own other weeks, as the sum of its HCPs
(`units.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from remit.features import Catalogue, Panel
from remit.models.bases import Bases, Shared, bases_of, effects_of, places_of
from remit.models.effects import Floats
from remit.models.errors import ModelError
from remit.models.inputs import Input, Inputs, dump_inputs, learn_inputs, load_inputs
from remit.models.multipliers import log_effect, within_bounds
from remit.models.panel_learning import LEAST_HCPS, Learned, learn
from remit.models.stored import Parts, plain, seal, unseal
from remit.models.traits import BASE, VOLUME, Engagement, Traits, sources_of, trait_names, traits_of
from remit.models.units import Units, alone, bricks
from remit.models.weeks import stock_of
from remit.terms.encoding import MICRO

NAME = "panel_response"
ASSUMPTIONS = (
    "Given an HCP's own level and what moved everybody of the specialty, when a touch falls is as good as random.",
    "A touch changes outcomes in proportion to the HCP's base, less the more touches came before, and fades by half in a fixed time.",
    "A touch on one HCP does not change what another prescribes, nor a touch about one product what is prescribed of another.",
    "An effect counts as far as it is likely to be more than nothing. A channel without variation has no estimate, and counts as zero.",
)
"""What the estimate assumes, in words; stored with each model."""
OF_BRICKS = (
    "What physicians prescribe is known of bricks only: each is held to prescribe as much as the brick's average, and effects are those of its physicians."
)

Z_90 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class PanelResponse:
    """A trained model. `facts` are what it was trained on, as plain values; `period_days` is the length of a period."""

    inputs: Inputs
    traits: Traits
    learned: tuple[Learned, ...]
    channels: tuple[str, ...]
    period_days: float
    horizon: int
    facts: Mapping[str, Any]

    def predict(self, frame: pl.DataFrame, data: Panel, *, most: int, shared: Mapping[str, Shared] | None = None) -> pl.DataFrame:
        """The outcome units over the horizon that each further touch adds, if it comes in the period of the instant.

        `frame` has the features of the instant and `data` the panel known then, from which each HCP's base is taken: the own, or the average of a brick of
        which no more is known; other HCPs under PDRP, and those without reports, have their specialty's. Returns `hcp_id`, `product`, `channel`, `touch` (1
        to `most`), `increment`, `low`, `high` (int64 micro-units; a 90% interval) and `known`, as `Response.predict`. `increment` is never negative and never
        rises with `touch`. What bases take from everybody is found in `data`, unless it is given by product.
        """
        protected = self.inputs.protected(frame)
        parts = [self._answer(entry, protected.filter(product=entry.product), data, most, (shared or {}).get(entry.product)) for entry in self._of(data)]
        return pl.concat(parts).sort("hcp_id", "product", "channel", "touch")

    def shared(self, frame: pl.DataFrame, data: Panel) -> dict[str, Shared]:
        """By product, what `predict` takes from everybody for the bases."""
        protected = self.inputs.protected(frame)
        return {entry.product: self._bases(entry, protected.filter(product=entry.product), data).shared for entry in self._of(data)}

    def effects(self, frame: pl.DataFrame, data: Panel) -> dict[str, tuple[Floats, Floats]]:
        """By product, for its rows in `frame`: the base, and the effect of each channel learnt, as `predict` takes them; (rows,) and (rows, channels)."""
        protected, answer = self.inputs.protected(frame), {}
        for entry in self._of(data):
            rows = protected.filter(product=entry.product)
            base = self._bases(entry, rows, data).base
            effects = effects_of(entry, self.traits, rows, base)
            answer[entry.product] = base, np.column_stack(effects) if effects else np.zeros((rows.height, 0))
        return answer

    def contributions(self, frame: pl.DataFrame, data: Panel) -> Iterator[tuple[str, str, tuple[Input, ...], Floats]]:
        """By product and channel learnt: features, and what each adds to the logarithm of the effect on each of the product's rows in `frame`, against the
        usual HCP's: a row per row, a column per feature."""
        protected, known = self.inputs.protected(frame), {column.name: column for column in self.inputs.columns}
        known[BASE] = replace(known[VOLUME], name=BASE, says="prescriptions without promotion")
        for entry in self._of(data):
            rows = protected.filter(product=entry.product)
            base = self._bases(entry, rows, data).base
            of = traits_of(rows, self.traits, entry.product, np.log(base), entry.shapes)
            for place, channel in enumerate(entry.shapes):
                parts = of[place] * entry.mean[entry.of(place)]
                sources = np.array(sources_of(self.traits.names, channel))
                names = tuple(dict.fromkeys(sources.tolist()))
                added = np.column_stack([parts[:, 1:][:, sources == name].sum(axis=1) for name in names]) * within_bounds(parts[:, 1:].sum(axis=1))[:, None]
                yield entry.product, channel, tuple(known[name] for name in names), added

    def parts(self) -> dict[str, bytes]:
        """The stored form, by name."""
        learned = [
            {
                "product": entry.product,
                "shapes": {channel: [days, repr(saturation)] for channel, (days, saturation) in entry.shapes.items()},
                "certain": plain(entry.certain.tolist()),
                "mean": plain(entry.mean.tolist()),
                "covariance": plain(entry.covariance.tolist()),
                "own": plain(entry.own.tolist()),
                "sensitivity": dict(entry.sensitivity),
            }
            for entry in self.learned
        ]
        traits = {
            "names": list(self.traits.names),
            "knots": {product: plain(values.tolist()) for product, values in self.traits.knots.items()},
            "engagement": {
                product: {channel: {"usual": plain(known.usual.tolist()), "strength": repr(known.strength)} for channel, known in of_product.items()}
                for product, of_product in self.traits.engagement.items()
            },
            "centre": {product: plain(values.tolist()) for product, values in self.traits.centre.items()},
            "scale": {product: plain(values.tolist()) for product, values in self.traits.scale.items()},
        }
        body = {"estimator": NAME, "inputs": dump_inputs(self.inputs), "traits": traits, "learned": learned, "channels": list(self.channels)}
        return seal({**body, "period_days": repr(self.period_days), "horizon": self.horizon, "facts": dict(self.facts)}, {})

    def _of(self, data: Panel) -> list[Learned]:
        """What was learnt of the products that are ours still."""
        return [entry for entry in self.learned if entry.product in data.products]

    def _bases(self, entry: Learned, rows: pl.DataFrame, data: Panel, shared: Shared | None = None) -> Bases:
        return bases_of(entry, self.traits, rows, data, self.period_days, shared)

    def _answer(self, entry: Learned, rows: pl.DataFrame, data: Panel, most: int, shared: Shared | None) -> pl.DataFrame:
        at, bases = places_of(rows, data), self._bases(entry, rows, data, shared)
        base, level = bases.base, bases.base * bases.ahead
        of = traits_of(rows, self.traits, entry.product, np.log(base), entry.shapes)
        frames = []
        for channel in self.channels:
            if channel not in entry.shapes:
                wide = np.repeat(level[:, None], most, axis=1)
                frames.append(_rows(rows, channel, most, np.zeros_like(wide), -wide, wide, False))
                continue
            place = list(entry.shapes).index(channel)
            traits, own = of[place], entry.of(place)
            effect = np.exp(log_effect(traits, entry.mean[own]))
            variance = effect**2 * (np.einsum("ij,jk,ik->i", traits, entry.covariance[own, own], traits) + entry.own[place])
            spread = Z_90 * np.sqrt(np.maximum(variance, 0.0))
            days, saturation = entry.shapes[channel]
            touches = np.zeros((rows.height, len(data.ends)))
            touches[at >= 0] = data.touches[data.channels.index(channel), at[at >= 0], data.products.index(entry.product)]
            doses = level[:, None] * _doses(stock_of(touches, days, self.period_days)[:, -1], days, saturation, self.period_days, self.horizon, most)
            increment = (entry.certain[place] * effect)[:, None] * doses
            frames.append(_rows(rows, channel, most, increment, (effect - spread)[:, None] * doses, np.maximum(effect + spread, 0.0)[:, None] * doses, True))
        return pl.concat(frames)


def load(parts: Parts) -> PanelResponse:
    """The model stored as `parts`. Raises `ModelError` for a part that was changed, a newer format, and a model of another kind."""
    model = unseal(parts, NAME)
    learned = tuple(
        Learned(
            entry["product"],
            {channel: (int(days), float(saturation)) for channel, (days, saturation) in entry["shapes"].items()},
            _numbers(entry["certain"]),
            _numbers(entry["mean"]),
            _numbers(entry["covariance"]).reshape(len(entry["mean"]), len(entry["mean"])),
            _numbers(entry["own"]),
            entry["sensitivity"],
        )
        for entry in model["learned"]
    )
    kept = model["traits"]
    by_product = {part: {product: _numbers(values) for product, values in kept[part].items()} for part in ("knots", "centre", "scale")}
    engagement = {
        product: {channel: Engagement(_numbers(known["usual"]), float(known["strength"])) for channel, known in of_product.items()}
        for product, of_product in kept["engagement"].items()
    }
    traits = Traits(tuple(kept["names"]), engagement=engagement, **by_product)
    return PanelResponse(
        load_inputs(model["inputs"]), traits, learned, tuple(model["channels"]), float(model["period_days"]), int(model["horizon"]), model["facts"]
    )


def train(data: Panel, frame: pl.DataFrame, catalogue: Catalogue, *, horizon: int, seed: int) -> PanelResponse:
    """A model from a panel and the features of its HCPs at its instant (`frame`, as `features.build` gives); HCPs under PDRP are left out.

    Same panel, frame and catalogue: same bytes. Raises `ModelError` where nobody's figures may be seen, or no period is left.
    """
    seen = ~data.pdrp
    if not seen.any() or len(data.ends) < 4:
        raise ModelError("a response model cannot be trained", faults=["there are no periods of HCPs who are not under PDRP"], do="Give a longer history.")
    days = float(np.median(np.diff(data.ends))) / 86_400_000_000
    everybody, frame = frame, frame.filter(pl.col("hcp_id").is_in(pl.Series(list(np.array(data.hcps)[seen])).implode())).sort("hcp_id", "product")
    inputs = learn_inputs(frame.with_columns(instant=pl.lit(0, pl.Int64)), catalogue)
    names = tuple(name for column in inputs.columns for name in trait_names(column.name, column.levels, catalogue))
    units = units_of(data)
    if not np.isfinite(units.outcome).any():
        raise ModelError("a response model cannot be trained", faults=["no outcome is known of anybody who may be seen"], do="Give a longer history.")
    everybody = everybody.filter(pl.col("hcp_id").is_in(pl.Series(list(np.array(data.hcps)[units.hcps])).implode())).sort("hcp_id", "product")
    found = learn(data, units, [everybody.filter(product=product) for product in data.products], names, days)
    traits = Traits(
        names,
        {entry.product: own.knots[entry.product] for entry, own in found},
        {entry.product: own.engagement[entry.product] for entry, own in found},
        {entry.product: own.centre[entry.product] for entry, own in found},
        {entry.product: own.scale[entry.product] for entry, own in found},
    )
    facts = {
        "seed": seed,
        "horizon_periods": horizon,
        "window": {"from": int(data.ends[0]), "to": int(data.ends[_told(units)])},
        "rows": int(np.isfinite(units.outcome).sum()),
        "hcps": len(units.hcps),
        "assumptions": list(ASSUMPTIONS),
    }
    if units.unit is not None:
        facts |= {"bricks": len(units.size), "assumptions": [*ASSUMPTIONS, OF_BRICKS]}
    return PanelResponse(inputs, traits, tuple(entry for entry, _ in found), data.channels, days, horizon, facts)


def _told(units: Units) -> int:
    """The place of the last period of which an outcome is known."""
    return int(np.flatnonzero(np.isfinite(units.outcome).any(axis=(0, 1)))[-1])


def units_of(data: Panel) -> Units:
    """What to learn from: HCPs with outcomes of their own that may be seen; bricks, where there are hardly any."""
    own = ~data.pdrp & (data.brick < 0)
    few = np.isfinite(data.outcome[own]).any(axis=(1, 2)).sum() < LEAST_HCPS
    return bricks(data) if few and (data.brick >= 0).any() else alone(data, np.flatnonzero(own))


def _doses(stock: Floats, half_life_days: int, saturation: float, days: float, horizon: int, most: int) -> Floats:
    """What each further touch adds to the saturated stock, over all periods of the horizon, where `stock` is left of the periods before: (rows, touches)."""
    kept = 0.5 ** (days / half_life_days)
    steps = kept * stock[:, None] + np.arange(most + 1)
    total = np.zeros((len(stock), most))
    for ahead in range(horizon):
        faded = kept**ahead * steps
        total += np.diff(faded / (faded + saturation), axis=1)
    return total


def _rows(rows: pl.DataFrame, channel: str, most: int, increment: Floats, low: Floats, high: Floats, known: bool) -> pl.DataFrame:
    micro = {name: np.rint(values * MICRO).astype(np.int64).ravel() for name, values in (("increment", increment), ("low", low), ("high", high))}
    return rows.select(pl.col("hcp_id", "product").repeat_by(most).explode()).with_columns(
        pl.lit(channel).alias("channel"),
        pl.Series("touch", np.tile(np.arange(1, most + 1, dtype=np.int64), rows.height)),
        *(pl.Series(name, values) for name, values in micro.items()),
        pl.lit(known).alias("known"),
    )


def _numbers(texts: Any) -> Floats:
    return np.array([[float(item) for item in row] if isinstance(row, list) else float(row) for row in texts], dtype=np.float64)
