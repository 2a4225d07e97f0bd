"""Who is left alone: drawn once, recorded in the ledger, read back for every cycle after."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import polars as pl

from remit.features import ties
from remit.ledger import Records, Segment
from remit.outcomes import clusters, enrol, joined
from remit.runtime.errors import WorkspaceError
from remit.runtime.inputs import Source
from remit.runtime.settings import Holdout, Settings

SCHEMA = "remit.holdout/2"
"""The first one had no `channel`, and is read as a draw from all promotion."""
ENROLMENT = pl.Schema({"hcp_id": pl.String, "channel": pl.String, "unit": pl.String, "stratum": pl.String, "held": pl.Boolean, "at": pl.Int64})
"""Who was enrolled in an experiment: the unit that was drawn (an HCP, a practice, a brick or a cluster of peers), its stratum, whether it is left alone, and
since when; by which channel alone, or, where `channel` is empty, by all promotion."""


UNITS: Mapping[str, str] = MappingProxyType({"hcp": "physicians", "practice": "practices", "brick": "bricks", "peers": "clusters of peers"})
"""What may be drawn, in words."""

CLUSTER = "peers/"
"""What the name of every cluster of peers begins with."""


def stream(holdout: Holdout) -> str:
    """Where an experiment's draws lie in the ledger."""
    return f"holdout/{holdout.name}"


def enrolled(records: Records, settings: Settings, upto: int, cycle: str | None = None) -> pl.DataFrame:
    """The recorded draws of the settings' experiment among the log's first `upto` entries, and in `cycle`: `ENROLMENT`, none if there is no experiment."""
    frames = [pl.DataFrame(schema=ENROLMENT)]
    if settings.holdout is not None:
        for entry in records.entries(kind="segment"):
            if entry.body["stream"] == stream(settings.holdout) and (entry.seq < upto or entry.cycle == cycle):
                frame = records.read_segment(Segment.from_body(entry.cycle, entry.body)).frame
                frame = frame if "channel" in frame.columns else frame.with_columns(channel=pl.lit(""))
                frames.append(frame.select(ENROLMENT.names()))
    return pl.concat(frames).unique(["hcp_id", "channel"], keep="first", maintain_order=True)


def units(hcp: pl.DataFrame, by: str, tied: Callable[[], pl.DataFrame], before: pl.DataFrame, now: int) -> pl.DataFrame:
    """What is drawn for each HCP: hcp_id, unit, and the stratum within which (practices and bricks have none; clusters of peers those of about their size).

    `tied` tells who follows whom, where that is asked. A cluster stays as it was first drawn (`before`); who is new joins the one that most of their ties lead
    to, as long as it has room, and all others make clusters of their own, named by `now`."""
    if by == "peers":
        mine = hcp.select("hcp_id").join(_clustered(hcp["hcp_id"], tied(), before, now), on="hcp_id", how="left", maintain_order="left")
        doubled = [(pl.len().over("unit") >= 2**power).cast(pl.Int64) for power in range(1, _MOST.bit_length())]
        return mine.with_columns(stratum=pl.sum_horizontal(doubled).cast(pl.String))
    alone = by == "hcp"
    unit = pl.col("hcp_id") if alone else pl.coalesce(f"{by}_id", "hcp_id")
    return hcp.select("hcp_id", unit=unit, stratum=pl.col("specialty").fill_null("") if alone else pl.lit(""))


def _clustered(hcps: pl.Series, tied: pl.DataFrame, before: pl.DataFrame, now: int) -> pl.DataFrame:
    # A unit that is one HCP or practice keeps to itself: its name would stand beside others who join it.
    known = before.filter(pl.col("unit").str.starts_with(CLUSTER)).select("hcp_id", "unit").unique("hcp_id", keep="first", maintain_order=True)
    new = hcps.filter(~hcps.is_in(known["hcp_id"].implode()))
    most = min(max(len(hcps) // _FEWEST, _LEAST), _MOST)
    theirs = joined(new, tied, known, most)
    rest = clusters(new.filter(~new.is_in(theirs["hcp_id"].implode())), tied, most)
    fresh = rest.select("hcp_id", unit=pl.format("{}{}/{}", pl.lit(CLUSTER), pl.lit(now), "cluster"))
    return pl.concat([known, theirs, fresh])


_FEWEST, _LEAST, _MOST = 100, 5, 100
"""A cluster has at most a hundredth of all HCPs, so that there are some hundred to draw from, but may have five, and never has more than a hundred."""


def known_ties(source: Source, now: int) -> pl.DataFrame:
    """Who follows whom as known at `now`: `source`, `target`; none where there is no feed `peers`."""
    return ties(source.read("peers", now), now)


def of_bricks(loads: Mapping[str, int]) -> bool:
    """Whether prescriptions are known of bricks only; `loads` says when each feed last loaded whole."""
    return "brick_rx" in loads and "rx" not in loads


def check_unit(source: Source, by: str, now: int, do: str) -> None:
    """Raises `WorkspaceError` where drawing `by` could show nothing: its ids or ties are not on file, or prescriptions are known of bricks only. `do` says how
    to choose another; it is given the one that fits as `{by}`."""
    hcp = source.state("hcp", now)
    if of_bricks(source.loads(now)) and by != "brick":
        what = f"{UNITS[by]} cannot be compared: prescriptions are known of bricks only, where the held and the others are counted together"
        raise WorkspaceError(what, where="feeds/brick_rx", do=do.format(by="brick"))
    if by == "peers":
        if known_ties(source, now).is_empty():
            do = f"Load the feed `peers`: who refers patients to whom, or names whom. Or: {do.format(by='hcp')}"
            raise WorkspaceError("no ties between physicians are known, so clusters of peers cannot be drawn", where="feeds/peers", do=do)
    elif by != "hcp" and hcp[f"{by}_id"].null_count() == hcp.height:
        do = f"Load the column `{by}_id`. Or: {do.format(by='hcp')}"
        raise WorkspaceError(f"no physician has a `{by}_id`, so {UNITS[by]} cannot be drawn", where="feeds/hcp", do=do)


def draw(source: Source, settings: Settings, before: pl.DataFrame, key: bytes, now: int) -> pl.DataFrame:
    """The draws of HCPs that have none yet, from all promotion and from each channel by itself, sorted: `ENROLMENT`. Whoever joins a practice, brick or cluster
    that was drawn takes its side. A channel draws its share of those acted on, and apart from them of those whom all promotion leaves alone."""
    holdout = settings.holdout
    if holdout is None:
        return pl.DataFrame(schema=ENROLMENT)
    members = units(source.state("hcp", now), holdout.by, lambda: known_ties(source, now), before, now)
    drawn = [_draw(members, holdout, "", holdout.share, before, key, now)]
    alone = pl.concat([before.filter(pl.col("channel") == ""), drawn[0]]).filter("held")["hcp_id"]
    drawn += [_draw(members, holdout, channel, share, before, key, now, alone) for channel, share in sorted(holdout.channels.items())]
    return pl.concat(drawn).sort("hcp_id", "channel")


def _draw(
    members: pl.DataFrame, holdout: Holdout, channel: str, share: int, before: pl.DataFrame, key: bytes, now: int, alone: pl.Series | None = None
) -> pl.DataFrame:
    """One experiment's draws; `alone` are drawn among themselves."""
    before = before.filter(pl.col("channel") == channel)
    new = members.join(before, on="hcp_id", how="anti", maintain_order="left")
    if alone is not None:
        new = new.with_columns(stratum=pl.when(pl.col("hcp_id").is_in(alone.implode())).then(pl.lit("left alone")).otherwise("stratum"))
    known = before.select("unit", "held").unique("unit", keep="first", maintain_order=True)
    experiment = f"{holdout.name}/{channel}" if channel else holdout.name
    drawn = enrol(new.unique("unit", keep="first", maintain_order=True).select("unit", "stratum"), share, key, experiment, known)
    sides = pl.concat([known, drawn.select("unit", "held")])
    rows = new.join(sides, on="unit", how="inner").with_columns(channel=pl.lit(channel), at=pl.lit(now, pl.Int64))
    return rows.select(ENROLMENT.names())
