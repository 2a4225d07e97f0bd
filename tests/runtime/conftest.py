"""A small workspace with two finished cycles, made once and copied for each test."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from remit.runtime import rights_commands
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, open_workspace

PHYSICIANS = 150


def quiet(stage: str) -> None:
    """Tells nobody."""


def small(folder: Path, physicians: int = PHYSICIANS) -> Workspace:
    """A workspace of the example `two-brands` that learns from a short history."""
    create(folder, "two-brands", None, physicians)
    settings = folder / "remit.toml"
    settings.write_text(re.sub(r'history = "[^"]*"', 'history = "16 weeks"', settings.read_text()))
    return open_workspace(folder)


def amended(workspace: Workspace) -> None:
    """Puts the table as it stands in the folder into force, as two people do."""
    table = workspace.root / "authority.yaml"
    version = int(re.findall(r"^version: (\d+)$", table.read_text(), re.MULTILINE)[0])
    table.write_text(table.read_text().replace(f"version: {version}\n", f"version: {version + 1}\n", 1))
    told = rights_commands.propose(workspace.root, None, "owner-email", "a test")
    rights_commands.approve(workspace.root, told["table"], "owner-authority")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cycles done."""
    workspace = small(tmp_path_factory.mktemp("base") / "w")
    for _ in range(2):
        run_cycle(workspace, 1, quiet)
    return workspace.root


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace with two cycles, for one test to spoil."""
    shutil.copytree(finished, tmp_path / "w")
    return open_workspace(tmp_path / "w")


@pytest.fixture
def remit() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command line in a process of its own."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "remit.runtime", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=300)

    return call
