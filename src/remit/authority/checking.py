"""What a table says without meaning to: rows that never decide, rows that speak against each other, agents that nothing is granted, owners who leave."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, product

from remit.authority.conditions import Facts, Value, facts_of
from remit.authority.judging import applies
from remit.authority.searching import Search
from remit.authority.solving import Space
from remit.authority.tables import Rule, Table
from remit.authority.wording import proposal_in_words, rows_in_words
from remit.terms.charters import Charter
from remit.terms.facts import FACTS, Fact
from remit.terms.people import People
from remit.terms.verdicts import Ruling

_STRONGER = {
    Ruling.FORBIDDEN: (),
    Ruling.CONFIRM: (Ruling.FORBIDDEN,),
    Ruling.AUTONOMOUS: (Ruling.FORBIDDEN, Ruling.CONFIRM),
}
_DOES = {Ruling.FORBIDDEN: "forbids", Ruling.CONFIRM: "asks about", Ruling.AUTONOMOUS: "lets pass"}


class Idle(StrEnum):
    """Why a row decides nothing: it `never` applies; it applies only where a fact is `unknown`; it is always `overruled`; or it is `covered`, as others of
    its kind say the same wherever it decides, which may be meant."""

    NEVER = "never"
    UNKNOWN = "unknown"
    OVERRULED = "overruled"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class Unreached:
    """A row that decides nothing, why, and the rows that see to it."""

    row: str
    why: Idle
    by: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two rows of different verdicts that may apply together, of which `row` wins over `over`, by an example near to what `over`
    usually decides. `known`: all facts that they speak of are known in it."""

    row: str
    over: str
    known: bool
    facts: Facts
    says: str


@dataclass(frozen=True, slots=True)
class Gap:
    """What a charter lets an agent propose and the table never lets pass by itself: at best it is `ruling` (confirm, or forbidden by the rows `by`; without
    any, no row speaks for it)."""

    agent: str
    channel: str
    product: str
    ruling: Ruling
    by: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A person, or the last holder of a role, whose standing is over or ends soon, at `until` (UTC microseconds), and what they answer for."""

    who: str
    until: int
    gone: bool
    of: tuple[str, ...]


def unreached(rules: Sequence[Rule], facts: Mapping[str, Fact] = FACTS) -> list[Unreached]:
    """The rows that decide nothing, in the order of the table. Of rows that cover each other the last are named."""
    search = Search(rules, facts)
    found: dict[str, Unreached] = {}
    for rule in reversed(rules):
        others = [other for other in rules if other is not rule and (other.id not in found or found[other.id].why is Idle.UNKNOWN)]
        idle = _idle(search, rule, others)
        if idle:
            found[rule.id] = idle
    return [found[rule.id] for rule in rules if rule.id in found]


def _idle(search: Search, rule: Rule, others: Sequence[Rule]) -> Unreached | None:
    space, applies, decides = search.space, search.space.applies(rule), search.wins(rule)
    if not space.possible(applies):
        return Unreached(rule.id, Idle.NEVER, (), "It never applies: its condition contradicts itself.")
    if not space.possible(space.claim(("true", rule.condition), lambda: space.truth(rule.condition).true)):
        return Unreached(rule.id, Idle.UNKNOWN, (), "Its condition can never be true: it applies only where something that it asks is not known.")
    if not space.possible(decides):
        stronger = {other.id: space.silent(other) for other in others if other.ruling in _STRONGER[rule.ruling]}
        if space.possible(applies, *stronger.values()):
            return Unreached(
                rule.id, Idle.OVERRULED, (), "It never decides: it may only tighten what other rows let pass, and none lets pass what it speaks of."
            )
        by = space.needed([applies], stronger)
        return Unreached(rule.id, Idle.OVERRULED, by, f"It never decides: wherever it applies, {_one_of(by)} applies too, and wins.")
    same = {other.id: space.silent(other) for other in others if _says_as_much(other, rule)}
    if space.possible(decides, *same.values()):
        return None
    by = space.needed([decides], same)
    return Unreached(rule.id, Idle.COVERED, by, f"It adds nothing: wherever it decides, {_one_of(by)} says as much.")


def _one_of(rows: Sequence[str]) -> str:
    return rows_in_words(rows) if len(rows) == 1 else f"one of {rows_in_words(rows)}"


def _says_as_much(other: Rule, rule: Rule) -> bool:
    """Whether the ruling is the same, and of a confirm asks no less."""
    if other.ruling is not rule.ruling:
        return False
    sooner = (other.deadline_us or 0) <= (rule.deadline_us or 0)
    return set(other.roles) >= set(rule.roles) and sooner and (other.on_timeout == "refuse" or rule.on_timeout != "refuse")


def overlaps(rules: Sequence[Rule], facts: Mapping[str, Fact] = FACTS) -> list[Overlap]:
    """The pairs of rows of different verdicts that may apply together, in the order of the weaker row, then of the stronger."""
    search = Search(rules, facts)
    weaker = [rule for ruling in (Ruling.AUTONOMOUS, Ruling.CONFIRM) for rule in rules if rule.ruling is ruling]
    found = []
    for over in weaker:
        usual = search.usual(over) if search.space.possible(search.wins(over)) else {}
        for rule in rules:
            if rule.ruling in _STRONGER[over.ruling]:
                example = _near(search.space, rule, over, usual) or _any(search.space, rule, over, usual)
                found += [_overlap(rule, over, usual, example, facts)] if example else []
    return found


def _near(space: Space, rule: Rule, over: Rule, usual: Facts) -> dict[str, Value | None] | None:
    """The usual proposal of `over` with one or two facts changed, so that both rows apply: quicker than asking z3, and nearly always there."""
    names = list(dict.fromkeys(facts_of(rule.condition))) if usual else []
    for unknown, many in ((False, 1), (False, 2), (True, 1)):
        for chosen in combinations(names, many):
            for values in product(*([None] if unknown else space.choices(name, usual[name]) for name in chosen)):
                found = {**usual, **dict(zip(chosen, values, strict=True))}
                if applies(rule, found) and applies(over, found):
                    return found
    return None


def _any(space: Space, rule: Rule, over: Rule, usual: Facts) -> dict[str, Value | None] | None:
    """Any proposal to which both rows apply, none where there is none: for z3 to say."""
    both = [space.applies(rule), space.applies(over)]
    if not space.possible(*both):
        return None
    found = space.example([space.preferring(both, [space.known(name) for name in space.kinds])], usual)
    if not (applies(rule, found) and applies(over, found)):
        raise RuntimeError(f"z3 says that `{rule.id}` and `{over.id}` both apply to {found}, and Python does not: the two readings of the table differ")
    return found


def _overlap(rule: Rule, over: Rule, usual: Facts, found: Facts, facts: Mapping[str, Fact]) -> Overlap:
    spoken = dict.fromkeys([*facts_of(over.condition), *facts_of(rule.condition)])
    told = [name for name in spoken if not usual or found[name] != usual[name]]
    says = f"{proposal_in_words(found, told, facts).removesuffix(',')}: `{rule.id}` {_DOES[rule.ruling]} what `{over.id}` {_DOES[over.ruling]}."
    return Overlap(rule.id, over.id, all(found[name] is not None for name in spoken), found, says)


def gaps(rules: Sequence[Rule], charters: Iterable[Charter], facts: Mapping[str, Fact] = FACTS) -> list[Gap]:
    """What charters let agents propose, by agent, channel and product, and rows never let pass by themselves."""
    search = Search(rules, facts)
    granted = [(charter, channel, product) for charter in charters for channel in charter.channels for product in charter.products]
    return [gap for charter, channel, product in granted if (gap := _gap(search, charter, channel, product))]


def _gap(search: Search, charter: Charter, channel: str, product: str) -> Gap | None:
    space, rules = search.space, search.rules
    words = {"agent": charter.agent, "channel": channel, "product": product, "purpose": charter.purpose}
    granted = {"charter_live": True, "charter_channel": True, "charter_product": True}
    proposed = [space.fixed(name, value) for name, value in (words | granted).items() if name in space.kinds]
    if space.possible(*proposed, search.rulings[Ruling.AUTONOMOUS]):
        return None
    where = (charter.agent, channel, product)
    if space.possible(*proposed, search.rulings[Ruling.CONFIRM]):
        return Gap(*where, Ruling.CONFIRM, (), "It is never autonomous: what is not forbidden waits for a person's yes.")
    allowing = space.some(rule for rule in rules if rule.ruling is not Ruling.FORBIDDEN and not rule.only_tightens)
    allowed = [*proposed, space.claim("allowing", lambda: allowing)]
    if not space.possible(*allowed):
        return Gap(*where, Ruling.FORBIDDEN, (), "It is always forbidden: no row allows it.")
    by = space.needed(allowed, {rule.id: space.silent(rule) for rule in rules if rule.ruling is Ruling.FORBIDDEN})
    return Gap(*where, Ruling.FORBIDDEN, by, f"It is always forbidden by {rows_in_words(by)}.")


def leaving(table: Table, charters: Iterable[Charter], people: People, now: int, within: int) -> list[Leaving]:
    """Owners of the table, of all that it says and of charters whose standing is over at `now` or ends `within` so many microseconds, and roles that nobody
    will then hold, whose yes rows and guards ask for; those who leave first come first."""
    of: dict[str, list[str]] = {}
    owned = [("the table", table.owner), *((f"row `{rule.id}`", rule.owner) for rule in table.rules)]
    owned += [(f"limit `{limit.id}`", limit.owner) for limit in table.limits]
    owned += [(f"exploration `{row.id}`", row.owner) for row in table.exploration]
    owned += [(f"obligation `{duty.id}`", duty.owner) for duty in table.obligations]
    owned += [(f"guard `{guard.id}`", guard.owner) for guard in table.guards]
    for what, owner in [*owned, *((f"threshold `{each.name}`", each.owner) for each in table.thresholds)]:
        of.setdefault(owner, []).append(what)
    for charter in charters:
        of.setdefault(charter.owner, []).append(f"charter `{charter.agent}`")
    ends = {person: until for person in of if (until := people[person].until) is not None}
    asked: dict[str, list[str]] = {}
    for what, roles in [*((f"row `{rule.id}`", rule.roles) for rule in table.rules), *((f"guard `{guard.id}`", guard.roles) for guard in table.guards)]:
        for role in roles:
            asked.setdefault(role, []).append(what)
    for role, rows in asked.items():
        holders = [person for person in people.values() if role in person.roles]
        if holders and all(person.until is not None for person in holders):
            of[f"role {role}"], ends[f"role {role}"] = rows, max(person.until or 0 for person in holders)
    soon = sorted((until, who) for who, until in ends.items() if until <= now + within)
    return [Leaving(who, until, until <= now, tuple(of[who])) for until, who in soon]
