"""A stop over the API while four workers decide and hand over: how soon it is acknowledged, and when the last action in its scope was."""

import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.report import Row
from remit.ledger import read_ledger
from remit.runtime import credential_commands, rights_commands
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, open_workspace

WORKERS, RATE, CLIENTS = 4, 60, 6
ACKNOWLEDGED_MS, QUIET_S = 250, 1.0


def measure(quick: bool) -> list[Row]:
    """Stops of one agent, each started again, while that agent proposes."""
    stops = 5 if quick else 40
    with tempfile.TemporaryDirectory() as folder:
        workspace = _made(Path(folder) / "w", 300 if quick else 2000)
        agent = credential_commands.issue(workspace.root, "email", "owner-email", [], "1 week")
        person = credential_commands.issue_to_person(workspace.root, "compliance-lead", "owner-authority", ["stop"], "1 week")
        with _served(workspace) as address:
            load = _Load(address, _signed_in(address, agent))
            acknowledged, late = _stopped(workspace, load, _signed_in(address, person), stops)
        after = _acted_after(workspace)
    tail = acknowledged[min(len(acknowledged) - 1, int(len(acknowledged) * 0.99))] * 1e3
    last = max(late, default=0.0)
    return [
        Row(
            f"stop acknowledged over the API, {WORKERS} workers at {RATE} proposals/s, {stops} stops, SQLite",
            f"<= {ACKNOWLEDGED_MS} ms",
            f"median {statistics.median(acknowledged) * 1e3:.0f} ms, p99 {tail:.0f} ms, largest {acknowledged[-1] * 1e3:.0f} ms",
            f"{load.answered} proposals answered meanwhile, {load.failed} not",
            None if quick else tail <= ACKNOWLEDGED_MS,
        ),
        Row(
            f"last action in the scope of a stop over {WORKERS} workers",
            f"<= {QUIET_S:g} s after it is acknowledged, none after its entry",
            f"{after} actions after the entry of a stop; the last answer that something was chosen came {last * 1e3:.0f} ms after the acknowledgement",
            "",
            None if quick else after == 0 and last <= QUIET_S,
        ),
    ]


@dataclass
class _Load:
    """An agent that proposes over some connections; `chosen` are the instants at which it was told that something was chosen."""

    address: tuple[str, int]
    token: str
    chosen: list[float] = field(default_factory=list)
    answered: int = 0
    failed: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        allowed, hcps = _call(self.address, self.token, "GET", "/v1/describe")[1], _call(self.address, self.token, "GET", "/v1/hcps")[1]["hcps"]
        content = next(each for each in allowed["content"] if each["status"] == "approved")
        what = {**{name: content[name] for name in ("channel", "product", "content_id", "communication_type")}, "value": 20}
        ended = threading.Event()
        threads = [threading.Thread(target=self._propose, args=(number, what, hcps, ended)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _propose(self, client: int, what: dict[str, object], hcps: list[str], ended: threading.Event) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        number, due = 0, time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            number, due = number + 1, due + CLIENTS / RATE
            proposal = {"key": f"{client}:{number}", "hcp_id": hcps[(number * CLIENTS + client) % len(hcps)], **what}
            status, answer = _said(connection, self.token, "POST", "/v1/proposals", {"proposals": [proposal]})
            if status != 200:
                self.failed += 1
                continue
            self.answered += 1
            if answer["answers"][0]["disposition"] == "chosen":
                self.chosen.append(time.monotonic())
        connection.close()


def _stopped(workspace: Workspace, load: _Load, token: str, stops: int) -> tuple[list[float], list[float]]:
    """How long each stop took to be acknowledged, in order of length, and how long after each the last answer came that something was chosen (seconds)."""
    took, late = [], []
    with load.running():
        for _ in range(stops):
            time.sleep(0.5)
            begun = time.monotonic()
            status, told = _call(load.address, token, "POST", "/v1/stops", {"scope": "agent", "of": "email", "reason": "measured"})
            acknowledged = time.monotonic()
            if status != 200:
                raise RuntimeError(told)
            took.append(acknowledged - begun)
            time.sleep(QUIET_S + 0.5)
            late += [at - acknowledged for at in load.chosen if at > acknowledged]
            for person in ("compliance-lead", "owner-email"):
                rights_commands.start(workspace.root, told["stop"], person, "measured")
            load.chosen.clear()
    return sorted(took), late


def _acted_after(workspace: Workspace) -> int:
    """Actions that the log holds as decided or handed over between a stop's entry and its start."""
    with closing(read_ledger(workspace.ledger)) as records:
        begins = {str(entry.body["stop"]): entry.seq for entry in records.entries(kind="stop")}
        ends = {str(entry.body["stop"]): entry.seq for entry in records.entries(kind="start") if entry.body["step"] == "yes"}
        spans = [(seq, ends.get(name, records.size)) for name, seq in begins.items()]
        told = [entry.seq for kind in ("action", "acted") for entry in records.entries(kind=kind)]
    return sum(begin < seq < end for seq in told for begin, end in spans)


def _made(root: Path, physicians: int) -> Workspace:
    create(root, "two-brands", None, physicians)
    workspace = open_workspace(root)
    run_cycle(workspace, os.cpu_count() or 1, lambda _: None)
    return workspace


@contextmanager
def _served(workspace: Workspace) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "remit.runtime", "serve", "-w", str(workspace.root), "--port", str(port), "--workers", str(WORKERS)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield "127.0.0.1", port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(workspace.out, ignore_errors=True)


def _signed_in(address: tuple[str, int], made: dict[str, Any]) -> str:
    form = urlencode({"grant_type": "client_credentials", "client_id": made["client"], "client_secret": made["secret"]})
    for _ in range(600):
        try:
            for _ in range(10 * WORKERS):  # every worker, on a connection of its own
                if _call(address, "", "GET", "/readyz")[0] != 200:
                    raise ConnectionError("not ready")
            return str(_call(address, "", "POST", "/v1/token", form)[1]["access_token"])
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.2)
    raise TimeoutError(address)


def _call(address: tuple[str, int], token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        return _said(connection, token, method, path, body)


def _said(connection: http.client.HTTPConnection, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, path, data, {"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
