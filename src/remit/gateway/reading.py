"""What a charter lets its agent read of physicians, and what is withheld: by what its work may be shown, by the physician's word, by a vendor's licence.

INVARIANT (granted): a fact is shown only if the charter names it, the purpose admits its labels, and no licence withholds it, asked anew for every answer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remit.gateway.facts import Contact
from remit.gateway.single import Single
from remit.intake import FEEDS as DELIVERED
from remit.terms.charters import EXTERNAL, Charter
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS, FEEDS, Kind
from remit.terms.labels import ADMITTED, Label
from remit.terms.proposals import Proposal

_PDRP = "not of physicians who keep their prescribing from reps, nor of those of whom that is not known"


@dataclass(frozen=True, slots=True)
class Licence:
    """From whom a feed is licensed, and which agents of others may read what comes from it."""

    vendor: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """What has happened to an HCP since what is known was taken: contacts, whether a stop says to leave the HCP alone, and what was reported, which changes
    facts."""

    contacts: Sequence[Contact] = ()
    stopped: bool = False
    told: Callable[[dict[str, Any]], dict[str, Any]] | None = None


def withheld(charter: Charter, licences: Mapping[str, Licence]) -> dict[str, str]:
    """The facts that the charter names and its agent is not shown, with why."""
    found = {}
    for name in charter.reads:
        if name not in FEEDS or not FACTS[name].labels <= ADMITTED[charter.purpose]:
            found[name] = f"an agent for {charter.purpose} work is not shown it"
        elif charter.proposer == EXTERNAL and (vendors := _closed(charter.agent, FEEDS[name], licences)):
            found[name] = f"it comes from data licensed from {' and '.join(vendors)}, whose licence does not name this agent as a reader"
    return found


def reads(charter: Charter, licences: Mapping[str, Licence]) -> list[str]:
    """The facts that the charter's agent is shown."""
    hidden = withheld(charter, licences)
    return [name for name in charter.reads if name not in hidden]


def said(charter: Charter, licences: Mapping[str, Licence]) -> dict[str, Any]:
    """What an agent is told of what it may read: `reads` with what each fact says, `withheld` with why."""
    shown = [
        {"fact": name, "labels": sorted(FACTS[name].labels), "says": FACTS[name].says, **({"but": _PDRP} if Label.PDRP in FACTS[name].labels else {})}
        for name in reads(charter, licences)
    ]
    return {"reads": shown, "withheld": [{"fact": name, "why": why} for name, why in withheld(charter, licences).items()]}


def facts_of(charter: Charter, hcp_id: str, single: Single, licences: Mapping[str, Licence], since: Since, now: int) -> list[dict[str, Any]]:
    """What the charter's agent may read of an HCP: a row for each of its products and channels through which it may reach the HCP. What is not known is null;
    what is withheld is not there."""
    names, rows = reads(charter, licences), []
    for product in charter.products:
        for channel in charter.channels if single.serves(hcp_id, [product]) else ():
            proposal = Proposal(hcp_id, charter.agent, channel, product, None, "", charter.purpose, 1, 0, exclusion=None, mandatory=False)
            facts = single.facts(proposal, now, since.contacts, stopped=since.stopped)
            facts = facts if since.told is None else since.told(facts)
            rows.append({"product": product, "channel": channel, **{name: _plain(name, facts[name]) for name in names if _may(name, facts)}})
    return rows


def _may(name: str, facts: Mapping[str, Any]) -> bool:
    return Label.PDRP not in FACTS[name].labels or facts["pdrp"] is False


def _plain(name: str, value: Any) -> Any:
    return value / MICRO if value is not None and FACTS[name].kind is Kind.NUMBER else value


def _closed(agent: str, tables: Iterable[str], licences: Mapping[str, Licence]) -> list[str]:
    """The vendors of feeds that may fill one of `tables` and do not name the agent as a reader."""
    wanted = set(tables)
    return sorted({licence.vendor for feed, licence in licences.items() if agent not in licence.readers and wanted & _filled(feed)})


def _filled(feed: str) -> set[str]:
    return {table for layout in DELIVERED[feed].files for table in layout.tables}
