"""Response over time: what one more touch in each channel changes in the weeks after it, for each HCP and product.

    outcome[h, t] = own level[h] + level[h] x (season[specialty, t] + sum over channels of effect[c](x[h]) x stock / (stock + saturation)) + noise

`stock` gains one with each touch and halves every so many weeks. Half-life and saturation of each channel are those that explain the outcomes best; an
effect is relative to the HCP's own level and linear in what is known of the HCP (`x`: specialty, practice, level, engagement), drawn towards the common one
as far as the differences are no larger than chance (automatic relevance: MacKay 1992, Neural Computation 4; Tipping 2001, JMLR 1). An HCP is
compared with the own other weeks, less what moved everybody of the specialty; a week counts in inverse proportion to its Poisson variance. Intervals are
clustered by HCP (Liang & Zeger 1986).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features import Catalogue, Panel
from remit.models.effects import Floats, Ints
from remit.models.errors import ModelError
from remit.models.inputs import Inputs, dump_inputs, learn_inputs, load_inputs
from remit.models.stored import Parts, plain, seal, unseal
from remit.terms.encoding import MICRO

NAME = "panel_response"
ASSUMPTIONS = (
    "Given an HCP's own level and what moved everybody of the specialty, when a touch falls is as good as random.",
    "A touch changes outcomes in proportion to the HCP's level, less the more touches came before, and fades by half in a fixed time.",
    "A touch on one HCP does not change what another prescribes, nor a touch about one product what is prescribed of another.",
    "An effect estimated below zero counts as zero. A channel without variation has no estimate, and counts as zero.",
)
"""What the estimate assumes, in words; stored with each model."""

HALF_LIVES_DAYS = (7, 14, 28, 56)
SATURATIONS = (0.5, 1.0, 2.0, 4.0)
_USUAL = (14, 2.0)
"""Half-life and saturation that others must beat."""

_BEAT = 1.0
"""By how much: twice the gain in log-likelihood, in units of noise, that a chance choice among the grid seldom reaches."""

_WIDE, _NARROW, _WIDEST, _ROUNDS, _HALVINGS = 1.0, 0.15, 0.6, 25, 6
"""Prior standard deviation of the logarithm of an effect common to all, that of a trait's part before anything is seen (half of its weight stays with it),
and the widest it may become; rounds, and how often a step is halved that does not help."""

_LEAST_EFFECT, _LOWEST, _HIGHEST = 0.01, -3.0, 2.0
_SHRINK = 4.0
"""Periods of the specialty's mean that are mixed into an HCP's own level."""

_KNOTS = (0.2, 0.4, 0.6, 0.8)
"""Shares of HCPs below the levels at which the line of the level bends."""

_RARELY = 0.02
"""No HCP takes up fewer touches than this share, nor more than all but this share, as far as one can tell."""

_FAR = 6.0
"""Scales from the centre beyond which a trait says nothing more."""

_LEAST_LEVEL = 0.02
_LEAST_HCPS = 50
_DAYS = {"week": 7.0, "month": 30.4375}
_LIKELY = 0.5
"""An effect that is less likely than this to be more than nothing counts as nothing."""
Z_90 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Learned:
    """One product: per channel learnt half-life (days) and saturation, and how likely it is that its effect is more than nothing; coefficients of the
    logarithm of the effects with their covariance; the variance of what is each HCP's own in an effect; and how far to trust it."""

    product: str
    shapes: Mapping[str, tuple[int, float]]
    certain: Floats
    mean: Floats
    covariance: Floats
    own: Floats
    sensitivity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Engagement:
    """How often HCPs take touches of a channel up: linear in the traits, and how many touches an HCP's own record must have to count as much as that."""

    usual: Floats
    strength: float


@dataclass(frozen=True, slots=True)
class Traits:
    """What of an HCP an effect may depend on: names, and per product the centre and scale of each. The level enters as a line that bends at `knots`;
    engagement (by product and channel) as its difference from what the other traits lead one to expect."""

    names: tuple[str, ...]
    knots: Mapping[str, Floats]
    engagement: Mapping[str, Mapping[str, Engagement]]
    centre: Mapping[str, Floats]
    scale: Mapping[str, Floats]


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

    def predict(self, frame: pl.DataFrame, levels: pl.DataFrame, *, most: int) -> pl.DataFrame:
        """The outcome units over the horizon that each further touch adds, if it comes in the period of the instant.

        `frame` has the features of the instant; `levels` (hcp_id, product, `lead_score` in micro-units) the outcome units expected of the period. Returns
        `hcp_id`, `product`, `channel`, `touch` (1 to `most`), `increment`, `low`, `high` (int64 micro-units; a 90% interval) and `known`, as
        `Response.predict`. `increment` is never negative and never rises with `touch`.
        """
        protected = self.inputs.protected(frame).join(
            levels.select("hcp_id", "product", "lead_score"), on=["hcp_id", "product"], how="left", maintain_order="left"
        )
        parts = [self._answer(entry, protected.filter(product=entry.product), most) for entry in self.learned]
        return pl.concat(parts).sort("hcp_id", "product", "channel", "touch")

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

    def _answer(self, entry: Learned, rows: pl.DataFrame, most: int) -> pl.DataFrame:
        level = np.maximum(rows["lead_score"].fill_null(0).to_numpy() / MICRO, _LEAST_LEVEL)
        frames = []
        for channel in self.channels:
            if channel not in entry.shapes:
                wide = np.repeat(level[:, None], most, axis=1)
                frames.append(_rows(rows, channel, most, np.zeros_like(wide), -wide, wide, False))
                continue
            place = list(entry.shapes).index(channel)
            traits = _traits(rows, self.traits, entry.product, np.log(level), channel)
            at = slice(place * traits.shape[1], (place + 1) * traits.shape[1])
            effect = np.exp(_log_effect(traits, entry.mean[at]))
            variance = effect**2 * np.einsum("ij,jk,ik->i", traits, entry.covariance[at, at], traits) + entry.own[place]
            spread = Z_90 * np.sqrt(np.maximum(variance, 0.0))
            doses = level[:, None] * _doses(rows, channel, *entry.shapes[channel], self.period_days, self.horizon, most)
            increment = (effect if entry.certain[place] >= _LIKELY else np.zeros_like(effect))[:, None] * doses
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
    frame = frame.filter(pl.col("hcp_id").is_in(pl.Series(list(np.array(data.hcps)[seen])).implode())).sort("hcp_id", "product")
    inputs = learn_inputs(frame.with_columns(instant=pl.lit(0, pl.Int64)), catalogue)
    names = tuple(name for column in inputs.columns for name in _trait_names(column.name, column.levels, catalogue))
    found = [_learn(place, product, data, seen, frame.filter(product=product), names, days) for place, product in enumerate(data.products)]
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
        "window": {"from": int(data.ends[0]), "to": int(data.ends[-1])},
        "rows": int(np.isfinite(data.outcome[seen]).sum()),
        "hcps": int(seen.sum()),
        "assumptions": list(ASSUMPTIONS),
    }
    return PanelResponse(inputs, traits, tuple(entry for entry, _ in found), data.channels, days, horizon, facts)


def _trait_names(name: str, levels: tuple[str, ...] | None, catalogue: Catalogue) -> list[str]:
    """The traits a column gives: a text one for each level but the first."""
    if name == "product" or catalogue[name].feature.table != "hcp":
        return []
    return [name] if levels is None else [f"{name}={level}" for level in levels[1:]]


def _learn(
    place: int, product: str, data: Panel, seen: npt.NDArray[np.bool_], rows: pl.DataFrame, names: tuple[str, ...], days: float
) -> tuple[Learned, Traits]:
    outcome, touches = data.outcome[seen, place], data.touches[:, seen, place]
    group = rows["specialty"].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    level = _levels(outcome, group)
    raw = _scaling(rows, names, product, level, data.channels)
    sample = _Sample(outcome, level, group)
    reached = [at for at in range(len(data.channels)) if (touches[at].sum(axis=1) > 0).sum() >= _LEAST_HCPS]
    shapes = _shapes(sample, touches, reached, days)
    reached = [at for at in reached if at in shapes]
    if not reached:
        note = {"note": "no channel reached enough HCPs or varied: effects are unknown, and count as zero"}
        return Learned(product, {}, np.zeros(0), np.zeros(0), np.zeros((0, 0)), np.zeros(0), note), raw
    named = {data.channels[at]: shapes[at] for at in reached}
    weeks = _Weeks(sample, _stocks(data, named, np.flatnonzero(seen), place, days))
    common, error = weeks.common()
    traits = [_traits(rows, raw, product, np.log(level), channel) for channel in named]
    mean, covariance, spread = _multipliers(weeks, traits, common)
    own = weeks.spread(np.column_stack([np.exp(_log_effect(trait, part)) for trait, part in zip(traits, np.split(mean, len(traits)), strict=True)]))
    told = {
        "noise": repr(weeks.noise),
        "hcps": len(level),
        "common": {channel: [repr(float(common[at])), repr(float(error[at]))] for at, channel in enumerate(named)},
        "trait_spread": [repr(float(value)) for value in spread],
    }
    certain = np.array([_more_than_nothing(float(common[at]), float(error[at])) for at in range(len(named))])
    return Learned(product, named, certain, mean, covariance, own, told), raw


def _stocks(data: Panel, shapes: Mapping[str, tuple[int, float]], hcps: Ints, place: int, days: float) -> list[Floats]:
    """The saturated stock of each channel learnt: (HCPs, periods) each."""
    return [_saturated(data.touches[data.channels.index(channel), hcps, place], *shape, days) for channel, shape in shapes.items()]


class _Weeks:
    """What the weeks of each HCP say of the effects: per HCP the information `a[h, c, d]` and score `b[h, c]` of the channels' freed stocks."""

    def __init__(self, sample: "_Sample", stocks: list[Floats]) -> None:
        freed = sample.free(np.stack(stocks, axis=2))
        weighted = freed * sample.weight[:, :, None]
        self.a = np.einsum("htk,htl->hkl", weighted, freed)
        self.b = np.einsum("htk,ht->hk", weighted, sample.target)
        self.rows = int(sample.told.sum())
        self.square = float((sample.weight * sample.target**2).sum())
        self._freed, self._sample = freed, sample

    @property
    def noise(self) -> float:
        """The variance of an outcome, in units of the level."""
        return self.square / self.rows

    def common(self) -> tuple[Floats, Floats]:
        """The one effect of each channel for all HCPs, and its standard error, clustered by HCP."""
        inverse = np.linalg.pinv(self.a.sum(axis=0))
        effect = inverse @ self.b.sum(axis=0)
        left = self.b - np.einsum("hkl,l->hk", self.a, effect)
        return effect, np.sqrt(np.maximum(np.diag(inverse @ np.einsum("hk,hl->kl", left, left) @ inverse), 1e-12))

    def spread(self, effects: Floats) -> Floats:
        """The variance between HCPs of what is their own in each effect beyond `effects[h, c]`, by moments: the square of a score exceeds the sum of its
        weeks' squares by the square of its information times that variance."""
        residual = self._sample.target - np.einsum("htk,hk->ht", self._freed, effects)
        weeks = self._freed * (self._sample.weight * residual)[:, :, None]
        information = np.einsum("hkk->hk", self.a)
        found = (weeks.sum(axis=1) ** 2 - (weeks**2).sum(axis=1)).sum(axis=0) / np.maximum((information**2).sum(axis=0), 1e-12)
        return np.asarray(np.maximum(found, 1e-4))


def _multipliers(weeks: _Weeks, traits: list[Floats], common: Floats) -> tuple[Floats, Floats, Floats]:
    """Coefficients of the logarithm of each channel's effect on the traits, their covariance (clustered by HCP), and the spread that each trait was allowed.

    Gauss-Newton steps on the squared error, with a normal prior whose width for each trait is what the data support (automatic relevance).
    """
    width, count = traits[0].shape[1], len(traits)
    mean, inverse = np.zeros(width * count), np.eye(width * count)
    mean[::width] = np.log(np.maximum(common, _LEAST_EFFECT))
    centre, first = mean.copy(), np.arange(width * count) % width == 0
    spread = np.where(first, _WIDE, _NARROW)
    for _ in range(_ROUNDS):
        slopes, scores, loss = _slopes(weeks, traits, mean)
        gram = np.einsum("hi,hj,hij->ij", slopes, slopes, np.repeat(np.repeat(weeks.a, width, axis=1), width, axis=2))
        inverse = np.linalg.inv(gram / weeks.noise + np.diag(1.0 / spread**2))
        step = inverse @ (scores.sum(axis=0) / weeks.noise - (mean - centre) / spread**2)
        for _ in range(_HALVINGS):
            if _slopes(weeks, traits, mean + step)[2] / weeks.noise + _penalty(mean + step - centre, spread) <= loss / weeks.noise + _penalty(
                mean - centre, spread
            ):
                mean = mean + step
                break
            step = step / 2
        spread = np.where(first, _WIDE, np.minimum(np.sqrt(((mean - centre) ** 2 + np.diag(inverse) + _NARROW**2) / 2), _WIDEST))
    scores = _slopes(weeks, traits, mean)[1]
    meat = np.einsum("hk,hl->kl", scores, scores) / weeks.noise**2
    robust = inverse @ meat @ inverse
    return mean, robust if np.trace(robust) > np.trace(inverse) else inverse, spread


def _slopes(weeks: _Weeks, traits: list[Floats], mean: Floats) -> tuple[Floats, Floats, float]:
    """At `mean`: what each coefficient moves of each HCP's effects, each HCP's score of each coefficient, and the squared error (up to a constant)."""
    effects = np.column_stack([np.exp(_log_effect(trait, part)) for trait, part in zip(traits, np.split(mean, len(traits)), strict=True)])
    slopes = np.concatenate([trait * effects[:, at, None] for at, trait in enumerate(traits)], axis=1)
    explained = np.einsum("hkl,hl->hk", weeks.a, effects)
    return slopes, slopes * np.repeat(weeks.b - explained, traits[0].shape[1], axis=1), float((effects * (explained - 2 * weeks.b)).sum())


def _penalty(away: Floats, spread: Floats) -> float:
    return float(((away / spread) ** 2).sum())


def _log_effect(traits: Floats, coefficients: Floats) -> Floats:
    """The logarithm of the effect, its traits' part held within bounds: nobody is known to be beyond."""
    return np.asarray(coefficients[0] + np.clip((traits[:, 1:] * coefficients[1:]).sum(axis=1), _LOWEST, _HIGHEST))


def _more_than_nothing(effect: float, error: float) -> float:
    """How likely it is that an effect is above nothing, if that was as likely as not before (Bayes factor of a normal prior against a point)."""
    if effect <= 0:
        return 0.0
    prior = 0.5**2
    log_factor = 0.5 * np.log(error**2 / (error**2 + prior)) + 0.5 * (effect / error) ** 2 * prior / (prior + error**2)
    return float(1.0 / (1.0 + np.exp(-min(log_factor, 50.0))))


def _levels(outcome: Floats, group: Ints) -> Floats:
    """Each HCP's mean over the periods reported, with a few periods of the specialty's mean."""
    total, count = np.nansum(outcome, axis=1), np.isfinite(outcome).sum(axis=1)
    means = np.bincount(group, weights=total) / np.maximum(np.bincount(group, weights=count.astype(np.float64)), 1.0)
    return np.asarray(np.maximum((total + _SHRINK * means[group]) / (count + _SHRINK), _LEAST_LEVEL))


class _Sample:
    """The outcomes of one product relative to level, freed of what is the HCP's own and what moved the specialty; and the same for any regressor."""

    def __init__(self, outcome: Floats, level: Floats, group: Ints) -> None:
        self.told = np.isfinite(outcome)
        self.weight = level[:, None] * self.told
        self.group, self.groups = group, int(group.max()) + 1
        self.target = self.free((np.where(self.told, outcome, 0.0) / level[:, None])[:, :, None])[:, :, 0]

    def free(self, values: Floats) -> Floats:
        """`values[h, t, k]` less HCP means and specialty-period means, weighted (alternating projections)."""
        count = np.maximum(self.told.sum(axis=1), 1)[:, None]
        for _ in range(4):
            values = values - ((values * self.told[:, :, None]).sum(axis=1) / count)[:, None, :]
            for number in range(self.groups):
                of = self.group == number
                weight = self.weight[of]
                total = np.maximum(weight.sum(axis=0), 1e-12)[:, None]
                values[of] -= ((weight[:, :, None] * values[of]).sum(axis=0) / total)[None]
        return np.asarray(values * self.told[:, :, None])


def _shapes(sample: _Sample, touches: Floats, reached: list[int], days: float) -> dict[int, tuple[int, float]]:
    """Half-life and saturation per channel, one channel after another, twice: the pair under which all channels together explain most."""
    freed = {at: {_USUAL: _freed(sample, touches[at], _USUAL, days)} for at in reached}
    chosen = {at: _USUAL for at in reached if _varies(sample, freed[at][_USUAL])}
    noise = _unexplained(sample, [freed[at][_USUAL] for at in chosen]) / max(int(sample.told.sum()) - 1, 1)
    for _ in range(2):
        for at in chosen:
            others = [freed[other][chosen[other]] for other in chosen if other != at]
            left = {}
            for pair in [_USUAL, *((days_, saturation) for days_ in HALF_LIVES_DAYS for saturation in SATURATIONS)]:
                if pair not in freed[at]:
                    freed[at][pair] = _freed(sample, touches[at], pair, days)
                left[pair] = _unexplained(sample, [*others, freed[at][pair]])
            best = min(left, key=lambda pair: (left[pair], pair))
            chosen[at] = best if left[_USUAL] - left[best] > _BEAT * noise else _USUAL
    return chosen


def _freed(sample: _Sample, touches: Floats, pair: tuple[int, float], days: float) -> Floats:
    return sample.free(_saturated(touches, *pair, days)[:, :, None])[:, :, 0]


def _varies(sample: _Sample, column: Floats) -> bool:
    return float((sample.weight * column**2).sum()) > 1e-3 * float(sample.weight.sum()) * 1e-2


def _unexplained(sample: _Sample, columns: list[Floats]) -> float:
    """The weighted sum of squares that columns leave of the target."""
    if not columns:
        return float((sample.weight * sample.target**2).sum())
    gram = np.array([[(sample.weight * a * b).sum() for b in columns] for a in columns])
    cross = np.array([(sample.weight * a * sample.target).sum() for a in columns])
    beta = np.linalg.solve(gram + 1e-9 * np.eye(len(columns)) * np.trace(gram), cross)
    return float((sample.weight * sample.target**2).sum() - 2 * beta @ cross + beta @ gram @ beta)


def _saturated(touches: Floats, half_life_days: int, saturation: float, days: float) -> Floats:
    """The share of the full effect in each period: touches[h, t] -> [h, t]."""
    kept = 0.5 ** (days / half_life_days)
    stock = np.zeros_like(touches)
    stock[:, 0] = touches[:, 0]
    for period in range(1, touches.shape[1]):
        stock[:, period] = kept * stock[:, period - 1] + touches[:, period]
    return np.asarray(stock / (stock + saturation))


def _doses(rows: pl.DataFrame, channel: str, half_life_days: int, saturation: float, days: float, horizon: int, most: int) -> Floats:
    """What each further touch adds to the saturated stock, over all periods of the horizon: (rows, touches)."""
    name = f"touches_stock_{channel}" if half_life_days == 28 else f"touches_stock_{half_life_days}d_{channel}"
    kept = 0.5 ** (days / half_life_days)
    stock = rows[name].fill_null(0.0).to_numpy() * np.sqrt(kept)  # the feature counts from the middle of the week before
    steps = stock[:, None] + np.arange(most + 1)
    total = np.zeros((rows.height, most))
    for ahead in range(horizon):
        faded = kept**ahead * steps
        total += np.diff(faded / (faded + saturation), axis=1)
    return total


def _raw_traits(rows: pl.DataFrame, names: tuple[str, ...], log_level: Floats, knots: Floats) -> Floats:
    columns = []
    for name in names:
        column, _, level = name.partition("=")
        values = (rows[column] == level).cast(pl.Float64) if level else rows[column].cast(pl.Float64)
        columns.append(values.fill_null(np.nan).to_numpy())
    return np.column_stack([*columns, log_level, *(np.maximum(0.0, knot - log_level) for knot in knots)])


def _scaling(rows: pl.DataFrame, names: tuple[str, ...], product: str, level: Floats, channels: tuple[str, ...]) -> Traits:
    """Knots of the level, centre and scale of each trait (weighted by level), and what engagement to expect."""
    knots = np.quantile(np.log(level), _KNOTS)
    raw = _raw_traits(rows, names, np.log(level), knots)
    weight = np.where(np.isfinite(raw), level[:, None], 0.0)
    total = np.maximum(weight.sum(axis=0), 1e-12)
    centre = (weight * np.nan_to_num(raw)).sum(axis=0) / total
    scale = np.sqrt((weight * (np.nan_to_num(raw) - centre) ** 2).sum(axis=0) / total)
    traits = Traits(names, {product: knots}, {product: {}}, {product: centre}, {product: np.where(scale > 1e-6, scale, np.inf)})
    plainly = _plain_traits(rows, traits, product, np.log(level))
    return replace(traits, engagement={product: {channel: _engagement(rows, plainly, channel) for channel in channels}})


def _engagement(rows: pl.DataFrame, traits: Floats, channel: str) -> Engagement:
    """The usual rate by ridge regression weighted by touches; the strength by moments of the beta-binomial."""
    taken, told = (rows[f"touches_{name}_{channel}"].fill_null(0.0).to_numpy() for name in ("engaged", "judged"))
    gram = np.array([[(told * a * b).sum() for b in traits.T] for a in traits.T])
    cross = np.array([(taken * a).sum() for a in traits.T])
    usual = np.linalg.solve(gram + 10.0 * np.eye(len(gram)), cross)
    rate = np.clip((traits * usual).sum(axis=1), _RARELY, 1 - _RARELY)
    spread = rate * (1 - rate)
    excess = ((taken - told * rate) ** 2 - told * spread).sum()
    share = excess / max(float((told * np.maximum(told - 1, 0) * spread).sum()), 1e-9)
    return Engagement(usual, float(np.clip(1.0 / max(share, 1e-3) - 1.0, 1.0, 200.0)))


def _plain_traits(rows: pl.DataFrame, traits: Traits, product: str, log_level: Floats) -> Floats:
    """A one, and each trait in units of its scale; what is not known counts as the average."""
    raw = _raw_traits(rows, traits.names, log_level, traits.knots[product])
    scaled = np.nan_to_num((raw - traits.centre[product]) / traits.scale[product])
    return np.column_stack([np.ones(rows.height), np.clip(scaled, -_FAR, _FAR)])


def _traits(rows: pl.DataFrame, traits: Traits, product: str, log_level: Floats, channel: str) -> Floats:
    """The plain traits, and by how much (in logits) the HCP takes touches of the channel up more than such HCPs do."""
    plainly = _plain_traits(rows, traits, product, log_level)
    known = traits.engagement[product][channel]
    usual = np.clip((plainly * known.usual).sum(axis=1), _RARELY, 1 - _RARELY)
    taken, told = (rows[f"touches_{name}_{channel}"].fill_null(0.0).to_numpy() for name in ("engaged", "judged"))
    own = (taken + known.strength * usual) / (told + known.strength)
    return np.column_stack([plainly, np.log(own / (1 - own)) - np.log(usual / (1 - usual))])


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
