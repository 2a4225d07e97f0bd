"""What breaks: kills, opt-outs, restatements, erasures, damaged files, two runs at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from remit.ledger import read_ledger
from remit.runtime import commands, verifying
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, locked, open_workspace
from remit.terms.errors import RemitError

STEPS = (
    "load feeds",
    "read the warehouse",
    "train models",
    "refuse what waited too long",
    "look at the guards",
    "score",
    "watch the models",
    "ask the agents",
    "gather facts",
    "judge",
    "choose",
    "say why",
    "write segments",
    "commit to the ledger",
    "check at the door",
    "act",
)


def quiet(stage: str) -> None:
    pass


def lists(workspace: Workspace, cycle: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((workspace.out / cycle).glob("*"))}


def kinds(workspace: Workspace) -> list[tuple[str, str]]:
    with closing(read_ledger(workspace.ledger)) as records:
        return [(entry.cycle, entry.kind) for entry in records.entries()]


def without_models(workspace: Workspace) -> None:
    (workspace.models / "in-use.json").unlink()


@pytest.fixture(scope="module")
def undisturbed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """What the third cycle leaves if nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed") / "w"
    shutil.copytree(finished, folder)
    workspace = open_workspace(folder)
    without_models(workspace)
    stages: list[str] = []
    run_cycle(workspace, 1, stages.append)
    assert tuple(stages) == STEPS, "a step that no kill is tried at"
    return lists(workspace, "cycle-0003"), sorted(kinds(workspace))


@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_at_any_step_is_finished_by_the_next_and_acts_once(step: str, workspace: Workspace, undisturbed: tuple[object, object]) -> None:
    without_models(workspace)
    killed = subprocess.run([sys.executable, Path(__file__).with_name("killed.py"), workspace.root, step], capture_output=True, check=False, timeout=300)
    assert killed.returncode == 9, killed.stderr.decode()
    done = run_cycle(workspace, 1, quiet)
    assert done.cycle == "cycle-0003"
    assert (lists(workspace, "cycle-0003"), sorted(kinds(workspace))) == undisturbed
    assert verifying.workspace(workspace, None, None)["faults"] == []


def test_acting_again_writes_nothing(workspace: Workspace) -> None:
    subprocess.run([sys.executable, Path(__file__).with_name("killed.py"), workspace.root, "act"], capture_output=True, check=False, timeout=300)
    run_cycle(workspace, 1, quiet)
    stamps = {path: path.stat().st_mtime_ns for path in workspace.out.rglob("*.csv")}
    size = len(kinds(workspace))
    with closing(read_ledger(workspace.ledger)) as records:
        assert records.appended("cycle-0003:handed-over") is not None
    assert {path: path.stat().st_mtime_ns for path in workspace.out.rglob("*.csv")} == stamps
    assert len(kinds(workspace)) == size


def test_an_opt_out_that_arrives_after_the_plan_stops_the_action_at_the_door(workspace: Workspace) -> None:
    subprocess.run([sys.executable, Path(__file__).with_name("killed.py"), workspace.root, "check at the door"], capture_output=True, check=False, timeout=300)
    with closing(read_ledger(workspace.ledger)) as records:
        action = next(action for action in records.recorded("cycle-0003") if action.chosen.judged.proposal.channel == "call")
    hcp = action.chosen.judged.proposal.hcp_id
    (workspace.feeds / "consent" / "late.csv").write_text(f"hcp_id,channel,purpose,status,valid_from\n{hcp},call,promotional,opt_out,2026-01-19T00:00:00Z\n")
    done = run_cycle(workspace, 1, quiet)
    assert action.entry in {item.recorded.entry for item in done.stopped}
    assert all(hcp.encode() not in data for name, data in lists(workspace, "cycle-0003").items() if name.startswith("call"))
    with closing(read_ledger(workspace.ledger)) as records:
        refused = {entry.body["action"]: entry.body["reason"] for entry in records.entries(kind="refused")}
    assert "opted-out" in refused[action.entry]


def test_a_downward_restatement_changes_what_comes_and_not_what_was(workspace: Workspace) -> None:
    rows = pl.concat([pl.read_csv(path, infer_schema=False) for path in sorted((workspace.feeds / "rx").glob("history-*.csv"))])
    rows = rows.filter(pl.col("hcp_id").str.starts_with("H0000"))
    latest = rows.unique(["hcp_id", "product", "period"], keep="last", maintain_order=True).with_columns(trx=pl.lit("0"), nrx=pl.lit("0"), nbrx=pl.lit("0"))
    latest.drop("received_at").write_csv(workspace.feeds / "rx" / "restated.csv")
    run_cycle(workspace, 1, quiet)
    assert commands.replay(workspace.root, "cycle-0002", 1, quiet)["cycles"][0]["differs"] == []
    scores = {cycle: _mean_score(workspace, cycle) for cycle in ("cycle-0002", "cycle-0003")}
    assert scores["cycle-0003"] < scores["cycle-0002"] / 2


def _mean_score(workspace: Workspace, cycle: str) -> float:
    with closing(read_ledger(workspace.ledger)) as records:
        frames = [records.read_segment(segment).frame for segment in records.segments(cycle, "decisions")]
    return float(pl.concat(frames).filter(pl.col("pdrp").not_())["lead_score"].to_numpy().mean())


def test_an_erasure_leaves_the_log_whole_and_a_replay_that_says_what_is_gone(workspace: Workspace) -> None:
    with closing(read_ledger(workspace.ledger)) as records:
        hcp = records.recorded("cycle-0001")[0].chosen.judged.proposal.hcp_id
    told = commands.erase(hcp, workspace.root, "request")
    assert told["sources"]
    assert verifying.workspace(workspace, None, None)["faults"] == []
    replayed = commands.replay(workspace.root, None, 1, quiet)["cycles"]
    assert [(item["gone"], item["differs"]) for item in replayed] == [(1, []), (1, [])]
    run_cycle(workspace, 1, quiet)
    held = [path for path in workspace.root.rglob("*") if path.is_file() and workspace.feeds not in path.parents and hcp.encode() in path.read_bytes()]
    assert held == []
    assert commands.replay(workspace.root, "cycle-0003", 1, quiet)["cycles"][0] | {"rows": 0} == {
        "cycle": "cycle-0003",
        "compared": "every decision, price and action, to the byte",
        "rows": 0,
        "gone": 0,
        "differs": [],
    }


def test_two_runs_at_once_are_told_apart(workspace: Workspace, remit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    with locked(workspace):
        second = remit("run", "-w", workspace.root)
    assert second.returncode == 2
    assert "another run is at work" in second.stderr
    assert "Traceback" not in second.stderr


def _spoil(workspace: Workspace, what: str) -> str:
    """Spoils one thing, and names the word that the message must hold."""
    if what == "model":
        trees = next((workspace.models / "lead-score").glob("*/trees.txt"))
        trees.write_text(trees.read_text().replace("1", "2", 1))
        return "changed"
    if what == "newer workspace":
        settings = workspace.settings_file
        settings.write_text(settings.read_text().replace("version = 1", "version = 2"))
        return "newer release"
    if what == "unknown setting":
        settings = workspace.settings_file
        settings.write_text(settings.read_text().replace("[contacts]", "[contacts]\nper_moon = 1"))
        return "per_moon"
    if what == "no charter":
        shutil.rmtree(workspace.root / "agents")
        return "agents"
    if what == "unknown owner":
        charter = workspace.root / "agents" / "email.yaml"
        charter.write_text(charter.read_text().replace("owner-email", "owner-nobody"))
        return "owner-nobody"
    (workspace.root / "people.yaml").write_bytes(b"\xff\xfe")
    return "people.yaml"


@pytest.mark.parametrize("what", ["model", "newer workspace", "unknown setting", "no charter", "unknown owner", "not text"])
def test_what_a_person_can_mend_is_one_message_and_leaves_everything_as_it_was(
    what: str, workspace: Workspace, remit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    word, before = _spoil(workspace, what), kinds(workspace)
    ran = remit("run", "-w", workspace.root)
    assert ran.returncode == 2
    assert word in ran.stderr
    assert "Traceback" not in ran.stderr
    assert kinds(workspace) == before


def _spoil_feed(workspace: Workspace, how: str) -> str:
    if how == "missing":
        for folder in (workspace.feeds, workspace.warehouse, workspace.ledger.folder, workspace.out):
            shutil.rmtree(folder / "inquiries" if folder in (workspace.feeds, workspace.warehouse) else folder)
        return "inquiries: no file has come"
    if how == "empty":
        (workspace.feeds / "consent" / "nothing.csv").write_text("hcp_id,channel,purpose,status,valid_from\n")
        return "has no rows"
    if how == "unreadable":
        (workspace.feeds / "touches" / "broken.csv").write_bytes(b"\x00\x01\x02")
        return "touches/broken.csv: refused"
    good = "".join(f"H{number:07d},alpha,2025-W50,3,1,0\n" for number in range(1, 8))
    bad = "".join(f"H{number:07d},alpha,2025-W50,-3,1,0\n" for number in range(8, 11))
    (workspace.feeds / "rx" / "thirty.csv").write_text("hcp_id,product,period,trx,nrx,nbrx\n" + good + bad)
    return "DOUBTFUL"


def test_what_a_cycle_has_read_and_is_gone_is_named(workspace: Workspace) -> None:
    shutil.rmtree(workspace.warehouse / "inquiries")
    assert all("gone" in fault["what"] for fault in verifying.workspace(workspace, None, None)["faults"])
    assert verifying.workspace(workspace, None, None)["faults"]


@pytest.mark.parametrize("how", ["missing", "empty", "unreadable", "thirty percent bad"])
def test_a_bad_delivery_is_said_and_the_cycle_goes_on(how: str, workspace: Workspace) -> None:
    word = _spoil_feed(workspace, how)
    done = run_cycle(workspace, 1, quiet)
    assert any(word in warning for warning in done.loaded.warnings), done.loaded.warnings
    assert done.result is not None
    assert done.files
    assert verifying.workspace(workspace, None, None)["faults"] == []


def test_a_read_only_ledger_stops_the_run_with_one_message(workspace: Workspace) -> None:
    for path in [*workspace.ledger.folder.rglob("*"), workspace.ledger.folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    obey = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.getuid() == 0 else []  # root, too, then has to obey a file's mode
    ran = subprocess.run([*obey, sys.executable, "-m", "remit.runtime", "run", "-w", workspace.root], capture_output=True, text=True, check=False, timeout=300)
    for path in [workspace.ledger.folder, *workspace.ledger.folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o600)
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "ledger" in ran.stderr
    assert run_cycle(workspace, 1, quiet).cycle == "cycle-0003"
    assert verifying.workspace(workspace, None, None)["faults"] == []


@pytest.mark.parametrize("blocks", [64, 512, 4096])
def test_a_full_disk_loses_nothing_and_the_next_run_goes_on(blocks: int, workspace: Workspace) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); n = int(sys.argv.pop(1)) * 1024;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); from remit.runtime.__main__ import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(blocks), "run", "-w", workspace.root], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode in (0, 2), ran.stderr
    assert "Traceback" not in ran.stderr
    if ran.returncode == 2:
        assert run_cycle(workspace, 1, quiet).cycle == "cycle-0003"
    assert verifying.workspace(workspace, None, None)["faults"] == []


@pytest.mark.parametrize("place", ["objects/*", "models/*/*/*", "warehouse/rx/*.parquet", "ledger/segments/*"])
def test_a_changed_byte_in_what_a_cycle_recorded_is_found_and_named(place: str, workspace: Workspace) -> None:
    path = next(path for path in sorted(workspace.root.glob(place)) if path.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    faults = verifying.workspace(workspace, None, None)["faults"]
    assert faults
    assert any(path.stem in fault["where"] + fault["what"] or path.parent.name in fault["where"] + fault["what"] for fault in faults)


def test_a_workspace_that_is_not_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(RemitError, match="there is no workspace here"):
        open_workspace(tmp_path)


def test_values_in_two_currencies_are_not_added_up(workspace: Workspace) -> None:
    row = "product,brand,basket,own,outcome,value_minor,currency,valid_from\nalpha,Alpha,basket-1,true,trx,4000,EUR,2026-01-12T00:00:00Z\n"
    path = workspace.feeds / "products" / "dearer.csv"
    path.write_text(row)
    with pytest.raises(WorkspaceError, match="values in several currencies are not added up") as raised:
        run_cycle(workspace, 1, quiet)
    assert raised.value.faults == ("`alpha` is worth so much in EUR",)
    assert [cycle for cycle, kind in kinds(workspace) if kind in ("cycle", "acted")][-1] == "cycle-0002"
    (workspace.feeds / "products" / "mended.csv").write_text(row.replace("EUR", "USD").replace("2026-01-12", "2026-01-13"))
    assert run_cycle(workspace, 1, quiet).result is not None
