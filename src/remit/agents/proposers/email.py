"""An e-mail agent: one message at most per product, whichever module may be sent."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from remit.agents.proposers.view import View, as_proposals, promotional_values, with_content
from remit.terms.charters import Charter


class EmailPlanner:
    """Proposes every e-mail module on file for each product, at most `modules` of them, as alternatives: which of them may be sent is not its to say.

    Where it is known what the HCP's segment took up, a module it took up less is worth a millionth less: nothing, but the better one goes first."""

    name = "email"
    settings: Mapping[str, int] = MappingProxyType({"cost_minor": 0, "modules": 3})

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """E-mails as proposals: one row per HCP, product, touch and module; touches of one product exclude each other by module."""
        wanted = promotional_values(charter, view, "email", int(charter.settings["cost_minor"]), tries=view.tries)
        less = pl.col("value") - pl.col("place")
        rows = with_content(wanted, view, "email", int(charter.settings["modules"])).with_columns(
            value=pl.when(pl.col("value") > 0).then(less.clip(lower_bound=1)).otherwise(less),
            exclusion=pl.format("email/{}/{}", "product", "touch"),
        )
        return as_proposals(rows, charter, "email")
