"""The real set `detailing`: 700 US physicians, 23 months of prescriptions and details of one product (R package bayesm; Manchanda, Rossi & Chintagunta 2004).

`counts.csv` becomes prescriptions by month and one call per detail; `physicians.csv` becomes master data. The set does not say on which day of a month a
detail was given: they are spread evenly. `mean_samples` averages the whole window, so that it tells the future: it is never loaded. `lagged_scripts`
only repeats the month before. Zone, match confidence and PDRP are not in the set: the feed file states them.
"""

import polars as pl

from remit.intake.checking import check
from remit.intake.contracts import Contract, Line, text, whole
from remit.intake.errors import IntakeError
from remit.intake.feeds.hcp import TABLE as HCP
from remit.intake.layouts import Feed, FileLayout
from remit.intake.settings import Settings
from remit.intake.stamping import lagged
from remit.terms.errors import ClockError
from remit.terms.instants import format_instant, period_bounds
from remit.terms.labels import Label

_COM = Label.COMMERCIAL
_NUMBER = r"^\d{1,9}$"
_MONTHS = 1200


class Counts(Line):
    """Per physician and month: prescriptions written and details received; `month` counts from 1."""

    id = text(_COM, _NUMBER)
    month = whole(_COM, least=1, most=_MONTHS)
    scripts = whole(Label.PDRP, least=0)
    detailing = whole(_COM, least=0, most=1_000)


class Physicians(Line):
    """Per physician: general practitioner, specialist, or neither."""

    id = text(_COM, _NUMBER)
    generalphys = whole(_COM, least=0, most=1)
    specialist = whole(_COM, least=0, most=1)


OWN = {"product": "detailed", "first_month": "2002-01", "hcp_zone": "America/New_York", "match_confidence": "1.0", "pdrp": "false"}
"""What the set does not say: the feed file may say it otherwise."""


def _hcp(raw: pl.DataFrame) -> pl.Series:
    return _named(raw["id"])


def _named(numbers: pl.Series) -> pl.Series:
    return numbers.str.strip_chars().str.zfill(4).str.replace("^", "D").alias("hcp_id")


def _prescriptions_and_calls(good: pl.DataFrame, settings: Settings) -> dict[str, pl.DataFrame]:
    """Native `rx` and `touches`. A call is known when its month's prescriptions are: the set delivers both together."""
    months = _months(settings)
    rows = good.join(months, on="month", how="left", maintain_order="left").with_columns(hcp_id=_named(good["id"]), product=pl.lit(settings.more["product"]))
    none = pl.lit(None, pl.Int64)
    rx = rows.select("hcp_id", "product", "period", trx="scripts", nrx=none, nbrx=none, received_at=none, line="line")
    calls = rows.filter(pl.col("detailing") > 0).with_columns(number=pl.int_ranges(1, pl.col("detailing") + 1)).explode("number")
    touches = calls.select(
        pl.format("{}-{}-{}", "hcp_id", "period", "number").alias("touch_id"),
        "hcp_id",
        pl.lit("call").alias("channel"),
        "product",
        pl.lit(1, pl.Int64).alias("position"),
        pl.lit("promotional").alias("purpose"),
        (pl.col("start") + (pl.col("end") - pl.col("start")) * (2 * pl.col("number") - 1) // (2 * pl.col("detailing"))).alias("occurred_at"),
        pl.col("known").alias("received_at"),
        pl.lit(settings.lag is not None).alias("received_assumed"),
        "line",
    )
    return {"rx": rx, "touches": touches}


def _months(settings: Settings) -> pl.DataFrame:
    """Each `month` with its `period`, `start`, `end`, and when it is `known` (null if no lag is declared)."""
    first = _first_month(settings)
    periods = [f"{index // 12:04}-{index % 12 + 1:02}" for index in range(first, first + _MONTHS)]
    bounds = [period_bounds(period, settings.zone) for period in periods]
    start, end = pl.Series([low for low, _ in bounds]), pl.Series([high for _, high in bounds])
    months = pl.DataFrame({"month": range(1, _MONTHS + 1), "period": periods, "start": start, "end": end}, schema_overrides={"month": pl.Int64})
    return months.with_columns(known=lagged(start, end, settings))


def _first_month(settings: Settings) -> int:
    try:
        period_bounds(settings.more["first_month"])
        year, month = settings.more["first_month"].split("-")
        return int(year) * 12 + int(month) - 1
    except (ClockError, ValueError):
        raise IntakeError(
            f"first_month = `{settings.more['first_month']}` is not a month", where="feeds/detailing/feed.toml", do="Write it as 2002-01."
        ) from None


def _people(good: pl.DataFrame, settings: Settings) -> dict[str, pl.DataFrame]:
    """Native `hcp`: what the set says and what the feed file states, held to the contract of master data."""
    since = _months(settings)["start"][0]
    kind = (
        pl.when(pl.col("specialist") == 1)
        .then(pl.lit("specialist"))
        .when(pl.col("generalphys") == 1)
        .then(pl.lit("general practice"))
        .otherwise(pl.lit("other"))
    )
    stated = {
        "zone": settings.more["hcp_zone"],
        "match_confidence": settings.more["match_confidence"],
        "pdrp": settings.more["pdrp"],
        "valid_from": format_instant(since),
    }
    cells = good.select(_named(good["id"]), specialty=kind, line="line", **{name: pl.lit(cell) for name, cell in stated.items()})
    checked = check(cells, HCP.contract, settings.zone)
    if checked.broken.height:
        faults = [
            f"{column.replace('zone', 'hcp_zone')} = `{stated[column]}`" for column in stated if any(rule.startswith(column) for rule in checked.broken["rule"])
        ]
        raise IntakeError("states what master data cannot hold", where="feeds/detailing/feed.toml", faults=faults)
    return {"hcp": checked.good.with_columns(received_at=pl.lit(since), received_assumed=pl.lit(True))}


FEED = Feed(
    "detailing",
    (
        FileLayout(Contract(Counts, ("id", "month")), ("rx", "touches"), _prescriptions_and_calls, stem="counts", hcp=_hcp, ignored=("lagged_scripts",)),
        FileLayout(Contract(Physicians, ("id",)), ("hcp",), _people, stem="physicians", hcp=_hcp, ignored=("mean_samples",)),
    ),
    OWN,
)
