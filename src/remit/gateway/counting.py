"""Counting against the limits of a table: what was made, by whom, when; and between cycles whether one more may be."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from remit.authority import Limit
from remit.terms.encoding import MICRO
from remit.terms.proposals import Proposal

History = Sequence[tuple[int, str, str]]
"""Contacts with one HCP: at, channel, purpose."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was recorded at one instant and not refused, of one agent, channel, product and purpose: `uses` in micro-units by resource. Below nothing, what was
    taken back."""

    at: int
    agent: str
    channel: str
    product: str
    purpose: str
    actions: int
    contacts: int
    uses: Mapping[str, int]

    def of(self, limit: Limit) -> int:
        """How much of what `limit` counts, in micro-units; 0 where it speaks of others."""
        if not limit.speaks_of(agent=self.agent, channel=self.channel, product=self.product, purpose=self.purpose):
            return 0
        return {"actions": self.actions * MICRO, "contacts": self.contacts * MICRO}.get(limit.of, self.uses.get(limit.of, 0))

    def under(self, limit: Limit) -> str:
        """The name of the count of `limit` that it falls under."""
        return limit.name(agent=self.agent, channel=self.channel, product=self.product)


def counted(limits: Iterable[Limit], made: Iterable[Made], now: int) -> dict[str, int]:
    """What counts at `now` under each name of the limits that are not per HCP, in micro-units."""
    begins = [(limit, limit.since(now)) for limit in limits if not limit.per_hcp]
    total: dict[str, int] = {}
    for each in made:
        for limit, since in begins:
            if (since is None or each.at > since) and (amount := each.of(limit)):
                total[each.under(limit)] = total.get(each.under(limit), 0) + amount
    return total


def histories(contacts: pl.DataFrame) -> dict[str, list[tuple[int, str, str]]]:
    """Contacts (hcp_id, channel, purpose, at) by HCP."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for hcp, *contact in contacts.select("hcp_id", "at", "channel", "purpose").iter_rows():
        found.setdefault(hcp, []).append(tuple(contact))
    return found


def contacts_under(limit: Limit, history: History, channel: str, now: int) -> int:
    """How many of an HCP's contacts count at `now` under a limit per HCP, for one more through `channel`."""
    since, own = limit.since(now), "channel" in limit.per
    return sum((since is None or at > since) and (not own or by == channel) and limit.speaks_of(channel=by, purpose=purpose) for at, by, purpose in history)


class _Window:
    """Amounts by instant, summed while they are within a span that only moves on."""

    __slots__ = ("_amounts", "_first", "total")

    def __init__(self) -> None:
        self._amounts: list[tuple[int, int]] = []
        self._first, self.total = 0, 0

    def add(self, at: int, amount: int) -> None:
        insort(self._amounts, (at, amount), lo=self._first)
        self.total += amount

    def take_back(self, at: int, amount: int) -> None:
        place = bisect_left(self._amounts, (at, amount), lo=self._first)
        if place < len(self._amounts) and self._amounts[place] == (at, amount):
            del self._amounts[place]
            self.total -= amount

    def within(self, since: int | None) -> int:
        while since is not None and self._first < len(self._amounts) and self._amounts[self._first][0] <= since:
            self.total -= self._amounts[self._first][1]
            self._first += 1
        return self.total


@dataclass(slots=True)
class Counts:
    """What counts against `limits` between cycles: `made` by what is known, and each HCP's contacts as known (`known`, by id) and since (`since`, by
    reference). What fell out of a limit's span stays out, also if the clock is set back."""

    limits: Sequence[Limit] = ()
    made: Sequence[Made] = ()
    known: Mapping[str, History] = field(default_factory=dict)
    since: dict[bytes, list[tuple[int, str, str]]] = field(default_factory=dict)
    _windows: dict[str, _Window] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in self.made:
            self._count(each, 1)

    def add(self, each: Made, ref: bytes | None) -> None:
        """Counts what was recorded of the HCP with the reference `ref`."""
        self._count(each, 1)
        if ref is not None and self._per_hcp():
            self.since.setdefault(ref, []).append((each.at, each.channel, each.purpose))

    def contact(self, ref: bytes, contact: tuple[int, str, str]) -> None:
        """Counts a contact with an HCP that no agent's action made: at, channel, purpose."""
        if self._per_hcp():
            self.since.setdefault(ref, []).append(contact)

    def take_back(self, each: Made, ref: bytes | None) -> None:
        """Counts no longer what was counted and then refused."""
        self._count(each, -1)
        contact = (each.at, each.channel, each.purpose)
        if ref is not None and contact in self.since.get(ref, ()):
            self.since[ref].remove(contact)

    def reached(self, proposal: Proposal, ref: bytes, uses: Mapping[str, int], now: int) -> str | None:
        """The first limit that one more action of a contact of its own, which `uses` so much, would exceed, in words; None if there is none."""
        one = one_more(proposal, uses, now)
        for limit in self.limits:
            if limit.per_hcp:
                if not limit.speaks_of(channel=one.channel, purpose=one.purpose):
                    continue
                history = (*self.known.get(proposal.hcp_id, ()), *self.since.get(ref, ()))
                had, amount = contacts_under(limit, history, one.channel, now) * MICRO, MICRO
            else:
                amount = one.of(limit)
                window = self._windows.get(one.under(limit))
                had = 0 if window is None else window.within(limit.since(now))
            if amount and had + amount > limit.most:
                return f"the limit `{limit.id}` is reached: {had / MICRO:g} of {limit.most / MICRO:g}"
        return None

    def _per_hcp(self) -> bool:
        return any(limit.per_hcp for limit in self.limits)

    def _count(self, each: Made, sign: int) -> None:
        for limit in self.limits:
            if limit.per_hcp or not (amount := each.of(limit)):
                continue
            window = self._windows.setdefault(each.under(limit), _Window())
            (window.add if sign > 0 else window.take_back)(each.at, amount)


def one_more(proposal: Proposal, uses: Mapping[str, int], at: int) -> Made:
    """An action that is a contact of its own."""
    return Made(at, proposal.agent, proposal.channel, proposal.product, proposal.purpose, 1, 1, uses)


def rents(limits: Iterable[Limit], one: Made) -> dict[str, int]:
    """What an action takes of the limits that have a price, by name."""
    return {one.under(limit): amount for limit in limits if not limit.per_hcp and (amount := one.of(limit))}
