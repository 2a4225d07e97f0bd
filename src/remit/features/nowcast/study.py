"""What past snapshots saw of each period beside what it came to: from it settings are chosen and intervals earned."""

from dataclasses import dataclass, replace

import numpy as np

from remit.features.nowcast.development import Development, History, develop
from remit.features.nowcast.tracking import Views, irregular_of
from remit.features.nowcast.triangle import Cells, Flags, Floats, Ints

HALF_LIVES = (8.0, 20.0, 60.0)

_SETTLED = 0.03
"""A past period is taken as final if no more than this share of it is expected to change."""
_WORTH = 0.005
"""A lag at which less than this share is missing is not worth a correction."""
_LEAST_REACH, _MOST_REACH = 4, 16
_THIN = 0.02
"""A report of less than this share of a period says nothing."""


@dataclass(frozen=True, slots=True)
class Study:
    """`final[j, s, k]` is the root of what the period at lag k + 1 of snapshot j came to, as far as `settled`; `reach` lags are worth a correction; `settles`
    periods after its end a period counts as final; `share` is what was known of each period at each snapshot."""

    views: Views
    share: Floats
    final: Floats
    settled: Flags
    irregular: Floats
    size: Floats
    reach: int
    settles: int

    def losses(self, total: Floats) -> Floats:
        """Per snapshot that can be judged, the mean over series and lags of the absolute error of `total` (below 0: none), as a share of the series' mean."""
        told = self.settled[:, :, : self.reach] & (total[:, :, : self.reach] >= 0)
        off = np.abs(total[:, :, : self.reach] - self.final[:, :, : self.reach] ** 2) / self.size[:, None]
        count = told.sum(axis=(1, 2))
        return np.asarray(np.where(told, off, 0.0).sum(axis=(1, 2))[count > 0] / count[count > 0])

    def loss(self, total: Floats) -> float:
        """The mean of `losses`, 0 if no snapshot can be judged."""
        losses = self.losses(total)
        return float(losses.sum() / max(len(losses), 1))

    def of(self, series: Ints) -> "Study":
        """The study of some series alone."""
        views = Views(self.views.seen[:, series], self.views.noise[:, series], self.views.there[:, series])
        cells = {name: getattr(self, name)[:, series] for name in ("share", "final", "settled")}
        return replace(self, views=views, irregular=self.irregular[series], size=self.size[series], **cells)


def study(past: History) -> tuple[Study, float]:
    """The study under the half-life of the curve that would have corrected past reports best, and that half-life."""
    each = {life: _study(past, develop(past, life)) for life in HALF_LIVES}
    best = min(HALF_LIVES, key=lambda life: each[life].loss(_alone(each[life])))
    return each[best], best


def _alone(found: Study) -> Floats:
    """What the reports say without any trend; -1 where there is no report."""
    return np.where(found.views.there, found.views.seen**2, -1.0)


def _study(past: History, curve: Development) -> Study:
    count, share, doubt = (_held_back(part, past.silent) for part in (past.seen, curve.share, curve.doubt))
    there = _held_back(past.known, past.silent) & (share > _THIN)
    seen = np.where(there, np.sqrt(np.maximum(count, 0.0) / np.where(there, share, 1.0)), 0.0)
    now_settled = there[0] & (np.abs(1 - share[0]) <= _SETTLED)
    final, settled = _of_today(seen[0], now_settled, len(seen))
    usual = _usual_share(share)
    thinning = np.where(there, np.maximum(1 - share, 0.0) / np.where(there, share, 1.0), 0.0)
    wobble = _wobble(seen, final, settled & there, thinning)
    noise = thinning / 4 + np.maximum(seen**2, 1.0) * (wobble + doubt) / 4  # a report of none may be one that is still to come
    size = np.maximum((final[0] ** 2 * now_settled).sum(axis=1) / np.maximum(now_settled.sum(axis=1), 1), 1.0)
    missing = np.flatnonzero(np.abs(1 - usual) > _WORTH)
    reach = int(np.clip(missing[-1] + 1 if len(missing) else 0, _LEAST_REACH, _MOST_REACH))
    open_lags = np.flatnonzero(np.abs(1 - usual) > _SETTLED)
    settles = int(open_lags[-1]) + 1 if len(open_lags) else 0
    return Study(Views(seen, noise, there), share, final, settled, irregular_of(seen[0], now_settled), size, reach, settles)


def _usual_share(share: Floats) -> Floats:
    """Per lag, the median over series of the share developed, as known now."""
    return np.asarray(np.median(share[0], axis=0))


def _held_back(values: Cells, silent: Ints) -> Cells:
    """What each snapshot would have held, had the source then been silent for as long as it is now.

    A report that is late by a silence is at the lag of the last delivery, and not less developed than that. Held back alike, the past tells what an error
    such a silence brings. Series of sources that are not silent are as they are.
    """
    depth, series, lags = values.shape
    looked_at = np.arange(min(depth, lags))  # of what earlier snapshots saw, nothing is known to be final now
    then = np.minimum(looked_at[:, None] + silent[0], depth - 1)
    back = silent[0] + silent[then, np.arange(series)]
    snapshot = looked_at[:, None, None] + back[:, :, None]
    lag = np.arange(lags) - back[:, :, None]
    held = values[np.minimum(snapshot, depth - 1), np.arange(series)[:, None], np.maximum(lag, 0)]
    return np.where((snapshot < depth) & (lag >= 0), held, np.zeros((), dtype=values.dtype))  # type: ignore[return-value]  # of the same dtype


def _of_today(root: Floats, settled: Flags, depth: int) -> tuple[Floats, Flags]:
    """Today's finals, put where each snapshot saw their periods."""
    lags = root.shape[1]
    place = np.arange(depth)[:, None] + np.arange(lags)
    within = (place < lags)[:, None, :]
    final, told = (part[:, np.minimum(place, lags - 1)].transpose(1, 0, 2) for part in (root, settled))
    return np.where(within, final, 0.0), told & within


def _wobble(seen: Floats, final: Floats, told: Flags, thinning: Floats) -> Floats:
    """Per lag, the variance of the share reported around its curve, beyond what thinning a count explains."""
    squares = np.where(told, 4 * (seen - final) ** 2 - thinning, 0.0).sum(axis=(0, 1))
    volume = np.where(told, final**2, 0.0).sum(axis=(0, 1))
    return np.asarray(np.maximum(squares / np.maximum(volume, 1.0), 0.0))
