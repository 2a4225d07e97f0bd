"""The confirmation queue: what waits for people, what they have said, and who may say more.

What waits are actions in the ledger with a deadline; what people say of them are entries. INVARIANT (bound): a yes names the digest of the action's entry,
which commits to everything in it; a yes to another digest is no yes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from remit.ledger import Entry, Records, Stored
from remit.terms.people import People

APPROVAL, ESCALATED, REFUSED, REMARK = "remit.approval/1", "remit.escalated/1", "remit.refused/1", "remit.remark/1"
ACCOUNTABLE = "accountable"
"""As whom the person says yes to whom an action was escalated: for all whose yes is missing."""

REASONS: Mapping[str, str] = {
    "timing": "it is the wrong moment",
    "contacted": "the physician was contacted enough, or otherwise",
    "physician": "it does not fit this physician",
    "content": "the content does not fit, or may not be used",
    "data": "what the machine went by is wrong",
    "safety": "a question of safety is open",
    "strategy": "it is not what the brand or the territory wants now",
    "other": "another reason, in words",
}
"""Why a person may overrule a machine."""


@dataclass(frozen=True, slots=True)
class Yes:
    """A person's yes to an action, in a role, at an instant (UTC microseconds); `asks` are the roles whose yes it took by then."""

    by: str
    role: str
    at: int
    asks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said of waiting actions, by the number of the action's entry: the yeses that are bound to it with the digests they name, to whom and until
    when it was escalated, and which are settled: refused, or handed over."""

    yes: Mapping[int, tuple[tuple[Yes, str], ...]]
    escalated: Mapping[int, tuple[str, int]]
    settled: frozenset[int]

    def deadline(self, action: Stored) -> int:
        """Until when it waits, in UTC microseconds."""
        return self.escalated[action.seq][1] if action.seq in self.escalated else int(action.body["deadline"])

    def asked(self, action: Stored) -> list[str]:
        """The roles whose yes it takes: those it was recorded to need, and those that the table was found to ask for since."""
        recorded = action.payload["verdict"]["roles"] if action.payload else []
        return list(dict.fromkeys([*recorded, *(role for yes, _ in self.yes.get(action.seq, ()) for role in yes.asks)]))

    def given(self, action: Stored) -> list[Yes]:
        """The yeses to exactly this action."""
        return [yes for yes, digest in self.yes.get(action.seq, ()) if digest == action.leaf]


def heard(records: Records, upto: int | None = None) -> Heard:
    """What the log's first `upto` entries (None: all) say of waiting actions."""
    end = records.size if upto is None else upto
    yes: dict[int, list[tuple[Yes, str]]] = {}
    cycles = {}
    for entry in _within(records, "approval", end):
        said = entry.body
        yes.setdefault(int(said["action"]), []).append((Yes(said["by"], said["role"], int(said["at"]), tuple(said["asks"])), said["digest"]))
        cycles[int(said["action"])] = entry.cycle
    escalated = {int(entry.body["action"]): (str(entry.body["to"]), int(entry.body["deadline"])) for entry in _within(records, "escalated", end)}
    settled = {int(entry.body["action"]) for entry in _within(records, "refused", end)}
    for seq, cycle in cycles.items():
        batch = records.appended(handed_over(cycle, seq))
        settled |= {seq} if batch is not None and batch.first < end else set()
    return Heard({seq: tuple(said) for seq, said in yes.items()}, escalated, frozenset(settled))


def handed_over(cycle: str, seq: int) -> str:
    """The batch that records that an approved action was handed over."""
    return f"{cycle}:approved:{seq}"


def lacking(roles: Iterable[str], given: Iterable[Yes], escalated: tuple[str, int] | None, proposer: str, people: People, now: int) -> list[str]:
    """The roles whose yes is missing. A yes counts while whoever gave it is on file in that role, and did not propose it; each person's once."""
    standing: dict[str, str] = {}
    for yes in given:
        person = people.get(yes.by)
        if person is None or yes.by == proposer or not person.active(now):
            continue
        if yes.role == ACCOUNTABLE and escalated is not None and yes.by == escalated[0]:
            return []
        if yes.role in person.roles:
            standing.setdefault(yes.by, yes.role)
    said = set(standing.values())
    return [role for role in dict.fromkeys(roles) if role not in said]


def may_say(roles: Iterable[str], given: Iterable[Yes], escalated: tuple[str, int] | None, proposer: str, people: People, now: int) -> dict[str, list[str]]:
    """Who may still say yes, and as what: people in a role that is missing who have not spoken, and whom it was escalated to."""
    given = list(given)
    spoken, missing = {yes.by for yes in given}, lacking(roles, given, escalated, proposer, people, now)
    able = {
        role: sorted(name for name, person in people.items() if role in person.roles and person.active(now) and name not in {proposer, *spoken})
        for role in missing
    }
    if escalated is not None and missing:
        able[ACCOUNTABLE] = [name for name in [escalated[0]] if name in people and people[name].active(now) and name != proposer]
    return able


def approval(action: Stored, digest: str, yes: Yes) -> Entry:
    """The entry of a yes."""
    return Entry("approval", APPROVAL, {"action": action.seq, "digest": digest, "by": yes.by, "role": yes.role, "asks": list(yes.asks), "at": yes.at})


def escalation(action: Stored, to: str, deadline: int, at: int) -> Entry:
    """The entry that takes an action to the person accountable."""
    return Entry("escalated", ESCALATED, {"action": action.seq, "to": to, "deadline": deadline, "at": at})


def refusal(action: int, reason: str, at: int, since: int, uses: Mapping[str, int], **by: str) -> Entry:
    """The entry of a refusal; what it had reserved since the cycle at `since` is given back. `by` says of a person's no who gave it, and why."""
    return Entry("refused", REFUSED, {"action": action, "reason": reason, "at": at, "since": since, "uses": dict(uses), **by})


def remark(action: Stored, text: str) -> Entry:
    """The words of a person's no, sealed: they may speak of the physician."""
    payload: dict[str, Any] = action.payload or {}
    return Entry("remark", REMARK, {"action": action.seq}, str(payload["hcp_id"]), {"hcp_id": payload["hcp_id"], "text": text})


def _within(records: Records, kind: str, end: int) -> Iterable[Stored]:
    return (entry for entry in records.entries(kind=kind) if entry.seq < end)
