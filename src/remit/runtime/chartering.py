"""Rules in charters: what an agent's owner adds binds at once, and what the owner takes away is on record before it is gone.

A charter's rows and limits only tighten what the company's table allows, so adding one takes nobody's yes. Taking one away or changing it loosens what was
promised: until the next cycle, which records it, the rule holds on as the last cycle had it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from remit.agents import rules_of
from remit.authority import Layer
from remit.ledger import Entry, Records
from remit.runtime.rights import SCHEMA
from remit.runtime.workspace import Config, Workspace, of_charter, read_config, recall
from remit.terms.charters import Charter
from remit.terms.encoding import digest

HELD = "before"
"""What stands between an agent's name and the id of a rule that holds on."""


@dataclass(frozen=True, slots=True)
class Amended:
    """The rules of an agent's charter that were `added`, `changed` or `taken away` since the last cycle, each with what it is and its id; `text` is the digest
    of the charter's text as it stands (of none: as it was)."""

    agent: str
    text: str
    changes: tuple[tuple[str, str, str], ...]

    @property
    def loosens(self) -> bool:
        """Whether something is no longer as strict as it was."""
        return any(how != "added" for _, _, how in self.changes)


def held_over(workspace: Workspace, records: Records, config: Config, upto: int | None = None) -> Config:
    """`config` between cycles, after the log's first `upto` entries (None: all): what charters have lost since the last cycle holds on, under names of its
    own."""
    before = {charter.agent: charter for charter in _last(workspace, records, config, upto)}
    agents = {charter.agent: charter for charter in config.charters}
    lost = [each.agent for each in _amended(before, agents) if each.loosens and each.agent in agents]
    return replace(config, kept=tuple(_kept(before[agent], agents[agent]) for agent in lost))


def amended(workspace: Workspace, records: Records, config: Config) -> list[Amended]:
    """What the rules of charters have become since the last cycle; nothing before the first."""
    if not any(records.entries(kind="cycle")):
        return []
    before = {charter.agent: charter for charter in _last(workspace, records, config)}
    return _amended(before, {charter.agent: charter for charter in config.charters})


def told(found: Sequence[Amended], now: int) -> list[Entry]:
    """What a cycle records of it."""
    return [Entry("rights", SCHEMA, {"step": "charter", "agent": each.agent, "table": each.text, "changes": _changes(each), "at": now}) for each in found]


def in_words(changes: Sequence[dict[str, Any]], agent: str) -> str:
    """`email: row `few` taken away`."""
    return f"{agent}: " + ", ".join(f"{each['what']} `{each['name']}` {each['how']}" for each in changes)


def sentences(found: Sequence[Amended]) -> list[str]:
    """As `in_words`, of each."""
    return [in_words(_changes(each), each.agent) for each in found]


def _kept(before: Charter, now: Charter) -> Layer:
    layer = of_charter(before)
    return replace(layer, name=f"{now.agent}:{HELD}", where=f"{layer.where} as of the last cycle", owner=now.owner)


def _changes(found: Amended) -> list[dict[str, Any]]:
    return [{"what": what, "name": name, "how": how} for what, name, how in found.changes]


def _last(workspace: Workspace, records: Records, config: Config, upto: int | None = None) -> tuple[Charter, ...]:
    """The charters of the last cycle; those of `config` where none has changed since."""
    cycles = [entry for entry in records.entries(kind="cycle") if upto is None or entry.seq < upto]
    if not cycles:
        return config.charters
    given = cycles[-1].body["inputs"]["config"]
    now = {name: digest(text.encode()) for name, text in config.texts.items() if name.startswith("agents/")}
    if now == {name: text for name, text in given.items() if name.startswith("agents/")}:
        return config.charters
    return read_config(recall(workspace, given)).charters


def _amended(before: dict[str, Charter], now: dict[str, Charter]) -> list[Amended]:
    found = []
    for agent in sorted(before.keys() | now.keys()):
        was, rules = (rules_of(each[agent]) if agent in each and each[agent].rules else {} for each in (before, now))
        how = {key: "added" if key not in was else "taken away" if key not in rules else "changed" for key in sorted(was.keys() | rules.keys())}
        changes = tuple((*key, how[key]) for key in how if was.get(key) != rules.get(key))
        if changes:
            charter = now.get(agent) or before[agent]
            found.append(Amended(agent, digest((charter.rules or before[agent].rules).encode()), changes))
    return found
