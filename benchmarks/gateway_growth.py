"""What a worker costs as a cycle's log grows: a turn, the memory that keys take, beginning anew; and what many physicians cost."""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from benchmarks.report import Row
from remit.gateway import Asked, Clerk
from remit.gateway.describing import describe
from remit.ledger import open_ledger
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.standing import take_place
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO

SIZES = (10_000, 100_000, 500_000)
_AT_ONCE, _TURNS = 500, 300


def measure(quick: bool) -> list[Row]:
    """A turn by the size of the log, and a worker's beginning; then a workspace of many physicians."""
    with tempfile.TemporaryDirectory() as folder:
        small = _made(Path(folder) / "small", 300)
        rows = _growth(small, [each // 50 for each in SIZES] if quick else list(SIZES))
        return [*rows, *_many(_made(Path(folder) / "large", 3_000 if quick else 50_000), quick)]


def _growth(workspace: Workspace, sizes: list[int]) -> list[Row]:
    numbers, turns, memory, begun = count(), list[float](), list[float](), list[tuple[float, float]]()
    with _place(workspace) as (clerk, _):
        asks = _asker(clerk, numbers)
        base, made = _memory_mib(), 0
        for size in sizes:
            while made < size:
                clerk.answer(asks(_AT_ONCE))
                made += _AT_ONCE
            gc.collect()
            turns.append(_median_ms(lambda: clerk.answer(asks(1))))
            memory.append(max(0.0, _memory_mib() - base))
            start = time.perf_counter()
            with _place(workspace) as (other, _):
                taken = time.perf_counter() - start
                start = time.perf_counter()
                other.answer(asks(1))
                begun.append((taken, time.perf_counter() - start))
    names = [f"{size:,}" for size in sizes]
    return [
        Row(
            f"a turn of one proposal, after {', '.join(names)} decisions since the cycle",
            "does not grow with the log",
            ", ".join(f"{each:.1f} ms" for each in turns),
            f"memory of the worker for them: {', '.join(f'{each:.0f} MiB' for each in memory)}",
            turns[-1] < 2 * turns[0] + 1,
        ),
        Row(
            f"a worker begins anew after {', '.join(names)} decisions",
            "reported",
            ", ".join(f"{taken:.1f} s" for taken, _ in begun),
            f"its first turn, which reads all keys before it holds the log: {', '.join(f'{turn:.2f} s' for _, turn in begun)}",
            None,
        ),
    ]


def _many(workspace: Workspace, quick: bool) -> list[Row]:
    start = time.perf_counter()
    with _place(workspace) as (clerk, charter):
        taken = time.perf_counter() - start
        hcps = len(clerk.standing.single.served(charter.products))
        told = _median_ms(lambda: describe(charter, clerk.standing, clerk.table(), {}))
        asks = _asker(clerk, count())
        turn = _median_ms(lambda: clerk.answer(asks(1)))
    return [
        Row(
            f"describe for an agent that may reach {hcps:,} physicians",
            "<= 20 ms: decisions wait for it",
            f"{told:.1f} ms",
            f"a turn of one proposal {turn:.1f} ms; a worker begins in {taken:.1f} s",
            None if quick else told <= 20,
        )
    ]


def _made(root: Path, physicians: int) -> Workspace:
    create(root, "two-brands", None, physicians)
    workspace = open_workspace(root)
    run_cycle(workspace, os.cpu_count() or 1, lambda _: None)
    return workspace


@contextmanager
def _place(workspace: Workspace) -> Iterator[tuple[Clerk, Charter]]:
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        clerk, _ = take_place(workspace, ledger, lambda: 0, 1)
        yield clerk, clerk.standing.charters["email"]


def _asker(clerk: Clerk, numbers: Iterator[int]) -> Callable[[int], list[tuple[Charter, Asked]]]:
    """Gives so many proposals with new keys: most are turned away, and every one is recorded."""
    charter = clerk.standing.charters["email"]
    hcps = clerk.standing.single.served(charter.products)
    one = Asked("", "", "email", "alpha", "promotional", 20 * MICRO, "alpha-email-1")
    return lambda many: [(charter, replace(one, key=f"k{number}", hcp_id=hcps[number % len(hcps)])) for number in (next(numbers) for _ in range(many))]


def _median_ms(job: Callable[[], object]) -> float:
    times = []
    for _ in range(_TURNS):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return sorted(times)[_TURNS // 2] * 1000


def _memory_mib() -> float:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if pages.is_file() else 0.0
