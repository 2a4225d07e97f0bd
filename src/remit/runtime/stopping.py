"""Stops in a workspace: recorded in the ledger, in force from that entry on, and ended by two people."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from remit.authority import LEFT_ALONE, SCOPES, AuthorityError, Stop, read_stop
from remit.gateway import between, heard, refusal, take_back
from remit.gateway.credentials import COMPLIANCE
from remit.gateway.guarding import STOP, numbered
from remit.intake import read
from remit.ledger import Entry, Ledger, Records, Stored
from remit.runtime import rights
from remit.runtime.carry import unsettled
from remit.runtime.errors import NotAllowedError, WorkspaceError
from remit.runtime.recalling import Within, recall
from remit.runtime.workspace import Config, Workspace
from remit.terms.errors import RemitError

HOLD, START, RECALL = "remit.hold/1", "remit.start/1", "remit.recall/1"
MADE = ("stop", "hold", "downgrade")
"""Entries that a start ends."""
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
HCP_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_LOG = logging.getLogger("remit.stops")


def applied(config: Config, records: Records, upto: int) -> Config:
    """`config` with the stops in force after the log's first `upto` entries."""
    holds = (str(entry.payload["hcp_id"]) for entry in _in_force(records, "hold", upto) if entry.payload)
    return replace(config, stops=stops_at(records, upto), holds=tuple(sorted(holds)))


def stops_at(records: Records, upto: int) -> tuple[Stop, ...]:
    """The stops and downgrades in force after the log's first `upto` entries; all stops of HCPs are one."""
    found = [read_stop(entry.body) for kind in ("stop", "downgrade") for entry in _in_force(records, kind, upto)]
    if _in_force(records, "hold", upto):
        found.append(LEFT_ALONE)
    return tuple(found)


def held_at(records: Records, upto: int) -> dict[str, bytes]:
    """The references of the HCPs whom a stop in force after the log's first `upto` entries leaves alone, by the stop's name."""
    return {str(entry.body["stop"]): bytes.fromhex(entry.hcp) for entry in _in_force(records, "hold", upto) if entry.hcp}


def _in_force(records: Records, kind: str, upto: int) -> list[Stored]:
    ended = _ended(records, upto)
    return [entry for entry in records.entries(kind=kind) if entry.seq < upto and entry.body["stop"] not in ended]


def _ended(records: Records, upto: int) -> set[str]:
    return {str(entry.body["stop"]) for entry in records.entries(kind="start") if entry.seq < upto and entry.body["step"] == "yes"}


def stop(workspace: Workspace, ledger: Ledger, config: Config, scope: str, of: str, by: str, reason: str, now: int) -> dict[str, Any]:
    """Stops `of` in `scope`, and does what follows: as `check`, `begin` and `finish`."""
    check(ledger, config, owner_in_force(workspace, ledger, config, now), scope, of, by, now)
    name = begin(ledger, scope, of, by, reason, now)
    told = {"stop": name, "scope": scope, "of": of, "by": by, "reason": reason}
    done = finish(workspace, ledger, config, name, now)
    return {**told, **done, "on_file": on_file(workspace, scope, of, now)}


def on_file(workspace: Workspace, scope: str, of: str, now: int) -> bool | None:
    """Whether an HCP who is stopped is known (None: that cannot be read, and the stop is in force all the same); of other scopes what there is was checked."""
    try:
        return scope != "hcp" or read(workspace.warehouse, "hcp", now, columns=["hcp_id"], hcps=[of]).height > 0
    except Exception as error:  # whatever it is
        _LOG.warning("whether an HCP who is stopped is on file cannot be read: %s", type(error).__name__)
        return None


def check(records: Records, config: Config, owner: str, scope: str, of: str, by: str, now: int) -> None:
    """Raises `WorkspaceError` for a scope that is not there, and for a person who may not stop it; `owner` is the table's. `by` is a person, or empty:
    whoever is at the machine may stop, and not start again."""
    if scope not in SCOPES:
        raise WorkspaceError(f"nothing is stopped by `{scope}`", do=f"Stop one of: {', '.join(SCOPES)}.")
    known = _known(scope, config, records)
    there = "Nothing else is to be named." if scope == "everything" else f"There are {', '.join(sorted(known))}." if known else "Say what is to be stopped."
    if known is not None and not known:
        raise WorkspaceError(f"there is no {scope} here to stop", do="Stop what acts there: an agent, a channel, or everything.")
    if (scope == "everything") is not (of == "") or (known is not None and of not in known):
        what = f"{scope}: what of it is missing" if not of else f"`everything` takes no name: it stops `{of}` too" if scope == "everything" else ""
        raise WorkspaceError(what or f"there is no {scope} `{of}` to stop", do=there)
    if not (HCP_ID if scope == "hcp" else NAME).fullmatch(of or "all"):
        raise WorkspaceError(f"{of!r} is no name of {scope}", do="See `remit show decisions` for what there is.")
    allowed = may_stop(config, owner, scope, of, now)
    if by and by not in allowed:
        raise NotAllowedError(
            f"`{by}` may not stop this", where=f"{scope} {of}".strip(), do=f"{', '.join(sorted(allowed)) or 'Whoever is at the machine'} may."
        )


def begin(ledger: Ledger, scope: str, of: str, by: str, reason: str, now: int) -> str:
    """Stops `of` in `scope`, which was checked: from the entry on, whose name is returned, nothing in it is decided or handed over."""
    size = ledger.size
    before = highest(ledger)
    with ledger.turn(size) as turn:  # however many stop at once, each has a name of its own
        number = 1 + max([before, *(numbered(str(entry.body["stop"])) for entry in turn.fresh if entry.kind in MADE)])
        name = f"stop-{number:04d}"
        about = {"stop": name, "by": by, "reason": reason, "at": now}
        entry = Entry("hold", HOLD, about, of, {"hcp_id": of}) if scope == "hcp" else Entry("stop", STOP, {**about, "scope": scope, "of": of})
        turn.append(name, [entry], cycle=name)
    ledger.settle()
    return name


def finish(workspace: Workspace, ledger: Ledger, config: Config, name: str, now: int) -> dict[str, int]:
    """What follows a stop that is recorded, and in force already: everything in it that waits for a person is `refused`; what was handed over since the last
    cycle is listed (`recalled`), and taken out of lists that lie there still (`taken_back`). Broken off, it does what is left to do; done, it is recorded, and
    not done again."""
    done = next((entry.body for entry in ledger.entries(kind="recall") if entry.body["stop"] == name), None)
    if done is not None:
        return {"refused": 0, "recalled": int(done["listed"]), "taken_back": int(done["taken_back"])}
    entry = next(entry for kind in ("stop", "hold") for entry in ledger.entries(kind=kind) if entry.body["stop"] == name)
    scope, of = str(entry.body.get("scope", "hcp")), str((entry.payload or {}).get("hcp_id", entry.body.get("of", "")))
    before = (each for each in unsettled(ledger) if each[0].seq < entry.seq)  # what came after it was started again is none of its business
    inside = within(scope, of, config, ledger)
    waiting = [(action, payload) for action, payload in before if inside(action, payload)]
    refusals = [_refused(action, payload, f"{name}: stopped while it waited", now, ledger) for action, payload in waiting]
    with ledger.turn(ledger.size) as held:  # what waited is refused once: somebody may have said yes or no to it meanwhile, or stopped it too
        settled = heard(ledger).settled
        refusals = [entry for entry in refusals if entry.body["action"] not in settled]
        for action, _ in waiting:
            if action.seq not in settled:
                take_back_approved(workspace, action.cycle, action.seq)
        if refusals:
            held.append(f"{name}:refused:{held.size}", refusals, cycle=name)
    ledger.settle()
    listed, taken = recall(workspace, ledger, name, entry.seq, inside)
    with ledger.turn(ledger.size) as held:  # another may have come to do it too
        if not any(done.body["stop"] == name for done in ledger.entries(kind="recall")):
            held.append(f"{name}:recall", [Entry("recall", RECALL, {"stop": name, "listed": listed, "taken_back": taken, "at": now})], cycle=name)
    ledger.settle()
    return {"refused": len(refusals), "recalled": listed, "taken_back": taken}


def follow(workspace: Workspace, ledger: Ledger, config: Config, name: str, now: int) -> None:
    """As `finish`, by whoever comes to decide: what cannot be done is told in the log of the process and tried again by the next, and keeps nobody from
    deciding. The stop is in force all the same."""
    try:
        finish(workspace, ledger, config, name, now)
    except (RemitError, OSError, ValueError, KeyError) as error:
        _LOG.warning("%s is in force, and what follows it was broken off: %s", name, error if isinstance(error, RemitError | OSError) else type(error).__name__)


def broken_off(records: Records) -> list[str]:
    """The stops since the last cycle of which not all that follows was done: whoever began it ended before."""
    begun = max((entry.seq for entry in records.entries(kind="cycle")), default=-1)
    done = {str(entry.body["stop"]) for entry in records.entries(kind="recall")}
    made = sorted((entry.seq, str(entry.body["stop"])) for kind in ("stop", "hold") for entry in records.entries(kind=kind) if entry.seq > begun)
    return [name for _, name in made if name not in done]


def take_back_approved(workspace: Workspace, cycle: str, entry: int) -> None:
    """Removes the lists of an approved action that were not recorded as handed over."""
    folder = workspace.out / cycle / f"approved-{entry}"
    take_back(folder, [path.name for path in folder.glob("*.csv")])


def start(workspace: Workspace, ledger: Ledger, config: Config, name: str, by: str, reason: str, now: int) -> dict[str, Any]:
    """Asks for what was stopped to start again, or, if another person has asked who still may, says yes to it. Raises `WorkspaceError` with why it cannot
    be."""
    owner = owner_in_force(workspace, ledger, config, now)
    with ledger.turn(ledger.size) as turn:  # of two who say so at the same moment, one is the first
        entries = [entry for kind in MADE for entry in ledger.entries(kind=kind) if entry.body["stop"] == name]
        steps = [entry.body for entry in ledger.entries(kind="start") if entry.body["stop"] == name]
        if not entries or any(step["step"] == "yes" for step in steps):
            raise WorkspaceError(f"no stop `{name}` is in force", do="See `remit status`.")
        scope, of = str(entries[0].body.get("scope", "hcp")), str(entries[0].body.get("of", ""))
        allowed = may_stop(config, owner, scope, of, now)
        asked = [str(step["by"]) for step in steps if step["by"] in allowed]
        if by not in allowed:
            raise NotAllowedError(f"`{by}` may not start this again", where=name, do=f"Two of {', '.join(sorted(allowed))} may, each for themselves.")
        if by in asked:
            raise NotAllowedError(f"`{by}` has asked for it already", where=name, do="Another person must say yes.")
        step = "yes" if asked else "asked"
        batch = f"{name}:{step}:{by}:{turn.size}"
        turn.append(batch, [Entry("start", START, {"stop": name, "step": step, "by": by, "reason": reason, "at": now})], cycle=batch)
    ledger.settle()
    return {"stop": name, "step": step, "by": by, "others": sorted(allowed - {by, *asked})}


def status(records: Records) -> list[dict[str, Any]]:
    """Every stop and downgrade in force: what, who, why, who has asked for a start, and the last action that was recorded as handed over before it."""
    names = {each.id for each in stops_at(records, records.size)}
    acted = list(records.entries(kind="acted"))
    asked = {entry.body["stop"]: entry.body["by"] for entry in records.entries(kind="start") if entry.body["step"] == "asked"}
    ended = _ended(records, records.size)
    rows = []
    for entry in sorted((entry for kind in MADE for entry in records.entries(kind=kind)), key=lambda entry: entry.seq):
        if entry.body["stop"] in names or (entry.kind == "hold" and entry.body["stop"] not in ended):
            before = [each for each in acted if each.seq < entry.seq]
            body = {name: entry.body.get(name, "") for name in ("stop", "scope", "of", "by", "reason", "at")}
            last = {"entry": before[-1].seq, "cycle": before[-1].cycle, "at": before[-1].body["at"]} if before else None
            rows.append(
                {
                    **body,
                    "scope": body["scope"] or "hcp",
                    "kind": entry.kind,
                    "roles": entry.body.get("roles", []),
                    "entry": entry.seq,
                    "last_action": last,
                    "start_asked_by": asked.get(entry.body["stop"]),
                }
            )
    return rows


def owner_in_force(workspace: Workspace, records: Records, config: Config, now: int) -> str:
    """The owner of the table in force: a draft gives nobody rights. Nobody, where that table cannot be read: stopping does not wait for it to be mended."""
    try:
        return rights.whole(workspace, records, config, now).owner
    except (AuthorityError, WorkspaceError):
        return ""


def may_stop(config: Config, owner: str, scope: str, of: str, now: int) -> set[str]:
    """Who may stop it, and start it again with another: compliance, the table's `owner`, and whoever owns or watches what is stopped."""
    people, settings = config.people, config.settings
    found = {name for name, person in people.items() if COMPLIANCE in person.roles} | {owner}
    for charter in config.charters:
        if of in {"agent": (charter.agent,), "product": charter.products, "channel": charter.channels}.get(scope, ()):
            found |= {charter.owner, *charter.watchers}
    if scope == "market" and settings.market is not None:
        found.add(settings.market.owner)
    if scope == "model":
        found |= {settings.oversight.watcher} | {name for name, person in people.items() if person.roles & set(settings.oversight.signers)}
    return {name for name in found if name in people and people[name].active(now)}


def _known(scope: str, config: Config, records: Records) -> set[str] | None:
    """What of a scope there is; None where anything may be named."""
    charters = config.charters
    if scope == "agent":
        return {charter.agent for charter in charters}
    if scope == "product":
        return {product for charter in charters for product in charter.products}
    if scope == "channel":
        return set(config.settings.channels)
    if scope == "market":
        return {config.settings.market.name} if config.settings.market else set()
    if scope == "model":
        return {str(digest) for entry in records.entries(kind="cycle") for name, digest in entry.body["models"].items() if name != "segments"}
    return None


def within(scope: str, of: str, config: Config, records: Records) -> Within:
    """A function that tells whether a recorded action, with its payload, is in a stop's scope."""
    market = config.settings.market.name if config.settings.market else ""
    whole = scope == "everything" or (scope == "market" and of == market)
    name = {"agent": "agent", "product": "product", "channel": "channel", "content": "content_id", "hcp": "hcp_id"}.get(scope)
    went_by = cache(lambda cycle: of in _cycle(records, cycle)["models"].values())

    def inside(action: Stored, payload: Mapping[str, Any]) -> bool:
        if scope == "model":
            return went_by(action.cycle)
        return whole or (name is not None and payload["proposal"][name] == of)

    return inside


def _refused(action: Stored, payload: Mapping[str, Any], reason: str, now: int, records: Records) -> Entry:
    since = int(action.body["at"] if "at" in action.body else _cycle(records, action.cycle)["now"])
    return refusal(action.seq, reason, now, since, payload["context"]["uses"])


def _cycle(records: Records, name: str) -> Mapping[str, Any]:
    """What the entry of a cycle says; of what was decided between cycles, that of the cycle before."""
    return next(records.entries(kind="cycle", cycle=name.removesuffix(between("")))).body


def highest(records: Records) -> int:
    """The highest number of a stop or downgrade."""
    return max((numbered(str(entry.body["stop"])) for kind in MADE for entry in records.entries(kind=kind)), default=0)
