"""An agent of another company, or in another language: it proposes through the gateway, and in a cycle what it left standing there."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from remit.agents.proposers.view import View
from remit.terms.charters import EXTERNAL, Charter


class External:
    """Proposes nothing by itself."""

    name = EXTERNAL
    settings: Mapping[str, int] = MappingProxyType({})

    def propose(self, charter: Charter, view: View) -> pl.DataFrame:
        """What stands."""
        del charter
        return view.standing
