"""One cycle of `remit run` in a country of 100,000 physicians with 16 candidates each, without training; seconds by stage."""

import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Row
from remit.runtime import training
from remit.runtime.init import create
from remit.runtime.inputs import tables
from remit.runtime.run import run_cycle
from remit.runtime.workspace import config_texts, open_workspace, read_config

PHYSICIANS = 100_000


def measure(quick: bool) -> list[Row]:
    """Trains on a small part first, so that the cycle that is measured only reads, decides, records and hands over."""
    physicians = PHYSICIANS // 20 if quick else PHYSICIANS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "country"
        create(root, "two-brands", None, physicians)
        _sixteen_candidates(root)
        trained = _first_load_and_training(root)
        ran = subprocess.run([sys.executable, "-m", "remit.runtime", "run", "-w", root, "--json"], capture_output=True, text=True, check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        report = json.loads(ran.stdout)
    seconds = {stage: value for stage, value in report["seconds"].items() if stage != "train models"}
    total, each = sum(seconds.values()), report["decisions"] / report["hcps"]
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in sorted(seconds.items(), key=lambda item: -item[1]))
    work = f"`remit run`, {physicians:,} HCPs x {each:.1f} candidates, one cycle, without training"
    return [
        Row(work, "<= 90 s and <= 8 GB on 2 cores", f"{total:.0f} s, {peak:.1f} GB ({stages})", f"training, not counted: {trained:.0f} s", total <= 90 and peak <= 8)
    ]
