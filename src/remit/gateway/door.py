"""The door: what the ledger holds is checked again and cleared, or stopped with a reason."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from remit.authority import Table, judge
from remit.gateway.facts import Known, gather
from remit.ledger import Records
from remit.terms.charters import Charter
from remit.terms.people import People
from remit.terms.proposals import PROPOSAL_COLUMNS, Cleared, Recorded
from remit.terms.verdicts import Ruling

_KINDS = {"text": pl.String, "int": pl.Int64, "number": pl.Int64, "bool": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Stopped:
    """A recorded action that may no longer be executed, and the rules (or the change) that stopped it."""

    recorded: Recorded
    reason: str


def clear(
    records: Records, cycle: str, known: Known, table: Table, charters: Iterable[Charter], people: People, done: frozenset[int] = frozenset()
) -> tuple[list[Cleared], list[Stopped]]:
    """Judges every autonomous action that the ledger holds for `cycle` once more, by what is known now, and clears those that are still autonomous.

    `done` are the entries already acted on or stopped. INVARIANT (one door): actions come from the ledger itself, never from the caller, and nothing
    else makes `Cleared`.
    """
    recorded = [action for action in records.recorded(cycle) if action.chosen.judged.verdict.ruling is Ruling.AUTONOMOUS and action.entry not in done]
    if not recorded:
        return [], []
    said = [action.chosen.judged.proposal for action in recorded]
    proposals = pl.DataFrame([pl.Series(name, [getattr(each, name) for each in said], _KINDS[kind]) for name, kind in PROPOSAL_COLUMNS])
    facts = gather(proposals, known, charters, people)
    judgement = judge(facts, table)
    cleared, stopped = [], []
    for action, code, rep in zip(recorded, judgement.columns["verdict"].to_list(), facts["rep_id"].to_list(), strict=True):
        verdict = judgement.verdicts[code]
        if verdict.ruling is not Ruling.AUTONOMOUS:
            stopped.append(Stopped(action, f"{verdict.ruling.value}: {', '.join(verdict.rules) or 'no row of the table applies'}"))
        elif rep != action.chosen.rep_id:
            stopped.append(Stopped(action, "somebody else covers this HCP now"))
        else:
            cleared.append(Cleared(action, verdict, known.now))
    return cleared, stopped
