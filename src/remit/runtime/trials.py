"""`remit outcomes tried`: what contacts changed where chance decided whether they were made."""

from contextlib import closing
from typing import Any

import numpy as np
import polars as pl

from remit.features import Panel
from remit.ledger import Records, read_ledger
from remit.outcomes import FEWEST, contrast
from remit.runtime.cycle import TAKEN
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.inputs import tables
from remit.runtime.record import STREAM
from remit.runtime.training import panel_of
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.encoding import MICRO
from remit.terms.instants import format_instant

LEVEL = 0.9
_COLUMNS = ("hcp_id", "agent", "channel", "product", "probability")


def told(workspace: Workspace, periods: int | None) -> dict[str, Any]:
    """Per agent, channel and product: decisions that chance made in past cycles, how many of them can be judged, and what the contact changed over the
    `periods` that followed (None: the settings' horizon). As of the last cycle."""
    settings = read_config(config_texts(workspace)).settings
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(cycle_body(records, last_cycle(records))["now"])
        decisions = by_chance(records)
    ahead = periods or settings.horizon
    rows = judged(decisions, panel_of(settings, tables(workspace, now), now), ahead) if decisions.height else []
    return {"as_of": format_instant(now), "periods": ahead, "level": LEVEL, "trials": rows}


def by_chance(records: Records) -> pl.DataFrame:
    """The decisions of all cycles whose probability lay between none and certain: `hcp_id`, `agent`, `channel`, `product`, `probability`, `done`, `at`."""
    frames = [pl.DataFrame(schema={**dict.fromkeys(_COLUMNS[:-1], pl.String), "probability": pl.Int64, "done": pl.Boolean, "at": pl.Int64})]
    for entry in records.entries(kind="cycle"):
        for segment in records.segments(entry.cycle, STREAM):
            rows = records.read_segment(segment).frame.filter((pl.col("probability") > 0) & (pl.col("probability") < MICRO))
            plain = rows.select(
                *(pl.col(name).cast(pl.String) for name in _COLUMNS[:-1]), "probability", done=TAKEN, at=pl.lit(int(entry.body["now"]), pl.Int64)
            )
            frames.append(plain)
    return pl.concat(frames)


def judged(decisions: pl.DataFrame, seen: Panel, periods: int) -> list[dict[str, Any]]:
    """What chance's decisions changed (`rewarded`); as decided, whether or not the channel carried it out. Decisions that are not settled wait."""
    known = rewarded(decisions, seen, periods)
    return [_compared(part, *name) for name, part in known.group_by("agent", "channel", "product", maintain_order=True)]


def rewarded(decisions: pl.DataFrame, seen: Panel, periods: int) -> pl.DataFrame:
    """Decisions (`hcp_id`, `product`, `at`, and what else they hold) with `hcp`, a number of the HCP's own, and `reward`: the HCP's units of the product over
    the `periods` that end after the decision, less as many of the own periods before it; null until all are settled. HCPs under PDRP are left out."""
    hcps = pl.DataFrame({"hcp_id": seen.hcps, "hcp": range(len(seen.hcps))}, schema={"hcp_id": pl.String, "hcp": pl.Int64}).filter(~pl.Series(seen.pdrp))
    products = pl.DataFrame({"product": seen.products, "place": range(len(seen.products))}, schema={"product": pl.String, "place": pl.Int64})
    known = decisions.join(hcps, on="hcp_id", how="inner", maintain_order="left").join(products, on="product", how="inner", maintain_order="left")
    hcp, place = known["hcp"].to_numpy(), known["place"].to_numpy()
    first = np.searchsorted(seen.ends, known["at"].to_numpy(), side="right")
    reward = sum((_at(seen, hcp, place, first + step) - _at(seen, hcp, place, first - 1 - step) for step in range(periods)), np.zeros(len(first)))
    return known.with_columns(reward=pl.Series(reward, dtype=pl.Float64).fill_nan(None)).drop("place")


def _at(seen: Panel, hcp: np.ndarray[Any, Any], place: np.ndarray[Any, Any], period: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    inside = (period >= 0) & (period < len(seen.ends))
    return np.asarray(np.where(inside, seen.outcome[hcp, place, np.where(inside, period, 0)], np.nan))


def _compared(rows: pl.DataFrame, agent: str, channel: str, product: str) -> dict[str, Any]:
    ready = rows.filter(pl.col("reward").is_not_null())
    done = ready["done"].to_numpy()
    told = {"agent": agent, "channel": channel, "product": product, "decided": rows.height, "judged": ready.height, "made": int(done.sum())}
    if min(done.sum(), (~done).sum()) < FEWEST:
        return {**told, "change": None}
    found = contrast(ready["reward"].to_numpy(), done, ready["probability"].to_numpy() / MICRO, ready["hcp"].to_numpy(), LEVEL)
    return {**told, "change": {"value": found.value, "low": found.low, "high": found.high, "effective": found.effective}}
