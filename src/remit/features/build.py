"""The frame of features: one row per HCP and product, as known at an instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.features.errors import FeatureError
from remit.features.feature import Catalogue, Column
from remit.features.known import Prescriptions, Tables, current, events, long_rows, prescriptions, with_basket, with_bricks

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "hcp": ("hcp_id", "practice_id", "pdrp", "valid_from", "valid_to", "received_at", "occurred_at"),
    "products": ("product", "own", "basket", "outcome", "valid_from", "valid_to", "received_at"),
    "rx": ("hcp_id", "product", "period", "received_at", "occurred_at"),
    "brick_rx": ("brick_id", "product", "period", "received_at", "occurred_at"),
    "touches": ("touch_id", "hcp_id", "product", "channel", "occurred_at", "received_at"),
    "inquiries": ("inquiry_id", "hcp_id", "product", "occurred_at", "received_at"),
    "formulary": ("practice_id", "product", "valid_from", "valid_to", "received_at", "occurred_at"),
}
_EVENTS: Mapping[str, str] = {"touches": "touch_id", "inquiries": "inquiry_id"}
_CHUNK = 20_000
"""HCPs aggregated at a time: bounds memory, and changes no value, for rows are independent."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one frame is about: an instant, the HCPs and products in force then, and the rows they make, numbered `row`."""

    as_of: int
    zone: str
    people: pl.DataFrame
    products: pl.DataFrame
    rows: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Grid:
    """What features and a panel of the same tables, instant and HCPs both begin with: the scope, and the prescriptions known of it (None: no such feed)."""

    scope: Scope
    prescribed: Prescriptions | None


def grid_of(tables: Tables, as_of: int, *, zone: str = "UTC", hcps: Sequence[str] | None = None) -> Grid:
    """The grid of `tables` at `as_of` (UTC microseconds): arguments as for `build`, which raises what is missing."""
    scope = scope_of(tables, as_of, zone, hcps)
    reported = bool({"rx", "brick_rx"} & tables.keys())
    return Grid(scope, prescriptions(tables, scope.people, scope.products, as_of, zone) if reported else None)


def build(
    tables: Tables,
    as_of: int,
    catalogue: Catalogue,
    *,
    zone: str = "UTC",
    loads: Mapping[str, int] | None = None,
    hcps: Sequence[str] | None = None,
    grid: Grid | None = None,
) -> pl.DataFrame:
    """The features of every HCP in force and every own product at `as_of` (UTC microseconds), from rows received by then and none later.

    Returns a row per (`hcp_id`, `product`), sorted, with `pdrp` (null: unknown), the catalogue's columns (numbers Float64, null where unknown), and per
    table `{table}_data_age_us` (`as_of` less `occurred_at` of the newest row used, null if none was) and `{table}_feed_age_us` (`as_of` less the instant
    in `loads` of the feed's last complete load, null if not given; of prescriptions the feed that tells of the HCP, and of whom neither `rx` nor `brick_rx`
    tells, the older one). `tables` holds `hcp` and `products` and any of `formulary`, `rx`, `brick_rx`, `touches`
    and `inquiries`; what is absent is unknown. With `brick_rx`, `rx_of_brick` says of each row that what it tells of prescribing is the average of the
    brick, nobody's own. `zone` is where weeks and months begin. `hcps` restricts the rows. `grid` is what `grid_of` made of the
    same arguments, where it is at hand already. Raises `FeatureError` listing every table or column that is missing.
    """
    _check(tables, catalogue)
    grid = grid_of(tables, as_of, zone=zone, hcps=hcps) if grid is None else grid
    scope = grid.scope
    blocks = [_hcp(catalogue, scope), _formulary(tables, catalogue, scope), _rx(catalogue, grid)]
    blocks += [_events(tables, catalogue, scope, table, key) for table, key in _EVENTS.items()]
    features = pl.concat([scope.rows, *blocks], how="horizontal")
    ages = sorted(name for name in features.columns if name.endswith("_data_age_us"))
    bricks = ["rx_of_brick"] if "brick_rx" in tables else []
    feeds = [_feed_age(table, as_of, loads or {}, bool(bricks)) for table in sorted(_NEEDED.keys() - {"products", "brick_rx"})]
    numbers = [pl.col(column.name).fill_nan(None) if features[column.name].dtype.is_float() else pl.col(column.name) for column in catalogue.columns]
    return features.select("hcp_id", "product", "pdrp", *numbers, *bricks, *ages, *feeds)


def scope_of(tables: Tables, as_of: int, zone: str, hcps: Sequence[str] | None) -> Scope:
    """The HCPs and products in force at `as_of`, and a row per HCP and own product, sorted."""
    people = with_bricks(current(tables["hcp"], ["hcp_id"], as_of))
    if hcps is not None:
        people = people.filter(pl.col("hcp_id").is_in(list(hcps)))
    people = people.with_row_index("hcp")
    products = current(tables["products"], ["product"], as_of).with_row_index("product_number")
    own = products.filter("own").select("product")
    rows = people.select("hcp", "hcp_id", "pdrp").join(own, how="cross", maintain_order="left_right").with_row_index("row")
    return Scope(as_of, zone, people, products, rows)


def _check(tables: Tables, catalogue: Catalogue) -> None:
    read = {name for column in catalogue.columns for name in column.feature.inputs}
    faults = [f"the table `{table}` is missing" for table in ("hcp", "products") if table not in tables]
    for table in sorted(_NEEDED.keys() & tables.keys()):
        needed = {*_NEEDED[table], *(name.removeprefix(f"{table}.") for name in read if name.startswith(f"{table}."))}
        faults += [f"`{table}` has no column `{name}`" for name in sorted(needed - set(tables[table].lazy().collect_schema().names()))]
    if faults:
        raise FeatureError("the tables do not hold what features read", faults=faults, do="Give tables in the layout of the feeds' contracts.")


def _of(catalogue: Catalogue, table: str) -> list[Column]:
    return [column for column in catalogue.columns if column.feature.table == table]


def _feed_age(table: str, as_of: int, loads: Mapping[str, int], bricks: bool) -> pl.Expr:
    own, of_brick = (pl.lit(as_of - loads[name] if name in loads else None, pl.Int64) for name in (table, "brick_rx"))
    if table != "rx":
        age = own
    elif bricks and {"rx", "brick_rx"} <= loads.keys():
        age = pl.when("rx_of_brick").then(of_brick).when(pl.col("rx_data_age_us").is_not_null()).then(own).otherwise(pl.max_horizontal(own, of_brick))
    else:
        age = pl.coalesce(own, of_brick)
    return age.alias(f"{table}_feed_age_us")


def _unknown(catalogue: Catalogue, table: str, height: int) -> pl.DataFrame:
    values = [pl.repeat(None, height, dtype=pl.Float64, eager=True).alias(column.name) for column in _of(catalogue, table)]
    return pl.DataFrame([*values, pl.repeat(None, height, dtype=pl.Int64, eager=True).alias(f"{table}_data_age_us")])


def _hcp(catalogue: Catalogue, scope: Scope) -> pl.DataFrame:
    values = [column.feature.value.alias(column.name) for column in _of(catalogue, "hcp")]
    facts = scope.people.select("hcp", *values, (scope.as_of - pl.col("occurred_at")).alias("hcp_data_age_us"))
    return scope.rows.select("hcp").join(facts, on="hcp", how="left", maintain_order="left").drop("hcp")


def _formulary(tables: Tables, catalogue: Catalogue, scope: Scope) -> pl.DataFrame:
    if "formulary" not in tables:
        return _unknown(catalogue, "formulary", scope.rows.height)
    keys = ["practice_id", "product"]
    values = [column.feature.value.alias(column.name) for column in _of(catalogue, "formulary")]
    facts = current(tables["formulary"], keys, scope.as_of).select(*keys, *values, (scope.as_of - pl.col("occurred_at")).alias("formulary_data_age_us"))
    rows = scope.rows.join(scope.people.select("hcp", "practice_id"), on="hcp", how="left", maintain_order="left").select(keys)
    return rows.join(facts, on=keys, how="left", maintain_order="left").drop(keys)


def _rx(catalogue: Catalogue, grid: Grid) -> pl.DataFrame:
    scope, known = grid.scope, grid.prescribed
    if known is None:
        return _unknown(catalogue, "rx", scope.rows.height)
    basket = with_basket(known, scope.products["basket"].to_list())
    own = np.flatnonzero(scope.products["own"].to_numpy()).tolist()
    starts = range(0, max(scope.people.height, 1), _CHUNK)
    parts = [_rx_part(catalogue, known, long_rows(known, basket, own, slice(start, start + _CHUNK)), scope.as_of) for start in starts]
    of_brick = pl.Series("rx_of_brick", known.of_brick[scope.rows["hcp"].to_numpy()])
    return _beside_rows(scope, pl.concat(parts)).with_columns(of_brick)


def _rx_part(catalogue: Catalogue, known: Prescriptions, cells: pl.DataFrame, as_of: int) -> pl.DataFrame:
    values = [column.feature.value.alias(column.name) for column in _of(catalogue, "rx")]
    ends = pl.DataFrame({"number": list(known.ends), "end": list(known.ends.values())}, schema={"number": pl.Int64, "end": pl.Int64})
    part = cells.group_by("row").agg(*values, number=pl.col("number").max()).join(ends, on="number", how="left")
    return part.with_columns(rx_data_age_us=as_of - pl.col("end")).drop("number", "end")


def _events(tables: Tables, catalogue: Catalogue, scope: Scope, table: str, key: str) -> pl.DataFrame:
    known = events(tables[table], key, scope.as_of) if table in tables else pl.DataFrame()
    if known.is_empty():
        return _unknown(catalogue, table, scope.rows.height)
    known = known.join(scope.rows.select("row", "hcp_id", "product"), on=["hcp_id", "product"], how="inner")
    age = (scope.as_of - pl.col("occurred_at").max()).alias(f"{table}_data_age_us")
    plain = [column for column in _of(catalogue, table) if column.channel is None]
    blocks = [_aggregate(scope, known, plain, age)]
    for channel in catalogue.channels:
        columns = [column for column in _of(catalogue, table) if column.channel == channel]
        if columns:
            blocks.append(_aggregate(scope, known.filter(pl.col("channel") == channel), columns))
    return pl.concat(blocks, how="horizontal")


def _aggregate(scope: Scope, known: pl.DataFrame, columns: list[Column], *more: pl.Expr) -> pl.DataFrame:
    values = [column.feature.value.alias(column.name) for column in columns]
    none = [pl.col(column.name).fill_null(column.feature.if_none) for column in columns if column.feature.if_none is not None]
    return _beside_rows(scope, known.group_by("row").agg(*values, *more)).with_columns(none)


def _beside_rows(scope: Scope, values: pl.DataFrame) -> pl.DataFrame:
    return scope.rows.select("row").join(values, on="row", how="left", maintain_order="left").drop("row")
