"""What of an HCP an effect may depend on: traits in units of their scale, level and volume as bent lines, engagement beyond what is usual for such HCPs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from remit.features import Catalogue
from remit.models.effects import Floats

_KNOTS = (0.2, 0.4, 0.6, 0.8)
"""Shares of HCPs below the places at which a line bends."""

BASE, VOLUME, _LEAST_VOLUME = "base", "rx_basket", 0.05
"""What an HCP would write without promotion; prescriptions of the whole basket per period; whoever writes fewer counts as writing this many."""

_RARELY = 0.02
"""No HCP takes up fewer touches than this share, nor more than all but this share, as far as one can tell."""

_FAR = 6.0
"""Scales from the centre beyond which a trait says nothing more."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """How often HCPs take touches of a channel up: linear in the traits, and how many touches an HCP's own record must have to count as much as that."""

    usual: Floats
    strength: float


@dataclass(frozen=True, slots=True)
class Traits:
    """What of an HCP an effect may depend on: names, and per product the centre and scale of each. The logarithms of level and volume enter as lines that
    bend at `knots` (a row each); engagement (by product and channel) as its difference from what the other traits lead one to expect."""

    names: tuple[str, ...]
    knots: Mapping[str, Floats]
    engagement: Mapping[str, Mapping[str, Engagement]]
    centre: Mapping[str, Floats]
    scale: Mapping[str, Floats]


def trait_names(name: str, levels: tuple[str, ...] | None, catalogue: Catalogue) -> list[str]:
    """The traits a column gives: a text one for each level but the first."""
    if name == "product" or catalogue[name].feature.table != "hcp":
        return []
    return [name] if levels is None else [f"{name}={level}" for level in levels[1:]]


def sources_of(names: tuple[str, ...], channel: str) -> tuple[str, ...]:
    """The feature that each trait after the first is made of, in the order of `traits_of`; `BASE` is none."""
    bends = 1 + len(_KNOTS)
    return (*(name.partition("=")[0] for name in names), *[BASE] * bends, *[VOLUME] * bends, f"touches_engaged_{channel}")


def _raw_traits(rows: pl.DataFrame, names: tuple[str, ...], log_level: Floats, knots: Floats) -> Floats:
    columns = []
    for name in names:
        column, _, level = name.partition("=")
        values = (rows[column] == level).cast(pl.Float64) if level else rows[column].cast(pl.Float64)
        columns.append(values.fill_null(np.nan).to_numpy())
    return np.column_stack([*columns, *_bent(log_level, knots[0]), *_bent(_log_volume(rows), knots[1])])


def _bent(line: Floats, knots: Floats) -> list[Floats]:
    return [line, *(np.maximum(0.0, knot - line) for knot in knots)]


def _log_volume(rows: pl.DataFrame) -> Floats:
    return np.asarray(np.log(np.maximum(rows[VOLUME].fill_null(np.nan).to_numpy(), _LEAST_VOLUME)))


def scaling(rows: pl.DataFrame, names: tuple[str, ...], product: str, level: Floats, channels: tuple[str, ...]) -> Traits:
    """Knots of the level, centre and scale of each trait (weighted by level), and what engagement to expect."""
    volume = _log_volume(rows)
    known = volume[np.isfinite(volume)]
    knots = np.stack([np.quantile(np.log(level), _KNOTS), np.quantile(known, _KNOTS) if known.size else np.zeros(len(_KNOTS))])
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


def traits_of(rows: pl.DataFrame, traits: Traits, product: str, log_level: Floats, channels: Iterable[str]) -> list[Floats]:
    """For each channel the plain traits, and by how much (in logits) the HCP takes its touches up more than such HCPs do."""
    plainly = _plain_traits(rows, traits, product, log_level)
    return [np.column_stack([plainly, _more_engaged(rows, plainly, traits.engagement[product][channel], channel)]) for channel in channels]


def _more_engaged(rows: pl.DataFrame, plainly: Floats, known: Engagement, channel: str) -> Floats:
    usual = np.clip((plainly * known.usual).sum(axis=1), _RARELY, 1 - _RARELY)
    taken, told = (rows[f"touches_{name}_{channel}"].fill_null(0.0).to_numpy() for name in ("engaged", "judged"))
    own = (taken + known.strength * usual) / (told + known.strength)
    return np.asarray(np.log(own / (1 - own)) - np.log(usual / (1 - usual)))
