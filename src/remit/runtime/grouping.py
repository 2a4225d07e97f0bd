"""Micro-segments in a workspace: rules are stored beside the models, and who is in which lies in the ledger, sealed under each HCP's key."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from remit.ledger import Records, Segment
from remit.models.segments import MEMBERS, Segments, segment, uptake
from remit.runtime.inputs import Observed, Source
from remit.runtime.settings import Settings
from remit.runtime.training import Models, feature_catalogue
from remit.runtime.workspace import Config

STREAM, SCHEMA = "segments", "remit.members/1"


def grouped(source: Source, seen: Observed, config: Config, models: Models, previous: Segments | None, before: pl.DataFrame, now: int) -> Segments:
    """Segments of everybody `seen` for promotion, going on from `previous`, and what each took up; `before` says who was where (`MEMBERS`)."""
    features, channels, catalogue = seen.features, _promoted(config), feature_catalogue(config.settings)
    expected = models.increments(features, seen.panel, 1)
    found = segment(features, catalogue, channels=channels, expected=expected, previous=previous, before=before)
    touches = source.read("touches", now).filter(pl.col("channel").is_in(channels))
    return replace(found, uptake=uptake(found.placed(features, catalogue, before), touches))


def _promoted(config: Config) -> list[str]:
    """The channels that charters for promotion use."""
    return sorted({channel for charter in config.charters if charter.purpose == "promotional" for channel in charter.channels})


def placed(models: Models, features: pl.DataFrame, settings: Settings, before: pl.DataFrame) -> pl.DataFrame:
    """Who is in which segment now: `MEMBERS`, nobody where there are no segments."""
    return before.clear() if models.segments is None else models.segments.placed(features, feature_catalogue(settings), before)


def recorded(records: Records, upto: int, cycle: str | None = None) -> pl.DataFrame:
    """Who is in which segment by the log's first `upto` entries and `cycle`, of each HCP what was recorded last: `MEMBERS`, by hcp_id."""
    frames = [pl.DataFrame(schema=MEMBERS)]
    for entry in records.entries(kind="segment"):
        if entry.body["stream"] == STREAM and (entry.seq < upto or entry.cycle == cycle):
            frames.append(records.read_segment(Segment.from_body(entry.cycle, entry.body)).frame.select(MEMBERS.names()))
    return pl.concat(frames).unique("hcp_id", keep="last", maintain_order=True).sort("hcp_id")


def moved(members: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """The rows of `members` that `before` does not hold: what a cycle records."""
    return members.join(before, on=MEMBERS.names(), how="anti", maintain_order="left")


def named(models: Models, members: pl.DataFrame) -> Mapping[str, str]:
    """What each HCP's segment is called where a rep may read it: its id, and a name made of commercial information alone."""
    if models.segments is None:
        return {}
    names = {each.id: f"{each.id}, {each.open_name}" for each in models.segments.segments}
    return {hcp: names.get(number, number) for hcp, number in members.select("hcp_id", "segment").iter_rows()}
