"""A call planner: details of its brand, where one more is expected to pay."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from remit.agents.proposers.view import View, as_proposals, promotional_values, with_content
from remit.terms.charters import Charter


class CallPlanner:
    """Proposes, for every HCP that somebody covers, each further detail that is worth its cost, carrying the detail aid on file that the HCP's segment took
    up most, or the brand's first."""

    name = "call-planner"
    settings: Mapping[str, int] = MappingProxyType({"cost_minor": 0})

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """Details as proposals: one row per HCP, product and touch; `content_id` is null where the product has no detail aid."""
        covered = view.hcps.filter(pl.col("territory").is_not_null()).select("hcp_id", "product")
        rows = promotional_values(charter, view, "call", int(charter.settings["cost_minor"])).join(covered, on=["hcp_id", "product"], how="semi")
        aids = with_content(rows.select("hcp_id", "product").unique(), view, "call", 1).drop("place")
        rows = rows.join(aids, on=["hcp_id", "product"], how="left").with_columns(pl.col("communication_type").fill_null("promotional"))
        return as_proposals(rows, charter, "call")
