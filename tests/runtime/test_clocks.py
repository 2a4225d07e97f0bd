"""The machine's clock is set back by an hour: nothing is decided before what is recorded, no limit opens again, no deadline moves away."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import polars as pl
import pytest

from remit.gateway import Clerk, GatewayError, Renewed
from remit.gateway.clocks import SKEW_US, steady
from remit.ledger import open_ledger, read_ledger
from remit.runtime import commands, confirming, rights
from remit.runtime.run import load_feeds, next_instant, present
from remit.runtime.standing import deliverer, take_place
from remit.runtime.workspace import Config, Workspace, config_texts, read_config
from remit.terms.encoding import MICRO
from remit.terms.instants import HOUR, format_instant
from remit.terms.proposals import Proposal
from tests.runtime.conftest import amended, quiet
from tests.runtime.test_between import free, rules
from tests.runtime.test_rederiving import LABEL, ask


class Hand:
    """A clock whose hand is moved."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def ticking(workspace: Workspace) -> Workspace:
    """A workspace that goes by the machine's clock."""
    return by_the_machine(workspace)


def by_the_machine(workspace: Workspace) -> Workspace:
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(text.replace('mode = "stepped"', 'mode = "system"'))
    return workspace


@contextmanager
def place(workspace: Workspace, hand: Hand) -> Iterator[tuple[Clerk, Config]]:
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        yield take_place(workspace, ledger, hand, 1)


def proposal(hcp: str) -> Proposal:
    return Proposal(hcp, "email", "email", "alpha", None, "promotional", "promotional", 1, MICRO, None, mandatory=False)


def cycled(workspace: Workspace) -> int:
    with closing(read_ledger(workspace.ledger)) as records:
        return max(int(entry.body["now"]) for entry in records.entries(kind="cycle"))


def test_two_machines_may_be_half_a_minute_apart_and_time_goes_on() -> None:
    assert steady(10 * HOUR, 9 * HOUR) == 10 * HOUR
    assert steady(10 * HOUR - SKEW_US, 10 * HOUR) == 10 * HOUR
    with pytest.raises(GatewayError, match=r"stands at .*, and .* is recorded already"):
        steady(10 * HOUR - SKEW_US - 1, 10 * HOUR)


def test_set_back_by_an_hour_nothing_is_decided_or_handed_over_and_then_it_goes_on(ticking: Workspace) -> None:
    hand = Hand(cycled(ticking) + 2 * HOUR)
    with place(ticking, hand) as (clerk, config):
        hcps = free(clerk)
        (before,) = ask(clerk, hcps[:1])
        hand.at -= HOUR
        with pytest.raises(GatewayError, match="the machine's clock stands at"):
            ask(clerk, hcps[1:2])
        with pytest.raises(GatewayError, match="the machine's clock stands at"):
            clerk.act(deliverer(ticking, config))
        with pytest.raises(GatewayError, match="the machine's clock stands at"), place(ticking, hand):
            pass
        hand.at += HOUR - SKEW_US // 2
        (after,) = ask(clerk, hcps[1:2])
        assert after.body["at"] == before.body["at"]  # as if it had stood still
        assert clerk.act(deliverer(ticking, config)) == (2, 0)
    assert [each["differs"] for each in commands.replay(ticking.root, LABEL, 1, quiet)["between"]] == [[]]


def test_a_limit_that_was_reached_stays_reached(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    limits = "limits:\n  - {id: few, of: actions, per: [agent], within: 3 hours, most: 2, owner: owner-email, reason: A test.}\n"
    table.write_text(table.read_text().replace("\nrows:\n", f"\n{limits}rows:\n", 1))
    amended(workspace)
    ticking, made = by_the_machine(workspace), list[tuple[int, str]]()
    hand = Hand(cycled(ticking) + 2 * HOUR)
    with place(ticking, hand) as (clerk, _):
        for number, hcp in enumerate(free(clerk)[:12]):
            hand.at += HOUR if number % 4 else -HOUR
            try:
                made += [(answer.body["at"], answer.disposition) for answer in ask(clerk, [hcp])]
            except GatewayError:
                continue
    chosen = [at for at, disposition in made if disposition == "chosen"]
    assert [at for at, _ in made] == sorted(at for at, _ in made)
    assert len(chosen) > 2
    assert all(later - earlier >= 3 * HOUR for earlier, later in zip(chosen, chosen[2:], strict=False))


def test_a_deadline_that_passed_stays_passed_and_no_cycle_is_run_before_what_was_decided(ticking: Workspace) -> None:
    hand = Hand(cycled(ticking) + 2 * HOUR)
    with place(ticking, hand) as (clerk, _):
        hcps = free(clerk)
        (waits,) = ask(clerk, hcps[:1], value=900 * MICRO)
        assert waits.disposition == "waiting"
        hand.at = int(waits.body["deadline"]) + HOUR
        ask(clerk, hcps[1:2])
    hand.at -= 2 * HOUR
    with closing(open_ledger(ticking.ledger, entropy=os.urandom)) as ledger:
        config = read_config(config_texts(ticking))
        now = present(ledger, config.settings, hand)
        assert now > int(waits.body["deadline"])
        with pytest.raises(Exception, match="deadline"):
            confirming.approve(ticking, ledger, config, ledger.entry(waits.entry).leaf, "brand-lead-alpha", None, 1, now)
        with pytest.raises(GatewayError, match="the machine's clock stands at"):
            next_instant(ledger, config.settings, hand)


def test_a_consent_that_ends_holds_no_longer_than_it_says(ticking: Workspace) -> None:
    hand = Hand(cycled(ticking) + 2 * HOUR)
    ends = hand.at + HOUR
    with place(ticking, hand) as (clerk, config):
        first, second, *_ = free(clerk)
        held = clerk.standing.single.known.consent.filter(pl.col("hcp_id").is_in([first, second]), channel="email", purpose="promotional")
    said = held.select("hcp_id", "valid_from").iter_rows()
    lines = [f"{hcp},email,promotional,opt_in,{format_instant(since)},{format_instant(ends)}," for hcp, since in said]
    (ticking.feeds / "consent" / "ends.csv").write_text("hcp_id,channel,purpose,status,valid_from,valid_to,received_at\n" + "\n".join(lines) + "\n")
    with closing(open_ledger(ticking.ledger, entropy=os.urandom)) as ledger:
        load_feeds(ticking, config, ledger, hand.at, os.urandom)
    with place(ticking, hand) as (clerk, config):
        (before,) = ask(clerk, [first])
        assert before.disposition == "chosen"
        hand.at = ends - 1
        assert clerk.standing.single.facts(proposal(first), hand.at)["consent"] == "opt_in"
        hand.at = ends
        assert clerk.act(deliverer(ticking, config)) == (0, 1)
        (after,) = ask(clerk, [second])
        assert after.payload is not None
        assert (after.disposition, after.payload["context"]["facts"]["consent"]) == ("forbidden", None), held
    assert [each["differs"] for each in commands.replay(ticking.root, LABEL, 1, quiet)["between"]] == [[]]


def test_a_place_is_over_once_what_the_warehouse_says_begins_or_ends_but_is_good_for_a_minute(ticking: Workspace) -> None:
    hand = Hand(cycled(ticking) + 2 * HOUR)
    with place(ticking, hand) as (clerk, config):
        state = clerk.standing.single.known.hcp
    ends = [hand.at + after for after in (HOUR, 30_000_000)]
    lines = [f"R1,T1,{hcp},field,alpha,true,{format_instant(hand.at - HOUR)},{format_instant(end)}" for hcp, end in zip(state["hcp_id"][:2], ends, strict=True)]
    header = "rep_id,territory,hcp_id,sales_force,product,exclusive,valid_from,valid_to"
    for number, expected in ((1, ends[0]), (2, hand.at + 60_000_000)):
        (ticking.feeds / "alignments" / f"{number}.csv").write_text("\n".join([header, *lines[:number]]) + "\n")
        with closing(open_ledger(ticking.ledger, entropy=os.urandom)) as ledger:
            load_feeds(ticking, config, ledger, hand.at, os.urandom)
        with place(ticking, hand) as (clerk, _):
            assert clerk.standing.until == expected
    hcp, *_ = free(clerk)
    with place(ticking, hand) as (clerk, _):
        assert not clerk.over()
        hand.at += 60_000_000
        assert clerk.over()
        with pytest.raises(Renewed):
            ask(clerk, [hcp])
    with place(ticking, hand) as (clerk, _):  # within a minute of the place before, and yet another
        assert clerk.standing.until is not None
        assert clerk.standing.until == ends[0]


def test_a_table_comes_into_force_when_it_says_for_a_worker_that_has_its_place(ticking: Workspace) -> None:
    hand = Hand(cycled(ticking) + 2 * HOUR)
    table, begins = ticking.root / "authority.yaml", hand.at + 3 * HOUR
    with closing(open_ledger(ticking.ledger, entropy=os.urandom)) as ledger:
        config = read_config(config_texts(ticking))
        row = "  - {id: none-now, when: channel = 'email', verdict: forbidden, owner: owner-email, reason: A test.}\n"
        no = f"effective: {format_instant(begins)}\nrows:\n{row}"
        version = config.read_table(hand.at).version
        text = table.read_text().replace("\nrows:\n", f"\n{no}", 1).replace(f"version: {version}\n", f"version: {version + 1}\n", 1)
        told = rights.propose(ticking, ledger, config, text, "owner-email", "a test", hand.at)
        rights.approve(ticking, ledger, config, told["table"], "owner-authority", hand.at)
    with place(ticking, hand) as (clerk, _):
        assert clerk.standing.until == begins
        first, second, *_ = free(clerk)
        assert ask(clerk, [first])[0].disposition == "chosen"
        hand.at = begins
        with pytest.raises(Renewed):
            ask(clerk, [second])
    with place(ticking, hand) as (clerk, _):
        (after,) = ask(clerk, [second])
        assert (after.disposition, "none-now" in rules(after)) == ("forbidden", True)
