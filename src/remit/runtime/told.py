"""What agents reported between cycles, for the next one: a word ahead of the feeds, which stands until they bring the same, and is then counted no more."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from remit.gateway.engaged import CONTACTS, INQUIRY, OPT_OUT, UNSUBSCRIBED
from remit.ledger import Records
from remit.terms.instants import DAY

ASKED = 28 * DAY
"""How long a question is open that no feed brings."""
MARK = "event:"
"""What stands before the key of an event in the place of a decision: no decision is called so."""

_IN_THE_CLEAR = ("kind", "channel", "product", "purpose", "occurred_at", "at")
_EVENTS = {name: pl.Int64 if name in ("occurred_at", "at") else pl.String for name in ("key", "hcp_id", *_IN_THE_CLEAR, "decision")}


@dataclass(frozen=True, slots=True)
class Told:
    """What was reported: `contacts` (hcp_id, channel, purpose, at, decision, which is the event's key behind `MARK`, agent), `opt_outs` (hcp_id, channel,
    purpose, at; null: any) and `inquiries` (inquiry_id, hcp_id, product, asked_at, received_at)."""

    contacts: pl.DataFrame
    opt_outs: pl.DataFrame
    inquiries: pl.DataFrame


def told(records: Records, upto: int, since: int, ours: Collection[str]) -> Told:
    """What the log's first `upto` entries hold of events; of contacts those since the instant `since` that no decision among `ours` asked for, which are
    counted as such. What was reported of erased HCPs is gone."""
    rows = {  # by id: a key that was forgotten and sent again is still one event
        entry.body["id"]: (payload["key"], payload["hcp_id"], *(entry.body[name] for name in _IN_THE_CLEAR), payload["decision"])
        for entry in records.entries(kind="event")
        if entry.seq < upto and (payload := entry.payload) is not None
    }
    events = pl.DataFrame(list(rows.values()), schema=_EVENTS, orient="row")
    contact = pl.col("kind").is_in(sorted(CONTACTS)) & (pl.col("occurred_at") >= since)
    own = pl.col("decision").is_in(list(ours)).fill_null(value=False)
    return Told(
        events.filter(contact & ~own).select(
            "hcp_id", "channel", "purpose", at="occurred_at", decision=pl.lit(MARK) + pl.col("key"), agent=pl.lit(None, pl.String)
        ),
        opt_outs(records, upto),
        events.filter(kind=INQUIRY).select("hcp_id", "product", inquiry_id="key", asked_at="occurred_at", received_at="at"),
    )


def opt_outs(records: Records, upto: int) -> pl.DataFrame:
    """Who has opted out, as events and outcomes among the log's first `upto` entries say: hcp_id, channel, purpose (null: any), `at`. Those who were erased
    are gone."""
    said = [entry for kind in ("event", "outcome") for entry in records.entries(kind=kind) if entry.seq < upto and entry.payload is not None]
    rows = [
        ((entry.payload or {})["hcp_id"], entry.body["channel"], entry.body["purpose"] if entry.kind == "event" else "promotional", int(entry.body["at"]))
        for entry in said
        if entry.body.get("kind") == OPT_OUT or entry.body.get("what") == UNSUBSCRIBED
    ]
    return pl.DataFrame(rows, schema={"hcp_id": pl.String, "channel": pl.String, "purpose": pl.String, "at": pl.Int64}, orient="row")


def not_come_back(told: pl.DataFrame, touches: pl.DataFrame) -> pl.DataFrame:
    """Reported contacts that no touch has come for: none of their key, and none with the same HCP through the same channel on the same day."""
    by_day = touches.select("hcp_id", "channel", day=pl.col("occurred_at") // DAY)
    keyed = told.with_columns(touch_id=pl.col("decision").str.strip_prefix(MARK), day=pl.col("at") // DAY)
    left = keyed.join(touches, on=["hcp_id", "touch_id"], how="anti", maintain_order="left")
    return left.join(by_day, on=["hcp_id", "channel", "day"], how="anti", maintain_order="left").drop("touch_id", "day")


def still_open(inquiries: pl.DataFrame, told: pl.DataFrame, now: int) -> pl.DataFrame:
    """`inquiries` of the feed, and those reported that it has not brought: none of their key, and none of the same HCP about the same product that day."""
    if told.is_empty():
        return inquiries
    by_day = inquiries.select("hcp_id", "product", day=pl.col("asked_at") // DAY)
    ahead = (
        told.filter(pl.col("asked_at") > now - ASKED)
        .with_columns(day=pl.col("asked_at") // DAY)
        .join(inquiries, on=["hcp_id", "inquiry_id"], how="anti", maintain_order="left")
        .join(by_day, on=["hcp_id", "product", "day"], how="anti", maintain_order="left")
        .with_columns(inquiry_id=pl.lit(MARK) + pl.col("inquiry_id"))
        .drop("day")
    )
    return pl.concat([inquiries, ahead], how="diagonal")


def with_opt_outs(consent: pl.DataFrame, told: pl.DataFrame, channels: Collection[str]) -> pl.DataFrame:
    """`consent` as the feed has it, but for those who opted out since: an opt-out stands until the feed says something that began after it."""
    if told.is_empty():
        return consent
    every = pl.DataFrame({"channel": sorted(channels)}).join(pl.DataFrame({"purpose": ["promotional", "medical", "service"]}), how="cross")
    spread = (
        told.rename({"channel": "of", "purpose": "why"})
        .join(every, how="cross")
        .filter((pl.col("of").is_null() | (pl.col("of") == pl.col("channel"))) & (pl.col("why").is_null() | (pl.col("why") == pl.col("purpose"))))
        .group_by("hcp_id", "channel", "purpose", maintain_order=True)
        .agg(pl.col("at").max())
    )
    key = ["hcp_id", "channel", "purpose"]
    newer = spread.join(consent, on=key, how="inner").filter(pl.col("valid_from") > pl.col("at"))
    out = spread.join(newer, on=key, how="anti", maintain_order="left").sort(key)
    rows = out.select(*key, status=pl.lit("opt_out"), valid_from="at", received_at="at")
    return pl.concat([consent.join(out, on=key, how="anti", maintain_order="left"), rows], how="diagonal")
