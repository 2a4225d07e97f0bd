"""The plain call plan of the past: calls and e-mails that follow volume, whoever responds to them."""

from dataclasses import dataclass

import numpy as np

from remit.worlds.country import Country, Floats, Ints
from remit.worlds.deliveries import generator

_CALLED_A_WEEK = (0.03, 0.06, 0.12, 0.22, 0.36, 0.5)
_MAILED_A_WEEK = 0.1
_VISITED_A_WEEK = 0.004


@dataclass(frozen=True, slots=True)
class Touches:
    """The touches of a week, in the order of their `minute` in it: `channel` 0 is a call, 1 an e-mail, 2 an MSL's visit; `position` 0 is none.
    `strength[h, b]` is what they add to HCP h's stock for our brand b."""

    hcp: Ints
    channel: Ints
    product: Ints
    position: Ints
    minute: Ints
    strength: Floats


def promote(country: Country, week: int) -> Touches:
    """The touches of one week. A call carries one of our brands, and half of the calls the other one too."""
    draw = generator(country.seed, "promotion", week)
    called = np.flatnonzero((draw.random(country.size) < np.asarray(_CALLED_A_WEEK)[country.volume]) & (country.call >= 0))
    first = draw.integers(0, 2, len(called))
    called_at = _office_minutes(draw, len(called))
    both = draw.random(len(called)) < 0.5
    mailed = np.flatnonzero((draw.random(country.size) < _MAILED_A_WEEK) & (country.email > 0))
    visited = np.flatnonzero(draw.random(country.size) < _VISITED_A_WEEK)
    hcp = np.concatenate([called, called[both], mailed, visited])
    channel = np.repeat([0, 1, 2], [len(called) + both.sum(), len(mailed), len(visited)])
    product = np.concatenate([first, 1 - first[both], draw.integers(0, 2, len(mailed) + len(visited))])
    position = np.repeat([1, 2, 0], [len(called), both.sum(), len(mailed) + len(visited)])
    minute = np.concatenate([called_at, called_at[both], _office_minutes(draw, len(mailed) + len(visited))])
    strength = np.zeros((country.size, 2))
    np.add.at(strength, (hcp, product), np.select([position == 1, position == 2, channel == 1], [1.0, 0.6, 0.3], 0.0))
    order = np.lexsort((position, hcp, minute))
    return Touches(hcp[order], channel[order], product[order], position[order], minute[order], strength)


def _office_minutes(draw: np.random.Generator, count: int) -> Ints:
    """Minutes from the week's start to a working hour of Monday to Friday, 14:00 to 22:00 UTC."""
    return draw.integers(0, 5, count) * 1440 + 14 * 60 + draw.integers(0, 8 * 60, count)
