"""What a feature is: a name, the table it reads, words for it, and one expression."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from remit.features.errors import FeatureError
from remit.terms.labels import Label

DERIVED: Mapping[str, tuple[str, ...]] = {
    "rx.lag": ("rx.period", "rx.trx"),
    "rx.outcome": ("rx.trx", "rx.nrx", "rx.nbrx"),
    "rx.basket": ("rx.trx", "rx.nrx", "rx.nbrx"),
    "touches.age_days": ("touches.occurred_at",),
    "inquiries.age_days": ("inquiries.asked_at",),
}
"""Columns that an expression may read besides those of the contract, and the contract's columns each is made of. That a period was reported at all is
prescribing too."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One definition.

    `table` is `hcp`, `formulary`, `rx`, `touches` or `inquiries`; `value` is one polars expression over its rows as known at the instant: a column for the
    first two, an aggregation over the rows of one HCP and product for the others. Which columns each table offers is in `known.py`. `says` names the
    feature in a sentence. With `by_channel` there is one column per channel, `{name}_{channel}`, and `{channel}` in `says` is filled in. `if_none` is the
    value where the table is known and holds no row; null says that no row means unknown, as for prescriptions. A sum must be of integers: sums of
    floats depend on the order of threads.
    """

    name: str
    table: str
    says: str
    value: pl.Expr
    by_channel: bool = False
    if_none: int | None = None

    @property
    def inputs(self) -> frozenset[str]:
        """The contract's columns that the expression reads, as `table.column`; read off the expression, so none can be left undeclared."""
        read = {f"{self.table}.{name}" for name in self.value.meta.root_names()} | ({f"{self.table}.channel"} if self.by_channel else set())
        return frozenset(source for name in read for source in DERIVED.get(name, (name,)))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame of features: its definition, its channel (or None), its words and its information labels."""

    name: str
    feature: Feature
    channel: str | None
    says: str
    labels: frozenset[Label]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The columns of a frame of features, in order."""

    columns: tuple[Column, ...]
    channels: tuple[str, ...]

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def catalogue(features: Iterable[Feature], labels: Mapping[str, Label], channels: Iterable[str]) -> Catalogue:
    """The columns that `features` make for `channels`, each with the union of its inputs' labels.

    `labels` gives the label of each `table.column` of the contracts. Raises `FeatureError` naming every feature with an input that has none.
    """
    features, channels = tuple(features), tuple(sorted(set(channels)))
    faults = [f"`{feature.name}` reads `{name}`" for feature in features for name in sorted(feature.inputs - set(labels))]
    names = [feature.name for feature in features]
    faults += [f"`{name}` is defined twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if faults:
        raise FeatureError("features without an information label do not load", faults=faults, do="Give each input column a label in its contract.")
    return Catalogue(tuple(column for feature in features for column in _columns(feature, labels, channels)), channels)


def _columns(feature: Feature, labels: Mapping[str, Label], channels: tuple[str, ...]) -> list[Column]:
    union = frozenset(labels[name] for name in feature.inputs)
    if not feature.by_channel:
        return [Column(feature.name, feature, None, feature.says, union)]
    return [Column(f"{feature.name}_{channel}", feature, channel, feature.says.format(channel=channel), union) for channel in channels]
