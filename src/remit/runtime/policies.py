"""What a company may do in a world: Remit's cycle, the truth known to it, and what is done today."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import polars as pl

from remit.runtime.cycle import PURPOSES, TAKEN, Inputs, allowances, candidates, cycle, proposed
from remit.runtime.limiting import capped
from remit.runtime.problem import Problem, build
from remit.terms.verdicts import Ruling

POLICIES: Mapping[str, str] = {
    "remit": "the cycle, with what it has learnt",
    "oracle": "the cycle, told the true response; it looks no further than this week's touches",
    "greedy": "each HCP's propensity times value, taken in order while capacity lasts, as rule-based engines do",
    "call-plan": "what was done before: calls by volume with reach and frequency, e-mails by turn",
    "random": "any permitted proposal, in random order while capacity lasts",
    "none": "nothing",
}
"""The policies, by name."""

Chosen = pl.DataFrame
"""Rows of judged proposals that are to be done, with `position` (0 outside calls)."""


def planned(inputs: Inputs) -> Chosen:
    """What the cycle chooses."""
    return cycle(inputs, _quiet).decisions.filter(TAKEN)


def in_order(inputs: Inputs, rank: Callable[[pl.DataFrame], pl.Series]) -> Chosen:
    """Permitted proposals of each purpose taken by falling `rank`, while contacts and capacity last."""
    judged, _, _ = proposed(inputs, _quiet)
    free = {name: max(0, capacity - inputs.taken.get(name, 0)) for name, capacity in inputs.capacity.items()}
    room, allowance, taken, frames = inputs.room, allowances(inputs), None, []
    free |= room.left(judged)
    for purpose in PURPOSES:
        charters = [charter for charter in inputs.charters if charter.purpose == purpose]
        if charters:
            rows = candidates(judged, purpose, allowance, taken, inputs.settings.per_cycle)
            whole, by_channel = room.per_hcp(rows["hcp_id"], purpose, inputs.settings.channels, taken)
            rows = capped(rows, whole)
            problem = build(rows, charters, inputs.settings, free, taken, room.limits, by_channel)
            positions, left = _fill(problem, np.argsort(-rank(rows).to_numpy(), kind="stable").tolist())
            chosen = rows.with_columns(position=pl.Series(positions)).filter(pl.col("position") >= 0)
            frames.append(chosen.rename({"row": "number"}))
            taken = _contacts(frames)
            free |= {name: amount for name, amount in zip(problem.resources.names, left, strict=True) if name in free}
    return pl.concat(frames)


def actions(chosen: Chosen, approved: pl.Series) -> pl.DataFrame:
    """What is done of what was chosen: whatever waits for a person only where `approved` (a flag per row) says so. Columns as `World.step` takes them."""
    done = chosen.filter((pl.col("ruling") == Ruling.AUTONOMOUS) | approved)
    position = pl.when(pl.col("position") > 0).then(pl.col("position")).cast(pl.Int64)
    return done.select("hcp_id", "channel", "product", "content_id", position=position, decision=pl.lit(None, pl.String))


def _fill(problem: Problem, order: list[int]) -> tuple[list[int], list[int]]:
    """Per candidate -1, or its position: 0 for an action of its own, 1 upward for details in a call; and what is left of each resource."""
    hcp = np.repeat(np.arange(len(problem.candidates.start) - 1), np.diff(np.asarray(problem.candidates.start))).tolist()
    channels, per_channel = problem.limits.channels, np.asarray(problem.limits.channel).tolist()
    left, contacts = np.asarray(problem.resources.capacity).tolist(), np.asarray(problem.limits.total).tolist()
    call, channel, exclusion, product = (
        np.asarray(column).tolist()
        for column in (problem.candidates.call, problem.candidates.channel, problem.candidates.exclusion, problem.candidates.product)
    )
    uses, call_uses = _uses(problem.candidates.usage), _uses(problem.calls.usage)
    answer, carried, gone = [-1] * len(hcp), dict[int, set[int]](), set[tuple[int, int]]()
    for row in order:
        who, kind = hcp[row], call[row]
        inside = carried.get(kind, set())
        opens = not inside
        if exclusion[row] >= 0 and (who, exclusion[row]) in gone:
            continue
        if kind >= 0 and (product[row] in inside or len(inside) >= len(problem.limits.positions)):
            continue
        need = uses[row] + (call_uses[kind] if kind >= 0 and opens else [])
        place = who * channels + channel[row]
        if opens and (contacts[who] < 1 or per_channel[place] < 1):
            continue
        if any(left[resource] < amount for resource, amount in need):
            continue
        for resource, amount in need:
            left[resource] -= amount
        if opens:
            contacts[who] -= 1
            per_channel[place] -= 1
        if exclusion[row] >= 0:
            gone.add((who, exclusion[row]))
        if kind >= 0:
            carried.setdefault(kind, set()).add(product[row])
        answer[row] = len(carried[kind]) if kind >= 0 else 0
    return answer, left


def _uses(usage: object) -> list[list[tuple[int, int]]]:
    start, resource, amount = (np.asarray(getattr(usage, name)).tolist() for name in ("start", "resource", "amount"))
    return [list(zip(resource[low:high], amount[low:high], strict=True)) for low, high in pairwise(start)]


def _contacts(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Contacts so far, as the next purpose's problem counts them: a call once."""
    rows = pl.concat([frame.select("hcp_id", "channel", "purpose", "position") for frame in frames]).filter(pl.col("position") <= 1)
    return rows.group_by("hcp_id", "channel", "purpose").agg(contacts=pl.len().cast(pl.Int64))


def _quiet(step: str) -> None:
    del step
