"""`make bench`: every benchmark in a process of its own, printed side by side. `--quick` makes them small, `--write` puts each one's table into
docs/benchmarks.md as soon as it is measured, names run these alone."""

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
    failed = []
    for name in asked.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks", "--one", name, *(["--quick"] if asked.quick else [])]
        before = _taken()
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        after = _taken()
        if ran.returncode:
            failed.append(name)
            continue
        section = _section(json.loads(ran.stdout.splitlines()[-1]), asked.quick, (after[0] - before[0]) / max(after[1] - before[1], 1))
        print(f"## {name}\n\n{section}", flush=True)
        if asked.write:
            PAGE.write_text(_page(PAGE.read_text() if PAGE.is_file() else "", name, section))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see above")


def _taken() -> tuple[int, int]:
    """The processor's time so far that the host gave to others, and that was asked for (in ticks); nothing where the system does not say."""
    stat = Path("/proc/stat")
    ticks = [int(text) for text in stat.read_text().split("\n", 1)[0].split()[1:9]] if stat.is_file() else [0] * 8
    return ticks[7], sum(ticks) - ticks[3] - ticks[4]


def _page(before: str, name: str, section: str) -> str:
    """The page with one benchmark's section put in or written anew; the others stay as they were measured."""
    parts = dict(part.split("\n\n", 1) for part in before.split("\n## ")[1:])
    parts[name] = section
    head = (
        "# Benchmarks\n\n`make bench` measures all of them and prints them; `python -m benchmarks NAME --write` measures one and writes its section here, so\n"
        "each says when and on what it was measured. `reach` is what was aimed at; where nothing was, the last column says `reported`.\n"
    )
    return head + "".join(f"\n## {each}\n\n{parts[each].rstrip()}\n" for each in sorted(parts))


def _section(rows: list[dict[str, str | bool | None]], quick: bool, taken: float) -> str:
    machine = f"{_processor()}, {os.cpu_count()} cores, {_memory_gib()} GiB, Python {platform.python_version()}"
    lines = [
        f"Measured{' with small sizes' if quick else ''} on {datetime.now(UTC):%Y-%m-%d}, on {machine}.",
        f"The host gave {taken:.0%} of the time that was asked for to others.",
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
