"""Sequences of whatever agents and people may do: nothing is handed over without a live verdict, and all that was accepted has one end."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import time_ns
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule, run_state_machine_as_test

from remit.gateway import Answer, Asked, Clerk, Renewed, asked_now, heard
from remit.gateway.door import Stopped
from remit.ledger import Ledger, open_ledger, read_ledger
from remit.runtime import commands, queue_commands, rights, rights_commands, stopping
from remit.runtime.errors import WorkspaceError
from remit.runtime.handing import standing_inputs
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer, take_place
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from remit.terms.encoding import MICRO
from remit.terms.verdicts import Ruling
from tests.runtime.conftest import quiet
from tests.soak.attempts import Plan, plan_for
from tests.soak.checking import check
from tests.soak.world import prepare

HOUR = 3_600_000_000
AGENTS = ("vendor-mail", "vendor-news", "email")
SCOPES = (
    ("everything", ""),
    ("agent", "vendor-mail"),
    ("product", "alpha"),
    ("market", "US"),
    ("channel", "email"),
    ("content", "beta-email-1"),
    ("hcp", None),
)


class Sequences(RuleBasedStateMachine):
    """Two clerks at one log, and people at the command line, in any order."""

    base: ClassVar[Path]
    plan: ClassVar[Plan]
    hcps: ClassVar[list[str]]
    proposals = Bundle("proposals")

    @initialize()
    def begin(self) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=self.base.parent))
        shutil.copytree(self.base, self._folder / "w")
        (self._folder / "journal").mkdir()
        self._workspace = open_workspace(self._folder / "w")
        self._passed, self._asked, self._cycles = 0, 0, 0
        self._stops: list[str] = []
        self._clerks: list[tuple[Clerk, Ledger, Any]] = [self._take(), self._take()]
        self._seen = self._clerks[0][1].size

    def _take(self) -> tuple[Clerk, Ledger, Any]:
        ledger = open_ledger(self._workspace.ledger, entropy=os.urandom)
        clerk, config = take_place(self._workspace, ledger, lambda: 0, 1)
        begun = clerk.standing.begun + 1
        clerk._clock = lambda: begun + self._passed
        return clerk, ledger, deliverer(self._workspace, config)

    def _with(self, which: int, work: Callable[[Clerk, Any], Any]) -> Any:
        """Whoever has to know anew does so, as a worker does."""
        while True:
            clerk, ledger, deliver = self._clerks[which]
            try:
                return work(clerk, deliver)
            except Renewed:
                ledger.close()
                self._clerks[which] = self._take()

    def _note(self, file: str, **line: Any) -> None:
        with (self._folder / "journal" / file).open("a") as notes:
            notes.write(json.dumps(line) + "\n")

    @rule(
        target=proposals,
        which=st.integers(0, 1),
        asks=st.lists(
            st.tuples(st.sampled_from(AGENTS), st.integers(0, 5), st.sampled_from(["alpha", "beta"]), st.sampled_from([60, 150, 260])), min_size=1, max_size=6
        ),
    )
    def propose(self, which: int, asks: list[tuple[str, int, str, int]]) -> Any:
        asked = []
        for agent, hcp, product, value in asks:
            self._asked += 1
            content = self.plan.content[f"email/{product}"][0]
            asked.append((agent, Asked(f"k{self._asked}", self.hcps[hcp], "email", product, "promotional", value * MICRO, content)))
        return multiple(*self._propose(which, asked))

    def _propose(self, which: int, asked: list[tuple[str, Asked]]) -> list[tuple[str, Asked, str]]:
        sent = time_ns()
        answers = self._with(which, lambda clerk, _: clerk.answer([(clerk.standing.charters[agent], each) for agent, each in asked]))
        made = []
        for (agent, each), answer in zip(asked, answers, strict=True):
            assert isinstance(answer, Answer), answer
            about = {"id": answer.id, "entry": answer.entry, "disposition": answer.disposition, "sent": sent, "answered": time_ns()}
            self._note("worker-0.jsonl", number=0, agent=agent, key=each.key, **about)
            made.append((agent, each, answer.id))
        return made

    @rule(which=st.integers(0, 1), proposal=proposals)
    def propose_again(self, which: int, proposal: tuple[str, Asked, str]) -> None:
        ((_, _, name),) = self._propose(which, [proposal[:2]])
        assert name == proposal[2]

    @rule(which=st.integers(0, 1), proposal=proposals)
    def withdraw(self, which: int, proposal: tuple[str, Asked, str]) -> None:
        told = self._with(which, lambda clerk, _: clerk.withdraw([(proposal[0], proposal[2])])[0])
        assert told is None or told.disposition not in ("chosen", "waiting")

    @rule(which=st.integers(0, 1))
    def act(self, which: int) -> None:
        self._with(which, lambda clerk, deliver: clerk.act(deliver))

    @rule(which=st.integers(0, 1))
    def begin_anew(self, which: int) -> None:
        self._clerks[which][1].close()
        self._clerks[which] = self._take()

    @rule(scope=st.sampled_from(SCOPES), hcp=st.integers(0, 5))
    def stop(self, scope: tuple[str, str | None], hcp: int) -> None:
        of = self.hcps[hcp] if scope[1] is None else scope[1]
        name = rights_commands.stop(self._workspace.root, scope[0], of, "", "a test")["stop"]
        self._note("events.jsonl", what="stop", name=name, scope=scope[0], of=of, began=0, acknowledged=time_ns())
        self._stops.append(name)

    @precondition(lambda self: self._stops)
    @rule()
    def start(self) -> None:
        name = self._stops.pop(0)
        rights_commands.start(self._workspace.root, name, "compliance-lead", "mended")
        self._note("events.jsonl", what="start", name=name, began=time_ns())
        rights_commands.start(self._workspace.root, name, "owner-authority", "seen")

    @rule(hcp=st.integers(0, 5))
    def opt_out(self, hcp: int) -> None:
        path, row = self._workspace.feeds / "consent" / f"late-{hcp}.csv", f"{self.hcps[hcp]},email,promotional,opt_out,2026-01-12T00:00:00Z"
        path.write_text(f"hcp_id,channel,purpose,status,valid_from\n{row}\n")
        commands.load(self._workspace.root)
        self._note("events.jsonl", what="out", hcp=self.hcps[hcp], acknowledged=time_ns())

    @rule(yes=st.booleans())
    def say(self, yes: bool) -> None:
        """Yes or no to what waits longest, by whoever may."""
        root = self._workspace.root
        items = [item for item in queue_commands.queue(root)["waiting"] if ".between/" in item["decision"] and not item["late"]]
        for people in items[0]["may"].values() if items else ():
            try:
                if not yes:
                    queue_commands.decline(root, items[0]["digest"], people[0], "timing", "")
                    return
                queue_commands.approve(root, items[0]["digest"], people[0], None, 1)
            except WorkspaceError as error:
                if "no action" not in str(error):  # it was refused with the yes before
                    raise
                return

    @rule(hours=st.sampled_from([1, 7, 30]))
    def time_passes(self, hours: int) -> None:
        self._passed = max(0, min(self._passed + hours * HOUR, 150 * HOUR))

    @precondition(lambda self: self._cycles < 1)
    @rule()
    def cycle(self) -> None:
        run_cycle(self._workspace, 1, quiet)
        self._cycles, self._passed = self._cycles + 1, 0

    @invariant()
    def what_was_handed_over_had_a_live_verdict(self) -> None:
        """Judged by the frame, as a cycle judges, from the log as it stood: not by what the clerk judges with."""
        with closing(open_ledger(self._workspace.ledger, entropy=os.urandom)) as ledger:
            for entry in [entry for entry in ledger.entries(kind="acted") if entry.seq >= self._seen]:
                for seq in entry.body["actions"]:
                    if "id" in ledger.entry(seq).body:
                        _judge(self._workspace, ledger, seq, entry.seq, int(entry.body["at"]))
            self._seen = ledger.size

    def teardown(self) -> None:
        if not hasattr(self, "_folder"):
            return
        while self._stops:
            self.start()
        for which in (0, 1):
            self._with(which, lambda clerk, deliver: clerk.act(deliver))
            self._clerks[which][1].close()
        for _ in range(2):  # the second after every deadline
            run_cycle(self._workspace, 1, quiet)
        faults, _ = check(self._workspace.root, self._folder / "journal")
        assert faults == []
        shutil.rmtree(self._folder)


def _judge(workspace: Workspace, ledger: Ledger, seq: int, upto: int, at: int) -> None:
    """Asserts that action `seq` might be handed over after the log's first `upto` entries, at an instant: by itself, or with everybody's yes."""
    config = read_config(config_texts(workspace))
    config = stopping.applied(rights.governed(workspace, ledger, config, at), ledger, upto)
    action = ledger.action(seq)
    known = standing_inputs(workspace, config, ledger, at, 1, but=f"{action.cycle}/{action.chosen.number}", upto=upto).known
    verdict = asked_now(action, known, config.table(at), config.charters, config.people)
    assert not isinstance(verdict, Stopped), verdict.reason
    if verdict.ruling is not Ruling.AUTONOMOUS or action.chosen.judged.verdict.ruling is not Ruling.AUTONOMOUS:
        given = {yes.role for yes in heard(ledger, upto).given(ledger.entry(seq))}
        assert {*verdict.roles, *action.chosen.judged.verdict.roles} <= given


@pytest.fixture(scope="module")
def prepared(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sequences") / "base"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    prepare(workspace)
    run_cycle(workspace, 1, quiet)
    return root


def test_no_sequence_hands_over_without_a_live_verdict_or_loses_what_was_accepted(prepared: Path) -> None:
    run(prepared, examples=6, steps=25)


def run(root: Path, examples: int, steps: int) -> None:
    """So many sequences of so many steps."""
    workspace = open_workspace(root)
    with closing(read_ledger(workspace.ledger)) as records:
        assert records.size
    Sequences.base, Sequences.plan = root, plan_for(workspace, 1, 1)
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        clerk, _ = take_place(workspace, ledger, lambda: 0, 1)
        consent = clerk.standing.single.known.consent.filter(channel="email", status="opt_in")["hcp_id"].unique().sort().to_list()
        fit = clerk.standing.single.known.hcp.filter(pdrp=False)["hcp_id"].to_list()
        Sequences.hcps = [hcp for hcp in consent if hcp in fit and clerk.standing.single.serves(hcp, ["alpha"])][:6]
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Sequences,
        settings=settings(derandomize=True, max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks, database=None),
    )
