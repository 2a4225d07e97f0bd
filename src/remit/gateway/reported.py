"""What agents report of their own actions that were handed over: each an entry of the ledger, its words sealed under the HCP's key.

INVARIANT (no word is lost): an outcome reported again is answered once, but other words with it are recorded beside it, as they may tell of an adverse event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remit.gateway.engaged import UNSUBSCRIBED
from remit.gateway.errors import GatewayError
from remit.gateway.tally import Given, Tally
from remit.ledger import Entry, Fresh, Ledger, Records, Stored, Turn

WHATS: Mapping[str, str] = {
    "delivered": "it reached the physician",
    "opened": "it was opened",
    "clicked": "a link in it was followed",
    "replied": "the physician answered",
    "failed": "it could not be done",
    "bounced": "it came back",
    "complaint": "the physician complained",
    UNSUBSCRIBED: "the physician wants no more through this channel",
}
"""What may become of an action."""
TAKEN_UP = frozenset({"opened", "clicked", "replied"})
"""Outcomes by which a contact was taken up."""
OUTCOME, REMARK = "remit.outcome/1", "remit.remark/1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action, when (UTC microseconds), and the words with it, if any. `entry` is the action's, which an agent names of one from long ago."""

    what: str
    occurred_at: int
    text: str = ""
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """An outcome on record: the number of its entry and what that says in the clear."""

    entry: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Action:
    """One action of the agent that was handed over."""

    entry: Stored
    decided: int
    hcp: bytes
    old: bool


def report(ledger: Ledger, turn: Turn, tally: Tally, label: str, agent: str, name: str, outcome: Outcome, now: int, ahead: int) -> Reported | None:
    """Records, in a turn, what became of the proposal `name` of `agent`, or finds it recorded; None if the agent made no such proposal. Instants may lie
    `ahead` of `now`. Raises `GatewayError` where there is nothing to report of."""
    action = _action(ledger, tally, agent, name, outcome.entry)
    if action is None:
        return None
    if not action.decided <= outcome.occurred_at <= now + ahead:
        raise GatewayError("`occurred_at` lies before the decision, or in the future", do="Say when it happened, in UTC.")
    key = (action.entry.seq, outcome.what, outcome.occurred_at)
    found = tally.reported.get(key) if not action.old else _recorded(ledger, action, key)
    if found is not None:
        stored = ledger.entry(found)
        if outcome.text and outcome.text not in _words(ledger, stored):
            words = {"hcp_id": action.entry.hcp_id, "text": outcome.text}
            turn.append(
                f"{label}:{turn.size}", [Entry("remark", REMARK, {"action": action.entry.seq, "outcome": found}, action.entry.hcp_id, words)], cycle=label
            )
        return Reported(found, stored.body)
    entry = _entry(action.entry, agent, outcome, now)
    (number,) = turn.append(f"{label}:{turn.size}", [entry], cycle=label)
    tally.take([Fresh(number, entry.kind, action.hcp, dict(entry.body))])
    return Reported(number, entry.body)


def _entry(action: Stored, agent: str, outcome: Outcome, now: int) -> Entry:
    payload: dict[str, Any] = action.payload or {}
    proposal = payload["proposal"]
    said = {"action": action.seq, "agent": agent, "channel": proposal["channel"], "product": proposal["product"]}
    sealed = {"hcp_id": proposal["hcp_id"], "text": outcome.text, "decision": f"{action.cycle}/{payload['number']}"}
    return Entry("outcome", OUTCOME, {**said, "what": outcome.what, "occurred_at": outcome.occurred_at, "at": now}, proposal["hcp_id"], sealed)


def _action(ledger: Ledger, tally: Tally, agent: str, name: str, entry: int | None) -> _Action | None:
    given = tally.given.get(name)
    if given is not None:
        return _of_given(ledger, given, agent)
    if entry is None or not 0 <= entry < ledger.size:
        return None
    stored = ledger.entry(entry)
    own = ledger.entry(int(stored.body["standing"])) if stored.kind == "action" and "standing" in stored.body else stored
    if stored.kind != "action" or (own.body.get("id"), own.body.get("agent")) != (name, agent):
        return None
    if not any(stored.seq in acted.body["actions"] for acted in ledger.entries(kind="acted", cycle=stored.cycle)):
        raise GatewayError("this action was not handed over, so nothing can have become of it")
    return _Action(_kept(stored), int(stored.body["at"]), bytes.fromhex(stored.hcp or ""), old=True)


def _of_given(ledger: Ledger, given: Given, agent: str) -> _Action | None:
    if given.agent != agent:
        return None
    if given.disposition != "acted":
        raise GatewayError(f"this proposal is `{given.disposition}`: nothing was handed over, so nothing can have become of it")
    stored = _kept(ledger.entry(given.entry))
    return _Action(stored, given.at, given.hcp or b"", old=False)


def _kept(stored: Stored) -> Stored:
    if stored.payload is None:
        raise GatewayError("nothing is kept of this action any more", do="If the physician told of an adverse event, tell the company's safety department.")
    return stored


def _recorded(ledger: Ledger, action: _Action, key: tuple[int, str, int]) -> int | None:
    about = ledger.entries(kind="outcome", hcp_id=action.entry.hcp_id)
    return next((each.seq for each in about if (each.body["action"], each.body["what"], each.body["occurred_at"]) == key), None)


def _words(records: Records, outcome: Stored) -> set[str]:
    about = records.entries(kind="remark", hcp_id=outcome.hcp_id)
    more = {str(each.payload["text"]) for each in about if each.payload is not None and each.body.get("outcome") == outcome.seq}
    return more | {str((outcome.payload or {}).get("text", ""))}
