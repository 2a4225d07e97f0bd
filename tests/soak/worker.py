"""A worker of the attempts, in a process of its own: a real office at the real log. It notes what it was answered, and may be killed at any moment."""

import json
import os
import sys
from concurrent.futures import Future
from pathlib import Path
from time import sleep, time_ns
from typing import Any

from remit.gateway import Answer, Clerk
from remit.ledger import Ledger, open_ledger
from remit.runtime.office import Office, Place
from remit.runtime.standing import deliverer, take_desk
from remit.runtime.workspace import Workspace, open_workspace
from tests.soak.attempts import Attempt, Plan, answered, read_plan

AT_ONCE = 96


class Worker:
    """Asks, notes, asks the next."""

    def __init__(self, workspace: Workspace, folder: Path, number: int) -> None:
        self._workspace, self._folder, self._number = workspace, folder, number
        self._ledger: Ledger | None = None
        self._leader = os.getppid()
        self._plan: Plan = read_plan(folder)
        self._office = Office(self._take)
        self._journal = folder / f"worker-{number}.jsonl"

    def work(self) -> None:
        """Makes every attempt of its own that was not answered yet."""
        done = {said["number"] for said in answered(self._journal)}
        self._repair()
        mine = self._plan.mine(self._number)
        left = [number for number in mine if number not in done]
        self._office.open()
        with self._journal.open("ab", buffering=0) as journal:
            while left:
                self._wait(1 - len(left) / len(mine))
                some, left = left[:AT_ONCE], left[AT_ONCE:]
                attempts = [self._plan.attempt(number) for number in some]
                told = self._ask(attempts)
                left = [attempt.number for attempt in attempts if attempt.number not in told] + left
                journal.write(b"".join(json.dumps(each).encode() + b"\n" for each in told.values()))
        self._office.close()
        counted = self._office.measured
        sys.stdout.write(json.dumps({"turns": counted.turns, "seconds": counted.seconds, "faults": counted.faults, "decided": counted.decided}) + "\n")

    def _ask(self, attempts: list[Attempt]) -> dict[int, dict[str, Any]]:
        sent, clerk = time_ns(), self._clerk()
        futures = [(attempt, self._office.propose(clerk.standing.charters[attempt.agent], attempt.asked, sent // 1000)) for attempt in attempts]
        told: dict[int, dict[str, Any]] = {}
        for attempt, future in futures:
            said = {"number": attempt.number, "agent": attempt.agent, "key": attempt.asked.key, "sent": sent}
            answer = _result(future)
            if answer is not None:
                known = {"id": answer.id, "entry": answer.entry, "disposition": answer.disposition} if isinstance(answer, Answer) else {"error": str(answer)}
                told[attempt.number] = {**said, **known, "answered": time_ns()}
        back = [(attempt, str(told[attempt.number]["id"])) for attempt in attempts if attempt.withdrawn and told.get(attempt.number, {}).get("id")]
        asked = [(attempt, self._office.withdraw(attempt.agent, name)) for attempt, name in back]
        for attempt, later in asked:
            if (found := _result(later)) is not None:
                told[attempt.number]["after"] = found.disposition
        return told

    def _clerk(self) -> Clerk:
        while (clerk := self._office.clerk) is None:
            sleep(0.02)
        return clerk

    def _take(self) -> Place:
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = ledger = open_ledger(self._workspace.ledger, entropy=os.urandom)
        clerk, prompt, config = take_desk(self._workspace, ledger, lambda: 0, threads=1)
        begun = clerk.standing.single.known.now + 1
        clerk._clock = lambda: begun + self._passed()
        return Place(clerk, prompt, deliverer(self._workspace, config), ledger.settle)

    def _passed(self) -> int:
        """Simulated microseconds since the last cycle: whoever leads the run sets the clock."""
        return int((self._folder / "clock").read_text())

    def _wait(self, done: float) -> None:
        """Waits while it is ahead of whoever leads the run, and ends if that one is gone."""
        while done > float((self._folder / "allowed").read_text()):
            if os.getppid() != self._leader:
                sys.exit("nobody leads the run any more")
            sleep(0.02)

    def _repair(self) -> None:
        """Cuts off a line that was being written when it was killed."""
        if self._journal.exists():
            data = self._journal.read_bytes()
            os.truncate(self._journal, data.rfind(b"\n") + 1)


def _result(future: "Future[Any]") -> Any:
    """None where it could not be decided: it is asked again."""
    error = future.exception(120)
    return future.result() if error is None else None


if __name__ == "__main__":
    Worker(open_workspace(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])).work()
