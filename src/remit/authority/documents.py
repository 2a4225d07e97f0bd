"""Reading YAML as sections of text with line numbers.

The nodes are taken before YAML gives them types: `no`, `1.0` and `2026-01-05` stay what was written, nothing is constructed, and a key that stands
twice is reported instead of one of the two being dropped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from remit.authority.errors import nearest

Fault: TypeAlias = tuple[int, str]
"""A line, counted from 1, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at a line: text, a list, or a mapping by key."""

    line: int
    value: "str | list[Entry] | dict[str, Entry]"


def read_document(text: str) -> tuple[Entry | None, list[Fault]]:
    """The one document in a YAML text, or None where it is not YAML, and all faults."""
    document, faults = _composed(text)
    return document, list(faults)


@lru_cache(maxsize=64)
def _composed(text: str) -> tuple[Entry | None, tuple[Fault, ...]]:
    """A cycle reads the same text several times, and a simulation every week of it."""
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return None, ((mark.line + 1 if mark else 1, f"this is not YAML: {error.problem or error.context}"),)
    except YAMLError as error:
        return None, ((1, f"this is not YAML: {error}"),)
    except RecursionError:
        return None, ((1, "this is nested too deeply"),)
    faults: list[Fault] = []
    document = _entry(node, faults) if node else Entry(1, {})
    return document, tuple(faults)


def _entry(node: Node, faults: list[Fault]) -> Entry:
    line = node.start_mark.line + 1
    if node.anchor:
        faults.append((line, f"`&{node.anchor}` lets text stand for other text; write it out wherever it is meant"))
    elif isinstance(node, SequenceNode):
        return Entry(line, [_entry(item, faults) for item in node.value])
    elif isinstance(node, MappingNode):
        return Entry(line, _fields(node, faults))
    return Entry(line, node.value.strip() if isinstance(node, ScalarNode) else "")


def _fields(node: MappingNode, faults: list[Fault]) -> dict[str, Entry]:
    fields: dict[str, Entry] = {}
    for key, value in node.value:
        entry, line = _entry(value, faults), key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            faults.append((line, "a key must be a word"))
        elif key.value in fields:
            faults.append((line, f"`{key.value}` stands twice here (first on line {fields[key.value].line}); keep one"))
        else:
            fields[key.value] = Entry(line, entry.value)
    return fields


class Section:
    """A mapping in a document, read key by key; what does not fit is a fault, and reads as empty."""

    def __init__(self, entry: Entry, label: str, faults: list[Fault]) -> None:
        self.label, self.line, self._faults = label, entry.line, faults
        self._fields = entry.value if isinstance(entry.value, dict) else {}
        if not isinstance(entry.value, dict):
            self.fault("must be written as `key: value` lines")

    def fault(self, fault: str, key: str = "") -> None:
        """Notes a fault at `key`'s line, or the section's."""
        entry = self._fields.get(key)
        self._faults.append((entry.line if entry else self.line, f"{self.label}: {fault}"))

    def has(self, key: str) -> bool:
        return key in self._fields

    def text(self, key: str) -> str:
        """The text at `key`."""
        value = self._fields[key].value if key in self._fields else None
        if isinstance(value, str) and value:
            return value
        self.fault(f"`{key}` is missing" if not value else f"`{key}` must be text", key)
        return ""

    def entries(self, key: str) -> list[Entry]:
        """The list at `key`."""
        value = self._fields[key].value if key in self._fields else None
        if isinstance(value, list):
            return value
        self.fault(f"`{key}` is missing" if not value else f"`{key}` must be a list", key)
        return []

    def texts(self, key: str) -> tuple[str, ...]:
        """The text at `key`, or the texts in a list there."""
        value = self._fields[key].value if key in self._fields else None
        items = value if isinstance(value, list) else [Entry(self.line, value)] if isinstance(value, str) else []
        found = tuple(item.value for item in items if isinstance(item.value, str) and item.value)
        if not found or len(found) < len(items):
            self.fault(f"`{key}` must be a word, or a list of words", key)
        return found

    def section(self, key: str) -> "Section":
        """The mapping at `key`."""
        return Section(self._fields[key], f"{self.label}, `{key}`", self._faults)

    def only(self, keys: Iterable[str]) -> None:
        """Faults every key that is not one of `keys`."""
        for key in self._fields:
            if key not in keys:
                self.fault(f"`{key}` is not a key here{nearest(key, keys)}; the keys are {', '.join(keys)}", key)
