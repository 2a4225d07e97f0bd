"""What a proposer is shown, and what it must give."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from remit.terms.charters import Charter
from remit.terms.proposals import PROPOSAL_COLUMNS

KINDS: Mapping[str, type[pl.DataType]] = {"text": pl.String, "int": pl.Int64, "number": pl.Int64, "bool": pl.Boolean}
PROPOSALS = pl.Schema({name: KINDS[kind] for name, kind in PROPOSAL_COLUMNS})
"""The schema of a frame of proposals."""


@dataclass(frozen=True, slots=True)
class View:
    """What one agent may see: its charter's products and channels, and no column whose information label its purpose does not admit.

    - `hcps`: a row per (hcp_id, product) — `territory` (null: nobody covers this HCP for this product now); for promotion also `lead_score` (expected
      outcome units of the next period, micro-units); for medical work also `open_inquiries` and `medical_contact_age_h` (hours; null: never).
    - `responses`: a row per (hcp_id, product, channel, touch) with `increment`, the outcome units (micro-units) that this further touch is expected
      to add; empty for medical work.
    - `content`: a row per (product, channel, content_id) with `communication_type`, whatever its state of review.
    - `value_minor`: what one outcome unit of a product is worth, in minor units of the workspace's currency; empty for medical work.
    """

    hcps: pl.DataFrame
    responses: pl.DataFrame
    content: pl.DataFrame
    value_minor: Mapping[str, int]


class Proposer(Protocol):
    """A built-in agent: a pure function of its charter and what it may see. `settings` are the charter's settings it understands, with defaults."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, int]: ...

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """A frame with the columns of `PROPOSALS`, in any order of rows."""
        ...


def promotional_values(charter: Charter, view: View, channel: str, cost_minor: int) -> pl.DataFrame:
    """One row per (hcp_id, product, touch) of `channel` worth its cost: `value` = increment x value of an outcome unit - cost, in micro-units of currency.

    Only products of the charter, the first `most_per_hcp` touches, and values above zero: an agent does not ask for what it expects to lose by.
    """
    worth = pl.DataFrame({"product": list(view.value_minor), "minor": list(view.value_minor.values())}, schema={"product": pl.String, "minor": pl.Int64})
    return (
        view.responses.filter((pl.col("channel") == channel) & pl.col("product").is_in(list(charter.products)) & (pl.col("touch") <= charter.most_per_hcp))
        .join(worth, on="product", how="inner", maintain_order="left")
        .with_columns(value=(pl.col("increment") * pl.col("minor") - cost_minor * 1_000_000) // 100)
        .filter(pl.col("value") > 0)
        .select("hcp_id", "product", "touch", "value")
    )


def as_proposals(rows: pl.DataFrame, charter: Charter, channel: str) -> pl.DataFrame:
    """`rows` with the agent's name, channel and purpose, in the schema of proposals; absent columns take their empty value."""
    given = {"agent": charter.agent, "channel": channel, "purpose": charter.purpose, "mandatory": False, "exclusion": None}
    return rows.with_columns(pl.lit(value).alias(name) for name, value in given.items() if name not in rows.columns).select(
        pl.col(name).cast(kind) for name, kind in PROPOSALS.items()
    )
