"""What waits for people in a workspace: shown, approved, declined, escalated, and handed over once everybody has said yes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remit.gateway import REASONS, Heard, Known, Stopped, Yes, approval, asked_now, clear_approved, escalation, heard, lacking, may_say, refusal, remark
from remit.ledger import Entry, Ledger, Records, Stored, Turn
from remit.runtime import stopping
from remit.runtime.carry import unsettled
from remit.runtime.errors import NotAllowedError, WorkspaceError
from remit.runtime.handing import hand_over_approved, standing_inputs
from remit.runtime.workspace import Config, Workspace
from remit.terms.instants import format_instant

LEAST = 5
"""Groups of fewer are not shown: of so few, anybody could tell who it was."""
_PREFIX = 8


def listed(records: Records, config: Config, now: int) -> list[dict[str, Any]]:
    """Everything that waits, the earliest deadline first, with whose yes is missing and who may give it."""
    said = heard(records)
    rows = [_told(action, payload, said, config, now) for action, payload in unsettled(records, said)]
    return sorted(rows, key=lambda row: (row["deadline"], row["decision"]))


def approve(workspace: Workspace, ledger: Ledger, config: Config, asked: str, by: str, role: str | None, threads: int, now: int) -> dict[str, Any]:
    """Records that `by` says yes to the action whose digest begins with `asked`, in `role` (None: the first that is missing and that `by` holds). When nobody's
    yes is missing, the action is checked again and handed over; what may not be done any more is refused.

    Raises `WorkspaceError` with why the yes cannot be given.
    """
    said = heard(ledger)
    action, payload = _waiting(ledger, said, asked)
    _not_late(said, action, now)
    stopped = stopping.applied(config, ledger, ledger.size)
    known = standing_inputs(workspace, stopped, ledger, now, threads, but=_decision(action, payload)).known
    verdict = asked_now(ledger.action(action.seq), known, stopped.table(now), config.charters, config.people)
    if isinstance(verdict, Stopped):
        return {"by": by, "role": role, **settle(workspace, ledger, config, action.seq, known, now, verdict.reason)}
    asks = list(dict.fromkeys((*said.asked(action), *verdict.roles)))
    able = may_say(asks, said.given(action), said.escalated.get(action.seq), _proposer(payload, config), config.people, now)
    may = [name for name, people in able.items() if by in people and role in (None, name)]
    if not may:
        _refuse(action, payload, said, config, by, role, able)
    yes = Yes(by, may[0], now, tuple(asks))
    ledger.append(f"{action.cycle}:yes:{action.seq}:{by}", [approval(action, action.leaf, yes)], cycle=action.cycle)
    return {"by": by, "role": may[0], **settle(workspace, ledger, config, action.seq, known, now)}


def decline(ledger: Ledger, config: Config, asked: str, by: str, because: str, text: str, now: int) -> dict[str, Any]:
    """Records that `by` overrules the machine, with a reason of `REASONS` and words of their own: the action is refused. Raises `WorkspaceError`."""
    with ledger.turn(ledger.size) as held:  # a stop that comes meanwhile refuses what waits, or comes after
        said = heard(ledger)
        action, payload = _waiting(ledger, said, asked)
        _not_late(said, action, now)
        able = _able(action, payload, said, config, now)
        role = next((name for name, people in able.items() if by in people), None)
        if because not in REASONS:
            do = f"Give one of: {'; '.join(f'{code} ({what})' for code, what in REASONS.items())}."
            raise WorkspaceError(f"`{because}` is no reason to overrule", do=do)
        if role is None:
            _refuse(action, payload, said, config, by, None, able)
        reason, since = f"overruled: {REASONS[because]}", _since(ledger, action)
        body = refusal(action.seq, reason, now, since, payload["context"]["uses"], by=by, role=str(role), because=because)
        held.append(f"{action.cycle}:no:{action.seq}", [body, remark(action, text)] if text else [body], cycle=action.cycle)
    ledger.settle()
    return {"decision": _decision(action, payload), "by": by, "role": role, "because": because, "says": REASONS[because]}


def settle(workspace: Workspace, ledger: Ledger, config: Config, seq: int, known: Known, now: int, forbidden: str | None = None) -> dict[str, Any]:
    """Checks an action with everybody's yes again, by what is `known` now, and hands it over; refuses it if it may not be done, as what is `forbidden` may not.
    Says what became of it.

    INVARIANT (counted in the turn that decides): a stop that comes meanwhile is seen here, or comes after what is recorded here.
    """
    with ledger.turn(ledger.size) as held:
        told = _settled(workspace, ledger, held, config, seq, known, now, forbidden)
    ledger.settle()
    return told


def _settled(workspace: Workspace, ledger: Ledger, held: Turn, config: Config, seq: int, known: Known, now: int, forbidden: str | None) -> dict[str, Any]:
    action = ledger.entry(seq)
    payload: dict[str, Any] = action.payload or {}
    told = {"decision": _decision(action, payload), "digest": action.leaf}
    said = heard(ledger)
    if seq in said.settled:
        return {**told, "became": "refused", "reason": "it was refused, or handed over, meanwhile"}
    if forbidden is not None:
        return {**told, **_refused(workspace, ledger, held, action, payload, forbidden, now)}
    if missing := _missing(action, payload, said, config, now):
        return {**told, "became": "waits", "missing": missing, "may": _able(action, payload, said, config, now)}
    config = stopping.applied(config, ledger, held.size)
    found = clear_approved(ledger, seq, said, replace(known, stopped=config.holds), config.table(now), config.charters, config.people)
    if isinstance(found, tuple):
        able = may_say(found, said.given(action), None, _proposer(payload, config), config.people, now)
        return {**told, "became": "waits", "missing": list(found), "may": able}
    if isinstance(found, Stopped):
        return {**told, **_refused(workspace, ledger, held, action, payload, found.reason, now)}
    files = hand_over_approved(workspace, config, held, found, now)
    return {**told, "became": "handed over", "files": [{"name": name, "rows": rows} for name, rows in files]}


def _refused(workspace: Workspace, ledger: Ledger, held: Turn, action: Stored, payload: Mapping[str, Any], reason: str, now: int) -> dict[str, Any]:
    stopping.take_back_approved(workspace, action.cycle, action.seq)  # what a machine that stopped may have written, and not recorded
    entry = refusal(action.seq, reason, now, _since(ledger, action), payload["context"]["uses"])
    held.append(f"{action.cycle}:refused:{action.seq}", [entry], cycle=action.cycle)
    return {"became": "refused", "reason": reason}


def finish(workspace: Workspace, ledger: Ledger, config: Config, threads: int, now: int) -> None:
    """Hands over what has everybody's yes and was not handed over, because the machine stopped in between."""
    said = heard(ledger)
    waiting = [(action, payload) for action, payload in unsettled(ledger, said) if said.deadline(action) > now and said.given(action)]
    for action, payload in waiting:
        if not _missing(action, payload, said, config, now):
            stopped = stopping.applied(config, ledger, ledger.size)
            known = standing_inputs(workspace, stopped, ledger, now, threads, but=_decision(action, payload)).known
            settle(workspace, ledger, config, action.seq, known, now)


def overdue(ledger: Records, config: Config, now: int) -> list[Entry]:
    """What becomes of everything that has waited past its deadline: it is taken to the person accountable, once and if the table says so, or refused."""
    said, owner = heard(ledger), config.read_table(now).owner
    entries = []
    for action, payload in unsettled(ledger, said):
        if said.deadline(action) > now:
            continue
        verdict, proposer = payload["verdict"], _proposer(payload, config)
        to = next((name for name in (verdict["owner"], owner) if name != proposer and name in config.people and config.people[name].active(now)), None)
        if verdict["on_timeout"] == "escalate" and action.seq not in said.escalated and to is not None:
            entries.append(escalation(action, to, now + int(verdict["deadline_us"]), now))
        else:
            entries.append(refusal(action.seq, "nobody said yes before the deadline", now, _since(ledger, action), payload["context"]["uses"]))
    return entries


def overruled(records: Records, config: Config) -> dict[str, Any]:
    """What people overruled, by agent, rule, team and reason: yes and no. Never by person: groups of fewer than `LEAST` are counted and not shown."""
    given: dict[int, dict[str, Any]] = {}
    for kind in ("approval", "refused"):
        for entry in records.entries(kind=kind):
            if "role" in entry.body:
                given.setdefault(int(entry.body["action"]), {"roles": set(), "because": None})
                given[int(entry.body["action"])]["roles"].add(str(entry.body["role"]))
                given[int(entry.body["action"])]["because"] = entry.body.get("because")
    groups: dict[tuple[str, str], list[bool]] = {}
    for seq, each in given.items():
        action = records.entry(seq)
        if action.payload is None:
            continue
        no = each["because"] is not None
        names = [("agent", action.payload["proposal"]["agent"]), *(("rule", rule) for rule in action.payload["verdict"]["rules"])]
        names += [("team", role) for role in each["roles"] if sum(role in person.roles for person in config.people.values()) >= LEAST]
        for group in names + ([("reason", str(each["because"]))] if no else []):
            groups.setdefault(group, []).append(no)
    shown = {group: cases for group, cases in groups.items() if len(cases) >= LEAST}
    rows = [{"by": by, "name": name, "decided": len(cases), "overruled": sum(cases)} for (by, name), cases in sorted(shown.items())]
    return {"decided": len(given), "groups": rows, "too_few": len(groups) - len(shown), "least": LEAST}


def _told(action: Stored, payload: Mapping[str, Any], said: Heard, config: Config, now: int) -> dict[str, Any]:
    proposal, verdict = payload["proposal"], payload["verdict"]
    names = ("hcp_id", "agent", "channel", "product", "content_id", "purpose")
    return {
        "digest": action.leaf,
        "decision": _decision(action, payload),
        **{name: proposal[name] for name in names},
        "rules": list(verdict["rules"]),
        "reasons": list(verdict["reasons"]),
        "on_timeout": verdict["on_timeout"],
        "given": [{"by": yes.by, "role": yes.role} for yes in said.given(action)],
        "missing": _missing(action, payload, said, config, now),
        "may": _able(action, payload, said, config, now),
        "escalated_to": said.escalated[action.seq][0] if action.seq in said.escalated else None,
        "deadline": format_instant(said.deadline(action)),
        "late": said.deadline(action) <= now,
    }


def _waiting(records: Records, said: Heard, asked: str) -> tuple[Stored, dict[str, Any]]:
    """The one action that waits and whose digest begins with `asked`."""
    found = [(action, payload) for action, payload in unsettled(records, said) if len(asked) >= _PREFIX and action.leaf.startswith(asked)]
    if len(found) != 1:
        what = f"{len(found)} actions that wait begin with `{asked}`" if found else f"no action `{asked}` waits for a person"
        raise WorkspaceError(what, do=f"`remit queue` lists what waits; give its digest, or at least {_PREFIX} of its first characters.")
    return found[0]


def _not_late(said: Heard, action: Stored, now: int) -> None:
    if said.deadline(action) <= now:
        what = f"its deadline passed at {format_instant(said.deadline(action))}"
        raise WorkspaceError(what, where=action.leaf[:16], do="The next `remit run` refuses it, or takes it to the person accountable.")


def _refuse(action: Stored, payload: Mapping[str, Any], said: Heard, config: Config, by: str, role: str | None, able: Mapping[str, list[str]]) -> None:
    if by not in config.people:
        what = f"`{by}` is not a person on file"
    elif by == _proposer(payload, config):
        what = f"`{by}` owns the agent that proposed it: another person must decide"
    elif by in {yes.by for yes in said.given(action)}:
        what = f"`{by}` has said yes to it already"
    else:
        what = f"`{by}` may not decide it" + (f" as `{role}`" if role else "")
    others = "; ".join(f"as {name}: {', '.join(people) or 'nobody on file'}" for name, people in able.items())
    raise NotAllowedError(what, where=action.leaf[:16], do=f"Its yes is missing {others}.")


def _missing(action: Stored, payload: Mapping[str, Any], said: Heard, config: Config, now: int) -> list[str]:
    roles, proposer = said.asked(action), _proposer(payload, config)
    return lacking(roles, said.given(action), said.escalated.get(action.seq), proposer, config.people, now)


def _able(action: Stored, payload: Mapping[str, Any], said: Heard, config: Config, now: int) -> dict[str, list[str]]:
    roles, proposer = said.asked(action), _proposer(payload, config)
    return may_say(roles, said.given(action), said.escalated.get(action.seq), proposer, config.people, now)


def _proposer(payload: Mapping[str, Any], config: Config) -> str:
    """The person who answers for the agent that proposed."""
    return next((charter.owner for charter in config.charters if charter.agent == payload["proposal"]["agent"]), "")


def _decision(action: Stored, payload: Mapping[str, Any]) -> str:
    return f"{action.cycle}/{payload['number']}"


def _since(records: Records, action: Stored) -> int:
    at = action.body.get("at")
    return int(at if at is not None else next(records.entries(kind="cycle", cycle=action.cycle)).body["now"])
