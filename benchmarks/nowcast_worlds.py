"""Nowcasts in worlds: a year of history and half a year of the plain call plan, every restatement kept; in the bundled worlds, and where something happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.report import Row
from remit.features.nowcast import backtest, leading_indicators, score
from remit.runtime.countries import bundled, world_text
from remit.runtime.shelf import Shelf
from remit.terms.instants import WEEK
from remit.worlds import FIRST_CYCLE, World, read_world

TAIL = 10
"""Weeks lived after the last nowcast, so that its periods are settled."""
INSTANTS = range(2, 26, 2)
"""Weeks of the run at whose Mondays nowcasts are made."""
FEEDS = ("rx", "brick_rx", "touches", "hcp", "formulary")

_TOGGLED = "".join(
    f"  - {{kind: formulary, week: {week}, product: {('kappa', 'lambda')[place % 2]}, share: 0.6, tier: {('preferred', 'restricted')[place // 2 % 2]}}}\n"
    for place, week in enumerate(range(-46, 26, 4))
)
HAPPENS: Mapping[str, str] = {
    "feed silent for six weeks": "events:\n  - {kind: feed_stops, week: 4, weeks: 6, feed: rx}\n",
    "half a year restated to 80%": "events:\n  - {kind: restatement, week: 2, weeks: 26, product: lambda, factor: 0.8}\n",
    "restated, and back after ten weeks": (
        "events:\n  - {kind: restatement, week: -2, weeks: 26, product: lambda, factor: 0.8}\n"
        "  - {kind: restatement, week: 8, weeks: 26, product: lambda, factor: 1.25}\n"
    ),
    "a rival takes 30%": "events:\n  - {kind: competitor, week: 4, product: mu, share: 0.3}\n",
    "formularies that move": "events:\n" + _TOGGLED,
}
"""What is added to the world in which nothing works, so that only the event moves anything."""
CAMPAIGNS: Mapping[str, str] = {f"{name}, own products promoted in turn": name for name in ("launch", "peers")}
"""Worlds in which promotion comes in campaigns: one own product for five weeks, then the next."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A world to live in: its description, whether promotion comes in campaigns, and the weeks of the run at which nowcasts are made."""

    text: str
    campaigns: bool = False
    weeks: Sequence[int] = INSTANTS


def setting(name: str) -> Setting:
    """The setting of a bundled world, of one of `HAPPENS`, or of one of `CAMPAIGNS`."""
    if name in HAPPENS:
        return Setting(world_text("nothing") + HAPPENS[name], weeks=range(4, 16) if "silent" in name else range(2, 26, 2))
    return Setting(world_text(CAMPAIGNS.get(name, name)), campaigns=name in CAMPAIGNS)


def lived(place: Setting, physicians: int, seed: int) -> dict[str, pl.DataFrame]:
    """Every row that a company in the world gets under the plain call plan, up to `TAIL` weeks after its last nowcast, by feed; `rx` also holds what is told
    of bricks."""
    description = read_world(place.text, "benchmark")
    world = World.build(description, physicians, seed)
    files = list(world.opening())
    for number in range(description.history + max(place.weeks) + TAIL):
        plan = world.plan()
        turn = description.products[description.own[number // 5 % len(description.own)]].name
        files += world.step(plan.filter(product=turn) if place.campaigns else plan).deliveries
    shelf = Shelf(description.zones[0])
    for file in files:  # one by one, as a loader does: what one file says does not forbid what another says of the same day
        if file.feed in FEEDS:
            shelf.add([file], world.now)
    told = {feed: shelf.read(feed, world.now) for feed in FEEDS}
    bricks = told.pop("brick_rx").rename({"brick_id": "hcp_id"})
    return told | {"rx": pl.concat([told["rx"], bricks.select(told["rx"].columns)])}


def judged(place: Setting, lives: Sequence[Mapping[str, pl.DataFrame]], *, leading: bool) -> pl.DataFrame:
    """Past nowcasts of the last eight weeks, as rows of `backtest`, with `unit` (an instant of a life) and `carried`: the chain ladder whose newest week that
    has a report stands for those that have none, since the plain one says none were written."""
    parts = []
    for life, feeds in enumerate(lives):
        instants = [FIRST_CYCLE + week * WEEK for week in place.weeks]
        indicators = leading_indicators({name: rows for name, rows in feeds.items() if name != "rx"}, max(instants)) if leading else None
        parts.append(backtest(feeds["rx"], instants, "trx", indicators=indicators).with_columns(life=pl.lit(life, pl.Int64)))
    keys = ("life", "as_of", "product", "source")
    rows = pl.concat(parts).sort(*keys, "period")
    told = pl.when(pl.col("share").is_not_null()).then(pl.col("chain_ladder"))
    return rows.with_columns(carried=told.forward_fill().over(keys).fill_null(0.0), unit=pl.struct("life", "as_of"))


def difference(rows: pl.DataFrame, ours: str, other: str, resamples: int = 2_000) -> tuple[float, float, float]:
    """The share of error of `ours` less that of `other`, with the 90% interval from resampling blocks of two instants, in pairs: neighbours share periods."""
    off = {name: (pl.col(name) - pl.col("final")).abs().sum() for name in (ours, other)}
    at = rows.group_by("unit").agg(less=off[ours] - off[other], final=pl.col("final").sum()).sort("unit")
    less, final = (np.add.reduceat(at[name].to_numpy(), range(0, at.height, 2)) for name in ("less", "final"))
    drawn = np.random.default_rng(7).integers(0, len(less), (resamples, len(less)))
    low, high = np.quantile(less[drawn].sum(axis=1) / final[drawn].sum(axis=1), (0.05, 0.95))
    return float(less.sum() / final.sum()), float(low), float(high)


def measure(quick: bool) -> list[Row]:
    """A row for each world, by product, and what leading indicators add."""
    physicians, seeds = (300, (1,)) if quick else (2_000, (1, 2))
    return [_row(name, physicians, seeds) for name in (*bundled(), *HAPPENS, *CAMPAIGNS)]


def _row(name: str, physicians: int, seeds: Sequence[int]) -> Row:
    place = setting(name)
    lives = [lived(place, physicians, seed) for seed in seeds]
    rows, led = (judged(place, lives, leading=leading) for leading in (False, True))
    told = score(rows)
    against = {other: difference(rows, "expected", other) for other in ("reported", "chain_ladder", "carried")}
    both = rows.join(led.select("unit", "product", "source", "period", led="expected"), on=["unit", "product", "source", "period"])
    gain = difference(both, "led", "expected")
    parts = rows.group_by("product", maintain_order=True)
    products = ", ".join(f"{product} {_part(part, 'expected'):.2%} of {_part(part, 'carried'):.2%}" for (product,), part in parts)
    less = {other: _words(values) for other, values in against.items()}
    return Row(
        f"nowcast in the world {name}: {told.periods} totals of the last 8 weeks of {physicians:,} physicians, error as a share of the final",
        "surely below the report and the chain ladder; 85-95% inside the 90% interval",
        f"{told.error['expected']:.2%}; {told.coverage:.0%} inside, interval {told.width:.1%} wide; less the report {less['reported']}, "
        f"the chain ladder {less['chain_ladder']}, the chain ladder carried forward {less['carried']}; leading indicators {_words(gain)}",
        f"as reported {told.error['reported']:.2%}, chain ladder {told.error['chain_ladder']:.2%}, carried forward {_part(rows, 'carried'):.2%}; "
        f"by product, of what carried forward has: {products}",
        all(against[other][2] < 0 for other in ("reported", "chain_ladder")) and 0.85 <= told.coverage <= 0.95,
    )


def _part(rows: pl.DataFrame, name: str) -> float:
    return float((rows[name] - rows["final"]).abs().sum()) / float(rows["final"].sum())


def _words(told: tuple[float, float, float]) -> str:
    return f"{told[0]:+.2%} [{told[1]:+.2%}, {told[2]:+.2%}]"
