"""What z3 is asked about rows and invariants together."""

from collections.abc import Iterable, Mapping, Sequence

from remit.authority.conditions import Value, facts_of
from remit.authority.invariants import Invariant
from remit.authority.solving import Formula, Space
from remit.authority.tables import Rule
from remit.terms.facts import Fact
from remit.terms.verdicts import Ruling


class Search:
    """Rows judged together, and invariants: when they decide what. `facts` is the dictionary, `given` are facts that examples must hold beside those that
    rows and invariants speak of."""

    def __init__(self, rules: Sequence[Rule], facts: Mapping[str, Fact], invariants: Sequence[Invariant] = (), given: Iterable[str] = ()) -> None:
        conditions = [*(rule.condition for rule in rules), *(invariant.condition for invariant in invariants)]
        named = {*given, *(name for condition in conditions for name in facts_of(condition))}
        self.space = Space({name: fact.kind for name, fact in facts.items() if name in named}, conditions)
        self.rules, self.invariants = rules, invariants
        self.rulings = self.space.rulings(rules)
        self._usual: dict[Rule, Mapping[str, Value | None]] = {}

    def wins(self, rule: Rule) -> Formula:
        """When the row is one of those that make the ruling."""
        return self.space.claim(("wins", rule), lambda: self.space.applies(rule) & self.rulings[rule.ruling])

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
        if rule not in self._usual:
            granted = [self.space.some(other for other in self.rules if other.ruling is Ruling.AUTONOMOUS)]
            calm = [self.space.truth(invariant.condition).false for invariant in self.invariants]
            known = [self.space.known(name) for name in self.space.kinds]
            alone = [self.space.silent(other) for other in self.rules if other.ruling is not Ruling.AUTONOMOUS and other is not rule]
            wishes = [*granted, *calm, *known, *alone]
            self._usual[rule] = self.space.example([self.space.preferring([self.wins(rule)], wishes)], {})
        return self._usual[rule]
