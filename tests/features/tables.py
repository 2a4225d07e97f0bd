"""Small tables in the layout of the feeds, for tests of features."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from remit.features import FEATURES, Catalogue, catalogue
from remit.terms.instants import DAY, FOREVER, period_bounds
from remit.terms.labels import Label

LABELS: Mapping[str, Label] = {
    **{f"hcp.{name}": Label.COMMERCIAL for name in ("specialty", "practice_size")},
    **{f"rx.{name}": Label.PDRP for name in ("period", "trx", "nrx", "nbrx")},
    **{f"touches.{name}": Label.COMMERCIAL for name in ("channel", "engaged", "occurred_at")},
    "inquiries.asked_at": Label.INQUIRY,
    "formulary.tier": Label.COMMERCIAL,
}
CATALOGUE: Catalogue = catalogue(FEATURES, LABELS, ["call", "email"])

_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "hcp": {
        "hcp_id": pl.String,
        "specialty": pl.String,
        "practice_id": pl.String,
        "practice_size": pl.Int64,
        "pdrp": pl.Boolean,
        "valid_from": pl.Int64,
        "valid_to": pl.Int64,
        "occurred_at": pl.Int64,
        "received_at": pl.Int64,
    },
    "products": {
        "product": pl.String,
        "own": pl.Boolean,
        "basket": pl.String,
        "outcome": pl.String,
        "valid_from": pl.Int64,
        "valid_to": pl.Int64,
        "received_at": pl.Int64,
    },
    "rx": {
        "hcp_id": pl.String,
        "product": pl.String,
        "period": pl.String,
        "trx": pl.Int64,
        "nrx": pl.Int64,
        "nbrx": pl.Int64,
        "occurred_at": pl.Int64,
        "received_at": pl.Int64,
    },
    "touches": {
        "touch_id": pl.String,
        "hcp_id": pl.String,
        "channel": pl.String,
        "product": pl.String,
        "occurred_at": pl.Int64,
        "received_at": pl.Int64,
        "engaged": pl.Boolean,
    },
    "brick_rx": {
        "brick_id": pl.String,
        "product": pl.String,
        "period": pl.String,
        "trx": pl.Int64,
        "nrx": pl.Int64,
        "nbrx": pl.Int64,
        "occurred_at": pl.Int64,
        "received_at": pl.Int64,
    },
    "inquiries": {"inquiry_id": pl.String, "hcp_id": pl.String, "product": pl.String, "asked_at": pl.Int64, "occurred_at": pl.Int64, "received_at": pl.Int64},
    "formulary": {
        "practice_id": pl.String,
        "product": pl.String,
        "tier": pl.String,
        "valid_from": pl.Int64,
        "valid_to": pl.Int64,
        "occurred_at": pl.Int64,
        "received_at": pl.Int64,
    },
}


def table(name: str, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of a table, its columns in the order of the schema; what a row leaves out at its end is unknown."""
    schema = dict(_SCHEMAS[name])
    return pl.DataFrame([(*row, *[None] * (len(schema) - len(row))) for row in rows], schema=schema, orient="row")


def rx_row(hcp: str, product: str, period: str, trx: int, delay: int = 0) -> tuple[Any, ...]:
    """A report of `trx` (and half as many new ones), received `delay` microseconds after the period's end."""
    end = period_bounds(period)[1]
    return (hcp, product, period, trx, trx // 2, None, end, end + delay)


def touch_row(name: str, hcp: str, channel: str, product: str, at: int) -> tuple[Any, ...]:
    """A touch, received a day later."""
    return (name, hcp, channel, product, at, at + DAY)


def country(rx: Sequence[tuple[Any, ...]] = (), **more: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Two physicians of two practices; `alpha` (trx) and `beta` (nrx) are ours, `gamma` (trx) is not; all in one basket."""
    return {
        "hcp": table("hcp", [("A", "cardiology", "P1", 4, False, 0, FOREVER, 0, 0), ("B", "nephrology", "P2", 1, None, 0, FOREVER, 0, 0)]),
        "products": table(
            "products",
            [
                ("alpha", True, "one", "trx", 0, FOREVER, 0),
                ("beta", True, "one", "nrx", 0, FOREVER, 0),
                ("gamma", False, "one", "trx", 0, FOREVER, 0),
            ],
        ),
        "rx": table("rx", rx),
        **more,
    }
