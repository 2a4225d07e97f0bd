"""Within-HCP comparison of weeks: outcomes relative to what was to be expected, freed of the HCP's own level and of what moved the specialty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from remit.models.effects import Floats, Ints

HALF_LIVES_DAYS = (5, 7, 10, 14, 20, 28, 40, 56)
SATURATIONS = (0.5, 1.0, 2.0, 4.0)
USUAL = (14, 2.0)
"""Half-life (days) and saturation that others must beat."""

_OWN, _OWN_DIFFERS, _TAILS, _LEAST_OWN, _MOST_OWN = 0.6, 0.3, 10.0, 0.05, 4.0
"""The variance of what is each HCP's own in an effect, as a share of the square of what HCPs of that kind share: what is usual, by how much (standard
deviation) it differs between markets, how far single HCPs stray (kurtosis of a skew distribution), and bounds."""

_BANDS = (0.2, 0.4, 0.6, 0.8)
"""Shares of HCPs below the levels that part them into bands."""

_BEAT = 1.0
"""By how much: a gain in squared error, in units of noise, that a chance choice among the grid seldom reaches."""


class Sample:
    """The outcomes of one product relative to what was `expected[h, t]` of them, freed of what is the HCP's own and what moved the specialty; and the same
    for any regressor. A week weighs as much as was expected of it."""

    def __init__(self, outcome: Floats, expected: Floats, group: Ints) -> None:
        self.told = np.isfinite(outcome)
        self.weight = expected * self.told
        self.group = group
        self._of = [np.flatnonzero(group == number) for number in range(int(group.max()) + 1)]
        self._weights = [self.weight[of] for of in self._of]
        level = expected.mean(axis=1)
        self.band = np.searchsorted(np.quantile(level, _BANDS), level, side="right")
        self.target = self.free((np.where(self.told, outcome, 0.0) / expected)[:, :, None])[:, :, 0]

    def free(self, values: Floats) -> Floats:
        """`values[h, t, k]` less HCP means and specialty-period means, weighted (alternating projections)."""
        own = np.maximum(self.weight.sum(axis=1), 1e-12)[:, None]
        for _ in range(4):
            values = values - (np.einsum("htk,ht->hk", values, self.weight) / own)[:, None, :]
            totals = zip(self._of, self._weights, strict=True)
            means = [np.einsum("htk,ht->tk", values[of], weight) / np.maximum(weight.sum(axis=0), 1e-12)[:, None] for of, weight in totals]
            values -= np.stack(means)[self.group]
        return np.asarray(values * self.told[:, :, None])


class Weeks:
    """What the weeks of each HCP say of the effects: per HCP the information `a[h, c, d]` and score `b[h, c]` of the channels' freed stocks."""

    def __init__(self, sample: "Sample", stocks: list[Floats]) -> None:
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
        """The variance between HCPs of what is their own in each effect, as a share of the square of `effects[h, c]`, by moments: the square of a score exceeds
        the sum of its weeks' squares by the square of its information times that variance."""
        residual = self._sample.target - np.einsum("htk,hk->ht", self._freed, effects)
        weeks = self._freed * (self._sample.weight * residual)[:, :, None]
        return own_spread(weeks.sum(axis=1) ** 2 - (weeks**2).sum(axis=1), (np.einsum("hkk->hk", self.a) * effects) ** 2)


def own_spread(excess: Floats, scale: Floats) -> Floats:
    """The ratio of the totals of `excess[u, c]` and `scale[u, c]` over units, drawn towards what is usual as far as its error is large: by chance, and because
    a few units may carry most of `scale`."""
    total = np.maximum(scale.sum(axis=0), 1e-12)
    found = excess.sum(axis=0) / total
    error = (((excess - found * scale) ** 2).sum(axis=0) + _TAILS * _OWN**2 * (scale**2).sum(axis=0)) / total**2
    trust = _OWN_DIFFERS**2 / (_OWN_DIFFERS**2 + error)
    return np.asarray(np.clip(trust * found + (1.0 - trust) * _OWN, _LEAST_OWN, _MOST_OWN))


@dataclass(frozen=True, slots=True)
class Reached:
    """The weeks of one product, and its touches `touches[c, h, t]` with the places `channels` of those that reached enough HCPs."""

    sample: Sample
    touches: Floats
    channels: tuple[int, ...]


def shapes_of(products: Sequence[Reached], days: float) -> list[dict[int, tuple[int, float]]]:
    """Half-life and saturation of each product's channels that vary, the same for all products, one channel after another, twice: the pair under which all
    channels together explain most. A product of which nothing was written has none."""
    freed: dict[tuple[int, int, tuple[int, float]], Floats] = {}

    def column(number: int, at: int, pair: tuple[int, float]) -> Floats:
        if (number, at, pair) not in freed:
            freed[number, at, pair] = _freed(products[number].sample, products[number].touches[at], pair, days)
        return freed[number, at, pair]

    written = [float((of.sample.weight * of.sample.target**2).sum()) > 0 for of in products]
    inside = [[at for at in of.channels if written[number] and _varies(of.sample, column(number, at, USUAL))] for number, of in enumerate(products)]
    chosen = dict.fromkeys(sorted({at for places in inside for at in places}), USUAL)

    def left(number: int, at: int, pair: tuple[int, float]) -> float:
        return _unexplained(products[number].sample, [column(number, other, pair if other == at else chosen[other]) for other in inside[number]])

    noise = [left(number, -1, USUAL) / max(int(of.sample.told.sum()) - 1, 1) for number, of in enumerate(products)]
    for _ in range(2):
        for at in chosen:
            having = [number for number, places in enumerate(inside) if at in places]
            for pairs in ([(days_, chosen[at][1]) for days_ in HALF_LIVES_DAYS], [(chosen[at][0], share) for share in SATURATIONS]):
                lost = {pair: sum(left(number, at, pair) / noise[number] for number in having) for pair in [USUAL, chosen[at], *pairs]}
                best = min(lost, key=lambda pair: (lost[pair], pair))
                chosen[at] = best if lost[USUAL] - lost[best] > _BEAT else USUAL
    return [{at: chosen[at] for at in places} for places in inside]


def _freed(sample: Sample, touches: Floats, pair: tuple[int, float], days: float) -> Floats:
    return sample.free(saturated(touches, *pair, days)[:, :, None])[:, :, 0]


def _varies(sample: Sample, column: Floats) -> bool:
    return float((sample.weight * column**2).sum()) > 1e-3 * float(sample.weight.sum()) * 1e-2


def _unexplained(sample: Sample, columns: list[Floats]) -> float:
    """The weighted sum of squares that columns leave of the target, each band of levels with effects of its own: or HCPs who have many touches and respond
    little would pass for saturation."""
    left = float((sample.weight * sample.target**2).sum())
    for band in range(int(sample.band.max()) + 1) if columns else ():
        of = sample.band == band
        weight, target = sample.weight[of], sample.target[of]
        own = [column[of] for column in columns]
        weighed = [weight * column for column in own]
        gram = np.zeros((len(own), len(own)))
        for one, column in enumerate(weighed):
            for other in range(one, len(own)):
                gram[one, other] = gram[other, one] = np.einsum("ht,ht->", column, own[other])
        cross = np.array([np.einsum("ht,ht->", column, target) for column in weighed])
        ridge = 1e-9 * np.trace(gram) + 1e-12
        left -= float(cross @ np.linalg.solve(gram + ridge * np.eye(len(own)), cross))
    return left


def saturated(touches: Floats, half_life_days: int, saturation: float, days: float) -> Floats:
    """The share of the full effect in each period: touches[h, t] -> [h, t]."""
    stock = stock_of(touches, half_life_days, days)
    return np.asarray(stock / (stock + saturation))


def stock_of(touches: Floats, half_life_days: int, days: float) -> Floats:
    """What is left of touches at each period, its own included: touches[h, t] -> [h, t]."""
    kept = 0.5 ** (days / half_life_days)
    stock = touches.copy()
    for period in range(1, touches.shape[1]):
        stock[:, period] += kept * stock[:, period - 1]
    return stock
