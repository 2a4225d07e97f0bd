"""What a cycle leaves in the ledger: its own entry, and one for every chosen action."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from remit.ledger import Entry, Segment, action_entry
from remit.runtime.cycle import TAKEN, PurposePlan, Result
from remit.runtime.making import sums
from remit.runtime.settings import Settings
from remit.terms.charters import Charter
from remit.terms.proposals import PROPOSAL_COLUMNS, Chosen, Judged, Proposal
from remit.terms.verdicts import Verdict

STREAM, SCHEMA = "decisions", "remit.decisions/1"
SELECTION = {"tried": "tried at random", "chosen": "joint choice", "waiting": "joint choice"}
"""What gave an action its probability, by disposition; a joint choice is certain unless the table lets some be left out."""


def cycle_entry(result: Result, recorded: Mapping[str, Any], segments: tuple[Segment, ...], actions: list[Entry]) -> Entry:
    """The entry of the cycle itself: what it was given (`recorded`: now, seed, inputs, models, table), what came out, and nothing about a person."""
    deadlines = [entry.body.get("deadline", 0) for entry in actions]
    body = {
        **recorded,
        "prices": {plan.purpose: dict(zip(plan.resources, np.asarray(plan.plan.price).tolist(), strict=True)) for plan in result.plans},
        "plans": {plan.purpose: _plan(plan) for plan in result.plans},
        "used": used(result.plans, result.tries),
        "made": sums(actions),
        "waiting_until": max(deadlines, default=0),
        "counts": counts(result),
        "verdicts": {",".join(verdict.rules): _without_obligations(verdict) for verdict in result.verdicts},
        "segments": [segment.root for segment in segments],
    }
    return Entry("cycle", "remit.cycle/1", body)


def action_entries(
    result: Result, now: int, settings: Settings, charters: tuple[Charter, ...], groups: Mapping[str, str], stood: Mapping[int, int]
) -> list[Entry]:
    """One entry for each chosen proposal; its payload is sealed under the HCP's key and holds what it uses, why, and how long it may wait; of promotion also
    what the HCP's segment is called (`groups`, by HCP). Of what stood (`stood`, by number) it names the entry in the clear."""
    names = [name for name, _ in PROPOSAL_COLUMNS]
    taken = result.decisions.select(taken=TAKEN)["taken"]
    chosen = result.decisions.filter(taken)
    codes = result.codes.filter(taken).to_list()
    by_agent = {charter.agent: charter for charter in charters}
    entries = []
    for row, code in zip(chosen.iter_rows(named=True), codes, strict=True):
        verdict = result.verdicts[code]
        proposal = Proposal(**{name: row[name] for name in names})
        place = {name: row[name] for name in ("number", "call_number", "position", "probability", "rep_id")}
        action = Chosen(Judged(proposal, verdict), **place, selection=SELECTION[row["disposition"]])
        context = {
            "territory": row["territory"],
            "uses": _uses(row, by_agent[row["agent"]], settings),
            "reasons": result.reasons.get(row["number"], []),
        }
        if row["purpose"] == "promotional" and row["hcp_id"] in groups:
            context["segment"] = groups[row["hcp_id"]]
        said = {"standing": stood[row["number"]], "at": now} if row["number"] in stood else None
        entries.append(action_entry(action, context, None if verdict.deadline_us is None else now + verdict.deadline_us, said))
    return entries


def _without_obligations(verdict: Verdict) -> dict[str, Any]:
    """By rules alone: obligations stand in each action."""
    body = asdict(verdict)
    del body["obligations"]
    return body


def counts(result: Result) -> dict[str, Any]:
    """Decisions by disposition, and by agent and disposition."""
    rows = result.decisions.group_by("agent", "disposition").len().sort("agent", "disposition").rows()
    agents: dict[str, dict[str, int]] = {}
    for agent, disposition, number in rows:
        agents.setdefault(agent, {})[disposition] = number
    return {"decisions": result.decisions.height, "hcps": result.decisions["hcp_id"].n_unique(), "agents": agents}


def used(plans: tuple[PurposePlan, ...], tries: Mapping[str, int]) -> dict[str, int]:
    """What the cycle took of each resource, over all purposes and tries (micro-units)."""
    total = dict(tries)
    for plan in plans:
        for name, amount in zip(plan.resources, np.asarray(plan.plan.used).tolist(), strict=True):
            total[name] = total.get(name, 0) + amount
    return total


def _plan(plan: PurposePlan) -> dict[str, Any]:
    accounts = {plan.agents[account.agent]: {"value": account.value, "rent": account.rent, "displaced": account.displaced} for account in plan.plan.accounts}
    shortfalls = [asdict(shortfall) for shortfall in plan.plan.shortfalls]
    capacity = dict(zip(plan.resources, plan.capacity, strict=True))
    displaces = {
        plan.agents[account.agent]: dict(zip(plan.agents, account.displaces, strict=True)) for account in plan.plan.accounts if account.displaces is not None
    }
    return {
        "value": plan.plan.value,
        "bound": plan.plan.bound,
        "accounts": accounts,
        "displaces": displaces,
        "shortfalls": shortfalls,
        "capacity": capacity,
        "unknown": list(plan.unknown),
    }


def _uses(row: Mapping[str, Any], charter: Charter, settings: Settings) -> dict[str, int]:
    """What the action takes: its charter's uses and its channel's; of a call, the first detail carries the call's."""
    channel = settings.channels[row["channel"]]
    pays_channel = not channel.carries_details or row["position"] == 1
    templates = dict(charter.uses) | (dict(channel.uses) if pays_channel else {})
    return {name.replace("{territory}", row["territory"] or "").replace("{product}", row["product"]): amount for name, amount in templates.items()}
