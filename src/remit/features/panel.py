"""A panel: what each HCP wrote in each period, beside the touches they had in it, as known at an instant. For models of response over time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.features.build import Grid, grid_of
from remit.features.errors import FeatureError
from remit.features.known import UNKNOWN, Tables, events
from remit.features.periods import name_of, number_at
from remit.terms.instants import add_span, period_bounds


@dataclass(frozen=True, slots=True)
class Panel:
    """`outcome[h, p, t]`: units that HCP h wrote of own product p in period t (NaN: not reported); `touches[c, h, p, t]`: touches about p in it through
    channel c. `as_of` is the instant of knowledge; `ends[t]` is when a period ended (UTC microseconds, rising); `pdrp[h]` says whose figures no model may
    see. Where nobody's own outcomes are reported in a brick, `brick[h]` is its place (-1: none), `brick_outcome[b, p, t]` the units of all who prescribe
    in it, and `brick_size[b]` how many they are; `brick_id[h]` is the id of the brick that HCP h belongs to in any case (empty: none is known), or its place,
    where no ids are given."""

    hcps: tuple[str, ...]
    products: tuple[str, ...]
    channels: tuple[str, ...]
    as_of: int
    ends: npt.NDArray[np.int64]
    outcome: npt.NDArray[np.float64]
    touches: npt.NDArray[np.float64]
    pdrp: npt.NDArray[np.bool_]
    brick: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    brick_outcome: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 0)))
    brick_size: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    brick_id: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.brick):
            object.__setattr__(self, "brick", np.full(len(self.hcps), -1))
        if not self.brick_id:
            object.__setattr__(self, "brick_id", tuple("" if place < 0 else str(place) for place in self.brick.tolist()))


def panel(
    tables: Tables,
    as_of: int,
    channels: Sequence[str],
    *,
    zone: str,
    history: str,
    settle: str,
    worth: Sequence[float] = (),
    hcps: Sequence[str] | None = None,
    grid: Grid | None = None,
) -> Panel:
    """The panel of the HCPs in force at `as_of`, over the periods that ended within `history` before it; outcomes of those that ended less than `settle`
    before it are left out.

    A detail counts as `worth` by its place in its call, as far as that says; any other touch counts 1. `tables` and `grid` as for `build`. Raises
    `FeatureError` where no such period is known.
    """
    grid = grid_of(tables, as_of, zone=zone, hcps=hcps) if grid is None else grid
    scope, known = grid.scope, grid.prescribed
    since, until = add_span(as_of, history, -1), add_span(as_of, settle, -1)
    settled = [] if known is None else [number for number in sorted(known.ends) if since <= known.ends[number] <= until]
    if not settled or known is None or known.cadence is None:
        raise FeatureError("no prescriptions of settled periods are known", where="rx", do="Load a longer history, or set a shorter `settle`.")
    numbers = range(settled[0], number_at(as_of, known.cadence, zone))
    ends = np.array([period_bounds(name_of(number, known.cadence), zone)[1] for number in numbers], np.int64)
    own = np.flatnonzero(scope.products["own"].to_numpy())
    outcome = np.full((scope.people.height, len(own), len(numbers)), np.nan)
    cells = known.outcome[:, own][:, :, np.array(settled) - known.first]
    outcome[:, :, np.array(settled) - settled[0]] = np.where(cells == UNKNOWN, np.nan, cells / known.parts)
    brick, totals, sizes = _bricks(scope.people, known.of_brick, outcome)
    outcome[known.of_brick] = np.nan
    products = scope.products["product"].gather(own.tolist()).to_list()
    touched = _touches(tables, as_of, scope.people["hcp_id"].to_list(), products, tuple(channels), ends, worth)
    pdrp = scope.people["pdrp"].fill_null(True).to_numpy()
    hcp_ids, brick_ids = (tuple(scope.people[name].fill_null("").to_list()) for name in ("hcp_id", "brick_id"))
    return Panel(hcp_ids, tuple(products), tuple(channels), as_of, ends, outcome, touched, pdrp, brick, totals, sizes, brick_ids)


def _bricks(
    people: pl.DataFrame, of_brick: npt.NDArray[np.bool_], averages: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The bricks all of whose HCPs have the brick's average: the place of each HCP's, their totals, and their sizes."""
    members = people.select("hcp", "brick_id", "brick_size", shared=pl.Series(of_brick)).filter(pl.col("brick_id").is_not_null())
    whole = members.group_by("brick_id").agg(pl.col("hcp").min(), pl.col("brick_size").first(), pl.col("shared").all()).filter("shared").sort("brick_id")
    place = people.select("hcp", "brick_id").join(whole.select("brick_id").with_row_index("place"), on="brick_id", how="left", maintain_order="left")["place"]
    sizes = whole["brick_size"].to_numpy().astype(np.int64)
    return place.cast(pl.Int64).fill_null(-1).to_numpy(), np.rint(averages[whole["hcp"].to_numpy()] * sizes[:, None, None]), sizes


def _touches(
    tables: Tables, as_of: int, hcps: list[str], products: list[str], channels: tuple[str, ...], ends: npt.NDArray[np.int64], worth: Sequence[float]
) -> npt.NDArray[np.float64]:
    counts = np.zeros((len(channels), len(hcps), len(products), len(ends)))
    rows = events(tables["touches"], "touch_id", as_of) if "touches" in tables else pl.DataFrame()
    if rows.is_empty():
        return counts
    coded = rows.select(
        channel=_code("channel", list(channels)),
        hcp=_code("hcp_id", hcps),
        product=_code("product", products),
        at=pl.col("occurred_at"),
        position=pl.col("position").fill_null(1),
    ).drop_nulls()
    start = int(ends[0] - (ends[1] - ends[0])) if len(ends) > 1 else 0
    coded = coded.filter((pl.col("at") >= start) & (pl.col("at") < int(ends[-1])))
    period = np.searchsorted(ends, coded["at"].to_numpy(), side="right")
    places = np.minimum(coded["position"].to_numpy(), len(worth)) - 1
    each = np.asarray(worth)[places] if len(worth) else np.ones(coded.height)
    np.add.at(counts, (coded["channel"].to_numpy(), coded["hcp"].to_numpy(), coded["product"].to_numpy(), period), each)
    return counts


def _code(name: str, values: list[str]) -> pl.Expr:
    return pl.col(name).replace_strict(values, list(range(len(values))), default=None, return_dtype=pl.Int64).alias(name)
