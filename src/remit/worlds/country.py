"""The people of the two-brands country: who they are, who covers them, what they prescribe, and how they respond."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.worlds.deliveries import generator

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

PRODUCTS = ("alpha", "beta", "gamma")
"""Two brands of ours and a competitor's, in one basket."""
SPECIALTIES = ("cardiology", "internal medicine", "family medicine", "nephrology")
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
HCPS_PER_TERRITORY = 150
HCPS_PER_MSL = 1_000
VOLUMES = (0.25, 0.75, 1.5, 3.0, 6.0, 12.0)
"""Prescriptions of the basket a week, by class of physician."""

_PRACTICE_SIZES = (1, 1, 2, 3, 4, 6, 10)
_RESPONSES = (0.0, 0.3, 0.8, 1.6)
_RESPONSE_WEIGHTS = ((0.25, 0.25, 0.30, 0.20), (0.40, 0.30, 0.20, 0.10), (0.55, 0.30, 0.10, 0.05), (0.30, 0.30, 0.25, 0.15))


@dataclass(frozen=True, slots=True)
class Country:
    """Columns over HCPs: `volume` is a class of `VOLUMES`; `base[h, p]` is prescriptions a week of product p without promotion; `response[h, b]` is by how much
    saturating promotion of our brand b multiplies them, less one; `email` and `call` are -1 (opted out), 0 (unknown) or 1 (opted in)."""

    seed: int
    ids: pl.Series
    specialty: Ints
    practice: Ints
    practice_size: Ints
    territory: Ints
    zone: Ints
    confidence: Ints
    pdrp: Flags
    reported: Flags
    volume: Ints
    base: Floats
    response: Floats
    email: Ints
    call: Ints

    @property
    def size(self) -> int:
        """How many HCPs there are."""
        return len(self.ids)

    @property
    def territories(self) -> int:
        """How many territories there are; each has one rep."""
        return int(self.territory[-1]) + 1

    @property
    def msls(self) -> int:
        """How many medical science liaisons there are."""
        return -(-self.size // HCPS_PER_MSL)


def settle(physicians: int, seed: int) -> Country:
    """A country of `physicians` HCPs with ids `H0000001` upward."""
    people, tastes, wishes = generator(seed, "people"), generator(seed, "tastes"), generator(seed, "wishes")
    practice, practice_size, territory = _practices(physicians, seed)
    specialty = people.choice(len(SPECIALTIES), physicians, p=(0.2, 0.35, 0.35, 0.1))
    volume = tastes.choice(len(VOLUMES), physicians, p=(0.25, 0.25, 0.2, 0.16, 0.1, 0.04))
    weight = tastes.integers(1, 11, (physicians, len(PRODUCTS)))
    unsure = people.random(physicians) < 0.06
    return Country(
        seed=seed,
        ids=pl.Series("hcp_id", np.arange(1, physicians + 1)).cast(pl.String).str.zfill(7).str.replace("^", "H"),
        specialty=specialty,
        practice=practice,
        practice_size=practice_size,
        territory=territory,
        zone=territory * len(ZONES) // (int(territory[-1]) + 1),
        confidence=np.where(unsure, people.integers(50, 95, physicians), people.integers(95, 101, physicians)),
        pdrp=people.random(physicians) < 0.04,
        reported=people.random(physicians) < 0.94,
        volume=volume,
        base=np.asarray(VOLUMES)[volume][:, None] * (weight / weight.sum(axis=1, keepdims=True)),
        response=_responses(specialty, tastes),
        email=wishes.choice((-1, 0, 1), physicians, p=(0.12, 0.26, 0.62)),
        call=wishes.choice((-1, 0, 1), physicians, p=(0.04, 0.03, 0.93)),
    )


def _practices(physicians: int, seed: int) -> tuple[Ints, Ints, Ints]:
    """Practice and its size, and the territory it lies in, so that nobody shares a practice across a border."""
    sizes = generator(seed, "practices").choice(_PRACTICE_SIZES, physicians)
    practice = np.repeat(np.arange(physicians), sizes)[:physicians]
    actual = np.bincount(practice)
    first = np.cumsum(actual) - actual
    _, territory = np.unique(first[practice] // HCPS_PER_TERRITORY, return_inverse=True)
    return practice, actual[practice], territory


def _responses(specialty: Ints, draw: np.random.Generator) -> Floats:
    """Response follows specialty and not volume, so that calling on volume is not the best plan."""
    edges = np.cumsum(np.asarray(_RESPONSE_WEIGHTS), axis=1)[specialty]
    ticket = draw.random((len(specialty), 2))
    kind = (ticket[:, :, None] >= edges[:, None, :-1]).sum(axis=2)
    response: Floats = np.asarray(_RESPONSES)[kind]
    return response
