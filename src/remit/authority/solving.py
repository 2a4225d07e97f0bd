"""Conditions and verdicts as formulas for z3, with the meaning that they have in Python: what may be asked of all facts there can be at once.

Each fact is a flag, whether it is known, and a value: a truth value, an int64 (`int` and `number`), or for text the number of a word, where every word
that no condition names is one as good as another. Nothing depends on which model z3 happens to find: examples are built from its yes and no alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import z3  # type: ignore[import-untyped]  # it ships no types

from remit.authority.conditions import AllOf, Among, AnyOf, Compare, Condition, Constant, FactName, Facts, Known, Value, leaves
from remit.authority.errors import AuthorityError
from remit.authority.tables import Rule
from remit.terms.facts import Kind
from remit.terms.verdicts import Ruling

Formula: TypeAlias = Any
"""A z3 Boolean."""

_LEAST, _MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Truth:
    """A condition's two formulas: it is true, it is false. Where neither holds, it is unknown."""

    true: Formula
    false: Formula


class Space:
    """All facts of `kinds` that there can be, asked about with `possible` and `example`; `conditions` are those whose literals examples are made of."""

    def __init__(self, kinds: Mapping[str, Kind], conditions: Iterable[Condition]) -> None:
        self.kinds = dict(kinds)
        self._context = z3.Context()
        self._solver = z3.SolverFor("QF_LIA", ctx=self._context)
        self._literals: dict[str, dict[Value, None]] = {name: {} for name in self.kinds}
        self._codes: dict[str, int] = {}
        self._claims: dict[object, Formula] = {}
        self._numbers = count()
        self._known = {name: z3.Bool(f"known {name}", self._context) for name in self.kinds}
        self._value = {name: (z3.Bool if kind is Kind.BOOL else z3.Int)(f"value {name}", self._context) for name, kind in self.kinds.items()}
        for name, kind in self.kinds.items():
            if kind is not Kind.BOOL:
                self._solver.add(self._value[name] >= (0 if kind is Kind.TEXT else _LEAST))
            if kind in (Kind.INT, Kind.NUMBER):
                self._solver.add(self._value[name] <= _MOST)
        numbers = [name for name, kind in self.kinds.items() if kind in (Kind.INT, Kind.NUMBER)]
        not_below = [self.claim(("not below zero", name), lambda name=name: self._value[name] >= 0) for name in numbers]
        self._plain = [*(self._known[name] for name in numbers), *not_below]
        for condition in conditions:
            self._note(condition)
        self._others = self._unused_words(sum(kind is Kind.TEXT for kind in self.kinds.values()))

    def _note(self, condition: Condition) -> None:
        for leaf in leaves(condition):
            match leaf:
                case Compare(fact, _, right) if not isinstance(right, FactName):
                    self._note_values(fact, (right,))
                case Among(fact, values, _):
                    self._note_values(fact, values)

    def _note_values(self, fact: str, values: Iterable[Value]) -> None:
        for value in values:
            self._literals[fact].setdefault(value)
            if self.kinds[fact] is Kind.TEXT:
                self._code(str(value))

    def _unused_words(self, number: int) -> list[str]:
        """So many words that no condition names."""
        words = (f"other-{place}" if place else "other" for place in count())
        return [word for word, _ in zip((word for word in words if word not in self._codes), range(number), strict=False)]

    # What is said in formulas

    def truth(self, condition: Condition) -> Truth:
        """When the condition is true, and when it is false."""
        match condition:
            case Constant(value):
                return Truth(self._constant(value), self._constant(not value))
            case Known(fact, known):
                flag = self._known[fact]
                return Truth(flag, z3.Not(flag)) if known else Truth(z3.Not(flag), flag)
            case Compare(fact, sign, right):
                both = [self._known[fact], *([self._known[right.name]] if isinstance(right, FactName) else [])]
                compared = self._compared(fact, sign, right)
                return Truth(z3.And(*both, compared), z3.And(*both, z3.Not(compared)))
            case Among(fact, values, inside):
                among = z3.Or([self._compared(fact, "=", value) for value in values])
                yes, no = z3.And(self._known[fact], among), z3.And(self._known[fact], z3.Not(among))
                return Truth(yes, no) if inside else Truth(no, yes)
            case AllOf(parts):
                truths = [self.truth(part) for part in parts]
                return Truth(z3.And([one.true for one in truths]), z3.Or([one.false for one in truths]))
            case AnyOf(parts):
                truths = [self.truth(part) for part in parts]
                return Truth(z3.Or([one.true for one in truths]), z3.And([one.false for one in truths]))

    def applies(self, rule: Rule) -> Formula:
        """When the row applies: where its condition is true, and of a forbidden or confirm row also where it is unknown."""
        return self.claim(("applies", rule.condition, rule.if_unknown), lambda: self._applies(rule))

    def _applies(self, rule: Rule) -> Formula:
        truth = self.truth(rule.condition)
        return z3.Not(truth.false) if rule.if_unknown else truth.true

    def silent(self, rule: Rule) -> Formula:
        """When the row does not apply."""
        return z3.Not(self.applies(rule))

    def rulings(self, rules: Sequence[Rule]) -> Mapping[Ruling, Formula]:
        """When the rows together give each ruling: `authorize`, in formulas."""
        key = tuple((rule.condition, rule.ruling, rule.only_tightens) for rule in rules)
        forbidden = self.some(rule for rule in rules if rule.ruling is Ruling.FORBIDDEN)
        confirm = self.some(rule for rule in rules if rule.ruling is Ruling.CONFIRM)
        autonomous = self.some(rule for rule in rules if rule.ruling is Ruling.AUTONOMOUS)
        allowing = self.some(rule for rule in rules if rule.ruling is not Ruling.FORBIDDEN and not rule.only_tightens)
        asks = self.claim((Ruling.CONFIRM, key), lambda: z3.And(z3.Not(forbidden), allowing, confirm))
        acts = self.claim((Ruling.AUTONOMOUS, key), lambda: z3.And(z3.Not(forbidden), z3.Not(confirm), autonomous))
        denies = self.claim((Ruling.FORBIDDEN, key), lambda: z3.Not(z3.Or(asks, acts)))
        return {Ruling.AUTONOMOUS: acts, Ruling.CONFIRM: asks, Ruling.FORBIDDEN: denies}

    def some(self, rules: Iterable[Rule]) -> Formula:
        """When any of the rows applies."""
        applying = [self.applies(rule) for rule in rules]
        return z3.Or(applying) if applying else self._constant(False)

    def known(self, fact: str) -> Formula:
        """When the fact is known."""
        return self._known[fact]

    def fixed(self, fact: str, value: Value | None) -> Formula:
        """When the fact is this value; None: unknown."""
        if value is None:
            return z3.Not(self._known[fact])
        return self.claim((fact, value), lambda: z3.And(self._known[fact], self._compared(fact, "=", value)))

    def claim(self, key: object, formula: Any) -> Formula:
        """A name for what `formula()` says, made once for each `key`: z3 asks about names faster than about formulas."""
        if key not in self._claims:
            self._claims[key] = name = z3.Bool(f"claim {len(self._claims)}", self._context)
            self._solver.add(name == formula())
        return self._claims[key]

    def _compared(self, fact: str, sign: str, right: FactName | Value) -> Formula:
        left = self._value[fact]
        other = self._value[right.name] if isinstance(right, FactName) else self._held(fact, right)
        match sign:
            case "=":
                return left == other
            case "<>":
                return left != other
            case "<":
                return left < other
            case "<=":
                return left <= other
            case ">":
                return left > other
        return left >= other

    def _held(self, fact: str, value: Value) -> Formula:
        match self.kinds[fact]:
            case Kind.BOOL:
                return self._constant(bool(value))
            case Kind.TEXT:
                return z3.IntVal(self._code(str(value)), self._context)
        return z3.IntVal(int(value), self._context)

    def _code(self, word: str) -> int:
        return self._codes.setdefault(word, len(self._codes))

    def _constant(self, value: bool) -> Formula:
        return z3.BoolVal(value, self._context)

    # What is asked

    def possible(self, *claims: Formula) -> bool:
        """Whether there are facts of which all claims hold. Raises `AuthorityError` where z3 cannot tell."""
        found = self._solver.check(*claims)
        if found == z3.unknown:
            what = f"the rows are too hard to be decided: {self._solver.reason_unknown()}"
            raise AuthorityError(what, where="authority table", do="Write long conditions as several short rows.")
        return bool(found == z3.sat)

    def together(self, formulas: Sequence[Formula]) -> Formula:
        """A name for all formulas at once: to hand z3 one name takes far less time than to hand it many."""
        name = z3.Bool(f"together {next(self._numbers)}", self._context)
        self._solver.add(z3.Implies(name, z3.And(*formulas)))
        return name

    def preferring(self, claims: Sequence[Formula], wishes: Sequence[Formula]) -> Formula:
        """All claims, and of the wishes each that can hold beside them and the wishes before it."""
        everything = self.together([*claims, *wishes])
        if self.possible(everything):
            return everything
        held = self.together(claims)
        for wish in wishes:
            more = self.together([held, wish])
            held = more if self.possible(more) else held
        return held

    def needed(self, claims: Sequence[Formula], among: Mapping[str, Formula]) -> tuple[str, ...]:
        """Of formulas `among` which, with `claims`, cannot all hold: the names of some that cannot either, none of which could be left out;
        earlier ones before later ones."""
        kept = dict(among)
        for name in reversed(list(among)):
            rest = {other: formula for other, formula in kept.items() if other != name}
            if not self.possible(*claims, *rest.values()):
                kept = rest
        return tuple(kept)

    def example(self, claims: Sequence[Formula], like: Facts) -> dict[str, Value | None]:
        """Facts of which all claims hold (they must be possible), no number unknown or below zero that need not be: each as `like` has it where it can be, in
        the order of the facts; of the rest, numbers as near to it as can be, words that conditions name of the fact before unknown, and unknown before
        other words."""
        held, facts = self.preferring(claims, self._plain), dict[str, Value | None]()
        for name in self.kinds:
            if name in like and self.possible(held, self.fixed(name, like[name])):
                facts[name] = like[name]
                held = self.together([held, self.fixed(name, like[name])])
        for name in self.kinds:
            if name not in facts:
                facts[name] = self._chosen(name, held, like.get(name))
                held = self.together([held, self.fixed(name, facts[name])])
        return {name: facts[name] for name in self.kinds}

    def choices(self, name: str, near: Value | None) -> list[Value]:
        """Values of a fact that tell conditions apart, other than `near`: numbers at literals and beside them, the nearest first; words that conditions name
        of the fact, and one that none names."""
        kind = self.kinds[name]
        if kind is Kind.BOOL:
            return [value for value in (False, True) if value is not near]
        if kind is Kind.TEXT:
            return [value for value in (*self._literals[name], self._others[0]) if value != near]
        usual = int(near or 0)
        beside = {int(literal) + step for literal in self._literals[name] for step in (-1, 0, 1)}
        inside = [value for value in beside if _LEAST <= value <= _MOST and value != near]
        return [*sorted(inside, key=lambda value: (abs(value - usual), value))]

    def _chosen(self, name: str, held: Formula, near: Value | None) -> Value | None:
        if not self.possible(held, self._known[name]):
            return None
        if self.kinds[name] in (Kind.INT, Kind.NUMBER):
            return self._nearest(name, held, int(near or 0))
        words: list[Value | None] = [False, True, None] if self.kinds[name] is Kind.BOOL else [*self._literals[name], None, *self._others, *self._codes]
        return next(word for word in words if self.possible(held, self.fixed(name, word)))

    def _nearest(self, name: str, held: Formula, near: int) -> int:
        """The value nearest to `near`, the smaller of two: found among the distances of literals first, where it nearly always lies."""

        def within(distance: int) -> bool:
            value = self._value[name]
            claim = self.claim((name, near, distance), lambda: z3.And(self._known[name], value >= near - distance, value <= near + distance))
            return self.possible(held, claim)

        steps = {abs(int(literal) + step - near) for literal in self._literals[name] for step in (-1, 0, 1)}
        distances = sorted({-1, 0, *steps, 2**64})
        low, high = 0, len(distances) - 1  # it lies beyond distances[low], and not beyond distances[high]
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if within(distances[middle]) else (middle, high)
        beyond, most = distances[low], distances[high]
        if most - beyond > 1 and not within(most - 1):
            beyond = most - 1
        while most - beyond > 1:
            middle = (beyond + most) // 2
            beyond, most = (beyond, middle) if within(middle) else (middle, most)
        return near - most if self.possible(held, self.fixed(name, near - most)) else near + most
