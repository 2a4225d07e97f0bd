"""What fails under a server with clients at work: the database locked or gone, a log that cannot be read, a full disk. Nothing is done that is not recorded,
all are told why, and it goes on by itself."""

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import polars as pl
import pytest

from remit.ledger import LedgerError, read_ledger
from remit.runtime import commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.standing import deliverer
from remit.runtime.workspace import Workspace
from tests.postgres import Server
from tests.runtime.conftest import quiet
from tests.runtime.test_between import free, place
from tests.runtime.test_postgresql import URL, on_postgresql
from tests.runtime.test_rederiving import ask
from tests.runtime.test_serving import Client, all_hcps, issued, said, served

OUTAGE_S = float(os.environ.get("REMIT_TEST_OUTAGE_S", "4"))
"""How long the database is held or gone."""


class Clients:
    """Agents that ask, and ask again with the same key until they are answered."""

    def __init__(self, client: Client, hcps: list[str], what: dict[str, Any], number: int = 3) -> None:
        self.answers: dict[str, set[str]] = {}
        self.told: list[tuple[int, str]] = []
        self._client, self._hcps, self._what, self._end = client, hcps, what, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(each,)) for each in range(number)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        turn = 0
        while not self._end.is_set():
            hcp = self._hcps[turn % len(self._hcps)]
            self._until_answered({"key": f"{turn}-{hcp}", "hcp_id": hcp, **self._what})
            turn += 1

    def _until_answered(self, proposal: dict[str, Any]) -> None:
        for _ in range(400):
            status, answer = self._client.raw("POST", "/v1/proposals", _json({"proposals": [proposal]}), {"Authorization": f"Bearer {self._client.token}"})
            self.told.append((status, str(answer)))
            if status == 200:
                (found,) = answer["answers"]
                self.answers.setdefault(proposal["key"], set()).add(f"{found['id']} {found['entry']}")
                return
            time.sleep(0.1)
        raise AssertionError("it is never answered")


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


def answered(clients: Clients) -> int:
    return len(clients.answers)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to be"
        time.sleep(0.05)


def nothing_lost_or_twice(workspace: Workspace, clients: Clients, label: str) -> None:
    assert {status for status, _ in clients.told} <= {200, 503}
    assert all(len(entries) == 1 for entries in clients.answers.values())
    with closing(read_ledger(workspace.ledger)) as records:
        held = [entry for kind in ("action", "declined") for entry in records.entries(kind=kind, cycle=label)]
        ids = [entry.body["id"] for entry in held]
        assert len(ids) == len(set(ids))
        assert {next(iter(each)) for each in clients.answers.values()} <= {f"{entry.body['id']} {entry.seq}" for entry in held}
        acted = [seq for entry in records.entries(kind="acted", cycle=label) for seq in entry.body["actions"]]
        assert len(acted) == len(set(acted))
        due = {entry.seq for entry in held if entry.kind == "action" and "deadline" not in entry.body}
        assert due == set(acted) | ({entry.body["action"] for entry in records.entries(kind="refused")} & due)
        handed = sorted(str(records.entry(seq).hcp_id) for seq in acted)
    lists = [pl.read_csv(path, infer_schema=False)["hcp_id"] for path in (workspace.out / label).rglob("email.csv")]
    assert sorted(pl.concat(lists).to_list() if lists else []) == handed
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [each["differs"] for each in commands.replay(workspace.root, label, 1, quiet)["between"]] == [[]]


def signed_in(workspace: Workspace, url: str, credentials: dict[str, str]) -> tuple[Client, list[str], dict[str, Any]]:
    client = Client(url, credentials)
    client.sign_in()
    return client, all_hcps(client), said(client)


def test_a_locked_database_is_told_and_then_it_goes_on(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    with served(workspace) as (url, _):
        client, hcps, what = signed_in(workspace, url, credentials)
        with Clients(client, hcps, what) as clients:
            until(lambda: answered(clients) > 10)
            with closing(sqlite3.connect(workspace.ledger.folder / "ledger.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                size = read_size(workspace)
                until(lambda: client.raw("GET", "/readyz")[0] == 503)
                assert "its turn at the log" in client.raw("GET", "/readyz")[1]["detail"]
                time.sleep(OUTAGE_S)
                assert read_size(workspace) == size
                other.execute("ROLLBACK")
            before = answered(clients)
            until(lambda: answered(clients) > before + 10)
        assert OUTAGE_S < 10 or 503 in {status for status, _ in clients.told}
        until(lambda: client.raw("GET", "/readyz")[0] == 200)
    nothing_lost_or_twice(workspace, clients, "cycle-0002.between")


def read_size(workspace: Workspace) -> int:
    with closing(read_ledger(workspace.ledger)) as records:
        return records.size


def test_a_database_server_that_is_gone_is_told_and_then_it_goes_on(own_postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_postgres.database() as database:
        monkeypatch.setenv(URL, database)
        workspace = on_postgresql(tmp_path / "w")
        run_cycle(workspace, 1, quiet)
        credentials = issued(workspace, "email")
        with served(workspace) as (url, _):
            client, hcps, what = signed_in(workspace, url, credentials)
            with Clients(client, hcps, what) as clients:
                until(lambda: answered(clients) > 10)
                own_postgres.kill()
                told = len(clients.told)
                until(lambda: len(clients.told) > told + 5)
                until(lambda: client.raw("GET", "/readyz")[0] == 503)
                time.sleep(OUTAGE_S)
                assert {status for status, _ in clients.told[told + 5 :]} <= {503}
                assert "the server cannot be reached" in client.raw("GET", "/readyz")[1]["detail"]
                own_postgres.start()
                before = answered(clients)
                until(lambda: answered(clients) > before + 10)
            until(lambda: client.raw("GET", "/readyz")[0] == 200)
        nothing_lost_or_twice(workspace, clients, "cycle-0001.between")


def test_a_log_that_cannot_be_read_means_that_nothing_is_done(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    log = workspace.ledger.folder / "ledger.db"
    with served(workspace) as (url, _):
        client, hcps, what = signed_in(workspace, url, credentials)
        (answer,) = client.propose({"key": "before", "hcp_id": hcps[0], **what})
        assert answer["disposition"]
        whole = workspace.root / "whole.db"
        shutil.copy(log, whole)
        listed = sorted(workspace.out.rglob("*.csv"))
        with log.open("r+b") as file:
            file.write(b"\xff" * log.stat().st_size)
        for wal in log.parent.glob("ledger.db-*"):
            wal.unlink()
        status, answer = client.raw("POST", "/v1/proposals", _json({"proposals": [{"key": "k", "hcp_id": hcps[1], **what}]}), bearer(client))
        assert status == 503, answer
        until(lambda: client.raw("GET", "/readyz")[0] == 503)
        assert "damaged" in client.raw("GET", "/readyz")[1]["detail"]
        assert sorted(workspace.out.rglob("*.csv")) == listed
    assert "damaged" in trouble_of(workspace)


def trouble_of(workspace: Workspace) -> str:
    """What a server says that begins on a workspace in which nothing can be decided."""
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        port = spare.getsockname()[1]
    command = [sys.executable, "-m", "remit.runtime", "serve", "-w", str(workspace.root), "--port", str(port)]
    process = subprocess.Popen(command, start_new_session=True)
    client = Client(f"http://127.0.0.1:{port}", {})
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                status, answer = client.raw("GET", "/readyz")
            except (URLError, ConnectionError):
                time.sleep(0.1)
                continue
            assert status == 503
            if "it has not begun" not in answer["detail"]:
                return str(answer["detail"])
        raise AssertionError("it never says")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@contextmanager
def room(pid: int, size: int) -> Iterator[None]:
    """Files of a process may only be so large: the disk is full."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_under_a_server_records_nothing_and_then_it_goes_on(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    with served(workspace) as (url, process):
        client, hcps, what = signed_in(workspace, url, credentials)
        with Clients(client, hcps, what) as clients:
            until(lambda: answered(clients) > 10)
            with room(process.pid, 4096):
                until(lambda: client.raw("GET", "/readyz")[0] == 503)
                assert "the disk" in client.raw("GET", "/readyz")[1]["detail"]
                size, told = read_size(workspace), len(clients.told)
                until(lambda: len(clients.told) > told + 5)
                assert read_size(workspace) == size
                assert {status for status, _ in clients.told[told + 3 :]} <= {503}
            before = answered(clients)
            until(lambda: answered(clients) > before + 10)
        until(lambda: client.raw("GET", "/readyz")[0] == 200)
    nothing_lost_or_twice(workspace, clients, "cycle-0002.between")


def test_a_full_disk_while_a_list_is_written_hands_nothing_over_and_then_does(workspace: Workspace) -> None:
    with place(workspace) as (clerk, config, ledger):
        ask(clerk, free(clerk)[:3])
        size, folder = ledger.size, workspace.out / clerk.standing.label
        write = deliverer(workspace, config)

        def full(*what: Any) -> Any:
            with room(os.getpid(), 0):
                return write(*what)

        with pytest.raises(WorkspaceError, match="cannot be written"):
            clerk.act(full)
        assert ledger.size == size
        assert not list(folder.rglob("*.csv"))
        assert clerk.act(deliverer(workspace, config)) == (3, 0)
        (path,) = folder.rglob("email.csv")
        assert pl.read_csv(path).height == 3
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def test_a_full_disk_while_a_turn_is_committed_records_nothing_and_answers_the_same_key_later(workspace: Workspace) -> None:
    with place(workspace) as (clerk, _, ledger):
        hcps, size = free(clerk)[:3], ledger.size
        with room(os.getpid(), 4096), pytest.raises(LedgerError, match="disk"):
            ask(clerk, hcps)
        assert ledger.size == size
        assert [answer.disposition for answer in ask(clerk, hcps)] == ["chosen"] * 3
        assert ledger.size == size + 3


def bearer(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.token}"}
