"""`make bench`: every benchmark in a process of its own, printed side by side. `--quick` makes them small, `--write` puts the table into docs/benchmarks.md,
names run these alone."""

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in {"__main__", "__init__", "report"})


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which ones (all)")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps([asdict(row) for row in import_module(f"benchmarks.{asked.one}").measure(asked.quick)]))
        return
    rows = []
    for name in asked.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks", "--one", name, *(["--quick"] if asked.quick else [])]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows += json.loads(ran.stdout.splitlines()[-1])
    page = _page(rows, asked.quick)
    print(page)
    if asked.write:
        PAGE.write_text(page)


def _page(rows: list[dict[str, str | bool | None]], quick: bool) -> str:
    machine = f"{_processor()}, {os.cpu_count()} cores, {_memory_gib()} GiB, Python {platform.python_version()}"
    lines = [
        "# Benchmarks",
        "",
        f"Measured by `make bench`{' with small sizes' if quick else ''} on {datetime.now(UTC):%Y-%m-%d}, on {machine}.",
        "",
        "| work | reach | measured | beside it, in the same run | reached |",
        "|---|---|---|---|---|",
    ]
    marks = {True: "yes", False: "no", None: "reported"}
    lines += [f"| {row['work']} | {row['reach']} | {row['measured']} | {row['beside']} | {marks[row['reached']]} |" for row in rows]  # type: ignore[index]  # a flag
    return "\n".join(lines) + "\n"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


if __name__ == "__main__":
    main()
