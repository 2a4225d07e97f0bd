"""Holdouts in a workspace: planning one, and what acting on the others changed."""

from contextlib import closing
from dataclasses import asdict
from typing import Any

import polars as pl

from remit.intake import read, state
from remit.ledger import read_ledger
from remit.outcomes import Lift, OutcomeError, lift, plan
from remit.runtime import reporting
from remit.runtime.enrolment import enrolled, units
from remit.runtime.errors import WorkspaceError
from remit.runtime.settings import BY
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.instants import add_span, format_instant

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
PERIODS = (4, 8, 13, 26, 39, 52)


def planned(workspace: Workspace, effect: float, by: str, level: float, power: float) -> dict[str, Any]:
    """Per own product and share held out: how many of the products' periods it takes to see `effect` (a part of the mean outcome), and what each length can
    detect, drawn `by` hcp or practice. From prescriptions that have settled by the last cycle. Raises `WorkspaceError` or `OutcomeError`."""
    if not 0 < effect < 10 or by not in BY or not 0.5 <= level < 1 or not 0.5 <= power < 1:
        do = f"`--effect` is a part of the mean, such as 0.05; `--by` is one of {', '.join(BY)}; `--level` and `--power` lie from 0.5 to below 1."
        raise WorkspaceError("the plan cannot be made", do=do)
    settings = read_config(config_texts(workspace)).settings
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(reporting.cycle_body(records, reporting.last_cycle(records))["now"])
    settled = add_span(now, settings.settle, -1)
    rows = _settled(workspace, now, settled).join(units(state(workspace.warehouse, "hcp", now), by), on="hcp_id", how="inner")
    products = [
        _product(product, _by_unit(rows, product, outcome), effect, level, power) | {"outcome": outcome}
        for product, outcome in _own(workspace, now).iter_rows()
    ]
    return {"effect": effect, "by": by, "level": level, "power": power, "settled": format_instant(settled), "products": products}


def shown(workspace: Workspace, level: float) -> dict[str, Any]:
    """What acting changed against who was left alone, per own product, at every settled period since the first draw. Raises `WorkspaceError`."""
    if not 0.5 <= level < 1:
        raise WorkspaceError(f"an interval of {level} cannot be shown", do="`--level` lies from 0.5 to below 1.")
    settings = read_config(config_texts(workspace)).settings
    if settings.holdout is None:
        raise WorkspaceError("nobody is held out", where="remit.toml", do="Add a [holdout] section; `remit holdout plan` says how large and how long.")
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(reporting.cycle_body(records, reporting.last_cycle(records))["now"])
        draws = enrolled(records, settings, records.size)
    if draws.is_empty():
        raise WorkspaceError(f"nobody is enrolled in `{settings.holdout.name}` yet", do="Run a cycle: it draws and records who is left alone.")
    start, settled = int(draws["at"].min()), add_span(now, settings.settle, -1)  # type: ignore[arg-type]  # an Int64 column that is not empty
    rows = _settled(workspace, now, settled)
    products = [_lifted(product, outcome, rows, draws, start, level) for product, outcome in _own(workspace, now).iter_rows()]
    held = int(draws["held"].sum())
    return {
        "holdout": settings.holdout.name,
        "since": format_instant(start),
        "settled": format_instant(settled),
        "level": level,
        "hcps": {"acted": draws.height - held, "held": held},
        "products": products,
    }


def _lifted(product: str, outcome: str, rows: pl.DataFrame, draws: pl.DataFrame, start: int, level: float) -> dict[str, Any]:
    mine = rows.filter(pl.col("product") == product).join(draws.select("hcp_id", "unit"), on="hcp_id", how="inner")
    ends = mine.select("period", "occurred_at").unique().sort("occurred_at").with_columns(begins=pl.col("occurred_at").shift(1))
    since = ends.filter(pl.col("begins") >= start)["period"]
    if since.is_empty():
        return {"product": product, "outcome": outcome, "looks": [], "says": ["no period that began after the first draw has settled yet"]}
    sides = draws.select("unit", "held").unique("unit", keep="first", maintain_order=True)
    found: Lift = lift(_by_unit(mine, product, outcome), sides, str(since[0]), level=level)
    return {"product": product, "outcome": outcome, **asdict(found)}


def _settled(workspace: Workspace, now: int, settled: int) -> pl.DataFrame:
    return read(workspace.warehouse, "rx", now).filter(pl.col("occurred_at") <= settled)


def _own(workspace: Workspace, now: int) -> pl.DataFrame:
    return state(workspace.warehouse, "products", now).filter("own").select("product", "outcome").sort("product")


def _by_unit(rows: pl.DataFrame, product: str, outcome: str) -> pl.DataFrame:
    """The mean outcome of each unit's HCPs: unit, period, outcome."""
    mine = rows.filter(pl.col("product") == product).drop_nulls(outcome)
    return mine.group_by("unit", "period").agg(outcome=pl.col(outcome).mean()).sort("unit", "period")


def _product(product: str, history: pl.DataFrame, effect: float, level: float, power: float) -> dict[str, Any]:
    lengths = [length for length in PERIODS if 2 * length <= history["period"].n_unique()]
    if not lengths:
        raise OutcomeError(f"{product} has {history['period'].n_unique()} settled periods", do=f"A plan needs {2 * PERIODS[0]}: load more history.")
    plans = [plan(history, length, SHARES, level=level, power=power) for length in lengths]
    shares = []
    for share, row in zip(SHARES, zip(*plans, strict=True), strict=True):
        shares.append(
            {
                "share": share,
                "held": row[0].held,
                "needed": next((each.weeks for each in row if each.detectable is not None and each.detectable <= effect), None),
                "detectable": {str(each.weeks): each.detectable and round(each.detectable, 4) for each in row},
            }
        )
    return {"product": product, "units": history["unit"].n_unique(), "mean": round(plans[0][0].mean, 4), "shares": shares}
