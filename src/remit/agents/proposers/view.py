"""What a proposer is shown, and what it must give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from remit.models.segments import UPTAKE
from remit.terms.charters import Charter
from remit.terms.proposals import PROPOSAL_COLUMNS

KINDS: Mapping[str, type[pl.DataType]] = {"text": pl.String, "int": pl.Int64, "number": pl.Int64, "bool": pl.Boolean}
PROPOSALS = pl.Schema({name: KINDS[kind] for name, kind in PROPOSAL_COLUMNS})
"""The schema of a frame of proposals."""


@dataclass(frozen=True, slots=True)
class View:
    """What one agent may see: its charter's products and channels, and no column whose information label its purpose does not admit.

    - `hcps`: a row per (hcp_id, product) — `territory` (null: nobody covers this HCP for this product now); for promotion also `lead_score` (expected
      outcome units of the next period, micro-units) and, where there are segments, `segment` (the id of the HCP's, or null); for medical work also
      `open_inquiries` and `medical_contact_age_h` (hours; null: never).
    - `responses`: a row per (hcp_id, product, channel, touch) with `increment`, the outcome units (micro-units) that this further touch is expected
      to add, and where it is known `high`, what it may add at best; empty for medical work.
    - `tries`: whether the authority table lets some proposals be tried that are not worth their cost as far as is known.
    - `content`: a row per (product, channel, content_id) with `communication_type`, whatever its state of review.
    - `uptake`: which share of the touches with each content each segment took up (`rate`, millionths); empty for medical work and where nothing is known.
    - `standing`: what the agent left standing at the gateway, as proposals.
    - `value_minor`: what one outcome unit of a product is worth, in minor units of the workspace's currency; empty for medical work.
    """

    hcps: pl.DataFrame
    responses: pl.DataFrame
    content: pl.DataFrame
    value_minor: Mapping[str, int]
    uptake: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=UPTAKE))
    tries: bool = False
    standing: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PROPOSALS))


class Proposer(Protocol):
    """A built-in agent: a pure function of its charter and what it may see. `settings` are the charter's settings it understands, with defaults."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, int]: ...

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """A frame with the columns of `PROPOSALS`, in any order of rows."""
        ...


def promotional_values(charter: Charter, view: View, channel: str, cost_minor: int, *, tries: bool = False) -> pl.DataFrame:
    """One row per (hcp_id, product, touch) of `channel` worth its cost: `value` = increment x value of an outcome unit - cost, in micro-units of currency.

    Only products of the charter, the first `most_per_hcp` touches, and values above zero: an agent does not ask for what it expects to lose by. With `tries`,
    also a first touch that may be worth its cost.
    """
    worth = pl.DataFrame({"product": list(view.value_minor), "minor": list(view.value_minor.values())}, schema={"product": pl.String, "minor": pl.Int64})
    high = "high" if tries and "high" in view.responses.columns else "increment"
    possible = (pl.col("touch") == 1) & (pl.col(high) * pl.col("minor") > cost_minor * 1_000_000)
    return (
        view.responses.filter((pl.col("channel") == channel) & pl.col("product").is_in(list(charter.products)) & (pl.col("touch") <= charter.most_per_hcp))
        .join(worth, on="product", how="inner", maintain_order="left")
        .with_columns(value=(pl.col("increment") * pl.col("minor") - cost_minor * 1_000_000) // 100)
        .filter((pl.col("value") > 0) | possible)
        .select("hcp_id", "product", "touch", "value")
    )


def with_content(rows: pl.DataFrame, view: View, channel: str, most: int) -> pl.DataFrame:
    """`rows` (with hcp_id and product) beside at most `most` contents of `channel` on file for each: `content_id`, `communication_type`, `place` (0: none was
    taken up more; equals share a place).

    First comes what the HCP's segment took up most; a content of which nothing is known of the segment counts as its average one. Without segments, and
    among equals, contents follow by id. Rows without any content are left out.
    """
    hcps = view.hcps if "segment" in view.hcps.columns else view.hcps.with_columns(segment=pl.lit(None, pl.String))
    segmented = rows.join(hcps.select("hcp_id", "product", "segment").unique(["hcp_id", "product"]), on=["hcp_id", "product"], how="left")
    on_file = view.content.filter(pl.col("channel") == channel).select("product", "content_id", "communication_type").unique(["product", "content_id"])
    known = view.uptake.filter(pl.col("channel") == channel).select("segment", "product", "content_id", "rate")
    options = (
        segmented.select("segment", "product")
        .unique()
        .join(on_file, on="product", how="inner")
        .join(known, on=["segment", "product", "content_id"], how="left")
        .with_columns(pl.col("rate").fill_null(pl.col("rate").mean().over("segment", "product").round().cast(pl.Int64)).fill_null(0))
        .sort(["segment", "product", "rate", "content_id"], descending=[False, False, True, False])
        .with_columns(place=pl.col("rate").rank("dense", descending=True).over("segment", "product").cast(pl.Int64) - 1)
        .filter(pl.int_range(pl.len()).over("segment", "product") < most)
    )
    return segmented.join(options.drop("rate"), on=["segment", "product"], how="inner", nulls_equal=True).drop("segment")


def as_proposals(rows: pl.DataFrame, charter: Charter, channel: str) -> pl.DataFrame:
    """`rows` with the agent's name, channel and purpose, in the schema of proposals; absent columns take their empty value."""
    given = {"agent": charter.agent, "channel": channel, "purpose": charter.purpose, "mandatory": False, "exclusion": None}
    return rows.with_columns(pl.lit(value).alias(name) for name, value in given.items() if name not in rows.columns).select(
        pl.col(name).cast(kind) for name, kind in PROPOSALS.items()
    )
