"""The page of `remit portfolio compare`: contacts per HCP before and after, and who displaces whom."""

from collections.abc import Mapping
from html import escape
from typing import Any

from remit.runtime.charts import grid, pairs
from remit.runtime.page import document, table
from remit.terms.encoding import MICRO

_MOST_CONTACTS = 12
_LEGEND = (
    "A row is the agent that is there, a column the one that would have more without it; the darker, the more. Blue: it would have less, because the "
    "row's calls carry its details, or others would take more of what both want."
)


def compare_page(result: Mapping[str, Any]) -> str:
    """The HTML of what `compared` returns."""
    title = f"{len(result['agents'])} agents, alone and together: {result['cycle']}"
    contacts = result["contacts"]
    before, after = contacts["before"], contacts["after"]
    told = (
        f"Of {contacts['hcps']:,} physicians whom an agent may contact, {before['over']:,} would get more than the {result['per_cycle']} contacts allowed if "
        f"each agent went alone (at most {before['most']}, {before['mean']:.2f} on average); together {after['over']:,} (at most {after['most']}, "
        f"{after['mean']:.2f})."
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{escape(result["now"])}. Alone, an agent has all capacity and every physician to itself.</p>',
        *(f"<p>{escape(said)}</p>" for said in result["says"]),
        "<h2>Contacts per physician in the cycle</h2>",
        f"<p>{escape(told)}</p>",
        pairs(_bars(contacts["distribution"]), ("each alone, summed", "together"), "Physicians by contacts, before and after", "contacts of one physician"),
    ]
    for purpose in result["purposes"]:
        parts += _purpose(result, purpose)
    return document(title, parts)


def _bars(distribution: list[dict[str, int]]) -> list[tuple[str, int, int]]:
    """The distribution, its long end in one bar."""
    rows = [(str(row["contacts"]), row["before"], row["after"]) for row in distribution]
    if len(rows) <= _MOST_CONTACTS + 1:
        return rows
    tail = rows[_MOST_CONTACTS:]
    return [*rows[:_MOST_CONTACTS], (f"{_MOST_CONTACTS}+", sum(row[1] for row in tail), sum(row[2] for row in tail))]


def _purpose(result: Mapping[str, Any], purpose: Mapping[str, Any]) -> list[str]:
    name, unit = purpose["purpose"], "points" if purpose["purpose"] == "medical" else result["currency"]
    rows = [row for row in result["agents"] if row["purpose"] == name]
    alone, together = purpose["alone"], purpose["together"]
    share = f", {together['value'] / alone['value']:.0%} of it" if alone["value"] > 0 else ""
    told = f"Summed, each alone would claim {_amount(alone['value'])} {unit}; together they have {_amount(together['value'])}{share}."
    parts = [f"<h2>{escape(name.capitalize())} ({escape(unit)})</h2>", f"<p>{escape(told)}</p>"]
    matrix = result["displaces"][name]
    if matrix:
        agents = [row["agent"] for row in rows]
        cells = [[None if one == other else matrix[one][other] / MICRO for other in agents] for one in agents]
        parts += [
            "<h3>Who displaces whom</h3>",
            f'<p class="quiet">{_LEGEND}</p>',
            grid(agents, cells, f"What each {name} agent displaces of each other", unit),
        ]
    head = ["agent", "value alone", "together", "displaced", "actions alone", "together", "contacts alone", "together"]
    body = [
        [
            row["agent"],
            *(_amount(value) for value in (row["alone"]["value"], row["together"]["value"], row["displaced"])),
            *(f"{row[when][what]:,}" for what in ("actions", "contacts") for when in ("alone", "together")),
        ]
        for row in rows
    ]
    return [*parts, "<h3>Alone and together</h3>", table(head, body)]


def _amount(micro: int | None) -> str:
    return "" if micro is None else f"{micro / MICRO:,.0f}"
