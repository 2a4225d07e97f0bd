"""What a run, and what is recorded of it, look like to a person: plain data, nothing drawn."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from remit.intake import LoadReport, Outcome
from remit.ledger import Records
from remit.runtime.cycle import TAKEN, PurposePlan
from remit.runtime.record import STREAM, counts
from remit.runtime.run import Done
from remit.runtime.watching import asked
from remit.terms.encoding import MICRO
from remit.terms.instants import add_span, format_instant
from remit.terms.proposals import DISPOSITIONS


class Timer:
    """Told each stage as it begins; keeps the seconds of each and passes the name on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._marks = tell, list[tuple[str, float]]()

    def __call__(self, stage: str) -> None:
        self._marks.append((stage, perf_counter()))
        self._tell(stage)

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, up to now for the last one."""
        self._tell("")
        ends = [mark for _, mark in self._marks[1:]] + [perf_counter()]
        return {name: round(end - start, 3) for (name, start), end in zip(self._marks, ends, strict=True)}


def of_load(loaded: LoadReport) -> dict[str, Any]:
    """What a load took in."""
    return {
        "files": len(loaded.having(Outcome.LOADED)),
        "rows": sum(file.rows for file in loaded.files),
        "quarantined": loaded.quarantined,
        "not_due": len(loaded.having(Outcome.NOT_DUE)),
        "warnings": list(loaded.warnings),
    }


def of_run(done: Done, seconds: dict[str, float]) -> dict[str, Any]:
    """A finished cycle as plain data."""
    loaded = done.loaded
    report: dict[str, Any] = {
        "cycle": done.cycle,
        "now": format_instant(done.now),
        "resumed": done.result is None,
        "loaded": of_load(loaded),
        "trained": done.trained,
        "draft": done.draft,
        "charters": list(done.charters),
        "models": {name: {"stage": each["stage"], "asks": each["asks"]} for name, each in done.watch.items()},
        "drift": asked(done.watch),
        "refused": done.refused,
        "stopped": len(done.stopped),
        "files": [{"name": name, "rows": rows} for name, rows in done.files],
        "log_size": done.log_size,
        "seconds": seconds,
    }
    if done.result is not None:
        result = done.result
        report |= counts(result)
        report["failures"] = [{"agent": failure.agent, "error": failure.error} for failure in result.failures]
        report["plans"] = [
            {
                "purpose": plan.purpose,
                "value": plan.plan.value,
                "bound": plan.plan.bound,
                "gap": plan.plan.gap,
                "shortfalls": len(plan.plan.shortfalls),
                "unknown_resources": list(plan.unknown),
            }
            for plan in result.plans
        ]
        report["prices"] = top_prices(result.plans)
        report["changes"] = changes(done)
        report["example"] = next((f"{done.cycle}/{number}" for number in result.decisions.filter(pl.col("disposition") == "chosen")["number"].head(1)), None)
    return report


def decisions(records: Records, cycle: str, agent: str | None, disposition: str | None, limit: int) -> dict[str, Any]:
    """Decisions of a cycle, chosen ones first, with how many there are; those of erased HCPs are counted as gone."""
    total, gone, rows = 0, 0, list[dict[str, Any]]()
    for segment in records.segments(cycle, STREAM):
        found = records.read_segment(segment)
        gone += sum(found.gone.values())
        frame = found.frame
        for column, wanted in (("agent", agent), ("disposition", disposition)):
            frame = frame if wanted is None else frame.filter(pl.col(column) == wanted)
        total += frame.height
        shown = frame.sort(pl.col("disposition") != "chosen", "number").head(limit)
        rows += shown.select("number", "hcp_id", "agent", "channel", "product", "touch", "value", "ruling", "rules", "disposition", "rep_id").to_dicts()
    for row in rows:
        row["decision"] = f"{cycle}/{row.pop('number')}"
    return {"total": total, "gone": gone, "rows": rows[:limit]}


def prices(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every resource of a cycle with its price, use and capacity, the dearest first. Prices are micro-units of value per unit."""
    rows = []
    for purpose, by_name in body["prices"].items():
        for name, price in by_name.items():
            capacity = body["plans"][purpose]["capacity"][name]
            rows.append({"purpose": purpose, "resource": name, "price": price, "used": body["used"].get(name, 0), "capacity": capacity})
    return sorted((row for row in rows if row["used"] or row["price"]), key=lambda row: (row["purpose"], -row["price"], row["resource"]))


def agents(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every agent of a cycle: its decisions by disposition, value, rent and displaced value (micro-units of its purpose's value)."""
    rows = []
    for purpose, plan in body["plans"].items():
        for agent, account in plan["accounts"].items():
            by = body["counts"]["agents"].get(agent, {})
            dispositions = {name: by.get(name, 0) for name in DISPOSITIONS}
            rows.append({"agent": agent, "purpose": purpose, "proposed": sum(by.values()), **dispositions, **account})
    return rows


def top_prices(plans: tuple[PurposePlan, ...], most: int = 5) -> list[dict[str, Any]]:
    """The dearest resources of each purpose, by price x use."""
    rows = []
    for plan in plans:
        table = zip(plan.resources, np.asarray(plan.plan.price).tolist(), np.asarray(plan.plan.used).tolist(), plan.capacity, strict=True)
        dear = sorted(((price * used // MICRO, name, price, used, capacity) for name, price, used, capacity in table if price), reverse=True)
        rows += [
            {"purpose": plan.purpose, "resource": name, "price": price, "used": used, "capacity": capacity} for _, name, price, used, capacity in dear[:most]
        ]
    return rows


def changes(done: Done) -> list[dict[str, Any]]:
    """Per channel and by contacts in the period before the cycle: HCPs, contacts then and planned now, and how many HCPs gain and lose."""
    assert done.result is not None  # noqa: S101 - only asked of cycles that decided
    since = add_span(done.now, done.settings.every, -1)
    before = done.known.contacts.filter((pl.col("at") >= since) & (pl.col("at") < done.now) & (pl.col("purpose") == "promotional"))
    chosen = done.result.decisions.filter(TAKEN & (pl.col("purpose") == "promotional"))
    single = pl.when(pl.col("call_number") == 0).then(pl.col("number")).otherwise(-pl.col("call_number"))
    planned = chosen.with_columns(contact=single).unique(["hcp_id", "channel", "contact"])
    key = ["hcp_id", "channel"]
    both = (
        before.group_by(key)
        .agg(before=pl.len().cast(pl.Int64))
        .join(planned.group_by(key).agg(planned=pl.len().cast(pl.Int64)), on=key, how="full", coalesce=True)
    ).with_columns(pl.col("before", "planned").fill_null(0))
    grouped = both.group_by("channel", band=pl.min_horizontal("before", pl.lit(5))).agg(
        hcps=pl.len(),
        before=pl.col("before").sum(),
        planned=pl.col("planned").sum(),
        gain=(pl.col("planned") > pl.col("before")).sum(),
        lose=(pl.col("planned") < pl.col("before")).sum(),
    )
    return grouped.sort("channel", "band").to_dicts()
