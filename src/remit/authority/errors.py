"""The error of this room, and how it helps."""

import difflib
from collections.abc import Iterable

from remit.terms.errors import RemitError


class AuthorityError(RemitError):
    """A malformed authority table, or facts that do not fit the table they are judged by."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the known word that looks most like `word`, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
