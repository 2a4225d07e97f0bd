"""A workspace whose log is on PostgreSQL: the same cycles, receipts and answers as on SQLite, and one message where its settings lead nowhere."""

import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from remit.ledger import read_ledger
from remit.runtime import commands, explaining, verifying
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.stores.postgresql import read_url_env, url_env_of, url_of
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.documents import Document
from tests.runtime.conftest import quiet, small

URL = "REMIT_TEST_LEDGER_URL"


def on_postgresql(folder: Path) -> Workspace:
    """A workspace whose settings name the variable."""
    workspace = small(folder)
    workspace.settings_file.write_text(f'{workspace.settings_file.read_text()}\n[ledger]\nurl_env = "{URL}"\n')
    return open_workspace(folder)


def receipts(workspace: Workspace) -> list[bytes]:
    with closing(read_ledger(workspace.ledger)) as records:
        return [explaining.receipt(records, f"cycle-0001/{number}") for number in (0, 50, 200)]


def test_a_cycle_on_postgresql_has_the_root_and_the_receipts_of_the_same_cycle_on_sqlite(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, remit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    monkeypatch.setenv(URL, database)
    there = on_postgresql(tmp_path / "there")
    here = Workspace(on_postgresql(tmp_path / "here").root)  # the same settings to the byte, kept in the folder all the same
    for workspace in (here, there):
        for _ in range(2):
            run_cycle(workspace, 1, quiet, np.random.default_rng(5).bytes)
    reports = [verifying.workspace(workspace, None, None) for workspace in (here, there)]
    assert reports[0] == reports[1]
    assert reports[0]["faults"] == []
    assert receipts(here) == receipts(there)
    assert not (there.ledger.folder / "ledger.db").exists()
    assert [cycle["differs"] for cycle in commands.replay(there.root, None, 1, quiet)["cycles"]] == [[], []]
    assert commands.explain("cycle-0001/50", there.root, None) == explaining.of_receipt(receipts(here)[1]) | {
        "turning": explaining.turning(there, read_ledger(here.ledger), "cycle-0001/50"),
        "written": None,
    }
    with closing(read_ledger(there.ledger)) as records:
        hcp = records.recorded("cycle-0001")[0].chosen.judged.proposal.hcp_id
    commands.erase(hcp, there.root, "request")
    ran = remit("migrate", "-w", there.root)
    assert ran.returncode == 0, ran.stderr
    ran = remit("run", "-w", there.root)
    assert ran.returncode == 0, ran.stderr
    ran = remit("verify", "-w", there.root)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with closing(read_ledger(there.ledger)) as records:
        assert records.is_erased(hcp)
        assert len(list(records.entries(kind="cycle"))) == 3


def test_a_variable_that_is_not_set_and_a_server_that_is_away_are_one_message_and_begin_nothing(
    tmp_path: Path, remit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    workspace = on_postgresql(tmp_path / "w")
    unset = remit("run", "-w", workspace.root, **{URL: ""})
    away = remit("run", "-w", workspace.root, **{URL: "postgresql://remit:Secret@127.0.0.1:1/north"})
    for ran, said in ((unset, f"`{URL}`"), (away, "the server cannot be reached")):
        assert ran.returncode == 2
        assert said in ran.stderr
        assert "Traceback" not in ran.stderr
        assert "Secret" not in ran.stderr + ran.stdout
    assert not (tmp_path / "w" / "ledger").exists()


def test_a_ledger_on_postgresql_is_not_taken_for_none_when_its_setting_is_gone(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, database)
    workspace = on_postgresql(tmp_path / "w")
    run_cycle(workspace, 1, quiet)
    with pytest.raises(Exception, match="the log of this ledger is in a PostgreSQL database"):
        run_cycle(Workspace(workspace.root), 1, quiet)
    with pytest.raises(Exception, match="the log of this ledger is in a PostgreSQL database"):
        verifying.workspace(Workspace(workspace.root), None, None)


@pytest.mark.parametrize("given", ["postgresql://remit:Secret@host/north", "9LIVES", "A B"])
def test_a_setting_that_names_no_variable_is_told_without_what_stands_there(given: str) -> None:
    with pytest.raises(WorkspaceError, match="must be the name of an environment variable") as caught:
        url_env_of(f'[ledger]\nurl_env = "{given}"\n', "remit.toml")
    assert given not in str(caught.value)


def test_a_url_in_the_settings_is_an_unknown_key() -> None:
    with pytest.raises(WorkspaceError, match=r"`ledger\.url` is not known here") as caught:
        url_env_of('[ledger]\nurl = "postgresql://remit:Secret@host/north"\n', "remit.toml")
    assert "Secret" not in str(caught.value)


def test_without_the_section_the_log_is_in_the_folder() -> None:
    assert read_url_env(Document({}, "remit.toml")) == ""
    assert url_of("", {}) is None
    assert url_of("A", {"A": "postgresql://host/x"}) == "postgresql://host/x"
