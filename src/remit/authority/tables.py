"""The authority table as it is held once every row has been checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from remit.authority.conditions import Condition, Known, Test, Value, leaves
from remit.authority.counted import Limit
from remit.authority.guards import Guard
from remit.terms.facts import Kind
from remit.terms.verdicts import Ruling


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked row. `holds` and `expression` are its condition, compiled for one proposal and for a frame of them.

    `only_tightens`: the row is a confirm that speaks of a fact of source `model`, or stands in another layer than the company's table. It may turn autonomous
    into confirm, and never a denial into a confirm. `thresholds` are the names of those its condition reads; `layer` is empty in the company's table, else the
    country pack or charter that the row stands in.
    """

    id: str
    when: str
    condition: Condition
    ruling: Ruling
    owner: str
    reason: str
    roles: tuple[str, ...]
    deadline_us: int | None
    on_timeout: str | None
    only_tightens: bool
    holds: Test = field(compare=False, repr=False)
    expression: pl.Expr = field(compare=False, repr=False)
    thresholds: tuple[str, ...] = ()
    layer: str = ""

    @property
    def if_unknown(self) -> bool:
        """Whether the row applies where its condition is unknown. INVARIANT (unknown is never a yes): it may forbid or ask, and never allows."""
        return self.ruling is not Ruling.AUTONOMOUS


@dataclass(frozen=True, slots=True)
class Threshold:
    """A named value with an owner of its own, which conditions read by name."""

    name: str
    value: str
    owner: str
    says: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """A checked obligation: what whoever acts on a proposal must do (`must`) where its condition holds, or is unknown."""

    id: str
    when: str
    condition: Condition
    must: tuple[str, ...]
    owner: str
    reason: str
    holds: Test = field(compare=False, repr=False)
    expression: pl.Expr = field(compare=False, repr=False)
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Exploration:
    """A checked leave to try: of the proposals that meet its condition, one that was permitted and not chosen may be made with a probability of at most
    `tries`, and one that was chosen is left out with the probability `rests` (millionths, below one half)."""

    id: str
    when: str
    condition: Condition
    tries: int
    rests: int
    owner: str
    reason: str
    expression: pl.Expr = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A checked table. `digest` is the SHA-256 of its text in UTF-8; `kinds` are the facts its rows speak of, which each judgement must be given.
    Without `exploration` nothing is done but what is chosen for its value. `since` and `until` (UTC microseconds, half-open; None: open) say when it is in
    force. `limits` are counted over all that is recorded, and hold for whatever the rows allow; `guards` stop by themselves, or have a person asked. `turns` is
    the first instant after it was read at which its texts read otherwise by themselves: it begins or expires, a row of a pack does, a person leaves."""

    version: int
    name: str
    owner: str
    rules: tuple[Rule, ...]
    digest: str
    kinds: Mapping[str, Kind]
    exploration: tuple[Exploration, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    since: int | None = None
    until: int | None = None
    limits: tuple[Limit, ...] = ()
    guards: tuple[Guard, ...] = ()
    turns: int | None = None

    def in_force(self, now: int) -> bool:
        """Whether it is in force at `now` (UTC microseconds)."""
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)

    def always_forbids(self, **facts: Value) -> bool:
        """Whether one row forbids every proposal with these facts, whatever the others are or turn out to be."""
        known: dict[str, Value | None] = {**dict.fromkeys(self.kinds), **facts}
        return any(
            rule.ruling is Ruling.FORBIDDEN
            and rule.holds(known) is True
            and not any(isinstance(leaf, Known) and not leaf.known and leaf.fact not in facts for leaf in leaves(rule.condition))
            for rule in self.rules
        )
