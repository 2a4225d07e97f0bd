"""What a feed's rows must be: dataframely schemas whose columns carry an information label and say how their text is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from zoneinfo import available_timezones

import dataframely as dy
import polars as pl

from remit.intake.errors import IntakeError
from remit.terms.labels import Label

HCP_ID = r"^[A-Za-z0-9_.:-]{1,64}$"
NAME = r"^[^\s\x00-\x1f][^\x00-\x1f]{0,199}$"
NAMES = r"^[^\s;\x00-\x1f][^\x00-\x1f]{0,399}$"
"""One or more names, with `;` between them."""

_SHARED = ("valid_from", "valid_to", "received_at")

Rules = Callable[[pl.DataFrame], pl.DataFrame]
"""Rules over a whole file: from good rows with `line`, the rows (`line`, `rule`) that break one."""


def text(label: Label, pattern: str = NAME, *, among: tuple[str, ...] | None = None, nullable: bool = False) -> dy.String:
    """Text that matches `pattern`, or is one of `among`."""
    check = {"known_value": lambda column: column.is_in(among)} if among else None
    return dy.String(nullable=nullable, regex=None if among else pattern, check=check, metadata={"label": label, "reads": "text"})


def hcp_id() -> dy.String:
    """Our id of an HCP."""
    return text(Label.COMMERCIAL, HCP_ID)


def zone() -> dy.String:
    """An IANA time zone."""
    return dy.String(nullable=False, check={"known_zone": lambda column: column.is_in(_zones())}, metadata={"label": Label.COMMERCIAL, "reads": "text"})


def period(label: Label) -> dy.String:
    """An ISO week or a month; loading turns it into its bounds, so that an unknown one is found there."""
    return dy.String(nullable=False, metadata={"label": label, "reads": "period"})


def whole(label: Label, *, least: int | None = None, most: int | None = None, nullable: bool = False) -> dy.Int64:
    """A whole number; `7.0` is one."""
    return dy.Int64(nullable=nullable, min=least, max=most, metadata={"label": label, "reads": "whole"})


def millionths(label: Label, *, least: int | None = None, most: int | None = None) -> dy.Int64:
    """A decimal of at most six places, held as int64 millionths."""
    return dy.Int64(nullable=False, min=least, max=most, metadata={"label": label, "reads": "millionths"})


def flag(label: Label, *, nullable: bool = False) -> dy.Bool:
    """`true` or `false`."""
    return dy.Bool(nullable=nullable, metadata={"label": label, "reads": "flag"})


def instant(label: Label, *, nullable: bool = False) -> dy.Int64:
    """An ISO 8601 instant, held as int64 UTC microseconds."""
    return dy.Int64(nullable=nullable, metadata={"label": label, "reads": "instant"})


class Line(dy.Schema):
    """Every row knows the line of the source file that it came from."""

    line = dy.Int64(nullable=False, metadata={"label": Label.COMMERCIAL, "reads": "line"})


class Received(Line):
    """Any feed may say when each row was received."""

    received_at = instant(Label.COMMERCIAL, nullable=True)


class Validity(Received):
    """A fact that holds in `[valid_from, valid_to)`; an empty `valid_to` is held as `FOREVER`."""

    valid_from = instant(Label.COMMERCIAL)
    valid_to = instant(Label.COMMERCIAL, nullable=True)

    @dy.rule()
    def valid_to_after_valid_from(cls) -> pl.Expr:  # noqa: N805 - dataframely calls a rule with the class
        """Validity has a length."""
        return pl.col("valid_to").is_null() | (pl.col("valid_from") < pl.col("valid_to"))


@dataclass(frozen=True, slots=True)
class Contract:
    """What a file must be: the `schema` of its rows, the `key` of which an instant of receipt has one row, and `rules` over the rows of the file together."""

    schema: type[dy.Schema]
    key: tuple[str, ...]
    rules: Rules | None = None

    def __post_init__(self) -> None:
        labels(self.schema)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file, its own first, then validity and receipt."""
        names = [name for name in self.schema.column_names() if name != "line"]
        return tuple(sorted(names, key=lambda name: _SHARED.index(name) if name in _SHARED else -1))

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that the file cannot leave out."""
        return tuple(name for name, column in self.schema.columns().items() if name != "line" and not column.nullable)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the warehouse, with the contract of the native file that fills it.

    `occurred` names the column that says when a row happened. Of rows with the same key the one received last counts. `entity` is empty, or what a
    dimension says one thing about at an instant; `beside` tells apart rows of one entity that may be in force together. `heed` gives the rows that bad
    lines stand for until they are mended, from a file's lines, the numbers of the bad ones, and now. `others` are further columns that
    name HCPs: a row goes with each that it names.
    """

    name: str
    contract: Contract
    occurred: str
    entity: tuple[str, ...] = ()
    beside: pl.Expr | None = None
    heed: Callable[[pl.DataFrame, pl.Series, int], pl.DataFrame] | None = None
    others: tuple[str, ...] = ()

    @property
    def about_hcps(self) -> bool:
        """Whether rows belong to an HCP."""
        return "hcp_id" in self.contract.columns


def labels(schema: type[dy.Schema]) -> Mapping[str, Label]:
    """The information label of each column. Raises `IntakeError` naming every column that has none or does not say how it is read."""
    faults = [f"`{name}` has no {part}" for name, column in schema.columns().items() for part in ("label", "reads") if part not in (column.metadata or {})]
    if faults:
        raise IntakeError(
            "a column without an information label does not load", where=schema.__name__, do="Declare it with a function of intake.contracts.", faults=faults
        )
    return MappingProxyType({name: Label(_metadata(column)["label"]) for name, column in schema.columns().items()})


@lru_cache
def reads(schema: type[dy.Schema]) -> Mapping[str, str]:
    """How the text of each column is read."""
    return MappingProxyType({name: str(_metadata(column)["reads"]) for name, column in schema.columns().items()})


def _metadata(column: dy.Column) -> dict[str, Any]:
    return column.metadata or {}


@lru_cache(1)
def _zones() -> list[str]:
    return sorted(available_timezones())
