"""One row of the benchmark table, and how it is timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`work` names the job and its size; `reach` is the figure to reach, `measured` what was measured, `beside` what the alternative needed in the same
    run (with the ratio), `reached` whether the figure was reached (None: the figure is only reported)."""

    work: str
    reach: str
    measured: str
    beside: str
    reached: bool | None


def seconds(job: Callable[[], object], runs: int = 1) -> float:
    """The median wall time of `runs` runs of `job`, in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
