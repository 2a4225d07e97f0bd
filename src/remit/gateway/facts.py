"""What the authority is told of each proposal: the proposal's own words, its charter, the records as of now."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import polars as pl

from remit.terms.charters import Charter
from remit.terms.facts import FACTS, Kind
from remit.terms.instants import DAY, FOREVER, HOUR
from remit.terms.people import People

FEED_AGES = {"consent": "consent", "alignment": "alignments", "content": "content", "touches": "touches", "hcp": "hcp"}
"""The feeds whose age is a fact of its own, by the word that the fact begins with."""
OF_HCP = ("specialty", "practice_size", "rural", "zone", "match_confidence", "pdrp")
"""What the master data say of an HCP, as facts."""
CONFIDENCE = pl.Schema({"hcp_id": pl.String, "product": pl.String, "channel": pl.String, "touch": pl.Int64, "model_confidence": pl.Int64})

Contact: TypeAlias = tuple[int, str, str, str | None]
"""A contact with an HCP: at, channel, purpose, and the agent that asked for it (None: people did it by themselves)."""

_OF_ANYBODY = {"contacts_7d": 7, "contacts_28d": 28}
_OF_CHANNEL = {"channel_contacts_28d": 28, "channel_contacts_365d": 365}
_KINDS: Mapping[Kind, type[pl.DataType]] = {Kind.BOOL: pl.Boolean, Kind.INT: pl.Int64, Kind.NUMBER: pl.Int64, Kind.TEXT: pl.String}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at `now` (UTC microseconds).

    - `hcp`, `consent`: the records in force now; `content`, `inquiries`: all that were received by now.
    - `cover`: who covers whom now — a row per (hcp_id, product, channel) with `rep_id` and `territory`.
    - `contacts`: every contact by anyone — hcp_id, channel, purpose, `at`, `agent` (null: no agent of ours asked for it).
    - `scores`: a row per (hcp_id, product) with `lead_score` (micro-units), `rx_at`, the end of the newest prescription period known, and `rx_loaded_at`, when
      the feed that tells what the HCP prescribes last loaded whole.
    - `held`: the ids of HCPs whom promotion leaves alone; `channel_held`: those whom one channel alone leaves out — hcp_id, channel.
    - `feed_age_h`: hours since each feed last loaded whole; a feed that never did is absent.
    - `model_age_h`: hours since the end of the data that trained the response model, or None.
    - `market`: the market whose rules hold, or None; `models`: the digests of the models in use, by name; `stopped`: the ids of HCPs who are to be left alone.
    - `indications`: by product what its label in this market covers, as the feed `products` says it; `supply`: for how many weeks its stock lasts (millionths).
    - `confidence`: how sure the response is of each touch (`CONFIDENCE`); `drift`: the most that drift of the models in use asks for, None where that is not
      known.
    """

    now: int
    hcp: pl.DataFrame
    consent: pl.DataFrame
    content: pl.DataFrame
    inquiries: pl.DataFrame
    cover: pl.DataFrame
    contacts: pl.DataFrame
    scores: pl.DataFrame
    held: pl.Series
    channel_held: pl.DataFrame
    feed_age_h: Mapping[str, int]
    model_age_h: int | None
    market: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    stopped: Collection[str] = ()
    indications: Mapping[str, str] = field(default_factory=dict)
    supply: Mapping[str, int] = field(default_factory=dict)
    confidence: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CONFIDENCE))
    drift: str | None = None


def gather(proposals: pl.DataFrame, known: Known, charters: Iterable[Charter], people: People) -> pl.DataFrame:
    """`proposals` with a column for every fact of the dictionary and `territory` and `rep_id`, in the same order. What is not known is null."""
    hcp = known.hcp.select("hcp_id", *OF_HCP, hcp_known=pl.lit(True))
    content = content_of(known).with_columns(content_channel=pl.lit(True), ends=pl.when(pl.col("valid_to") < FOREVER).then("valid_to")).drop("valid_to")
    consent = known.consent.select("hcp_id", "channel", "purpose", consent="status")
    ages = {f"{name}_feed_age_h": known.feed_age_h.get(feed) for name, feed in FEED_AGES.items()}
    # Of whom neither feed of prescriptions tells, the older one stands: data may be taken for older than they are, never for newer.
    oldest_rx = max((age for feed in ("rx", "brick_rx") if (age := known.feed_age_h.get(feed)) is not None), default=None)
    return (
        proposals.join(_charters(charters, people, known.now), on="agent", how="left", maintain_order="left")
        .with_columns(
            charter_channel=pl.col("charter_channels").list.contains(pl.col("channel")),
            charter_product=pl.col("charter_products").list.contains(pl.col("product")),
            held_out=pl.col("hcp_id").is_in(known.held.implode()),
        )
        .drop("charter_channels", "charter_products")
        .join(hcp, on="hcp_id", how="left", maintain_order="left")
        .join(known.channel_held.with_columns(channel_held_out=pl.lit(True)), on=["hcp_id", "channel"], how="left", maintain_order="left")
        .join(known.cover.with_columns(aligned=pl.lit(True)), on=["hcp_id", "product", "channel"], how="left", maintain_order="left")
        .join(consent, on=["hcp_id", "channel", "purpose"], how="left", maintain_order="left")
        .join(content, on=["content_id", "product", "channel"], how="left", maintain_order="left")
        .join(_contact_counts(known, ["hcp_id"], _OF_ANYBODY), on="hcp_id", how="left", maintain_order="left")
        .join(_reached(known), on="hcp_id", how="left", maintain_order="left")
        .join(_contact_counts(known, ["hcp_id", "agent"], {"agent_contacts_28d": 28}), on=["hcp_id", "agent"], how="left", maintain_order="left")
        .join(_contact_counts(known, ["hcp_id", "channel"], _OF_CHANNEL), on=["hcp_id", "channel"], how="left", maintain_order="left")
        .join(open_inquiries(known.inquiries, known.now), on=["hcp_id", "product"], how="left", maintain_order="left")
        .join(known.scores.select("hcp_id", "product", "lead_score", "rx_at", "rx_loaded_at"), on=["hcp_id", "product"], how="left", maintain_order="left")
        .join(known.confidence, on=["hcp_id", "product", "channel", "touch"], how="left", maintain_order="left")
        .join(_by_product(known.supply), on="product", how="left", maintain_order="left")
        .with_columns(
            pl.col("hcp_known", "aligned", "content_channel", "channel_held_out").fill_null(False),  # not on file is a fact, not a gap
            pl.col(*_OF_ANYBODY, *_OF_CHANNEL, "promotional_contacts_28d", "agents_28d", "agent_contacts_28d", "open_inquiries").fill_null(0),
            content_expires_h=(pl.col("ends") - known.now).floordiv(HOUR),
            rx_age_h=(pl.lit(known.now, pl.Int64) - pl.col("rx_at")).floordiv(HOUR),
            rx_feed_age_h=(pl.lit(known.now, pl.Int64) - pl.col("rx_loaded_at")).floordiv(HOUR).fill_null(pl.lit(oldest_rx, pl.Int64)),
            model_age_h=pl.lit(known.model_age_h, pl.Int64),
            market=pl.lit(known.market, pl.String),
            lead_model=pl.lit(known.models.get("lead-score"), pl.String),
            response_model=pl.lit(known.models.get("response"), pl.String),
            model_drift=pl.lit(known.drift, pl.String),
            hcp_stopped=pl.col("hcp_id").is_in(list(known.stopped)),
            **{name: pl.lit(age, pl.Int64) for name, age in ages.items()},
        )
        .drop("ends", "rx_at", "rx_loaded_at")
        .with_columns(pl.col(name).cast(_KINDS[fact.kind]) for name, fact in FACTS.items())
    )


def on_file(content: pl.DataFrame, now: int) -> pl.DataFrame:
    """The latest word on each piece of content that has begun by `now`, also if it has ended, so that what expired can be told from what never was."""
    key = ["content_id", "product", "channel"]
    return content.filter(pl.col("valid_from") <= now).sort(*key, "received_at", "valid_from").unique(key, keep="last", maintain_order=True)


def content_of(known: Known) -> pl.DataFrame:
    """What is on file of each piece of content: content_id, product, channel, content_status, valid_to, content_risk, indication_match."""
    rows = on_file(known.content, known.now)
    said = zip(rows["indications"], rows["product"], strict=True)
    matches = pl.Series("indication_match", [matched(about, known.indications.get(product)) for about, product in said], dtype=pl.Boolean)
    return rows.select("content_id", "product", "channel", matches, "valid_to", content_status="status", content_risk="risk")


def matched(about: str | None, label: str | None) -> bool | None:
    """Whether a label covers all that content is about, both with `;` between indications; None where either is not said."""
    if about is None or label is None:
        return None
    wanted, covered = ({word.strip().casefold() for word in text.split(";")} - {""} for text in (about, label))
    return wanted <= covered


def open_inquiries(inquiries: pl.DataFrame, now: int) -> pl.DataFrame:
    """Questions asked and not answered by `now`: hcp_id, product, open_inquiries."""
    latest = inquiries.sort("inquiry_id", "received_at").unique("inquiry_id", keep="last", maintain_order=True)
    waiting = latest.filter(pl.col("answered_at").is_null() | (pl.col("answered_at") > now))
    return waiting.group_by("hcp_id", "product", maintain_order=True).agg(open_inquiries=pl.len().cast(pl.Int64))


def _contact_counts(known: Known, key: list[str], days: Mapping[str, int]) -> pl.DataFrame:
    """Contacts by `key` in so many days before now, by name."""
    recent = known.contacts.filter((pl.col("at") >= known.now - max(days.values()) * DAY) & (pl.col("at") < known.now))
    return recent.group_by(key, maintain_order=True).agg(
        (pl.col("at") >= known.now - span * DAY).sum().cast(pl.Int64).alias(name) for name, span in days.items()
    )


def _reached(known: Known) -> pl.DataFrame:
    """Promotional contacts, and different agents that had one, in the 28 days before now."""
    recent = known.contacts.filter((pl.col("at") >= known.now - 28 * DAY) & (pl.col("at") < known.now))
    return recent.group_by("hcp_id", maintain_order=True).agg(
        promotional_contacts_28d=(pl.col("purpose") == "promotional").sum().cast(pl.Int64),
        agents_28d=pl.col("agent").drop_nulls().n_unique().cast(pl.Int64),
    )


def _by_product(supply: Mapping[str, int]) -> pl.DataFrame:
    columns = {"product": list(supply), "supply_cover_weeks": list(supply.values())}
    return pl.DataFrame(columns, schema={"product": pl.String, "supply_cover_weeks": pl.Int64})


def _charters(charters: Iterable[Charter], people: People, now: int) -> pl.DataFrame:
    rows = [
        (charter.agent, now < charter.expires and people[charter.owner].active(now), list(charter.channels), list(charter.products)) for charter in charters
    ]
    texts = pl.List(pl.String)
    schema = {"agent": pl.String(), "charter_live": pl.Boolean(), "charter_channels": texts, "charter_products": texts}
    return pl.DataFrame(rows, schema=schema, orient="row")
