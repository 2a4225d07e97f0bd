"""What is known of a period before its prescriptions are: promotion that was taken up, colleagues of those who took it up, places on formularies.

Each value is given as it stood at every receipt that changed it, so that a past instant sees what was known then.
"""

from collections.abc import Mapping

import polars as pl

from remit.features.known import Frame
from remit.features.periods import Cadence, name_of, number_at
from remit.terms.instants import period_bounds

_TIERS = 3
"""Words for a place on the formulary that are followed: those of the most practices."""
_KEYS = ("product", "period", "indicator")
_SCHEMA = {"product": pl.String, "period": pl.String, "indicator": pl.String, "value": pl.Float64, "received_at": pl.Int64}


def leading_indicators(tables: Mapping[str, Frame], as_of: int, *, cadence: Cadence = Cadence.WEEK, zone: str = "UTC") -> pl.DataFrame:
    """The indicators that the feeds hold, for `nowcast`: `product`, `period`, `indicator`, `value`, `received_at`, from rows received by `as_of` alone.

    `tables` may hold `touches` (contacts, and among them those engaged), with `hcp` (colleagues in practices reached through an engaged physician) and
    `formulary` (practices in which a product stands at each tier); what is absent gives no indicator. Rows keep every restatement.
    """
    known = {name: rows.lazy().filter(pl.col("received_at") <= as_of).collect() for name, rows in tables.items()}
    parts = [pl.DataFrame(schema=_SCHEMA)]
    if "touches" in known:
        parts += _of_touches(known["touches"], known.get("hcp"), cadence, zone)
    if "formulary" in known:
        parts += _of_formulary(known["formulary"], as_of, cadence, zone)
    return pl.concat(parts).sort("received_at", *_KEYS)


def _of_touches(touches: pl.DataFrame, hcp: pl.DataFrame | None, cadence: Cadence, zone: str) -> list[pl.DataFrame]:
    rows = touches.filter(pl.col("product").is_not_null()).with_columns(engaged=pl.col("engaged").fill_null(value=False).cast(pl.Int64))
    rows = rows.with_columns(period=_period(pl.col("occurred_at"), cadence, zone), contacts=pl.lit(1, pl.Int64), engagement=pl.col("engaged"))
    names = ["contacts", "engagement"]
    if hcp is not None:
        sizes = hcp.select("hcp_id", "received_at", "practice_size").drop_nulls().sort("received_at", "hcp_id", "practice_size")
        rows = rows.sort("received_at", "touch_id").join_asof(sizes, on="received_at", by="hcp_id", check_sortedness=False)
        rows = rows.with_columns(peers=pl.col("engaged") * (pl.col("practice_size") - 1).fill_null(0))
        names.append("peers")
    rows = rows.sort("touch_id", "received_at", *names)
    again = pl.col("touch_id") == pl.col("touch_id").shift(1)
    changes = rows.with_columns((pl.col(name) - pl.when(again).then(pl.col(name).shift(1)).otherwise(0)).alias(name) for name in names)
    return [_as_it_stood(_with_none(changes.select("product", "period", "received_at", value=name)).with_columns(indicator=pl.lit(name))) for name in names]


def _with_none(changes: pl.DataFrame) -> pl.DataFrame:
    """A period of which the feed has told touches of other products has none of this one, known from its first receipt: that is not unknown."""
    heard = changes.group_by("period").agg(pl.col("received_at").min())
    none = changes.select("product").unique().join(heard, how="cross").with_columns(value=pl.lit(0, pl.Int64))
    return pl.concat([changes.with_columns(pl.col("value").cast(pl.Int64)), none.select(changes.columns)])


def _as_it_stood(changes: pl.DataFrame) -> pl.DataFrame:
    """The running sum of `value` at each receipt."""
    summed = changes.group_by(*_KEYS, "received_at").agg(pl.col("value").sum()).sort(*_KEYS, "received_at")
    return summed.with_columns(value=pl.col("value").cum_sum().over(_KEYS).cast(pl.Float64)).select(list(_SCHEMA))


def _of_formulary(formulary: pl.DataFrame, as_of: int, cadence: Cadence, zone: str) -> list[pl.DataFrame]:
    """Per tier and period that has ended, in how many practices a product stood there at its end, as was known then."""
    cell = ["practice_id", "product"]
    rows = formulary.select(*cell, "tier", "valid_from", "valid_to", "received_at").with_columns(at=pl.max_horizontal("valid_from", "received_at"))
    ended = rows.filter(pl.col("valid_to") > pl.col("at")).with_columns(pl.col("valid_to").alias("at"), tier=pl.lit(None, pl.String))
    moves = pl.concat([rows, ended]).filter(pl.col("at") <= as_of).sort(*cell, "at", "valid_from", "received_at", "tier")
    moves = moves.filter(pl.col("valid_from") == pl.col("valid_from").cum_max().over(cell))  # a late word about the past changes nothing now
    if moves.is_empty():
        return []
    moves = moves.with_columns(before=pl.col("tier").shift(1).over(cell))
    came = moves.select("product", "at", "tier", change=pl.lit(1, pl.Int64))
    went = moves.select("product", "at", pl.col("before").alias("tier"), change=pl.lit(-1, pl.Int64))
    changes = pl.concat([came, went]).drop_nulls("tier").with_columns(period=_period(pl.col("at"), cadence, zone))
    summed = changes.group_by("product", "tier", "period").agg(pl.col("change").sum())
    first = int(moves["at"].min())  # type: ignore[arg-type]  # an Int64 column that is not empty
    names = [name_of(number, cadence) for number in range(number_at(first, cadence, zone), number_at(as_of, cadence, zone))]
    ends = pl.DataFrame(
        {"period": names, "received_at": [period_bounds(name, zone)[1] for name in names]}, schema={"period": pl.String, "received_at": pl.Int64}
    )
    most = moves.group_by("tier").len().drop_nulls().sort(["len", "tier"], descending=[True, False]).head(_TIERS)
    grid = moves.select("product").unique().join(most.select("tier"), how="cross").join(ends, how="cross")
    stood = grid.join(summed, on=["product", "tier", "period"], how="left").sort("product", "tier", "received_at")
    stood = stood.with_columns(value=pl.col("change").fill_null(0).cum_sum().over("product", "tier").cast(pl.Float64))
    return [stood.with_columns(indicator=pl.lit("formulary ") + pl.col("tier")).select(list(_SCHEMA))]


def _period(instant: pl.Expr, cadence: Cadence, zone: str) -> pl.Expr:
    there = instant.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    return there.dt.strftime("%G-W%V" if cadence is Cadence.WEEK else "%Y-%m")
