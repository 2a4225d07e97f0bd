"""Proving invariants of a table for all facts there can be, unknown ones included, or refuting them by one example."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from remit.authority.conditions import Facts, facts_of
from remit.authority.invariants import Invariant
from remit.authority.judging import authorize
from remit.authority.searching import Search
from remit.authority.tables import Rule, Table
from remit.authority.wording import proposal_in_words, verdict_in_words
from remit.terms.facts import FACTS, Fact
from remit.terms.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Refutation:
    """A proposal that breaks an invariant: its `facts`, all that the judgement must be given, and the `verdict` on them. `rows` are all rows by which it can
    be broken; `says` is the example in words, with the facts that the invariant speaks of and those that are not as usual for the first of the rows."""

    invariant: Invariant
    rows: tuple[str, ...]
    facts: Facts
    verdict: Verdict
    says: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found of an invariant: proved where there is no `refutation`. `empty`: its condition can never be true, so that it demands nothing of what is
    known, and was surely not meant so."""

    invariant: Invariant
    refutation: Refutation | None
    empty: bool


def broken(table: Table, invariants: Sequence[Invariant], facts: Mapping[str, Fact] = FACTS) -> list[Refutation]:
    """The invariants that the table breaks, each with an example; none: it keeps them all, whatever the facts."""
    proofs = prove(table.rules, invariants, lambda given: authorize(given, table), facts, table.kinds)
    return [proof.refutation for proof in proofs if proof.refutation]


def prove(
    rules: Sequence[Rule], invariants: Sequence[Invariant], verdict_of: Callable[[Facts], Verdict], facts: Mapping[str, Fact] = FACTS, given: Iterable[str] = ()
) -> list[Proof]:
    """Of each invariant, whether rows judged together keep it. `verdict_of` is the judgement in Python, by which every example is confirmed: one that it does
    not confirm is a defect of Remit, and raised as such. `facts` is the dictionary; `given` are facts that `verdict_of` needs beyond those of rows and
    invariants."""
    search = Search(rules, facts, invariants, given)
    return [_proof(search, invariant, verdict_of, facts) for invariant in invariants]


def _proof(search: Search, invariant: Invariant, verdict_of: Callable[[Facts], Verdict], facts: Mapping[str, Fact]) -> Proof:
    empty = not search.space.possible(search.space.truth(invariant.condition).true)
    rules = search.breaking(invariant)
    if not rules:
        return Proof(invariant, None, empty)
    usual = search.usual(rules[0])
    found = search.space.example([search.breaks(invariant), search.wins(rules[0])], usual)
    verdict = verdict_of(found)
    if not invariant.broken_by(found, verdict.ruling):
        raise RuntimeError(f"z3 refutes `{invariant.id}` by {found}, which Python judges {verdict.ruling}: the two readings of the table differ")
    told = [*facts_of(invariant.condition), *(name for name in found if found[name] != usual[name])]
    says = f"{proposal_in_words(found, told, facts)} {verdict_in_words(verdict)}."
    return Proof(invariant, Refutation(invariant, tuple(rule.id for rule in rules), found, verdict, says), empty)
