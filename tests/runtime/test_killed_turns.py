"""A worker that is killed at any step of a turn: what it had not committed is not there, what it had is there once, and the next one goes on."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from remit.runtime import commands
from remit.runtime.standing import deliverer
from remit.runtime.workspace import Workspace, open_workspace
from tests.runtime.killed_clerk import STEPS
from tests.runtime.test_between import asked, free, one, place


@pytest.fixture(scope="module")
def spoilt(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Iterator[str]]]:
    """One workspace for all kills, and HCPs that may be written to."""
    root = tmp_path_factory.mktemp("killed") / "w"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    with place(workspace) as (clerk, _, _):
        hcps = free(clerk)
    yield workspace, iter(hcps)
    assert commands.verify(root, [], None, None)["faults"] == []


def killed(workspace: Workspace, what: str, step: str, hcp: str) -> None:
    command = [sys.executable, "-m", "tests.runtime.killed_clerk", str(workspace.root), what, step, hcp]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 9, ran.stderr


def listed(workspace: Workspace) -> list[str]:
    paths = list((workspace.out / "cycle-0002.between").rglob("email.csv"))
    return [hcp for path in paths for hcp in pl.read_csv(path, infer_schema=False)["hcp_id"]]


@pytest.mark.parametrize("step", STEPS["propose"])
def test_a_proposal_whose_worker_was_killed_is_decided_once(step: str, spoilt: tuple[Workspace, Iterator[str]]) -> None:
    workspace, hcps = spoilt
    hcp = next(hcps)
    killed(workspace, "propose", step, hcp)
    with place(workspace) as (clerk, config, ledger):
        before = ledger.size
        answer = one(clerk, config, asked(clerk, hcp, f"k-{hcp}"))
        assert (answer.disposition, ledger.size - before) == ("chosen", 0 if step == "committed, not answered" else 1)
        assert sum(entry.body.get("id") == answer.id for entry in ledger.entries(kind="action")) == 1
        clerk.act(deliverer(workspace, config))
    assert listed(workspace).count(hcp) == 1


@pytest.mark.parametrize("step", STEPS["act"])
def test_what_was_being_handed_over_when_the_worker_was_killed_is_handed_over_once(step: str, spoilt: tuple[Workspace, Iterator[str]]) -> None:
    workspace, hcps = spoilt
    hcp = next(hcps)
    with place(workspace) as (clerk, config, _):
        answer = one(clerk, config, asked(clerk, hcp, f"k-{hcp}"))
    killed(workspace, "act", step, hcp)
    with place(workspace) as (clerk, config, ledger):
        assert clerk.act(deliverer(workspace, config)) == ((0, 0) if step == "committed, not answered" else (1, 0))
        assert sum(answer.entry in entry.body["actions"] for entry in ledger.entries(kind="acted")) == 1
    assert listed(workspace).count(hcp) == 1
