"""A turn's lease: who holds the file of turns, and until when. Whoever waits ends a holder that is past its lease, so that nobody who is halted keeps others
out.

The kernel's lock on the file says who has the turn. The note in it says of the holder the process, when that began, the machine, and the instant on the
machine's own clock, which nobody sets, at which its lease ends. A holder that goes on renews it at each step; one that cannot does nothing any more.
"""

import fcntl
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from remit.runtime.errors import WorkspaceError

CLERK_S = 5.0
"""How long a worker may take from one step of its turn to the next. A step takes milliseconds."""
WAIT_S = 35.0
"""How long it may wait for the log itself, which somebody without a turn may be holding: a little longer than it does before it gives up."""
COMMAND_S, _BEAT_S = 30.0, 1.0
"""How long a command's lease is, which a thread of it renews: it may be at work for minutes, and one call of a library may keep that thread waiting."""
_LOOK_S, _POLL_S, _SLOW_S = 0.25, 0.001, 0.2
_SIZE = 256
_MACHINE = Path("/proc/sys/kernel/random/boot_id")
_LOG = logging.getLogger("remit.leases")


class Lease:
    """A turn that somebody has. `broken_off`: whoever had it before ended within it, so that files may lie there which nobody recorded; until `mended` is
    called, the next one is told as well."""

    def __init__(self, handle: int | None, lasts_s: float, *, beats: bool) -> None:
        self._handle, self.lasts_s, self._beats = handle, lasts_s, beats
        self._until, self._lock = monotonic() + lasts_s, threading.Lock()
        self.broken_off = False

    def take(self, waits_s: float) -> None:
        """Notes who holds it from now on, for `waits_s` more at first."""
        if self._handle is not None:
            self.broken_off = _read(self._handle) is not None
            self.extend(waits_s)

    def renew(self) -> None:
        """Goes on for another step. INVARIANT (a lease that has run out acts no more): called before files are written and before the commit; raises
        `WorkspaceError` if it is past its end, by which time others may be ending this process."""
        if monotonic() >= self._until:
            raise WorkspaceError("this turn took longer than its lease", do="Nothing was recorded; it is tried again by itself.")
        self.extend()

    def extend(self, more_s: float = 0.0) -> None:
        """Begins its length anew, with `more_s` added."""
        with self._lock:
            if self._handle is not None:
                self._until = monotonic() + self.lasts_s + more_s
                _write(self._handle, {**_ours(os.getpid()), "until_ms": int(self._until * 1000), "beats": self._beats})

    def mended(self) -> None:
        """Says that what was left behind is taken back."""
        self.broken_off = False

    def give(self) -> None:
        """Ends it: nobody holds the turn, or, if something was left behind and not taken back, nobody who lives."""
        with self._lock:
            if self._handle is not None:
                _write(self._handle, {"pid": 0} if self.broken_off else None)
            self._handle = None


@contextmanager
def held(path: Path, *, lasts_s: float, beats: bool, patience_s: float | None = None, waits_s: float = 0.0) -> Iterator[Lease]:
    """Waits for a turn at the file `path`, and has it; one who has waited `patience_s` for others that go on with theirs goes on without. `beats`: it is
    renewed by itself while the process runs, and holders past their lease are ended while it waits; else `watching` does that, and the first step may take
    `waits_s` longer."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lease = Lease(handle if _taken(handle, path, beats, patience_s) else None, lasts_s, beats=beats)
        lease.take(waits_s)
        try:
            with _repeating(lease.extend, _BEAT_S) if beats else _nothing():
                yield lease
        finally:
            lease.give()
    finally:
        os.close(handle)


@contextmanager
def watching(path: Path) -> Iterator[None]:
    """Ends, from time to time, whoever holds the turn at `path` past the lease."""
    with _repeating(lambda: end_lapsed(path), _LOOK_S):
        yield


def end_lapsed(path: Path) -> bool:
    """Ends the process that holds the turn at `path`, if its lease has run out, it is on this machine, and another than this; its locks end with it. Says
    whether it did."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        note = _lapsed(handle)
        if note is None:
            return False
        process = os.pidfd_open(note["pid"])
        try:
            if _lapsed(handle) != note:  # the same as before the process was laid hold of, so that it is no other with the same number
                return False
            signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)
    except OSError as error:
        _LOG.warning("the turn is past its lease, and its holder cannot be ended: %s", error)
        return False
    finally:
        os.close(handle)
    _LOG.warning("process %d held the turn past its lease and was ended: others go on, and nothing of its turn counts", note["pid"])
    return True


def _lapsed(handle: int) -> dict[str, Any] | None:
    """The note of a holder that lives, and whose lease has run out."""
    note = _read(handle)
    if not note or note["pid"] in (0, os.getpid()) or note["started"] is None or monotonic() * 1000 < note["until_ms"]:
        return None
    return note if {name: note[name] for name in ("pid", "started", "machine")} == _me(note["pid"]) else None


def _taken(handle: int, path: Path, beats: bool, patience_s: float | None) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if patience_s is not None:
            return _waited(handle, path, patience_s)
        with watching(path) if beats else _nothing():
            fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel's queue is fair
    return True


def _waited(handle: int, path: Path, patience_s: float) -> bool:
    """Whether it came to have the turn. It waits on for a worker that does not get on, and is ended with its lease: that one keeps the log itself from
    others."""
    begun = looked = monotonic()
    while (waits := monotonic() - begun) < patience_s or (waits < patience_s + 2 * CLERK_S and _hangs(handle)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(_POLL_S)
        else:
            return True
        if monotonic() - looked > _LOOK_S:
            end_lapsed(path)
            looked = monotonic()
    return False


def _hangs(handle: int) -> bool:
    """Whether the turn is a worker's that has been at one step of it for long."""
    note = _read(handle)
    return bool(note and note["pid"] and not note["beats"] and monotonic() + CLERK_S - note["until_ms"] / 1000 > _SLOW_S)


@contextmanager
def _repeating(work: Callable[[], object], every_s: float) -> Iterator[None]:
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every_s):
            try:
                work()
            except Exception as error:  # whatever it is: it is tried again the next time
                _LOG.warning("a lease could not be looked after: %s", error)

    thread = threading.Thread(target=repeat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _me(pid: int) -> dict[str, Any]:
    """What tells a process of this machine from every other: its number, when it began, and where these numbers count (None, empty: it cannot be told here)."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        space = Path(f"/proc/{pid}/ns/pid").stat().st_ino
        return {"pid": pid, "started": said[19], "machine": f"{_MACHINE.read_text().strip()}/{space}"}
    except OSError:
        return {"pid": pid, "started": None, "machine": ""}


_ours = lru_cache(maxsize=1)(_me)


def _read(handle: int) -> dict[str, Any] | None:
    """The note; None if there is none, or if it is just being written."""
    try:
        found = json.loads(os.pread(handle, _SIZE, 0))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _write(handle: int, note: dict[str, Any] | None) -> None:
    try:
        os.pwrite(handle, json.dumps(note).encode().ljust(_SIZE), 0)
    except OSError as error:
        raise WorkspaceError(f"the file of turns cannot be written: {error.strerror}", do="Mend the disk: nothing is decided until then.") from None
