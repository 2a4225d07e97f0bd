"""What the newest weeks will have been, for those who read the workspace: nowcasts of every product as of the last cycle."""

from contextlib import closing
from typing import Any

import polars as pl

from remit.features.nowcast import COVERAGE, leading_indicators, nowcast
from remit.features.periods import cadence_of
from remit.intake import read, state
from remit.ledger import read_ledger
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.instants import format_instant


def told(workspace: Workspace) -> dict[str, Any]:
    """Per product and source the newest periods that are not yet settled: reported, expected, interval, share reported; and the indicators that were used.

    As of the last cycle, from every restatement received by then. `reported` and `share` are None where nothing has come yet. Raises `WorkspaceError` where
    no prescriptions are known, or no cycle has run.
    """
    zone = read_config(config_texts(workspace)).settings.zone
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(cycle_body(records, last_cycle(records))["now"])
    outcomes = dict(state(workspace.warehouse, "products", now).select("product", "outcome").sort("product").iter_rows())
    reports = pl.concat(_reports(workspace, unit, table, now, sorted(set(outcomes.values()))) for unit, table in _REPORTS.items())
    cadence = cadence_of(reports["period"].unique().to_list())
    if cadence is None or not outcomes:
        raise WorkspaceError("no prescriptions are known", where="feeds/rx", do="Load the feeds `products` and `rx`, then run a cycle.")
    leading = leading_indicators({name: read(workspace.warehouse, name, now, restated=True) for name in _LEADING}, now, cadence=cadence, zone=zone)
    found = nowcast(reports, now, outcomes, unit="unit", zone=zone, indicators=leading)
    open_ = found.rows.filter(~pl.col("complete"))
    return {
        "as_of": format_instant(now),
        "coverage": COVERAGE,
        "products": [
            {
                "product": product,
                "source": source,
                "outcome": outcomes[product],
                "periods": open_.filter(product=product, source=source).select(_SHOWN).to_dicts(),
            }
            for product, source in found.rows.select("product", "source").unique().sort("product", "source").iter_rows()
        ],
        "leading": [{"indicator": each.indicator, "delay": each.delay, "lower_error": each.lower_error} for each in found.leading],
    }


def _reports(workspace: Workspace, unit: str, table: str, now: int, measures: list[str]) -> pl.DataFrame:
    """Every restatement that a table holds; `unit` is the HCP or the brick it is about."""
    rows = read(workspace.warehouse, table, now, restated=True, columns=[unit, "product", "period", "source", "received_at", *measures])
    return rows.rename({unit: "unit"})


_REPORTS = {"hcp_id": "rx", "brick_id": "brick_rx"}
_LEADING = ("touches", "hcp", "formulary")
"""The feeds that may run ahead of prescriptions."""
_SHOWN = ("period", "reported", "expected", "low", "high", "share")
