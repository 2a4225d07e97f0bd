"""Whom pilots reach: of agents that ran, as the last cycle recorded; of others, worked out from what they are for and how much they plan."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.agents.portfolio import Pilot, Reach, collisions
from remit.agents.portfolio.collisions import by_kind
from remit.intake import state
from remit.ledger import read_ledger
from remit.runtime.portfolio.recorded import read_cycle
from remit.runtime.portfolio.register import load
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.instants import format_instant
from remit.terms.verdicts import Ruling

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Set:
    """A set of HCPs as far as it is known: `size` of those within `among`, whichever they are; `deciles` if it is told by them."""

    among: Flags
    size: float
    deciles: frozenset[str] = frozenset()


class Reached:
    """Overlaps (`portfolio.Overlaps`) in a workspace. `proposed` has a row per (hcp_id, agent, channel) of a cycle's proposals that were not forbidden; `hcp`
    (hcp_id, specialty) and `territories` (hcp_id, territory) say who there is."""

    def __init__(self, proposed: pl.DataFrame, hcp: pl.DataFrame, territories: pl.DataFrame) -> None:
        ids = pl.concat([hcp["hcp_id"], proposed["hcp_id"].cast(pl.String)]).unique().sort()
        self._places = pl.DataFrame({"hcp_id": ids}).with_row_index("place")
        self.size = ids.len()
        self._specialty = self._grouped(hcp.select("hcp_id", group=pl.col("specialty").str.to_lowercase()))
        self._territory = self._grouped(territories.select("hcp_id", group=pl.col("territory").str.to_lowercase()))
        numbered = proposed.with_columns(pl.col("hcp_id", "agent", "channel").cast(pl.String)).unique(["hcp_id", "agent", "channel"])
        numbered = numbered.join(self._places, on="hcp_id", how="inner")
        self._proposed = {(str(key[0]), str(key[1])): self._flags(part["place"]) for key, part in numbered.group_by("agent", "channel")}
        self._ran = {agent for agent, _ in self._proposed}

    def shared(self, one: Pilot, other: Pilot) -> Sequence[Reach]:
        """As `portfolio.Overlaps`."""
        found = []
        for channel in sorted(set(one.channels) & set(other.channels)):
            first, second = self._proposed.get((one.id, channel)), self._proposed.get((other.id, channel))
            if one.charter and other.charter:
                both = 0 if first is None or second is None else int((first & second).sum())
                found += [Reach(channel, both)] if both else []
            elif not (one.charter and first is None) and not (other.charter and second is None):
                found.append(self._worked_out(channel, one, other, first, second))
        return found

    def common(self, one: Pilot, other: Pilot) -> int | None:
        """As `portfolio.Overlaps`."""
        if not self.size or any(not pilot.charter and not pilot.universe.by for pilot in (one, other)):
            return None
        first, second = (self._whole(pilot) for pilot in (one, other))
        return round(_expected(first, second, self.size)[0])

    def _whole(self, pilot: Pilot) -> _Set:
        of = [flags for (agent, _), flags in self._proposed.items() if agent == pilot.id]
        if pilot.charter:
            flags = np.any(of, axis=0) if of else np.zeros(self.size, bool)
            return _Set(flags, float(flags.sum()))
        return self._universe(pilot)

    def _worked_out(self, channel: str, one: Pilot, other: Pilot, first: Flags | None, second: Flags | None) -> Reach:
        sets = [_Set(flags, float(flags.sum())) if flags is not None else self._universe(pilot) for pilot, flags in ((one, first), (other, second))]
        expected, most = _expected(sets[0], sets[1], self.size)
        contacted = [
            each.size if pilot.contacts_per_cycle is None else min(each.size, pilot.contacts_per_cycle) for each, pilot in zip(sets, (one, other), strict=True)
        ]
        for each, some in zip(sets, contacted, strict=True):
            expected *= some / each.size if each.size else 0
        vague = any(not pilot.charter and not pilot.universe.by for pilot in (one, other))
        least = 0.0 if vague else max(0.0, sum(contacted) - float((sets[0].among | sets[1].among).sum()))
        return Reach(channel, round(expected), expected=True, least=round(least), most=round(min(most, *contacted)))

    def _universe(self, pilot: Pilot) -> _Set:
        universe, everybody = pilot.universe, np.ones(self.size, bool)
        if universe.by in ("specialties", "territories"):
            groups = self._specialty if universe.by == "specialties" else self._territory
            flags = np.zeros(self.size, bool)
            for member in universe.members:
                flags |= groups.get(member.lower(), np.zeros(self.size, bool))
            return _Set(flags, float(flags.sum()))
        if universe.by == "deciles":
            return _Set(everybody, self.size * len(universe.members) / 10, frozenset(universe.members))
        return _Set(everybody, float(min(self.size, universe.hcps if universe.hcps is not None else self.size)))

    def _grouped(self, rows: pl.DataFrame) -> Mapping[str, Flags]:
        placed = rows.drop_nulls().unique().join(self._places, on="hcp_id", how="inner")
        return {str(key[0]): self._flags(part["place"]) for key, part in placed.group_by("group")}

    def _flags(self, places: pl.Series) -> Flags:
        flags = np.zeros(self.size, bool)
        flags[places.to_numpy()] = True
        return flags


def _expected(one: _Set, other: _Set, everybody: int) -> tuple[float, float]:
    """HCPs in both, as if what is not known of each were drawn apart; and the most there can be. Deciles are known to be the same or not."""
    both = float((one.among & other.among).sum())
    if one.deciles and other.deciles:
        exact = everybody * len(one.deciles & other.deciles) / 10
        return exact, exact
    share = 1.0
    for each in (one, other):
        within = float(each.among.sum())
        share *= each.size / within if within else 0
    return both * share, min(one.size, other.size, both)


def reached(workspace: Workspace, cycle: str | None, now: int) -> Reached:
    """Who is reached as of `now`, by the proposals of `cycle` (None: none was recorded)."""
    columns = ["hcp_id", "agent", "channel"]
    proposed = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    if cycle is not None:
        with closing(read_ledger(workspace.ledger)) as records:
            decisions = read_cycle(workspace, records, cycle).decisions
        if decisions.height:
            proposed = decisions.filter(pl.col("ruling") != Ruling.FORBIDDEN).select(columns)
    hcp, aligned = state(workspace.warehouse, "hcp", now), state(workspace.warehouse, "alignments", now)
    return Reached(proposed, hcp.select("hcp_id", "specialty"), aligned.select("hcp_id", "territory"))


def told(folder: Path) -> dict[str, Any]:
    """Every collision in the portfolio of a workspace."""
    workspace = open_workspace(folder)
    portfolio = load(workspace)
    overlaps = reached(workspace, portfolio.cycle, portfolio.now)
    found = collisions(portfolio.pilots.values(), overlaps, portfolio.config.people, portfolio.now)
    says = [] if overlaps.size else ["No HCP is on file yet, so nobody can say whom pilots share: `remit run` loads the feeds."]
    if portfolio.cycle is None:
        says.append("No cycle has been recorded, so agents under charters have proposed nothing yet.")
    return {
        "as_of": format_instant(portfolio.now),
        "cycle": portfolio.cycle,
        "hcps": overlaps.size,
        "counts": dict(by_kind(found)),
        "collisions": [
            {"kind": each.kind, "pilots": list(each.pilots), "what": each.what, "hcps": each.hcps, "why": each.why, "ask": list(each.ask)} for each in found
        ],
        "says": says,
    }
