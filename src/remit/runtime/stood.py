"""Proposals that agents of others left standing between cycles: which of them take part in a cycle, and what became of each."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from remit.agents import PROPOSALS
from remit.gateway import between, one_more, rents
from remit.gateway.between import DECLINED
from remit.ledger import Entry, Records, Stored, verdict_body
from remit.runtime.cycle import STOOD, TAKEN, Inputs, Result
from remit.terms.charters import EXTERNAL, Charter
from remit.terms.encoding import MICRO
from remit.terms.proposals import Proposal

_KEY = ["hcp_id", "agent", "channel", "product", "touch"]
_NOT_TAKEN = "it stood, and the agent's proposals could not be taken in"


def stood(records: Records, upto: int, cycles: Sequence[Stored], refused: Collection[int]) -> list[dict[str, Any]]:
    """What stands after the log's first `upto` entries: recorded since the last of `cycles`, neither withdrawn (`refused`) nor about who was erased."""
    if not cycles:
        return []
    found = records.entries(kind="standing", cycle=between(cycles[-1].cycle))
    return [
        {**entry.payload["proposal"], "entry": entry.seq, "id": entry.body["id"], "asked": entry.body["asked"]}
        for entry in found
        if entry.seq < upto and entry.seq not in refused and entry.payload is not None
    ]


def taking_part(rows: Sequence[Mapping[str, Any]], charters: Sequence[Charter], now: int) -> pl.DataFrame:
    """`rows` as `stood` gives them, as `STOOD`: numbered as touches in the order in which they came; those that their charters no longer grant lapse."""
    by_agent, touches = {charter.agent: charter for charter in charters}, dict[tuple[str, ...], int]()
    made = []
    for row in rows:
        key = (row["hcp_id"], row["agent"], row["channel"], row["product"])
        lapsed = _lapsed(row, by_agent.get(row["agent"]), touches.get(key, 0), now)
        if lapsed is None:
            touches[key] = touches.get(key, 0) + 1
        made.append({**row, "touch": touches.get(key, 0), "exclusion": None, "mandatory": False, "lapsed": lapsed})
    return pl.DataFrame(made, schema=STOOD).select(STOOD.names())


def _lapsed(row: Mapping[str, Any], charter: Charter | None, earlier: int, now: int) -> str | None:
    if charter is None or charter.expires <= now:
        return "its charter has ended"
    if charter.proposer != EXTERNAL or charter.purpose != row["purpose"] or row["channel"] not in charter.channels or row["product"] not in charter.products:
        return "its charter was changed, and does not grant it any more"
    return "its charter was changed, and allows fewer on a physician" if earlier >= charter.most_per_hcp else None


def numbers(result: Result, inputs: Inputs) -> dict[int, int]:
    """Of the cycle's decisions on what stood, by number, the entries that record it."""
    return dict(_decided(result, inputs).filter(pl.col("number").is_not_null()).select("number", "entry").iter_rows())


def not_taken(result: Result, inputs: Inputs) -> list[Entry]:
    """An entry for each proposal that stood and is not acted on: what became of it, sealed under the HCP's key with its verdict and its place in the plan."""
    prices = {plan.purpose: dict(zip(plan.resources, np.asarray(plan.plan.price).tolist(), strict=True)) for plan in result.plans}
    charters = {charter.agent: charter for charter in inputs.charters}
    now, entries = inputs.known.now, []
    for row in _decided(result, inputs).filter(~TAKEN | pl.col("number").is_null()).iter_rows(named=True):
        verdict, context, disposition = {}, {"why": row["lapsed"] or _NOT_TAKEN}, "lapsed"
        if row["number"] is not None:
            disposition, verdict = row["disposition"], verdict_body(result.verdicts[result.codes[row["number"]]])
            context = {} if disposition == "forbidden" else _place(row, charters[row["agent"]], inputs, prices.get(row["purpose"], {}))
        body = {name: row[name] for name in ("id", "agent", "channel", "product", "asked")}
        payload = {"hcp_id": row["hcp_id"], "verdict": verdict, "context": context}
        entries.append(Entry("declined", DECLINED, {**body, "at": now, "disposition": disposition, "standing": row["entry"]}, row["hcp_id"], payload))
    return entries


def _decided(result: Result, inputs: Inputs) -> pl.DataFrame:
    found = result.decisions.select(*_KEY, "number", "disposition", "territory")
    part = inputs.standing.with_columns(touch=pl.when(pl.col("lapsed").is_null()).then("touch"))
    return part.join(found, on=_KEY, how="left", maintain_order="left").with_columns(touch=pl.col("touch").fill_null(0))


def _place(row: Mapping[str, Any], charter: Charter, inputs: Inputs, prices: Mapping[str, int]) -> dict[str, Any]:
    """What it would use and what that would cost at the cycle's prices (micro-units), and why it was not made."""
    templates = dict(charter.uses) | dict(inputs.settings.channels[row["channel"]].uses)
    uses = {name.replace("{territory}", row["territory"] or "").replace("{product}", row["product"]): amount for name, amount in templates.items()}
    limited = rents(inputs.table.limits, one_more(Proposal(**{name: row[name] for name in PROPOSALS.names()}), uses, inputs.known.now))
    rent = sum(prices.get(name, 0) * amount // MICRO for name, amount in {**uses, **limited}.items())
    why = (
        "left out at random, to learn what it changes"
        if row["disposition"] == "rested"
        else "other uses of what it takes, or of the physician's contacts, are worth more"
    )
    return {"uses": uses, "rent": rent, "net": row["value"] - rent, "why": why}
