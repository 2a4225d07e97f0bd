"""From judged proposals to the arbiter's columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.authority import Limit
from remit.runtime import limiting
from remit.runtime.settings import Settings
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.problems import Calls, Candidates, Limits, Resources, Usage

_UNLIMITED = 2**53
"""The capacity of the count of a pilot's own actions, which only a floor bounds."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """The arbiter's arguments for one purpose; `rows` are the candidates' rows in the frame they came from, `agents` and `channels` what their numbers mean.
    `unknown` names resources that are used and that no feed states: their capacity is taken as nothing."""

    candidates: Candidates
    calls: Calls
    resources: Resources
    limits: Limits
    rows: Ints
    agents: tuple[str, ...]
    channels: tuple[str, ...]
    unknown: tuple[str, ...]


def build(
    proposals: pl.DataFrame,
    charters: Iterable[Charter],
    settings: Settings,
    remaining: Mapping[str, int],
    contacts: pl.DataFrame | None = None,
    limits: Sequence[Limit] = (),
    rooms: pl.DataFrame | None = None,
) -> Problem:
    """The problem of choosing among `proposals`: a frame sorted by `hcp_id` with the proposals' columns, `row`, `territory` (nullable) and `allowance`
    (contacts the HCP may still have in this cycle). `remaining` is each resource's free capacity, `contacts` (hcp_id, channel, contacts) what earlier
    choices of this cycle took of the limits per channel. `limits` are those of the table, whose counts are resources; `rooms` (hcp_id, channel, room) what
    those per HCP leave of a channel.
    """
    by_agent = {charter.agent: charter for charter in charters}
    agents, channels = tuple(sorted(by_agent)), tuple(sorted(settings.channels))
    frame = proposals.with_columns(
        agent_code=_code("agent", agents),
        channel_code=_code("channel", channels),
        hcp_code=pl.col("hcp_id").rle_id(),
        territory=pl.col("territory").fill_null(""),
    )
    calls_frame, call = _calls(frame, settings)
    names = _Names(remaining)
    counted = limiting.of_candidates(frame, limits, by_agent, settings)
    candidate_usage = _usage(frame, [_templates(by_agent[agent], settings) for agent in agents], frame["agent_code"].to_numpy(), names, counted)
    counted = limiting.of_calls(calls_frame, limits, {charter.purpose for charter in by_agent.values()}, settings)
    call_usage = _usage(calls_frame, [settings.channels[channel].uses for channel in channels], calls_frame["channel_code"].to_numpy(), names, counted)
    hcps = int(frame["hcp_code"].max() + 1) if frame.height else 0  # type: ignore[operator]  # the code is never null
    start = _starts(frame["hcp_code"].to_numpy(), hcps)
    floors = {_pilot(charter): charter.floor * MICRO for charter in by_agent.values() if charter.floor}
    candidates = Candidates(
        start=start,
        value=frame["value"].to_numpy(),
        agent=frame["agent_code"].to_numpy(),
        channel=frame["channel_code"].to_numpy(),
        product=_dense(frame["product"]),
        call=call,
        exclusion=_exclusion(frame),
        mandatory=frame["mandatory"].to_numpy(),
        usage=candidate_usage,
    )
    most = calls_frame.select(
        pl.col("channel").replace_strict({name: channel.most_per_hcp for name, channel in settings.channels.items()}, return_dtype=pl.Int32)
    )
    calls = Calls(
        start=_starts(calls_frame["hcp_code"].to_numpy(), hcps),
        channel=calls_frame["channel_code"].to_numpy(),
        most=most.to_series().to_numpy(),
        usage=call_usage,
    )
    resources = Resources(
        names=tuple(names.index),
        capacity=np.array([remaining.get(name, _UNLIMITED if name in floors else 0) for name in names.index], np.int64),
        floor=np.array([floors.get(name, 0) for name in names.index], np.int64),
    )
    unknown = tuple(sorted(name for name in names.index if name not in remaining and name not in floors))
    allowed = Limits(
        total=frame["allowance"].to_numpy()[start[:-1]].astype(np.int32),
        channel=_per_channel(frame, start, channels, settings, contacts, rooms),
        channels=len(channels),
        positions=settings.positions,
    )
    return Problem(candidates, calls, resources, allowed, frame["row"].to_numpy().astype(np.int64), agents, channels, unknown)


class _Names:
    """Resources numbered as they are met, the stated ones first in their order."""

    def __init__(self, stated: Mapping[str, int]) -> None:
        self.index = {name: number for number, name in enumerate(sorted(stated))}

    def number(self, name: str) -> int:
        return self.index.setdefault(name, len(self.index))


def _pilot(charter: Charter) -> str:
    return f"floor/{charter.agent}"


def _templates(charter: Charter, settings: Settings) -> dict[str, int]:
    """What one action of an agent takes: its charter's uses, its channel's unless a call pays them, and the count that its floor is on."""
    uses = dict(charter.uses)
    for channel in charter.channels:
        if not settings.channels[channel].carries_details:
            uses.update(settings.channels[channel].uses)
    return uses | ({_pilot(charter): MICRO} if charter.floor else {})


def _usage(
    frame: pl.DataFrame,
    templates: list[Mapping[str, int]] | list[dict[str, int]],
    code: npt.NDArray[Any],
    names: _Names,
    counted: Sequence[tuple[Ints, list[str], Ints]],
) -> Usage:
    rows, resources, amounts = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for number, uses in enumerate(templates):
        of = np.flatnonzero(code == number)
        if not of.size:
            continue
        part = frame.select("territory", "product")[of]
        for template, amount in sorted(uses.items()):
            rows.append(of)
            resources.append(_filled(part, template, names))
            amounts.append(np.full(of.size, amount, np.int64))
    for of, called, each in counted:
        rows.append(of)
        resources.append(np.array([names.number(name) for name in called], np.int32))
        amounts.append(each)
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return Usage(start=_starts(row[order], frame.height), resource=np.concatenate(resources)[order], amount=np.concatenate(amounts)[order])


def _filled(part: pl.DataFrame, template: str, names: _Names) -> npt.NDArray[np.int32]:
    """The number of the resource that `template` names, for each row."""
    if "{" not in template:
        return np.full(part.height, names.number(template), np.int32)
    places = part.unique().sort("territory", "product")
    numbers = [names.number(template.replace("{territory}", territory).replace("{product}", product)) for territory, product in places.rows()]
    found = part.join(places.with_columns(number=pl.Series(numbers, dtype=pl.Int32)), on=["territory", "product"], how="left", maintain_order="left")
    return found["number"].to_numpy()


def _calls(frame: pl.DataFrame, settings: Settings) -> tuple[pl.DataFrame, npt.NDArray[np.int32]]:
    """The kinds of call open to each HCP (one per territory that covers the HCP and channel that carries details), and each candidate's kind or -1."""
    carrying = [name for name, channel in settings.channels.items() if channel.carries_details]
    key = ["hcp_code", "channel", "territory"]
    kinds = frame.filter(pl.col("channel").is_in(carrying)).select(*key, "channel_code").unique().sort(key).with_columns(product=pl.lit(""))
    found = frame.select(key).join(kinds.with_row_index("kind"), on=key, how="left", maintain_order="left")
    return kinds, found["kind"].cast(pl.Int32).fill_null(-1).to_numpy()


def _per_channel(
    frame: pl.DataFrame, start: Ints, channels: tuple[str, ...], settings: Settings, taken: pl.DataFrame | None, rooms: pl.DataFrame | None
) -> npt.NDArray[np.int32]:
    limit = np.tile(np.array([settings.channels[name].most_per_hcp for name in channels], np.int32), (len(start) - 1, 1))
    hcps = frame["hcp_id"].cast(pl.String).gather(start[:-1]).to_frame().with_row_index("hcp")
    if taken is not None and taken.height:
        hits = taken.join(hcps, on="hcp_id", how="inner").with_columns(code=_code("channel", channels))
        np.subtract.at(limit, (hits["hcp"].to_numpy(), hits["code"].to_numpy()), hits["contacts"].to_numpy().astype(np.int32))
    if rooms is not None and rooms.height:
        bounds = rooms.join(hcps, on="hcp_id", how="inner").with_columns(code=_code("channel", channels))
        np.minimum.at(limit, (bounds["hcp"].to_numpy(), bounds["code"].to_numpy()), bounds["room"].to_numpy().astype(np.int32))
    return np.maximum(limit, 0).reshape(-1)


def _exclusion(frame: pl.DataFrame) -> npt.NDArray[np.int32]:
    numbered = frame.select(pl.when(pl.col("exclusion").is_not_null()).then(pl.col("exclusion").rank("dense").over("hcp_code")).cast(pl.Int32))
    return (numbered.to_series().fill_null(0) - 1).to_numpy()


def _dense(column: pl.Series) -> npt.NDArray[np.int32]:
    return (column.rank("dense").cast(pl.Int32) - 1).to_numpy()


def _code(name: str, values: tuple[str, ...]) -> pl.Expr:
    return pl.col(name).replace_strict(dict(zip(values, range(len(values)), strict=True)), return_dtype=pl.Int32)


def _starts(sorted_codes: npt.NDArray[Any], count: int) -> Ints:
    return np.searchsorted(sorted_codes, np.arange(count + 1)).astype(np.int64)
