"""A turn ends by itself: real processes that are halted within one, and what others can do then."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from remit.ledger import open_ledger
from remit.ledger.databases import writing
from remit.runtime import commands, rights_commands, standing
from remit.runtime.errors import WorkspaceError
from remit.runtime.leases import CLERK_S, Lease, end_lapsed, held, watching
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer
from remit.runtime.workspace import Workspace
from tests.runtime.conftest import quiet
from tests.runtime.test_between import asked, free, one, place

HOLDER = """
import os, signal, sys, time
from pathlib import Path
from remit.runtime.leases import held
path, lasts_s, beats, halts = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "beats", sys.argv[4] == "halts"
with held(path, lasts_s=lasts_s, beats=beats):
    print("held", flush=True)
    if halts:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)
"""
WORKER = """
import os, signal, sys
from contextlib import closing
from pathlib import Path
from remit.ledger import open_ledger
from remit.runtime import standing
from remit.runtime.standing import deliverer, take_place
from remit.runtime.workspace import open_workspace
from remit.terms.errors import RemitError

standing.CLERK_S = float(sys.argv[2])
workspace = open_workspace(Path(sys.argv[1]))
with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
    clerk, config = take_place(workspace, ledger, lambda: 0, 1)

    def halting(label, first, cleared):
        files = deliverer(workspace, config)(label, first, cleared)
        print("halts", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        return files

    clerk.act(halting)
"""


@contextmanager
def running(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def holds(path: Path) -> Lease:
    """A command's turn, had and given."""
    with held(path, lasts_s=30.0, beats=True) as lease:
        return lease


def test_a_holder_that_is_halted_is_ended_once_its_lease_has_run_out_and_the_next_is_told(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    with running(HOLDER, path, 1.0, "still", "halts") as process:
        begun = time.monotonic()
        lease = holds(path)
        assert time.monotonic() - begun < 3
        assert lease.broken_off
        assert process.wait(10) == -signal.SIGKILL
    assert holds(path).broken_off  # until somebody has taken back what was left behind
    with held(path, lasts_s=30.0, beats=True) as lease:
        lease.mended()
    assert not holds(path).broken_off


def test_a_command_that_goes_on_keeps_its_turn_beyond_its_length(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    with running(HOLDER, path, 1.6, "beats", "goes on") as process:
        time.sleep(2)
        assert not end_lapsed(path)
        with held(path, lasts_s=1.0, beats=True, patience_s=0.1) as lease:  # goes on without
            lease.renew()
        assert process.poll() is None


def test_a_halted_command_is_ended_too(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    with running(HOLDER, path, 1.6, "beats", "halts") as process:
        assert holds(path).broken_off
        assert process.wait(10) == -signal.SIGKILL


def test_one_that_comes_back_to_a_lease_that_has_run_out_does_nothing(tmp_path: Path) -> None:
    with held(tmp_path / "turn", lasts_s=0.05, beats=False) as lease:
        lease.renew()
        time.sleep(0.1)
        with pytest.raises(WorkspaceError, match="longer than its lease"):
            lease.renew()


def test_nobody_is_ended_by_a_note_of_another_process_of_that_number_or_of_another_machine(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    with running(HOLDER, path, 0.1, "still", "halts") as process:
        note = path.read_text()
        time.sleep(0.3)
        for name, other in (("started", '"started": "1"'), ("machine", '"machine": "another"')):
            before = note[note.index(f'"{name}"') : note.index('", "', note.index(f'"{name}"')) + 1]
            path.write_text(note.replace(before, other))
            assert not end_lapsed(path)
            assert process.poll() is None
        path.write_text("{")
        assert not end_lapsed(path)
        path.write_text(note.replace(f'"pid": {process.pid}', f'"pid": {os.getpid()}'))
        assert not end_lapsed(path)
        path.write_text(note)
        assert end_lapsed(path)


def test_a_worker_halted_while_it_hands_over_keeps_nobody_out_and_nothing_is_lost_or_done_twice(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, _):
        hcp, other, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp, "halted"))
        label = clerk.standing.label
        with running(WORKER, workspace.root, 1.5) as process:
            assert list((workspace.out / label).rglob("email.csv"))
            begun = time.monotonic()
            told = rights_commands.stop(workspace.root, "agent", "email", "compliance-lead", "a test")
            assert time.monotonic() - begun < 1.5 + 2.5
            assert process.wait(10) == -signal.SIGKILL
        assert rights_commands.status(workspace.root)["stops"][0]["stop"] == told["stop"]
        assert one(clerk, config, asked(clerk, other, "after")).disposition == "forbidden"
        assert clerk.act(deliverer(workspace, config)) == (0, 1)
        assert not list((workspace.out / label).rglob("email.csv"))  # it was written, and nobody recorded it
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def test_a_worker_that_goes_on_after_its_lease_has_run_out_records_nothing(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        hcp, *_ = free(clerk)
        one(clerk, config, asked(clerk, hcp, "halted"))
        with running(WORKER, workspace.root, 0.5) as process:
            time.sleep(1)
            process.send_signal(signal.SIGCONT)
            assert process.wait(30) == 1
            assert process.stderr is not None
            assert "longer than its lease" in process.stderr.read()
        assert not list(ledger.entries(kind="acted", cycle=clerk.standing.label))
        assert clerk.act(deliverer(workspace, config)) == (1, 0)
        (acted,) = ledger.entries(kind="acted", cycle=clerk.standing.label)
        assert len(acted.body["actions"]) == 1
        assert [path.parent.name for path in (workspace.out / clerk.standing.label).rglob("email.csv")] == [str(acted.body["actions"][0])]


def test_a_worker_that_waits_for_the_log_longer_than_its_lease_is_not_past_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "CLERK_S", 0.5)
    with place(workspace) as (clerk, config, _):
        hcp, *_ = free(clerk)
        with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as other, writing(other.log):
            worker = ThreadPoolExecutor(1)
            decided = worker.submit(one, clerk, config, asked(clerk, hcp, "late"))
            time.sleep(1)
        assert decided.result(30).disposition == "chosen"
        worker.shutdown()


def test_a_run_that_is_halted_within_its_commit_does_not_keep_a_stop_out_for_ever(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from remit.ledger.databases import writing
from remit.runtime import workspace as places
from remit.runtime.workspace import locked, open_workspace
from remit.ledger import open_ledger
places.COMMAND_S = 1.6
workspace = open_workspace(Path(sys.argv[1]))
ledger = open_ledger(workspace.ledger, entropy=os.urandom)
with locked(workspace), writing(ledger.log):
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""
    opened = rights_commands.open_ledger
    monkeypatch.setattr(rights_commands, "open_ledger", lambda where, *, entropy: opened(where, entropy=entropy, wait_s=2.0))
    with running(script, workspace.root) as process:
        assert rights_commands.stop(workspace.root, "everything", "", "", "a test")["stop"] == "stop-0001"
        assert process.wait(10) == -signal.SIGKILL
    assert run_cycle(workspace, 1, quiet).result is not None


def test_a_worker_watches_the_turn_of_others(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    with running(HOLDER, path, 0.5, "still", "halts") as process, watching(path):
        assert process.wait(10) == -signal.SIGKILL
    assert CLERK_S <= 5
