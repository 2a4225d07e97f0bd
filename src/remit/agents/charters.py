"""Charters as their owners write them: one YAML file an agent."""

from collections.abc import Mapping
from io import StringIO

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from remit.agents.errors import AgentError
from remit.agents.proposers import PROPOSERS
from remit.terms.charters import PURPOSES, Charter
from remit.terms.documents import Document
from remit.terms.facts import FACTS, FEEDS
from remit.terms.labels import ADMITTED
from remit.terms.people import People, Person

RULED = {"rows": "row", "limits": "limit"}
"""The parts of a charter that only tighten what its agent may do, and what each entry is."""


def read_people(text: str, where: str) -> People:
    """People by id, from YAML of `id: {roles: [...], until: instant}`. Raises `AgentError` with every fault."""
    document = Document(_yaml(text, where), where)
    people = {id_: _person(id_, document.table(id_)) for id_ in document.names()}
    document.refuse(AgentError, "the file of people cannot be used")
    return people


def read_charter(text: str, where: str, people: People) -> Charter:
    """The charter in a YAML text; owner and watchers must be people on file. Raises `AgentError` with every fault.

    An expired charter is read: what it may still do (nothing) is for the authority to say, and so is what its rows and limits mean.
    """
    document = Document(_yaml(text, where), where)
    ruled = [document.raw(part) for part in RULED]
    charter = Charter(
        agent=document.text("agent"),
        proposer=document.text("proposer", among=PROPOSERS),
        objective=document.text("objective"),
        purpose=document.text("purpose", among=PURPOSES),
        owner=document.text("owner"),
        watchers=document.texts("watchers", ()),
        channels=document.texts("channels"),
        products=document.texts("products"),
        most_per_hcp=document.whole("most_per_hcp", least=1),
        expires=document.instant("expires"),
        floor=document.whole("floor", 0),
        uses=document.amounts("uses"),
        settings=_settings(document),
        rules=text if any(part is not None for part in ruled) else "",
        where=where,
        reads=_reads(document),
    )
    document.close()
    for key, ids in (("owner", (charter.owner,)), ("watchers", charter.watchers)):
        for id_ in ids:
            if id_ and id_ not in people:
                document.fault(key, f"is `{id_}`, who is not in the file of people")
    document.refuse(AgentError, "the charter cannot be used")
    return charter


def rules_of(charter: Charter) -> dict[tuple[str, str], str]:
    """What each row and limit of a charter says, by what it is and its id."""
    body = _yaml(charter.rules, charter.where)
    if not isinstance(body, dict):
        return {}
    parts = {what: body.get(part) for part, what in RULED.items()}
    items = [(what, each) for what, part in parts.items() if isinstance(part, list) for each in part if isinstance(each, dict)]
    return {(what, str(each.get("id"))): str(each) for what, each in items}


def _person(id_: str, document: Document) -> Person:
    person = Person(id_, frozenset(document.texts("roles")), document.instant("until") if "until" in document.names() else None)
    document.close()
    return person


def _settings(document: Document) -> Mapping[str, str | int]:
    proposer = PROPOSERS.get(document.text("proposer"))
    settings = document.table("settings", optional=True)
    known = proposer.settings if proposer else {}
    chosen: dict[str, str | int] = {key: settings.whole(key, default) for key, default in known.items()}
    settings.close()
    return chosen


def _reads(document: Document) -> tuple[str, ...]:
    """The facts that the agent is shown, each written with its information label, so that whoever signs knows what is given away."""
    purpose, reads = document.text("purpose"), document.table("reads", optional=True)
    names = tuple(sorted(reads.names()))
    for name in names:
        labelled = reads.text(name)
        if name not in FACTS:
            reads.fault(name, "is no fact of the dictionary")
        elif name not in FEEDS:
            reads.fault(name, f"is a fact that no agent is shown; those that may be are {', '.join(sorted(FEEDS))}")
        else:
            labels = " ".join(sorted(FACTS[name].labels))
            if labelled != labels:
                reads.fault(name, f"is labelled `{labels}`, and the charter says `{labelled}`")
            if not FACTS[name].labels <= ADMITTED.get(purpose, frozenset()):
                reads.fault(name, f"is labelled `{labels}`, which an agent for {purpose} work is not shown")
    return names


def _yaml(text: str, where: str) -> object:
    try:
        return YAML(typ="safe", pure=True).load(StringIO(text))
    except YAMLError as error:
        raise AgentError("the file is not YAML", where=where, faults=[" ".join(str(error).split())]) from None
