"""What an agent is told it may do: rows of the table that can speak of it, in words and as data; whom it may reach; what it may carry; what things cost."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from remit.authority import Rule, Table
from remit.gateway.between import Standing
from remit.gateway.facts import on_file
from remit.gateway.messages import LARGEST, MOST
from remit.gateway.reading import said
from remit.gateway.stood import most_standing
from remit.terms.charters import EXTERNAL, Charter
from remit.terms.encoding import MICRO
from remit.terms.instants import FOREVER, format_instant
from remit.terms.verdicts import Ruling

_SAYS = {
    Ruling.AUTONOMOUS: "done by itself, if nothing else speaks against it",
    Ruling.CONFIRM: "done only with a yes of {roles}",
    Ruling.FORBIDDEN: "never done",
}


def describe(charter: Charter, standing: Standing, table: Table, left: Mapping[str, int]) -> dict[str, Any]:
    """The answer to `describe`; `left` is what is left of each resource (micro-units)."""
    known = standing.single.known
    content = on_file(known.content, known.now).filter(pl.col("product").is_in(list(charter.products)) & pl.col("channel").is_in(list(charter.channels)))
    rows = content.select("content_id", "product", "channel", "communication_type", "status", "valid_to").sort("content_id", "product", "channel")
    uses = {name for channel in charter.channels for name in (dict(charter.uses) | dict(standing.channels[channel].uses))}
    prices = standing.prices.get(charter.purpose, {})
    return {
        "agent": charter.agent,
        "objective": charter.objective,
        "purpose": charter.purpose,
        "owner": charter.owner,
        "channels": list(charter.channels),
        "products": list(charter.products),
        "charter_ends": format_instant(charter.expires),
        "cycle": standing.cycle,
        "known_at": format_instant(known.now),
        "hcps": len(standing.single.served(charter.products)),
        "table": {"name": table.name, "version": table.version, "digest": table.digest},
        "rows": [_told(rule) for rule in table.rules if _may_speak(rule, charter, table)],
        "what_no_row_allows": "is forbidden",
        "content": [row | {"valid_to": None if row["valid_to"] >= FOREVER else format_instant(row["valid_to"])} for row in rows.iter_rows(named=True)],
        "resources": {name: {"price": price / MICRO, "left": left.get(name, 0) / MICRO} for name, price in prices.items() if _named_by(name, uses)},
        "contacts": {"a_cycle": standing.per_cycle, f"in {standing.window}": standing.per_window},
        **said(charter, standing.licences),
        "standing": most_standing(charter, standing) if charter.proposer == EXTERNAL else 0,
        "request": {"bytes": LARGEST, "proposals": MOST},
    }


def _told(rule: Rule) -> dict[str, Any]:
    says = _SAYS[rule.ruling].format(roles=" and ".join(rule.roles))
    return {"id": rule.id, "verdict": rule.ruling.value, "when": rule.when, "reason": rule.reason, "says": says, "owner": rule.owner, "roles": list(rule.roles)}


def _may_speak(rule: Rule, charter: Charter, table: Table) -> bool:
    """Whether the row's condition is not surely false for this agent, whatever else is the case."""
    unknown: dict[str, Any] = dict.fromkeys(table.kinds)
    fixed = {"agent": charter.agent, "purpose": charter.purpose}
    return any(
        rule.holds({**unknown, **fixed, "channel": channel, "product": product}) is not False for channel in charter.channels for product in charter.products
    )


def _named_by(name: str, templates: set[str]) -> bool:
    return any(name == template or ("{" in template and name.startswith(template.split("{", 1)[0])) for template in templates)
