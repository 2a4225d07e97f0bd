"""The people of a world: who they are, who covers them, what they would prescribe, and how they respond."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.worlds.deliveries import generator
from remit.worlds.description import TIERS, Channel, Description, Force, Kind

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MOST_BY_VOLUME = 3.0
"""How much more than the median HCP the volume alone can make anybody respond."""

TIER_FACTORS = (1.15, 1.0, 0.6)
"""What a place on the formulary does to prescribing, in the order of `TIERS`."""


@dataclass(frozen=True, slots=True)
class Team:
    """A sales force among the people: the territory of each physician in it (-1: not covered), and how many territories there are."""

    force: Force
    territory: Ints
    territories: int


@dataclass(frozen=True, slots=True)
class People:
    """Columns over HCPs. `weight[h, p]` is product p's share of h's basket times h's volume; `response[c][h, b]` is by how much saturating promotion of our
    brand b through channel c multiplies prescriptions, less one; `affinity[h, t]` scales a touch on topic t; `phase` is where in the year h responds most;
    `peers[h]` are neighbours (empty where there is no network); `brick[h]` is the area that prescriptions are told of (-1 where they are told of each HCP)."""

    ids: pl.Series
    specialty: Ints
    population: Ints
    practice: Ints
    practice_size: Ints
    brick: Ints
    rural: Flags
    zone: Ints
    confidence: Ints
    pdrp: Flags
    covered: Flags
    no_see: Flags
    volume: Floats
    weight: Floats
    response: tuple[Floats, ...]
    affinity: Floats
    phase: Floats
    peers: Ints
    teams: tuple[Team, ...]
    tier: Ints

    @property
    def size(self) -> int:
        """How many HCPs there are."""
        return len(self.ids)


def settle(world: Description, physicians: int, seed: int) -> People:
    """`physicians` HCPs with ids `H0000001` upward: the same for the same arguments in any process."""
    who, tastes, wishes = generator(seed, "people"), generator(seed, "tastes"), generator(seed, "wishes")
    sizes = generator(seed, "practices").choice(world.practices, physicians)
    practice = np.repeat(np.arange(physicians), sizes)[:physicians]
    practices = int(practice[-1]) + 1
    specialty = _drawn(who, world.specialties, physicians)
    population = _drawn(generator(seed, "populations"), world.populations, practices)[practice]
    unsure = who.random(physicians) < world.doubtful
    volume = world.volume * np.exp(world.volume_spread * tastes.standard_normal(physicians))
    volume *= _per(world.specialties, "volume")[specialty] * _per(world.populations, "volume")[population]
    taste = np.exp(0.6 * tastes.standard_normal((physicians, len(world.products))))
    weight = taste * np.array([product.share for product in world.products])
    total = np.array([sum(product.share for product in world.products if product.basket == own.basket) for own in world.products])
    for basket in {product.basket for product in world.products}:
        inside = [place for place, product in enumerate(world.products) if product.basket == basket]
        weight[:, inside] *= (total[inside[0]] / weight[:, inside].sum(axis=1))[:, None]
    kinds = _per(world.specialties, "response")[specialty] * _per(world.populations, "response")[population]
    relative = volume / world.volume
    return People(
        ids=pl.Series("hcp_id", np.arange(1, physicians + 1)).cast(pl.String).str.zfill(7).str.replace("^", "H"),
        specialty=specialty,
        population=population,
        practice=practice,
        practice_size=np.bincount(practice)[practice],
        brick=_bricks(world, practice),
        rural=(generator(seed, "rural").random(practices) < world.rural)[practice],
        zone=practice * len(world.zones) // practices,
        confidence=np.where(unsure, who.integers(50, 95, physicians), who.integers(95, 101, physicians)),
        pdrp=who.random(physicians) < world.pdrp,
        covered=who.random(physicians) < world.reports.covered,
        no_see=wishes.random(physicians) < world.no_see,
        volume=volume,
        weight=weight * volume[:, None],
        response=tuple(_response(channel, kinds, relative, len(world.own), seed) for channel in world.channels),
        affinity=_affinity(world, physicians, seed),
        phase=wishes.random(physicians),
        peers=_network(world, practice, specialty, seed),
        teams=tuple(_team(force, specialty, world) for force in world.forces),
        tier=generator(seed, "formulary").choice(len(TIERS), (practices, len(world.products)), p=(0.3, 0.55, 0.15)),
    )


def _bricks(world: Description, practice: Ints) -> Ints:
    """Bricks of whole practices that follow each other, numbered from 0; a last one of less than half the size belongs to the one before."""
    if world.reports.level != "brick":
        return np.full(len(practice), -1)
    first = np.searchsorted(practice, practice)
    brick = np.unique(first // world.reports.physicians_each, return_inverse=True)[1].astype(np.int64)
    last = int(brick[-1])
    return np.where(brick == last, max(last - 1, 0), brick) if 2 * int((brick == last).sum()) < world.reports.physicians_each else brick


def _drawn(draw: np.random.Generator, kinds: tuple[Kind, ...], count: int) -> Ints:
    shares = np.array([kind.share for kind in kinds])
    return draw.choice(len(kinds), count, p=shares / shares.sum())


def _per(kinds: tuple[Kind, ...], field: str) -> Floats:
    return np.array([float(getattr(kind, field)) for kind in kinds])


def _response(channel: Channel, kinds: Floats, relative: Floats, brands: int, seed: int) -> Floats:
    draw = generator(seed, f"response/{channel.name}")
    own = np.exp(channel.spread * draw.standard_normal((len(kinds), brands)))
    moved = draw.random((len(kinds), brands)) >= channel.none
    return np.asarray(channel.effect * (kinds * np.minimum(relative**channel.by_volume, MOST_BY_VOLUME))[:, None] * own * moved)


def _affinity(world: Description, physicians: int, seed: int) -> Floats:
    draw = generator(seed, "topics").standard_normal((physicians, len(world.topics)))
    return np.asarray(np.array(list(world.topics.values())) * np.exp(world.topic_spread * draw))


def _network(world: Description, practice: Ints, specialty: Ints, seed: int) -> Ints:
    """Each HCP's neighbours: half of them near in the list (the same practice or the next), the rest of the same specialty anywhere."""
    count = len(practice)
    if world.peers.degree == 0:
        return np.empty((count, 0), np.int64)
    draw = generator(seed, "peers")
    near = world.peers.degree // 2
    steps = draw.integers(1, max(2, min(count, 12)), (count, near)) * np.where(draw.random((count, near)) < 0.5, -1, 1)
    nearby = (np.arange(count)[:, None] + steps) % count
    order = np.argsort(specialty, kind="stable")
    start, sizes = np.searchsorted(specialty[order], np.arange(specialty.max() + 1)), np.bincount(specialty)
    pick = (draw.random((count, world.peers.degree - near)) * sizes[specialty][:, None]).astype(np.int64)
    alike = order[start[specialty][:, None] + pick]
    return np.concatenate([nearby, alike], axis=1)


def _team(force: Force, specialty: Ints, world: Description) -> Team:
    """Territories follow the list of practices, so that colleagues mostly share a rep."""
    names = [kind.name for kind in world.specialties]
    inside = np.ones(len(specialty), bool) if not force.specialties else np.isin(specialty, [names.index(name) for name in force.specialties])
    rank = np.cumsum(inside) - 1
    territory = np.where(inside, rank // force.physicians, -1)
    return Team(force, territory, int(territory.max()) + 1)
