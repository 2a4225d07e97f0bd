"""Changes to decision rights: proposed by one person, approved by another, each bound to the digest of exactly one text.

The ledger is the register: entries `rights` say which table a workspace began with, what was proposed, and who said yes. The texts lie in `objects/` under
their digests. `authority.yaml` is where people write; until a text is approved, what was in force before decides.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from remit.authority import Limit, Table, broken, load_invariants
from remit.gateway.credentials import COMPLIANCE
from remit.ledger import Entry, Ledger, Records
from remit.runtime import limiting
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Config, Workspace, keep, recall, write_whole
from remit.terms.encoding import digest
from remit.terms.facts import FACTS
from remit.terms.instants import format_instant

SCHEMA, FILE = "remit.rights/1", "authority.yaml"
BESIDE = COMPLIANCE
"""The role that may approve where the table's owner proposes what nobody else owns."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a new text adds, takes away or changes, and who owns it (before, if it was there)."""

    what: str
    name: str
    how: str
    owner: str


def establish(records: Records, table: Table, now: int) -> list[Entry]:
    """The entry that says which table a workspace begins with, if none says so yet."""
    if any(records.entries(kind="rights")):
        return []
    return [Entry("rights", SCHEMA, {"step": "established", "table": table.digest, "version": table.version, "at": now, "from": now})]


def governed(workspace: Workspace, records: Records, config: Config, now: int) -> Config:
    """`config` with the table in force at `now`: what the file says decides only before there is one."""
    held = in_force(records, now)
    if held is None or held == digest(config.table_text.encode()):
        return config
    text = recall(workspace, {FILE: held})[FILE]
    return config.with_table(text)


def in_force(records: Records, now: int) -> str | None:
    """The digest of the table in force at `now`: of those whose time has come, the one approved last."""
    bodies = [entry.body for entry in records.entries(kind="rights") if entry.body["step"] in ("established", "approved")]
    begun = [str(body["table"]) for body in bodies if body["from"] <= now]
    return begun[-1] if begun else None


def coming(records: Records, now: int) -> int | None:
    """The first instant after `now` from which a table that was approved is in force."""
    approved = (entry.body for entry in records.entries(kind="rights") if entry.body["step"] == "approved")
    return min((int(body["from"]) for body in approved if body["from"] > now), default=None)


def changes(old: Table, new: Table) -> list[Change]:
    """What `new` does otherwise than `old`, by kind and name."""
    before, after = _things(old), _things(new)
    found = []
    for key in sorted(before.keys() | after.keys()):
        was, is_now = before.get(key), after.get(key)
        if was != is_now:
            how = "added" if was is None else "taken away" if is_now is None else "changed"
            found.append(Change(*key, how, (was or is_now or ("",))[0]))
    return found


def propose(workspace: Workspace, ledger: Ledger, config: Config, text: str, by: str, reason: str, now: int) -> dict[str, Any]:
    """Records that `by` proposes `text`, and says what it changes and who may approve. Raises `AuthorityError` for a text that cannot be used, and
    `WorkspaceError` for one that changes nothing, or a person who may not propose."""
    old, new = whole(workspace, ledger, config, now), _read(config, text, now)
    found, people = changes(old, new), config.people
    if ledger.appended(_batch(new.digest)):
        raise WorkspaceError("this very text was proposed before", where=new.digest[:16], do="Approve it, or raise `version` and propose it anew.")
    faults = [] if by in people and people[by].active(now) else [f"`{by}` is not a person on file"]
    faults += [] if found else ["it changes nothing"]
    faults += _broken(workspace, config, new, now) + _unknown(config, new)
    faults += [] if new.version > old.version else [f"its version is {new.version}, and {old.version} is in force: raise it"]
    if not faults and not may_approve(config, found, old, by, now):
        faults.append(f"nobody but `{by}` could approve it: let another person own part of it, or hold the role `{BESIDE}`")
    if faults:
        raise WorkspaceError("the change cannot be proposed", where=FILE, faults=faults)
    keep(workspace, {FILE: text})
    body = {"step": "proposed", "table": new.digest, "version": new.version, "by": by, "reason": reason, "at": now, "follows": old.digest}
    entries = [*establish(ledger, old, now), Entry("rights", SCHEMA, body)]
    ledger.append(_batch(new.digest), entries, cycle=_batch(new.digest))
    return _told(new, found, config, old, body, ())


def approve(workspace: Workspace, ledger: Ledger, config: Config, asked: str, by: str, now: int) -> dict[str, Any]:
    """Records that `by` approves the text whose digest begins with `asked`. When all have said yes whose yes it takes, it is in force from its `effective`, or
    from now, and stands in `authority.yaml`, unless another draft does.

    Everything is checked again: people may have left, and another version may have come into force.
    """
    body = _proposed(ledger, asked)
    text = recall(workspace, {FILE: body["table"]})[FILE]
    old, new = whole(workspace, ledger, config, now), _read(config, text, now)
    found = changes(old, new)
    given = [str(entry.body["by"]) for entry in ledger.entries(kind="rights") if (entry.body["step"], entry.body["table"]) == ("yes", new.digest)]
    able = may_approve(config, found, old, body["by"], now)
    faults = [] if body["follows"] == old.digest else [f"version {old.version} came into force after it was proposed: propose it anew on top of that"]
    faults += [f"`{by}` proposed it: another person must approve"] if by == body["by"] else []
    faults += [] if by in able or by == body["by"] else [f"`{by}` may not approve it: {_or(able)} may"]
    faults += [f"`{by}` has approved it already"] if by in given else []
    faults += _broken(workspace, config, new, now) + _unknown(config, new)
    if faults:
        raise WorkspaceError("the change cannot be approved", where=new.digest[:16], faults=faults)
    yes = Entry("rights", SCHEMA, {"step": "yes", "table": new.digest, "by": by, "at": now})
    given.append(by)
    missing = _missing(config, found, old, body["by"], given, now)
    since = max(now, new.since or now)
    final = Entry("rights", SCHEMA, {"step": "approved", "table": new.digest, "version": new.version, "at": now, "from": since})
    name = f"{_batch(new.digest)}:{by}"
    ledger.append(name, [yes] if missing else [yes, final], cycle=name)
    path = workspace.root / FILE
    if not missing and digest(path.read_bytes()) in (old.digest, new.digest):
        write_whole(path, text.encode())
    return _told(new, found, config, old, body, given) | {"missing": missing, "from": None if missing else since}


def history(records: Records) -> list[dict[str, Any]]:
    """Every step of every change, in order."""
    return [dict(entry.body) for entry in records.entries(kind="rights")]


def may_approve(config: Config, found: list[Change], old: Table, proposer: str, now: int) -> list[str]:
    """Those who may say yes: the table's owner, the owners of what changes, and where all of it is the proposer's, or an owner has left and the table's owner
    cannot stand in, those in the role beside."""
    able = {owner for owner in (old.owner, *(change.owner for change in found)) if _active(config, owner, now)} - {proposer}
    if not able or (any(not _active(config, change.owner, now) for change in found) and not _stands_in(config, old, proposer, now)):
        able |= {name for name, person in config.people.items() if BESIDE in person.roles and person.active(now) and name != proposer}
    return sorted(able)


def _active(config: Config, person: str, now: int) -> bool:
    return person in config.people and config.people[person].active(now)


def _stands_in(config: Config, old: Table, proposer: str, now: int) -> bool:
    """Whether the table's owner answers for what those owned who have left."""
    return _active(config, old.owner, now) and old.owner != proposer


def _missing(config: Config, found: list[Change], old: Table, proposer: str, given: list[str], now: int) -> list[str]:
    """Whose yes is missing: nobody's once the table's owner said it, or all who own what changes beside the proposer. For whoever has left the table's owner
    answers; where that one has left too, or proposes, somebody in the role beside."""
    if old.owner in given:
        return []
    owners = {change.owner for change in found} - {proposer}
    missing = {owner for owner in owners if _active(config, owner, now)} - set(given)
    if any(not _active(config, owner, now) for owner in owners):
        if _stands_in(config, old, proposer, now):
            missing.add(old.owner)
        elif not any(BESIDE in config.people[name].roles for name in given):
            missing.add(BESIDE)
    return sorted(missing)


def whole(workspace: Workspace, records: Records, config: Config, now: int) -> Table:
    """The table in force whole, expired or not; those who have left owned what they owned. Raises `AuthorityError`, `WorkspaceError`."""
    held = governed(workspace, records, config, now)
    return replace(held, people={name: replace(person, until=None) for name, person in held.people.items()}).read_table(now)


def _read(config: Config, text: str, now: int) -> Table:
    """The table of a text when it comes into force."""
    proposed = config.with_table(text)
    begins = proposed.read_table(now).since
    return proposed.table(max(now, begins or now))


def _broken(workspace: Workspace, config: Config, table: Table, now: int) -> list[str]:
    """The workspace's invariants that the table and the market's pack do not keep by themselves, each with an example: the rules of a charter, which its owner
    may take away alone, do not help."""
    path = workspace.root / "invariants.yaml"
    invariants = load_invariants(path.read_text("utf-8"), config.people, FACTS, now) if path.is_file() else ()
    agents = {charter.agent for charter in config.charters}
    table = replace(table, rules=tuple(rule for rule in table.rules if rule.layer not in agents))
    return [f"it breaks `{each.invariant.id}`: {each.says}" for each in broken(table, invariants)] if invariants else []


def _unknown(config: Config, table: Table) -> list[str]:
    """What its limits and guards name and the workspace does not have."""
    return limiting.unknown(table, config.settings, config.charters) + limiting.unfit_guards(table, config.settings, config.charters)


def _proposed(records: Records, asked: str) -> Mapping[str, Any]:
    bodies = [entry.body for entry in records.entries(kind="rights") if entry.body["step"] == "proposed"]
    matching = [body for body in bodies if asked and str(body["table"]).startswith(asked)]
    if len(matching) != 1:
        what = "more than one change begins like this" if matching else "no such change was proposed"
        raise WorkspaceError(what, where=asked, do="See `remit authority log` for what was proposed.")
    approved = {entry.body["table"] for entry in records.entries(kind="rights") if entry.body["step"] == "approved"}
    if matching[0]["table"] in approved:
        raise WorkspaceError("this change was approved already", where=asked)
    return matching[0]


def _things(table: Table) -> dict[tuple[str, str], tuple[str, ...]]:
    """Everything that a table says, by kind and name, its owner first."""
    rows = {
        ("row", rule.id): (rule.owner, rule.when, rule.ruling.value, rule.reason, *rule.roles, str(rule.deadline_us), str(rule.on_timeout))
        for rule in table.rules
        if not rule.layer
    }
    duties = {("obligation", duty.id): (duty.owner, duty.when, duty.reason, *duty.must) for duty in table.obligations if not duty.layer}
    tries = {("exploration", row.id): (row.owner, row.when, row.reason, str(row.tries), str(row.rests)) for row in table.exploration}
    levels = {("threshold", each.name): (each.owner, each.value, each.says) for each in table.thresholds}
    counts = {("limit", each.id): (each.owner, *_limit(each)) for each in table.limits if not each.layer}
    guards = {("guard", each.id): (each.owner, *(str(value) for value in astuple(each))) for each in table.guards}
    span = "/".join("" if at is None else format_instant(at) for at in (table.since, table.until))
    return {("table", table.name): (table.owner, span), **rows, **duties, **tries, **levels, **counts, **guards}


def _limit(limit: Limit) -> tuple[str, ...]:
    where = (f"{name} {' '.join(values)}" for name, values in limit.where.items())
    return limit.of, " ".join(limit.per), limit.within, str(limit.most), limit.reason, *where


def _told(new: Table, found: list[Change], config: Config, old: Table, body: Mapping[str, Any], given: list[str] | tuple[str, ...]) -> dict[str, Any]:
    return {
        "table": new.digest,
        "version": new.version,
        "by": body["by"],
        "reason": body["reason"],
        "changes": [{"what": each.what, "name": each.name, "how": each.how, "owner": each.owner} for each in found],
        "may_approve": may_approve(config, found, old, body["by"], int(body["at"])),
        "approved_by": list(given),
    }


def _batch(table: str) -> str:
    return f"rights:{table}"


def _or(names: list[str]) -> str:
    return " or ".join(f"`{name}`" for name in names) or "nobody"
