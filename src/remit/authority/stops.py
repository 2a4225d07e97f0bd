"""Stops: a scope in which nothing may be done, whatever a table allows; and downgrades, in which nothing may be done without a person. As rows of a table, so
that a verdict names the stop that made it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from remit.authority.conditions import AnyOf, Compare, Condition, Constant, facts_of, to_polars, to_python
from remit.authority.tables import Rule, Table
from remit.terms.facts import FACTS
from remit.terms.verdicts import Ruling

SCOPES: Mapping[str, tuple[str, ...]] = {
    "everything": (),
    "agent": ("agent",),
    "product": ("product",),
    "market": ("market",),
    "channel": ("channel",),
    "content": ("content_id",),
    "model": ("lead_model", "response_model"),
    "hcp": ("hcp_stopped",),
}
"""What may be stopped, and the facts that say whether a proposal is within."""


MACHINE = "remit"
"""Who stopped, where a guard did."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop in force: `of` names what of its scope is stopped (empty for everything, and for HCPs, whose ids lie sealed). With `roles` it is a downgrade:
    what a machine might do by itself, they are asked for. `owner` answers for the guard that tripped."""

    id: str
    scope: str
    of: str
    by: str
    reason: str
    owner: str = ""
    roles: tuple[str, ...] = ()
    deadline_us: int | None = None
    on_timeout: str | None = None


def read_stop(body: Mapping[str, Any]) -> Stop:
    """The stop or downgrade that an entry's body says."""
    name, scope, of, by, reason = (str(body[name]) for name in ("stop", "scope", "of", "by", "reason"))
    return Stop(name, scope, of, by, reason, str(body.get("owner", "")), tuple(body.get("roles", ())), body.get("deadline_us"), body.get("on_timeout"))


LEFT_ALONE = Stop("stop-hcp", "hcp", "", "", "this physician is to be left alone")
"""All stops of HCPs together: whom they leave alone is sealed."""


def stopped(table: Table, stops: Iterable[Stop]) -> Table:
    """`table` with a forbidden row for each stop, and for each downgrade one that asks. Where a fact of the scope is not known, the stop holds."""
    rules = tuple(_rule(stop, table.owner) for stop in stops)
    kinds = {fact: FACTS[fact].kind for rule in rules for fact in facts_of(rule.condition)}
    return replace(table, rules=(*table.rules, *rules), kinds=MappingProxyType(dict(sorted({**table.kinds, **kinds}.items()))))


def _rule(stop: Stop, owner: str) -> Rule:
    facts = SCOPES[stop.scope]
    condition: Condition = AnyOf(tuple(Compare(fact, "=", stop.of or True) for fact in facts)) if facts else Constant(True)
    return Rule(
        id=stop.id,
        when=" OR ".join(f"{fact} = '{stop.of}'" if stop.of else fact for fact in facts) or "TRUE",
        condition=condition,
        ruling=Ruling.CONFIRM if stop.roles else Ruling.FORBIDDEN,
        owner=stop.owner or stop.by or owner,
        reason=f"{'Downgraded' if stop.roles else 'Stopped'}: {stop.reason}",
        roles=stop.roles,
        deadline_us=stop.deadline_us,
        on_timeout=stop.on_timeout,
        only_tightens=bool(stop.roles),
        holds=to_python(condition),
        expression=to_polars(condition),
        layer="stop",
    )
