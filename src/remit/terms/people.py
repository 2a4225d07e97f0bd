"""People and roles. Every owner, approver and watcher resolves here."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A person on file, by id and not by name, with roles. `until` is an instant in UTC microseconds, or None."""

    id: str
    roles: frozenset[str]
    until: int | None = None

    def active(self, now: int) -> bool:
        """Whether the person is still on file at `now` (UTC microseconds)."""
        return self.until is None or now < self.until


People = Mapping[str, Person]
