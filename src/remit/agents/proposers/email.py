"""An e-mail agent: one message at most per product, whichever module may be sent."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from remit.agents.proposers.view import View, as_proposals, promotional_values
from remit.terms.charters import Charter


class EmailPlanner:
    """Proposes every e-mail module on file for each product, at most `modules` of them, as alternatives: which of them may be sent is not its to say."""

    name = "email"
    settings: Mapping[str, int] = MappingProxyType({"cost_minor": 0, "modules": 3})

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """E-mails as proposals: one row per HCP, product, touch and module; touches of one product exclude each other by module."""
        modules = (
            view.content.filter(pl.col("channel") == "email")
            .sort("product", "content_id")
            .filter(pl.int_range(pl.len()).over("product") < int(charter.settings["modules"]))
        )
        rows = (
            promotional_values(charter, view, "email", int(charter.settings["cost_minor"]))
            .join(modules.select("product", "content_id", "communication_type"), on="product", how="inner")
            .with_columns(exclusion=pl.format("email/{}/{}", "product", "touch"))
        )
        return as_proposals(rows, charter, "email")
