"""The decision route: proposals over the wire at a fixed rate, whether answers come or not, against two workers; the highest rate that is held; and how long a
stop takes among four."""

import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from benchmarks.report import Row
from remit.runtime import credential_commands, rights_commands
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.workspace import open_workspace
from tests.postgres import running

WORKERS, RATE, REACH_MS = 2, 300, 20
STOP_WORKERS, STOP_MS = 4, 1000
URL = "REMIT_BENCH_LEDGER_URL"


def measure(quick: bool) -> list[Row]:
    """The route at its rate on either database, with the highest of some rates whose 99th percentile is below a second without an error; and stops."""
    with tempfile.TemporaryDirectory() as folder:
        root = _made(Path(folder) / "sqlite", 300 if quick else 2000)
        rows = [_route(root, "SQLite", quick), *_stops(root, "SQLite", quick)]
        with running(options="max_connections = 60\n") as server, server.database() as url:
            os.environ[URL] = url
            there = _made(Path(folder) / "postgresql", 300 if quick else 2000, f'\n[ledger]\nurl_env = "{URL}"\n')
            rows += [_route(there, "PostgreSQL", quick), *_stops(there, "PostgreSQL", quick)]
    return rows


def _route(root: Path, database: str, quick: bool) -> Row:
    seconds = 5 if quick else 30
    with _served(root, WORKERS) as url:
        run = _Load(url, *_ready(url, root, WORKERS))
        run.at(100, 3)  # warm
        asked = run.at(RATE, seconds)
        held, beside = RATE, asked
        for rate in (400, 500, 600, 800, 1000, 1300):
            found = run.at(rate, max(seconds // 3, 3))
            if found[3] or found[1] > 1000:
                break
            held, beside = rate, found
    median, tail, largest, errors = asked
    return Row(
        f"decision route, all checks, recorded, {WORKERS} workers, {RATE} requests/s open loop, {database}",
        f"p99 <= {REACH_MS} ms, no error" if database == "SQLite" else "reported",
        f"median {median:.1f} ms, p99 {tail:.1f} ms, largest {largest:.0f} ms, {errors} errors in {seconds} s",
        f"the highest rate held: {held}/s with p99 {beside[1]:.0f} ms",
        None if quick or database != "SQLite" else tail <= REACH_MS and not errors,
    )


def _stops(root: Path, database: str, quick: bool) -> list[Row]:
    """How long `remit stop` takes with all that follows it: alone, and while workers decide under load. How soon it is in force, `stopping` measures."""
    alone = _stopped(root, 10)
    with _served(root, STOP_WORKERS) as url:
        run = _Load(url, *_ready(url, root, STOP_WORKERS))
        run.at(50, 2)
        with ThreadPoolExecutor(1) as beside:
            load = beside.submit(run.at, 200, 10 if quick else 20)
            time.sleep(1)
            among = _stopped(root, 10)
            _, tail, _, errors = load.result()
    return [
        Row(
            f"`remit stop` to its end, refusals and recall included, {database}, {where}",
            "reported" if most is None else f"<= {most} ms",
            f"median {statistics.median(took):.0f} ms, longest {max(took):.0f} ms of {len(took)}",
            beside_it,
            None if quick or most is None else max(took) <= most,
        )
        for where, took, most, beside_it in (
            ("alone", alone, None, ""),
            (f"{STOP_WORKERS} workers decide 200/s", among, STOP_MS, f"decisions meanwhile: p99 {tail:.0f} ms, {errors} errors"),
        )
    ]


def _stopped(root: Path, times: int) -> list[float]:
    """Milliseconds until each of so many stops of one agent was acknowledged; each is ended by two people."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        told = rights_commands.stop(root, "agent", "msl", "", "a benchmark")
        took.append((time.perf_counter() - start) * 1000)
        for by in ("compliance-lead", "owner-authority"):
            rights_commands.start(root, told["stop"], by, "a benchmark")
    return took


class _Load:
    """Requests over a few connections kept open; a late answer does not hold the next request back. `path` is where they go, `good` what no answer lacks."""

    path, good = "/v1/proposals", b'"disposition"'

    def __init__(self, url: str, token: str, what: dict[str, object], hcps: list[str]) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._host, self._port, self._token, self._what, self._hcps = host, int(port), token, what, hcps
        self._sent = 0

    def at(self, rate: int, seconds: int) -> tuple[float, float, float, int]:
        """Median, 99th percentile and largest latency in milliseconds from when a request was due, and how many failed."""
        return asyncio.run(self._run(rate, seconds))

    async def _run(self, rate: int, seconds: int) -> tuple[float, float, float, int]:
        free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for _ in range(64):
            free.put_nowait(await asyncio.open_connection(self._host, self._port))
        start, tasks = time.perf_counter() + 0.1, []
        for number in range(rate * seconds):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._sent += 1
            tasks.append(asyncio.create_task(self._one(free, due, self._sent)))
        took = await asyncio.gather(*tasks)
        while not free.empty():
            free.get_nowait()[1].close()
        good = sorted(each for each in took if each is not None)
        at = min(len(good) - 1, int(len(good) * 0.99))
        return (statistics.median(good) * 1e3, good[at] * 1e3, good[-1] * 1e3, len(took) - len(good))

    async def _one(self, free: "asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]", due: float, number: int) -> float | None:
        body = self.body(number)
        head = f"POST {self.path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {self._token}\r\nContent-Length: {len(body)}\r\n\r\n"
        reader, writer = await free.get()
        try:
            writer.write(head.encode() + body)
            status = await reader.readline()
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answer = await reader.readexactly(length)
        finally:
            free.put_nowait((reader, writer))
        return time.perf_counter() - due if b" 200 " in status and self.good in answer and b"rejected" not in answer else None

    def body(self, number: int) -> bytes:
        """What is asked."""
        return json.dumps({"proposals": [{"key": f"k{number}", "hcp_id": self._hcps[number % len(self._hcps)], **self._what}]}).encode()


def _made(root: Path, physicians: int, more: str = "") -> Path:
    create(root, "two-brands", None, physicians)
    settings = root / "remit.toml"
    settings.write_text(settings.read_text() + more)
    run_cycle(open_workspace(root), os.cpu_count() or 1, lambda _: None)
    return root


@contextmanager
def _served(root: Path, workers: int) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "remit.runtime", "serve", "-w", str(root), "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(root / "out", ignore_errors=True)


def _ready(url: str, root: Path, workers: int) -> tuple[str, dict[str, object], list[str]]:
    """A token, what goes with a proposal, and for whom, once every worker answers."""
    made = credential_commands.issue(root, "email", "owner-email", [], "1 week")
    form = urlencode({"grant_type": "client_credentials", "client_id": made["client"], "client_secret": made["secret"]}).encode()
    for _ in range(600):
        try:
            token = json.load(urlopen(f"{url}/v1/token", form))["access_token"]  # noqa: S310 - our own server
            headers = {"Authorization": f"Bearer {token}"}
            for _ in range(20 * workers):  # every worker
                allowed = json.load(urlopen(Request(f"{url}/v1/describe", headers=headers)))  # noqa: S310 - as before
            hcps = json.load(urlopen(Request(f"{url}/v1/hcps", headers=headers)))["hcps"]  # noqa: S310 - as before
            content = next(each for each in allowed["content"] if each["status"] == "approved")
            return token, {**{name: content[name] for name in ("channel", "product", "content_id", "communication_type")}, "value": 20}, hcps
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError(url)
