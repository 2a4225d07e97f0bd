"""From a company's list of pilots to the register: every row taken, or none, and every row that cannot be is told."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remit.agents.errors import AgentError
from remit.agents.portfolio.cells import READERS, CellError, direction_of, empty, sources
from remit.agents.portfolio.columns import SYNONYMS, find_header, mapped, plain
from remit.agents.portfolio.pilots import Metric, Pilot, Universe, slug
from remit.agents.portfolio.register import LONGEST, cleaned
from remit.agents.portfolio.sheets import Rows, unquoted


@dataclass(frozen=True, slots=True)
class Imported:
    """Pilots as a list gave them. `header` is the row that named the columns, `columns` which column was taken for what, `left_out` those that were taken for
    nothing, `cleaned` the rows in which characters that cannot be seen were dropped."""

    pilots: tuple[Pilot, ...]
    header: int
    columns: Mapping[str, str]
    left_out: tuple[str, ...]
    cleaned: tuple[int, ...]


def import_rows(
    sheets: Mapping[str, Rows],
    where: str,
    *,
    choices: Sequence[str] = (),
    sheet: str | None = None,
    chartered: Collection[str] = (),
    known: Collection[str] = (),
) -> Imported:
    """The pilots of the one sheet that lists any. `choices` say of columns what they are (`Their column=objective`; nothing after the sign: left out);
    `chartered` are agents that act under a charter, `known` ids that may not be given again. Raises `AgentError` with every fault by its row."""
    chosen = _chosen(choices, where)
    name, rows, header = _sheet(sheets, sheet, chosen, where)
    places, left, faults = mapped(rows[header], chosen)
    unknown = sorted(set(chosen) - {plain(cell) for cell in rows[header]})
    faults += [f"--map names `{each}`, and row {header + 1} has no such column" for each in unknown]
    if faults:
        raise AgentError("the columns cannot be told apart", where=_where(where, name), faults=faults)
    pilots, seen, dirty = list[Pilot](), dict[str, int](), list[int]()
    for number, cells in enumerate(rows[header + 1 :], start=header + 2):
        if not any(cell.strip() for cell in cells):
            continue
        values, was_dirty = _values(cells, places)
        pilot, told = _pilot(values)
        dirty += [number] if was_dirty else []
        if pilot.id and pilot.id in seen:
            told.append(f"`{pilot.id}` is also row {seen[pilot.id]}; give each its own id")
        elif pilot.id in chartered:
            told.append(f"`{pilot.id}` acts under a charter here, which says what it is for; take the row out, or give it another id")
        elif pilot.id in known:
            told.append(f"`{pilot.id}` is in the register; give --replace to put this row in its place")
        seen.setdefault(pilot.id, number)
        pilots.append(pilot)
        faults += [f"row {number}: {each}" for each in told]
    if not faults and not pilots:
        faults = [f"row {header + 1} names columns, and no row follows it"]
    if faults:
        raise AgentError("the list of pilots cannot be taken", where=_where(where, name), faults=faults, do="Mend these rows; nothing was imported.")
    named = {rows[header][place].strip(): key for key, place in sorted(places.items(), key=lambda each: each[1])}
    return Imported(tuple(pilots), header + 1, named, tuple(left), tuple(dirty))


def _chosen(choices: Sequence[str], where: str) -> dict[str, str]:
    chosen, faults = {}, []
    for choice in choices:
        name, sign, key = choice.rpartition("=")
        if not sign or not plain(name) or (key.strip() and key.strip() not in SYNONYMS):
            faults.append(f"`{choice}` does not say `Their column=one of {', '.join(SYNONYMS)}`, or `Their column=` to leave it out")
        chosen[plain(name)] = key.strip()
    if faults:
        raise AgentError("--map cannot be read", where=where, faults=faults)
    return chosen


def _sheet(sheets: Mapping[str, Rows], wanted: str | None, chosen: Mapping[str, str], where: str) -> tuple[str, Rows, int]:
    if wanted is not None and wanted not in sheets:
        raise AgentError(f"there is no sheet `{wanted}`", where=where, do=f"The sheets are {', '.join(f'`{name}`' for name in sheets if name) or 'not named'}.")
    found = [
        (name, rows, header)
        for name, rows in sheets.items()
        if wanted in (None, name) and (header := find_header([[cleaned(cell)[0] for cell in row] for row in rows], chosen)) is not None
    ]
    if not found:
        what = "no row names the columns: a pilot's name or id, and two more that are known"
        do = "Known names are in docs/concepts/portfolio.md; say what others are: --map 'Their column=objective'."
        raise AgentError(what, where=where, do=do)
    if len(found) > 1:
        raise AgentError(f"{' and '.join(f'`{name}`' for name, _, _ in found)} both list pilots", where=where, do="Say which with --sheet.")
    name, rows, header = found[0]
    width = max(map(len, rows))
    return name, [[*row, *[""] * (width - len(row))] for row in rows], header


def _values(cells: Sequence[str], places: Mapping[str, int]) -> tuple[dict[str, str], bool]:
    """What each key's cell says, "" where nothing; and whether characters were dropped."""
    texts = {key: unquoted(cells[place]) for key, place in places.items()}
    # Lists may be written a line each, so the cells of lists keep their lines.
    found = {key: cleaned(_LINE.sub(";" if key in _LISTS else " ", text)) for key, text in texts.items()}
    said = {key: "" if empty(text) or (key not in READERS and plain(text) == "none") else text for key, (text, _) in found.items()}
    return said, any(dirty for _, dirty in found.values())


_LISTS = ("channels", "products", "universe", "sources")
_LINE = re.compile(r"\r\n|[\r\n\x0b]")


def _pilot(values: Mapping[str, str]) -> tuple[Pilot, list[str]]:
    faults: list[str] = []

    def read(key: str, default: Any) -> Any:
        cell = values.get(key, "")
        if not cell:
            return default
        try:
            return READERS[key](cell)
        except CellError as error:
            faults.append(f"`{key}`: {error}")
            return default

    for key, text in values.items():
        if len(text) > LONGEST:
            faults.append(f"`{key}` has {len(text):,} characters; at most {LONGEST:,}")
    id_ = slug(values.get("id") or values.get("name", ""))
    if not id_:
        faults.append("it has neither a name nor an id that can be written in small letters and digits")
    if not values.get("objective"):
        faults.append(f"`{values.get('name') or values.get('id') or 'it'}` has no objective")
    if not values.get("status"):
        faults.append("it has no status (idea, pilot, live or stopped)")
    found: dict[str, str] = {}
    try:
        found = sources(values.get("sources", ""), values.get("refresh", ""))
    except CellError as error:
        faults.append(f"`sources`: {error}")
    direction = read("direction", "")
    metric = values.get("metric", "")
    pilot = Pilot(
        id=id_,
        objective=values.get("objective", ""),
        purpose=read("purpose", "promotional"),
        metric=Metric(metric, direction or direction_of(metric), values.get("unit", "")) if metric else None,
        owner=values.get("owner", ""),
        vendor=values.get("vendor", ""),
        channels=read("channels", ()),
        products=read("products", ()),
        universe=read("universe", Universe()),
        sources=found,
        content=values.get("content", ""),
        content_review=read("content_review", None),
        stop_contact=values.get("stop_contact", ""),
        status=read("status", "idea"),
        contacts_per_cycle=read("contacts_per_cycle", None),
        holdout=read("holdout", None),
        expires=read("expires", None),
    )
    return pilot, faults


def _where(where: str, sheet: str) -> str:
    return f"{where}, sheet `{sheet}`" if sheet else where
