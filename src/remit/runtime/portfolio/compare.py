"""`remit portfolio compare`: what each agent would do alone, what all do together, and what each displaced of the others."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from remit.ledger import read_ledger
from remit.runtime.cycle import COMPETES, Joint, choose, contacts
from remit.runtime.cycles import last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.portfolio.recorded import RecordedCycle, read_cycle
from remit.runtime.workspace import open_workspace
from remit.terms.instants import format_instant

PLANNED = ("chosen", "waiting", "rested")
"""Dispositions of what the arbiter chose."""
_TEXTS = ("hcp_id", "agent", "channel", "product", "purpose", "territory", "exclusion", "ruling", "disposition")
"""What a choice reads of a decision, beside its value."""


def compared(folder: Path, cycle: str | None, threads: int, stage: Callable[[str], None]) -> dict[str, Any]:
    """The agents of a cycle (None: the last), each alone and all together, from what the cycle recorded: its judged proposals, capacity and allowances.

    Alone, an agent has every resource and every HCP's contacts to itself. All amounts are micro-units of a purpose's value. Raises `WorkspaceError` where there
    is no such cycle, or it decided nothing.
    """
    workspace = open_workspace(folder)
    if not workspace.ledger.made:
        raise WorkspaceError("no cycle has been recorded", where=str(folder), do="Run one with `remit run`.")
    stage("read the cycle")
    with closing(read_ledger(workspace.ledger)) as records:
        recorded = read_cycle(workspace, records, cycle or last_cycle(records))
    if not recorded.decisions.height:
        raise WorkspaceError(f"`{recorded.cycle}` holds no decision to compare", where=str(folder), do="Name another with --cycle.")
    return of_cycle(recorded, threads, stage)


def of_cycle(recorded: RecordedCycle, threads: int, stage: Callable[[str], None]) -> dict[str, Any]:
    """As `compared`, of a cycle that has been read."""
    settings, charters = recorded.config.settings, sorted(recorded.config.charters, key=lambda charter: charter.agent)
    planned = pl.col("disposition").is_in(list(PLANNED))
    judged = recorded.decisions.select(*(pl.col(name).cast(pl.String) for name in _TEXTS), "value", "mandatory", "call_number", "position").with_columns(
        number=pl.int_range(pl.len(), dtype=pl.Int64), together=planned
    )
    after = contacts(judged.drop("call_number"), judged["together"].to_numpy(), judged["call_number"].to_numpy().astype(np.int64))
    plans, rows, before = recorded.body["plans"], [], []
    for charter in charters:
        stage(f"choose for {charter.agent} alone")
        own = judged.filter(pl.col("agent") == charter.agent).with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
        alone = choose(own, (charter,), settings, recorded.allowance, recorded.free, recorded.room, displaced=False, threads=threads)
        before.append(alone.taken.with_columns(agent=pl.lit(charter.agent)))
        both = int((alone.chosen & own["together"].to_numpy()).sum())
        account = plans[charter.purpose]["accounts"][charter.agent]
        together = _together(own.filter("together"), account["value"])
        rows.append(
            {
                "agent": charter.agent,
                "purpose": charter.purpose,
                "proposed": own.height,
                "may": own.filter(COMPETES).height,
                "alone": _alone(own, alone),
                "together": together,
                "given_up": int(alone.chosen.sum()) - both,
                "gained": together["actions"] - both,
                "rent": account["rent"],
                "displaced": account["displaced"],
            }
        )
    stage("count contacts")
    return {
        "cycle": recorded.cycle,
        "now": format_instant(recorded.now),
        "currency": settings.currency,
        "per_cycle": settings.per_cycle,
        "agents": rows,
        "purposes": [_purpose(name, [row for row in rows if row["purpose"] == name], plan) for name, plan in plans.items()],
        "displaces": {name: plan.get("displaces", {}) for name, plan in plans.items()},
        "contacts": _contacts(judged, pl.concat(before), after, settings.per_cycle),
        "says": _says(recorded),
    }


def _alone(own: pl.DataFrame, plan: Joint) -> dict[str, int]:
    hcps = own.filter(pl.Series(plan.chosen))["hcp_id"].n_unique()
    return {"value": plan.plans[0].plan.value, "actions": int(plan.chosen.sum()), "contacts": int(plan.taken["contacts"].sum()), "hcps": hcps}


def _together(chosen: pl.DataFrame, value: int) -> dict[str, int]:
    """An agent's part in the joint plan. A call that carries details of several agents is a contact of the one whose detail comes first."""
    return {"value": value, "actions": chosen.height, "contacts": chosen.filter(pl.col("position") <= 1).height, "hcps": chosen["hcp_id"].n_unique()}


def _purpose(purpose: str, rows: list[dict[str, Any]], plan: dict[str, Any]) -> dict[str, Any]:
    """What the agents of one purpose would report together if each counted alone, and what they have together."""
    alone, together = ({name: sum(row[when][name] for row in rows) for name in ("value", "actions", "contacts")} for when in ("alone", "together"))
    return {"purpose": purpose, "agents": len(rows), "alone": alone, "together": together, "bound": plan["bound"]}


def _contacts(judged: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame, per_cycle: int) -> dict[str, Any]:
    """Contacts per HCP that any agent may contact: each agent's own plan summed, and the joint plan."""
    hcps = judged.filter(COMPETES).select("hcp_id").unique()
    counted = hcps.join(before.group_by("hcp_id").agg(before=pl.col("contacts").sum()), on="hcp_id", how="left")
    counted = counted.join(after.group_by("hcp_id").agg(after=pl.col("contacts").sum()), on="hcp_id", how="left").with_columns(
        pl.col("before", "after").fill_null(0)
    )
    each = {name: counted[name].to_numpy() for name in ("before", "after")}
    most = max(int(found.max(initial=0)) for found in each.values())
    numbers = {name: np.bincount(found, minlength=most + 1).tolist() for name, found in each.items()}
    channels = before.group_by("channel").agg(before=pl.col("contacts").sum()).join(
        after.group_by("channel").agg(after=pl.col("contacts").sum()), on="channel", how="full", coalesce=True
    )  # fmt: skip
    return {
        "hcps": counted.height,
        "distribution": [{"contacts": count, **{name: numbers[name][count] for name in numbers}} for count in range(most + 1)],
        "channels": channels.with_columns(pl.col("before", "after").fill_null(0)).sort("channel").to_dicts(),
        **{
            name: {
                "contacts": int(found.sum()),
                "mean": float(found.mean()) if found.size else 0.0,
                "most": int(found.max(initial=0)),
                "over": int((found > per_cycle).sum()),
            }
            for name, found in each.items()
        },
    }


def _says(recorded: RecordedCycle) -> list[str]:
    """What a reader must know of the figures."""
    said = []
    if recorded.gone:
        said.append(f"{recorded.gone:,} decisions of erased HCPs are gone: values together and displaced are as recorded, all else is of those who remain.")
    if chance := recorded.decisions.filter(pl.col("disposition").is_in(["tried", "rested"])).height:
        said.append(f"{chance:,} contacts that chance made or left out count as the arbiter chose them.")
    if any("displaces" not in plan for plan in recorded.body["plans"].values()):
        said.append("The cycle was recorded before it was kept who displaces whom: only what each displaced of all others together is known.")
    return said
