"""Asking every agent for its proposals, each apart from the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from remit.agents.proposers import PROPOSERS, View
from remit.agents.proposers.view import PROPOSALS
from remit.terms.charters import Charter
from remit.terms.proposals import PROPOSAL_COLUMNS


@dataclass(frozen=True, slots=True)
class Failure:
    """An agent that could not propose in this cycle, and why. `error` names the fault without any HCP's data."""

    agent: str
    error: str


def ask(charters: Iterable[Charter], view_of: Callable[[Charter], View]) -> tuple[pl.DataFrame, tuple[Failure, ...]]:
    """The proposals of all agents in their one order (by the columns of a proposal), and the agents that failed.

    No agent sees another's proposals. An agent that raises, or whose frame breaks the contract, fails alone: none of its rows are taken.
    """
    frames, failures = [pl.DataFrame(schema=PROPOSALS)], []
    for charter in sorted(charters, key=lambda charter: charter.agent):
        try:
            rows = PROPOSERS[charter.proposer].propose(charter, view_of(charter))
        except Exception as error:
            failures.append(Failure(charter.agent, type(error).__name__))
            continue
        fault = broken(rows, charter)
        if fault:
            failures.append(Failure(charter.agent, fault))
        else:
            frames.append(rows)
    order = [name for name, _ in PROPOSAL_COLUMNS]
    return pl.concat(frames).sort(order, nulls_last=False), tuple(failures)


def broken(rows: pl.DataFrame, charter: Charter) -> str | None:
    """What breaks the proposer's contract, or None: the schema, its own name and purpose, no nulls but in `content_id` and `exclusion`, no repeats."""
    if rows.schema != PROPOSALS:
        return "its frame does not have the schema of proposals"
    required = [name for name in PROPOSALS if name not in {"content_id", "exclusion"}]
    if rows.select(pl.any_horizontal(pl.col(required).is_null().any())).item():
        return "a required column has nulls"
    if rows.select(((pl.col("agent") != charter.agent) | (pl.col("purpose") != charter.purpose)).any()).item():
        return "it proposes in another agent's name or for another purpose"
    if rows.select("hcp_id", "channel", "product", "content_id", "touch").is_duplicated().any():
        return "it proposes the same thing twice"
    return None
