"""Reading a condition: restricted SQL boolean text into a checked tree.

sqlglot parses; whatever is not on the short list below is refused, with what to write instead. Nothing is guessed: text and numbers are never
compared, a decimal is scaled exactly or not at all. What is refused today can be allowed later without changing what any table meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from remit.authority.conditions import AllOf, Among, AnyOf, Compare, Condition, Constant, FactName, Known, Value
from remit.authority.errors import nearest
from remit.terms.encoding import MICRO
from remit.terms.facts import Fact, Kind

_SIGNS: Mapping[type[exp.Expr], str] = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

# What each allowed node may carry. An argument that a node does not have here (`BETWEEN SYMMETRIC`, `t.fact`) is refused like an unknown node.
_TWO_SIDES = frozenset({"this", "expression"})
_ALLOWED: Mapping[type[exp.Expr], frozenset[str]] = {
    **dict.fromkeys((exp.And, exp.Or, exp.Is, *_SIGNS), _TWO_SIDES),
    **dict.fromkeys((exp.Not, exp.Paren, exp.Neg, exp.Column, exp.Boolean), frozenset({"this"})),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Null: frozenset(),
}
_LANGUAGE = "A condition compares facts with = <> < <= > >=, BETWEEN, IN, IS NULL, IS NOT NULL, joined by AND, OR, NOT and parentheses"
_FAULTY = Constant(False)  # stands for what could not be read; never used, as every such place is a fault


@dataclass(frozen=True, slots=True)
class _Literal:
    """A literal as written: text, a number with its sign, or TRUE and FALSE."""

    kind: str
    text: str


def read_condition(text: str, facts: Mapping[str, Fact], thresholds: Mapping[str, str] = MappingProxyType({})) -> tuple[Condition, list[str]]:
    """The condition that `text` writes over the dictionary `facts` and the numbers `thresholds` (by name), and all faults found in it; with faults, the
    condition means nothing."""
    reader = _Reader(facts, thresholds)
    try:
        if any(token.comments for token in sqlglot.tokenize(text)):
            reader.faults.append("a comment stands in the condition; put it in the row's `reason`, or after a # of its own line")
        condition = reader.condition(sqlglot.parse_one(text, into=exp.Condition), negated=False)
    except SqlglotError as error:
        return _FAULTY, [f"the condition cannot be read{_place(error)}. {_LANGUAGE}"]
    except RecursionError:
        return _FAULTY, ["the condition is nested too deeply to be read; write it as several rows"]
    return condition, list(dict.fromkeys(reader.faults))


def names_in(text: str) -> set[str]:
    """The words of a condition: facts, thresholds and the language's own."""
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", text)))


def _place(error: SqlglotError) -> str:
    """Where sqlglot stopped, where it says so."""
    found = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    near = f"{found.get('start_context') or ''}{found.get('highlight') or ''}".strip()
    return f" after `{near[-60:]}`" if near else ""


class _Reader:
    """Walks one parsed condition and gathers faults."""

    def __init__(self, facts: Mapping[str, Fact], thresholds: Mapping[str, str]) -> None:
        self.facts, self.thresholds = facts, thresholds
        self.faults: list[str] = []

    def condition(self, node: exp.Expr, negated: bool) -> Condition:
        """The tree of a node that must be true or false; `negated` carries every NOT down to the leaves."""
        if not self._allowed(node):
            return _FAULTY
        match node:
            case exp.Paren():
                return self.condition(node.this, negated)
            case exp.Not():
                return self.condition(node.this, not negated)
            case exp.And() | exp.Or():
                parts = tuple(self.condition(part, negated) for part in node.flatten(unnest=False))
                return AllOf(parts) if isinstance(node, exp.And) is not negated else AnyOf(parts)
            case exp.Boolean():
                return Constant(bool(node.this) is not negated)
        return self._leaf(node, negated)

    def _leaf(self, node: exp.Expr, negated: bool) -> Condition:
        match node:
            case exp.Column():
                return self._compare("=", node, exp.true(), negated)
            case exp.Between():
                bounds = (self._compare(">=", node.this, node.args["low"], negated), self._compare("<=", node.this, node.args["high"], negated))
                return AnyOf(bounds) if negated else AllOf(bounds)
            case exp.In():
                return self._among(node, negated)
            case exp.Is():
                return self._is(node, negated)
            case exp.Binary() if type(node) in _SIGNS:
                return self._compare(_SIGNS[type(node)], node.this, node.expression, negated)
        return self._fault(f"`{_sql(node)}` is neither true nor false. {_LANGUAGE}")

    def _compare(self, sign: str, left_node: exp.Expr, right_node: exp.Expr, negated: bool) -> Condition:
        left, right = self._operand(left_node), self._operand(right_node)
        if left is None or right is None:
            return _FAULTY
        if isinstance(left, _Literal):
            left, right, sign = right, left, _MIRRORED[sign]
        if isinstance(left, _Literal):
            return self._fault(f"`{_sql(left_node)}` and `{_sql(right_node)}` are both literals; name a fact on one side, or write TRUE or FALSE")
        if left.kind in (Kind.TEXT, Kind.BOOL) and sign not in ("=", "<>"):
            return self._fault(f"`{left.name}` is {left.kind} and has no order, so `{sign}` means nothing; use =, <> or IN")
        value = self._other_fact(left, right) if isinstance(right, Fact) else self._value(left, right)
        return _FAULTY if value is None else Compare(left.name, _NEGATED[sign] if negated else sign, value)

    def _among(self, node: exp.In, negated: bool) -> Condition:
        fact = self._fact_only(node.this, "IN")
        if not node.expressions:
            return self._fault(f"`{_sql(node)}`: IN needs a list of literals in parentheses")
        items = [self._operand(item) for item in node.expressions]
        if any(isinstance(item, Fact) for item in items):
            return self._fault(f"`{_sql(node)}`: IN takes literals only; compare with another fact by =")
        if fact is None:
            return _FAULTY
        values = [self._value(fact, item) for item in items if isinstance(item, _Literal)]
        return Among(fact.name, tuple(dict.fromkeys(value for value in values if value is not None)), inside=not negated)

    def _is(self, node: exp.Is, negated: bool) -> Condition:
        fact, right = self._fact_only(node.this, "IS"), node.expression
        if fact is None:
            return _FAULTY
        if isinstance(right, exp.Null):
            return Known(fact.name, known=negated)
        if not isinstance(right, exp.Boolean) or fact.kind is not Kind.BOOL:
            return self._fault(f"`{_sql(node)}`: write IS NULL or IS NOT NULL, or IS TRUE and IS FALSE of a bool fact")
        # `b IS TRUE` is `b IS NOT NULL AND b`: false, and not unknown, where b is unknown.
        known, said = Known(fact.name, known=not negated), Compare(fact.name, "<>" if negated else "=", bool(right.this))
        return AnyOf((known, said)) if negated else AllOf((known, said))

    def _operand(self, node: exp.Expr) -> Fact | _Literal | None:
        node = node.unnest()
        if not self._allowed(node):
            return None
        match node:
            case exp.Column() if node.name in self.thresholds and not node.this.args.get("quoted"):
                return _Literal("number", self.thresholds[node.name])
            case exp.Column():
                return self._fact(node)
            case exp.Literal():
                return _Literal("text" if node.is_string else "number", node.this)
            case exp.Neg() if isinstance(node.this, exp.Literal) and not node.this.is_string:
                return _Literal("number", f"-{node.this.this}")
            case exp.Boolean():
                return _Literal("TRUE or FALSE", "TRUE" if node.this else "FALSE")
            case exp.Null():
                self._fault("comparing with NULL is never true; write IS NULL or IS NOT NULL")
            case _:
                self._fault(f"`{_sql(node)}` stands where a fact or a literal must stand")
        return None

    def _fact(self, node: exp.Column) -> Fact | None:
        name = node.name
        if node.this.args.get("quoted"):
            self._fault(f"`{name}` is in double quotes; write text in single quotes, and the names of facts without quotes")
        elif name not in self.facts:
            self._fault(f"fact `{name}` is not in the dictionary{nearest(name, [*self.facts, *self.thresholds]) or '; see the list of facts'}")
        else:
            return self.facts[name]
        return None

    def _fact_only(self, node: exp.Expr, word: str) -> Fact | None:
        operand = self._operand(node)
        if isinstance(operand, _Literal):
            self._fault(f"`{_sql(node)}` stands before {word}, where a fact must stand")
            return None
        return operand

    def _other_fact(self, left: Fact, right: Fact) -> FactName | None:
        if left.kind is right.kind:
            return FactName(right.name)
        self._fault(f"`{left.name}` is {left.kind} and `{right.name}` is {right.kind}; only facts of one kind are compared")
        return None

    def _value(self, fact: Fact, literal: _Literal) -> Value | None:
        """The literal as the fact's kind holds it."""
        expected, shape = _SHAPES[fact.kind]
        if literal.kind != shape[0] or not re.fullmatch(shape[1], literal.text, re.DOTALL):
            self._fault(f"`{fact.name}` is {fact.kind} and is compared with {literal.kind} `{literal.text}`; write {expected}")
            return None
        if fact.kind is Kind.TEXT:
            return literal.text
        if fact.kind is Kind.BOOL:
            return literal.text == "TRUE"
        value = _scaled(literal.text) if fact.kind is Kind.NUMBER else int(literal.text)
        if not -(2**63) <= value < 2**63:
            self._fault(f"`{literal.text}` is larger than `{fact.name}` can ever be; write {expected}")
            return None
        return value

    def _allowed(self, node: exp.Expr) -> bool:
        carried = {name for name, value in node.args.items() if value not in (None, False, [])}
        if type(node) in _ALLOWED and carried <= _ALLOWED[type(node)]:
            return True
        self._fault(f"`{_sql(node)}` is not allowed. {_LANGUAGE}")
        return False

    def _fault(self, fault: str) -> Condition:
        self.faults.append(fault)
        return _FAULTY


_SHAPES: Mapping[Kind, tuple[str, tuple[str, str]]] = {
    Kind.TEXT: ("text in single quotes", ("text", r".*")),
    Kind.BOOL: ("TRUE or FALSE", ("TRUE or FALSE", r".*")),
    Kind.INT: ("a whole number such as 12, within 64 bits", ("number", r"-?[0-9]{1,19}")),
    Kind.NUMBER: ("a decimal such as 0.9, with at most six decimals and below nine million million", ("number", r"-?[0-9]{1,13}(\.[0-9]{1,6})?")),
}


def _scaled(decimal: str) -> int:
    """A decimal of at most six decimals in millionths, exactly."""
    whole, _, decimals = decimal.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(int(whole)) * MICRO + int(decimals.ljust(6, "0")))


def _sql(node: exp.Expr) -> str:
    text = node.sql()
    return text if len(text) <= 60 else text[:57] + "..."
