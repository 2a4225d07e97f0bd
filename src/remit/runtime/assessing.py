"""`remit authority check` and `remit authority prove`: what a workspace's table says without meaning to, and whether it keeps the workspace's invariants."""

from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from time import time_ns
from typing import Any

from remit.authority import Idle, Proof, Table, authorize, gaps, leaving, load_invariants, overlaps, prove, unreached
from remit.authority.conditions import facts_of
from remit.ledger import read_ledger
from remit.runtime import limiting
from remit.runtime.cycles import newest
from remit.runtime.errors import WorkspaceError
from remit.runtime.record import STREAM
from remit.runtime.run import next_instant
from remit.runtime.settings import Settings
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.facts import FACTS
from remit.terms.instants import DAY, format_instant
from remit.terms.verdicts import Ruling

SOON = 30 * DAY
"""Who leaves within this time is told beforehand."""


def checked(workspace: Workspace) -> dict[str, Any]:
    """Every finding on the table as of the next cycle; `faults` is how many of them must be mended. An owner who has left is a finding here, any other fault
    of the table an `AuthorityError`."""
    config = read_config(config_texts(workspace))
    now = upcoming(workspace, config.settings)
    staying = {name: replace(person, until=None) for name, person in config.people.items()}
    table = replace(config, people=staying).read_table(now)
    idle, without = unreached(table.rules), gaps(table.rules, config.charters)
    ends = leaving(table, config.charters, config.people, now, SOON)
    limits = limiting.findings(table, config.settings, config.charters, now)
    guards = limiting.unfit_guards(table, config.settings, config.charters)
    faults = [one.why is not Idle.COVERED for one in idle] + [one.ruling is Ruling.FORBIDDEN for one in without] + [one.gone for one in ends]
    return {
        "table": _named(table),
        "as_of": format_instant(now),
        "faults": sum(faults) + len(limits) + len(guards),
        "limits": limits,
        "guards": guards,
        "unreached": [asdict(one) for one in idle],
        "gaps": [asdict(one) for one in without],
        "leaving": [asdict(one) | {"until": format_instant(one.until)} for one in ends],
        "untold": _untold(workspace, table),
        "overlaps": [asdict(one) for one in overlaps(table.rules)],
    }


def proved(workspace: Workspace, file: Path | None) -> dict[str, Any]:
    """Each invariant of `file` (None: the workspace's `invariants.yaml`): proved of the table, with its market's rules, for all facts, or refuted
    by an example; `broken` counts those that are refuted or demand nothing. Raises `WorkspaceError` or `AuthorityError` with every fault."""
    config = read_config(config_texts(workspace))
    now = upcoming(workspace, config.settings)
    table = config.read_table(now)
    invariants = load_invariants(invariants_text(workspace, file), config.people, FACTS, now)
    found = [_told(proof) for proof in prove(table.rules, invariants, lambda facts: authorize(facts, table), given=table.kinds)]
    return {"table": _named(table), "as_of": format_instant(now), "broken": sum(not one["proved"] or one["empty"] for one in found), "invariants": found}


def invariants_text(workspace: Workspace, file: Path | None = None) -> str:
    """The text of the invariants. Raises `WorkspaceError`, saying how to get some, where there are none."""
    path = file or workspace.root / "invariants.yaml"
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        what, do = (
            "there are no invariants to prove",
            "Write what must hold of every table, as docs/concepts/proofs.md says; `remit init DIR` makes a file to copy.",
        )
        raise WorkspaceError(what, where=str(path), do=do) from None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"the invariants cannot be read: {getattr(error, 'strerror', None) or error}", where=str(path)) from None


def upcoming(workspace: Workspace, settings: Settings) -> int:
    """When the next cycle is, in UTC microseconds; also where none was run yet."""
    if workspace.ledger.made:
        with closing(read_ledger(workspace.ledger)) as records:
            return next_instant(records, settings, None)
    return settings.first if settings.stepped else time_ns() // 1000


def _untold(workspace: Workspace, table: Table) -> list[dict[str, Any]]:
    """The facts that rows ask and that were known of no decision of the last cycle, with those rows; nothing before the first cycle, and nothing of facts that
    it did not record."""
    if not workspace.ledger.made:
        return []
    with closing(read_ledger(workspace.ledger)) as records:
        cycle = newest(records)
        parts = [] if cycle is None else [records.read_segment(segment).frame for segment in records.segments(cycle.cycle, STREAM)]
    names = [name for name in table.kinds if parts and name in parts[0].columns]
    gone = [name for name in names if all(part[name].null_count() == part.height for part in parts)]
    asked = [(row.id, set(facts_of(row.condition))) for rows in (table.rules, table.obligations, table.exploration) for row in rows]
    return [{"fact": name, "rows": [row for row, facts in asked if name in facts]} for name in gone]


def _named(table: Table) -> dict[str, Any]:
    return {"name": table.name, "version": table.version, "rows": len(table.rules), "digest": table.digest}


def _told(proof: Proof) -> dict[str, Any]:
    invariant, refutation = proof.invariant, proof.refutation
    told = {name: getattr(invariant, name) for name in ("id", "says", "when", "at_least", "owner")}
    found = {**told, "proved": refutation is None, "empty": proof.empty}
    if refutation is None:
        return found
    return {**found, "rows": refutation.rows, "example": refutation.says, "facts": dict(refutation.facts), "verdict": asdict(refutation.verdict)}
