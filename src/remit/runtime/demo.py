"""`make demo`: the main job, from nothing to a plan with proof, in a country small enough to read."""

import shutil
import sys
from pathlib import Path
from time import perf_counter

from remit.runtime import commands, printing, render, render_findings
from remit.terms.errors import RemitError

_WORLD, _PHYSICIANS = "quickstart", 600
_CYCLES, _QUIETLY = 4, 6


def main(folder: Path, threads: int = 2) -> None:
    """Makes `folder` anew in a simulated country, runs cycles, shows what they did and changed, verifies and replays them, and compares policies."""
    start = perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    render.init(commands.init_world(folder, _WORLD, _PHYSICIANS))
    with printing.Progress(quiet=False) as progress:
        for done in commands.run(folder, _CYCLES, threads, progress):
            render.run(done)
        printing.line(f"{_QUIETLY} more cycles, quietly: prescriptions are reported late, and outcomes need time.")
        for _ in commands.run(folder, _QUIETLY, threads, progress):
            pass
    printing.heading("The agents of the last cycle")
    render.show(commands.show("agents", folder, None, None, None, 20))
    printing.heading("One decision")
    render.explain(commands.explain(done["example"], folder, folder / "receipt.json"))
    printing.heading("The models")
    render_findings.models_show(commands.models_show(folder))
    printing.heading("What acting changed, against those left alone")
    render_findings.outcomes_show(commands.outcomes_show(folder, 0.9))
    printing.heading("Verify")
    render.verify(commands.verify(folder, [folder / "receipt.json"], None, None))
    render.verify(commands.verify(folder, [], None, None))
    printing.heading("Replay")
    with printing.Progress(quiet=False) as progress:
        render.replay(commands.replay(folder, done["cycle"], threads, progress))
    printing.heading("The same country under other policies")
    policies, report = ["remit", "greedy", "call-plan", "none"], folder / "report.html"
    with printing.Progress(quiet=False) as progress:
        render_findings.simulated(commands.simulated(_WORLD, 8, policies, 1, 1, threads, 300, [], report, progress))
    printing.heading(f"Done in {perf_counter() - start:.0f} s")
    printing.line(f"The workspace is {folder}/, the page with charts {report}. Go on with, for example:")
    for command in ("show prices", "show decisions --agent email --disposition forbidden", "show freshness", "holdout plan --effect 0.05", "run"):
        printing.line(f"  .venv/bin/remit {command} -w {folder}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except RemitError as error:
        printing.error(error)
        sys.exit(2)
