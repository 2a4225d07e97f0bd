"""Contacts that were taken up, as agents reported: told as the feed `touches` would, by restating the touch, which is learned from and counted once."""

from dataclasses import replace

import polars as pl

from remit.gateway import TAKEN_UP
from remit.intake import OWN_FILES, LoadReport, Outcome, read
from remit.ledger import Ledger, Records
from remit.runtime.workspace import Workspace, write_whole
from remit.terms.instants import format_instant

_CELLS = ("touch_id", "hcp_id", "channel", "product", "position", "purpose", "engaged", "content_id", "decision")


def tell(workspace: Workspace, ledger: Ledger, cycle_id: str, now: int) -> bool:
    """Writes a file for the feed `touches` with every touch of which agents reported that it was taken up, and of which the feed itself does not say whether;
    returns whether there are any. A touch that the feed has not told yet is told by a later cycle."""
    decisions = taken_up(ledger, now)
    if not decisions:
        return False
    touches = read(workspace.warehouse, "touches", now)
    told = touches.filter(pl.col("decision").is_in(sorted(decisions)) & pl.col("engaged").is_null())
    if told.is_empty():
        return False
    rows = told.sort("touch_id").with_columns(
        engaged=pl.lit("true"),
        occurred_at=pl.Series([format_instant(at) for at in told.sort("touch_id")["occurred_at"]], dtype=pl.String),
        received_at=pl.lit(format_instant(now)),
    )
    name = f"{OWN_FILES}{cycle_id}-{ledger.size}.csv"
    write_whole(workspace.feeds / "touches" / name, rows.select(*_CELLS, "occurred_at", "received_at").write_csv().encode())
    return True


def taken_up(records: Records, now: int) -> set[str]:
    """The decisions whose contacts were taken up by `now`, as their agents reported."""
    found = records.entries(kind="outcome")
    return {str(each.payload["decision"]) for each in found if each.payload is not None and each.body["what"] in TAKEN_UP and each.body["at"] <= now}


def together(first: LoadReport, second: LoadReport) -> LoadReport:
    """The report of a load, and of the file that was loaded after it."""
    return replace(first, files=(*first.files, *(file for file in second.files if file.outcome is not Outcome.KNOWN)))
