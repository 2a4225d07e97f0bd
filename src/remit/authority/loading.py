"""Loading an authority table: text in, a checked table out, or every fault at once."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from remit.authority.conditions import AllOf, Compare, Condition, Known, facts_of, leaves, to_polars, to_python
from remit.authority.counted import LIMIT_KEYS, Limit, read_limit
from remit.authority.documents import Entry, Fault, Section, read_document
from remit.authority.errors import AuthorityError, nearest
from remit.authority.guards import Guard, read_guard
from remit.authority.sql import names_in, read_condition
from remit.authority.tables import Exploration, Obligation, Rule, Table, Threshold
from remit.terms.encoding import MICRO, digest
from remit.terms.errors import ClockError
from remit.terms.facts import Fact, Source
from remit.terms.instants import WEEK, add_span, parse_instant
from remit.terms.people import People
from remit.terms.verdicts import OBLIGATIONS, Ruling

_TABLE = "authority table"
_TABLE_KEYS = ("version", "name", "owner", "effective", "expires", "thresholds", "rows", "obligations", "exploration", "limits", "guards")
_PACK_KEYS = ("market", "version", "as_of", "says", "rows", "obligations", "limits")
_THRESHOLD_KEYS = ("name", "value", "owner", "says")
_ROW_KEYS = ("id", "when", "verdict", "owner", "reason")
_CONFIRM_KEYS = ("roles", "deadline", "on_timeout")
_MUST_KEYS = ("id", "when", "must", "owner", "reason")
_SOURCE_KEYS = ("source", "link", "since", "until")
_TRY_KEYS = ("id", "when", "tries", "rests", "owner", "reason")
_MOST_TRIED = 0.5
_TIMEOUTS = ("refuse", "escalate")
_LONGEST_DEADLINE_US = 52 * WEEK
_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True, slots=True)
class Layer:
    """A text beside the company's table, whose rows may only make a verdict stricter: a country pack, or the rules of an agent's charter.

    `name` stands before its rows' ids, `where` in messages. Its rows hold where the fact `scope[0]` (`market` or `agent`) is `scope[1]`; `owner` answers for
    them. What a pack asks for, those in `roles` confirm; a charter's rows name their roles themselves.
    """

    name: str
    where: str
    text: str
    scope: tuple[str, str]
    owner: str
    roles: tuple[str, ...] = ()


def load_table(text: str, people: People, facts: Mapping[str, Fact], now: int, layers: Sequence[Layer] = ()) -> Table:
    """The table that a YAML text holds, with the rows of `layers` after its own, checked against the people on file at `now` (UTC microseconds) and the
    dictionary of facts.

    Raises one `AuthorityError` for the first text at fault, with every fault in the order of the file: its line, its row, and what to do. A table that is not
    in force at `now` is read: what may be done then is for its reader to say.
    """
    table = _loaded(text, _TABLE, lambda document, faults: Loader(people, facts, now, faults).table(document, digest(text.encode())))
    instants = [table.since, table.until, *(person.until for person in people.values())]
    for layer in layers:
        rules, duties, counted, dated = _loaded(layer.text, layer.where, partial(_read_layer, layer, people, facts, now))
        instants += dated
        rows: tuple[Rule | Obligation, ...] = (*rules, *duties)
        kinds = {fact: facts[fact].kind for row in rows for fact in facts_of(row.condition)}
        both = MappingProxyType(dict(sorted({**table.kinds, **kinds}.items())))
        limits = (*table.limits, *counted)
        table = replace(table, rules=(*table.rules, *rules), obligations=(*table.obligations, *duties), kinds=both, limits=limits)
    return replace(table, turns=min((at for at in instants if at is not None and at > now), default=None))


def _read_layer(
    layer: Layer, people: People, facts: Mapping[str, Fact], now: int, document: Entry, faults: list[Fault]
) -> tuple[tuple[Rule, ...], tuple[Obligation, ...], tuple[Limit, ...], list[int]]:
    loader = _LayerLoader(layer, people, facts, now, faults)
    return *loader.rows(document), loader.dated


def _loaded(text: str, where: str, read: Callable[[Entry, list[Fault]], _Loaded]) -> _Loaded:
    document, faults = read_document(text)
    found = read(document, faults) if document else None
    if found is None or faults:
        lines = [f"line {line}: {fault}" for line, fault in sorted(faults, key=lambda fault: fault[0])]
        what = "the table cannot be used" if where == _TABLE else "its rules cannot be used"
        raise AuthorityError(what, where=where, faults=lines, do="Mend these lines; nothing was loaded.")
    return found


class Loader:
    """Checks a document against people and facts. What is faulty reads as empty, so that one run finds every fault."""

    layer = ""
    rulings: tuple[Ruling, ...] = tuple(Ruling)
    row_keys: tuple[str, ...] = _ROW_KEYS
    confirm_keys: tuple[str, ...] = _CONFIRM_KEYS
    must_keys: tuple[str, ...] = _MUST_KEYS
    limit_keys: tuple[str, ...] = LIMIT_KEYS

    def __init__(self, people: People, facts: Mapping[str, Fact], now: int, faults: list[Fault]) -> None:
        self.people, self.facts, self.faults, self.now = people, facts, faults, now
        self.active = {name for name, person in people.items() if person.active(now)}
        self.roles = {role for name in self.active for role in people[name].roles}
        self.ids: dict[str, int] = {}
        self.thresholds: dict[str, Threshold] = {}

    def table(self, document: Entry, table_digest: str) -> Table:
        top = Section(document, "the table", self.faults)
        top.only(_TABLE_KEYS)
        version = top.text("version")
        if version and not re.fullmatch(r"[1-9][0-9]{0,8}", version):
            top.fault(f"version `{version}` is not a whole number from 1; raise it by one with every change", "version")
            version = ""
        name, owner = top.text("name"), self._owner(top)
        since, until = (_instant(top, key) if top.has(key) else None for key in ("effective", "expires"))
        if since is not None and until is not None and until <= since:
            top.fault("it expires before it is effective", "expires")
        for number, entry in self._entries(top, "thresholds"):
            self._threshold(entry, number)
        rules = tuple(self._rule(entry, number) for number, entry in enumerate(top.entries("rows"), start=1))
        duties = tuple(self._obligation(entry, number) for number, entry in self._entries(top, "obligations"))
        tries = tuple(self._exploration(entry, number) for number, entry in self._entries(top, "exploration"))
        limits = tuple(self._limit(entry, number) for number, entry in self._entries(top, "limits"))
        guards = tuple(self._guard(entry, number) for number, entry in self._entries(top, "guards"))
        rows: tuple[Rule | Obligation | Exploration, ...] = (*rules, *duties, *tries)
        read = {word for row in rows for word in names_in(row.when)}
        for unread in sorted(self.thresholds.keys() - read) if not self.faults else ():
            top.fault(f"the threshold `{unread}` is read by no row; take it out, or name it in a condition", "thresholds")
        kinds = {fact: self.facts[fact].kind for row in rows for fact in facts_of(row.condition)}
        return Table(
            version=int(version or 0),
            name=name,
            owner=owner,
            rules=rules,
            digest=table_digest,
            kinds=MappingProxyType(dict(sorted(kinds.items()))),
            exploration=tries,
            obligations=duties,
            thresholds=tuple(self.thresholds.values()),
            since=since,
            until=until,
            limits=limits,
            guards=guards,
        )

    def _entries(self, top: Section, key: str) -> Iterator[tuple[int, Entry]]:
        """The list at `key`, which may be left out, numbered from 1."""
        return enumerate(top.entries(key) if top.has(key) else (), start=1)

    def _threshold(self, entry: Entry, number: int) -> None:
        row = Section(entry, f"threshold {number}", self.faults)
        row.only(_THRESHOLD_KEYS)
        name, value = row.text("name"), row.text("value")
        row.label = f"threshold `{name}`" if name else row.label
        if name and not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            row.fault("a name must be small letters and digits joined by underscores, such as `most_contacts`", "name")
        elif name in self.facts:
            row.fault(f"`{name}` is a fact; give the threshold another name", "name")
        elif name in self.thresholds:
            row.fault(f"the name `{name}` is taken", "name")
        if value and not re.fullmatch(r"-?[0-9]{1,19}(\.[0-9]{1,6})?", value):
            row.fault(f"value `{value}` is not a number with at most six decimals", "value")
            value = "0"
        self.thresholds.setdefault(name, Threshold(name, value or "0", self._owner(row), row.text("says")))

    def _obligation(self, entry: Entry, number: int) -> Obligation:
        row = Section(entry, f"obligation {number}", self.faults)
        row_id = self._id(row)
        row.only(self.must_keys)
        when = row.text("when")
        condition = self._condition(row, when)
        must = tuple(item.value for item in row.entries("must") if isinstance(item.value, str))
        for word in must:
            if word not in OBLIGATIONS:
                row.fault(f"`{word}` is no obligation{nearest(word, OBLIGATIONS)}; they are {', '.join(OBLIGATIONS)}", "must")
        return Obligation(row_id, when, condition, must, self._owner(row), row.text("reason"), to_python(condition), to_polars(condition), self.layer)

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

    def _limit(self, entry: Entry, number: int) -> Limit:
        row = Section(entry, f"limit {number}", self.faults)
        limit_id = self._id(row, "limit")
        row.only(self.limit_keys)
        return read_limit(row, limit_id, self._owner(row), self.layer)

    def _guard(self, entry: Entry, number: int) -> Guard:
        row = Section(entry, f"guard {number}", self.faults)
        guard_id = self._id(row, "guard")
        return read_guard(row, guard_id, self._owner(row), lambda: (self._roles(row), _deadline(row), self._one_of(row, "on_timeout", _TIMEOUTS)))

    def _rule(self, entry: Entry, number: int) -> Rule:
        row = Section(entry, f"row {number}", self.faults)
        rule_id = self._id(row)
        ruling = self._one_of(row, "verdict", self.rulings)
        row.only(self.row_keys if ruling in (Ruling.AUTONOMOUS, Ruling.FORBIDDEN) else self.row_keys + self.confirm_keys)
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
            only_tightens=confirm and bool(from_model or self.layer),
            holds=to_python(condition),
            expression=to_polars(condition),
            thresholds=tuple(sorted(names_in(when) & self.thresholds.keys())) if when and not self.faults else (),
            layer=self.layer,
        )

    def _id(self, row: Section, kind: str = "row") -> str:
        rule_id = row.text("id")
        if rule_id in self.ids:
            row.fault(f"the id `{rule_id}` is taken by the row on line {self.ids[rule_id]}; give each row its own", "id")
        elif rule_id and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule_id):
            row.fault(f"the id `{rule_id}` must be small letters and digits joined by hyphens, such as `email-consent`", "id")
        if rule_id:
            row.label = f"{kind} `{rule_id}`"
            self.ids.setdefault(rule_id, row.line)
        return rule_id

    def _one_of(self, row: Section, key: str, choices: tuple[str, ...]) -> str:
        word = row.text(key)
        if not word or word in choices:
            return word
        row.fault(f"{key} `{word}` is not one of {', '.join(choices)}{nearest(word, choices)}", key)
        return ""

    def _condition(self, row: Section, when: str) -> Condition:
        condition, faults = read_condition(when, self.facts, {name: held.value for name, held in self.thresholds.items()})
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


class _LayerLoader(Loader):
    """Checks a layer: its rows forbid, ask or oblige, and never allow."""

    rulings = (Ruling.CONFIRM, Ruling.FORBIDDEN)

    def __init__(self, layer: Layer, people: People, facts: Mapping[str, Fact], now: int, faults: list[Fault]) -> None:
        super().__init__(people, facts, now, faults)
        self.of, self.layer, self.dated = layer, layer.name, list[int]()
        self.of_market = layer.scope[0] == "market"
        self.confirm_keys = ("deadline", "on_timeout") if self.of_market else _CONFIRM_KEYS
        sources = _SOURCE_KEYS if self.of_market else ()
        self.row_keys, self.must_keys = ("id", "when", "verdict", "reason", *sources), ("id", "when", "must", "reason", *sources)
        self.limit_keys = (*(key for key in LIMIT_KEYS if key != "owner"), *sources)

    def rows(self, document: Entry) -> tuple[tuple[Rule, ...], tuple[Obligation, ...], tuple[Limit, ...]]:
        """Its rules, obligations and limits in force, each for its scope; a market is the workspace's, so that its limits speak of everybody. Of a charter
        only rows and limits are read: the rest is for others to check."""
        top = Section(document, self.of.where, self.faults)
        if self.of_market:
            top.only(_PACK_KEYS)
            if top.text("market") and top.text("market") != self.of.scope[1]:
                top.fault(f"it is of the market `{top.text('market')}`, and asked for as that of `{self.of.scope[1]}`", "market")
            for key in ("version", "as_of", "says"):
                top.text(key)
        rules = [self._rule(entry, number) for number, entry in self._entries(top, "rows") if self._in_force(entry)]
        obliging = self._entries(top, "obligations") if self.of_market else ()
        duties = [self._obligation(entry, number) for number, entry in obliging if self._in_force(entry)]
        limits = [self._limit(entry, number) for number, entry in self._entries(top, "limits") if self._in_force(entry)]
        named = (replace(limit, id=f"{self.of.name}:{limit.id}") for limit in limits)
        return tuple(_scoped(rule, self.of) for rule in rules), tuple(_scoped(duty, self.of) for duty in duties), tuple(named)

    def _in_force(self, entry: Entry) -> bool:
        """Whether a row is in force now; that of a pack says by what, and since when."""
        if not self.of_market:
            return True
        row = Section(entry, "row", self.faults)
        row.label = f"row `{row.text('id')}`"
        row.text("source")
        since, until = (_instant(row, key) if row.has(key) or key == "since" else None for key in ("since", "until"))
        self.dated += [at for at in (since, until) if at is not None]
        return (since is None or since <= self.now) and (until is None or self.now < until)

    def _owner(self, section: Section) -> str:
        del section
        return self.of.owner

    def _limit(self, entry: Entry, number: int) -> Limit:
        """That of a charter counts what its agent does, and nothing else."""
        limit = super()._limit(entry, number)
        if self.of_market:
            return limit
        row = Section(entry, f"limit `{limit.id}`", self.faults)
        if "agent" in limit.where:
            row.fault("a charter's limit counts its own agent; take `agent` out of `where`", "where")
        if limit.per_hcp:
            row.fault("a limit per hcp counts what all agents do; it belongs in the company's table", "per")
        return replace(limit, where=MappingProxyType({**limit.where, self.of.scope[0]: (self.of.scope[1],)}))

    def _roles(self, row: Section) -> tuple[str, ...]:
        if not self.of_market:
            return super()._roles(row)
        if not self.of.roles:
            row.fault("it asks for a yes, and nobody is named who could give it", "verdict")
        return self.of.roles


_Row = TypeVar("_Row", Rule, Obligation)


def _scoped(row: _Row, layer: Layer) -> _Row:
    condition = AllOf((Compare(layer.scope[0], "=", layer.scope[1]), row.condition))
    return replace(row, id=f"{layer.name}:{row.id}", condition=condition, holds=to_python(condition), expression=to_polars(condition))


def _instant(section: Section, key: str) -> int | None:
    """The instant, or the beginning of the day in UTC, at `key`."""
    text = section.text(key)
    try:
        return parse_instant(text if "T" in text else f"{text}T00:00:00Z") if text else None
    except ClockError:
        section.fault(f"{key} `{text}` is not an instant; write it as 2026-01-05 or 2026-01-05T06:00:00Z", key)
        return None


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
