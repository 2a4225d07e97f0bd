"""What Remit gains in each bundled world beside other policies, over ten seeds: hours of processor."""

import os
import sys
from dataclasses import astuple

from benchmarks.report import Row
from remit.runtime.countries import bundled
from remit.runtime.simulate import simulate

SEEDS = 10


def measure(quick: bool) -> list[Row]:
    """A row per world; each is told on stderr as it ends."""
    rows = []
    for name in bundled():
        if name != "quickstart":
            rows.append(_policies(name, quick))
            print(*astuple(rows[-1]), sep=" | ", file=sys.stderr, flush=True)
    return rows


def _policies(name: str, quick: bool) -> Row:
    weeks, seeds, physicians = (4, 2, 200) if quick else (26, SEEDS, None)
    asked = ["remit", "greedy", "call-plan", "none", "oracle", *(["random"] if name == "nothing" else [])]
    result = simulate(name, weeks, asked, seeds, min(2, os.cpu_count() or 1), os.cpu_count() or 1, physicians, [], _unwatched)
    rows = {row["policy"]: row for row in result["policies"]}
    remit, over = rows["remit"], rows["remit"]["over_greedy_minor"]
    broken = sum(remit["violations"].values())
    low, high = (remit["net_minor"][end] / 100 for end in ("low", "high"))
    fewest = remit["contacts"] <= min(rows[other]["contacts"] for other in asked if other not in ("remit", "none", "oracle"))
    nothing = rows["oracle"]["net_minor"]["mean"] <= 0
    reached = high >= 0 and fewest and not broken if nothing else remit["of_oracle"] >= 0.85 and over["low"] > 0 and not broken
    said = "nothing to gain" if nothing else f"{remit['of_oracle']:.0%} of the oracle"
    beside = ", ".join(f"{other} {rows[other]['net_minor']['mean'] / 100:,.0f}" for other in asked if other != "remit")
    reach = ">= 0 within the interval, fewest contacts" if nothing else ">= 85% of the oracle, above greedy by interval, no violation"
    return Row(
        f"net value in `{name}`, {weeks} weeks, {result['physicians']:,} physicians, {seeds} seeds",
        reach,
        f"{remit['net_minor']['mean'] / 100:,.0f} {result['currency']} [{low:,.0f}, {high:,.0f}], {said}, {broken} rules broken",
        f"{beside}; above greedy by {over['low'] / 100:,.0f} or more",
        None if quick else reached,
    )


def _unwatched(step: str) -> None:
    del step
