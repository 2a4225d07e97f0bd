"""Decision velocity: how long each decision waited at each stage, from signal to action, and who owns the stage."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

STAGES = ("arrive", "propose", "judge", "confirm", "act")
"""Occurred to received, received to proposed, proposed to judged, judged to confirmed, confirmed (or judged) to acted."""
WHOLE = "whole"
"""Received to acted."""
ROUTES = ("cycle", "proposal", "event")
"""What led to a decision: a cycle, or between cycles an agent's proposal or an event."""
LEAST = 5
"""Decisions of fewer are not shown with the person who owns their stage."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a stage: `kind` is `data`, `agent`, `row`, `role` or `gateway`; `person`: `who` is a person's id."""

    kind: str
    who: str
    person: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """The instants of one decision of `agent` (UTC microseconds), None where nothing tells of one; the owner of each stage, where known; and its `route`."""

    agent: str
    occurred: int | None = None
    received: int | None = None
    proposed: int | None = None
    judged: int | None = None
    confirmed: int | None = None
    acted: int | None = None
    owners: Mapping[str, Owner] = field(default_factory=dict)
    route: str = "cycle"


@dataclass(frozen=True, slots=True)
class Wait:
    """How long `count` decisions of a route waited at a stage, in microseconds: the wait that half, and nine tenths, of them did not exceed, and the longest.
    Of all agents (`agent` None), or of one and one owner."""

    route: str
    stage: str
    agent: str | None
    owner: Owner | None
    count: int
    median_us: int
    p90_us: int
    largest_us: int


@dataclass(frozen=True, slots=True)
class Velocity:
    """The waits at each stage over all agents, and by agent and owner, each by route; `too_few` groups of a person's are not shown."""

    decisions: int
    stages: tuple[Wait, ...]
    agents: tuple[Wait, ...]
    too_few: int


def velocity(clocks: Iterable[Clock], least: int = LEAST) -> Velocity:
    """How long decisions waited. Where clocks of several machines disagree, an instant before the one it follows counts as the same."""
    of_stage: dict[tuple[str, str], list[int]] = {}
    of_agent: dict[tuple[str, str, str, Owner | None], list[int]] = {}
    decisions = 0
    for clock in clocks:
        decisions += 1
        for stage, wait in waits(clock):
            of_stage.setdefault((clock.route, stage), []).append(wait)
            of_agent.setdefault((clock.agent, clock.route, stage, clock.owners.get(stage)), []).append(wait)
    routes, stages = ({name: place for place, name in enumerate(names)} for names in (ROUTES, (*STAGES, WHOLE)))
    hidden = {key for key, found in of_agent.items() if key[3] is not None and key[3].person and len(found) < least}
    shown = sorted((key for key in of_agent if key not in hidden), key=lambda key: (key[0], routes[key[1]], stages[key[2]], key[3].who if key[3] else ""))
    return Velocity(
        decisions,
        tuple(_wait(*key, None, None, of_stage[key]) for key in sorted(of_stage, key=lambda key: (routes[key[0]], stages[key[1]]))),
        tuple(_wait(key[1], key[2], key[0], key[3], of_agent[key]) for key in shown),
        len(hidden),
    )


def waits(clock: Clock) -> Iterator[tuple[str, int]]:
    """What a decision waited at each stage that it has passed, and in whole."""
    decided = clock.confirmed if clock.confirmed is not None else clock.judged
    spans = (
        (clock.occurred, clock.received),
        (clock.received, clock.proposed),
        (clock.proposed, clock.judged),
        (clock.judged, clock.confirmed),
        (decided, clock.acted),
        (clock.received, clock.acted),
    )
    for stage, (begin, end) in zip((*STAGES, WHOLE), spans, strict=True):
        if begin is not None and end is not None:
            yield stage, max(0, end - begin)


def _wait(route: str, stage: str, agent: str | None, owner: Owner | None, found: list[int]) -> Wait:
    ordered = sorted(found)

    def not_exceeded(tenths: int) -> int:
        return ordered[-(-len(ordered) * tenths // 10) - 1]

    return Wait(route, stage, agent, owner, len(ordered), not_exceeded(5), not_exceeded(9), ordered[-1])
