"""The facts of one proposal from plain Python objects: what `gather` says of a frame, in microseconds. The same facts, held equal by a test."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from remit.gateway.facts import FEED_AGES, OF_HCP, Contact, Known, content_of, open_inquiries
from remit.terms.charters import Charter
from remit.terms.instants import DAY, FOREVER, HOUR
from remit.terms.people import People
from remit.terms.proposals import PROPOSAL_COLUMNS, Proposal

_PROPOSED = tuple(name for name, _ in PROPOSAL_COLUMNS)
_OF_CONTENT = ("content_status", "content_risk", "indication_match")
_NOTHING = (None,) * len(OF_HCP)


class Single:
    """What is `known`, by key. Built once, asked often."""

    def __init__(self, known: Known, charters: Iterable[Charter], people: People) -> None:
        self.known = known
        self._charters = {charter.agent: charter for charter in charters}
        self._people = people
        self._hcp = {row[0]: row[1:] for row in known.hcp.select("hcp_id", *OF_HCP).iter_rows()}
        self._held = frozenset(known.held)
        self._channel_held = frozenset(known.channel_held.select("hcp_id", "channel").iter_rows())
        self._cover = _keyed(known.cover.select("hcp_id", "product", "channel", "rep_id", "territory").iter_rows())
        ends = known.consent["valid_to"] if "valid_to" in known.consent.columns else pl.lit(FOREVER, pl.Int64)
        said = known.consent.select("hcp_id", "channel", "purpose", "status", valid_to=ends).with_columns(pl.col("valid_to").fill_null(FOREVER))
        self._consent = _keyed(said.iter_rows())
        self._content = _keyed(content_of(known).select("content_id", "product", "channel", "valid_to", *_OF_CONTENT).iter_rows())
        self._inquiries = {row[:2]: row[2] for row in open_inquiries(known.inquiries, known.now).iter_rows()}
        self._scores = {row[:2]: row[2:] for row in known.scores.select("hcp_id", "product", "lead_score", "rx_at", "rx_loaded_at").iter_rows()}
        self._confidence = {row[:4]: row[4] for row in known.confidence.iter_rows()}
        self._contacts: dict[str, list[Contact]] = {}
        for hcp, *contact in known.contacts.sort("at").select("hcp_id", "at", "channel", "purpose", "agent").iter_rows():
            self._contacts.setdefault(hcp, []).append(tuple(contact))
        self._oldest_rx = max((age for feed in ("rx", "brick_rx") if (age := known.feed_age_h.get(feed)) is not None), default=None)
        self._stopped = frozenset(known.stopped)
        self._served: dict[frozenset[str], Sequence[str]] = {}

    def covered(self, hcp_id: str, product: str, channel: str) -> tuple[str | None, str | None]:
        """Who covers the HCP for a product in a channel, and in which territory."""
        rep, territory = self._cover.get((hcp_id, product, channel), (None, None))
        return rep, territory

    def on_file(self, hcp_id: str) -> bool:
        """Whether the HCP is on file."""
        return hcp_id in self._hcp

    def _consents(self, hcp: str, channel: str, purpose: str, now: int) -> str | None:
        """The status in force; of one that has ended since what is known was taken, nothing: there may be thousands that do, each at an instant of its own."""
        status, ends = self._consent.get((hcp, channel, purpose), (None, FOREVER))
        return status if now < ends or status == "opt_out" else None

    def contacts(self, hcp_id: str) -> Sequence[Contact]:
        """Every contact with the HCP, by when it was."""
        return self._contacts.get(hcp_id, ())

    def serves(self, hcp_id: str, products: Iterable[str]) -> bool:
        """Whether the HCP is on file and may be reached about one of `products`."""
        return any((hcp_id, product) in self._scores for product in products)

    def served(self, products: Iterable[str]) -> Sequence[str]:
        """The HCPs who may be reached about one of `products`, in order."""
        wanted = frozenset(products)
        if wanted not in self._served:
            self._served[wanted] = sorted({hcp for hcp, product in self._scores if product in wanted})
        return self._served[wanted]

    def facts(self, proposal: Proposal, now: int, more: Sequence[Contact] = (), *, stopped: bool = False, but: Contact | None = None) -> dict[str, Any]:
        """Every fact of the dictionary at `now`, of which contacts made since what is known was taken count as `more`; `stopped`: a stop that
        came since says that the HCP is to be left alone; `but`: the contact that the proposal itself asked for, which is not counted where it is known."""
        known, hcp, later = self.known, proposal.hcp_id, -(-(now - self.known.now) // HOUR)  # data are taken for older than they are, never for newer
        charter, held = self._charters.get(proposal.agent), self._hcp.get(hcp)
        content = self._content.get((proposal.content_id, proposal.product, proposal.channel))
        score, rx_at, rx_loaded_at = self._scores.get((hcp, proposal.product), (None, None, None))
        made = list(self._contacts.get(hcp, ()))
        if but in made:
            made.remove(but)
        age = {f"{name}_feed_age_h": None if (hours := known.feed_age_h.get(feed)) is None else hours + later for name, feed in FEED_AGES.items()}
        feed_age = None if self._oldest_rx is None else self._oldest_rx + later
        return {
            **{name: getattr(proposal, name) for name in _PROPOSED},
            "charter_live": None if charter is None else now < charter.expires and self._people[charter.owner].active(now),
            "charter_channel": None if charter is None else proposal.channel in charter.channels,
            "charter_product": None if charter is None else proposal.product in charter.products,
            "held_out": hcp in self._held,
            "channel_held_out": (hcp, proposal.channel) in self._channel_held,
            "hcp_known": held is not None,
            **dict(zip(OF_HCP, held or _NOTHING, strict=True)),
            "hcp_stopped": stopped or hcp in self._stopped,
            "aligned": (hcp, proposal.product, proposal.channel) in self._cover,
            "territory": self.covered(hcp, proposal.product, proposal.channel)[1],
            "consent": self._consents(hcp, proposal.channel, proposal.purpose, now),
            "content_channel": content is not None,
            "content_expires_h": (content[0] - now) // HOUR if content is not None and content[0] < FOREVER else None,
            **dict(zip(_OF_CONTENT, (None, None, None) if content is None else content[1:], strict=True)),
            **_counts(made, more, proposal, now),
            "open_inquiries": self._inquiries.get((hcp, proposal.product), 0),
            "lead_score": score,
            "rx_age_h": None if rx_at is None else (now - rx_at) // HOUR,
            "rx_feed_age_h": feed_age if rx_loaded_at is None else (now - rx_loaded_at) // HOUR,
            "model_age_h": None if known.model_age_h is None else known.model_age_h + later,
            "supply_cover_weeks": known.supply.get(proposal.product),
            "model_confidence": self._confidence.get((hcp, proposal.product, proposal.channel, proposal.touch)),
            "model_drift": known.drift,
            "market": known.market,
            "lead_model": known.models.get("lead-score"),
            "response_model": known.models.get("response"),
            **age,
        }


def _keyed(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {row[:3]: row[3:] for row in rows}


def _counts(made: Sequence[Contact], more: Sequence[Contact], proposal: Proposal, now: int) -> Mapping[str, int]:
    recent = [each for each in made[bisect_left(made, (now - 365 * DAY,)) :] if each[0] < now] + list(more)
    weeks = [each for each in recent if each[0] >= now - 28 * DAY]
    return {
        "contacts_7d": sum(at >= now - 7 * DAY for at, *_ in weeks),
        "contacts_28d": len(weeks),
        "channel_contacts_28d": sum(channel == proposal.channel for _, channel, *_ in weeks),
        "channel_contacts_365d": sum(channel == proposal.channel for _, channel, *_ in recent),
        "promotional_contacts_28d": sum(purpose == "promotional" for *_, purpose, _ in weeks),
        "agent_contacts_28d": sum(agent == proposal.agent for *_, agent in weeks),
        "agents_28d": len({agent for *_, agent in weeks if agent is not None}),
    }
