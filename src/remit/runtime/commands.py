"""What each command does, as plain data: the command line prints it as text or as JSON."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from remit.gateway import between
from remit.intake import erase as erase_rows
from remit.intake import freshness, read_quarantine, replaced
from remit.ledger import migrate_ledger, open_ledger, read_ledger
from remit.runtime import (
    explaining,
    nowcasts,
    overview,
    recounting,
    rederiving,
    registry,
    replaying,
    reporting,
    training,
    trials,
    verifying,
    weighing,
)
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.holdouts import planned, shown
from remit.runtime.init import check_empty, create
from remit.runtime.living import create_world
from remit.runtime.outcome_page import outcome_page
from remit.runtime.page import page as simulation_page
from remit.runtime.run import check_finished, load_feeds, present, run_cycle
from remit.runtime.settings import WORKSPACE_VERSION
from remit.runtime.simulate import simulate
from remit.runtime.workspace import Workspace, config_texts, locked, open_workspace, read_config, write_whole
from remit.terms.instants import HOUR, format_instant

Stage = Callable[[str], None]

SHOWN = ("decisions", "agents", "prices", "quarantine", "freshness", "models", "segments")


def init(folder: Path, example: str, data: Path | None, physicians: int) -> dict[str, Any]:
    """Makes a workspace from an example and says what is in it."""
    create(folder, example, data, physicians)
    return _made(folder, f"example {example}")


def init_world(folder: Path, world: str, physicians: int | None) -> dict[str, Any]:
    """Makes a workspace in a simulated country and says what is in it."""
    check_empty(folder)
    create_world(folder, world, physicians)
    return _made(folder, f"world {world}")


def run(workspace: Path, cycles: int, threads: int, stage: Stage) -> Iterator[dict[str, Any]]:
    """Runs cycles, one after another, and reports each as it ends."""
    place = open_workspace(workspace)
    for _ in range(cycles):
        timer = reporting.Timer(stage)
        done = run_cycle(place, threads, timer)
        yield reporting.of_run(done, timer.seconds())


def load(workspace: Path) -> dict[str, Any]:
    """Loads the files that arrived since the last cycle, for what is decided before the next: an opt-out among them counts at once. Raises `WorkspaceError`
    before the first cycle, and where the last one was interrupted."""
    place = open_workspace(workspace)
    with locked(place), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        last_cycle(ledger)
        check_finished(ledger)
        config = read_config(config_texts(place))
        return reporting.of_load(load_feeds(place, config, ledger, present(ledger, config.settings), os.urandom))


def show(what: str, workspace: Path, cycle: str | None, agent: str | None, disposition: str | None, limit: int) -> dict[str, Any]:
    """One of `SHOWN`, with at most `limit` rows of what may be long."""
    if what not in SHOWN:
        raise WorkspaceError(f"there is nothing called `{what}` to show", do=f"One of: {', '.join(SHOWN)}.")
    place = open_workspace(workspace)
    if what == "quarantine":
        return _quarantine(place, limit)
    if what == "models":
        return {"what": what, "rows": training.described(place)}
    if what == "segments":
        return {"what": what, **overview.segments(place)}
    with closing(read_ledger(place.ledger)) as records:
        cycle_id = cycle or last_cycle(records)
        if what == "decisions" and cycle_id in {between(entry.cycle) for entry in records.entries(kind="cycle")}:
            return {"what": what, "cycle": cycle_id, **recounting.listed(records, cycle_id, agent, disposition, limit)}
        body = cycle_body(records, cycle_id)
        if what == "freshness":
            return _freshness(place, int(body["now"]))
        if what == "decisions":
            return {"what": what, "cycle": cycle_id, **reporting.decisions(records, cycle_id, agent, disposition, limit)}
        rows = reporting.prices(body) if what == "prices" else reporting.agents(body)
        return {"what": what, "cycle": cycle_id, "rows": rows}


def explain(receipt: str, workspace: Path, out: Path | None) -> dict[str, Any]:
    """One decision in words, from a receipt's file or from the ledger; the receipt itself goes to `out`."""
    if Path(receipt).is_file():
        return explaining.of_receipt(Path(receipt).read_bytes())
    place = open_workspace(workspace)
    with closing(read_ledger(place.ledger)) as records:
        data = explaining.receipt(records, receipt)
        if out is not None:
            out.write_bytes(data)
        return explaining.of_receipt(data) | {"turning": explaining.turning(place, records, receipt), "written": str(out) if out else None}


def verify(workspace: Path, receipts: list[Path], against: Path | None, key: Path | None) -> dict[str, Any]:
    """What was verified and every fault found."""
    return verifying.receipts(workspace, receipts, key) if receipts else verifying.workspace(open_workspace(workspace), against, key)


def replay(workspace: Path, cycle: str | None, threads: int, stage: Stage) -> dict[str, Any]:
    """Each replayed cycle: whether it came out the same, what differs, what is gone."""
    place = open_workspace(workspace)
    with closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        every = [entry.cycle for entry in ledger.entries(kind="cycle")]
        after = {between(each) for each in every}
        cycles = [each for each in ([cycle] if cycle else every) if each not in after]
        labels = [each for each in map(between, every) if cycle in (None, each) and rederiving.decisions(ledger, each)]
        if cycle in after and not labels:
            raise WorkspaceError(f"the ledger holds no decisions of `{cycle}`", do="`remit replay` without `--cycle` replays whatever there is.")
        done = [replaying.replay(place, ledger, each, threads, stage) for each in cycles]
        return {"cycles": done, "between": [rederiving.rederive(place, ledger, each, threads) for each in labels]}


def erase(hcp: str, workspace: Path, reason: str) -> dict[str, Any]:
    """Destroys what is held of an HCP: the warehouse's rows, then key, salts and payloads; says what lies outside."""
    place = open_workspace(workspace)
    with locked(place), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        now = cycle_body(ledger, last_cycle(ledger))["now"]
        if ledger.is_erased(hcp):
            raise WorkspaceError(f"{hcp} has been erased before", where=str(workspace), do="Nothing is held; `remit verify` shows that the log holds.")
        rewritten = erase_rows(place.warehouse, hcp, os.urandom)
        if not rewritten and not ledger.holds(hcp):
            raise WorkspaceError(f"nothing is held of {hcp}", where=str(workspace), do="Check the id: `remit show decisions` prints some.")
        erasure = ledger.erase(hcp, now=int(now), reason=reason, replaced=sorted(replaced(place.warehouse).items()))
    lists = _strike_out(place, hcp)
    sources = [str(path.relative_to(place.root)) for path in sorted(place.feeds.rglob("*.csv")) if hcp in path.read_text(errors="replace")]
    return {"hcp": hcp, "reference": erasure.hcp, "tombstone": erasure.tombstone, "segments": len(rewritten), "lists": lists, "sources": sources}


def _strike_out(place: Workspace, hcp: str) -> list[str]:
    """Takes the HCP's lines out of the lists in `out/`, and names the lists."""
    changed = []
    for path in sorted(place.out.rglob("*.csv")):
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if hcp not in line.rstrip("\n").split(",")]
        if kept != lines:
            path.write_text("".join(kept))
            changed.append(str(path.relative_to(place.root)))
    return changed


def migrate(workspace: Path) -> dict[str, Any]:
    """Moves the ledger's databases to this release; the settings' version is the newest there is."""
    place = open_workspace(workspace)
    with locked(place):
        read_config(config_texts(place))
        if place.ledger.made:
            migrate_ledger(place.ledger)
    return {"workspace": str(workspace), "version": WORKSPACE_VERSION}


def holdout_plan(workspace: Path, effect: float, by: str | None, level: float, power: float) -> dict[str, Any]:
    """How long an experiment must run, and with how many left alone, to see an effect."""
    return planned(open_workspace(workspace), effect, by, level, power)


def outcomes_show(workspace: Path, level: float, page: Path | None = None) -> dict[str, Any]:
    """What acting changed against who was left alone; the charts of every look go to `page`."""
    result = shown(open_workspace(workspace), level)
    if page is not None:
        write_whole(page, outcome_page(result).encode())
    return {**result, "page": str(page) if page else None}


def outcomes_tried(workspace: Path, periods: int | None) -> dict[str, Any]:
    """What contacts changed where chance decided whether they were made."""
    return trials.told(open_workspace(workspace), periods)


def outcomes_tried_by(workspace: Path, table: Path, periods: int | None) -> dict[str, Any]:
    """What chance's decisions would have been worth under another authority table."""
    return weighing.told(open_workspace(workspace), table, periods)


def outcomes_nowcast(workspace: Path) -> dict[str, Any]:
    """What the newest weeks will have been."""
    return nowcasts.told(open_workspace(workspace))


def simulated(
    world: str, weeks: int, policies: list[str], seeds: int, jobs: int, threads: int, physicians: int | None, what_if: list[str], report: Path, stage: Stage
) -> dict[str, Any]:
    """What policies did in a world; the page goes to `report`."""
    result = simulate(world, weeks, policies, seeds, jobs, threads, physicians, what_if, stage)
    write_whole(report, simulation_page(result).encode())
    return {**result, "report": str(report)}


def models_show(workspace: Path) -> dict[str, Any]:
    """Each model's stage, evidence, drift, bias and signatures."""
    return overview.shown(open_workspace(workspace))


def models_sign(workspace: Path, model: str, person: str, role: str) -> dict[str, Any]:
    """Records a person's yes to a model, and says where the model stands."""
    place = open_workspace(workspace)
    with locked(place), closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
        now = int(cycle_body(ledger, last_cycle(ledger))["now"])
        return registry.sign(read_config(config_texts(place)), place, ledger, model, person, role, now)


def _made(folder: Path, of: str) -> dict[str, Any]:
    feeds = {path.name: sum(1 for file in path.iterdir() if file.suffix in (".csv", ".parquet")) for path in sorted((folder / "feeds").iterdir())}
    return {"workspace": str(folder), "of": of, "feeds": feeds}


def _quarantine(place: Workspace, limit: int) -> dict[str, Any]:
    rows = read_quarantine(place.warehouse)
    rules = rows.group_by("feed", "rules").len().sort("feed", "rules").rows(named=True)
    return {"what": "quarantine", "total": rows.height, "rules": rules, "rows": rows.select("feed", "file", "line", "rules", "cells").head(limit).to_dicts()}


def _freshness(place: Workspace, now: int) -> dict[str, Any]:
    rows = []
    for fresh in freshness(place.warehouse, now):
        rows.append(
            {
                "table": fresh.table,
                "rows": fresh.rows,
                "assumed": fresh.assumed_rows,
                "last_load": None if fresh.last_load is None else format_instant(fresh.last_load),
                "feed_age_h": None if fresh.feed_age_us is None else fresh.feed_age_us // HOUR,
                "data_age_h": None if fresh.data_age_us is None else fresh.data_age_us // HOUR,
                "doubtful_files": fresh.doubtful_files,
            }
        )
    return {"what": "freshness", "as_of": format_instant(now), "rows": rows}
