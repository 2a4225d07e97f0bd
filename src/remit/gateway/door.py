"""The door: what the ledger holds is checked again and cleared, or stopped with a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from remit.authority import Facts, Table, authorize, judge
from remit.gateway.facts import Known, gather
from remit.gateway.queue import Heard, lacking
from remit.ledger import Records
from remit.terms.charters import Charter
from remit.terms.people import People
from remit.terms.proposals import PROPOSAL_COLUMNS, Cleared, Recorded
from remit.terms.verdicts import Ruling, Verdict

ELSEWHERE = "somebody else covers this HCP now"
"""Why an action is refused whose list would go to another person now."""
_KINDS = {"text": pl.String, "int": pl.Int64, "number": pl.Int64, "bool": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Stopped:
    """A recorded action that may no longer be executed, and the rules (or the change) that stopped it."""

    recorded: Recorded
    reason: str


def clear(records: Records, cycle: str, known: Known, table: Table, charters: Iterable[Charter], people: People) -> tuple[list[Cleared], list[Stopped]]:
    """Judges every autonomous action that the ledger holds for `cycle` once more, by what is known now, and clears those that are still autonomous.

    INVARIANT (one door): actions come from the ledger itself, never from the caller, and nothing else makes `Cleared`.
    """
    recorded = [action for action in records.recorded(cycle) if action.chosen.judged.verdict.ruling is Ruling.AUTONOMOUS]
    if not recorded:
        return [], []
    cleared, stopped = [], []
    for action, verdict, rep in _judged_again(recorded, known, table, charters, people):
        if verdict.ruling is not Ruling.AUTONOMOUS:
            stopped.append(Stopped(action, f"{verdict.ruling.value}: {', '.join(verdict.rules) or 'no row of the table applies'}"))
        elif rep != action.chosen.rep_id:
            stopped.append(Stopped(action, ELSEWHERE))
        else:
            cleared.append(Cleared(action, verdict, known.now))
    return cleared, stopped


def asked_now(action: Recorded, known: Known, table: Table, charters: Sequence[Charter], people: People) -> Stopped | Verdict:
    """Judges an action that waits for people once more, by what is known now: what forbids it, or the verdict."""
    ((_, verdict, rep),) = _judged_again([action], known, table, charters, people)
    if verdict.ruling is Ruling.FORBIDDEN:
        return Stopped(action, f"forbidden: {', '.join(verdict.rules) or 'no row of the table applies'}")
    return Stopped(action, ELSEWHERE) if rep != action.chosen.rep_id else verdict


def clear_approved(
    records: Records, entry: int, heard: Heard, known: Known, table: Table, charters: Sequence[Charter], people: People
) -> Cleared | Stopped | tuple[str, ...]:
    """Judges an action that waited for people once more: cleared if those whose yes it takes now have said yes to exactly this entry; else the roles that are
    missing, or what forbids it."""
    action, stored = records.action(entry), records.entry(entry)
    verdict = asked_now(action, known, table, charters, people)
    if isinstance(verdict, Stopped):
        return verdict
    owners = {charter.agent: charter.owner for charter in charters}
    # INVARIANT (stricter wins): what it was recorded to need, and what the table asks for now.
    roles = dict.fromkeys((*heard.asked(stored), *verdict.roles))
    proposer = owners.get(action.chosen.judged.proposal.agent, "")
    missing = lacking(roles, heard.given(stored), heard.escalated.get(entry), proposer, people, known.now)
    return tuple(missing) if missing else Cleared(action, verdict, known.now)


def clear_one(recorded: Recorded, facts: Facts, rep: str | None, table: Table, now: int) -> Cleared | str:
    """Judges one autonomous action once more, by its `facts` and who covers the HCP now (`rep`): cleared, or what stops it."""
    verdict = authorize(facts, table)
    if verdict.ruling is not Ruling.AUTONOMOUS:
        return f"{verdict.ruling.value}: {', '.join(verdict.rules) or 'no row of the table applies'}"
    return ELSEWHERE if rep != recorded.chosen.rep_id else Cleared(recorded, verdict, now)


def _judged_again(
    recorded: Sequence[Recorded], known: Known, table: Table, charters: Iterable[Charter], people: People
) -> list[tuple[Recorded, Verdict, str | None]]:
    """Each action with the verdict on it by what is known now, and who covers the HCP now."""
    said = [action.chosen.judged.proposal for action in recorded]
    proposals = pl.DataFrame([pl.Series(name, [getattr(each, name) for each in said], _KINDS[kind]) for name, kind in PROPOSAL_COLUMNS])
    facts = gather(proposals, known, charters, people)
    judgement = judge(facts, table)
    verdicts = (judgement.verdicts[code] for code in judgement.columns["verdict"].to_list())
    return list(zip(recorded, verdicts, facts["rep_id"].to_list(), strict=True))
