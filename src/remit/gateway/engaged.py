"""What was reported of HCPs since what is known was taken, folded from the log: it changes the facts of every decision after it, at every worker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.ledger import Fresh

CONTACTS = frozenset({"visited", "attended"})
"""Kinds of events that are contacts."""
OPT_OUT, INQUIRY = "opt_out", "inquiry"
UNSUBSCRIBED = "unsubscribed"
"""The outcome of an action that ends its channel's promotion to the HCP."""


@dataclass(frozen=True, slots=True)
class Noted:
    """An event as the log holds it: who reported it, the keyed digest of what was said, its entry, and when it was received (UTC microseconds)."""

    id: str
    agent: str
    said: str
    entry: int
    at: int


@dataclass(slots=True)
class Engaged:
    """Events by id, with the ids of the decisions that came of each (`decided`); and by the HCP's reference, of those that are not in what is known,
    the (channel, purpose) that HCPs have opted out of, None for any, and the products that they have asked about; `visited` are the entries of decisions
    whose contact was reported."""

    noted: dict[str, Noted] = field(default_factory=dict)
    decided: dict[str, list[str]] = field(default_factory=dict)
    opted_out: dict[bytes, set[tuple[str | None, str | None]]] = field(default_factory=dict)
    inquiries: dict[bytes, list[tuple[str, int]]] = field(default_factory=dict)
    visited: set[int] = field(default_factory=set)

    def take(self, entry: Fresh, *, new: bool) -> None:
        """Takes in an event's entry; `new`: it is not in what is known."""
        body = entry.body
        self.noted[body["id"]] = Noted(body["id"], body["agent"], body["said"], entry.seq, int(body["at"]))
        self.visited |= {int(body["of"])} if "of" in body else set()
        if entry.hcp is None or not new:
            return
        if body["kind"] == OPT_OUT:
            self.opted_out.setdefault(entry.hcp, set()).add((body["channel"], body["purpose"]))
        elif body["kind"] == INQUIRY:
            self.inquiries.setdefault(entry.hcp, []).append((body["product"], int(body["occurred_at"])))

    def outcome(self, entry: Fresh) -> None:
        """Takes in the entry of an outcome that is not in what is known."""
        if entry.body["what"] == UNSUBSCRIBED and entry.hcp is not None:
            self.opted_out.setdefault(entry.hcp, set()).add((entry.body["channel"], "promotional"))

    def note(self, body: Mapping[str, Any]) -> None:
        """Takes in that a decision came of an event, if it did."""
        if "event" in body:
            self.decided.setdefault(body["event"], []).append(body["id"])

    def facts(self, known: dict[str, Any], ref: bytes) -> dict[str, Any]:
        """`known` facts of a proposal about the HCP with the reference `ref`, with what was reported since."""
        if ref in self.opted_out and opted_out(self.opted_out[ref], known["channel"], known["purpose"]):
            known["consent"] = "opt_out"
        if ref in self.inquiries:
            known["open_inquiries"] += sum(product == known["product"] for product, _ in self.inquiries[ref])
        return known

    def forget(self, ref: bytes) -> None:
        """Lets go of what was reported of an HCP who was erased."""
        self.opted_out.pop(ref, None)
        self.inquiries.pop(ref, None)


def opted_out(said: set[tuple[str | None, str | None]], channel: str, purpose: str) -> bool:
    """Whether what an HCP has opted out of covers a channel and a purpose."""
    return any(of in (None, channel) and why in (None, purpose) for of, why in said)
