"""Two machines on one log in PostgreSQL: two folders that share no file lock, each with what a shared folder would hold."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from remit.gateway import Answer
from remit.ledger import read_ledger
from remit.runtime import commands, rights_commands
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, locked, open_workspace, turn
from remit.terms.encoding import MICRO
from tests.postgres import Server
from tests.runtime.conftest import quiet
from tests.runtime.test_between import asked, free, place
from tests.runtime.test_postgresql import URL, on_postgresql

HOLD = """
import sys, time
from pathlib import Path
from remit.runtime.workspace import locked, open_workspace
with locked(open_workspace(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@dataclass(frozen=True)
class Machines:
    """Two folders that know one log."""

    here: Workspace
    there: Workspace


@pytest.fixture(scope="module")
def machines(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    root = tmp_path_factory.mktemp("machines")
    with postgres.database() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL, url)
        here = on_postgresql(root / "here")
        run_cycle(here, 1, quiet)
        shutil.copytree(here.root, root / "there")
        yield Machines(here, open_workspace(root / "there"))


def test_while_one_runs_the_other_neither_runs_nor_decides_and_a_stop_passes(machines: Machines) -> None:
    decided = threading.Event()

    def work() -> None:
        with place(machines.there) as (clerk, _, _):
            clerk.answer([(clerk.standing.charters["email"], asked(clerk, free(clerk)[0], "while"))])
            decided.set()

    with locked(machines.here):
        with pytest.raises(Exception, match="another run is at work"), locked(machines.there):
            pass
        thread = threading.Thread(target=work)
        thread.start()
        start = time.monotonic()
        stopped = rights_commands.stop(machines.there.root, "agent", "email", "owner-email", "a test")
        assert time.monotonic() - start < 5
        assert not decided.wait(0.5)
    assert decided.wait(30)
    thread.join()
    with closing(read_ledger(machines.here.ledger)) as records:
        (entry,) = records.entries(kind="declined", cycle="cycle-0001.between")
        assert f"{stopped['stop']}" in str(entry.payload)
    for by in ("owner-email", "compliance-lead"):
        rights_commands.start(machines.here.root, stopped["stop"], by, "mended")


def test_who_waits_no_longer_than_it_will_goes_on_without(machines: Machines) -> None:
    with turn(machines.here):
        start = time.monotonic()
        with turn(machines.there, 0.2):
            assert 0.15 < time.monotonic() - start < 5


def test_what_a_killed_machine_held_is_free_again(machines: Machines) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(machines.there.root)], stdout=subprocess.PIPE, text=True, env=os.environ.copy())
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Exception, match="another run is at work"), locked(machines.here):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            with locked(machines.here):
                return
        except Exception:  # the server needs a moment to see that its client is gone
            time.sleep(0.05)
    raise AssertionError("it is still held")


def test_two_machines_never_both_take_the_last_one(machines: Machines) -> None:
    with place(machines.here) as (clerk, _, _):
        hcps, limit = free(clerk)[:20], clerk.standing.free["sends"]
    answers: dict[tuple[int, str], tuple[str, int]] = {}

    def work(number: int, workspace: Workspace) -> None:
        with place(workspace) as (mine, _, _):
            for hcp in hcps:
                (found,) = mine.answer([(mine.standing.charters["email"], asked(mine, hcp, f"same-{hcp}"))])
                assert isinstance(found, Answer)
                answers[number, hcp] = found.id, found.entry

    threads = [threading.Thread(target=work, args=each) for each in enumerate((machines.here, machines.there))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 2 * len(hcps)
    assert all(answers[0, hcp] == answers[1, hcp] for hcp in hcps)
    with closing(read_ledger(machines.there.ledger)) as records:
        taken = [entry.hcp for entry in records.entries(kind="action", cycle="cycle-0001.between")]
    assert pl.Series(taken).is_unique().all()
    assert 0 < len(taken) * MICRO <= limit
    for workspace in (machines.here, machines.there):
        assert [each["differs"] for each in commands.replay(workspace.root, "cycle-0001.between", 1, quiet)["between"]] == [[]]
    assert commands.verify(machines.here.root, [], None, None)["faults"] == []


def test_a_session_that_is_lost_lets_go_and_its_holder_goes_on(machines: Machines, postgres: Server) -> None:
    with turn(machines.here):
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'remit' AND query LIKE '%pg_advisory_lock%'")
        with turn(machines.there):
            assert Path(machines.there.root).is_dir()
