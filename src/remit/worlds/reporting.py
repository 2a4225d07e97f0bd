"""How prescriptions become known: weeks late by a curve, restated as more arrive, sometimes downward."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.worlds.deliveries import generator, iso_week
from remit.worlds.description import Description
from remit.worlds.population import Flags, Floats, Ints, People

Counts = npt.NDArray[np.int16]
"""Prescriptions of one HCP, product and week: a world of a million keeps eight weeks of them."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A week whose prescriptions are not all known: what is still to be told, and what was told so far."""

    week: int
    written: Counts
    told: Counts


def tell(
    world: Description, people: People, pending: tuple[Pending, ...], now: int, starts: Mapping[int, int], seed: int
) -> tuple[tuple[Pending, ...], pl.DataFrame]:
    """What is told at the start of week `now`: the rows of the prescription feed (without `received_at`), and what is told by then. Where only bricks are
    told of, rows have `brick_id` in place of `hcp_id`.

    A week is told whole, zeros too, when the first of its prescriptions are; later only what changed.
    """
    first, last = min(world.reports.late), max(world.reports.late) + _kept(world)
    after, frames = [], []
    for report in pending:
        age = now - report.week
        known = _restated(world, _told(world, report, age, seed), age, now, seed)
        if known is not report:
            frames.append(_rows(world, people, known, report, age == first, starts[report.week]))
        if age < last:
            after.append(known)
    return tuple(after), pl.concat(frames) if frames else pl.DataFrame(schema=ROWS)


ROWS = pl.Schema({"hcp_id": pl.String, "product": pl.String, "period": pl.String, "trx": pl.Int64})


def _kept(world: Description) -> int:
    """Weeks kept after the last of the curve, for a vendor that restates them."""
    return max((event.weeks for event in world.events if event.kind == "restatement"), default=0)


def _told(world: Description, report: Pending, age: int, seed: int) -> Pending:
    """The week as told at its `age`; the same object if nothing is told of it then."""
    curve = world.reports.late
    if age not in curve:
        return report
    left = sum(share for week, share in curve.items() if week >= age)
    draw = generator(seed, f"told/{report.week}", age)
    told = report.told + draw.binomial(np.maximum(report.written - report.told, 0), min(1.0, curve[age] / left))
    if age > min(curve):
        told -= (draw.random(told.shape, dtype=np.float32) < world.reports.taken_back) & (told > 0)
    return Pending(report.week, report.written, told.astype(np.int16))


def _restated(world: Description, report: Pending, age: int, now: int, seed: int) -> Pending:
    """The week after the vendor's restatements of now, if it is one of the weeks restated."""
    for event in world.events:
        if event.kind == "restatement" and now == world.history + event.week and min(world.reports.late) <= age <= event.weeks:
            place = [product.name for product in world.products].index(event.product)
            draw, share = generator(seed, f"restated/{report.week}", now), min(1.0, event.factor)
            written, told = report.written.copy(), report.told.copy()
            told[:, place] = draw.binomial(report.told[:, place], share)
            written[:, place] = told[:, place] + draw.binomial(np.maximum(report.written[:, place] - report.told[:, place], 0), share)
            report = Pending(report.week, written, told)
    return report


def counted(written: npt.NDArray[np.int64], scale: Floats, seed: int, week: int) -> Counts:
    """What the vendor will count of a week's prescriptions."""
    if (scale < 1.0).any():
        written = generator(seed, "counted", week).binomial(written, np.minimum(scale, 1.0))
    return np.minimum(written, np.iinfo(np.int16).max).astype(np.int16)


def _rows(world: Description, people: People, known: Pending, before: Pending, everyone: bool, start: int) -> pl.DataFrame:
    changed: Flags = people.covered[:, None] & (_launched(world, known.week) if everyone else known.told != before.told)
    key, ids, told = "hcp_id", people.ids, known.told.astype(np.int64)
    if world.reports.level == "brick":
        key, ids = "brick_id", brick_ids(np.arange(int(people.brick.max()) + 1))
        changed, told = _by_brick(people, changed) > 0, _by_brick(people, np.where(people.covered[:, None], told, 0))
    unit, product = np.nonzero(changed)
    names = pl.Series([product.name for product in world.products])
    period = pl.repeat(iso_week(start), len(unit), dtype=pl.String, eager=True)
    return pl.DataFrame({key: ids[unit], "product": names[product], "period": period, "trx": told[changed]})


def brick_ids(bricks: Ints) -> pl.Series:
    """The ids of bricks by number."""
    return pl.Series(bricks + 1).cast(pl.String).str.zfill(5).str.replace("^", "B")


def _by_brick(people: People, values: Ints | Flags) -> Ints:
    """The sums of `values[h, p]` over the HCPs of each brick."""
    totals = np.zeros((int(people.brick.max()) + 1, values.shape[1]), np.int64)
    np.add.at(totals, people.brick, values)
    return totals


def _launched(world: Description, week: int) -> Flags:
    """Products that are on the market in a week: nobody reports what is not sold."""
    return np.array([product.launch is None or week - world.history >= product.launch for product in world.products])
