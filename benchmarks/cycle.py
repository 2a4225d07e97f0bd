"""One weekly cycle of `remit run` in a country of 100,000 physicians with 16 candidates each, without training; seconds by stage."""

import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from remit.runtime.init import create

PHYSICIANS = 100_000


def measure(quick: bool) -> list[Row]:
    """The first cycle loads the history and trains; the second, which loads a week's deliveries, is measured."""
    physicians = PHYSICIANS // 20 if quick else PHYSICIANS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "country"
        create(root, "two-brands", None, physicians)
        _sixteen_candidates(root)
        first, _ = _run(root)
        second, peak_gb = _run(root)
    seconds, each = sum(second["seconds"].values()), second["decisions"] / second["hcps"]
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in sorted(second["seconds"].items(), key=lambda item: -item[1]))
    return [
        Row(
            f"`remit run`, {physicians:,} HCPs x {each:.1f} candidates, one cycle, without training",
            "<= 90 s and <= 8 GB on 2 cores",
            f"{seconds:.0f} s, {peak_gb:.1f} GB ({stages})",
            f"the first cycle, which loads a year and trains: {sum(first['seconds'].values()):.0f} s",
            None if quick else seconds <= 90 and peak_gb <= 8,
        )
    ]


def _sixteen_candidates(root: Path) -> None:
    """Call planners propose up to four details of their brand to an HCP."""
    for path in (root / "agents").glob("calls-*.yaml"):
        path.write_text(re.sub(r"most_per_hcp: \d+", "most_per_hcp: 4", path.read_text()))


def _run(root: Path) -> tuple[dict[str, Any], float]:
    """What a run reports, and its peak memory in GB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ran = subprocess.run([sys.executable, "-m", "remit.runtime", "run", "-w", root, "--json"], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout), max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 2**20
