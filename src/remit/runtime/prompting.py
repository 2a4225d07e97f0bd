"""Asking the agents that an event concerns, between cycles: the built-in proposers, on a view of the HCPs it is about alone, by what the last cycle knew and
what was reported since. Many events at once cost little more than one: most of it is what frames cost whatever they hold."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from remit.agents import Failure, View, ask
from remit.gateway import Arrived, Taken, Tally
from remit.gateway.engaged import INQUIRY, OPT_OUT
from remit.runtime.cycle import Inputs, view_of
from remit.terms.proposals import PROPOSAL_COLUMNS, Proposal

_COLUMNS = [name for name, _ in PROPOSAL_COLUMNS]


class Prompter:
    """What agents propose because of events, by `inputs`: as known when it was made. `failures` are the agents that failed since."""

    def __init__(self, inputs: Inputs) -> None:
        self._charters = [charter for charter in inputs.charters if charter.proposer != "external"]
        self._views = {charter.agent: _Indexed(view_of(charter, inputs)) for charter in self._charters}
        self.failures: list[Failure] = []

    def __call__(self, taken: Sequence[Taken], tally: Tally) -> list[tuple[Proposal, Taken]]:
        """Every proposal of an agent concerned, with the last event that concerns it."""
        concerned = {(agent, each.reported.event.hcp_id, product): each for each in taken for agent, product in self._concerned(each.reported)}
        agents = {agent for agent, _, _ in concerned}
        if not agents:
            return []
        hcps = {each.reported.event.hcp_id: each.ref for each in concerned.values()}
        asked = Counter((hcp, product) for hcp, ref in hcps.items() for product, _ in tally.engaged.inquiries.get(ref, ()))
        rows, failures = ask((charter for charter in self._charters if charter.agent in agents), lambda charter: self._views[charter.agent].of(hcps, asked))
        self.failures += failures
        proposals = (Proposal(**row) for row in rows.select(_COLUMNS).iter_rows(named=True))
        offers = ((proposal, concerned.get((proposal.agent, proposal.hcp_id, proposal.product))) for proposal in proposals)
        return [(proposal, each) for proposal, each in offers if each is not None]

    def _concerned(self, reported: Arrived) -> Iterator[tuple[str, str]]:
        """The agents and products that an event concerns: those of its purpose whose charter covers its product (every one, where it names none)."""
        event = reported.event
        if event.kind == OPT_OUT:
            return
        # INVARIANT (labels): a question to medical information is nobody's to see but those in medical work.
        purpose = "medical" if event.kind == INQUIRY else event.purpose or reported.charter.purpose
        for charter in self._charters:
            if charter.purpose == purpose:
                yield from ((charter.agent, product) for product in charter.products if event.product in (None, product))


class _Indexed:
    """What one agent may see of everybody, for a view of some."""

    def __init__(self, view: View) -> None:
        self._view, self._hcps, self._responses = view, _ByHcp(view.hcps), _ByHcp(view.responses)

    def of(self, hcps: Collection[str], asked: Mapping[tuple[str, str], int]) -> View:
        """What it may see of `hcps`, of whom so many questions about a product were `asked` since."""
        rows = self._hcps.of(hcps)
        if "open_inquiries" in rows.columns:
            more = [asked.get(key, 0) for key in rows.select("hcp_id", "product").iter_rows()]
            rows = rows.with_columns(pl.col("open_inquiries") + pl.Series(more, dtype=pl.Int64))
        return replace(self._view, hcps=rows, responses=self._responses.of(hcps))


class _ByHcp:
    """A frame whose rows about some HCPs are found without reading it all."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame.sort("hcp_id", maintain_order=True)
        runs = self._frame["hcp_id"].rle().struct.unnest()
        ends = runs["len"].cum_sum().cast(pl.Int64).to_list()
        self._at = {hcp: (end - length, end) for hcp, length, end in zip(runs["value"].to_list(), runs["len"].to_list(), ends, strict=True)}

    def of(self, hcps: Collection[str]) -> pl.DataFrame:
        """The rows about `hcps`."""
        found = [np.arange(*self._at[hcp]) for hcp in hcps if hcp in self._at]
        return self._frame[np.concatenate(found)] if found else self._frame.clear()
