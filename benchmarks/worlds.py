"""Worlds: what a million physicians cost, and what a policy costs for half a year."""

import json
import os
import subprocess
import sys
import time

from benchmarks.report import Row
from remit.runtime.countries import open_world
from remit.runtime.simulating import burn_in, live

_LARGE = """
import json, resource, sys, time
from remit.runtime.countries import open_world
from remit.worlds import World
start = time.perf_counter()
world = World.build(open_world("launch"), int(sys.argv[1]), 1)
rows = sum(delivery.rows.height for delivery in world.opening())
built = time.perf_counter() - start
steps = []
for _ in range(9):
    plan = world.plan()
    start = time.perf_counter()
    rows = sum(delivery.rows.height for delivery in world.step(plan).deliveries)
    steps.append(time.perf_counter() - start)
print(json.dumps([built, max(steps), rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
"""


def measure(quick: bool) -> list[Row]:
    """The table of worlds."""
    return [*_large(quick), _half_a_year(quick)]


def _large(quick: bool) -> list[Row]:
    physicians = 50_000 if quick else 1_000_000
    ran = subprocess.run([sys.executable, "-c", _LARGE, str(physicians)], capture_output=True, text=True, check=True)
    built, step, rows, peak = json.loads(ran.stdout)
    return [
        Row(f"build a world of {physicians:,} physicians, its opening files made", "<= 30 s and <= 3 GB", f"{built:.1f} s", "", None if quick else built <= 30),
        Row(
            f"step it a week, {rows:,} rows handed over (the slowest of nine)",
            "<= 10 s, <= 3 GB in all",
            f"{step:.1f} s, {peak:.1f} GB",
            "",
            None if quick else step <= 10 and peak <= 3,
        ),
    ]


def _half_a_year(quick: bool) -> Row:
    physicians, weeks = (500, 4) if quick else (5_000, 26)
    threads, start = os.cpu_count() or 1, (time.perf_counter(), time.process_time())
    past = burn_in(open_world("launch"), physicians, 1, weeks, threads=threads)
    before, start = _since(start), (time.perf_counter(), time.process_time())
    live(past, "remit", threads, _unwatched)
    took, start = _since(start), (time.perf_counter(), time.process_time())
    live(past, "greedy", threads, _unwatched)
    beside = f"greedy {_seconds(_since(start))}; the 52 weeks before and the first training, for all policies once: {_seconds(before)}"
    reached = None if quick else took[0] <= 60
    return Row(f"{weeks} weeks x {physicians:,} physicians x remit, after the burn-in, its models watched", "<= 60 s", _seconds(took), beside, reached)


def _since(start: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - start[0], time.process_time() - start[1]


def _seconds(taken: tuple[float, float]) -> str:
    return f"{taken[0]:.0f} s ({taken[1]:.0f} s of processor)"


def _unwatched(step: str) -> None:
    del step
