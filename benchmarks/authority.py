"""Judging a million proposals, and one, beside what a user may pick instead: lambdas in a loop, and the same conditions as SQL in SQLite; and proving what
a table keeps."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import remit
from benchmarks.report import Row, seconds
from remit.authority import Invariant, Rule, Table, authorize, broken, judge, load_invariants, load_table, overlaps, unreached
from remit.authority.conditions import AllOf, Among, AnyOf, Compare, Condition, Constant, FactName, Known
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS, Kind
from remit.terms.people import Person
from remit.terms.verdicts import Ruling

_ROLES = frozenset({"compliance", "mlr", "medical", "brand-lead", "data-steward"})
_OWNERS = ("authority", "calls-alpha", "calls-beta", "email", "msl")
_PEOPLE = {name: Person(name, _ROLES) for name in ("compliance-lead", "mlr-lead", "medical-lead", "data-steward", *(f"owner-{one}" for one in _OWNERS))}
_TEXTS = {
    "agent": ("calls-alpha", "calls-beta", "email", "msl"),
    "channel": ("call", "email", "msl_visit"),
    "product": ("alpha", "beta"),
    "purpose": ("promotional", "promotional", "promotional", "medical"),
    "consent": ("opt_in", "opt_in", "opt_in", "opt_out"),
    "content_status": ("approved", "approved", "approved", "draft"),
    "content_risk": ("low", "low", "medium", "high"),
    "model_drift": ("none", "none", "none", "raise", "confirm"),
}
_INTS = {
    "agents_28d": 5,
    "promotional_contacts_28d": 8,
    "agent_contacts_28d": 4,
    "contacts_28d": 10,
    "channel_contacts_28d": 5,
    "open_inquiries": 3,
    "touch": 3,
}
_SPREAD = {
    "match_confidence": (500_000, MICRO),
    "value": (0, 220 * MICRO),
    "lead_score": (0, 30 * MICRO),
    "model_confidence": (0, MICRO),
    "supply_cover_weeks": (0, 30 * MICRO),
}


def measure(quick: bool) -> list[Row]:
    """The figures of the judge; `quick` takes a twentieth of the proposals."""
    count = 50_000 if quick else 1_000_000
    example = Path(remit.__file__).parent / "runtime" / "examples" / "two-brands"
    table = load_table((example / "authority.yaml").read_text(), _PEOPLE, FACTS, 0)
    invariants = load_invariants((example / "invariants.yaml").read_text(), _PEOPLE, FACTS, 0)[:12]
    frame = _proposals(count, 1)
    return [_million(frame, table), _one(frame, table), _two_hundred(frame, table), _wide(frame), _unlike(frame), *_proved(table, invariants), _checked(table)]


def _million(frame: pl.DataFrame, table: Table) -> Row:
    took = seconds(lambda: judge(frame, table), 5)
    sample = frame.head(frame.height // 20)
    looped = 20 * seconds(lambda: _loop(sample.to_dicts(), _lambdas(table)))
    asked = seconds(_sqlite(frame, table))
    beside = f"lambdas in a loop {looped:.1f} s ({looped / took:.0f}x), SQLite in memory {asked:.1f} s ({asked / took:.0f}x)"
    return Row(_work(frame, table), "<= 0.5 s for 1,000,000", f"{took:.2f} s, {len(judge(frame, table).verdicts):,} verdicts", beside, took <= 0.5)


def _one(frame: pl.DataFrame, table: Table) -> Row:
    rows = frame.head(10_000).to_dicts()
    each = sorted(seconds(lambda one=one: authorize(one, table)) for one in rows)
    median_us, p99_us = each[len(each) // 2] * 1e6, each[len(each) * 99 // 100] * 1e6
    looped_us = seconds(lambda: _loop(rows, _lambdas(table)), 3) / len(rows) * 1e6
    beside = f"lambdas in a loop {looped_us:.0f} us ({looped_us / median_us:.1f}x), without reasons, owner or checks"
    return Row("judge one proposal, with reasons", "<= 50 us", f"{median_us:.0f} us, p99 {p99_us:.0f} us", beside, median_us <= 50)


def _two_hundred(frame: pl.DataFrame, table: Table) -> Row:
    """The table's own rows, filled up to 200 by rows of further agents and products, as a company's table grows."""
    further = _table(
        [
            (f"agent = 'agent-{number}' AND channel = '{_TEXTS['channel'][number % 3]}' AND contacts_28d < {number % 8 + 2}", "autonomous")
            if number % 2
            else (f"agents_28d > {number % 5 + 1} AND specialty = 'specialty-{number}' AND model_confidence < 0.{number % 50 + 50}", "forbidden")
            for number in range(200 - len(table.rules))
        ]
    )
    whole = replace(table, rules=(*table.rules, *further.rules), kinds={**table.kinds, **further.kinds})
    took = seconds(lambda: judge(frame, whole), 3)
    return Row(_work(frame, whole), "<= 1.5 s for 1,000,000", f"{took:.2f} s, {len(judge(frame, whole).verdicts):,} verdicts", "", took <= 1.5)


def _wide(frame: pl.DataFrame) -> Row:
    """A table of 250 rows of three conditions each."""
    rows = [
        (
            f"contacts_28d >= {number % 11} AND channel_contacts_28d = {number % 7} AND match_confidence < 0.{number % 50 + 50}",
            ("forbidden", "autonomous")[number % 2],
        )
        for number in range(250)
    ]
    table = _table(rows)
    took = seconds(lambda: judge(frame, table), 3)
    return Row(_work(frame, table), "reported", f"{took:.2f} s, {len(judge(frame, table).verdicts):,} verdicts", "", None)


def _unlike(frame: pl.DataFrame) -> Row:
    """Rows that hold independently of each other, so that verdicts hardly repeat."""
    table = _table([(f"value < {bit}.5 OR lead_score > {bit % 30}.25 AND contacts_28d <> {bit % 10} OR touch IS NULL", "forbidden") for bit in range(24)])
    took = seconds(lambda: judge(frame, table), 3)
    return Row(f"{_work(frame, table)}, verdicts that hardly repeat", "reported", f"{took:.2f} s, {len(judge(frame, table).verdicts):,} verdicts", "", None)


def _sixty(table: Table, *, forbid: bool = True) -> tuple[Rule, ...]:
    """The table's rows, filled up to 60 by rows of further agents that may act by themselves; without those that forbid, hardly any invariant holds."""
    further = _table(
        [(f"agent = 'agent-{n}' AND channel = 'email' AND purpose = 'promotional' AND touch <= {n}", "autonomous") for n in range(60 - len(table.rules))]
    )
    return tuple(rule for rule in (*table.rules, *further.rules) if forbid or rule.ruling is not Ruling.FORBIDDEN)


def _proved(table: Table, invariants: Sequence[Invariant]) -> list[Row]:
    """All of them proved, and nearly all refuted, which takes longest: each by an example made as usual as it can be."""
    rows = []
    for forbid in (True, False):
        whole = replace(table, rules=_sixty(table, forbid=forbid))
        took = seconds(lambda whole=whole: broken(whole, invariants), 3)
        refuted = len(broken(whole, invariants))
        work = f"prove {len(invariants)} invariants of {len(whole.rules)} rows, {refuted} of them refuted"
        rows.append(Row(work, "<= 10 s" if forbid else "reported", f"{took:.2f} s", "", took <= 10 if forbid else None))
    return rows


def _checked(table: Table) -> Row:
    rules = _sixty(table)
    took = seconds(lambda: (unreached(rules), overlaps(rules)))
    return Row(f"check {len(rules)} rows for rows that decide nothing and overlaps", "reported", f"{took:.2f} s, {len(overlaps(rules))} overlaps", "", None)


def _work(frame: pl.DataFrame, table: Table) -> str:
    return f"judge {frame.height:,} proposals against {len(table.rules)} rows"


def _table(rows: Sequence[tuple[str, str]]) -> Table:
    owner = "owner-authority"
    text = "".join(
        f"- {{id: row-{number}, when: {when!r}, verdict: {verdict}, owner: {owner}, reason: drawn}}\n" for number, (when, verdict) in enumerate(rows)
    )
    return load_table(f"version: 1\nname: drawn\nowner: {owner}\nrows:\n{text}", _PEOPLE, FACTS, 0)


def _proposals(count: int, seed: int) -> pl.DataFrame:
    """A column for every fact, one value in fifty unknown."""
    draw = np.random.default_rng(seed)
    columns = {}
    for name, fact in FACTS.items():
        if fact.kind is Kind.TEXT:
            words = pl.Series(_TEXTS.get(name, ("one", "two", "three")))
            column = words.gather(draw.integers(0, words.len(), count))
        elif fact.kind is Kind.BOOL:
            column = pl.Series((draw.random(count) < 0.03) == (name == "pdrp"))
        else:
            low, high = _SPREAD.get(name, (0, _INTS.get(name, 200)))
            column = pl.Series(draw.integers(low, high, count))
        columns[name] = pl.select(pl.when(pl.Series(draw.random(count) >= 0.02)).then(column)).to_series()
    return pl.DataFrame(columns)


def _loop(rows: Sequence[Mapping[str, Any]], rules: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], bool]]]) -> list[list[str]]:
    """What a user would write first: every lambda on every row; the strongest ruling's ids."""
    verdicts = []
    for facts in rows:
        met: dict[str, list[str]] = {"forbidden": [], "confirm": [], "autonomous": []}
        for name, (ruling, holds) in rules.items():
            if holds(facts):
                met[ruling].append(name)
        verdicts.append(met["forbidden"] or met["confirm"] or met["autonomous"])
    return verdicts


def _lambdas(table: Table) -> Mapping[str, tuple[str, Callable[[Mapping[str, Any]], bool]]]:
    """The conditions as Python lambdas in which unknown counts as false."""
    return {rule.id: (rule.ruling.value, eval(f"lambda f: {_python(rule.condition)}")) for rule in table.rules}  # noqa: S307 - text made here, from a checked tree


def _python(condition: Condition) -> str:
    match condition:
        case Constant(value):
            return repr(value)
        case Known(fact, known):
            return f"f[{fact!r}] is {'not ' if known else ''}None"
        case Among(fact, values, inside):
            return f"f[{fact!r}] is not None and f[{fact!r}] {'in' if inside else 'not in'} {values!r}"
        case Compare(fact, sign, right):
            python_sign = {"=": "==", "<>": "!="}.get(sign, sign)
            return f"f[{fact!r}] is not None and f[{fact!r}] {python_sign} {f'f[{right.name!r}]' if isinstance(right, FactName) else repr(right)}"
        case AllOf(parts):
            return " and ".join(f"({_python(part)})" for part in parts)
        case AnyOf(parts):
            return " or ".join(f"({_python(part)})" for part in parts)


def _sqlite(frame: pl.DataFrame, table: Table) -> Callable[[], object]:
    """The query, on a table already filled: for each proposal the rows that apply, as bits of one integer."""
    numbers = [name for name, fact in FACTS.items() if fact.kind is Kind.NUMBER]
    given = frame.select(table.kinds.keys()).with_columns(pl.col(name) / MICRO for name in numbers if name in table.kinds)
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE given ({', '.join(table.kinds)})")
    database.executemany(f"INSERT INTO given VALUES ({', '.join('?' * len(table.kinds))})", given.iter_rows())  # noqa: S608 - names of facts
    bits = " | ".join(f"((({rule.when}) IS {'NOT FALSE' if rule.if_unknown else 'TRUE'}) << {place})" for place, rule in enumerate(table.rules))
    named = ", ".join(f"{each.value} AS {each.name}" for each in table.thresholds)
    return lambda: database.execute(f"SELECT {bits} FROM given, (SELECT {named})").fetchall()  # noqa: S608 - conditions that were checked on loading
