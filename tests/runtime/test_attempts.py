"""Twenty thousand attempts from four processes, with fifty stops in between; and faults that are planted, to see that they would be found."""

import json
import shutil
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from os import urandom
from pathlib import Path

import pytest

from remit.ledger import Entry, Stored, open_ledger, read_ledger
from remit.runtime import commands
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, open_workspace
from tests.runtime.conftest import quiet
from tests.soak.attempts import plan_for
from tests.soak.checking import Fault, check
from tests.soak.leading import Figures, Lead
from tests.soak.world import prepare

ATTEMPTS, STOPS = 20_000, 50


@dataclass(frozen=True)
class Ran:
    """A run, and what the checker said of it."""

    workspace: Workspace
    journal: Path
    figures: Figures
    faults: list[Fault]
    counted: Counter[str]


@pytest.fixture(scope="module")
def ran(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("attempts")
    journal = folder / "journal"
    journal.mkdir()
    shutil.copytree(finished, folder / "w")
    workspace = open_workspace(folder / "w")
    prepare(workspace)
    run_cycle(workspace, 1, quiet)
    lead = Lead(workspace, journal, plan_for(workspace, 4, ATTEMPTS), seed=4)
    figures = lead.run(stops=STOPS, cycles=1, people=8, outs=4, backs=2, kills=2)
    return Ran(workspace, journal, figures, *check(workspace.root, journal))


def test_nothing_is_done_after_a_stop_beyond_a_limit_twice_or_lost(ran: Ran) -> None:
    assert ran.faults == []
    assert [said for said in ran.figures.failed if not said.startswith(("yes", "no"))] == []
    assert (ran.figures.stopped, ran.figures.killed, ran.counted["stops"]) == (STOPS, 2, STOPS)


def test_the_run_was_one_in_which_much_could_have_gone_wrong(ran: Ran) -> None:
    counted = ran.counted
    assert counted["keys"] + counted["rejected"] >= ATTEMPTS
    assert counted["answers"] > ATTEMPTS * 1.02  # by two workers
    assert all(counted[name] > 20 for name in ("outbid", "forbidden", "waiting", "after: withdrawn"))
    assert counted["chosen"] > 100
    assert counted["opt-outs"] == 4
    for limit, most in (("week", 7), ("mail-day", 2), ("agent-day", 60), ("channel-hours", 70)):
        assert counted[f"most of {limit}"] == most * 1_000_000, limit


def test_the_log_verifies_and_its_cycles_replay(ran: Ran) -> None:
    assert commands.verify(ran.workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(ran.workspace.root, None, 1, quiet)["cycles"]] == [[]] * 5


def test_every_kind_of_fault_is_found_where_it_is_planted(ran: Ran, tmp_path: Path) -> None:
    root, journal = tmp_path / "w", tmp_path / "journal"
    shutil.copytree(ran.workspace.root, root)
    shutil.copytree(ran.journal, journal)
    planted = _plant(root, journal)
    found = Counter(fault.kind for fault in check(root, journal)[0])
    says = "\n".join(fault.says for fault in check(root, journal)[0])
    assert set(found) == {"stop", "limit", "lost", "twice", "opt-out"}
    for what in planted:
        assert what in says, what


def _plant(root: Path, journal: Path) -> list[str]:
    """Records, lists and notes that should not be there; returns what must be said of each."""
    with closing(read_ledger(root / "ledger")) as records:
        acts = [entry for entry in records.entries(kind="action") if "id" in entry.body and entry.payload]
        acted = {seq for entry in records.entries(kind="acted") for seq in entry.body["actions"]}
        refused = {int(entry.body["action"]) for entry in records.entries(kind="refused")}
    done = next(act for act in acts if act.seq in acted and act.body["channel"] == "email")
    gone = next(act for act in acts if act.seq in refused and act.seq not in acted)
    label = done.cycle
    with closing(open_ledger(root / "ledger", entropy=urandom)) as ledger:
        stop = Entry("stop", "remit.stop/1", {"stop": "stop-9999", "scope": "agent", "of": done.body["agent"], "by": "", "reason": "a test", "at": 0})
        first = ledger.append("planted:stop", [stop], cycle=label).first
        more = [_again(done, number) for number in range(9)]
        copied = ledger.append("planted:more", more, cycle=label).first
        endless = str(ledger.entry(copied + 1).body["id"])
        for place, seq in enumerate((done.seq, gone.seq, copied)):
            body = {"actions": [seq], "channel": "files", "at": done.body["at"], "files": {}}
            ledger.append(f"planted:{place}", [Entry("acted", "remit.acted/1", body)], cycle=label)
        ledger.append("planted:no", [Entry("refused", "remit.refused/1", {"action": gone.seq, "reason": "", "at": 0, "since": 0, "uses": {}})], cycle=label)
    out = next(json.loads(line)["hcp"] for line in (journal / "events.jsonl").read_text().splitlines() if json.loads(line)["what"] == "out")
    again = f"email,{done.hcp_id},alpha,{done.cycle}/{(done.payload or {})['number']}"
    planted = root / "out" / label / "999999999" / "late.csv"
    planted.parent.mkdir(parents=True)
    planted.write_text("\n".join(["channel,hcp_id,product,decision", again, again, f"email,{out},alpha,nowhere/1", ""]))
    with (journal / "worker-0.jsonl").open("a") as notes:
        for key, name, entry in (("planted-1", "nothing", 3), ("planted-2", endless, copied + 1)):
            notes.write(json.dumps({"number": -1, "key": key, "id": name, "entry": entry, "disposition": "chosen", "sent": 1, "answered": 2}) + "\n")
        notes.write(json.dumps({"number": -2, "key": "planted-1", "id": "else", "entry": 4, "disposition": "outbid", "sent": 1, "answered": 2}) + "\n")
    with (journal / "events.jsonl").open("a") as events:
        events.write(json.dumps({"what": "stop", "name": "stop-none", "scope": "everything", "of": "", "began": 0, "acknowledged": 0}) + "\n")
    return [
        f"while stop-9999 (agent {done.body['agent']}) stood at {first}",
        "was chosen while stop-9999",
        "was acted on by the entries",
        f"action {gone.seq} was acted on and refused",
        f"action {gone.seq} was refused 2 times",
        "the limit week of",
        "the limit mail-day of",
        "stands in 2 rows of lists",
        "nowhere/1 stands in a list, and the ledger does not say that it was handed over",
        "was handed over, and stands in no list",
        "the key planted-1 was answered, and entry 3 does not hold it",
        "the key planted-2 has no end",
        "the key planted-1 was answered as",
        f"the opt-out of {out} was loaded",
        "came after stop-none (everything ) was acknowledged",
        f"the answer to {endless} came after stop-none",
        "has 10 of 9" if done.body["agent"].startswith("vendor") else "has",
    ]


def _again(act: Stored, number: int) -> Entry:
    """The same action once more, under another id."""
    assert act.payload is not None
    payload = {**act.payload, "number": 10_000_000 + number}
    return Entry("action", "remit.action/1", {**act.body, "id": f"copy-{number}"}, act.hcp_id, payload)
