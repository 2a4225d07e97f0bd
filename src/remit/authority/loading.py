"""Loading an authority table: text in, a checked table out, or every fault at once."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from remit.authority.conditions import Condition, Known, facts_of, leaves, to_polars, to_python
from remit.authority.documents import Entry, Fault, Section, read_document
from remit.authority.errors import AuthorityError, nearest
from remit.authority.sql import read_condition
from remit.authority.tables import Exploration, Rule, Table
from remit.terms.encoding import MICRO, digest
from remit.terms.errors import ClockError
from remit.terms.facts import Fact, Source
from remit.terms.instants import WEEK, add_span
from remit.terms.people import People
from remit.terms.verdicts import Ruling

_TABLE_KEYS = ("version", "name", "owner", "rows", "exploration")
_ROW_KEYS = ("id", "when", "verdict", "owner", "reason")
_CONFIRM_KEYS = ("roles", "deadline", "on_timeout")
_TRY_KEYS = ("id", "when", "tries", "rests", "owner", "reason")
_MOST_TRIED = 0.5
_TIMEOUTS = ("refuse", "escalate")
_LONGEST_DEADLINE_US = 52 * WEEK


def load_table(text: str, people: People, facts: Mapping[str, Fact], now: int) -> Table:
    """The table that a YAML text holds, checked against the people on file at `now` (UTC microseconds) and the dictionary of facts.

    Raises one `AuthorityError` with every fault in the order of the file: its line, its row, and what to do.
    """
    document, faults = read_document(text)
    table = Loader(people, facts, now, faults).table(document, digest(text.encode())) if document else None
    if table is None or faults:
        lines = [f"line {line}: {fault}" for line, fault in sorted(faults, key=lambda fault: fault[0])]
        raise AuthorityError("the table cannot be used", where="authority table", faults=lines, do="Mend these lines; nothing was loaded.")
    return table


class Loader:
    """Checks a document against people and facts. What is faulty reads as empty, so that one run finds every fault."""

    def __init__(self, people: People, facts: Mapping[str, Fact], now: int, faults: list[Fault]) -> None:
        self.people, self.facts, self.faults = people, facts, faults
        self.active = {name for name, person in people.items() if person.active(now)}
        self.roles = {role for name in self.active for role in people[name].roles}
        self.ids: dict[str, int] = {}

    def table(self, document: Entry, table_digest: str) -> Table:
        top = Section(document, "the table", self.faults)
        top.only(_TABLE_KEYS)
        version = top.text("version")
        if version and not re.fullmatch(r"[1-9][0-9]{0,8}", version):
            top.fault(f"version `{version}` is not a whole number from 1; raise it by one with every change", "version")
            version = ""
        name, owner = top.text("name"), self._owner(top)
        rules = tuple(self._rule(entry, number) for number, entry in enumerate(top.entries("rows"), start=1))
        tries = tuple(self._exploration(entry, number) for number, entry in enumerate(top.entries("exploration") if top.has("exploration") else (), start=1))
        conditions = [*(rule.condition for rule in rules), *(row.condition for row in tries)]
        kinds = {fact: self.facts[fact].kind for condition in conditions for fact in facts_of(condition)}
        return Table(int(version or 0), name, owner, rules, table_digest, MappingProxyType(dict(sorted(kinds.items()))), tries)

    def _exploration(self, entry: Entry, number: int) -> Exploration:
        """Checked as an autonomous row is: it is one more way to act."""
        row = Section(entry, f"exploration {number}", self.faults)
        row_id = self._id(row)
        row.only(_TRY_KEYS)
        when = row.text("when")
        condition = self._condition(row, when)
        _check_autonomous(row, condition, sorted({fact for fact in facts_of(condition) if self.facts[fact].source is Source.MODEL}))
        tries, rests = (_probability(row, key) if row.has(key) else 0 for key in ("tries", "rests"))
        if not row.has("tries") and not row.has("rests"):
            row.fault("it lets nothing be tried; give `tries`, `rests` or both")
        return Exploration(row_id, when, condition, tries, rests, self._owner(row), row.text("reason"), to_polars(condition))

    def _rule(self, entry: Entry, number: int) -> Rule:
        row = Section(entry, f"row {number}", self.faults)
        rule_id = self._id(row)
        ruling = self._one_of(row, "verdict", tuple(Ruling))
        row.only(_ROW_KEYS if ruling in (Ruling.AUTONOMOUS, Ruling.FORBIDDEN) else _ROW_KEYS + _CONFIRM_KEYS)
        when = row.text("when")
        condition = self._condition(row, when)
        from_model = sorted({fact for fact in facts_of(condition) if self.facts[fact].source is Source.MODEL})
        if ruling == Ruling.AUTONOMOUS:
            _check_autonomous(row, condition, from_model)
        confirm = ruling == Ruling.CONFIRM
        return Rule(
            id=rule_id,
            when=when,
            condition=condition,
            ruling=Ruling(ruling or Ruling.FORBIDDEN),
            owner=self._owner(row),
            reason=row.text("reason"),
            roles=self._roles(row) if confirm else (),
            deadline_us=_deadline(row) if confirm else None,
            on_timeout=self._one_of(row, "on_timeout", _TIMEOUTS) if confirm else None,
            only_tightens=confirm and bool(from_model),
            holds=to_python(condition),
            expression=to_polars(condition),
        )

    def _id(self, row: Section) -> str:
        rule_id = row.text("id")
        if rule_id in self.ids:
            row.fault(f"the id `{rule_id}` is taken by the row on line {self.ids[rule_id]}; give each row its own", "id")
        elif rule_id and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule_id):
            row.fault(f"the id `{rule_id}` must be small letters and digits joined by hyphens, such as `email-consent`", "id")
        if rule_id:
            row.label = f"row `{rule_id}`"
            self.ids.setdefault(rule_id, row.line)
        return rule_id

    def _one_of(self, row: Section, key: str, choices: tuple[str, ...]) -> str:
        word = row.text(key)
        if not word or word in choices:
            return word
        row.fault(f"{key} `{word}` is not one of {', '.join(choices)}{nearest(word, choices)}", key)
        return ""

    def _condition(self, row: Section, when: str) -> Condition:
        condition, faults = read_condition(when, self.facts)
        for fault in faults if when else ():
            row.fault(fault, "when")
        return condition

    def _owner(self, section: Section) -> str:
        owner = section.text("owner")
        if owner and owner not in self.active:
            found = "is no longer on file" if owner in self.people else f"is not in the file of people{nearest(owner, self.active)}"
            section.fault(f"owner `{owner}` {found}; name one accountable person who is", "owner")
        return owner

    def _roles(self, row: Section) -> tuple[str, ...]:
        entries = row.entries("roles")
        roles = tuple(entry.value for entry in entries if isinstance(entry.value, str))
        if len(roles) < len(entries):
            row.fault("a role must be a word", "roles")
        for role in roles:
            if role not in self.roles:
                row.fault(f"no person on file holds the role `{role}`{nearest(role, self.roles)}; nobody could say yes", "roles")
        if len(set(roles)) < len(roles):
            row.fault("a role is named twice", "roles")
        return roles


def _check_autonomous(row: Section, condition: Condition, from_model: list[str]) -> None:
    """INVARIANT (unknown is never a yes; a model never loosens), seen by looking at the leaves: no NOT hides in the tree."""
    unknown = {leaf.fact for leaf in leaves(condition) if isinstance(leaf, Known) and not leaf.known}
    for fact in sorted(unknown):
        row.fault(f"it would allow where `{fact}` is unknown; say what must be known, and leave the unknown to a forbidden or confirm row", "when")
    for fact in from_model:
        row.fault(f"`{fact}` is said by a model, which may tighten a verdict and never loosen it; use it in a forbidden or confirm row", "when")


def _probability(row: Section, key: str) -> int:
    """A probability in millionths."""
    text = row.text(key)
    found = re.fullmatch(r"0?\.[0-9]{1,6}|0", text)
    if not found or float(text) >= _MOST_TRIED:
        if text:
            row.fault(f"{key} `{text}` is not a probability from 0 to below {_MOST_TRIED:g} with at most six decimals; write 0.05 for one in twenty", key)
        return 0
    return round(float(text) * MICRO)


def _deadline(row: Section) -> int:
    """The deadline in microseconds. A month has no one length, so it is refused here."""
    span = row.text("deadline")
    try:
        deadline_us = 0 if "month" in span else add_span(0, span)
    except ClockError:
        deadline_us = 0
    if not 0 < deadline_us <= _LONGEST_DEADLINE_US and span:
        row.fault(f"deadline `{span}` is not a time to answer in; write it as `6 hours`, `3 days` or `1 week`, up to 52 weeks", "deadline")
    return deadline_us
