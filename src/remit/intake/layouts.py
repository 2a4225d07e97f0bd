"""What lies in a feed's folder: which files, under which contract, and which tables their good rows fill."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from remit.intake.contracts import Contract, Table
from remit.intake.settings import Settings

Spread = Callable[[pl.DataFrame, Settings], Mapping[str, pl.DataFrame]]
"""From good rows of a file (typed, with `line`) to the native rows of each table it fills; `received_at` and `received_assumed` where the layout knows them."""


@dataclass(frozen=True, slots=True)
class FileLayout:
    """One kind of file of a feed.

    `stem` is its name without extension (None: any). `tables` are those that `spread` fills, the first of which keeps the file's bad lines. `hcp` gives the
    HCP that each line is about, from the cells as text (None: lines are about none). Columns named in `ignored` are known and never loaded. `heed` and
    `others` are as in `Table`.
    """

    contract: Contract
    tables: tuple[str, ...]
    spread: Spread
    stem: str | None = None
    hcp: Callable[[pl.DataFrame], pl.Series] | None = None
    ignored: tuple[str, ...] = ()
    heed: Callable[[pl.DataFrame, pl.Series, int], pl.DataFrame] | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """A folder of files; `own` holds the keys and defaults of the settings that only this feed has."""

    name: str
    files: tuple[FileLayout, ...]
    own: Mapping[str, str] = field(default_factory=dict)


def native(table: Table) -> Feed:
    """The feed whose files hold the table's own columns."""
    hcp = _native_hcp if table.about_hcps else None
    layout = FileLayout(table.contract, (table.name,), lambda good, _: {table.name: good}, hcp=hcp, heed=table.heed, others=table.others)
    return Feed(table.name, (layout,))


def _native_hcp(raw: pl.DataFrame) -> pl.Series:
    return raw["hcp_id"].str.strip_chars()
