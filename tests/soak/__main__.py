"""`python -m tests.soak`: a million attempts from four workers that are killed at random moments, checked afterwards from the ledger and the lists alone."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from remit.runtime.run import run_cycle
from tests.runtime.conftest import quiet, small
from tests.soak.attempts import plan_for
from tests.soak.checking import check
from tests.soak.leading import Lead
from tests.soak.world import prepare


def main() -> None:
    """Runs, checks, prints; ends with 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--physicians", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to keep everything (a temporary folder)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        faults = soak(folder, asked.attempts, asked.physicians, asked.seed)
    sys.exit(f"{faults} faults" if faults else 0)


def soak(folder: Path, attempts: int, physicians: int, seed: int) -> int:
    """How many faults a run shows."""
    workspace, journal = small(folder / "w", physicians), folder / "journal"
    journal.mkdir()
    for _ in range(2):
        run_cycle(workspace, 1, quiet)
    prepare(workspace, room=max(1, physicians // 150))
    run_cycle(workspace, 1, quiet)
    cycles = 3
    lead = Lead(workspace, journal, plan_for(workspace, seed, attempts), seed)
    done = lead.run(stops=50, cycles=cycles, people=30, outs=15, backs=5, kills=max(4, attempts // 20_000))
    start = time.perf_counter()
    faults, counted = check(workspace.root, journal)
    _say(f"{attempts:,} attempts in {done.seconds:.0f} s ({attempts / done.seconds:.0f}/s), {done.killed} workers killed, {done.stopped} stops")
    _say(f"stop acknowledged: median {median(done.stop_ms):.0f} ms, longest {max(done.stop_ms):.0f} ms")
    _say(f"checked in {time.perf_counter() - start:.0f} s: {', '.join(f'{name} {number:,}' for name, number in sorted(counted.items()))}")
    for line in [*done.failed, *(f"{fault.kind}: {fault.says}" for fault in faults)][:100]:
        _say(line)
    return len(faults)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
