"""`portfolio.yaml`: pilots on file, read with every fault by its line, and written without touching what a person wrote beside them."""

import re
from collections.abc import Collection, Iterable, Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node

from remit.agents.errors import AgentError
from remit.agents.portfolio.pilots import DIRECTIONS, STATUSES, UNIVERSES, Metric, Pilot, Universe
from remit.terms.charters import PURPOSES
from remit.terms.documents import Document
from remit.terms.instants import format_instant

LONGEST = 2000
"""Characters of a text."""

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
SAID_BY_CHARTERS = ("objective", "purpose", "owner", "channels", "products", "status", "expires")

_HEAD = "# Pilots that do not act under a charter here, and what charters do not say of those that do. `remit portfolio import FILE` adds to it.\n"


def read_register(text: str, where: str, charters: Mapping[str, Pilot]) -> dict[str, Pilot]:
    """The pilots of a YAML text by id, and those of `charters`, completed by what the text adds to them. Raises `AgentError` with every fault by its line."""
    try:
        aliases = [event.start_mark.line + 1 for event in YAML(pure=True).parse(StringIO(text)) if isinstance(event, AliasEvent)]
        if aliases:
            raise AgentError("entries may not refer to each other", where=where, faults=[f"line {line}: `*` names another place" for line in aliases])
        body = YAML(typ="safe", pure=True).load(StringIO(text))
        lines = _lines(YAML(pure=True).compose(StringIO(text)))
    except YAMLError as error:
        raise AgentError("the file is not YAML", where=where, faults=[" ".join(str(error).split())]) from None
    document = Document({} if body is None else body, where)
    document.faults += _controls("", body)
    entries = document.table("pilots", optional=True)
    found = dict(charters)
    for id_ in entries.names():
        name = str(id_)
        if not _ID.fullmatch(name) or len(name) > 60:
            document.fault(f"pilots.{name}", "must be up to 60 small letters and digits joined by hyphens, such as `rep-copilot`")
        found[name] = _pilot(name, entries.table(id_), charters.get(name))
    document.close()
    if document.faults:
        told = sorted(((_line(fault, lines), fault) for fault in document.faults), key=lambda each: each[0])
        faults = [f"line {line}: {fault}" for line, fault in told]
        raise AgentError("the register of pilots cannot be used", where=where, faults=faults, do="Mend these lines; nothing was loaded.")
    return dict(sorted(found.items()))


def _pilot(id_: str, document: Document, charter: Pilot | None) -> Pilot:
    given = document.names()
    if charter is not None:
        for key in SAID_BY_CHARTERS:
            if key in given:
                document.fault(key, f"is what the charter of `{id_}` says; take it out here, or change the charter")
    base = charter or Pilot(id_)
    pilot = Pilot(
        id=id_,
        objective=base.objective if charter else _text(document, "objective"),
        purpose=base.purpose if charter else document.text("purpose", base.purpose, among=PURPOSES),
        metric=_metric(document.table("metric")) if "metric" in given else base.metric,
        owner=base.owner if charter else _text(document, "owner", ""),
        vendor=_text(document, "vendor", base.vendor),
        channels=base.channels if charter else document.texts("channels", ()),
        products=base.products if charter else document.texts("products", ()),
        universe=_universe(document) if "universe" in given else base.universe,
        sources=_sources(document.table("sources")) if "sources" in given else base.sources,
        content=_text(document, "content", base.content),
        content_review=document.flag("content_review") if "content_review" in given else base.content_review,
        stop_contact=_text(document, "stop_contact", base.stop_contact),
        status=base.status if charter else document.text("status", among=STATUSES),
        contacts_per_cycle=document.whole("contacts_per_cycle") if "contacts_per_cycle" in given else None,
        holdout=document.flag("holdout") if "holdout" in given else base.holdout,
        expires=base.expires if charter else (document.instant("expires") if "expires" in given else None),
        charter=base.charter,
    )
    for key in SAID_BY_CHARTERS if charter else ():
        document.raw(key)  # told above; not told again as unknown
    document.close()
    return pilot


def _text(document: Document, key: str, default: str | None = None) -> str:
    text = document.text(key, default)
    if len(text) > LONGEST:
        document.fault(key, f"has {len(text):,} characters; at most {LONGEST:,}")
    if default is None and key in document.names() and not text.strip():
        document.fault(key, "is empty")
    return " ".join(text.split())


def _metric(document: Document) -> Metric:
    metric = Metric(_text(document, "name"), document.text("direction", "", among=DIRECTIONS), _text(document, "unit", ""))
    document.close()
    return metric


def _universe(document: Document) -> Universe:
    if document.raw("universe") == "all":
        return Universe("all")
    universe = document.table("universe")
    kinds = [name for name in universe.names() if name in UNIVERSES]
    if len(kinds) != 1:
        universe.fault("", f"must be `all`, or a table with one of {', '.join(UNIVERSES)}")
    found = Universe()
    if kinds[:1] == ["hcps"]:
        found = Universe("hcps", hcps=universe.whole("hcps", least=1))
    elif kinds:
        raw = universe.raw(kinds[0])
        members = tuple(str(each) for each in raw) if isinstance(raw, list) else ()
        if not members:
            universe.fault(kinds[0], "must be a list, such as [cardiology] or [8, 9, 10]")
        if kinds[0] == "deciles" and not set(members) <= {str(decile) for decile in range(1, 11)}:
            universe.fault("deciles", "must be whole numbers from 1 to 10 (10: those who prescribe most)")
        found = Universe(kinds[0], tuple(dict.fromkeys(members)))
    universe.close()
    return found


def _sources(document: Document) -> dict[str, str]:
    """Source -> how often it is renewed; an empty value says that nobody knows."""
    return {str(name): document.span(name) if document.raw(name) not in (None, "") else "" for name in document.names()}


def written(pilot: Pilot) -> dict[str, Any]:
    """The pilot as the register writes it: what was said, and nothing else."""
    metric, universe = pilot.metric, pilot.universe
    said: dict[str, Any] = {
        "objective": pilot.objective,
        "purpose": pilot.purpose if pilot.purpose != "promotional" else "",
        "metric": None if metric is None else {key: value for key in ("name", "direction", "unit") if (value := getattr(metric, key))},
        "owner": pilot.owner,
        "vendor": pilot.vendor,
        "channels": list(pilot.channels),
        "products": list(pilot.products),
        "universe": _universe_written(universe),
        "sources": dict(pilot.sources),
        "content": pilot.content,
        "content_review": pilot.content_review,
        "stop_contact": pilot.stop_contact,
        "status": pilot.status,
        "contacts_per_cycle": pilot.contacts_per_cycle,
        "holdout": pilot.holdout,
        "expires": None if pilot.expires is None else format_instant(pilot.expires),
    }
    return {key: value for key, value in said.items() if value is not None and value not in ("", [], {})}


def _universe_written(universe: Universe) -> Any:
    if universe.by in ("", "all"):
        return universe.by
    if universe.by == "hcps":
        return {"hcps": universe.hcps}
    return {universe.by: [int(each) for each in universe.members] if universe.by == "deciles" else list(universe.members)}


def with_entries(text: str, pilots: Iterable[Pilot]) -> str:
    """The register's `text` with these pilots in place of those of their ids, or after the last; comments and all else stay as they are."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 160, True
    body = yaml.load(StringIO(text or _HEAD)) or CommentedMap()
    entries = body.setdefault("pilots", CommentedMap())
    if entries is None:
        entries = body["pilots"] = CommentedMap()
    for pilot in pilots:
        entries[pilot.id] = written(pilot)
    out = StringIO()
    yaml.dump(body, out)
    return out.getvalue() if text else _HEAD + out.getvalue().removeprefix(_HEAD)


def ids_of(text: str) -> frozenset[str]:
    """The ids that the register's text holds entries of; none where it is empty or cannot be read."""
    try:
        body = YAML(typ="safe", pure=True).load(StringIO(text))
    except YAMLError:
        return frozenset()
    pilots = body.get("pilots") if isinstance(body, Mapping) else None
    return frozenset(map(str, pilots)) if isinstance(pilots, Mapping) else frozenset()


def _lines(node: Node | None, path: str = "") -> dict[str, int]:
    """The line of every key, by its path."""
    found: dict[str, int] = {}
    if isinstance(node, MappingNode):
        for key, value in node.value:
            at = f"{path}.{key.value}" if path else str(key.value)
            found |= {at: key.start_mark.line + 1, **_lines(value, at)}
    return found


def _line(fault: str, lines: Mapping[str, int]) -> int:
    named = re.match(r"`([^`]*)`", fault)
    path = named[1] if named else ""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 1)


def _controls(path: str, value: object) -> list[str]:
    """Texts with characters that cannot be seen: what shows a person one thing and a terminal another is not let in."""
    if isinstance(value, Mapping):
        return [fault for key, each in value.items() for fault in (*_controls(path, str(key)), *_controls(f"{path}.{key}" if path else str(key), each))]
    if isinstance(value, Collection) and not isinstance(value, str):
        return [fault for each in value for fault in _controls(path, each)]
    hit = _CONTROL.search(value) if isinstance(value, str) else None
    return [f"`{path}` holds the character U+{ord(hit[0]):04X}, which cannot be seen; take it out"] if hit else []


def cleaned(text: str) -> tuple[str, bool]:
    """The text in one line without characters that cannot be seen, and whether there were any."""
    seen = _CONTROL.sub("", text)
    return " ".join(seen.split()), seen != text
