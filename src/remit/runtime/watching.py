"""What a model shows in one cycle against its reference, and what that asks for: the same in a workspace and in a simulation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from remit.models import drift
from remit.runtime.judging import Increments, with_increments, with_scores
from remit.runtime.settings import Settings
from remit.runtime.training import Models
from remit.terms.instants import add_span

_NEAR = 0.5
"""Columns with less of the evidence that an alarm needs are counted and not written down: every receipt carries its cycle's entry."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a cycle at `now` looks at: the features of those watched (`current`), what further touches add of them (`increments`), and, by `settled(instant)`,
    their features at an instant with the outcome of its period as known now (no rows: none is known)."""

    now: int
    current: pl.DataFrame
    increments: Increments
    settled: Callable[[int], pl.DataFrame]


def look(name: str, models: Models, reference: drift.Reference | None, past: Mapping[str, Any], sight: Sight, settings: Settings) -> dict[str, Any]:
    """What the model `name` shows against its `reference` (None: it cannot be watched), as plain values; `past` is what the look before left, if it was at the
    same model. The outcome looked at is that of the newest instant that has settled since training; one that was looked at before is not looked at again."""
    state: drift.State = past.get("state", {})
    seen, findings = past.get("seen"), tuple[drift.Finding, ...]()
    if reference is not None:
        settled = None
        if name == "lead-score":
            scored = with_scores(models.lead, sight.current)
            instant = add_span(sight.now, settings.settle, -1)
            since = seen or int(models.lead.facts["window"]["to"])
            # Half a cycle of slack: a clock that comes a little early has seen a new period all the same.
            if 2 * instant > since + add_span(since, settings.every):
                rows = sight.settled(instant)
                settled, seen = (with_scores(models.lead, rows), instant) if rows.height else (None, seen)
        else:
            scored = with_increments(sight.increments, models.response.inputs, sight.current)
        state, findings = drift.watch(reference, state, scored, settled)
    near = [each for each in findings if not each.figure.startswith("input:") or each.shown >= _NEAR]
    return {
        "seen": seen,
        "asks": drift.strictest(findings) if reference is not None else "unwatched",
        "state": dict(state),
        "columns": sum(each.figure.startswith("input:") for each in findings),
        "findings": [drift.dump_finding(each) for each in near],
    }


def asked(watch: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The most that a cycle's looks (by name) ask for, as the fact `model_drift`; None where a model was not looked at. Inputs alone ask for no more than to be
    told: they may move as they were meant to, by what is done, and a model be none the worse."""
    if not watch:
        return None
    serious = [str(finding["action"]) for each in watch.values() for finding in each["findings"] if _serious(finding)]
    if serious:
        return max(serious, key=drift.ACTIONS.index)
    if any(each["asks"] == "unwatched" for each in watch.values()):
        return None
    return "raise" if any(each["asks"] != "none" for each in watch.values()) else "none"


def drifted(watch: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names of the models of which a cycle's looks (by name) asked for more than to be told, by score, precision, calibration or outcome: inputs alone may
    drift as they were meant to, and a model be none the worse."""
    return [name for name, each in watch.items() if any(_serious(finding) for finding in each["findings"])]


def _serious(finding: Mapping[str, Any]) -> bool:
    return finding["action"] in ("confirm", "stop") and not finding["figure"].startswith("input:")
