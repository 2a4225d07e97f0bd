"""Stops: a scope in which nothing may be done, whatever a table allows. As rows of a table, so that a verdict names the stop that made it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

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


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop in force: `of` names what of its scope is stopped (empty for everything, and for HCPs, whose ids lie sealed)."""

    id: str
    scope: str
    of: str
    by: str
    reason: str


LEFT_ALONE = Stop("stop-hcp", "hcp", "", "", "this physician is to be left alone")
"""All stops of HCPs together: whom they leave alone is sealed."""


def stopped(table: Table, stops: Iterable[Stop]) -> Table:
    """`table` with a forbidden row for each stop. Where a fact of the scope is not known, the stop holds."""
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
        ruling=Ruling.FORBIDDEN,
        owner=stop.by or owner,
        reason=f"Stopped: {stop.reason}",
        roles=(),
        deadline_us=None,
        on_timeout=None,
        only_tightens=False,
        holds=to_python(condition),
        expression=to_polars(condition),
        layer="stop",
    )
