"""Kill -9, full disks, locks, read-only folders, newer schemas: one clear message, nothing half done, and the next run appends once."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from remit.ledger import Ledger, LedgerError, Place, migrate_ledger, open_ledger, read_ledger, verify
from remit.ledger.databases import REVISIONS, connect_log, disposing, writing
from remit.ledger.notes import generate_key
from tests.ledger.small import on_sqlite, run_cycle, stream

APPENDER = """
import sys
from pathlib import Path
from remit.ledger import Place, open_ledger
from tests.ledger.small import run_cycle, stream
with open_ledger(Place(Path(sys.argv[1]), sys.argv[3] or None), entropy=stream(5)) as ledger:
    for number in range(int(sys.argv[2])):
        run_cycle(ledger, f"cycle-{number}", hcps=10)
        print(number, flush=True)
"""

FULL = ("the disk refused to read or write", "the disk is full", "the file cannot be written")


def appender(place: Place, cycles: int, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", APPENDER, str(place.folder), str(cycles), place.url or ""]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def test_killed_at_any_moment_the_log_verifies_and_the_same_run_again_appends_once(place: Place) -> None:
    for pause_s in (0.0, 0.02, 0.05):
        process = appender(place, 1000)
        process.stdout.readline()
        time.sleep(pause_s)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        report = verify(place)
        assert report.faults == ()
        assert report.size % 12 == 0  # whole cycles: a cycle entry, a segment, ten actions
    done = report.size // 12
    finished = appender(place, done + 2)
    finished.communicate()
    assert finished.returncode == 0
    report = verify(place)
    assert (report.size, report.checkpoints, report.faults) == ((done + 2) * 12, done + 2, ())


def test_a_log_whose_last_checkpoint_was_not_published_before_a_kill_publishes_it_when_opened(ledger: Ledger) -> None:
    first = (ledger.folder / "checkpoint").read_bytes()
    run_cycle(ledger, "cycle-2")
    ledger.close()
    (ledger.folder / "checkpoint").write_bytes(first)
    assert verify(ledger.place).faults == ()
    with open_ledger(ledger.place, entropy=stream()) as again:
        assert (ledger.folder / "checkpoint").read_bytes() == again.checkpoint() != first


def test_a_batch_that_was_recorded_but_not_published_is_told_as_recorded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object) -> None:
        raise LedgerError("the file cannot be written (No space left on device)", where=str(path))

    with monkeypatch.context() as patch:
        patch.setattr("remit.ledger.appending.write_whole", full)
        patch.setattr(ledger, "write_segments", lambda *_, **__: ())
        with pytest.raises(LedgerError, match="the batch is recorded, but the file cannot be written"):
            run_cycle(ledger, "cycle-2")
    assert ledger.size == 8 + 7
    assert verify(ledger.place).faults == ()


@on_sqlite
def test_a_database_that_may_not_grow_refuses_the_batch_and_keeps_the_log_as_it_was(ledger: Ledger) -> None:
    before = ledger.checkpoint()
    pages = sqlite3.connect(ledger.folder / "ledger.db").execute("PRAGMA page_count").fetchone()[0]

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    ledger.log.dispose()
    sa.event.listen(ledger.log, "connect", limit)
    with pytest.raises(LedgerError, match=r"ledger\.db: the disk is full; nothing was written"):
        run_cycle(ledger, "cycle-2", hcps=200)
    assert ledger.checkpoint() == before
    sa.event.remove(ledger.log, "connect", limit)
    ledger.log.dispose()
    run_cycle(ledger, "cycle-2", hcps=200)
    assert (ledger.size, verify(ledger.place).faults) == (8 + 202, ())


@on_sqlite
def test_a_file_size_limit_ends_in_one_message_and_nothing_half_done(place: Place) -> None:
    limit = max(path.stat().st_size for path in place.folder.rglob("*") if path.is_file()) + 8192
    process = appender(place, 500, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "remit.ledger.errors.LedgerError" in errors
    assert any(said in errors for said in FULL)
    assert verify(place).faults == ()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        mounted = not os.geteuid() and not subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=False).returncode
        yield Path(place)
        for path in [] if mounted else Path(place).rglob("*"):
            path.chmod(0o755)
        if mounted:
            subprocess.run(["umount", place], check=True)


@on_sqlite
def test_a_full_disk_ends_in_one_message_and_the_run_after_space_was_freed_appends_once(place: Place, small_disk: Path) -> None:
    small = Path(shutil.copytree(place.folder, small_disk / "ledger"))
    limit = None if os.path.ismount(small_disk) else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    process = appender(Place(small), 500, preexec_fn=limit)
    printed, errors = process.communicate()
    assert process.returncode == 1
    assert any(said in errors for said in FULL)
    roomy = Path(shutil.copytree(small, place.folder.parent / "roomy"))
    assert verify(roomy).faults == ()
    done = len(printed.split())
    again = appender(Place(roomy), done + 3)
    again.communicate()
    report = verify(roomy)
    assert (again.returncode, report.checkpoints, report.size, report.faults) == (0, done + 3, (done + 3) * 12, ())


@on_sqlite
def test_a_locked_ledger_is_waited_for_and_then_told(ledger: Ledger) -> None:
    ledger.close()
    with open_ledger(ledger.place, entropy=stream(), wait_s=0.3) as impatient:
        other = sqlite3.connect(ledger.folder / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(LedgerError, match="another process is writing to it"):
            run_cycle(impatient, "cycle-2")
        assert 0.2 < time.monotonic() - start < 5
        other.close()
        run_cycle(impatient, "cycle-2")
        assert impatient.size == 16


def read_only(folder: Path, disk: Path) -> None:
    """Root writes through any permission, but not to a disk that is mounted for reading only."""
    if os.geteuid():
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o555 if path.is_dir() else 0o400)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


@on_sqlite
def test_a_read_only_ledger_can_be_read_and_verified_and_says_why_it_cannot_be_written(ledger: Ledger, small_disk: Path) -> None:
    ledger.close()
    folder = Path(shutil.copytree(ledger.folder, small_disk / "ledger"))
    read_only(folder, small_disk)
    with read_ledger(folder) as records:
        assert records.size == 8
    assert verify(folder).faults == ()
    with pytest.raises(LedgerError, match=r"cannot be (written|opened)"):
        open_ledger(folder, entropy=stream())


@on_sqlite
@pytest.mark.parametrize("name", ["ledger.db", "vault.db"])
def test_a_ledger_of_a_newer_schema_is_refused(ledger: Ledger, name: str) -> None:
    ledger.close()
    connection = sqlite3.connect(ledger.folder / name)
    connection.execute("UPDATE alembic_version SET version_num = 'ledger_9999'")
    connection.commit()
    connection.close()
    for attempt in (lambda: open_ledger(ledger.place, entropy=stream()), lambda: read_ledger(ledger.place)):
        with pytest.raises(LedgerError, match=r"written by a newer Remit \(schema `ledger_9999`\)"):
            attempt()
    with pytest.raises(LedgerError, match="newer Remit"):
        migrate_ledger(ledger.place)
    assert "newer Remit" in verify(ledger.place).faults[0].what


def test_a_ledger_of_the_first_schema_is_told_and_then_migrated(ledger: Ledger) -> None:
    before = list(ledger.entries())
    ledger.close()
    with disposing(connect_log(ledger.place, writing=True)) as engine, writing(engine) as connection:
        connection.exec_driver_sql("DROP INDEX entries_about_hcps")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'ledger_0001'")
    with pytest.raises(LedgerError, match=r"its schema is old \(`ledger_0001`\).*") as told:
        read_ledger(ledger.place)
    assert told.value.do == "Run `remit migrate`."
    migrate_ledger(ledger.place)
    assert verify(ledger.place).faults == ()
    with open_ledger(ledger.place, entropy=stream(9)) as migrated:
        assert list(migrated.entries()) == before
        assert list(migrated.entries(kind="action")) == [entry for entry in before if entry.kind == "action"]


def test_migrating_a_ledger_that_is_new_enough_changes_nothing(ledger: Ledger) -> None:
    ledger.close()
    migrate_ledger(ledger.place)
    assert verify(ledger.place).faults == ()


def test_the_known_revisions_are_those_that_are_shipped() -> None:
    migrations = Path(__file__).parents[2] / "src/remit/ledger/migrations"
    for which, revisions in REVISIONS.items():
        assert [f"{which}_{path.name[:4]}" for path in sorted((migrations / which).glob("*.py"))] == list(revisions)


@pytest.mark.parametrize(("name", "what"), [("ledger.key", "others can read this key"), ("vault.key", "others can read this key")])
def test_a_key_that_others_can_read_is_refused(ledger: Ledger, name: str, what: str) -> None:
    ledger.close()
    assert (ledger.folder / "keys" / name).stat().st_mode & 0o777 == 0o600
    (ledger.folder / "keys" / name).chmod(0o644)
    with pytest.raises(LedgerError, match=what):
        open_ledger(ledger.place, entropy=stream())


def test_a_signing_key_of_another_ledger_is_refused(ledger: Ledger) -> None:
    ledger.close()
    (ledger.folder / "keys/ledger.key").write_text(generate_key("remit/test", bytes(32)))
    with pytest.raises(LedgerError, match=r"its verifier key is not in keys/ledger\.pub"):
        open_ledger(ledger.place, entropy=stream())


def test_a_folder_without_a_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no `ledger\.db`"):
        read_ledger(tmp_path)
    assert "there is no `ledger.db`" in verify(tmp_path).faults[0].what
