"""A small ledger with one cycle in it, and what it is made of. Randomness is a seeded stream, so that every run writes the same bytes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from remit.ledger import Entry, Ledger, Segment, action_entry
from remit.terms.proposals import Chosen, Judged, Proposal
from remit.terms.verdicts import Ruling, Verdict

PER_HCP = 4
on_sqlite = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For a test that speaks of SQLite's files."""
on_postgresql = pytest.mark.parametrize("place", ["postgresql"], indirect=True)
"""For a test that speaks of a server."""


def stream(seed: int = 7) -> Callable[[int], bytes]:
    """Bytes that look random and are the same in every run."""
    return np.random.default_rng(seed).bytes


def rows(hcps: int = 6, start: int = 0) -> pl.DataFrame:
    """`PER_HCP` rows for each HCP, with nulls in every kind of column."""
    count = hcps * PER_HCP
    return pl.DataFrame(
        {
            "hcp_id": [f"hcp-{start + row // PER_HCP:04d}" for row in range(count)],
            "channel": [("call", "email", None)[row % 3] for row in range(count)],
            "value": [None if row % 5 == 4 else (row - 3) * 1_000_000_007 for row in range(count)],
            "chosen": [(True, False, None)[row % 3] for row in range(count)],
            "reason": [None if row % 7 == 6 else f"reason \u00e9 {row}" for row in range(count)],
        },
        schema={"hcp_id": pl.String, "channel": pl.String, "value": pl.Int64, "chosen": pl.Boolean, "reason": pl.String},
    )


def chosen(number: int, hcp_id: str) -> Chosen:
    proposal = Proposal(hcp_id, "calls-north", "call", "north", None, "promotional", "promotional", 1, 5_000_000, "detail", mandatory=False)
    verdict = Verdict(Ruling.CONFIRM, ("cap", "consent"), "owner-calls", ("near the cap",), "ab" * 32, ("manager",), 3_600_000_000, "refuse")
    return Chosen(Judged(proposal, verdict), number, 1, 2, 1_000_000, "maximum")


def cycle_entry(segments: tuple[Segment, ...]) -> Entry:
    body = {"now": 1_767_592_800_000_000, "seed": 11, "inputs": {"rx": "cd" * 32}, "models": {}, "table": "ab" * 32, "prices": "ef" * 32}
    return Entry("cycle", "remit.cycle/1", {**body, "counts": {"proposals": 24}, "segments": [segment.root for segment in segments]})


def actions(frame: pl.DataFrame, context: Mapping[str, Any] | None = None) -> list[Entry]:
    """Every fourth row is chosen."""
    return [action_entry(chosen(number, frame["hcp_id"][number]), context) for number in range(0, len(frame), PER_HCP)]


def run_cycle(ledger: Ledger, cycle: str = "cycle-1", hcps: int = 6) -> tuple[Segment, ...]:
    frame = rows(hcps)
    segments = ledger.write_segments(frame, cycle=cycle, stream="decisions", schema="remit.decisions/1", plain=["reason"])
    ledger.append(cycle, [cycle_entry(segments), *actions(frame, {"facts": {"consent": "opt_in"}})], cycle=cycle, segments=segments)
    return segments
