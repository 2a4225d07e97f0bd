"""`remit explain`: one decision in words, from nothing but its receipt; and the price at which it would have turned."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from remit.arbiter import arbitrate_one
from remit.ledger import BETWEEN, Records
from remit.runtime import recounting
from remit.runtime.cycle import COMPETES, PURPOSES, TAKEN
from remit.runtime.cycles import cycle_body
from remit.runtime.errors import WorkspaceError
from remit.runtime.limiting import Room, capped
from remit.runtime.problem import build
from remit.runtime.record import STREAM
from remit.runtime.replaying import room_at
from remit.runtime.settings import Settings
from remit.runtime.workspace import Workspace, read_config, recall
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.instants import format_instant
from remit.terms.verdicts import OBLIGATIONS

_PLENTY = 2**50
_ID = re.compile(r"^(cycle-\d+)/(\d+)$")


def receipt(records: Records, decision: str) -> bytes:
    """The receipt of a decision such as `cycle-0001/17`, or of one between cycles. Raises `WorkspaceError` if there is none of that id."""
    if recounting.is_between(decision):
        return recounting.receipt(records, decision)
    cycle, number, rows = _found(records, decision)
    return records.receipt(cycle, STREAM, rows.filter(pl.col("number") == number)["hcp_id"][0], number)


def _found(records: Records, decision: str) -> tuple[str, int, pl.DataFrame]:
    """The cycle and number of a decision, and every decision on the same HCP in that cycle."""
    match = _ID.match(decision)
    if not match:
        raise WorkspaceError(
            f"`{decision}` is neither a receipt's file nor a decision",
            do="They are named like cycle-0001/17 or cycle-0001.between/17: see `remit show decisions`.",
        )
    cycle, number = match[1], int(match[2])
    cycle_body(records, cycle)
    for segment in records.segments(cycle, STREAM):
        if segment.first <= number < segment.first + segment.rows:
            frame = records.read_segment(segment).frame
            if not (frame["number"] == number).any():
                raise WorkspaceError(f"`{decision}` was about an HCP who has been erased", do="`remit verify` shows that the log still holds.")
            hcp = frame.filter(pl.col("number") == number)["hcp_id"][0]
            return cycle, number, frame.filter(pl.col("hcp_id") == hcp)
    raise WorkspaceError(f"the ledger holds no decision `{decision}`", do="See `remit show decisions`.")


def of_receipt(data: bytes) -> dict[str, Any]:
    """What a receipt says, as data and in sentences. It is read, not verified: `remit verify` does that."""
    try:
        parts = json.loads(data)
        if parts["receipt"] == BETWEEN:
            return recounting.of_receipt(parts)
        row, cycle, action = parts["row"]["values"], parts["cycle"]["body"], parts["action"] and parts["action"]["payload"]
    except (ValueError, KeyError, TypeError):
        raise WorkspaceError("this is not a receipt", do="Name a file that `remit explain --out` wrote, or a decision such as cycle-0001/17.") from None
    verdict = cycle["verdicts"].get(row["rules"] or "") or {}
    sentences = [
        f"What: {row['agent']} proposed {row['channel']} on {row['product']} to {row['hcp_id']} (touch {row['touch']}"
        + (f", content {row['content_id']}" if row["content_id"] else "")
        + f"), expecting {_amount(row['value'])}.",
        f"When: cycle of {format_instant(cycle['now'])}.",
        f"Verdict: {row['ruling']}" + (f", by {row['rules'].replace(',', ', ')}" if row["rules"] else ", for no row of the table allows it") + ".",
        *(f"  because: {reason}" for reason in verdict.get("reasons", [])),
        f"Who owns it: {verdict.get('owner', 'nobody')}; authority table {cycle['table'][:16]}.",
        f"Outcome: {_outcome(row)}",
    ]
    if action:
        unsaid = "nothing that may be shown moves the expectation"
        sentences += [f"Why this HCP: {reason}." for reason in action["context"]["reasons"] or [unsaid]]
        sentences += [f"Who is alike: {action['context']['segment']}."] if "segment" in action["context"] else []
        must = [OBLIGATIONS[word] for word in action["verdict"].get("obligations", [])]
        sentences += [f"What goes with it: {'; '.join(must)}."] if must else []
        if deadline := parts["action"]["body"].get("deadline"):
            then = "refused" if action["verdict"]["on_timeout"] == "refuse" else "taken to the person accountable"
            sentences.append(f"It was to wait for {', '.join(action['verdict']['roles'])} until {format_instant(deadline)}, then to be {then}.")
    ages = {
        "prescriptions": row["rx_age_h"],
        "prescription feed": row["rx_feed_age_h"],
        "consent feed": row["consent_feed_age_h"],
        "alignment feed": row["alignment_feed_age_h"],
    }
    sentences.append("Data age: " + ", ".join(f"{name} {_age(age)}" for name, age in ages.items()) + f"; response model {_age(row['model_age_h'])}.")
    sentences.append("Models: " + ", ".join(f"{name} {digest[:16]}" for name, digest in sorted(cycle["models"].items())) + ".")
    return {"receipt": parts, "decision": row, "verdict": verdict, "says": sentences}


def turning(workspace: Workspace, records: Records, decision: str) -> list[str]:
    """At what price of each resource the choice would have turned, all other prices as they were; and the limits per HCP that left it no contact."""
    if recounting.is_between(decision):
        return recounting.turning(records, decision)
    cycle, number, rows = _found(records, decision)
    own = rows.filter(pl.col("number") == number).row(0, named=True)
    if own["ruling"] == "forbidden":
        return []
    body = cycle_body(records, cycle)
    prices: Mapping[str, int] = body["prices"][own["purpose"]]
    config = read_config(recall(workspace, body["inputs"]["config"]))
    earlier = PURPOSES[: PURPOSES.index(own["purpose"])]
    before = rows.filter(pl.col("purpose").is_in(list(earlier)) & TAKEN)
    contacts = before.group_by("hcp_id", "channel", "purpose").agg(contacts=pl.struct("territory", "call_number", "position").n_unique().cast(pl.Int64))
    open_ = rows.filter((pl.col("purpose") == own["purpose"]) & (COMPETES | (pl.col("number") == number))).rename({"number": "row"})
    open_ = open_.with_columns(allowance=(pl.col("allowance") - contacts["contacts"].sum()).clip(lower_bound=0))
    room, channels = room_at(workspace, records, body), config.settings.channels
    whole, by_channel = room.per_hcp(open_["hcp_id"], own["purpose"], channels, contacts)
    open_ = capped(open_, whole)
    charters = [charter for charter in config.charters if charter.purpose == own["purpose"]]
    forced = open_.with_columns(mandatory=pl.col("mandatory") | (pl.col("row") == number))
    with_it, without = (_best(part, charters, config.settings, prices, contacts, room, by_channel) for part in (forced, open_.filter(pl.col("row") != number)))
    mine = rows.filter(pl.col("number") == number)
    each = [(limit.id, replace(room, limits=(limit,))) for limit in room.limits if limit.per_hcp]
    reached = [name for name, alone in each if alone.full(mine, own["purpose"], channels, contacts).height]
    chosen = own["disposition"] in ("chosen", "waiting", "rested")
    said = [f"This physician has had all contacts that the limit `{name}` leaves." for name in reached]
    return said + [
        _turns(name, used - without.used.get(name, 0), with_it.net - without.net, prices[name], chosen)
        for name, used in with_it.used.items()
        if used > without.used.get(name, 0)
    ]


@dataclass(frozen=True, slots=True)
class _Best:
    """What is best for one HCP at given prices: worth net of rent, and what it uses of each resource (micro-units)."""

    net: int
    used: Mapping[str, int]


def _best(
    rows: pl.DataFrame, charters: list[Charter], settings: Settings, prices: Mapping[str, int], taken: pl.DataFrame, room: Room, rooms: pl.DataFrame | None
) -> _Best:
    if not rows.height:
        return _Best(0, {})
    problem = build(rows, charters, settings, dict.fromkeys(prices, _PLENTY), taken, room.limits, rooms)
    names = problem.resources.names
    answer = arbitrate_one(problem.candidates, problem.calls, problem.limits, np.array([prices.get(name, 0) for name in names]), np.full(len(names), _PLENTY))
    chosen, first = np.asarray(answer.chosen), np.asarray(answer.position) == 1
    used = dict.fromkeys(names, 0)
    for usage, times in (
        (problem.candidates.usage, chosen),
        (problem.calls.usage, np.bincount(np.asarray(problem.candidates.call)[first], minlength=len(problem.calls.most))),
    ):
        start = np.asarray(usage.start)
        for row in np.flatnonzero(times):
            for at in range(start[row], start[row + 1]):
                used[names[np.asarray(usage.resource)[at]]] += int(np.asarray(usage.amount)[at]) * int(times[row])
    return _Best(answer.value - answer.rent, used)


def _turns(name: str, used: int, margin: int, price: int, chosen: bool) -> str:
    """`margin` is what the choice is worth with this action, less what it is worth without: spread over the units it takes, it is the way to the turn."""
    at = price + margin * MICRO // used
    if chosen:
        return (
            f"It would have turned at a price of {_amount(at)} for {name}, which was {_amount(price)}."
            if at >= price
            else f"At the prices alone it falls short by {_amount(-margin)}: it fills capacity that would have stayed free."
        )
    return (
        f"It would have been chosen at a price of {_amount(at)} for {name}, which was {_amount(price)}."
        if at >= 0
        else f"No price of {name} alone would have turned it (it was {_amount(price)})."
    )


def _amount(micro: int) -> str:
    return f"{micro / MICRO:,.2f}"


def _age(hours: int | None) -> str:
    return "unknown" if hours is None else f"{hours} h" if hours < 72 else f"{hours // 24} days"


def _outcome(row: Mapping[str, Any]) -> str:
    place = f", call {row['call_number']}, position {row['position']}" if row["position"] else ""
    by = f", by {row['rep_id']}" if row["rep_id"] else ""
    share = f"{row['probability'] / MICRO:g}"
    said = {
        "chosen": f"chosen{place}{by} (probability {share}).",
        "waiting": f"chosen{place}{by}, and waiting for a person.",
        "tried": f"tried, though not chosen, to learn what it changes: drawn with probability {share}, with capacity that was left over.",
        "rested": f"chosen{place}, and left out to learn what it changes: it was to be made with probability {share}.",
        "outbid": "not chosen: other uses of the same resources or of this HCP's contacts were worth more."
        if row["value"] > 0
        else "not chosen: it is not expected to be worth its cost, and was proposed to be tried.",
        "forbidden": "never a candidate.",
    }
    return said[row["disposition"]]
