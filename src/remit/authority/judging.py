"""The heart: which verdict a table gives, to one proposal and to a million.

    forbidden    beats everything,
    confirm      beats autonomous; all that apply stand together,
    autonomous   only where a row says so and nothing above does,
    no row       is forbidden.

A row applies where its condition is true. Where it is unknown, a forbidden or confirm row applies and an autonomous row does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import compress
from operator import or_

import polars as pl

from remit.authority.conditions import Facts
from remit.authority.errors import AuthorityError
from remit.authority.tables import Obligation, Rule, Table
from remit.terms.facts import Kind
from remit.terms.verdicts import Ruling, Verdict

_NO_ROW = "no row of the table allows this"
_HELD = {Kind.BOOL: bool, Kind.INT: int, Kind.NUMBER: int, Kind.TEXT: str}
_INTEGERS = (pl.Int64, pl.Int32, pl.Int16, pl.Int8, pl.UInt32, pl.UInt16, pl.UInt8)  # those that fit into int64 whatever they hold
_COLUMN = {Kind.BOOL: pl.Boolean(), Kind.INT: pl.Int64(), Kind.NUMBER: pl.Int64(), Kind.TEXT: pl.String()}
_EXPECTED = {
    Kind.BOOL: "it is held as true or false",
    Kind.INT: "it is held as an int64",
    Kind.NUMBER: "it is held as an int64 number of millionths",
    Kind.TEXT: "it is held as text",
}
_WORD = 32  # rows of the table whose bits one column holds; 64 is slower, as most tables are short


def authorize(facts: Facts, table: Table) -> Verdict:
    """The verdict of `table` on one proposal, given all facts that its rows speak of (None: unknown; others are ignored).

    Raises `AuthorityError` if a fact is missing, or is held otherwise than its kind says: an absent fact is a defect, an unknown one is a fact.
    """
    _check_facts(facts, table)
    duties = [duty for duty in table.obligations if duty.holds(facts) is not False]
    return _verdict(_winners([rule for rule in table.rules if applies(rule, facts)]), duties, table)


def applies(rule: Rule, facts: Facts) -> bool:
    """Whether the row applies to a proposal with these facts."""
    held = rule.holds(facts)
    return rule.if_unknown if held is None else held


def _winners(applying: Sequence[Rule]) -> list[Rule]:
    """The rows that make the ruling, out of all that apply."""
    forbidden = [rule for rule in applying if rule.ruling is Ruling.FORBIDDEN]
    if forbidden:
        return forbidden
    # INVARIANT (a model never loosens): a confirm that speaks of a model's fact stands only beside a row that would have let the proposal pass anyway.
    if all(rule.only_tightens for rule in applying):
        return []
    return [rule for rule in applying if rule.ruling is Ruling.CONFIRM] or list(applying)


def _verdict(winners: Sequence[Rule], duties: Sequence[Obligation], table: Table) -> Verdict:
    """The verdict of rows of one ruling together, with the obligations that apply; of none, forbidden."""
    if not winners:
        return Verdict(Ruling.FORBIDDEN, (), table.owner, (_NO_ROW,), table.digest)
    first = winners[0]
    ids, reasons = tuple(rule.id for rule in winners), tuple(rule.reason for rule in winners)
    must = () if first.ruling is Ruling.FORBIDDEN else tuple(dict.fromkeys(word for duty in duties for word in duty.must))
    if first.ruling is not Ruling.CONFIRM:
        return Verdict(first.ruling, ids, first.owner, reasons, table.digest, obligations=must)
    roles = tuple(dict.fromkeys(role for rule in winners for role in rule.roles))
    deadline_us = min(rule.deadline_us for rule in winners if rule.deadline_us is not None)
    on_timeout = "refuse" if any(rule.on_timeout == "refuse" for rule in winners) else "escalate"
    return Verdict(first.ruling, ids, first.owner, reasons, table.digest, roles, deadline_us, on_timeout, must)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts on a frame of proposals. `columns` has a row for each, in the frame's order: `ruling` (an Enum of the three) and `verdict`, the Int32
    index of its `Verdict` in `verdicts`, which holds each verdict once, in an order that the table alone decides."""

    columns: pl.DataFrame
    verdicts: tuple[Verdict, ...]


def judge(frame: pl.DataFrame | pl.LazyFrame, table: Table) -> Judgement:
    """The verdict of `table` on each row of `frame`, which has a column for each fact that the table's rows speak of (null: unknown; others are ignored):
    Boolean for `bool`, an integer that fits into int64 for `int` and `number` (millionths), String, Categorical or Enum for `text`, Null for what nobody knows.

    The same verdicts as `authorize`, row by row. Raises `AuthorityError` naming each column that is missing or is held otherwise.
    """
    lazy = frame.lazy()
    _check_columns(lazy.collect_schema(), table)
    words = _applying_words(table)
    facts = lazy.with_columns(pl.col(fact).cast(_COLUMN[kind]) for fact, kind in table.kinds.items())
    duties = [duty.expression.fill_null(value=True).alias(f"duty_{place}") for place, duty in enumerate(table.obligations)]
    patterns = facts.select(*words, *duties).select(*_winning_words(table), pl.col("^duty_.*$")).collect()
    distinct = patterns.unique().sort(patterns.columns)
    made = [
        _verdict(_rules_in(pattern[: len(words)], table), list(compress(table.obligations, pattern[len(words) :])), table) for pattern in distinct.iter_rows()
    ]
    verdicts = tuple(dict.fromkeys(made))
    places = {verdict: place for place, verdict in enumerate(verdicts)}
    numbers = pl.Series([places[verdict] for verdict in made], dtype=pl.Int32)
    codes = patterns.join(distinct.with_columns(verdict=numbers), on=patterns.columns, how="left", maintain_order="left")["verdict"]
    rulings = pl.Series("ruling", [verdict.ruling for verdict in verdicts], dtype=pl.Enum(Ruling))
    return Judgement(pl.DataFrame([rulings.gather(codes), codes]), verdicts)


def _applying_words(table: Table) -> list[pl.Expr]:
    """For each proposal, one bit for each row of the table, set where the row applies, in words of 32."""
    words = []
    for start in range(0, max(len(table.rules), 1), _WORD):
        bits = [
            rule.expression.fill_null(rule.if_unknown).cast(pl.UInt32) * pl.lit(1 << place, pl.UInt32)
            for place, rule in enumerate(table.rules[start : start + _WORD])
        ]
        words.append(reduce(or_, bits, pl.repeat(0, pl.len(), dtype=pl.UInt32)).alias(f"word_{start}"))
    return words


def _winning_words(table: Table) -> list[pl.Expr]:
    """The same words with only the bits of the rows that make the ruling: `_winners` in masks."""
    rules = table.rules
    forbidden = [rule.ruling is Ruling.FORBIDDEN for rule in rules]
    confirm = [rule.ruling is Ruling.CONFIRM for rule in rules]
    autonomous = [rule.ruling is Ruling.AUTONOMOUS for rule in rules]
    allowing = [not rule.only_tightens for rule in rules]
    any_forbidden, any_allowing, any_confirm = _any_bit(forbidden), _any_bit(allowing), _any_bit(confirm)
    return [
        word
        & pl.when(any_forbidden)
        .then(_mask(forbidden, start))
        .when(~any_allowing)
        .then(pl.lit(0, pl.UInt32))
        .when(any_confirm)
        .then(_mask(confirm, start))
        .otherwise(_mask(autonomous, start))
        for start, word in _words(len(rules))
    ]


def _words(rows: int) -> list[tuple[int, pl.Expr]]:
    return [(start, pl.col(f"word_{start}")) for start in range(0, max(rows, 1), _WORD)]


def _mask(flags: Sequence[bool], start: int) -> pl.Expr:
    return pl.lit(sum(1 << place for place, flag in enumerate(flags[start : start + _WORD]) if flag), pl.UInt32)


def _any_bit(flags: Sequence[bool]) -> pl.Expr:
    return reduce(or_, [word & _mask(flags, start) for start, word in _words(len(flags))]) != 0


def _rules_in(pattern: Sequence[int], table: Table) -> list[Rule]:
    """The rows whose bits are set."""
    bits = sum(word << _WORD * place for place, word in enumerate(pattern))
    found = []
    while bits:
        found.append(table.rules[(bits & -bits).bit_length() - 1])
        bits &= bits - 1
    return found


def _check_facts(facts: Facts, table: Table) -> None:
    faults = []
    for fact, kind in table.kinds.items():
        value = facts.get(fact)
        if value is None:
            if fact not in facts:
                faults.append(f"`{fact}` is missing; give None where it is unknown")
        elif type(value) is not _HELD[kind] and (isinstance(value, bool) or not isinstance(value, _HELD[kind])):
            faults.append(f"`{fact}` is `{value!r}`; {_EXPECTED[kind]}")
    _refuse(faults)


def _check_columns(schema: pl.Schema, table: Table) -> None:
    faults = []
    for fact, kind in table.kinds.items():
        if fact not in schema:
            faults.append(f"the column `{fact}` is missing; give nulls where it is unknown")
        elif not _fits(schema[fact], kind):
            faults.append(f"the column `{fact}` is {schema[fact]}; {_EXPECTED[kind]}")
    _refuse(faults)


def _fits(found: pl.DataType, kind: Kind) -> bool:
    if found == pl.Null:
        return True
    if kind is Kind.BOOL:
        return found == pl.Boolean
    if kind is Kind.TEXT:
        return found in (pl.String, pl.Categorical, pl.Enum)
    return found in _INTEGERS


def _refuse(faults: list[str]) -> None:
    if faults:
        raise AuthorityError("these facts do not fit the table", where="authority table", faults=faults, do="Give every fact that the table speaks of.")
