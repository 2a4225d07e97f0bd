"""What was known at an instant: the restated state of each table, from rows with `received_at` up to that instant and none later.

What the expressions of features read:

- `hcp`: the columns of the contract, one row per HCP.
- `rx`: per HCP and product, `lag` (1 is the newest period of the product that anybody has reported; periods still running are left out), `outcome` (the
  product's configured outcome) and `basket` (the outcomes reported in that period for all products of its basket). A period that was
  not reported has no row: absence is not zero. An HCP of whom nothing is reported, but whose brick is (`brick_rx`), has the brick's average: its count by
  the number who prescribe in it.
- `touches`, `inquiries`: the columns of the contract and `age_days`, whole days since it happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features.periods import Cadence, cadence_of, number_at, number_of
from remit.terms.instants import DAY

Frame = pl.DataFrame | pl.LazyFrame
Tables = Mapping[str, Frame]

HISTORY = 104
"""Periods that are kept before the newest: two years of weeks."""

LEAST_BRICK = 10
"""HCPs who prescribe in a brick: of fewer, nothing is shown."""

UNKNOWN = np.iinfo(np.int64).min
"""An outcome that was not reported."""
PARTS = 1024
"""An average of a brick is held in whole parts of so many to a unit: a power of two, so that as a float it is exact, and sums do not depend on order."""
_Cells = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prescriptions:
    """Outcomes as known at an instant: `outcome[h, p, k]` of HCP h, product p in period number `first + k`, in `parts`ths of a unit; `UNKNOWN` where not
    reported.

    `newest[p]` is the number of the newest period that anybody reported for p, -1 if there is none; `ends` says when each period number ended;
    `of_brick[h]` says that what is known of h is the average of the brick.
    """

    outcome: _Cells
    first: int
    newest: _Cells
    ends: Mapping[int, int]
    cadence: Cadence | None
    parts: int
    of_brick: npt.NDArray[np.bool_]


def current(frame: Frame, keys: list[str], as_of: int) -> pl.DataFrame:
    """The rows of a dimension in force at `as_of` by what was received by then: one per `keys`, the one that began last, sorted by `keys`."""
    rows = frame.lazy().filter(pl.col("received_at") <= as_of).collect()
    rows = rows.sort("received_at", *rows.columns).unique([*keys, "valid_from"], keep="last", maintain_order=True)
    in_force = rows.filter((pl.col("valid_from") <= as_of) & (pl.col("valid_to") > as_of))
    return in_force.sort("valid_from", maintain_order=True).unique(keys, keep="last", maintain_order=True).sort(keys)


def events(frame: Frame, key: str, as_of: int) -> pl.DataFrame:
    """Dated events (touches, inquiries) that had happened and were received by `as_of`, each as last restated, with `age_days`."""
    rows = frame.lazy().filter((pl.col("received_at") <= as_of) & (pl.col("occurred_at") <= as_of)).collect()
    if rows[key].is_duplicated().any():
        rows = rows.sort("received_at", *rows.columns).unique(key, keep="last", maintain_order=True)
    return rows.with_columns(age_days=(as_of - pl.col("occurred_at")) // DAY)


def with_bricks(people: pl.DataFrame) -> pl.DataFrame:
    """`people` with the `brick_id` of each HCP and the `brick_size`, how many prescribe there: where the table does not say, those it lists. A brick of fewer
    than `LEAST_BRICK` is no brick: its average would tell what its HCPs prescribe."""
    missing = [pl.lit(None, kind).alias(name) for name, kind in (("brick_id", pl.String), ("brick_size", pl.Int64)) if name not in people.columns]
    sized = people.with_columns(missing).with_columns(pl.max_horizontal(pl.col("brick_size").max().over("brick_id"), pl.len().over("brick_id").cast(pl.Int64)))
    large = pl.col("brick_id").is_not_null() & (pl.col("brick_size") >= LEAST_BRICK)
    return sized.with_columns(brick_id=pl.when(large).then("brick_id"))


def prescriptions(tables: Tables, people: pl.DataFrame, products: pl.DataFrame, as_of: int, zone: str, since: int | None = None) -> Prescriptions:
    """The outcomes of `people` (`hcp_id`, `brick_id`, `brick_size`, `hcp` from 0) and `products` (`product`, `outcome`) as last restated by `as_of`, from
    `rx` and `brick_rx` of `tables`, as far as they are there; of periods that ended after `since` alone, if it is given.

    Raises `FeatureError` where weeks and months are mixed, or a period is neither.
    """
    parts, of_brick = 1, np.zeros(len(people), bool)
    by_brick = "brick_rx" in tables and tables["brick_rx"].lazy().limit(1).collect().height > 0
    told = None if by_brick else since  # whose own prescriptions are known is told from all periods
    rows = _received(tables["rx"], "hcp_id", people, products, as_of, told) if "rx" in tables else pl.DataFrame(schema=_ROWS)
    if by_brick:
        own = np.zeros(len(people), bool)
        own[rows["hcp"].to_numpy()] = True
        shares = _averages(tables["brick_rx"], people.filter(~pl.Series(own)), products, as_of)
        if shares.height:
            parts = PARTS
            of_brick[shares["hcp"].unique().to_numpy()] = True
            known = pl.col("outcome") != UNKNOWN
            rows = pl.concat([rows.with_columns(pl.when(known).then(pl.col("outcome") * PARTS).otherwise(UNKNOWN).alias("outcome")), shares])
    rows = rows if since is None else rows.filter(pl.col("occurred_at") > since)
    names = rows["period"].unique().sort().to_list()
    numbers = {name: number_of(name) for name in names}
    cadence = cadence_of(names)
    ended = [] if cadence is None else [name for name in names if numbers[name] < number_at(as_of, cadence, zone)]
    if not ended:
        return Prescriptions(np.full((len(people), len(products), 0), UNKNOWN), 0, np.full(len(products), -1), {}, cadence, parts, of_brick)
    rows = rows if len(ended) == len(names) else rows.filter(pl.col("period").is_in(ended))
    rows = rows.with_columns(number=pl.col("period").replace_strict(numbers, return_dtype=pl.Int64)).drop("period")
    return replace(_grid(rows, len(people), len(products), cadence), parts=parts, of_brick=of_brick)


def with_basket(known: Prescriptions, baskets: list[str | None]) -> _Cells:
    """Per cell of `known.outcome`, what was reported in that period for all products of its product's basket; `baskets[p]` names the basket of p."""
    filled = np.where(known.outcome == UNKNOWN, 0, known.outcome)
    total = filled.copy()
    for basket in {name for name in baskets if name is not None}:
        members = [index for index, name in enumerate(baskets) if name == basket]
        total[:, members] = filled[:, members].sum(axis=1, keepdims=True)
    return total


def long_rows(known: Prescriptions, basket: _Cells, own: list[int], hcps: slice) -> pl.DataFrame:
    """The known cells of the HCPs in `hcps` and the products `own`: `row` (HCP x number of own products + place among them, rising), period `number`,
    `lag`, `outcome`, `basket`."""
    part, parts = known.outcome[hcps], known.parts
    hcp, place, period = np.nonzero(part[:, own] != UNKNOWN)
    product = np.asarray(own, dtype=np.int64)[place]
    rows = pl.DataFrame(
        {
            "row": ((hcp + hcps.start) * len(own) + place).astype(np.uint32),
            "number": known.first + period,
            "lag": known.newest[product] - known.first - period + 1,
            "outcome": part[hcp, product, period],
            "basket": basket[hcps][hcp, product, period],
        }
    ).with_columns(pl.col("row").set_sorted())
    return rows if parts == 1 else rows.with_columns(pl.col("outcome", "basket") / parts)


_ROWS = pl.Schema({"hcp": pl.UInt32, "product_number": pl.UInt32, "period": pl.String, "occurred_at": pl.Int64, "received_at": pl.Int64, "outcome": pl.Int64})


def _averages(bricks: Frame, people: pl.DataFrame, products: pl.DataFrame, as_of: int) -> pl.DataFrame:
    """A row as `_received` gives for each HCP of each brick reported, with the brick's average in `PARTS`ths."""
    rows = _received(bricks, "brick_id", people.filter(pl.col("brick_id").is_not_null()), products, as_of)
    size = rows.select("hcp").join(people.select("hcp", "brick_size"), on="hcp", how="left", maintain_order="left")["brick_size"]
    average = (2 * PARTS * pl.col("outcome") + size) // (2 * size)
    return rows.with_columns(outcome=pl.when(pl.col("outcome") == UNKNOWN).then(UNKNOWN).otherwise(average))


def _received(frame: Frame, key: str, people: pl.DataFrame, products: pl.DataFrame, as_of: int, since: int | None = None) -> pl.DataFrame:
    measures = sorted(set(products["outcome"]))
    if not measures:
        return pl.DataFrame(schema=_ROWS)
    numbered = products.select("product", measure="outcome").with_row_index("product_number")
    outcome = pl.coalesce(pl.when(pl.col("measure") == measure).then(pl.col(measure)) for measure in measures)
    return (
        frame.lazy()
        .filter(pl.col("received_at") <= as_of, *([] if since is None else [pl.col("occurred_at") > since]))
        .select(key, "product", "period", "occurred_at", "received_at", *measures)
        .join(numbered.lazy(), on="product", how="inner")
        .join(people.lazy().select(key, "hcp"), on=key, how="inner")
        .select("hcp", "product_number", "period", "occurred_at", "received_at", outcome=outcome.fill_null(UNKNOWN))
        .collect()
    )


def _grid(rows: pl.DataFrame, hcps: int, products: int, cadence: Cadence | None) -> Prescriptions:
    number = rows["number"].to_numpy()
    first = max(int(number.min()), int(number.max()) - HISTORY + 1)
    if first > int(number.min()):
        rows = rows.filter(pl.col("number") >= first)
        number = rows["number"].to_numpy()
    periods = int(number.max()) - first + 1
    cell = (rows["hcp"].to_numpy().astype(np.int64) * products + rows["product_number"].to_numpy()) * periods + (number - first)
    values = np.full(hcps * products * periods, UNKNOWN)
    received, last = rows["received_at"].to_numpy(), np.full(len(values), np.iinfo(np.int64).min)
    np.maximum.at(last, cell, received)
    counts = received == last[cell]  # of rows received at once, the largest
    np.maximum.at(values, cell[counts], rows["outcome"].to_numpy()[counts])
    newest = np.full(products, -1)
    np.maximum.at(newest, rows["product_number"].to_numpy(), number)
    ends = dict(rows.group_by("number").agg(pl.col("occurred_at").max()).iter_rows())
    return Prescriptions(values.reshape(hcps, products, periods), first, newest, ends, cadence, 1, np.zeros(hcps, bool))
