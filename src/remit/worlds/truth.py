"""What physicians would prescribe: the equations of a world.

    mean[h, p] = weight[h, p] x growth_p(week) x season(week) x place on the formulary[h, p] x (1 + lift[h, p])
    lift[h, p] = sum over channels of response x timing x stock / (stock + saturation) x fatigue(pressure)  +  influence x mean direct lift of h's peers

`stock` keeps `carry_over` of itself each week and gains what touches bring (position in the call x affinity to the topic); `pressure` counts contacts, three
quarters of which are remembered from week to week. Only our own brands have lift.
"""

from dataclasses import dataclass

import numpy as np

from remit.worlds.description import Channel, Description
from remit.worlds.population import TIER_FACTORS, Floats, Ints, People

POSITIONS = (1.0, 0.6, 0.35)
"""What a detail is worth by its place in a call."""
REMEMBERED = 0.75
_YEAR = 52


@dataclass(frozen=True, slots=True)
class Moment:
    """A week and what promotion has left by then: `stock[c, h, b]`, `pressure[h]`, the direct lift of the week before, and the formulary
    `tier[practice, p]`."""

    week: int
    stock: Floats
    pressure: Floats
    lift: Floats
    tier: Ints


def base(world: Description, people: People, moment: Moment, ahead: int = 0) -> Floats:
    """Prescriptions that each HCP would write of each product `ahead` weeks after the moment, were nothing promoted."""
    week = moment.week + ahead
    level = people.weight * _growth(world, week) * (1.0 + world.season * np.sin(2 * np.pi * week / _YEAR))
    level = level * np.asarray(TIER_FACTORS)[moment.tier][people.practice]
    return _competition(world, level, week)


def direct_lift(world: Description, people: People, moment: Moment) -> Floats:
    """What an HCP's own touches add to our brands, as a share of the base: (HCPs, own brands)."""
    timing = timing_of(world, people, moment.week)[:, None]
    total = np.zeros((people.size, len(world.own)))
    for place, channel in enumerate(world.channels):
        total += people.response[place] * saturated(channel, moment.stock[place])
    return np.asarray(total * timing * fatigue(world, moment.pressure)[:, None])


def lift(world: Description, people: People, moment: Moment, direct: Floats) -> Floats:
    """`direct` and what neighbours' lift of the week before adds."""
    if people.peers.shape[1] == 0:
        return direct
    return np.asarray(direct + world.peers.influence * moment.lift[people.peers].mean(axis=1))


def saturated(channel: Channel, stock: Floats) -> Floats:
    """The share of the full effect that a stock gives."""
    return np.asarray(stock / (stock + channel.saturation))


def timing_of(world: Description, people: People, week: int) -> Floats:
    """How much each HCP responds in a week, around 1: a yearly wave with a phase of their own, and what an event changed."""
    changed = np.prod([event.factor for event in world.events if event.kind == "response" and week >= world.history + event.week])
    return np.asarray(changed * (1.0 + world.drift * np.sin(2 * np.pi * (week / _YEAR + people.phase))))


def fatigue(world: Description, pressure: Floats) -> Floats:
    """What is left of response under the pressure of contacts above the tolerance."""
    return np.exp(-world.fatigue * np.maximum(0.0, pressure - world.tolerance))


def increments(world: Description, people: People, moment: Moment, most: int, horizon: int) -> tuple[Floats, ...]:
    """Per channel, the units over `horizon` weeks that touch 1 to `most` in this week would add if nothing else followed: (HCPs, own brands, touches).

    Counts what peers would gain. Later fatigue and later touches are left out: myopic by design.
    """
    own = list(world.own)
    gains = [np.zeros((people.size, len(own), most)) for _ in world.channels]
    tired = fatigue(world, REMEMBERED * moment.pressure)[:, None, None]
    affinity = people.affinity.mean(axis=1)[:, None, None]
    for ahead in range(horizon):
        units = base(world, people, moment, ahead)[:, own]
        units = (units + _spill(world, people, units)) * timing_of(world, people, moment.week + ahead)[:, None]
        for place, channel in enumerate(world.channels):
            kept = channel.carry_over * moment.stock[place][:, :, None]
            steps = [saturated(channel, channel.carry_over**ahead * (kept + affinity * touch)) for touch in range(most + 1)]
            gains[place] += (people.response[place] * units)[:, :, None] * np.diff(np.concatenate(steps, axis=2), axis=2)
    return tuple(np.asarray(gain * tired) for gain in gains)


def _spill(world: Description, people: People, units: Floats) -> Floats:
    """What a lift of 1 at each HCP adds to the units of those who count the HCP among their peers."""
    degree = people.peers.shape[1]
    answer = np.zeros_like(units)
    if degree:
        share = world.peers.influence * units / degree
        for place in range(degree):
            for brand in range(units.shape[1]):
                answer[:, brand] += np.bincount(people.peers[:, place], weights=share[:, brand], minlength=people.size)
    return answer


def _growth(world: Description, week: int) -> Floats:
    since = week - world.history
    growth = np.exp(np.array([product.trend for product in world.products]) * since)
    for place, product in enumerate(world.products):
        if product.launch is not None:
            growth[place] *= 1.0 - 0.5 ** (max(0, since - product.launch) / product.uptake)
    return np.asarray(growth)


def _competition(world: Description, level: Floats, week: int) -> Floats:
    """A competitor's launch takes its share of the others over a quarter of a year."""
    for event in world.events:
        since = week - world.history - event.week
        if event.kind == "competitor" and since > 0:
            place = next(place for place, product in enumerate(world.products) if product.name == event.product)
            rivals = [at for at, product in enumerate(world.products) if product.basket == world.products[place].basket and at != place]
            taken = event.share * min(1.0, since / 13)
            level[:, place] += taken * level[:, rivals].sum(axis=1)
            level[:, rivals] *= 1.0 - taken
    return level
