"""Proving invariants of a table for all facts there can be, unknown ones included, or refuting them by one example."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from remit.authority.conditions import Facts, Value, facts_of
from remit.authority.invariants import Invariant
from remit.authority.judging import authorize
from remit.authority.solving import Formula, Space
from remit.authority.tables import Rule, Table
from remit.authority.wording import proposal_in_words, verdict_in_words
from remit.terms.facts import FACTS, Fact
from remit.terms.verdicts import Ruling, Verdict


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
    conditions = [*(rule.condition for rule in rules), *(invariant.condition for invariant in invariants)]
    named = {*given, *(name for condition in conditions for name in facts_of(condition))}
    space = Space({name: fact.kind for name, fact in facts.items() if name in named}, conditions)
    search = _Search(space, rules, invariants)
    return [_proof(search, invariant, verdict_of, facts) for invariant in invariants]


def _proof(search: "_Search", invariant: Invariant, verdict_of: Callable[[Facts], Verdict], facts: Mapping[str, Fact]) -> Proof:
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


class _Search:
    """What is asked of a space about rows and invariants."""

    def __init__(self, space: Space, rules: Sequence[Rule], invariants: Sequence[Invariant]) -> None:
        self.space, self.rules, self.invariants = space, rules, invariants
        self.rulings = space.rulings(rules)
        self._usual: dict[str, Mapping[str, Value | None]] = {}

    def wins(self, rule: Rule) -> Formula:
        """When the row is one of those that make the ruling."""
        return self.space.claim(("wins", rule.id), lambda: self.space.applies(rule) & self.rulings[rule.ruling])

    def breaks(self, invariant: Invariant) -> Formula:
        """When a ruling is looser than the invariant demands."""
        demanded = ~self.space.truth(invariant.condition).false
        loose = self.rulings[Ruling.AUTONOMOUS] if invariant.at_least is Ruling.CONFIRM else ~self.rulings[Ruling.FORBIDDEN]
        return self.space.claim(("breaks", invariant.condition, invariant.at_least), lambda: demanded & loose)

    def breaking(self, invariant: Invariant) -> list[Rule]:
        """The rows by which the invariant can be broken: autonomous ones first, otherwise in the order of the table."""
        if not self.space.possible(self.breaks(invariant)):
            return []
        order = [rule for ruling in (Ruling.AUTONOMOUS, Ruling.CONFIRM) for rule in self.rules if rule.ruling is ruling]
        return [rule for rule in order if self.space.possible(self.breaks(invariant), self.wins(rule))]

    def usual(self, rule: Rule) -> Mapping[str, Value | None]:
        """A proposal that the row lets pass and nothing else speaks against, as far as there is one: an autonomous row lets it pass, no invariant demands
        anything of it, all is known, and no row but autonomous ones applies beside it."""
        if rule.id not in self._usual:
            granted = [self.space.some(other for other in self.rules if other.ruling is Ruling.AUTONOMOUS)]
            calm = [self.space.truth(invariant.condition).false for invariant in self.invariants]
            known = [self.space.known(name) for name in self.space.kinds]
            alone = [self.space.silent(other) for other in self.rules if other.ruling is not Ruling.AUTONOMOUS and other is not rule]
            claims = [self.space.claim(("usual", place, rule.id), lambda wish=wish: wish) for place, wish in enumerate([*granted, *calm, *known, *alone])]
            self._usual[rule.id] = self.space.example(self.space.preferring([self.wins(rule)], claims), {})
        return self._usual[rule.id]
