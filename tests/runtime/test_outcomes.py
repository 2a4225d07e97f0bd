"""What agents report of their actions: recorded once, an opt-out at once, take-up as the feed would tell it, words for safety alone."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pytest

from remit.gateway import Answer, Clerk, GatewayError, Outcome, Reported
from remit.intake import freshness, read
from remit.ledger import Ledger
from remit.runtime import commands, queue_commands, reported_commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer
from remit.runtime.told import with_opt_outs
from remit.runtime.workspace import Workspace
from remit.terms.encoding import MICRO
from tests.runtime.conftest import quiet
from tests.runtime.test_between import asked, free, one, place, rules


@contextmanager
def acted(workspace: Workspace) -> Iterator[tuple[Clerk, Ledger, str, Answer]]:
    """An e-mail that was handed over."""
    with place(workspace) as (clerk, config, ledger):
        hcp, *_ = free(clerk)
        answer = one(clerk, config, asked(clerk, hcp))
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
        yield clerk, ledger, hcp, answer


def test_an_outcome_is_recorded_once_and_other_words_with_it_are_kept(workspace: Workspace) -> None:
    with acted(workspace) as (clerk, ledger, hcp, answer):
        at, size = clerk.standing.single.known.now + 5, ledger.size
        first = clerk.report("email", answer.id, Outcome("replied", at, "I had a rash"))
        again = clerk.report("email", answer.id, Outcome("replied", at, "I had a rash"))
        assert isinstance(first, Reported)
        assert first == again
        assert ledger.size == size + 1
        stored = ledger.entry(first.entry)
        assert stored.body == {"action": answer.entry, "agent": "email", "channel": "email", "product": "alpha", "what": "replied", **times(stored.body)}
        assert stored.payload is not None
        assert stored.payload["text"] == "I had a rash"
        assert (stored.hcp_id, stored.payload["hcp_id"]) == (hcp, hcp)
        assert b"rash" not in (workspace.ledger.folder / "ledger.db").read_bytes()
        for _ in range(2):
            assert clerk.report("email", answer.id, Outcome("replied", at, "and a fever")) == first
        assert ledger.size == size + 2
    told = reported_commands.words(workspace.root, "safety-lead")
    assert [row["text"] for row in told["words"]] == ["I had a rash", "and a fever"]
    assert reported_commands.reported(workspace.root) == {
        "reported": [{"agent": "email", "channel": "email", "what": "replied", "says": "the physician answered", "reported": 1}],
        "words": 2,
    }
    for nobody in ("", "compliance-lead", "stranger"):
        with pytest.raises(WorkspaceError, match="safety-lead"):
            reported_commands.words(workspace.root, nobody)


def times(body: dict[str, Any]) -> dict[str, int]:
    return {name: body[name] for name in ("occurred_at", "at")}


def test_only_of_its_own_actions_that_were_handed_over_and_at_a_time_that_can_be(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        hcp, other, *_ = free(clerk)
        answer, at = one(clerk, config, asked(clerk, hcp)), clerk.standing.single.known.now + 5
        with pytest.raises(GatewayError, match="nothing was handed over"):
            clerk.report("email", answer.id, Outcome("opened", at))
        clerk.act(deliverer(workspace, config))
        size = ledger.size
        assert clerk.report("msl", answer.id, Outcome("opened", at)) is None
        assert clerk.report("email", "0" * 32, Outcome("opened", at)) is None
        assert clerk.report("email", "0" * 32, Outcome("opened", at, entry=answer.entry)) is None
        assert clerk.report("email", answer.id, Outcome("opened", at, entry=ledger.size + 5)) is not None
        for wrong in (0, clerk.standing.single.known.now, at + clerk.standing.ahead):
            with pytest.raises(GatewayError, match="before the decision, or in the future"):
                clerk.report("email", answer.id, Outcome("opened", wrong))
        refused = one(clerk, config, asked(clerk, other, "k2", content_id="of-nobody"))
        with pytest.raises(GatewayError, match="`forbidden`: nothing was handed over"):
            clerk.report("email", refused.id, Outcome("opened", at))
        assert ledger.size == size + 2


def test_who_unsubscribed_gets_no_more_of_the_channel_from_that_entry_on(workspace: Workspace) -> None:
    """In the turn that follows, by a worker that heard of it in the log, in the queue, at the door, and in the next cycle; other channels go on."""
    with acted(workspace) as (clerk, _, hcp, answer), place(workspace) as (other, config, _):
        before = other.standing.single.known.consent
        second = next(each for each in free(other) if each != hcp)
        waiting = one(other, config, asked(other, second, "w"))
        other.act(deliverer(workspace, config))
        due = one(other, config, asked(other, next(each for each in free(other) if each not in (hcp, second)), "due"))
        assert (waiting.disposition, due.disposition) == ("chosen", "chosen")
        for done, by in ((answer, clerk), (waiting, other)):
            by.report("email", done.id, Outcome("unsubscribed", by.standing.single.known.now + 9))
        for number, by in enumerate((clerk, other)):
            told = one(by, config, asked(by, hcp, f"again-{number}"))
            assert told.disposition == "forbidden"
            assert "opted-out" in rules(told)
        assert other.act(deliverer(workspace, config)) == (1, 0)
    with place(workspace) as (clerk, config, _):
        theirs = pl.col("hcp_id").is_in([hcp, second]) & ~((pl.col("channel") == "email") & (pl.col("purpose") == "promotional"))
        assert clerk.standing.single.known.consent.filter(theirs).equals(before.filter(theirs), null_equal=True)
        assert "opted-out" in rules(one(clerk, config, asked(clerk, hcp, "later")))
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    about = pl.col("hcp_id").is_in([hcp, second]) & (pl.col("purpose") == "promotional")
    said = done.known.consent.filter(about)
    assert said.filter(channel="email")["status"].to_list() == ["opt_out"] * 2
    assert set(done.result.decisions.filter(about, channel="email")["ruling"]) <= {"forbidden"}
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3


def test_what_was_due_or_waited_when_its_physician_unsubscribed_is_not_handed_over(workspace: Workspace) -> None:
    charter, settings = workspace.root / "agents" / "email.yaml", workspace.settings_file
    charter.write_text(charter.read_text().replace("most_per_hcp: 1", "most_per_hcp: 3"))
    text = settings.read_text().replace("per_cycle = 2", "per_cycle = 3")
    settings.write_text(re.sub(r"(\[channels.email\][^\[]*)most_per_hcp = 1", r"\1most_per_hcp = 3", text))
    with acted(workspace) as (clerk, _, hcp, answer), place(workspace) as (_, config, _):
        due, waits = one(clerk, config, asked(clerk, hcp, "due")), one(clerk, config, asked(clerk, hcp, "waits", value=900 * MICRO))
        assert (due.disposition, waits.disposition) == ("chosen", "waiting")
        clerk.report("email", answer.id, Outcome("unsubscribed", clerk.standing.single.known.now + 9))
        assert clerk.act(deliverer(workspace, config)) == (0, 1)
        told = clerk.status("email", due.id)
        assert told is not None
        assert told.disposition == "refused"
    (item,) = [item for item in queue_commands.queue(workspace.root)["waiting"] if item["hcp_id"] == hcp and item["channel"] == "email"]
    refused = queue_commands.approve(workspace.root, item["digest"], "brand-lead-alpha", None, 1)
    assert refused["became"] == "refused"
    assert "opted-out" in refused["reason"]


def test_a_yes_that_was_given_since_ends_an_opt_out() -> None:
    consent = pl.DataFrame(
        {
            "hcp_id": ["A", "B", "C", "A"],
            "channel": ["email"] * 4,
            "purpose": ["promotional"] * 3 + ["medical"],
            "status": ["opt_in"] * 4,
            "valid_from": [5, 15, 5, 5],
        }
    )
    outs = pl.DataFrame({"hcp_id": ["A", "B", "D"], "channel": ["email"] * 3, "purpose": ["promotional"] * 3, "at": [10, 10, 10]})
    found = with_opt_outs(consent.with_columns(received_at="valid_from"), outs, ["email"])
    assert found.sort("hcp_id", "purpose").select("hcp_id", "purpose", "status").rows() == [
        ("A", "medical", "opt_in"),
        ("A", "promotional", "opt_out"),
        ("B", "promotional", "opt_in"),
        ("C", "promotional", "opt_in"),
        ("D", "promotional", "opt_out"),
    ]


def test_an_outcome_from_long_ago_is_reported_by_the_actions_entry(workspace: Workspace) -> None:
    with acted(workspace) as (clerk, _, hcp, answer):
        at = clerk.standing.single.known.now + 5
    for _ in range(2):
        run_cycle(workspace, 1, quiet)
    with place(workspace) as (clerk, config, ledger):
        assert clerk.report("email", answer.id, Outcome("unsubscribed", at)) is None
        assert clerk.report("msl", answer.id, Outcome("unsubscribed", at, entry=answer.entry)) is None
        size = ledger.size
        first = clerk.report("email", answer.id, Outcome("unsubscribed", at, entry=answer.entry))
        assert first is not None
        assert clerk.report("email", answer.id, Outcome("unsubscribed", at, entry=answer.entry)) == first
        assert ledger.size == size + 1
        assert "opted-out" in rules(one(clerk, config, asked(clerk, hcp, "later")))


def test_a_contact_that_was_taken_up_is_told_as_the_feed_would_and_counted_once(workspace: Workspace) -> None:
    with acted(workspace) as (clerk, _, hcp, answer):
        assert answer.payload is not None
        decision = f"{clerk.standing.label}/{answer.payload['number']}"
        at = clerk.standing.single.known.now
        clerk.report("email", answer.id, Outcome("clicked", at + 5))
        row = {"touch_id": "T-1", "hcp_id": hcp, "channel": "email", "product": "alpha", "purpose": "promotional", "decision": decision}
        row |= {"occurred_at": "2026-01-13T09:00:00Z", "content_id": "alpha-email-1", "received_at": "2026-01-14T09:00:00Z", "engaged": None}
    pl.DataFrame([row], schema=dict.fromkeys(row, pl.String)).write_csv(workspace.feeds / "touches" / "came-back.csv")
    done = run_cycle(workspace, 1, quiet)
    (touch,) = read(workspace.warehouse, "touches", done.now).filter(decision=decision).rows(named=True)
    assert (touch["touch_id"], touch["engaged"], touch["content_id"]) == ("T-1", True, "alpha-email-1")
    made = done.known.contacts.filter((pl.col("hcp_id") == hcp) & (pl.col("channel") == "email"))["at"].to_list()
    assert (made.count(touch["occurred_at"]), made.count(at + 1)) == (1, 0)
    assert done.loaded.warnings == ()
    (fresh,) = (each for each in freshness(workspace.warehouse, done.now) if each.table == "touches")
    assert fresh.last_load is not None
    assert fresh.last_load < done.now, "what Remit writes itself does not make the feed any younger"
    (own,) = (workspace.feeds / "touches").glob("remit-*.csv")
    assert own.name.startswith("remit-cycle-0003-")
    run_cycle(workspace, 1, quiet)
    assert len(list((workspace.feeds / "touches").glob("remit-*.csv"))) == 1
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 4


def test_words_of_an_erased_physician_are_gone_and_the_count_stays(workspace: Workspace) -> None:
    with acted(workspace) as (clerk, _, hcp, answer):
        clerk.report("email", answer.id, Outcome("complaint", clerk.standing.single.known.now + 5, "never again"))
    commands.erase(hcp, workspace.root, "request")
    assert reported_commands.words(workspace.root, "safety-lead")["words"] == []
    assert reported_commands.reported(workspace.root)["reported"][0]["reported"] == 1
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    with place(workspace) as (clerk, _, _), pytest.raises(GatewayError, match="safety department"):
        clerk.report("email", answer.id, Outcome("complaint", clerk.standing.single.known.now + 6, "more"))


def test_words_are_shown_as_they_are_and_never_as_controls(workspace: Workspace, remit: Callable[..., Any]) -> None:
    said = ["\x1b[2J", "[bold]x[/bold]", "line\nline"]
    with acted(workspace) as (clerk, _, _, answer):
        for number, text in enumerate(said):
            clerk.report("email", answer.id, Outcome("replied", clerk.standing.single.known.now + 5 + number, text))
    told = remit("outcomes", "reported", "--texts", "--by", "safety-lead", "-w", workspace.root)
    assert told.returncode == 0, told.stderr
    assert "\x1b" not in told.stdout
    assert all(text.replace("\x1b", "\\x1b").replace("\n", " / ") in told.stdout for text in said)
