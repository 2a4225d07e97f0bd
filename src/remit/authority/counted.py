"""Counted limits: how much may be done within a span of time. A row of the table looks at one proposal, a limit at all that was recorded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from remit.authority.documents import Section
from remit.authority.errors import nearest
from remit.terms.charters import PURPOSES
from remit.terms.encoding import MICRO
from remit.terms.errors import ClockError
from remit.terms.instants import add_span

LIMIT_KEYS = ("id", "of", "per", "within", "most", "where", "owner", "reason")
PER = ("hcp", "agent", "channel", "product")
WHERE = ("agent", "channel", "product", "purpose")
EVER = "ever"
_MOST = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` (micro-units) `of` actions, contacts or a resource `within` a span (`ever`: without end), together or `per` each HCP, agent, channel
    or product, of what is done `where` each of these is one of the values given. Of `contacts`, a call counts once, for the agent and product that open it."""

    id: str
    of: str
    per: tuple[str, ...]
    within: str
    most: int
    where: Mapping[str, tuple[str, ...]]
    owner: str
    reason: str
    layer: str = ""

    @property
    def per_hcp(self) -> bool:
        """Whether each HCP has a count of its own."""
        return "hcp" in self.per

    @property
    def of_opener(self) -> bool:
        """Whether it must be known which agent or product opens a call."""
        return self.of != "actions" and bool({"agent", "product"} & {*self.per, *self.where})

    def speaks_of(self, **values: str) -> bool:
        """Whether it counts what has these values of agent, channel, product and purpose; one that is not named is not asked."""
        return all(values[name] in allowed for name, allowed in self.where.items() if name in values)

    def name(self, **values: str) -> str:
        """What its count of these values is called: the name of a resource of the arbiter."""
        return "/".join(["limit", self.id, *(values[name] for name in self.per if name != "hcp")])

    def since(self, now: int) -> int | None:
        """What happened after this instant counts at `now` (None: whatever happened): half-open, so that two instants a whole span apart are never together."""
        return None if self.within == EVER else add_span(now, self.within, -1)


def read_limit(row: Section, limit_id: str, owner: str, layer: str = "") -> Limit:
    """The limit that a section holds; its faults are noted there."""
    of, per, where = row.text("of"), _per(row), _where(row)
    limit = Limit(limit_id, of, per, span_of(row), _most(row, of), MappingProxyType(where), owner, row.text("reason"), layer)
    if limit.per_hcp:
        _check_per_hcp(row, limit)
    return limit


def _per(row: Section) -> tuple[str, ...]:
    named = row.texts("per") if row.has("per") else ()
    for word in named:
        if word not in PER:
            row.fault(f"`{word}` is nothing to count by{nearest(word, PER)}; it is counted per {', '.join(PER)}, or without `per` all together", "per")
    if len(set(named)) < len(named):
        row.fault("`per` names something twice", "per")
    return tuple(name for name in PER if name in named)


def _where(row: Section) -> dict[str, tuple[str, ...]]:
    if not row.has("where"):
        return {}
    section = row.section("where")
    section.only(WHERE)
    where = {name: section.texts(name) for name in WHERE if section.has(name)}
    for word in where.get("purpose", ()):
        if word not in PURPOSES:
            section.fault(f"`{word}` is no purpose{nearest(word, PURPOSES)}; they are {', '.join(PURPOSES)}", "purpose")
    return where


def span_of(row: Section) -> str:
    """The span of time that `within` names, or `EVER`; empty where it is not given."""
    span = row.text("within")
    try:
        if span and span != EVER and add_span(0, span) <= 0:
            raise ClockError("it has no length")
    except ClockError:
        row.fault(f"within `{span}` is not a span of time; write it as `1 day`, `7 days` or `52 weeks`, or `{EVER}`", "within")
        return EVER
    return span


def _most(row: Section, of: str) -> int:
    """In micro-units."""
    text = row.text("most")
    if not _MOST.fullmatch(text):
        if text:
            row.fault(f"most `{text}` is not a number from 0 with at most six decimals", "most")
        return 0
    whole, _, decimals = text.partition(".")
    most = int(whole) * MICRO + int(decimals.ljust(6, "0") or 0)
    if of in ("actions", "contacts") and most % MICRO:
        row.fault(f"most `{text}` must be a whole number: {of} are counted", "most")
    return most


def _check_per_hcp(row: Section, limit: Limit) -> None:
    """A cycle holds a limit per HCP as the HCP's allowance, or as that of one of its channels, and purposes are chosen one after another."""
    named = [*(name for name in limit.per if name not in ("hcp", "channel")), *(name for name in limit.where if name not in ("channel", "purpose"))]
    several = len(limit.where.get("channel", ())) > 1
    if limit.of != "contacts" or named or several:
        does = "so that a cycle can hold it exactly, a limit per hcp counts `of: contacts`, also per channel if need be, and its `where` names purposes"
        row.fault(f"{does} and at most one channel: make other limits of their own, without hcp", "per")
