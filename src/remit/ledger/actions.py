"""A chosen action as an entry of the log, and back. Pure.

INVARIANT (recorded): a `Recorded` is made here alone, from an entry that was read back from the log.
"""

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

from remit.ledger.entries import Entry, Stored
from remit.ledger.errors import LedgerError
from remit.terms.proposals import Chosen, Judged, Proposal, Recorded
from remit.terms.verdicts import Ruling, Verdict

SCHEMA = "remit.action/1"
_PROPOSAL, _VERDICT = (tuple(field.name for field in fields(kind)) for kind in (Proposal, Verdict))


def action_entry(chosen: Chosen, context: Mapping[str, Any] | None = None, deadline: int | None = None, said: Mapping[str, Any] | None = None) -> Entry:
    """The entry of a chosen action. All of it is sealed under the HCP's key, with `context`: what else a reader must know of it, such as facts,
    reasons and prices, as null, booleans, int64, text, and lists and mappings of these. Only the `deadline` (UTC microseconds) of an action that waits for a
    person stands in the clear, so that what waits is found without opening the rest, and what is `said` besides: it must hold nothing personal."""
    payload = {
        "hcp_id": chosen.judged.proposal.hcp_id,
        "number": chosen.number,
        "proposal": _body(chosen.judged.proposal, _PROPOSAL),
        "verdict": verdict_body(chosen.judged.verdict),
        "selection": {name: getattr(chosen, name) for name in ("call_number", "position", "probability", "selection", "rep_id")},
        "context": dict(context or {}),
    }
    return Entry("action", SCHEMA, {**(said or {}), **({} if deadline is None else {"deadline": deadline})}, chosen.judged.proposal.hcp_id, payload)


def recorded(stored: Stored) -> Recorded:
    """The recorded action that an entry of the log holds. Raises `LedgerError` if it holds none, or its payload is erased."""
    if stored.schema != SCHEMA or stored.payload is None:
        what = "it is no action" if stored.schema != SCHEMA else "the HCP was erased, and the action with it"
        raise LedgerError(what, where=f"entry {stored.seq}")
    payload = stored.payload
    proposal = Proposal(**{name: payload["proposal"][name] for name in _PROPOSAL})
    said = payload["verdict"]
    lists = {name: tuple(said.get(name, ())) for name in ("rules", "reasons", "roles", "obligations")}
    verdict = Verdict(**{**said, **lists, "ruling": Ruling(said["ruling"])})
    return Recorded(Chosen(Judged(proposal, verdict), payload["number"], **payload["selection"]), stored.cycle, stored.seq)


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it stands in an entry."""
    return _body(verdict, _VERDICT)


def _body(record: Proposal | Verdict, names: tuple[str, ...]) -> dict[str, Any]:
    """Without obligations where there are none: so it was before there were any."""
    values = ((name, getattr(record, name)) for name in names)
    return {name: value.value if isinstance(value, Enum) else value for name, value in values if name != "obligations" or value}
