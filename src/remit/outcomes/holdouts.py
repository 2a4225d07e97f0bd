"""Holdouts: who is left alone, so that what would have happened anyway is known.

Drawn at enrolment, within strata, by a keyed hash: nobody can choose who is in, and the draw can be shown to have been fair. Recorded, and never computed
again: who has enrolled keeps their side whatever changes.
"""

import hmac

import polars as pl

from remit.outcomes.errors import OutcomeError
from remit.terms.encoding import MICRO


def enrol(units: pl.DataFrame, share: int, key: bytes, experiment: str, enrolled: pl.DataFrame | None = None) -> pl.DataFrame:
    """Draws a side for every unit that has none.

    `units` holds `unit` (an HCP's id, or a cluster's where peers or bricks would leak) and `stratum`, a row per unit; `share` is the holdout's, in millionths;
    `enrolled` holds earlier draws. Returns `unit`, `stratum`, `held` (left alone) of the newly enrolled, sorted. In every stratum the held are `share` of
    the drawn, up to one. Raises `OutcomeError` with all faults.
    """
    faults = [f"column `{name}` is missing" for name in ("unit", "stratum") if name not in units.columns]
    faults += [] if 0 < share < MICRO else [f"the share is {share} millionths: it lies between 0 and 1000000"]
    if not faults:
        faults += [f"{units['unit'].is_duplicated().sum()} rows name a unit twice"] if units["unit"].is_duplicated().any() else []
        faults += [f"{units['unit'].null_count()} rows have no unit"] if units["unit"].null_count() else []
    if faults:
        raise OutcomeError("nobody can be enrolled", faults=faults, do="Give one row per unit, with `unit` and `stratum`.")
    new = units.select("unit", pl.col("stratum").fill_null(""))
    new = new if enrolled is None else new.join(enrolled, on="unit", how="anti")
    hashed = new.with_columns(pl.Series("ticket", [_ticket(key, experiment, "unit", unit) for unit in new["unit"]], pl.Float64))
    firsts = new.group_by("stratum").agg(pl.col("unit").min())
    starts = firsts.with_columns(pl.Series("start", [_ticket(key, experiment, "start", first) for first in firsts["unit"]], pl.Float64)).drop("unit")
    ranked = hashed.sort("stratum", "ticket", "unit").with_columns(place=pl.int_range(pl.len()).over("stratum"))
    ranked = ranked.join(starts, on="stratum", how="left", maintain_order="left")
    # Every 1/share-th of the shuffled stratum, from a random start: each unit has the same chance, also in strata smaller than 1/share.
    steps = pl.col("place") * (share / MICRO) + pl.col("start")
    return ranked.with_columns(held=(steps + share / MICRO).floor() > steps.floor()).select("unit", "stratum", "held").sort("unit")


def _ticket(key: bytes, experiment: str, kind: str, name: str) -> float:
    """A number in [0, 1) that nobody without the key can tell."""
    drawn = hmac.digest(key, f"remit/holdout/1\n{experiment}\n{kind}\n{name}".encode(), "sha256")
    return int.from_bytes(drawn[:6], "big") / 2**48
