"""Asking the agents that an event concerns, between cycles: the built-in proposers, on a view of the HCPs it is about alone, by what the last cycle knew and
what was reported since. Many events at once cost little more than one: most of it is what frames cost whatever they hold."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from remit.agents import Failure, ask
from remit.gateway import Arrived, Taken, Tally
from remit.gateway.engaged import INQUIRY, OPT_OUT
from remit.runtime.cycle import Inputs, view_of
from remit.terms.proposals import PROPOSAL_COLUMNS, Proposal

_COLUMNS = [name for name, _ in PROPOSAL_COLUMNS]


class Prompter:
    """What agents propose because of events, by `inputs`: as known when it was made. `failures` are the agents that failed since."""

    def __init__(self, inputs: Inputs) -> None:
        known = inputs.known
        self._inputs = inputs
        self._scores, self._cover, self._responses = _ByHcp(known.scores), _ByHcp(known.cover), _ByHcp(inputs.responses)
        self._medical = _ByHcp(known.contacts.filter(pl.col("purpose") == "medical"))
        self._inquiries = _ByHcp(known.inquiries)
        self._segments = None if inputs.segments is None else _ByHcp(inputs.segments)
        self._charters = [charter for charter in inputs.charters if charter.proposer != "external"]
        self.failures: list[Failure] = []

    def __call__(self, taken: Sequence[Taken], tally: Tally) -> list[tuple[Proposal, Taken]]:
        """Every proposal of an agent concerned, with the last event that concerns it."""
        concerned = {(agent, each.reported.event.hcp_id, product): each for each in taken for agent, product in self._concerned(each.reported)}
        agents = {agent for agent, _, _ in concerned}
        if not agents:
            return []
        given = self._about({each.reported.event.hcp_id: each.ref for each in concerned.values()}, tally)
        rows, failures = ask((charter for charter in self._charters if charter.agent in agents), lambda charter: view_of(charter, given))
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

    def _about(self, refs: dict[str, bytes], tally: Tally) -> Inputs:
        """The inputs about these HCPs alone, with what they have asked since."""
        known = self._inputs.known
        asked = [
            (f"event:{hcp}:{place}", hcp, product, at, at)
            for hcp, ref in refs.items()
            for place, (product, at) in enumerate(tally.engaged.inquiries.get(ref, ()))
        ]
        rows = pl.DataFrame(asked, schema=["inquiry_id", "hcp_id", "product", "asked_at", "received_at"], orient="row")
        inquiries = pl.concat([self._inquiries.of(refs), rows], how="diagonal_relaxed") if asked else self._inquiries.of(refs)
        about = replace(known, scores=self._scores.of(refs), cover=self._cover.of(refs), contacts=self._medical.of(refs), inquiries=inquiries)
        segments = None if self._segments is None else self._segments.of(refs)
        return replace(self._inputs, known=about, responses=self._responses.of(refs), segments=segments)


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
