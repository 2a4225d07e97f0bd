"""The one canonical encoding of what the ledger holds: JSON with sorted keys, UTF-8, no white space, integers and no floats."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from remit.terms.errors import EncodingError

MICRO = 1_000_000
"""Values, prices and usage are int64 counts of one millionth of their unit."""

_PLAIN, _HOLDING = frozenset({str, bool, type(None)}), frozenset({dict, list, tuple})
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(body: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a mapping of text keys to null, booleans, int64, text, and lists and mappings of these.

    Raises `EncodingError` naming the path of what has no canonical form: a float, an integer beyond int64, a key that is not text.
    """
    if not _sound(body):
        _check(body, "")
    return _ENCODER.encode(body).encode()


def digest(data: bytes) -> str:
    """The lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _sound(value: object) -> bool:
    """Whether a value of the plain types has a canonical form: quick, and silent about why not."""
    kind: type = type(value)
    if kind is dict:
        if not {str}.issuperset(map(type, value)):  # type: ignore[call-overload]  # a dict, by its type
            return False
        value = value.values()  # type: ignore[attr-defined]  # a dict, by its type
    elif kind not in (list, tuple):
        value = (value,)
    for item in value:  # type: ignore[attr-defined]  # items, by now
        kind = type(item)
        if kind is int:
            if not -(2**63) <= item < 2**63:
                return False
        elif kind not in _PLAIN and (kind not in _HOLDING or not _sound(item)):
            return False
    return True


def _check(value: object, path: str) -> None:
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise EncodingError(f"the key `{key!r}` is not text", where=path or "/")
            _check(item, f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}/{index}")
    else:
        raise EncodingError(f"`{value!r}` has no canonical form", where=path or "/", do="Use null, booleans, int64, text, lists and mappings.")
