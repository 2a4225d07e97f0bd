"""What a model reads: columns with labels, PDRP physicians' prescribing replaced before anything sees it, text as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features import Catalogue
from remit.models.errors import ModelError
from remit.terms.labels import Label

Floats = npt.NDArray[np.float64]
ADMITTED = frozenset({Label.COMMERCIAL, Label.PDRP})
"""What a model for promotion may be made of: a physician's unsolicited question, or anything medical, must not steer promotion."""

FEWEST = 10
"""HCPs whose mean may be kept: of fewer it would tell what one of them prescribes."""

_EVERY = ""
"""Stands for every specialty, where one is unknown, was never seen, or has too few."""


@dataclass(frozen=True, slots=True)
class Input:
    """One column a model reads; `levels` are the texts it was trained on, None for a number."""

    name: str
    says: str
    labels: frozenset[Label]
    levels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Inputs:
    """The columns a model reads, in order, and `averages[product][specialty][column]`: the mean of each PDRP-labelled column over the physicians who are
    not under PDRP, at the newest instant it was trained on."""

    columns: tuple[Input, ...]
    averages: Mapping[str, Mapping[str, Mapping[str, float | None]]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def average(self, frame: pl.DataFrame, name: str) -> Floats:
        """The average of PDRP-labelled column `name` for each row's product and specialty; NaN where there is none."""
        return self._of_others(frame, [name])[name].fill_null(np.nan).to_numpy()

    def protected(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` as a model may see it: in rows of physicians under PDRP (or not known to be outside it) each PDRP-labelled column holds the average of the
        other physicians of the specialty. Raises `ModelError` for columns or products the model does not know."""
        self._check(frame)
        hidden, private = hidden_rows(frame), [column.name for column in self.columns if Label.PDRP in column.labels]
        others = self._of_others(frame, private)
        return frame.with_columns(pl.when(hidden).then(others[name].fill_nan(None)).otherwise(pl.col(name)).alias(name) for name in private)

    def matrix(self, protected: pl.DataFrame) -> Floats:
        """The model's matrix of a protected frame: a row per row, NaN where unknown, text as its place among the levels."""
        columns = [_number(protected[column.name], column.levels) for column in self.columns]
        return np.ascontiguousarray(np.column_stack(columns)) if protected.height else np.empty((0, len(columns)))

    def _of_others(self, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """The averages of the columns `names` for each row's product and specialty; null where there is none."""
        keys = frame.select("product", specialty=pl.col("specialty").fill_null(_EVERY))
        pairs = keys.unique()
        found = [[self._average(product, specialty, name) for product, specialty in pairs.iter_rows()] for name in names]
        table = pairs.with_columns(pl.Series(name, column, dtype=pl.Float64) for name, column in zip(names, found, strict=True))
        return keys.join(table, on=["product", "specialty"], how="left", maintain_order="left").select(names)

    def _average(self, product: str, specialty: str, name: str) -> float | None:
        of_product = self.averages[product]
        return of_product.get(specialty, of_product[_EVERY])[name]

    def _check(self, frame: pl.DataFrame) -> None:
        faults = [f"the column `{name}` is missing" for name in sorted({*self.names, "hcp_id", "product", "specialty", "pdrp"} - set(frame.columns))]
        if not faults:
            faults = [f"the product `{product}` was not in its training" for product in sorted(set(frame["product"].unique()) - set(self.averages))]
        if faults:
            raise ModelError("the model cannot read this frame of features", faults=faults, do="Build the frame with the model's features, or train anew.")


def hidden_rows(frame: pl.DataFrame) -> pl.Series:
    """Which rows are of a physician whose prescribing is hidden: under PDRP, or not known to be outside it."""
    return frame["pdrp"].fill_null(True).alias("hidden")


def learn_inputs(frame: pl.DataFrame, catalogue: Catalogue) -> Inputs:
    """The inputs that `frame` (rows of `training_frame`, none of them hidden) and its catalogue make: the columns with no label but the `ADMITTED`."""
    columns = [Input("product", "product", frozenset({Label.COMMERCIAL}), _levels(frame["product"]))]
    columns += [
        Input(column.name, column.says, column.labels, _levels(frame[column.name]) if frame[column.name].dtype == pl.String else None)
        for column in catalogue.columns
        if column.labels <= ADMITTED
    ]
    newest = frame.filter(pl.col("instant") == pl.col("instant").max().over("product"))
    private = [column.name for column in columns if Label.PDRP in column.labels]
    return Inputs(tuple(columns), {product: _averages(newest.filter(product=product), private) for product in _levels(frame["product"])})


def dump_inputs(inputs: Inputs) -> dict[str, Any]:
    """The inputs as plain values for JSON, numbers as text."""
    columns = [{"name": c.name, "says": c.says, "labels": sorted(c.labels), "levels": None if c.levels is None else list(c.levels)} for c in inputs.columns]
    averages = {
        product: {specialty: {name: None if value is None else repr(value) for name, value in means.items()} for specialty, means in of_product.items()}
        for product, of_product in inputs.averages.items()
    }
    return {"columns": columns, "averages": averages}


def load_inputs(body: Mapping[str, Any]) -> Inputs:
    """The inputs that `dump_inputs` wrote."""
    columns = tuple(
        Input(c["name"], c["says"], frozenset(Label(label) for label in c["labels"]), None if c["levels"] is None else tuple(c["levels"]))
        for c in body["columns"]
    )
    averages = {
        product: {specialty: {name: None if value is None else float(value) for name, value in means.items()} for specialty, means in of_product.items()}
        for product, of_product in body["averages"].items()
    }
    return Inputs(columns, averages)


def _levels(texts: pl.Series) -> tuple[str, ...]:
    return tuple(texts.drop_nulls().unique().sort().to_list())


def _number(column: pl.Series, levels: tuple[str, ...] | None) -> Floats:
    if levels is not None:
        column = column.cast(pl.String).replace_strict({level: place for place, level in enumerate(levels)}, default=None, return_dtype=pl.Float64)
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _averages(rows: pl.DataFrame, names: list[str]) -> dict[str, dict[str, float | None]]:
    specialties = [specialty for specialty in _levels(rows["specialty"]) if rows.filter(specialty=specialty).height >= FEWEST]
    return {_EVERY: _means(rows, names), **{specialty: _means(rows.filter(specialty=specialty), names) for specialty in specialties}}


def _means(rows: pl.DataFrame, names: list[str]) -> dict[str, float | None]:
    known = {name: rows[name].cast(pl.Float64).drop_nulls().to_numpy() for name in names}
    return {name: float(values.mean()) if len(values) else None for name, values in known.items()}
