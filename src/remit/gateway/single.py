"""The facts of one proposal from plain Python objects: what `gather` says of a frame, in microseconds. The same facts, held equal by a test."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remit.gateway.facts import Known, on_file, open_inquiries
from remit.terms.charters import Charter
from remit.terms.instants import DAY, FOREVER, HOUR
from remit.terms.people import People
from remit.terms.proposals import PROPOSAL_COLUMNS, Proposal

_PROPOSED = tuple(name for name, _ in PROPOSAL_COLUMNS)


class Single:
    """What is `known`, by key. Built once, asked often."""

    def __init__(self, known: Known, charters: Iterable[Charter], people: People) -> None:
        self.known = known
        self._charters = {charter.agent: charter for charter in charters}
        self._people = people
        self._hcp = {row[0]: row[1:] for row in known.hcp.select("hcp_id", "specialty", "match_confidence", "pdrp").iter_rows()}
        self._held = frozenset(known.held)
        self._channel_held = frozenset(known.channel_held.select("hcp_id", "channel").iter_rows())
        self._cover = _keyed(known.cover.select("hcp_id", "product", "channel", "rep_id", "territory").iter_rows())
        self._consent = {row[:3]: row[3] for row in known.consent.select("hcp_id", "channel", "purpose", "status").iter_rows()}
        self._content = _keyed(on_file(known.content, known.now).select("content_id", "product", "channel", "status", "valid_to").iter_rows())
        self._inquiries = {row[:2]: row[2] for row in open_inquiries(known.inquiries, known.now).iter_rows()}
        self._scores = {row[:2]: row[2:] for row in known.scores.select("hcp_id", "product", "lead_score", "rx_at", "rx_loaded_at").iter_rows()}
        self._contacts: dict[str, list[tuple[int, str]]] = {}
        for hcp, channel, at in known.contacts.sort("at").select("hcp_id", "channel", "at").iter_rows():
            self._contacts.setdefault(hcp, []).append((at, channel))
        self._oldest_rx = max((age for feed in ("rx", "brick_rx") if (age := known.feed_age_h.get(feed)) is not None), default=None)
        self._stopped = frozenset(known.stopped)
        self._served: dict[frozenset[str], Sequence[str]] = {}

    def covered(self, hcp_id: str, product: str, channel: str) -> tuple[str | None, str | None]:
        """Who covers the HCP for a product in a channel, and in which territory."""
        rep, territory = self._cover.get((hcp_id, product, channel), (None, None))
        return rep, territory

    def contacts(self, hcp_id: str) -> Sequence[tuple[int, str]]:
        """Every contact with the HCP, by when it was: at, channel."""
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

    def facts(
        self, proposal: Proposal, now: int, more: Sequence[tuple[int, str]] = (), *, stopped: bool = False, but: tuple[int, str] | None = None
    ) -> dict[str, Any]:
        """Every fact of the dictionary at `now`, of which contacts made since what is known was taken count as `more` (at, channel); `stopped`: a stop that
        came since says that the HCP is to be left alone; `but`: the contact that the proposal itself asked for, which is not counted where it is known."""
        known, hcp, later = self.known, proposal.hcp_id, -(-(now - self.known.now) // HOUR)  # data are taken for older than they are, never for newer
        charter, held = self._charters.get(proposal.agent), self._hcp.get(hcp)
        content = self._content.get((proposal.content_id, proposal.product, proposal.channel))
        score, rx_at, rx_loaded_at = self._scores.get((hcp, proposal.product), (None, None, None))
        made = list(self._contacts.get(hcp, ()))
        if but in made:
            made.remove(but)
        age = {name: None if (hours := known.feed_age_h.get(feed)) is None else hours + later for name, feed in _AGES.items()}
        feed_age = None if self._oldest_rx is None else self._oldest_rx + later
        return {
            **{name: getattr(proposal, name) for name in _PROPOSED},
            "charter_live": None if charter is None else now < charter.expires and self._people[charter.owner].active(now),
            "charter_channel": None if charter is None else proposal.channel in charter.channels,
            "charter_product": None if charter is None else proposal.product in charter.products,
            "held_out": hcp in self._held,
            "channel_held_out": (hcp, proposal.channel) in self._channel_held,
            "hcp_known": held is not None,
            "specialty": held and held[0],
            "match_confidence": held and held[1],
            "pdrp": held and held[2],
            "hcp_stopped": stopped or hcp in self._stopped,
            "aligned": (hcp, proposal.product, proposal.channel) in self._cover,
            "consent": self._consent.get((hcp, proposal.channel, proposal.purpose)),
            "content_status": content and content[0],
            "content_channel": content is not None,
            "content_expires_h": (content[1] - now) // HOUR if content is not None and content[1] < FOREVER else None,
            **_counts(made, more, proposal.channel, now),
            "open_inquiries": self._inquiries.get((hcp, proposal.product), 0),
            "lead_score": score,
            "rx_age_h": None if rx_at is None else (now - rx_at) // HOUR,
            "rx_feed_age_h": feed_age if rx_loaded_at is None else (now - rx_loaded_at) // HOUR,
            "model_age_h": None if known.model_age_h is None else known.model_age_h + later,
            "market": known.market,
            "lead_model": known.models.get("lead-score"),
            "response_model": known.models.get("response"),
            **age,
        }


_AGES = {"consent_feed_age_h": "consent", "alignment_feed_age_h": "alignments"}


def _keyed(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {row[:3]: row[3:] for row in rows}


def _counts(made: Sequence[tuple[int, str]], more: Sequence[tuple[int, str]], channel: str, now: int) -> Mapping[str, int]:
    recent = [each for each in made[bisect_left(made, (now - 365 * DAY, "")) :] if each[0] < now] + list(more)
    weeks = [each for each in recent if each[0] >= now - 28 * DAY]
    return {
        "contacts_7d": sum(at >= now - 7 * DAY for at, _ in weeks),
        "contacts_28d": len(weeks),
        "channel_contacts_28d": sum(by == channel for _, by in weeks),
        "channel_contacts_365d": sum(by == channel for _, by in recent),
    }
