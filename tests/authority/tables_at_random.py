"""Random dictionaries, conditions, tables and facts, and what another engine (SQLite) says of them."""

import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from hypothesis import strategies as st

from remit.authority import AuthorityError, Table, load_table
from remit.terms.facts import Fact, Kind, Source, dictionary
from remit.terms.labels import Label
from remit.terms.people import Person

PEOPLE = {name: Person(name, frozenset({role})) for name, role in (("ann", "compliance"), ("ben", "medical"), ("cat", "brand-lead"))}
ROLES = ("compliance", "medical", "brand-lead")
DEADLINES = ("6 hours", "2 days", "1 week")

INTS = ("-2", "-1", "0", "1", "2", "9223372036854775807")
NUMBERS = ("-1.5", "0", "0.1", "0.3", "0.000001", "2", "2.50")
TEXTS = ("'a'", "'b'", "'B'", "''", "'it''s'", "'Ä'")
SIGNS = ("=", "<>", "!=", "<", "<=", ">", ">=")
VALUES: Mapping[Kind, tuple[bool | int | str, ...]] = {
    Kind.BOOL: (True, False),
    Kind.INT: (-2, -1, 0, 1, 2, 2**63 - 1),
    Kind.NUMBER: (-1_500_000, 0, 1, 100_000, 300_000, 299_999, 2_000_000, 2_500_000),
    Kind.TEXT: ("a", "b", "B", "", "it's", "Ä"),
}


@dataclass(frozen=True)
class RandomRow:
    """A row as text: id, condition, verdict, owner, and what a confirm needs."""

    id: str
    when: str
    verdict: str
    owner: str
    roles: tuple[str, ...]
    deadline: str
    on_timeout: str

    def yaml(self) -> str:
        lines = [f"- id: {self.id}", f"  when: {json.dumps(self.when)}", f"  verdict: {self.verdict}", f"  owner: {self.owner}", "  reason: drawn"]
        if self.verdict == "confirm":
            lines += [f"  roles: [{', '.join(self.roles)}]", f"  deadline: {self.deadline}", f"  on_timeout: {self.on_timeout}"]
        return "\n".join(lines)


def load(rows: Sequence[RandomRow], facts: Mapping[str, Fact]) -> Table:
    body = "\n".join(row.yaml() for row in rows)
    return load_table(f"version: 1\nname: drawn\nowner: ann\nrows:\n{body}\n" if rows else "version: 1\nname: drawn\nowner: ann\nrows: []\n", PEOPLE, facts, 0)


def loads(row: RandomRow, facts: Mapping[str, Fact]) -> bool:
    try:
        load([row], facts)
    except AuthorityError:
        return False
    return True


def _dictionary(seed: int) -> Mapping[str, Fact]:
    draw = random.Random(seed)  # noqa: S311 - test data
    kinds = draw.choices(list(Kind), k=draw.randint(1, 6))
    sources = draw.choices((Source.RECORD, Source.PROPOSAL, Source.MODEL), k=len(kinds))
    return dictionary(
        *(Fact(f"fact_{n}", kind, source, frozenset({Label.COMMERCIAL}), "drawn") for n, (kind, source) in enumerate(zip(kinds, sources, strict=True)))
    )


DICTIONARIES = [_dictionary(seed) for seed in range(24)]


def dictionaries() -> st.SearchStrategy[Mapping[str, Fact]]:
    return st.sampled_from(DICTIONARIES)


def conditions(facts: Mapping[str, Fact]) -> st.SearchStrategy[str]:
    """Condition texts over `facts`, most of them without the parentheses that would settle precedence."""
    return _conditions(tuple(facts.values()))


@cache
def _conditions(facts: tuple[Fact, ...]) -> st.SearchStrategy[str]:
    leaf = st.one_of(*(st.sampled_from(leaf_texts(fact, facts)) for fact in facts), st.sampled_from(("TRUE", "FALSE")))
    return st.recursive(leaf, _joined, max_leaves=6)


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        parts.map(lambda part: f"NOT {part}"),
        parts.map(lambda part: f"NOT ({part})"),
        parts.map(lambda part: f"({part})"),
        st.tuples(parts, st.sampled_from(("AND", "OR")), parts).map(" ".join),
    )


def leaf_texts(fact: Fact, facts: tuple[Fact, ...]) -> list[str]:
    """Every way to ask something of one fact, with every literal drawn from here."""
    name = fact.name
    literals = {Kind.INT: INTS, Kind.NUMBER: NUMBERS, Kind.TEXT: TEXTS, Kind.BOOL: ("TRUE", "FALSE")}[fact.kind]
    ordered = fact.kind in (Kind.INT, Kind.NUMBER)
    others = [other.name for other in facts if other.kind is fact.kind]
    texts = [f"{name} IS NULL", f"{name} IS NOT NULL"]
    for sign in SIGNS if ordered else ("=", "<>", "!="):
        texts += [f"{name} {sign} {right}" for right in (*literals, *others)] + [f"{left} {sign} {name}" for left in literals]
    if fact.kind is Kind.BOOL:
        return texts + [name] + [f"{name} IS {word}" for word in ("TRUE", "FALSE", "NOT TRUE", "NOT FALSE")]
    texts += [f"{name} {word} ({', '.join(literals[:count])})" for word in ("IN", "NOT IN") for count in (1, 3)]
    if ordered:
        texts += [f"{name} {word} {low} AND {high}" for word in ("BETWEEN", "NOT BETWEEN") for low in (*literals[:3], *others) for high in literals[1:4]]
    return texts


def rows(facts: Mapping[str, Fact], row_id: str, verdicts: tuple[str, ...] = ("autonomous", "confirm", "forbidden")) -> st.SearchStrategy[RandomRow]:
    """A row that loads: a condition that no autonomous row may have is given to a confirm row instead."""
    drawn = _rows(tuple(facts.values()), row_id, verdicts)
    return drawn.map(lambda row: row if row.verdict != "autonomous" or loads(row, facts) else replace(row, verdict="confirm"))


@cache
def _rows(facts: tuple[Fact, ...], row_id: str, verdicts: tuple[str, ...]) -> st.SearchStrategy[RandomRow]:
    roles = st.sampled_from([(one,) for one in ROLES] + [(one, other) for one in ROLES for other in ROLES if one < other])
    owners, deadlines, timeouts = st.sampled_from(sorted(PEOPLE)), st.sampled_from(DEADLINES), st.sampled_from(("refuse", "escalate"))
    return st.builds(RandomRow, st.just(row_id), _conditions(facts), st.sampled_from(verdicts), owners, roles, deadlines, timeouts)


def tables(facts: Mapping[str, Fact], most: int = 4) -> st.SearchStrategy[list[RandomRow]]:
    return st.integers(0, most).flatmap(lambda count: st.tuples(*(rows(facts, f"row-{number}") for number in range(count)))).map(list)


def some_facts(facts: Mapping[str, Fact]) -> st.SearchStrategy[dict[str, bool | int | str | None]]:
    return _some_facts(tuple(facts.values()))


@cache
def _some_facts(facts: tuple[Fact, ...]) -> st.SearchStrategy[dict[str, bool | int | str | None]]:
    return st.fixed_dictionaries({fact.name: st.sampled_from((None, *VALUES[fact.kind])) for fact in facts})


def asked_of_sqlite(whens: Sequence[str], given: Sequence[Mapping[str, bool | int | str | None]], facts: Mapping[str, Fact]) -> list[list[bool | None]]:
    """What SQLite answers to each condition text on each set of facts: True, False or None."""
    columns = {Kind.BOOL: "INTEGER", Kind.INT: "INTEGER", Kind.NUMBER: "REAL", Kind.TEXT: "TEXT"}
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE given ({', '.join(f'{name} {columns[fact.kind]}' for name, fact in facts.items())})")
    held = [[_as_sqlite(one[name], fact) for name, fact in facts.items()] for one in given]
    database.executemany(f"INSERT INTO given VALUES ({', '.join('?' for _ in facts)})", held)  # noqa: S608 - names drawn by this module
    asked = ", ".join(f"({when})" for when in whens)
    answers = database.execute(f"SELECT {asked} FROM given ORDER BY rowid").fetchall()  # noqa: S608 - text drawn by this module
    database.close()
    return [[None if answer is None else bool(answer) for answer in line] for line in answers]


def _as_sqlite(value: bool | int | str | None, fact: Fact) -> bool | int | float | str | None:
    return value / 1_000_000 if fact.kind is Kind.NUMBER and value is not None else value
