"""Events between cycles: taken once, known at once and to the next cycle, asked about; an opt-out holds whatever else is wrong."""

import json
import os
import string
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.gateway import Answer, Arrived, Clerk, Event, GatewayError, Known, Taken, Tally
from remit.gateway.events import read_events
from remit.gateway.reporting import own_decisions, preferred, report
from remit.ledger import Ledger, open_ledger, read_ledger
from remit.runtime import commands, queue_commands, render_reported, reported_commands, timing
from remit.runtime.errors import WorkspaceError
from remit.runtime.handing import standing_inputs
from remit.runtime.office import Office, Place
from remit.runtime.prompting import Prompter
from remit.runtime.run import present, run_cycle
from remit.runtime.standing import deliverer, take_desk
from remit.runtime.timing import clocks
from remit.runtime.told import MARK, not_come_back, still_open, with_opt_outs
from remit.runtime.workspace import Config, Workspace, config_texts, read_config
from remit.terms.encoding import MICRO
from remit.terms.instants import DAY
from remit.terms.proposals import Proposal
from tests.runtime.conftest import quiet
from tests.runtime.test_between import asked, free, one, rules


@contextmanager
def desk(workspace: Workspace) -> Iterator[tuple[Clerk, Prompter, Config, Ledger]]:
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        clerk, prompt, config = take_desk(workspace, ledger, lambda: 7, 1)
        yield clerk, prompt, config, ledger


def roomy(clerk: Clerk) -> None:
    """As if the cycle had left enough of everything."""
    clerk.standing = replace(clerk.standing, prices={}, free={name: amount + 99 * MICRO for name, amount in clerk.standing.free.items()})


def event(clerk: Clerk, hcp: str, kind: str, key: str = "e1", **other: str) -> Event:
    return Event(key, hcp, kind, clerk.standing.single.known.now, **other)


def tell(clerk: Clerk, *events: Event, agent: str = "email") -> list[Taken | GatewayError]:
    return report(clerk, [Arrived(clerk.standing.charters[agent], each, 5) for each in events])


def decided(clerk: Clerk, prompt: Prompter, *events: Event, agent: str = "email") -> tuple[list[Taken], list[Answer]]:
    taken = [each for each in tell(clerk, *events, agent=agent) if isinstance(each, Taken)]
    answers = clerk.answer(*preferred(clerk, prompt(taken, clerk.tally)))
    assert not prompt.failures
    return taken, [each for each in answers if isinstance(each, Answer)]


def known_now(workspace: Workspace, ledger: Ledger) -> Known:
    config = read_config(config_texts(workspace))
    return standing_inputs(workspace, config, ledger, present(ledger, config.settings), 1).known


def disposition(clerk: Clerk, agent: str, name: str) -> str:
    found = clerk.status(agent, name)
    assert found is not None
    return found.disposition


def test_an_opt_out_stops_what_was_chosen_what_waits_and_what_comes_and_the_next_cycle_knows_it(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, config, ledger):
        first, second, third, *_ = free(clerk)
        chosen, waiting, other = (
            one(clerk, config, asked(clerk, hcp, hcp, value)) for hcp, value in ((first, 90 * MICRO), (second, 900 * MICRO), (third, 90 * MICRO))
        )
        assert [each.disposition for each in (chosen, waiting, other)] == ["chosen", "waiting", "chosen"]
        with desk(workspace) as (another, *_):  # another worker hears it
            taken = tell(another, event(clerk, first, "opt_out", channel="email", purpose="promotional"), event(clerk, second, "opt_out", "e2"))
            assert all(isinstance(each, Taken) for each in taken)
        forbidden = one(clerk, config, asked(clerk, first, "later"))
        assert (forbidden.disposition, "opted-out" in rules(forbidden)) == ("forbidden", True)
        assert [disposition(clerk, "email", each.id) for each in (chosen, waiting, other)] == ["refused", "refused", "chosen"]
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
        consent = known_now(workspace, ledger).consent
        out = consent.filter(pl.col("hcp_id").is_in([first, second]) & (pl.col("status") == "opt_out"))
        assert out.filter(hcp_id=first).select("channel", "purpose").rows() == [("email", "promotional")]
        assert out.filter(hcp_id=second).height == 3 * len(config.settings.channels)
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    emails = done.result.decisions.filter((pl.col("channel") == "email") & pl.col("hcp_id").is_in([first, second]))
    assert set(emails["consent"]) <= {"opt_out"}
    assert set(emails["ruling"]) <= {"forbidden"}
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 3
    commands.erase(second, workspace.root, "request")  # what was reported of it goes with it
    (replayed,) = commands.replay(workspace.root, "cycle-0003", 1, quiet)["cycles"]
    assert (replayed["differs"], replayed["compared"]) == ([], "proposals, facts and verdicts of the HCPs that remain")
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def test_an_opt_out_refuses_what_waits_of_a_cycle(workspace: Workspace) -> None:
    waits = queue_commands.queue(workspace.root)["waiting"]
    assert waits, "the example leaves something waiting"
    item = waits[0]
    with desk(workspace) as (clerk, _, _, _):
        agent = next(charter.agent for charter in clerk.standing.charters.values() if item["product"] in charter.products)
        tell(clerk, event(clerk, item["hcp_id"], "opt_out", channel=item["channel"]), agent=agent)
    assert item["digest"] not in {each["digest"] for each in queue_commands.queue(workspace.root)["waiting"]}


def test_a_key_is_taken_once_and_stands_in_no_opt_outs_way(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, config, ledger):
        hcp, other, *_ = free(clerk)
        opened, size = event(clerk, hcp, "opened", channel="email", product="alpha"), ledger.size
        first, twice = tell(clerk, opened, opened)
        (again,) = tell(clerk, opened)
        assert isinstance(first, Taken)
        assert isinstance(again, Taken)
        assert first == twice
        assert (again.id, again.entry) == (first.id, first.entry)
        assert ledger.size == size + 1
        strange, out = tell(clerk, replace(opened, kind="clicked"), event(clerk, other, "opt_out"))
        assert "used for another event" in str(strange)
        assert isinstance(out, Taken)
        assert one(clerk, config, asked(clerk, other)).disposition == "forbidden"
        when = Event("", other, "opt_out", 0)  # does not say when: each is one of its own
        names = {when.name(b"s", "email", received) for received in (1, 2, 2)}
        assert len(names | {opened.name(b"s", "email", received) for received in (1, 2)}) == 3


def test_what_is_out_of_reach_or_makes_no_sense_is_refused_alone_and_nothing_is_written(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, _, ledger):
        hcp, *_ = free(clerk)
        good, size, now = event(clerk, hcp, "opened", "good", channel="email", product="alpha"), ledger.size, clerk.now()
        found = tell(
            clerk,
            replace(good, hcp_id="nobody"),
            event(clerk, "nobody", "opt_out"),
            replace(good, channel="pigeon"),
            replace(good, product="gamma"),
            replace(good, product=None),
            replace(good, occurred_at=now + DAY),
            replace(good, occurred_at=now - 400 * DAY),
            good,
        )
        assert [type(each) for each in found] == [GatewayError] * 7 + [Taken]
        assert str(found[0]).removeprefix("good") == str(found[1]).removeprefix("e1")
        assert ledger.size == size + 1
        assert not ledger.holds("nobody")


def test_a_question_is_put_to_medical_work_alone_and_to_the_next_cycle(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, prompt, _, ledger):
        single = clerk.standing.single
        hcp = next(each for each in single.served(["alpha"]) if single.covered(each, "alpha", "msl_visit")[0] and not single._inquiries.get((each, "alpha")))
        (taken,), answers = decided(clerk, prompt, event(clerk, hcp, "inquiry", product="alpha", text="<b>is it?</b>"))
        assert {answer.body["agent"] for answer in answers} == {"msl"}
        (answer,) = answers
        assert answer.payload is not None
        assert answer.payload["context"]["facts"]["open_inquiries"] == 1
        assert answer.body["event"] == taken.id
        assert answer.body["clock"] == {"received": 5, "proposed": 7, "judged": 7}
        assert own_decisions(clerk, taken) == []  # e-mail reported it, and learns nothing of medical work
        entry = ledger.entry(taken.entry)
        assert entry.payload is not None
        assert entry.payload["text"] == "<b>is it?</b>"
        assert hcp not in json.dumps(entry.body)
        assert known_now(workspace, ledger).inquiries.filter(hcp_id=hcp, product="alpha", inquiry_id=f"{MARK}e1").height == 1


def test_engagement_has_the_agents_asked_and_the_reporter_learns_of_its_own_alone(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, prompt, config, ledger):
        roomy(clerk)
        hcps = free(clerk)[:12]
        events = [event(clerk, hcp, "opened", hcp, channel="email", product="alpha") for hcp in hcps]
        taken, answers = decided(clerk, prompt, *events[:8], agent="calls-alpha")
        others, more = decided(clerk, prompt, *events[8:])
        answers += more
        assert {answer.body["product"] for answer in answers} == {"alpha"}
        assert "calls-alpha" in {answer.body["agent"] for answer in answers} <= {"calls-alpha", "email"}
        assert {answer.body["agent"] for each in taken for answer in own_decisions(clerk, each)} == {"calls-alpha"}
        assert {answer.body["agent"] for each in others for answer in own_decisions(clerk, each)} <= {"email"}
        count = sum(answer.disposition == "chosen" for answer in answers)
        assert count
        size = ledger.size
        decided(clerk, prompt, *events[:8], agent="calls-alpha")
        assert ledger.size == size, "what came of an event is decided once"
        assert clerk.act(deliverer(workspace, config)) == (count, 0)
        (acted,) = ledger.entries(kind="acted", cycle=clerk.standing.label)
        assert acted.body["clock"] == 7


def test_a_visit_is_a_contact_for_every_decision_after_it_and_is_not_counted_twice(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, config, ledger):
        hcp, other, *_ = free(clerk)
        before = one(clerk, config, asked(clerk, other, "b")).payload
        visits = [event(clerk, hcp, "visited", f"v{number}", channel="call", product="alpha") for number in range(2)]
        tell(clerk, *visits, replace(visits[0], key="v3", decision=f"{clerk.standing.cycle}/0"))
        after = one(clerk, config, asked(clerk, hcp)).payload
        assert before is not None
        assert after is not None
        had = len([at for at, *_ in clerk.standing.single.contacts(hcp) if at >= clerk.now() - 28 * DAY])
        assert after["context"]["facts"]["contacts_28d"] == had + 3
        assert after["context"]["why"] == "the physician has had all contacts of this cycle"
        known = known_now(workspace, ledger).contacts.filter(hcp_id=hcp, at=clerk.standing.single.known.now, channel="call")
        assert known.height == 3  # the decision it names is none of ours


def test_a_visit_that_a_decision_asked_for_is_counted_with_that_and_one_that_names_anothers_is_not(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, _, ledger):
        (entry,) = ledger.entries(kind="acted", cycle=clerk.standing.cycle)
        actions = [ledger.entry(seq) for seq in entry.body["actions"]]
        calls = [each.payload for each in actions if each.payload is not None and each.payload["proposal"]["channel"] == "call"]
        first, second = calls[0], next(each for each in calls if each["hcp_id"] != calls[0]["hcp_id"])
        own = f"{clerk.standing.cycle}/{first['number']}"
        agent = first["proposal"]["agent"]
        said = {"channel": "call", "product": first["proposal"]["product"]}
        named = [event(clerk, hcp, "visited", key, **said, decision=own) for hcp, key in ((first["hcp_id"], "a"), (second["hcp_id"], "b"))]
        taken = tell(clerk, *named, event(clerk, first["hcp_id"], "visited", "c", **said, decision="cycle-0001/999999"), agent=agent)
        assert [ledger.entry(each.entry).body["counts"] for each in taken if isinstance(each, Taken)] == [False, True, True]
        again = tell(clerk, event(clerk, first["hcp_id"], "visited", "d", **said, decision=own), agent=agent)
        assert [ledger.entry(each.entry).body["counts"] for each in again if isinstance(each, Taken)] == [True], "one contact was asked for, and two were made"


def test_a_visit_that_a_decision_between_cycles_asked_for_is_counted_with_that(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, config, ledger):
        hcp, other, *_ = free(clerk)
        done, waits = one(clerk, config, asked(clerk, hcp, "a")), one(clerk, config, asked(clerk, other, "b"))
        named = {of.entry: f"{clerk.standing.label}/{of.body['number']}" for of in (done, waits)}
        said = {"channel": "email", "product": "alpha"}
        before = tell(clerk, event(clerk, hcp, "attended", "a", **said, decision=named[done.entry]))
        assert clerk.act(deliverer(workspace, config)) == (2, 0)
        after = tell(
            clerk,
            event(clerk, hcp, "attended", "b", **said, decision=named[done.entry]),
            event(clerk, hcp, "attended", "c", **said, decision=named[done.entry]),
            event(clerk, other, "attended", "d", channel="call", product="alpha", decision=named[waits.entry]),
        )
        counts = [ledger.entry(each.entry).body["counts"] for each in [*before, *after] if isinstance(each, Taken)]
        assert counts == [True, False, True, True]  # not handed over yet; it; a second; through another channel


def test_what_is_said_with_an_opt_out_is_not_written_in_the_clear(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, _, ledger):
        hcp, *_ = free(clerk)
        out = [event(clerk, hcp, "opt_out", "a", product="MRN-778899"), event(clerk, hcp, "opt_out", "b", product="alpha", channel="email")]
        assert [ledger.entry(each.entry).body["product"] for each in tell(clerk, *out) if isinstance(each, Taken)] == [None, "alpha"]


def test_the_words_with_an_event_are_read_by_safety_and_by_nobody_else(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, _, _):
        hcp, *_ = free(clerk)
        tell(clerk, event(clerk, hcp, "inquiry", "a", product="alpha", text="a rash after the second dose"), event(clerk, hcp, "opt_out", "b"))
    assert reported_commands.reported(workspace.root)["words"] == 1
    (said,) = reported_commands.words(workspace.root, "safety-lead")["words"]
    assert (said["hcp_id"], said["what"], said["text"], said["action"]) == (hcp, "inquiry", "a rash after the second dose", None)
    render_reported.words(reported_commands.words(workspace.root, "safety-lead"))
    with pytest.raises(WorkspaceError, match="may not read"):
        reported_commands.words(workspace.root, "owner-email")


def test_a_broken_character_takes_no_other_event_with_it() -> None:
    sound = '{"key": "a", "hcp_id": "H1", "kind": "inquiry", "occurred_at": "2026-01-05T06:00:00Z", "product": "alpha", "text": "a rash"}'
    for broken in (b"\\ud83d", b"\xff\xfe"):
        odd = sound.replace('"key": "a"', '"key": "b"').encode().replace(b"a rash", b"a rash " + broken)
        (_, first), (key, second) = read_events(b'{"events": [' + sound.encode() + b", " + odd + b"]}")
        assert isinstance(first, Event)
        assert isinstance(second, Event)
        assert (key, second.text) == ("b", "a rash " + "\ufffd" * (1 if broken.startswith(b"\\") else 2))
    with pytest.raises(GatewayError, match="no list of events"):
        read_events(b'{"events": "\\ud83d"}')


def test_what_waited_while_its_charter_went_is_decided_by_none(workspace: Workspace) -> None:
    with desk(workspace) as (clerk, _, _, _):
        hcp, *_ = free(clerk)
        came = clerk.standing.charters["email"]
        clerk.standing = replace(clerk.standing, charters={name: each for name, each in clerk.standing.charters.items() if name != "email"})
        (answer,) = clerk.answer([(came, asked(clerk, hcp))])
        assert isinstance(answer, GatewayError)
        assert "has no charter any more" in str(answer)


def test_what_a_feed_brings_later_takes_the_place_of_what_was_reported() -> None:
    told = pl.DataFrame(
        {"hcp_id": ["a", "b", "c", "d"], "channel": "call", "purpose": "promotional", "at": [DAY + 5] * 4, "decision": [f"{MARK}k{n}" for n in range(4)]}
    )
    touches = pl.DataFrame(
        {"touch_id": ["k0", "x", "y"], "hcp_id": ["a", "b", "c"], "channel": ["email", "call", "call"], "occurred_at": [9 * DAY, DAY, 9 * DAY]}
    )
    assert not_come_back(told, touches)["hcp_id"].to_list() == ["c", "d"]
    schema = {"inquiry_id": pl.String, "hcp_id": pl.String, "product": pl.String, "asked_at": pl.Int64, "answered_at": pl.Int64, "received_at": pl.Int64}
    feed = pl.DataFrame([("k0", "a", "alpha", 9 * DAY, None, 9 * DAY), ("x", "b", "alpha", DAY, 2 * DAY, 3 * DAY)], schema=schema, orient="row")
    said = pl.DataFrame(
        {"hcp_id": ["a", "b", "c"], "product": "alpha", "inquiry_id": ["k0", "k1", "k2"], "asked_at": [DAY + 5] * 3, "received_at": [DAY + 5] * 3}
    )
    assert still_open(feed, said, 2 * DAY)["inquiry_id"].to_list() == ["k0", "x", f"{MARK}k2"]
    assert still_open(feed, said, 90 * DAY)["inquiry_id"].to_list() == ["k0", "x"]


def test_an_opt_out_stands_until_the_feed_says_something_that_began_after_it() -> None:
    key = {"channel": "email", "purpose": "promotional"}
    feed = pl.DataFrame({"hcp_id": ["a", "b"], **key, "status": "opt_in", "valid_from": [3, 7], "received_at": [9, 9]})
    told = pl.DataFrame({"hcp_id": ["a", "b", "c"], **key, "at": [5, 5, 5]})
    assert dict(with_opt_outs(feed, told, ["email"]).select("hcp_id", "status").rows()) == {"a": "opt_out", "b": "opt_in", "c": "opt_out"}
    assert with_opt_outs(feed, told.clear(), ["email"]).equals(feed)


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(max_size=8), lambda of: st.lists(of) | st.dictionaries(st.text(string.ascii_lowercase), of)).map(
        lambda tree: json.dumps({"events": tree}).encode()
    )
)
def test_garbage_is_refused_in_words(data: bytes) -> None:
    try:
        read = read_events(data)
    except GatewayError:
        return
    assert all(isinstance(each, GatewayError) for _, each in read)


@pytest.mark.parametrize(
    ("said", "channel"),
    [
        ({"occurred_at": "soon"}, None),
        ({"key": "\x00", "channel": "email", "colour": 1}, "email"),
        ({"channel": ["email"], "text": "x" * 9999}, None),
        ({"key": "k", "occurred_at": "2026-01-05T06:00:00Z", "product": 3, "purpose": "all"}, None),
    ],
)
def test_what_names_a_physician_and_says_opt_out_is_one_whatever_else_is_wrong(said: dict[str, object], channel: str | None) -> None:
    ((_, found), (_, bad)) = read_events(json.dumps({"events": [{"hcp_id": "H1", "kind": "opt_out", **said}, {"hcp_id": "H1", "kind": "opt_in"}]}).encode())
    assert isinstance(found, Event)
    assert (found.hcp_id, found.kind, found.channel, found.purpose) == ("H1", "opt_out", channel, None)
    assert isinstance(bad, GatewayError)


def test_the_clock_of_each_decision_is_kept_and_its_waits_are_shown_with_who_owns_them(workspace: Workspace) -> None:
    times = iter(range(0, 10_000_000, 1000))
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        clerk, prompt, config = take_desk(workspace, ledger, lambda: next(times), 1)
        roomy(clerk)
        now = clerk.standing.single.known.now
        events = [Event(hcp, hcp, "opened", now - 2 * DAY, "email", "alpha") for hcp in free(clerk)[:12]]
        _, answers = decided(clerk, prompt, *events, agent="calls-alpha")
        acts = [answer for answer in answers if answer.disposition == "chosen"]
        assert clerk.act(deliverer(workspace, config)) == (len(acts), 0)
        (acted,) = ledger.entries(kind="acted", cycle=clerk.standing.label)
    config = read_config(config_texts(workspace))
    with closing(read_ledger(workspace.ledger)) as records:
        kept = [clock for clock in clocks(records, config) if clock.acted is not None and clock.judged == now + 1]
    assert len(kept) == len(acts)
    for clock, answer in zip(kept, sorted(acts, key=lambda answer: answer.entry), strict=True):
        said = answer.body["clock"]
        assert clock.received == now + 1 - (said["judged"] - 5)
        assert clock.occurred == clock.received - 2 * DAY - 1
        assert clock.acted == now + 1 + acted.body["clock"] - said["judged"]
    told = timing.outcomes_velocity(workspace.root)
    rows = {(row["agent"], row["route"], row["stage"], row["owner_is"]): row for row in told["agents"]}
    calls = sum(answer.body["agent"] == "calls-alpha" for answer in acts)
    assert rows["calls-alpha", "event", "act", "gateway"]["count"] == calls
    assert rows["calls-alpha", "cycle", "propose", "agent"]["owner"] == "owner-calls-alpha"
    assert [row["stage"] for row in told["stages"] if row["route"] == "event"] == ["arrive", "propose", "judge", "act", "whole"]
    assert all(row["count"] >= told["least"] for row in told["agents"] if row["person"])


def test_where_no_agent_can_be_asked_events_are_taken_and_an_opt_out_holds(workspace: Workspace) -> None:
    class Broken(Prompter):
        def __call__(self, taken: Sequence[Taken], tally: Tally) -> list[tuple[Proposal, Taken]]:
            raise ValueError(taken[0].reported.event.hcp_id)

    kept: list[Ledger] = []

    def take() -> Place:
        kept.append(open_ledger(workspace.ledger, entropy=os.urandom))
        clerk, prompt, config = take_desk(workspace, kept[0], lambda: 7, 1)
        prompt.__class__ = Broken
        return Place(clerk, prompt, deliverer(workspace, config), lambda: None)

    with desk(workspace) as (clerk, _, config, _):
        hcp, other, *_ = free(clerk)
        office = Office(take)
        office.open()
        charter = clerk.standing.charters["email"]
        reported = [event(clerk, other, "opened", channel="email", product="alpha"), event(clerk, hcp, "opt_out", "e2")]
        answers = [office.report(charter, each, 5).result(60) for each in reported]
        office.close()
        assert not any(isinstance(answer, GatewayError) for answer in answers)
        assert (office.measured.events, office.trouble) == (2, "")
        assert office.measured.faults
        assert one(clerk, config, asked(clerk, hcp)).disposition == "forbidden"
    kept[0].close()
