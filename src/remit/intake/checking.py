"""Good rows and bad rows: what the contract says of each line of a part."""

from collections.abc import Mapping
from dataclasses import dataclass

import dataframely as dy
import numpy as np
import polars as pl

from remit.intake.cells import READERS, read_periods
from remit.intake.contracts import Contract, reads
from remit.intake.keys import repeats

BROKEN_SCHEMA: Mapping[str, type[pl.DataType]] = {"line": pl.Int64, "rule": pl.String}
_UNREADABLE = {"instant": "not_an_instant", "whole": "not_a_whole_number", "millionths": "not_a_decimal", "flag": "not_true_or_false"}


@dataclass(frozen=True, slots=True)
class Checked:
    """`good` rows are typed, with `line`; `broken` has a row (`line`, `rule`) for each rule that a line breaks."""

    good: pl.DataFrame
    broken: pl.DataFrame

    def without(self, broken: pl.DataFrame) -> "Checked":
        """The same, with more rules found broken."""
        if broken.is_empty():
            return self
        return Checked(self.good.filter(~pl.col("line").is_in(broken["line"].unique().implode())), pl.concat([self.broken, broken]))


def check(raw: pl.DataFrame, contract: Contract, zone: str) -> Checked:
    """Which rows of a part keep the contract; `zone` is that of weeks and months. Rules are named `column|rule`, or by what they say of the whole row.

    A line that repeats another of the same part is `duplicate_line`; lines that say different things of one key as of one instant are all `conflicting_lines`.
    """
    checked = check_rows(raw, contract.schema, zone)
    checked = checked.without(_repeated(checked.good, contract.key))
    return checked.without(contract.rules(checked.good)) if contract.rules else checked


def check_rows(raw: pl.DataFrame, schema: type[dy.Schema], zone: str) -> Checked:
    """The rules that are about one row."""
    kinds = reads(schema)
    typed = pl.DataFrame([_read(raw, name, kind) for name, kind in kinds.items()])
    told_of = [name for name, kind in kinds.items() if kind in _UNREADABLE and name in raw.columns]
    broken = [_unreadable(raw, typed, name, kinds[name]) for name in told_of if typed[name].null_count() > raw[name].null_count()]
    good, failure = schema.filter(typed)
    if len(failure):
        details = failure.details()
        rules = [name for name in details.columns if name not in typed.columns]
        fired = details.unpivot(rules, index="line", variable_name="rule", value_name="is").filter(pl.col("is") == "invalid")
        broken.append(fired.select("line", pl.col("rule").str.replace("|check__", "|", literal=True)))
    checked = Checked(good, pl.DataFrame(schema=dict(BROKEN_SCHEMA)))
    checked = checked.without(_told_once(pl.concat(broken))) if broken else checked
    return checked.without(_unknown_periods(checked.good, zone)) if "period" in kinds.values() else checked


def _told_once(told: pl.DataFrame) -> pl.DataFrame:
    # A cell that cannot be read is held as null: do not blame it twice.
    unread = told.filter(pl.col("rule").str.contains(r"\|not_")).select("line", column=pl.col("rule").str.split("|").list.first())
    return told.with_columns(column=pl.col("rule").str.strip_suffix("|nullability")).join(unread, on=["line", "column"], how="anti").drop("column")


def _read(raw: pl.DataFrame, name: str, kind: str) -> pl.Series:
    if kind == "line":
        return raw["line"]
    cells = raw[name] if name in raw.columns else pl.Series(name, [None], pl.String).new_from_index(0, raw.height)
    return READERS[kind](cells).alias(name)


def _unreadable(raw: pl.DataFrame, typed: pl.DataFrame, name: str, kind: str) -> pl.DataFrame:
    lines = raw["line"].filter(typed[name].is_null() & raw[name].is_not_null())
    return pl.DataFrame({"line": lines}).with_columns(rule=pl.lit(f"{name}|{_UNREADABLE[kind]}"))


def _unknown_periods(good: pl.DataFrame, zone: str) -> pl.DataFrame:
    bounds = read_periods(good["period"], zone)
    return pl.DataFrame({"line": good["line"].filter(bounds["end"].is_null())}).with_columns(rule=pl.lit("period|not_a_week_or_month"))


def _repeated(good: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    by = (*key, "received_at") if "received_at" in good.columns else key
    again = good[np.unique(np.concatenate(repeats(good, by)))]
    if again.is_empty():
        return pl.DataFrame(schema=dict(BROKEN_SCHEMA))
    rest = [name for name in good.columns if name != "line"]
    told = again.with_columns(
        conflict=pl.struct(rest).n_unique().over(by) > 1,
        later=pl.col("line") > pl.col("line").min().over(rest),
    ).with_columns(rule=pl.when("conflict").then(pl.lit("conflicting_lines")).when("later").then(pl.lit("duplicate_line")))
    return told.drop_nulls("rule").select("line", "rule")
