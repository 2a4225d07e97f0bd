"""An agent of another company, or in another language: it proposes through the gateway, and nothing in a cycle."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from remit.agents.proposers.view import PROPOSALS, View
from remit.terms.charters import Charter


class External:
    """Proposes nothing by itself."""

    name = "external"
    settings: Mapping[str, int] = MappingProxyType({})

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """No rows."""
        del charter, view
        return pl.DataFrame(schema=PROPOSALS)
