"""Which column of a company's list is which: names as companies write them."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "id": ("pilot id", "agent id", "use case id", "key", "ref", "reference"),
    "name": ("pilot", "pilot name", "agent", "agent name", "use case", "use case name", "project", "project name", "initiative", "solution", "tool", "title"),
    "objective": ("goal", "goals", "aim", "objectives", "description", "what it does", "business objective"),
    "purpose": ("kind of work", "type of work"),
    "metric": ("kpi", "kpis", "primary kpi", "success metric", "target metric", "measure", "measured by", "outcome"),
    "direction": ("metric direction", "kpi direction", "better", "better when"),
    "unit": ("metric unit", "kpi unit", "unit of measure"),
    "owner": ("business owner", "product owner", "pilot owner", "accountable", "responsible", "lead"),
    "vendor": ("supplier", "provider", "partner", "built by"),
    "channels": ("channel", "touchpoint", "touchpoints"),
    "products": ("product", "brand", "brands"),
    "universe": ("hcp universe", "target audience", "audience", "targets", "target group", "target hcps", "hcps", "segment", "population"),
    "sources": ("data sources", "data source", "data", "input data", "inputs", "datasets", "source"),
    "refresh": ("refresh rate", "data refresh", "update frequency", "refresh frequency", "latency"),
    "content": ("materials", "assets", "messages"),
    "content_review": ("content reviewed", "mlr", "mlr approved", "mlr review", "mlr status", "approved content"),
    "stop_contact": ("kill switch", "who can stop", "emergency contact", "escalation", "escalation contact"),
    "status": ("stage", "phase", "state"),
    "contacts_per_cycle": ("planned contacts", "contacts", "contacts per week", "touches", "touches per week", "volume"),
    "holdout": ("control group", "control", "test and control"),
    "expires": ("expiry", "expiry date", "end date", "end", "ends", "until", "review date"),
}
"""What else each column of the register may be called. Case, accents, blanks, underscores, hyphens and brackets do not count."""

_FEWEST = 3
_LOOKED_AT = 30


def plain(name: str) -> str:
    """A column's name as it is compared."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    return " ".join(re.findall(r"[a-z0-9]+", re.sub(r"\([^)]*\)", " ", letters)) or re.findall(r"[a-z0-9]+", letters))


_KNOWN = {plain(name): key for key, names in SYNONYMS.items() for name in (key, *names)}


def mapped(cells: Sequence[str], chosen: Mapping[str, str]) -> tuple[dict[str, int], list[str], list[str]]:
    """Which column holds what (key -> place), the names of columns that are left out, and faults. `chosen` maps plain names to keys, or to "" for columns
    that are to be left out. A column named as the register names it comes before one of another name."""
    places: dict[str, list[int]] = {}
    left: list[str] = []
    for place, cell in enumerate(cells):
        name = plain(cell)
        key = chosen.get(name, _KNOWN.get(name, ""))
        if key:
            places.setdefault(key, []).append(place)
        elif cell.strip():
            left.append(cell.strip())
    faults, found = [], {}
    for key, several in places.items():
        first = [place for place in several if plain(cells[place]) in chosen] or [place for place in several if plain(cells[place]) == plain(key)] or several
        if len(first) > 1:
            faults.append(f"{' and '.join(f'`{cells[place].strip()}`' for place in first)} would both be `{key}`; say which with --map")
        found[key] = first[0]
        left += [cells[place].strip() for place in several if place != first[0]]
    return found, left, faults


def find_header(rows: Sequence[Sequence[str]], chosen: Mapping[str, str]) -> int | None:
    """The row that names the columns: of the first rows the one with the most known names, a pilot's name or id among them; None if there is none."""
    best, most = None, _FEWEST - 1
    for place, row in enumerate(rows[:_LOOKED_AT]):
        found, _, _ = mapped(row, chosen)
        if len(found) > most and {"id", "name"} & set(found):
            best, most = place, len(found)
    return best
