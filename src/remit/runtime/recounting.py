"""Decisions between cycles, told: which there are, one of them by its receipt, and the price at which it would have turned."""

import re
from collections.abc import Mapping
from typing import Any

from remit.gateway import between
from remit.ledger import Records, Stored
from remit.runtime.cycles import cycle_body
from remit.runtime.errors import WorkspaceError
from remit.runtime.rederiving import decisions
from remit.terms.encoding import MICRO
from remit.terms.instants import format_instant
from remit.terms.verdicts import OBLIGATIONS

_ID = re.compile(r"^(?:(cycle-\d+)\.between/)?(\d+|[0-9a-f]{32})$")
_FACTS = ("rx_age_h", "rx_feed_age_h", "consent_feed_age_h", "alignment_feed_age_h", "model_age_h")
_BECAME = {"chosen": "chosen", "waiting": "chosen, and waiting for a person", "outbid": "not chosen", "forbidden": "never a candidate"}


def is_between(name: str) -> bool:
    """Whether this can name a decision between cycles: `cycle-0002.between/17`, or the id that its agent was told."""
    return _ID.match(name) is not None and not name.isdigit()


def found(records: Records, name: str) -> tuple[str, Stored]:
    """The cycle after which a decision was made, and its entry. Raises `WorkspaceError` if there is none of that name."""
    match = _ID.match(name)
    cycle, which = (match[1], match[2]) if match else (None, "")
    if cycle is not None:
        cycle_body(records, cycle)
    for each in [cycle] if cycle else reversed([entry.cycle for entry in records.entries(kind="cycle")]):
        for entry in decisions(records, between(each)):
            if which in (str(entry.body["id"]), str(number_of(entry))):
                return each, entry
    raise WorkspaceError(f"the ledger holds no decision `{name}`", do="See `remit show decisions --cycle cycle-0002.between` of the cycle that it followed.")


def number_of(entry: Stored) -> int | None:
    """The number of a decision among those of its label; None where it was recorded before all had one, and its HCP's or not an action."""
    number = entry.body.get("number", (entry.payload or {}).get("number"))
    return None if number is None else int(number)


def receipt(records: Records, name: str) -> bytes:
    """The receipt of a decision. Raises `WorkspaceError` if there is none of that name, or it was about an HCP who was erased."""
    cycle, entry = found(records, name)
    if entry.gone:
        raise WorkspaceError(f"`{name}` was about an HCP who has been erased", do="`remit verify` shows that the log still holds.")
    return records.receipt_between(entry.seq, cycle)


def listed(records: Records, label: str, agent: str | None, disposition: str | None, limit: int) -> dict[str, Any]:
    """Decisions of a label, chosen ones first, with how many there are; those of erased HCPs are counted as gone."""
    entries = sorted(decisions(records, label), key=lambda entry: number_of(entry) or 0)
    rows = [_row(entry, entry.payload) for entry in entries if entry.payload is not None]
    rows = [row for row in rows if agent in (None, row["agent"]) and disposition in (None, row["disposition"])]
    rows.sort(key=lambda row: row["disposition"] != "chosen")
    return {"total": len(rows), "gone": sum(entry.gone for entry in entries), "rows": rows[:limit]}


def _row(entry: Stored, payload: Mapping[str, Any]) -> dict[str, Any]:
    number, facts, verdict = number_of(entry), _facts(payload), payload["verdict"]
    named = {name: facts[name] for name in ("hcp_id", "agent", "channel", "product", "touch", "value")}
    judged = {"ruling": verdict["ruling"], "rules": ",".join(verdict["rules"]), "disposition": _disposition(entry.kind, entry.body)}
    name = entry.body["id"] if number is None else number
    return {**named, **judged, "rep_id": payload.get("selection", {}).get("rep_id"), "decision": f"{entry.cycle}/{name}"}


def of_receipt(parts: Mapping[str, Any]) -> dict[str, Any]:
    """What a receipt says, as data and in sentences. It is read, not verified: `remit verify` does that."""
    entry = parts["decision"]
    body, payload, place, cycle = entry["body"], entry.get("payload"), parts["place"], parts["cycle"]
    became = _disposition(entry["kind"], body)
    opening = [f"When: {format_instant(body['at'])}, in {entry['cycle']}, entry {entry['seq']}."]
    if payload is None:
        what = f"What: {body['agent']} proposed {body['channel']} on {body['product']} (proposal {body['id']}); about whom, and by which facts, is sealed."
        return {"receipt": parts, "decision": body, "verdict": {}, "says": [what, *opening, f"Outcome: {_BECAME[became]}."]}
    verdict, context, facts = payload["verdict"], payload["context"], _facts(payload)
    said = f"What: {facts['agent']} proposed {facts['channel']} on {facts['product']} to {facts['hcp_id']} (touch {facts['touch']}"
    sentences = [said + (f", content {facts['content_id']}" if facts["content_id"] else "") + f"), expecting {_amount(facts['value'])}.", *opening]
    sentences.append(f"Verdict: {verdict['ruling']}, by {', '.join(verdict['rules']) or 'no row of the table, which forbids it'}.")
    sentences += [f"  because: {reason}" for reason in verdict["reasons"]]
    table = (place or cycle)["body"]["table"]
    sentences.append(f"Who owns it: {verdict['owner'] or 'nobody'}; authority table {table[:16]}.")
    if "net" in context:
        sentences.append(f"Worth {_amount(context['net'])}, net of a rent of {_amount(context['rent'])} at the prices of the cycle before.")
    sentences.append(f"Outcome: {_BECAME[became]}" + (f": {context['why']}." if "why" in context else "."))
    if "deadline" in body:
        then = "refused" if verdict["on_timeout"] == "refuse" else "taken to the person accountable"
        sentences.append(f"It was to wait for {', '.join(verdict['roles'])} until {format_instant(body['deadline'])}, then to be {then}.")
    must = [OBLIGATIONS[word] for word in verdict.get("obligations", [])]
    sentences += [f"What goes with it: {'; '.join(must)}."] if must else []
    ages = ", ".join(f"{name.removesuffix('_age_h').replace('_', ' ')} {_age(facts.get(name))}" for name in _FACTS)
    sentences.append(f"Age of the data: {ages}.")
    models = (place or cycle)["body"]["models"]
    sentences.append("Models: " + ", ".join(f"{name} {digest[:16]}" for name, digest in sorted(models.items())) + ".")
    return {"receipt": parts, "decision": {**facts, "ruling": verdict["ruling"], "disposition": became}, "verdict": verdict, "says": sentences}


def turning(records: Records, name: str) -> list[str]:
    """At what price of each resource it would have turned, all other prices as they were."""
    cycle, entry = found(records, name)
    context = (entry.payload or {}).get("context", {})
    if "net" not in context:
        return []
    prices = cycle_body(records, cycle)["prices"].get(_facts(entry.payload or {})["purpose"], {})
    said = []
    for resource, amount in context["uses"].items():
        price, at = prices.get(resource, 0), prices.get(resource, 0) + context["net"] * MICRO // amount if amount else None
        if at is not None:
            taken = "It would have turned" if context["net"] > 0 else "It would have been worth it"
            priced = f"{taken} at a price of {_amount(at)} for {resource}, which was {_amount(price)}."
            said.append(priced if at >= 0 else f"No price of {resource} alone would have turned it (it was {_amount(price)}).")
    return said


def _facts(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = payload["context"]["facts"]
    return facts


def _disposition(kind: str, body: Mapping[str, Any]) -> str:
    return str(body["disposition"]) if kind == "declined" else "waiting" if "deadline" in body else "chosen"


def _amount(micro: int) -> str:
    return f"{micro / MICRO:,.2f}"


def _age(hours: int | None) -> str:
    return "unknown" if hours is None else f"{hours} h" if hours < 72 else f"{hours // 24} days"
