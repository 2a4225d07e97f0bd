"""Actions in a week: what a company asks for, and the plain call plan of the past."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.worlds.deliveries import generator
from remit.worlds.description import Description
from remit.worlds.errors import WorldError
from remit.worlds.population import Flags, Floats, Ints, People
from remit.worlds.truth import POSITIONS

ACTIONS = pl.Schema({"hcp_id": pl.String, "channel": pl.String, "product": pl.String, "content_id": pl.String, "position": pl.Int64, "decision": pl.String})
"""The columns of actions. A content id ends in the name of its topic; `decision` comes back with the touch."""

VISIT = "msl_visit"
_TOURED = 0.25
"""The share of bricks on tour in a week."""
_VISITED_A_WEEK = 0.004


@dataclass(frozen=True, slots=True)
class Touches:
    """The touches of a week in order of `minute`: `channel` is its place in the description, -1 for an MSL's visit; `brand` the place among our own;
    `position` 0 is none; `strength` is what the touch adds to the stock; `first` marks what counts as a contact."""

    hcp: Ints
    channel: Ints
    brand: Ints
    position: Ints
    minute: Ints
    strength: Floats
    first: Flags
    content: pl.Series
    decision: pl.Series


def touches_of(world: Description, people: People, actions: pl.DataFrame, week: int, seed: int) -> Touches:
    """The touches that actions make. Raises `WorldError` naming every HCP, channel or product that is not of this world, and a frame of another layout."""
    if set(actions.columns) != set(ACTIONS):
        raise WorldError("the actions have other columns", do=f"Give {', '.join(ACTIONS)}.")
    channels = {channel.name: place for place, channel in enumerate(world.channels)} | {VISIT: -1}
    brands = {world.products[place].name: number for number, place in enumerate(world.own)}
    rows = actions.select(
        hcp=pl.col("hcp_id").str.strip_prefix("H").cast(pl.Int64, strict=False) - 1,
        channel=pl.col("channel").replace_strict(channels, default=None, return_dtype=pl.Int64),
        brand=pl.col("product").replace_strict(brands, default=None, return_dtype=pl.Int64),
        position=pl.col("position").cast(pl.Int64).fill_null(0),
        topic=pl.col("content_id")
        .cast(pl.String)
        .str.split("-")
        .list.last()
        .replace_strict({name: at for at, name in enumerate(world.topics)}, default=-1, return_dtype=pl.Int64)
        .fill_null(-1),
        known=pl.col("hcp_id").is_not_null(),
        content=pl.col("content_id").cast(pl.String),
        decision=pl.col("decision").cast(pl.String),
    )
    bad = (
        (rows["hcp"].fill_null(-1) < 0)
        | (rows["hcp"].fill_null(0) >= people.size)
        | ~rows["known"]
        | rows["channel"].is_null()
        | rows["brand"].is_null()
        | (rows["position"] > len(POSITIONS))
    )
    if bad.any():
        faults = [" / ".join(str(cell) for cell in row) for row in actions.filter(bad).select("hcp_id", "channel", "product", "position").head(10).iter_rows()]
        raise WorldError(f"{int(bad.sum())} actions are not of this world", faults=faults, do="Name its HCPs, channels and own products, and positions 1 to 3.")
    rows = rows.sort("hcp", "channel", "position", "brand", "topic")
    hcp, channel, position = (rows[name].to_numpy() for name in ("hcp", "channel", "position"))
    affinity = np.where(rows["topic"].to_numpy() >= 0, people.affinity[hcp, np.maximum(rows["topic"].to_numpy(), 0)], people.affinity[hcp].mean(axis=1))
    strength = np.where(position > 0, np.array((0.0, *POSITIONS))[position], 1.0) * affinity * (channel >= 0)
    minute = _minutes(hcp, channel, position, week, seed, people.size)
    return Touches(hcp, channel, rows["brand"].to_numpy(), position, minute, strength, position <= 1, rows["content"], rows["decision"])


def _minutes(hcp: Ints, channel: Ints, position: Ints, week: int, seed: int, size: int) -> Ints:
    """Minutes from the week's start to a working hour of Monday to Friday, 14:00 to 22:00 UTC; details of one call follow each other by a minute."""
    draw = generator(seed, "minutes", week)
    day, minute = draw.integers(0, 5, (size, 3)), draw.integers(0, 8 * 60 - 5, (size, 3))
    return np.asarray(day[hcp, channel] * 1440 + 14 * 60 + minute[hcp, channel] + np.maximum(position, 1) - 1)


def plan(world: Description, people: People, consent: Ints, vacant: tuple[Flags, ...], week: int, seed: int) -> pl.DataFrame:
    """What the plain call plan asks for in a week: each rep calls on as many as there is time for, the more often the higher the volume; e-mails by turn."""
    frames = [pl.DataFrame(schema=ACTIONS)]
    for place, channel in enumerate(world.channels):
        if channel.name == "email":
            frames.append(_mails(world, people, consent[place], channel.planned, week, seed))
    for team, empty in zip(people.teams, vacant, strict=True):
        if team.force.channel == VISIT:
            frames.append(_visits(world, people, team.territory >= 0, week, seed))
        else:
            place = [channel.name for channel in world.channels].index("call")
            open_to = (team.territory >= 0) & (consent[place] >= 0) & ~np.append(empty, True)[team.territory]
            frames.append(_calls(world, people, team.force.name, team.territory, open_to, team.force.products, team.force.visits, week, seed))
    return pl.concat(frames)


def _mails(world: Description, people: People, consent: Ints, share: float, week: int, seed: int) -> pl.DataFrame:
    draw = generator(seed, "plan/email", week)
    chance = share * _on_tour(world, people, "email", week, seed)
    who = np.flatnonzero((draw.random(people.size) < chance) & (consent > 0))
    return _rows(world, people, who, "email", draw.integers(0, len(world.own), len(who)), None, draw)


def _visits(world: Description, people: People, inside: Flags, week: int, seed: int) -> pl.DataFrame:
    draw = generator(seed, "plan/msl", week)
    who = np.flatnonzero((draw.random(people.size) < _VISITED_A_WEEK) & inside)
    return _rows(world, people, who, VISIT, draw.integers(0, len(world.own), len(who)), None, draw)


def _calls(
    world: Description, people: People, force: str, territory: Ints, open_to: Flags, products: tuple[str, ...], visits: int, week: int, seed: int
) -> pl.DataFrame:
    """The `visits` highest of log weight plus Gumbel noise in each territory: a draw without replacement with chances by weight."""
    draw = generator(seed, f"plan/call/{force}", week)
    key = world.plan_by_volume * np.log(people.volume) + draw.gumbel(size=people.size)
    key += np.log(_on_tour(world, people, force, week, seed))
    order = np.lexsort((-key, np.where(open_to, territory, np.iinfo(np.int64).max)))
    order = order[: int(open_to.sum())]
    start = np.searchsorted(territory[order], territory[order])
    who = np.sort(order[np.arange(len(order)) - start < visits])
    own = [world.products[place].name for place in world.own]
    carried = np.array([own.index(name) for name in products], np.int64)
    first = draw.integers(0, len(carried), len(who))
    second = (draw.random(len(who)) < 0.5) & (len(carried) > 1)
    opening = _rows(world, people, who, "call", carried[first], 1, draw)
    return pl.concat([opening, _rows(world, people, who[second], "call", carried[(first[second] + 1) % len(carried)], 2, draw)])


def _on_tour(world: Description, people: People, who: str, week: int, seed: int) -> Floats:
    """How much likelier than usual a touch of each HCP is in a week, as the brick is on tour or not: 1 on average over weeks."""
    if not world.tours:
        return np.ones(people.size)
    toured = generator(seed, f"plan/tours/{who}", week).random(int(people.brick.max()) + 1) < _TOURED
    likelier = np.exp(world.tours * toured[people.brick])
    return np.asarray(likelier / (_TOURED * np.exp(world.tours) + 1.0 - _TOURED))


def _rows(world: Description, people: People, who: Ints, channel: str, brand: Ints, position: int | None, draw: np.random.Generator) -> pl.DataFrame:
    own = pl.Series([world.products[place].name for place in world.own], dtype=pl.String)
    topics = pl.Series(list(world.topics), dtype=pl.String)
    frame = pl.DataFrame({"hcp_id": people.ids[who], "product": own[brand], "topic": topics[draw.integers(0, len(topics), len(who))]})
    kind = {"call": "detail", VISIT: "reply"}.get(channel, channel)
    return frame.select(
        "hcp_id",
        pl.lit(channel).alias("channel"),
        "product",
        pl.format("{}-{}-{}", "product", pl.lit(kind), "topic").alias("content_id"),
        pl.lit(position, pl.Int64).alias("position"),
        pl.lit(None, pl.String).alias("decision"),
    )
