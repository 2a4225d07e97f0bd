"""From event to action: engagement of physicians reported over the wire at a fixed rate, whether answers come or not, against two workers; it is recorded,
agents are asked and judged, and what is autonomous is handed over. Measured by the clock that the ledger keeps, and from outside."""

import json
import os
import re
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.gateway import WORKERS, _Load, _ready, _served
from benchmarks.report import Row
from remit.ledger import read_ledger
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.workspace import open_workspace
from remit.terms.instants import format_instant

RATE, REACH_S = 100, 1.0
_EACH = (
    {"kind": "opened", "channel": "email"},
    {"kind": "clicked", "channel": "email"},
    {"kind": "replied", "channel": "email"},
    {"kind": "inquiry"},
    {"kind": "attended", "channel": "call"},
)


def measure(quick: bool) -> list[Row]:
    """The 99th percentile from received to acted at the rate, and of the answers."""
    seconds, physicians = (5, 300) if quick else (60, 20_000)
    with tempfile.TemporaryDirectory() as folder:
        return [measured(_made(Path(folder) / "w", physicians), physicians, seconds, quick=quick)]


def measured(root: Path, physicians: int, seconds: int, *, quick: bool) -> Row:
    """The row of a workspace with a cycle done."""
    workspace = open_workspace(root)
    with _served(root, WORKERS) as url:
        token, _, _ = _ready(url, root, WORKERS)
        run = _Events(url, token, {"occurred_at": _cycle_at(root)}, _everybody(url, token))
        run.at(20, 5)  # warm
        with closing(read_ledger(workspace.ledger)) as records:
            before = records.size
        median, tail, largest, errors = run.at(RATE, seconds)
        time.sleep(2)  # what was answered last is handed over
    with closing(read_ledger(workspace.ledger)) as records:
        answering = [entry for kind in ("action", "declined") for entry in records.entries(kind=kind) if entry.seq >= before and "event" in entry.body]
        done = {int(seq): int(entry.body["clock"]) for entry in records.entries(kind="acted") if "clock" in entry.body for seq in entry.body["actions"]}
        waits = sorted((done[entry.seq] - int(entry.body["clock"]["received"])) / 1e6 for entry in answering if entry.seq in done)
    at = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    return Row(
        f"event received to acted, {RATE} events/s open loop, {physicians:,} HCPs, {WORKERS} workers, SQLite",
        f"p99 <= {REACH_S:g} s, no error",
        f"median {statistics.median(waits):.2f} s, p99 {at:.2f} s, largest {waits[-1]:.2f} s, {errors} errors in {seconds} s",
        f"answered: median {median:.0f} ms, p99 {tail:.0f} ms, largest {largest:.0f} ms; {len(answering)} decisions, of which {len(waits)} acted",
        None if quick else at <= REACH_S and not errors,
    )


class _Events(_Load):
    """Events, each about another physician than the last."""

    path, good = "/v1/events", b'"taken"'

    def body(self, number: int) -> bytes:
        """One event."""
        said = {"key": f"e{number}", "hcp_id": self._hcps[number * 7919 % len(self._hcps)], "product": ("alpha", "beta")[number % 2]}
        return json.dumps({"events": [{**said, **self._what, **_EACH[number % len(_EACH)]}]}).encode()


def _made(root: Path, physicians: int) -> Path:
    """A workspace whose cycle leaves much of everything, so that what is proposed after it is mostly done."""
    create(root, "two-brands", None, physicians)
    _rewrite(root / "authority.yaml", r"(name: most_\w*contacts\n    value: )\d+", r"\g<1>90")
    for path in sorted((root / "feeds" / "resources").glob("*.csv")):
        head, *lines = path.read_text().splitlines()
        cells = [line.split(",") for line in lines]
        path.write_text("\n".join([head, *(",".join([name, unit, str(1000 * float(amount)), *rest]) for name, unit, amount, *rest in cells)]) + "\n")
    run_cycle(open_workspace(root), os.cpu_count() or 1, lambda _: None)
    _rewrite(root / "remit.toml", r"(?m)^(per_cycle|per_window|most_per_hcp) = \d+", r"\g<1> = 90")
    return root


def _rewrite(path: Path, pattern: str, by: str) -> None:
    path.write_text(re.sub(pattern, by, path.read_text()))


def _everybody(url: str, token: str) -> list[str]:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = json.load(urlopen(Request(f"{url}/v1/hcps?after={after}", headers={"Authorization": f"Bearer {token}"})))  # noqa: S310 - our own server
        found += page["hcps"]
        after = page["next"]
    return found


def _cycle_at(root: Path) -> str:
    """When the last cycle was, by the world's clock."""
    with closing(read_ledger(open_workspace(root).ledger)) as records:
        return format_instant(max(int(entry.body["now"]) for entry in records.entries(kind="cycle")))
