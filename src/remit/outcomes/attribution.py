"""Who earned it? Credit across channels from paths of touches. Correlation, not effect: a holdout by channel comes first, these stand beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from remit.outcomes.errors import OutcomeError
from remit.outcomes.looks import Floats

_START, _WON, _LOST = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Path:
    """The channels of one sequence of touches, in order; the value it earned, how often it ended in success, and how often in nothing."""

    channels: tuple[str, ...]
    conversions: float
    value: float
    nothing: float


def touch_paths(touches: pl.DataFrame, outcomes: pl.DataFrame) -> list[Path]:
    """The paths of touches that went before outcomes, alike ones together and sorted: one of each unit and period in which it was touched.

    `touches` holds `unit`, `channel`, `at`; `outcomes` holds `unit`, `outcome` and the instants `since` and `until` between which touches count for it. A path
    ends in success where there was any outcome, and earns all of it: also what would have come without a touch.
    """
    parts = []
    for (since, until), period in outcomes.group_by("since", "until", maintain_order=True):
        before = touches.filter((pl.col("at") >= since) & (pl.col("at") < until)).sort("unit", "at", "channel")
        walked = before.group_by("unit", maintain_order=True).agg("channel").with_columns(path=pl.col("channel").list.join("\n"))
        parts.append(walked.join(period.drop_nulls("outcome"), on="unit", how="inner").select("path", "outcome"))
    if not parts:
        return []
    earned = pl.col("outcome")
    each = pl.concat(parts).group_by("path").agg(value=earned.sum(), conversions=(earned > 0).sum(), nothing=(earned <= 0).sum()).sort("path")
    rows = each.iter_rows(named=True)
    return [Path(tuple(row["path"].split("\n")), float(row["conversions"]), float(row["value"]), float(row["nothing"])) for row in rows]


def shapley(paths: Sequence[Path]) -> dict[str, float]:
    """Each channel's share of the value: its Shapley value in the game where a set of channels earns what paths within it earn (Zhao et al. 2018)."""
    credit: dict[str, float] = {}
    for path in _checked(paths):
        members = sorted(set(path.channels))
        for channel in members:
            credit[channel] = credit.get(channel, 0.0) + path.value / len(members)
    return dict(sorted(credit.items()))


def markov(paths: Sequence[Path]) -> dict[str, float]:
    """Each channel's share of the value, in proportion to the conversions that a first-order Markov chain of the paths loses without it (Anderl 2016)."""
    channels = sorted({channel for path in _checked(paths) for channel in path.channels})
    place = {channel: number + 3 for number, channel in enumerate(channels)}
    moves = np.zeros((len(channels) + 3, len(channels) + 3))
    for path in paths:
        steps = [_START, *(place[channel] for channel in path.channels)]
        for here, there in pairwise(steps):
            moves[here, there] += path.conversions + path.nothing
        moves[steps[-1], _WON] += path.conversions
        moves[steps[-1], _LOST] += path.nothing
    whole = _winning(moves)
    lost = {channel: max(whole - _winning(_without(moves, place[channel])), 0.0) for channel in channels}
    total, value = sum(lost.values()), sum(path.value for path in paths)
    return {channel: value * part / total if total else 0.0 for channel, part in lost.items()}


def _winning(moves: Floats) -> float:
    """The probability that the chain ends in success."""
    transient = [state for state in range(len(moves)) if state not in (_WON, _LOST)]
    leaving = moves[transient].sum(axis=1)
    chance = moves[transient] / np.where(leaving == 0, 1.0, leaving)[:, None]
    inner = chance[:, transient]
    return float(np.linalg.solve(np.eye(len(transient)) - inner, chance[:, _WON])[0])


def _without(moves: Floats, gone: int) -> Floats:
    """The chain in which whoever comes to `gone` is lost."""
    cut = moves.copy()
    cut[:, _LOST] += cut[:, gone]
    cut[:, gone], cut[gone] = 0.0, 0.0
    return cut


def _checked(paths: Sequence[Path]) -> Sequence[Path]:
    faults = [f"path {number} has no channel" for number, path in enumerate(paths) if not path.channels]
    faults += [f"path {number} counts less than nothing" for number, path in enumerate(paths) if min(path.conversions, path.nothing) < 0]
    if faults or not paths:
        raise OutcomeError("the paths cannot be attributed", faults=faults or ["there are none"], do="Give paths of at least one channel.")
    return paths
