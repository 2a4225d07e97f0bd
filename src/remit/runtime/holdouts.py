"""`remit holdout plan`: how long an experiment must run, and with how many left alone, to see an effect of the asked size."""

from contextlib import closing
from typing import Any

import polars as pl

from remit.intake import read, state
from remit.ledger import read_ledger
from remit.outcomes import OutcomeError, plan
from remit.runtime import reporting
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.instants import add_span, format_instant

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
PERIODS = (4, 8, 13, 26, 39, 52)


def planned(workspace: Workspace, effect: float, level: float, power: float) -> dict[str, Any]:
    """Per own product and share held out: how many of the products' periods it takes to see `effect` (a part of the mean outcome), and what each length can
    detect. From prescriptions that have settled by the last cycle. Raises `WorkspaceError` or `OutcomeError`."""
    if not 0 < effect < 10 or not 0.5 <= level < 1 or not 0.5 <= power < 1:
        raise WorkspaceError("the plan cannot be made", do="`--effect` is a part of the mean, such as 0.05; `--level` and `--power` lie from 0.5 to below 1.")
    settings = read_config(config_texts(workspace)).settings
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(reporting.cycle_body(records, reporting.last_cycle(records))["now"])
    settled = add_span(now, settings.settle, -1)
    own = state(workspace.warehouse, "products", now).filter("own").select("product", "outcome").sort("product")
    rows = read(workspace.warehouse, "rx", now).filter(pl.col("occurred_at") <= settled)
    products = [_product(product, _history(rows, product, outcome), effect, level, power) | {"outcome": outcome} for product, outcome in own.iter_rows()]
    return {"effect": effect, "level": level, "power": power, "settled": format_instant(settled), "products": products}


def _history(rows: pl.DataFrame, product: str, outcome: str) -> pl.DataFrame:
    return rows.filter(pl.col("product") == product).select(unit="hcp_id", period="period", outcome=outcome).drop_nulls("outcome")


def _product(product: str, history: pl.DataFrame, effect: float, level: float, power: float) -> dict[str, Any]:
    lengths = [length for length in PERIODS if 2 * length <= history["period"].n_unique()]
    if not lengths:
        raise OutcomeError(f"{product} has {history['period'].n_unique()} settled periods", do=f"A plan needs {2 * PERIODS[0]}: load more history.")
    shares = []
    for share in SHARES:
        plans = [plan(history, length, share, level=level, power=power) for length in lengths]
        needed = next((each.weeks for each in plans if each.detectable <= effect), None)
        shares.append({"share": share, "held": plans[0].held, "needed": needed, "detectable": {str(each.weeks): round(each.detectable, 4) for each in plans}})
    return {"product": product, "units": history["unit"].n_unique(), "mean": round(plans[0].mean, 4), "shares": shares}
