"""The standing questions: who owns this decision, who may change this threshold, who watches this model, who may stop this agent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from remit.authority import EVER, Table
from remit.authority.errors import nearest
from remit.gateway.credentials import COMPLIANCE
from remit.ledger import Records
from remit.runtime import explaining, rights, stopping
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Config
from remit.terms.encoding import MICRO
from remit.terms.people import People


def who(kind: str, name: str, records: Records, config: Config, table: Table, now: int) -> dict[str, Any]:
    """Those who answer for `name`: `people` are (id, roles, what they may do), `says` a sentence. Raises `WorkspaceError` for what there is not."""
    if kind not in QUESTIONS:
        raise WorkspaceError(f"nobody can be asked for by `{kind}`", do=f"Ask for one of: {', '.join(QUESTIONS)}.")
    duties, says = QUESTIONS[kind](_Asked(records, config, table, now), name)
    people = [
        {"person": person, "roles": sorted(config.people[person].roles), "may": may, "on_file": config.people[person].active(now)}
        for person, may in duties.items()
        if person in config.people
    ]
    return {"kind": kind, "name": name, "says": says, "people": people, "gone": [person for person in duties if person not in config.people]}


_Answer: TypeAlias = tuple[dict[str, str], str]
"""What each person may do, and a sentence."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What answers are found in."""

    records: Records
    config: Config
    table: Table
    now: int

    def decision(self, name: str) -> _Answer:
        told = explaining.of_receipt(explaining.receipt(self.records, name))
        row, verdict = told["decision"], told["verdict"]
        owner = str(verdict.get("owner") or self.table.owner)
        charter = next((charter for charter in self.config.charters if charter.agent == row["agent"]), None)
        duties = {owner: "answers for the verdict" + (f", which {verdict['rules'][0]} made" if verdict.get("rules") else ", as no row allows it")}
        if charter:
            duties[charter.owner] = "; ".join(filter(None, [duties.get(charter.owner), f"answers for the agent `{charter.agent}`"]))
        return duties, f"{row['agent']} proposed {row['channel']} on {row['product']}: {row['ruling']}, {row['disposition']}."

    def threshold(self, name: str) -> _Answer:
        found = next((each for each in self.table.thresholds if each.name == name), None)
        if found is None:
            raise _none("threshold", name, [each.name for each in self.table.thresholds])
        rows = [rule.id for rule in self.table.rules if name in rule.thresholds]
        may = {found.owner: "owns it: may propose another value, and approve one that somebody else proposes"}
        beside = rights.may_approve(self.config, [rights.Change("threshold", name, "changed", found.owner)], self.table, found.owner, self.now)
        return may | dict.fromkeys(beside, "may approve a value that the owner proposes"), f"{name} is {found.value}: {found.says} Read by {_and(rows)}."

    def row(self, name: str) -> _Answer:
        found = next((rule for rule in self.table.rules if rule.id == name), None)
        if found is None and any(limit.id == name for limit in self.table.limits):
            return self.limit(name)
        if found is None and any(guard.id == name for guard in self.table.guards):
            return self.guard(name)
        if found is None:
            raise _none("row", name, [each.id for rows in (self.table.rules, self.table.limits, self.table.guards) for each in rows])
        beside = [] if found.layer else rights.may_approve(self.config, [rights.Change("row", name, "changed", found.owner)], self.table, found.owner, self.now)
        duties = {found.owner: "answers for the row"} | {person: "may approve what the owner proposes" for person in beside if person != found.owner}
        for person, held in _holding(self.config.people, found.roles, self.now).items():
            duties[person] = "; ".join(filter(None, [duties.get(person), f"may say yes, as {', '.join(sorted(held.roles & set(found.roles)))}"]))
        return duties, f"{name}, {found.ruling.value}: {found.reason}"

    def limit(self, name: str) -> _Answer:
        found = next(limit for limit in self.table.limits if limit.id == name)
        duties = {found.owner: "answers for the limit"}
        if not found.layer:
            beside = rights.may_approve(self.config, [rights.Change("limit", name, "changed", found.owner)], self.table, found.owner, self.now)
            duties |= {person: "may approve what the owner proposes" for person in beside if person != found.owner}
        per = f" per {_and(list(found.per))}" if found.per else ""
        span = "ever" if found.within == EVER else f"in {found.within}"
        return duties, f"{name}, at most {found.most / MICRO:g} of {found.of}{per} {span}: {found.reason}"

    def guard(self, name: str) -> _Answer:
        found = next(guard for guard in self.table.guards if guard.id == name)
        beside = rights.may_approve(self.config, [rights.Change("guard", name, "changed", found.owner)], self.table, found.owner, self.now)
        duties = {found.owner: "answers for the guard"} | {person: "may approve what the owner proposes" for person in beside if person != found.owner}
        does = "stops" if found.then == "stop" else f"has {_and(list(found.roles))} asked about"
        return duties, f"{name} {does} the {found.scope} {found.of} by {found.on}: {found.reason}"

    def model(self, name: str) -> _Answer:
        oversight, names = self.config.settings.oversight, ("lead-score", "response")
        if name not in names:
            raise _none("model", name, list(names))
        duties = {oversight.watcher: "watches it: is told when it drifts"} if oversight.watcher else {}
        for person, held in _holding(self.config.people, oversight.signers, self.now).items():
            may = f"may sign for it, as {', '.join(sorted(held.roles & set(oversight.signers)))}"
            duties[person] = "; ".join(filter(None, [duties.get(person), may]))
        if not duties:
            return duties, f"Nobody watches {name}: name a watcher and signers in [models] of remit.toml."
        return duties, f"{name} is in production once {_and(list(oversight.signers)) or 'its signers'} have signed."

    def agent(self, name: str) -> _Answer:
        charter = next((charter for charter in self.config.charters if charter.agent == name), None)
        if charter is None:
            raise _none("agent", name, [charter.agent for charter in self.config.charters])
        duties = {charter.owner: "owns it, and may stop it"} | dict.fromkeys(charter.watchers, "watches it, and may stop it")
        beside = sorted(stopping.may_stop(self.config, self.table.owner, "agent", name, self.now) - duties.keys())
        whose = {person: "as owner of the table" if person == self.table.owner else f"as {COMPLIANCE}" for person in beside}
        return duties | {person: f"may stop any agent, {why}" for person, why in whose.items()}, f"{name}: {charter.objective}."


QUESTIONS: Mapping[str, Callable[[_Asked, str], _Answer]] = {
    "decision": _Asked.decision,
    "threshold": _Asked.threshold,
    "row": _Asked.row,
    "model": _Asked.model,
    "agent": _Asked.agent,
}
"""What may be asked about."""


def _holding(people: People, roles: tuple[str, ...], now: int) -> People:
    return {name: person for name, person in sorted(people.items()) if person.active(now) and person.roles & set(roles)}


def _none(kind: str, name: str, known: list[str]) -> WorkspaceError:
    do = f"There are {', '.join(known)}{nearest(name, known)}." if known else f"The table in force has no {kind}."
    return WorkspaceError(f"there is no {kind} `{name}`", do=do)


def _and(names: list[str]) -> str:
    return " and ".join(names)
