"""Leads a run: four workers attempt, and in between people stop, start, say yes and no, physicians opt out, cycles run, the clock is set back, workers die."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, sleep, time_ns
from typing import Any

from remit.authority import SCOPES
from remit.ledger import read_ledger
from remit.runtime import commands, queue_commands, rights_commands
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace
from remit.terms.errors import RemitError
from tests.runtime.conftest import quiet
from tests.soak.attempts import WORKERS, Plan
from tests.soak.world import VENDORS

_BACK, _WEEK = 5_000_000, 6 * 24 * 3_600_000_000  # a week has less than seven days here: the next cycle is after them


@dataclass
class Figures:
    """What a run came to."""

    seconds: float = 0.0
    killed: int = 0
    stopped: int = 0
    stop_ms: list[float] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Lead:
    """One run of `plan` in a workspace; what was done, and when it was acknowledged, stands in `folder`."""

    def __init__(self, workspace: Workspace, folder: Path, plan: Plan, seed: int) -> None:
        self._workspace, self._folder, self._plan = workspace, folder, plan
        self._chance = Random(seed)  # noqa: S311 - a draw that can be drawn again
        self._workers: dict[int, subprocess.Popen[str]] = {}
        self._read = dict.fromkeys(range(WORKERS), (0, 0))
        self._stops: list[str] = []
        self._events = folder / "events.jsonl"
        self._out: set[str] = set()
        self._begun, self._step, self._back_by = 0, 0.0, 0
        self.figures = Figures()

    def run(self, stops: int, cycles: int, people: int, outs: int, backs: int, kills: int) -> Figures:
        """Everything, until every attempt was answered and a last cycle has refused what waited too long."""
        doing = [self._stop] * stops + [self._cycle] * cycles + [self._person] * people + [self._opt_out] * outs + [self._back] * backs + [self._kill] * kills
        self._chance.shuffle(doing)
        self._plan.write(self._folder)
        total = sum(len(self._plan.mine(number)) for number in range(WORKERS))
        self._allow(0.0)
        self._step = _WEEK * (cycles + 1) / (1.5 * total)
        self._tick()
        start = perf_counter()
        for number in range(WORKERS):
            self._begin(number)
        try:
            for place, do in enumerate(doing):
                self._allow((place + 2) / (len(doing) + 1))  # they work on while this is done, and not beyond what comes next
                self._until(total * (place + 1) // (len(doing) + 1))
                if len(self._stops) > self._chance.choice([0, 0, 1]):
                    self._start(self._stops.pop(0))
                do()
            self._allow(1.0)
            while self._stops:
                self._start(self._stops.pop(0))
            self._finish()
        finally:
            for worker in self._workers.values():
                worker.kill()
                worker.communicate()
        self.figures.seconds = perf_counter() - start
        self._cycle()
        return self.figures

    def _begin(self, number: int) -> None:
        command = [sys.executable, "-m", "tests.soak.worker", str(self._workspace.root), str(self._folder), str(number)]
        self._workers[number] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def _until(self, answered: int) -> None:
        """Waits until so many attempts were answered, or all workers have ended."""
        while self._tick() < answered:
            ended = [worker.poll() for worker in self._workers.values()]
            if any(ended):
                raise AssertionError(f"a worker ended with {ended}")
            if all(each == 0 for each in ended):
                return
            sleep(0.02)

    def _answered(self, number: int) -> int:
        place, lines = self._read[number]
        path = self._folder / f"worker-{number}.jsonl"
        if path.exists() and path.stat().st_size > place:
            with path.open("rb") as journal:
                journal.seek(place)
                data = journal.read()
            place, lines = place + len(data), lines + data.count(b"\n")
            self._read[number] = place, lines
        return lines

    def _finish(self) -> None:
        for worker in self._workers.values():
            said, _ = worker.communicate(timeout=600)
            assert worker.returncode == 0, said
            self.figures.told.append(json.loads(said.splitlines()[-1]))

    def _note(self, what: str, do: Callable[[], Any], **more: Any) -> Any:
        """Does it, and notes when it began and when it was acknowledged; what cannot be done is told."""
        began = time_ns()
        try:
            told = do()
        except RemitError as error:
            self.figures.failed.append(f"{what}: {error}")
            return None
        line = {"what": what, "began": began, "acknowledged": time_ns(), **more, **({"name": told["stop"]} if what in ("stop", "start") else {})}
        with self._events.open("a") as events:
            events.write(json.dumps(line) + "\n")
        return told

    def _stop(self) -> None:
        scope = self._chance.choice(list(SCOPES))
        of = self._named(scope)
        begun = perf_counter()
        told = self._note("stop", lambda: rights_commands.stop(self._workspace.root, scope, of, "compliance-lead", "a test"), scope=scope, of=of)
        if told is not None:
            self.figures.stop_ms.append((perf_counter() - begun) * 1000)
            self.figures.stopped += 1
            self._stops.append(told["stop"])

    def _start(self, name: str) -> None:
        rights_commands.start(self._workspace.root, name, "compliance-lead", "mended")
        self._note("start", lambda: rights_commands.start(self._workspace.root, name, "owner-authority", "seen"))

    def _named(self, scope: str) -> str:
        chance = self._chance
        if scope == "model":
            with closing(read_ledger(self._workspace.ledger)) as records:
                models = max(records.entries(kind="cycle"), key=lambda entry: entry.seq).body["models"]
            return str(models[chance.choice(["lead-score", "response"])])
        contents = sorted({each for some in self._plan.content.values() for each in some})
        names = {"agent": [*VENDORS, "email", "msl"], "product": ["alpha", "beta"], "market": ["US"], "channel": ["email", "call", "msl_visit"]}
        return str(chance.choice({**names, "content": contents, "hcp": list(self._plan.hcps)}.get(scope, [""])))

    def _cycle(self) -> None:
        self._note("cycle", lambda: run_cycle(self._workspace, 1, quiet))
        self._begun, self._back_by = sum(self._answered(number) for number in self._read), 0
        self._tick()

    def _person(self) -> None:
        waiting = queue_commands.queue(self._workspace.root)["waiting"]
        items = [item for item in waiting if not item["late"] and ".between/" in item["decision"]] or [item for item in waiting if not item["late"]]
        if not items:
            return
        item = self._chance.choice(items)
        if self._chance.random() < 0.25:
            by = next(people[0] for people in item["may"].values() if people)
            self._note("no", lambda: queue_commands.decline(self._workspace.root, item["digest"], by, "timing", "a test"))
            return
        for people in item["may"].values():
            self._note("yes", lambda by=people[0]: queue_commands.approve(self._workspace.root, item["digest"], by, None, 1))  # type: ignore[misc]

    def _opt_out(self) -> None:
        """A row of the consent feed arrives, and is loaded."""
        hcp = self._chance.choice([hcp for hcp in self._plan.hcps if hcp not in self._out])
        self._out.add(hcp)
        path = self._workspace.feeds / "consent" / f"late-{hcp}.csv"
        rows = [f"{hcp},{channel},promotional,opt_out,2026-01-12T00:00:00Z" for channel in ("email", "call")]
        data = "\n".join(["hcp_id,channel,purpose,status,valid_from", *rows]) + "\n"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(data)
        temporary.replace(path)
        self._note("out", lambda: commands.load(self._workspace.root), hcp=hcp)

    def _back(self) -> None:
        """The clock is set back by as much as two machines' clocks may differ, all in all: further, nothing is decided."""
        self._back_by += _BACK

    def _tick(self) -> int:
        """How many attempts were answered; simulated time passes with them, on machines of any speed."""
        answered = sum(self._answered(number) for number in self._read)
        passed = max(0, min(int((answered - self._begun) * self._step), _WEEK) - self._back_by)
        self._write("clock", str(passed))
        return answered

    def _allow(self, share: float) -> None:
        """How far workers may go, of all that is theirs."""
        self._write("allowed", str(share))

    def _write(self, name: str, text: str) -> None:
        temporary = self._folder / f"{name}.{os.getpid()}"
        temporary.write_text(text)
        temporary.replace(self._folder / name)

    def _kill(self) -> None:
        number = self._chance.choice([number for number, worker in self._workers.items() if worker.poll() is None] or [-1])
        if number >= 0:
            self._workers[number].kill()
            self._workers[number].communicate()
            self.figures.killed += 1
            self._begin(number)
