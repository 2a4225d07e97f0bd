"""The arbiter's problem and its answer, in columns.

Amounts, capacities and usage are int64 millionths of a unit; values are int64 micro-units of the workspace's currency. HCPs, resources, agents,
channels and products are numbered from 0. Rows that belong to HCP `h` are those from `start[h]` up to `start[h + 1]`.
"""

from dataclasses import dataclass

from remit.terms.columns import Column


@dataclass(frozen=True, slots=True)
class Usage:
    """What each of n rows takes of which resources: row i uses `amount[j]` of `resource[j]` for j in `start[i]:start[i + 1]`."""

    start: Column
    resource: Column
    amount: Column


@dataclass(frozen=True, slots=True)
class Calls:
    """The kinds of call open to each HCP: at most `most[c]` calls of kind c this cycle, each taking `usage` and counting as one contact in `channel[c]`."""

    start: Column
    channel: Column
    most: Column
    usage: Usage


@dataclass(frozen=True, slots=True)
class Candidates:
    """Judged proposals that are not forbidden.

    `call` is -1 for an action of its own, else the row of `Calls` (of the same HCP) that can carry this one as a detail of `product`. At most one
    of an `exclusion` group (-1: none; numbered within the HCP) is chosen. A `mandatory` one must be.
    """

    start: Column
    value: Column
    agent: Column
    channel: Column
    product: Column
    call: Column
    exclusion: Column
    mandatory: Column
    usage: Usage


@dataclass(frozen=True, slots=True)
class Resources:
    """Scarce things by name. `floor[r]` is the least use of r that the plan must reach (0: none)."""

    names: tuple[str, ...]
    capacity: Column
    floor: Column


@dataclass(frozen=True, slots=True)
class Limits:
    """Contacts allowed per HCP (`total[h]`), and per HCP and channel (`channel[h * channels + k]`); what each position in a call is worth, in millionths."""

    total: Column
    channel: Column
    channels: int
    positions: tuple[int, ...] = (1_000_000, 600_000, 350_000)


@dataclass(frozen=True, slots=True)
class Account:
    """One agent in a plan: value it was given, rent of what it uses, and the others' value that it displaces, all in micro-units; `displaces` is the latter by
    agent (0 for itself), below nothing where another has more because of it."""

    agent: int
    value: int
    rent: int
    displaced: int | None
    displaces: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What could not be met: `kind` is `floor` or `mandatory`, `index` the resource or candidate, `by` how much is missing, in micro-units of `resource`."""

    kind: str
    index: int
    resource: int
    by: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What was chosen.

    `chosen` (bool), `call_number` and `position` (int8; 1 upward for details, 0 otherwise) are per candidate. `price` is int64 micro-units of value per
    unit of resource; `used` int64 per resource. `value` is what the plan is worth; `bound` is what no feasible plan can exceed.
    """

    chosen: Column
    call_number: Column
    position: Column
    price: Column
    used: Column
    value: int
    bound: int
    accounts: tuple[Account, ...]
    shortfalls: tuple[Shortfall, ...]

    @property
    def gap(self) -> float:
        """(bound - value) / |bound|, 0 where both are 0."""
        return (self.bound - self.value) / abs(self.bound) if self.bound else 0.0
