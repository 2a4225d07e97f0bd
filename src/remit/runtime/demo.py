"""`make demo`: the main job, from nothing to a plan with proof, in a country small enough to read."""

import shutil
import sys
from pathlib import Path
from time import perf_counter

from remit.runtime import commands, render
from remit.terms.errors import RemitError

_CYCLES = 4


def main(folder: Path, threads: int = 2) -> None:
    """Makes `folder` anew, runs four cycles, shows what they did, verifies and replays them."""
    start = perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    render.init(commands.init(folder, "two-brands", None, 2000))
    with render.Progress(quiet=False) as progress:
        for done in commands.run(folder, _CYCLES, threads, progress):
            render.run(done)
    render.heading("The agents of the last cycle")
    render.show(commands.show("agents", folder, None, None, None, 20))
    render.heading("How old is what is known")
    render.show(commands.show("freshness", folder, None, None, None, 20))
    render.heading("One decision")
    render.explain(commands.explain(done["example"], folder, folder / "receipt.json"))
    render.heading("Verify")
    render.verify(commands.verify(folder, [folder / "receipt.json"], None, None))
    render.verify(commands.verify(folder, [], None, None))
    render.heading("Replay")
    with render.Progress(quiet=False) as progress:
        render.replay(commands.replay(folder, None, threads, progress))
    render.heading(f"Done in {perf_counter() - start:.0f} s")
    render.say(f"The workspace is {folder}/. Go on with, for example:")
    for command in ("show prices", "show decisions --agent email --disposition forbidden", "show quarantine", "run"):
        render.say(f"  .venv/bin/remit {command} -w {folder}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except RemitError as error:
        render.error(error)
        sys.exit(2)
