"""A proposal and the states it passes through. Only the ledger makes `Recorded`; only the gateway makes `Cleared`."""

from dataclasses import dataclass

from remit.terms.verdicts import Verdict

PROPOSAL_COLUMNS: tuple[tuple[str, str], ...] = (
    ("hcp_id", "text"),
    ("agent", "text"),
    ("channel", "text"),
    ("product", "text"),
    ("content_id", "text"),
    ("communication_type", "text"),
    ("purpose", "text"),
    ("touch", "int"),
    ("value", "number"),
    ("exclusion", "text"),
    ("mandatory", "bool"),
)
"""The columns of a frame of proposals, in order, with the kind of each; `content_id` and `exclusion` may be null. A cycle orders its proposals by
these columns, and a proposal's number is its row in that order."""

DISPOSITIONS = ("chosen", "waiting", "tried", "rested", "outbid", "forbidden")
"""What may become of a proposal: chosen, chosen and waiting for a person, tried at random though not chosen, chosen and left out at random, not chosen, or
never a candidate."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """This HCP, this channel, this content, for this expected value (micro-units)."""

    hcp_id: str
    agent: str
    channel: str
    product: str
    content_id: str | None
    communication_type: str
    purpose: str
    touch: int
    value: int
    exclusion: str | None
    mandatory: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A proposal with its verdict."""

    proposal: Proposal
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Chosen:
    """A judged proposal in the plan: number in its cycle, place in a call, selection probability in millionths and the rule that gave it, and who is to
    carry it out (None: a machine)."""

    judged: Judged
    number: int
    call_number: int
    position: int
    probability: int
    selection: str
    rep_id: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A chosen action that the ledger holds, at `entry` of its log."""

    chosen: Chosen
    cycle: str
    entry: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """A recorded action that was checked again at `at` (UTC microseconds) and may be executed."""

    recorded: Recorded
    verdict: Verdict
    at: int


@dataclass(frozen=True, slots=True)
class Acted:
    """A cleared action that channel `channel` has executed, at `at` (UTC microseconds)."""

    cleared: Cleared
    channel: str
    at: int
