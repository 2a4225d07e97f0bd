"""PostgreSQL: `[ledger] url_env` in remit.toml names the environment variable that holds the URL of the log's database.

The name, not the URL: remit.toml is kept by digest in every cycle, and a URL may hold a password.
"""

import re
import tomllib
from collections.abc import Mapping

from remit.runtime.errors import WorkspaceError
from remit.terms.documents import Document

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def read_url_env(document: Document) -> str:
    """The variable that the section `[ledger]` names; empty for SQLite."""
    name = document.text("url_env", "")
    if name and not VARIABLE.fullmatch(name):
        document.fault("url_env", "must be the name of an environment variable, such as REMIT_LEDGER_URL; the URL itself does not belong into this file")
    document.close()
    return name


def url_env_of(text: str, where: str) -> str:
    """The variable that a settings text names, whatever else is in the text. Raises `WorkspaceError`."""
    try:
        document = Document(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise WorkspaceError("the file is not TOML", where=where, faults=[str(error)]) from None
    name = read_url_env(document.table("ledger", optional=True))
    document.refuse(WorkspaceError, "the settings cannot be used")
    return name


def url_of(variable: str, environment: Mapping[str, str]) -> str | None:
    """The URL that the variable holds; None if none is named. Raises `WorkspaceError` if it is not set."""
    if not variable:
        return None
    if not environment.get(variable):
        do = f"Set it to a URL such as postgresql://remit@db.internal/north, and run again: export {variable}=..."
        raise WorkspaceError(f"the environment variable `{variable}`, which says where the ledger's log is, is not set", where="remit.toml, [ledger]", do=do)
    return environment[variable]
