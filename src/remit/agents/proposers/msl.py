"""A medical agent: visits where questions wait or education is due, in points of its own."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from remit.agents.proposers.view import View, as_proposals
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO


class MslPlanner:
    """Proposes a visit for every open question and for HCPs long without a medical contact. Its points are no money and are compared with none."""

    name = "msl"
    settings: Mapping[str, int] = MappingProxyType({"inquiry_points": 10, "education_points": 1, "education_after_days": 180})

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """Visits as proposals: one row per HCP and product, `value` in micro-points."""
        replies = view.content.filter(pl.col("channel") == "msl_visit").sort("product", "content_id")
        first = replies.unique("product", keep="first", maintain_order=True).select("product", "content_id", "communication_type")
        since = pl.col("medical_contact_age_h").fill_null(2**40)
        education = pl.when(since >= 24 * int(charter.settings["education_after_days"])).then(int(charter.settings["education_points"])).otherwise(0)
        rows = (
            view.hcps.filter(pl.col("territory").is_not_null() & pl.col("product").is_in(list(charter.products)))
            .with_columns(value=(pl.col("open_inquiries") * int(charter.settings["inquiry_points"]) + education).cast(pl.Int64) * MICRO)
            .filter(pl.col("value") > 0)
            .with_columns(touch=pl.lit(1, pl.Int64), exclusion=pl.lit("visit"))
            .join(first, on="product", how="left", maintain_order="left")
            .with_columns(pl.col("communication_type").fill_null("medical_reply"))
        )
        return as_proposals(rows, charter, "msl_visit")
