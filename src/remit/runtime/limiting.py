"""Counted limits in a cycle: those per HCP bound its allowance, all others are resources of the arbiter, with a price like everything scarce."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.authority import Limit, Table
from remit.gateway import Made, counted
from remit.runtime.settings import Settings
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO

Ints = npt.NDArray[np.int64]

WATCHED = ("lead-score", "response")
"""The models that are watched."""
_CELL = ("agent", "channel", "product", "purpose")
NOBODY = pl.DataFrame(schema={"hcp_id": pl.String, "channel": pl.String, "purpose": pl.String, "at": pl.Int64})


@dataclass(frozen=True, slots=True)
class Room:
    """What `limits` are counted from at `now`: every contact known (hcp_id, channel, purpose, `at`), and what was `made`."""

    limits: tuple[Limit, ...] = ()
    contacts: pl.DataFrame = field(default_factory=lambda: NOBODY)
    made: Sequence[Made] = ()
    now: int = 0

    def left(self, judged: pl.DataFrame) -> dict[str, int]:
        """What is left of each limit that is not per HCP, under each name that a row of `judged` counts under (micro-units)."""
        joint = [limit for limit in self.limits if not limit.per_hcp]
        had, found = counted(joint, self.made, self.now) if joint else {}, dict[str, int]()
        for cell in judged.select(_CELL).cast(pl.String).unique().iter_rows(named=True) if joint else ():
            for limit in joint:
                if limit.speaks_of(**cell):
                    name = limit.name(**cell)
                    found[name] = max(0, limit.most - had.get(name, 0))
        return found

    def per_hcp(self, hcps: pl.Series, purpose: str, channels: Iterable[str], taken: pl.DataFrame | None) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
        """What limits per HCP leave `hcps` of contacts for `purpose`: in all (hcp_id, room), and per channel that a limit speaks of (hcp_id, channel, room);
        None where no limit says. `taken` (hcp_id, channel, purpose, contacts) is what this cycle has chosen."""
        whole, parts = list[pl.DataFrame](), list[pl.DataFrame]()
        people = hcps.cast(pl.String).unique(maintain_order=True).alias("hcp_id").to_frame()
        for limit in self.limits:
            if not limit.per_hcp or not limit.speaks_of(purpose=purpose):
                continue
            own = [channel for channel in channels if limit.speaks_of(channel=channel)]
            split = "channel" in limit.per or "channel" in limit.where
            rows = people.join(pl.DataFrame({"channel": own}, schema={"channel": pl.String}), how="cross") if split else people
            key = ["hcp_id", "channel"] if split else ["hcp_id"]
            had = self._had(limit, taken).group_by(key).agg(pl.col("contacts").sum())
            room = (pl.lit(limit.most // MICRO, pl.Int64) - pl.col("contacts").fill_null(0)).clip(lower_bound=0)
            (parts if split else whole).append(rows.join(had, on=key, how="left", maintain_order="left").select(*key, room=room))
        return _least(whole, ["hcp_id"]), _least(parts, ["hcp_id", "channel"])

    def full(self, judged: pl.DataFrame, purpose: str, channels: Iterable[str], taken: pl.DataFrame) -> pl.DataFrame:
        """The HCPs and channels (hcp_id, channel) of `judged` through which a limit per HCP leaves no contact for `purpose`."""
        pairs = judged.filter(pl.col("purpose") == purpose).select("hcp_id", "channel").unique(maintain_order=True)
        whole, parts = self.per_hcp(pairs["hcp_id"], purpose, channels, taken)
        gone = [] if whole is None else [pairs.join(whole.filter(pl.col("room") < 1), on="hcp_id", how="semi")]
        gone += [] if parts is None else [pairs.join(parts.filter(pl.col("room") < 1), on=["hcp_id", "channel"], how="semi")]
        return pl.concat([pairs.clear(), *gone])

    def _had(self, limit: Limit, taken: pl.DataFrame | None) -> pl.DataFrame:
        """Contacts that count under a limit per HCP: hcp_id, channel, contacts."""
        since = limit.since(self.now)
        before = self.contacts if since is None else self.contacts.filter(pl.col("at") > since)
        frames = [before.select(pl.col("hcp_id", "channel", "purpose").cast(pl.String), contacts=pl.lit(1, pl.Int64))]
        frames += [] if taken is None else [taken.select(pl.col("hcp_id", "channel", "purpose").cast(pl.String), "contacts")]
        spoken = [pl.col(name).is_in(list(allowed)) for name, allowed in limit.where.items()]
        return pl.concat(frames).filter(pl.lit(True), *spoken).drop("purpose")


def capped(rows: pl.DataFrame, whole: pl.DataFrame | None) -> pl.DataFrame:
    """`rows` with their `allowance` bounded by what limits per HCP leave."""
    if whole is None:
        return rows
    bounded = rows.join(whole, on="hcp_id", how="left", maintain_order="left")
    return bounded.with_columns(allowance=pl.min_horizontal("allowance", "room")).drop("room")


def of_candidates(frame: pl.DataFrame, limits: Sequence[Limit], by_agent: Mapping[str, Charter], settings: Settings) -> list[tuple[Ints, list[str], Ints]]:
    """What each candidate takes of each limit that is not per HCP: rows of `frame`, the limit's names, amounts (micro-units). Where it must be known who opens
    a call, each detail takes what its call would: which opens it is not known before."""
    return _taken(
        frame, limits, lambda limit, cell: _of_candidate(limit, cell, by_agent[cell["agent"]], settings), ("agent", "channel", "product", "territory")
    )


def of_calls(frame: pl.DataFrame, limits: Sequence[Limit], purposes: Iterable[str], settings: Settings) -> list[tuple[Ints, list[str], Ints]]:
    """As `of_candidates`, of calls, whatever they carry."""
    spoken = [limit for limit in limits if not limit.of_opener and any(limit.speaks_of(purpose=purpose) for purpose in purposes)]
    return _taken(frame, spoken, lambda limit, cell: _of_call(limit, cell, settings), ("channel", "territory"))


def findings(table: Table, settings: Settings, charters: Sequence[Charter], now: int) -> list[dict[str, str]]:
    """What limits of a table say without meaning to, by limit: that they forbid everything, or can never bind."""
    found = [(limit.id, says) for limit in table.limits for says in _idle(limit, settings, charters, now)]
    return [{"limit": name, "says": says} for name, says in found]


def differing(was: Table, then: Table) -> list[str]:
    """The limits, by id, in which two tables differ: what they would have left depends on all that would have been done before, and is not told."""
    ours, theirs = ({limit.id: limit for limit in table.limits} for table in (was, then))
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def unknown(table: Table, settings: Settings, charters: Sequence[Charter]) -> list[str]:
    """The agents and channels that limits name and the workspace does not know, as faults."""
    known = {"agent": {charter.agent for charter in charters}, "channel": set(settings.channels)}
    return [
        f"limit `{limit.id}` names the {name} `{value}`, which the workspace does not have"
        for limit in table.limits
        for name, have in known.items()
        for value in limit.where.get(name, ())
        if value not in have
    ]


def _idle(limit: Limit, settings: Settings, charters: Sequence[Charter], now: int) -> list[str]:
    if limit.most == 0:
        return ["It forbids everything it speaks of: a forbidden row would say so, with its reason."]
    cells = [
        (charter, {"agent": charter.agent, "channel": channel, "product": product, "purpose": charter.purpose})
        for charter in charters
        for channel in charter.channels
        for product in charter.products
    ]
    spoken = [(charter, cell) for charter, cell in cells if limit.speaks_of(**cell)]
    if not spoken:
        return ["It can never bind: no charter lets an agent do what it speaks of."]
    resources = [name for charter, cell in spoken for name in (*charter.uses, *settings.channels[cell["channel"]].uses)]
    if limit.of not in ("actions", "contacts") and not any(_may_be(template, limit.of) for template in resources):
        return [f"It can never bind: nothing that it speaks of takes any of `{limit.of}`."]
    since, window = limit.since(now), Limit("", "contacts", (), settings.window, 0, {}, "", "").since(now)
    if limit.per_hcp and limit.most >= settings.per_window * MICRO and since is not None and window is not None and since >= window:
        return [f"It can never bind: remit.toml leaves an HCP {settings.per_window} contacts in {settings.window}."]
    return []


def _may_be(template: str, name: str) -> bool:
    """Whether a resource of a charter or channel, whose territory and product are to be filled in, may be `name`."""
    head, _, tail = template.partition("{")
    return template == name if not tail else name.startswith(head) and name.endswith(tail.rpartition("}")[2])


def _least(frames: list[pl.DataFrame], key: list[str]) -> pl.DataFrame | None:
    return pl.concat(frames).group_by(key, maintain_order=True).agg(pl.col("room").min()) if frames else None


def _of_candidate(limit: Limit, cell: Mapping[str, str], charter: Charter, settings: Settings) -> int:
    channel = settings.channels[cell["channel"]]
    if not limit.speaks_of(**{name: cell[name] for name in ("agent", "channel", "product")}, purpose=charter.purpose):
        return 0
    if limit.of == "actions":
        return MICRO
    pays = not channel.carries_details or limit.of_opener
    if limit.of == "contacts":
        return MICRO * pays
    return _filled(charter.uses, cell).get(limit.of, 0) + (_filled(channel.uses, cell).get(limit.of, 0) if pays else 0)


def _of_call(limit: Limit, cell: Mapping[str, str], settings: Settings) -> int:
    if limit.of == "actions" or not limit.speaks_of(channel=cell["channel"]):
        return 0
    return MICRO if limit.of == "contacts" else _filled(settings.channels[cell["channel"]].uses, cell).get(limit.of, 0)


def _filled(uses: Mapping[str, int], cell: Mapping[str, str]) -> dict[str, int]:
    return {name.replace("{territory}", cell["territory"]).replace("{product}", cell.get("product", "")): amount for name, amount in uses.items()}


def _taken(
    frame: pl.DataFrame, limits: Sequence[Limit], amount: Callable[[Limit, Mapping[str, str]], int], cell: Sequence[str]
) -> list[tuple[Ints, list[str], Ints]]:
    joint = [limit for limit in limits if not limit.per_hcp]
    if not joint or not frame.height:
        return []
    cells = frame.select(cell).unique().sort(cell)
    placed = frame.select(cell).join(cells.with_row_index("cell"), on=cell, how="left", maintain_order="left")["cell"].to_numpy()
    parts = []
    for limit in joint:
        amounts = np.array([amount(limit, each) for each in cells.iter_rows(named=True)], np.int64)
        names = [limit.name(**{"agent": "", "product": "", **each}) for each in cells.iter_rows(named=True)]
        rows = np.flatnonzero(amounts[placed])
        parts.append((rows, [names[at] for at in placed[rows].tolist()], amounts[placed[rows]]))
    return parts


def unfit_guards(table: Table, settings: Settings, charters: Sequence[Charter]) -> list[str]:
    """The agents, products, channels and models that guards name and the workspace does not have, and guards that could see nothing, as faults."""
    known = {
        "agent": {charter.agent for charter in charters},
        "product": {product for charter in charters for product in charter.products},
        "channel": set(settings.channels),
    }
    faults = []
    for guard in table.guards:
        if guard.of not in known[guard.scope]:
            faults.append(f"guard `{guard.id}` names the {guard.scope} `{guard.of}`, which the workspace does not have")
        if guard.model and guard.model not in WATCHED:
            faults.append(f"guard `{guard.id}` names the model `{guard.model}`; the models are {', '.join(WATCHED)}")
        if guard.on == "outcome" and settings.holdout is None:
            faults.append(f"guard `{guard.id}` looks at what acting changed, and nobody is held out: remit.toml has no [holdout]")
        elif guard.on == "outcome" and guard.scope == "channel" and settings.holdout is not None and guard.of not in settings.holdout.channels:
            faults.append(f"guard `{guard.id}` looks at what {guard.of} changed, and [holdout] leaves nobody out of it by itself")
    return faults
