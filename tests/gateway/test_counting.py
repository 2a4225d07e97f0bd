"""Limits between cycles: counted in the turn that decides, from the log and what the cycle left; never exceeded, whatever order things come in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.authority import Limit, load_table
from remit.gateway import Asked, Counts, Made, Room, Single, Standing, Tally, histories
from remit.gateway.between import Decision, decide
from remit.gateway.queue import refusal
from remit.ledger import Fresh
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS
from remit.terms.instants import DAY, HOUR
from tests.gateway.test_facts import CHARTER, NOW, PEOPLE, fill, known

HCPS = ("H1", "H2", "H3")
CELL = ("email", "email", "alpha", "promotional")
OPEN = """version: 1
name: open
owner: owner
rows:
  - {id: all, when: 'TRUE', verdict: autonomous, owner: owner, reason: All may pass.}
"""


def limit(of: str = "actions", most: float = 2, within: str = "1 day", **more: Any) -> Limit:
    return Limit("few", of, more.pop("per", ()), within, round(most * MICRO), more, "owner", "So.")


class Worker:
    """One worker at a log, as a clerk decides: the tally takes in what was recorded, the decision's entry is recorded with a number of its own."""

    def __init__(
        self, limits: Sequence[Limit], made: Sequence[Made] = (), contacts: Sequence[dict[str, object]] = (), prices: dict[str, int] | None = None
    ) -> None:
        of = known(
            scores=fill(known().scores, *({"hcp_id": hcp, "product": "alpha"} for hcp in HCPS)),
            contacts=fill(known().contacts, *contacts),
        )
        table = load_table(OPEN, PEOPLE, FACTS, 0)
        table = replace(table, limits=tuple(limits))
        uses = {"budget/email": MICRO // 2}
        self.charter = Charter("email", "email", "o", "promotional", "owner", (), ("email",), ("alpha",), 10_000, NOW + 900 * DAY, 0, uses, {})
        self.standing = Standing(
            "cycle-0001", of.now, table, {"email": self.charter}, {"email": Room({}, 99, False)}, {"promotional": prices or {}},
            {"budget/email": 1000 * MICRO}, 99, 99, "28 days", Single(of, [CHARTER], PEOPLE), b"secret",
        )  # fmt: skip
        self.log: list[Fresh] = []
        self.made, self.known = made, histories(of.contacts)

    def tally(self) -> Tally:
        return Tally(0, counts=Counts(self.standing.table.limits, self.made, self.known))

    def ask(self, tally: Tally, hcp: str, now: int, value: int = MICRO) -> Decision:
        tally.take(self.log[tally.seq :])
        seq = len(self.log)
        decision = decide(
            Asked(f"k{seq}", hcp, "email", "alpha", "promotional", value), self.charter, self.standing, self.standing.table, tally, hcp.encode(), seq, now
        )
        self.log.append(Fresh(seq, decision.entry.kind, hcp.encode(), dict(decision.entry.body)))
        tally.take(self.log[seq:])
        return decision

    def refuse(self, action: int, now: int) -> None:
        body = self.log[action].body
        self.log.append(Fresh(len(self.log), "refused", None, dict(refusal(action, "no", now, int(body["at"]), body["uses"]).body)))


def test_the_last_one_is_given_once_and_the_next_is_told_why() -> None:
    worker = Worker([limit()])
    tally = worker.tally()
    assert [worker.ask(tally, hcp, NOW).disposition for hcp in HCPS] == ["chosen", "chosen", "outbid"]
    said = worker.ask(tally, "H1", NOW).place
    assert said is not None
    assert said.why == "the limit `few` is reached: 2 of 2"


def test_two_workers_count_what_either_recorded() -> None:
    worker = Worker([limit(most=1)])
    one, other = worker.tally(), worker.tally()
    assert worker.ask(one, "H1", NOW).disposition == "chosen"
    assert worker.ask(other, "H2", NOW).disposition == "outbid"


def test_what_the_cycle_left_counts_until_its_span_is_over() -> None:
    worker = Worker([limit()], [Made(NOW, *CELL, 2, 2, {}), Made(NOW - 2 * DAY, *CELL, 50, 50, {})])
    assert worker.ask(worker.tally(), "H1", NOW + DAY - 1).disposition == "outbid"
    assert worker.ask(worker.tally(), "H1", NOW + DAY).disposition == "chosen"


def test_what_was_refused_is_given_back_once() -> None:
    worker = Worker([limit(most=1)])
    tally = worker.tally()
    worker.ask(tally, "H1", NOW)
    worker.refuse(0, NOW + 1)
    assert worker.ask(tally, "H2", NOW + 1).disposition == "chosen"
    assert worker.ask(tally, "H3", NOW + 2).disposition == "outbid"


def test_a_clock_set_back_gives_nothing_twice() -> None:
    worker = Worker([limit(most=1)])
    tally = worker.tally()
    worker.ask(tally, "H1", NOW + HOUR)
    assert worker.ask(tally, "H2", NOW).disposition == "outbid"


def test_spend_counts_amounts_and_keys_are_apart() -> None:
    spend = limit("budget/email", most=1.25, within="ever")
    worker = Worker([spend], [Made(0, *CELL, 1, 1, {"budget/email": MICRO // 4})])
    tally = worker.tally()
    assert [worker.ask(tally, "H1", NOW).disposition for _ in range(3)] == ["chosen", "chosen", "outbid"]
    others = Made(NOW, "calls", "call", "alpha", "promotional", 9, 9, {})
    assert Worker([limit(per=("agent",))], [others]).ask(worker.tally(), "H1", NOW).disposition == "chosen"
    apart = Worker([limit(per=("agent",))], [others])
    assert apart.ask(apart.tally(), "H1", NOW).disposition == "chosen"
    together = Worker([limit()], [others])
    assert together.ask(together.tally(), "H1", NOW).disposition == "outbid"


def test_a_limit_per_hcp_counts_known_contacts_and_new_ones() -> None:
    week = limit("contacts", per=("hcp",), within="7 days", purpose=("promotional",))
    had = [
        {"hcp_id": "H1", "channel": "call", "purpose": "promotional", "at": NOW - DAY},
        {"hcp_id": "H1", "channel": "call", "purpose": "medical", "at": NOW - DAY},
        {"hcp_id": "H2", "channel": "call", "purpose": "promotional", "at": NOW - 7 * DAY},
    ]
    worker = Worker([week], contacts=had)
    tally = worker.tally()
    assert [worker.ask(tally, "H1", NOW).disposition for _ in range(2)] == ["chosen", "outbid"]
    assert [worker.ask(tally, "H2", NOW).disposition for _ in range(3)] == ["chosen", "chosen", "outbid"]
    channel = Worker([limit("contacts", per=("hcp", "channel"), most=1, within="7 days")], contacts=had)
    assert channel.ask(channel.tally(), "H1", NOW).disposition == "chosen"


def test_what_takes_the_last_of_a_limit_pays_its_price() -> None:
    worker = Worker([limit()], prices={"limit/few": 3 * MICRO, "budget/email": 2 * MICRO})
    poor = worker.ask(worker.tally(), "H1", NOW, value=3 * MICRO)
    assert poor.place is not None
    assert (poor.place.rent, poor.disposition) == (4 * MICRO, "outbid")
    assert dict(poor.place.uses) == {"budget/email": MICRO // 2}


EVENTS = st.lists(st.tuples(st.sampled_from(["ask", "ask", "ask", "refuse"]), st.integers(0, 2), st.integers(0, 30), st.integers(0, 1)), max_size=40)
LIMITS = st.lists(
    st.one_of(
        st.builds(limit, of=st.just("actions"), most=st.integers(0, 4), within=st.sampled_from(["6 hours", "1 day", "ever"])),
        st.builds(
            limit,
            of=st.just("budget/email"),
            most=st.sampled_from([0.5, 0.75, 2]),
            within=st.sampled_from(["1 day", "ever"]),
            per=st.just(("agent", "product")),
        ),
        st.builds(limit, of=st.just("contacts"), most=st.integers(0, 2), within=st.sampled_from(["6 hours", "1 day"]), per=st.just(("hcp",))),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(LIMITS, EVENTS)
def test_no_sequence_of_proposals_and_refusals_by_two_workers_exceeds_a_limit(limits: list[Limit], events: list[tuple[str, int, int, int]]) -> None:
    """Counted anew by the plainest means after each step, within every span that ends there; and what is turned away for a limit would exceed it."""
    limits = [replace(each, id=f"few-{place}") for place, each in enumerate(limits)]
    worker, now = Worker(limits), NOW
    tallies, stands = [worker.tally(), worker.tally()], dict[int, tuple[int, str]]()
    for what, hcp, later, who in events:
        now += later * HOUR
        if what == "refuse":
            if stands:
                seq = sorted(stands)[hcp % len(stands)]
                del stands[seq]
                worker.refuse(seq, now)
            continue
        seq = len(worker.log)
        decision = worker.ask(tallies[who], HCPS[hcp], now)
        over = [each for each in limits if _count(each, {**stands, seq: (now, HCPS[hcp])}, now, HCPS[hcp]) > each.most]
        assert (decision.disposition == "outbid") == bool(over)
        if decision.disposition == "chosen":
            stands[seq] = (now, HCPS[hcp])


def _count(each: Limit, stands: dict[int, tuple[int, str]], now: int, hcp: str) -> int:
    span = {"6 hours": 6 * HOUR, "1 day": DAY, "ever": now}[each.within]
    amount = MICRO // 2 if each.of == "budget/email" else MICRO
    return sum(amount for at, who in stands.values() if at > now - span and (not each.per_hcp or who == hcp))


@pytest.mark.parametrize("where", [{"channel": ("call",)}, {"agent": ("calls",)}, {"product": ("beta",)}, {"purpose": ("medical",)}])
def test_a_limit_that_speaks_of_others_does_not_bind(where: dict[str, tuple[str, ...]]) -> None:
    worker = Worker([limit(most=0, **where)])
    assert worker.ask(worker.tally(), "H1", NOW).disposition == "chosen"
