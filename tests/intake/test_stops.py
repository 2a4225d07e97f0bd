"""Stopped between any two steps, out of room, or two at once: nothing is lost, nothing comes twice."""

import fcntl
import os
import subprocess
import sys
import textwrap
from itertools import count
from pathlib import Path

import pytest

from remit.intake import IntakeError, erase, read_quarantine, replaced, segments, verify_segments

SCRIPT = textwrap.dedent(
    """
    import os, resource, sys
    from itertools import count
    from pathlib import Path
    from remit.intake import load

    root, stop, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    steps, numbers = count(1), count(1000)
    replace = Path.replace

    def killed(*args):
        if next(steps) == stop:
            os._exit(9)
        return replace(*args)

    Path.replace = killed
    load(root / "feeds", root / "warehouse", 1767592800000000, lambda size: next(numbers).to_bytes(size, "big"), lambda hcps: ())
    """
)
ROWS = ("H1,alpha,2025-W40,1,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W40,2,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W99,2,,,2025-12-01T00:00:00Z")


class Stopped(BaseException):
    """The process ends here: nothing catches this."""


def stopped(job, at):
    """Runs `job` until its `at`th step on the disk; returns whether it was stopped."""
    steps = count(1)

    def step(call):
        def stepped(*args, **kwargs):
            if next(steps) == at:
                raise Stopped
            return call(*args, **kwargs)

        return stepped

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir")):
            patch.setattr(owner, name, step(getattr(owner, name)))
        try:
            job()
        except Stopped:
            return True
    return False


def run(desk, stop=0, limit=0):
    return subprocess.run([sys.executable, "-c", SCRIPT, str(desk.root), str(stop), str(limit)], capture_output=True, text=True, timeout=120, check=False)


def prepared(desk):
    desk.rx("a.csv", *ROWS)
    desk.rx("b.csv", ROWS[0].replace("W40", "W41"))
    return desk


def known(desk):
    quarantine = read_quarantine(desk.warehouse)
    return desk.read("rx").rows(), quarantine.rows(), sorted(segment.source_digest for segment in segments(desk.warehouse))


def test_a_load_stopped_at_any_step_and_run_again_ends_the_same(new_desk):
    whole = prepared(new_desk())
    whole.load()
    for at in range(1, 100):
        desk = prepared(new_desk())
        was_stopped = stopped(desk.load, at)
        assert verify_segments(desk.warehouse) == ()
        desk.load()
        assert known(desk) == known(whole)
        assert not list(desk.warehouse.rglob("*.unfinished"))
        assert len(list(desk.warehouse.glob("rx/*.parquet"))) == len(segments(desk.warehouse))
        if not was_stopped:
            return
    pytest.fail("the load has more steps than were tried")


def test_an_erasure_stopped_at_any_step_and_run_again_leaves_nothing_behind(new_desk):
    for at in range(1, 100):
        desk = prepared(new_desk())
        desk.load()
        was_stopped = stopped(lambda desk=desk: erase(desk.warehouse, "H2", desk.entropy), at)
        assert set(desk.read("rx")["hcp_id"]) in ({"H1"}, {"H1", "H2"})
        erase(desk.warehouse, "H2", desk.entropy)
        assert set(desk.read("rx")["hcp_id"]) == {"H1"}
        assert read_quarantine(desk.warehouse).is_empty()
        assert verify_segments(desk.warehouse) == ()
        assert len(list(desk.warehouse.rglob("*.parquet"))) == 2
        assert len(replaced(desk.warehouse)) == 1
        if not was_stopped:
            return
    pytest.fail("the erasure has more steps than were tried")


@pytest.mark.parametrize("stop", [2, 3])
def test_a_process_that_is_killed_loses_nothing_that_was_loaded(desk, stop):
    prepared(desk)
    assert run(desk, stop=stop).returncode == 9
    assert verify_segments(desk.warehouse) == ()
    desk.load()
    assert desk.read("rx").height == 3
    assert read_quarantine(desk.warehouse).height == 1


def test_a_full_disk_gives_one_clear_message_and_loses_nothing(desk):
    desk.rx("a.csv", ROWS[0])
    desk.load()
    desk.rx("b.csv", *(f"H{number},alpha,2025-W40,{number % 50},,,2025-12-01T00:00:00Z" for number in range(5000)))
    ended = run(desk, limit=2000)
    assert "IntakeError" in ended.stderr
    assert "cannot be written: File too large" in ended.stderr
    assert "Make room on the disk and run again" in ended.stderr
    assert not list(desk.warehouse.rglob("*.unfinished"))
    assert desk.read("rx").height == 1
    desk.load()
    assert desk.read("rx").height == 5000


def test_two_runs_at_once_are_refused(desk):
    desk.rx("a.csv", ROWS[0])
    desk.load()
    with (desk.warehouse / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(IntakeError, match="another run is writing to it"):
            desk.load()


def test_a_warehouse_that_is_a_file_is_said_to_be_unwritable(desk):
    desk.rx("a.csv", ROWS[0])
    desk.warehouse.write_text("")
    with pytest.raises(IntakeError, match="cannot be written"):
        desk.load()


def test_a_damaged_manifest_is_named(desk):
    desk.rx("a.csv", ROWS[0])
    desk.load()
    (path,) = (desk.warehouse / "rx").glob("*.json")
    path.write_text("{}")
    with pytest.raises(IntakeError, match=path.stem):
        desk.read("rx")


def test_a_manifest_of_another_version_is_refused(desk):
    desk.rx("a.csv", ROWS[0])
    desk.load()
    (path,) = (desk.warehouse / "rx").glob("*.json")
    path.write_text(path.read_text().replace("remit.segment/1", "remit.segment/2"))
    with pytest.raises(IntakeError, match="Use the version of Remit that wrote it"):
        desk.load()
