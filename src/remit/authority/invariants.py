"""Invariants: what must hold of every table, whatever its rows say. Text in, checked invariants out, or every fault at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from remit.authority.conditions import Condition, Facts, Test, to_python
from remit.authority.documents import Entry, Section, read_document
from remit.authority.errors import AuthorityError
from remit.authority.loading import Loader
from remit.terms.facts import Fact
from remit.terms.people import People
from remit.terms.verdicts import Ruling

_KEYS = ("id", "says", "when", "at_least", "owner")
_AT_LEAST = (Ruling.CONFIRM, Ruling.FORBIDDEN)
_STRICTNESS = (Ruling.AUTONOMOUS, Ruling.CONFIRM, Ruling.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Invariant:
    """Wherever `condition` is true or unknown, a verdict is at least `at_least`: `confirm` (a person, or no) or `forbidden`."""

    id: str
    says: str
    when: str
    condition: Condition
    at_least: Ruling
    owner: str
    holds: Test = field(compare=False, repr=False)

    def broken_by(self, facts: Facts, ruling: Ruling) -> bool:
        """Whether a proposal with these facts and this ruling breaks it. INVARIANT (unknown is never a yes): what is not known is demanded of too."""
        return self.holds(facts) is not False and _STRICTNESS.index(ruling) < _STRICTNESS.index(self.at_least)


def load_invariants(text: str, people: People, facts: Mapping[str, Fact], now: int) -> tuple[Invariant, ...]:
    """The invariants that a YAML text holds, checked against the people on file at `now` (UTC microseconds) and the dictionary of facts.

    Raises one `AuthorityError` with every fault in the order of the file: its line, its invariant, and what to do.
    """
    document, faults = read_document(text)
    found = _Loader(people, facts, now, faults).invariants(document) if document else ()
    if not document or faults:
        lines = [f"line {line}: {fault}" for line, fault in sorted(faults, key=lambda fault: fault[0])]
        raise AuthorityError("the invariants cannot be used", where="invariants", faults=lines, do="Mend these lines; nothing was proved.")
    return found


class _Loader(Loader):
    """Checks invariants by the same means as rows of a table."""

    def invariants(self, document: Entry) -> tuple[Invariant, ...]:
        top = Section(document, "the file", self.faults)
        top.only(("invariants",))
        return tuple(self._invariant(entry, number) for number, entry in enumerate(top.entries("invariants"), start=1))

    def _invariant(self, entry: Entry, number: int) -> Invariant:
        row = Section(entry, f"invariant {number}", self.faults)
        name = self._id(row)
        row.label = f"invariant `{name}`" if name else row.label
        row.only(_KEYS)
        says, when, at_least = row.text("says"), row.text("when"), self._one_of(row, "at_least", _AT_LEAST)
        condition = self._condition(row, when)
        return Invariant(name, says, when, condition, Ruling(at_least or Ruling.CONFIRM), self._owner(row), to_python(condition))
