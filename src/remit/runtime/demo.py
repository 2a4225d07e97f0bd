"""`make demo`: the main job, from nothing to a plan with proof, in a country small enough to read."""

import re
import shutil
import sys
from pathlib import Path
from time import perf_counter

from remit.runtime import commands, differing, printing, render, render_authority, render_findings, render_rights, rights_commands
from remit.runtime.workspace import open_workspace
from remit.terms.errors import RemitError

_WORLD, _PHYSICIANS = "quickstart", 600
_CYCLES, _QUIETLY = 4, 6
_WORTH_A_LOOK = 150
"""From which value on people look at an action, in the table that replaces the first one."""


def main(folder: Path, threads: int = 2) -> None:
    """Makes `folder` anew in a simulated country, runs cycles, shows what they did and changed, verifies and replays them, and compares policies."""
    start = perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    render.init(commands.init_world(folder, _WORLD, _PHYSICIANS))
    with printing.Progress(quiet=False) as progress:
        for done in commands.run(folder, _CYCLES, threads, progress):
            render.run(done)
        printing.heading("Decision rights change: one person proposes, another approves")
        _change(folder)
        printing.line(f"{_QUIETLY} more cycles, quietly: prescriptions are reported late, and outcomes need time.")
        for _ in commands.run(folder, _QUIETLY, threads, progress):
            pass
    printing.heading("The agents of the last cycle")
    render.show(commands.show("agents", folder, None, None, None, 20))
    printing.heading("One decision")
    render.explain(commands.explain(done["example"], folder, folder / "receipt.json"))
    printing.heading("What the other table would have made of every decision")
    render_authority.diff(differing.differed(open_workspace(folder), "v1", "v2", None))
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


def _change(folder: Path) -> None:
    """Puts a second version of the table into force, in which people look at more."""
    file = folder / "authority.yaml"
    text = re.sub("^version: 1$", "version: 2", file.read_text(), flags=re.MULTILINE)
    file.write_text(re.sub("(name: worth_a_look\n +value:) [0-9]+", rf"\1 {_WORTH_A_LOOK}", text))
    proposed = rights_commands.propose(folder, None, "owner-authority", "More of what is worth much is to be seen by people.")
    render_rights.change(proposed)
    render_rights.change(rights_commands.approve(folder, proposed["table"], "compliance-lead"))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except RemitError as error:
        printing.error(error)
        sys.exit(2)
