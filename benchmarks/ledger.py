"""The ledger: appending a cycle, verifying a log, receipts; beside a table of JSON rows under a hash chain, which is what one would write by hand; and
SQLite beside a PostgreSQL on the same machine, which waits for its disk as SQLite does."""

import hashlib
import json
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.report import Row, seconds
from remit.ledger import Entry, Place, Verified, action_entry, create_ledger, open_ledger, verifier_keys, verify, verify_receipt
from remit.terms.proposals import Chosen, Judged, Proposal
from remit.terms.verdicts import Ruling, Verdict
from tests.postgres import running

PER_HCP = 16
_VERDICT = Verdict(Ruling.AUTONOMOUS, ("consent-on-file", "within-caps"), "owner-calls", ("consent is on file",), "ab" * 32)
Measured = dict[str, float]


def measure(quick: bool) -> list[Row]:
    """Appending 100,000 HCPs x 16 rows and verifying 1,000,000 entries; a twentieth of both if `quick`. Each job runs in a process of its own, for its
    peak memory."""
    hcps, entries, singles = (5_000, 50_000, 100) if quick else (100_000, 1_000_000, 1_000)
    with tempfile.TemporaryDirectory() as folder, running(options="") as server, server.database() as url:
        ours, chain = _alone(_append_cycle, Path(folder) / "cycle", hcps), _alone(_append_chain, Path(folder) / "cycle.db", hcps)
        log = _alone(_build_log, Path(folder) / "log", entries)
        checks = {(deep, workers): _alone(_verify_log, Path(folder) / "log", deep, workers) for deep in (True, False) for workers in (1, 2)}
        other = _alone(_verify_chain, Path(folder) / "log.db", entries)
        there = Place(Path(folder) / "there", url)
        far, far_check = _alone(_build_log, there, entries), _alone(_verify_log, there, True, 1)
        alone = {name: _alone(_append_singly, place, singles) for name, place in (("SQLite", Place(Path(folder) / "log")), ("PostgreSQL", there))}
    logged = [_logged(entries, log, far), _verified_there(entries, checks[True, 1], far_check), _singly(singles, alone)]
    return [_appended(hcps, quick, ours, chain), *_verified(entries, quick, checks, other), _receipts(ours), *logged]


def _appended(hcps: int, quick: bool, ours: Measured, chain: Measured) -> Row:
    parts = f"segments {ours['segments_s']:.1f} s, {hcps:,} actions and commit {ours['commit_s']:.1f} s"
    measured = f"{ours['seconds']:.1f} s ({parts}), {ours['disk_mb']:.0f} MB on disk, peak {ours['peak_mb']:.0f} MB"
    beside = f"JSON rows under a hash chain, neither sealed nor provable row by row: {chain['seconds']:.1f} s ({chain['seconds'] / ours['seconds']:.1f}x), "
    beside += f"{chain['disk_mb']:.0f} MB, peak {chain['peak_mb']:.0f} MB"
    return Row(f"ledger: append {hcps:,} HCPs x {PER_HCP} rows, 30 columns", "<= 30 s", measured, beside, None if quick else ours["seconds"] <= 30)


def _verified(entries: int, quick: bool, checks: dict[tuple[bool, int], Measured], other: Measured) -> Iterator[Row]:
    for (deep, workers), check in checks.items():
        what = f"ledger: verify {entries:,} entries, {'every payload opened' if deep else 'by digests'}, {workers} process{'es'[: 2 * workers - 2]}"
        beside = f"walking a hash chain of JSON rows: {other['seconds']:.1f} s ({other['seconds'] / check['seconds']:.1f}x)"
        yield Row(what, "<= 8 s", f"{check['seconds']:.1f} s, peak {check['peak_mb']:.0f} MB", beside, None if quick else check["seconds"] <= 8)


def _receipts(ours: Measured) -> Row:
    measured = f"first of a segment {ours['first_receipt_s'] * 1000:.0f} ms, next {ours['receipt_s'] * 1000:.0f} ms; verifying {ours['check_s'] * 1000:.0f} ms"
    return Row("ledger: one receipt", "reported", measured, f"{ours['receipt_kb']:.0f} kB", None)


def _logged(entries: int, log: Measured, far: Measured) -> Row:
    measured = f"{log['seconds']:.1f} s, {entries / log['seconds']:,.0f}/s, {log['disk_mb']:.0f} MB"
    beside = f"PostgreSQL: {far['seconds']:.1f} s, {entries / far['seconds']:,.0f}/s ({far['seconds'] / log['seconds']:.1f}x)"
    return Row(f"ledger: append {entries:,} actions in 10 batches", "reported", measured, beside, None)


def _verified_there(entries: int, check: Measured, far: Measured) -> Row:
    beside = f"SQLite: {check['seconds']:.1f} s ({check['seconds'] / far['seconds']:.1f}x)"
    what = f"ledger: verify {entries:,} entries on PostgreSQL, every payload opened, 1 process"
    return Row(what, "reported", f"{far['seconds']:.1f} s, peak {far['peak_mb']:.0f} MB", beside, None)


def _singly(count: int, alone: dict[str, Measured]) -> Row:
    measured, beside = (f"{name}: {count / each['seconds']:,.0f}/s, slowest hundredth {each['p99_s'] * 1000:.0f} ms" for name, each in alone.items())
    return Row(f"ledger: append {count:,} entries one by one, each committed, signed and published", "reported", measured, beside, None)


def _alone(job: Callable[..., Measured], *arguments: Any) -> Measured:
    """What `job` measured in a fresh process, with that process's peak memory (of each process, where it starts more)."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_peak, job, *arguments).result()


def _with_peak(job: Callable[..., Measured], *arguments: Any) -> Measured:
    measured = job(*arguments)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**measured, "peak_mb": peak / 1024}


def _append_cycle(folder: Path, hcps: int) -> Measured:
    create_ledger(folder, name="remit/bench", entropy=os.urandom)
    frame = cycle_frame(hcps)
    chosen = [_action(number, hcp_id) for number, hcp_id in zip(range(0, len(frame), PER_HCP), frame["hcp_id"].gather_every(PER_HCP), strict=True)]
    with open_ledger(folder, entropy=os.urandom) as ledger:
        start = time.perf_counter()
        segments = ledger.write_segments(frame, cycle="cycle-1", stream="decisions", schema="bench/1", workers=2)
        written = time.perf_counter()
        body = {"now": 1, "seed": 2, "inputs": {}, "models": {}, "table": "", "prices": "", "counts": {}, "segments": [part.root for part in segments]}
        ledger.append("cycle-1", [Entry("cycle", "remit.cycle/1", body), *chosen], cycle="cycle-1", segments=segments)
        end = time.perf_counter()
        first = seconds(lambda: ledger.receipt("cycle-1", "decisions", frame["hcp_id"][0], 3))
        receipt = ledger.receipt("cycle-1", "decisions", frame["hcp_id"][0], 0)
        made = seconds(lambda: ledger.receipt("cycle-1", "decisions", frame["hcp_id"][0], 0), 5)
    keys = verifier_keys(folder)
    checked = seconds(lambda: verify_receipt(receipt, keys), 5)
    if not isinstance(verify_receipt(receipt, keys), Verified):
        raise AssertionError("a receipt of a sound ledger does not verify")
    timed = {"seconds": end - start, "segments_s": written - start, "commit_s": end - written, "disk_mb": _megabytes(folder)}
    return {**timed, "first_receipt_s": first, "receipt_s": made, "check_s": checked, "receipt_kb": len(receipt) / 1000}


def _append_chain(path: Path, hcps: int) -> Measured:
    frame = cycle_frame(hcps)
    taken = seconds(lambda: _write_chain(path, frame.iter_rows(named=True)))
    return {"seconds": taken, "disk_mb": _megabytes(path)}


def _append_singly(place: Place, count: int) -> Measured:
    times = []
    with open_ledger(place, entropy=os.urandom) as ledger:
        for number in range(count):
            start = time.perf_counter()
            ledger.append(f"single-{number}", [_action(number, f"hcp-{number:07d}")], cycle="singles")
            times.append(time.perf_counter() - start)
    return {"seconds": sum(times), "p99_s": sorted(times)[count * 99 // 100]}


def _build_log(where: Path | Place, entries: int) -> Measured:
    folder = where.folder if isinstance(where, Place) else where
    create_ledger(where, name="remit/bench", entropy=os.urandom)
    taken, size, people = 0.0, entries // 10, entries // 5
    with open_ledger(where, entropy=os.urandom) as ledger:
        for batch in range(10):
            numbers = range(batch * size, (batch + 1) * size)
            actions = [_action(number, f"hcp-{number % people:07d}") for number in numbers]
            start = time.perf_counter()
            ledger.append(f"cycle-{batch}", actions, cycle=f"cycle-{batch}")
            taken += time.perf_counter() - start
    if not isinstance(where, Place):
        _write_chain(folder.with_suffix(".db"), (dict(_action(number, f"hcp-{number % people:07d}").payload or {}) for number in range(entries)))
    return {"seconds": taken, "disk_mb": _megabytes(folder)}


def _verify_log(where: Path | Place, deep: bool, workers: int) -> Measured:
    start = time.perf_counter()
    report = verify(where, deep=deep, workers=workers)
    taken = time.perf_counter() - start
    if report.faults:
        raise AssertionError(f"a sound ledger has faults: {report.faults[:3]}")
    return {"seconds": taken}


def _verify_chain(path: Path, entries: int) -> Measured:
    def walk() -> None:
        before, count = b"", 0
        for data, stated in sqlite3.connect(path).execute("SELECT data, hash FROM rows ORDER BY seq"):
            before, count = hashlib.sha256(before + data).digest(), count + 1
            if before != stated:
                raise AssertionError("the chain is broken")
        if count != entries:
            raise AssertionError("the chain is short")

    return {"seconds": seconds(walk)}


def _write_chain(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (seq INTEGER PRIMARY KEY, data BLOB, hash BLOB)")
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", _links(rows))
    connection.commit()
    connection.close()


def _links(rows: Iterator[dict[str, Any]]) -> Iterator[tuple[int, bytes, bytes]]:
    before = b""
    for seq, row in enumerate(rows):
        data = json.dumps(row, sort_keys=True).encode()
        before = hashlib.sha256(before + data).digest()
        yield seq, data, before


def _action(number: int, hcp_id: str) -> Entry:
    proposal = Proposal(hcp_id, "calls-north", "call", "north", f"content-{number % 40}", "promotional", "promotional", 1, 1_000_000 + number, None, False)
    context = {"facts": {"consent": "opt_in", "contacts_28d": number % 9}, "price": {"calls:t-0042": 1_730_000}}
    return action_entry(Chosen(Judged(proposal, _VERDICT), number, 1, 1 + number % 3, 1_000_000, "maximum"), context)


def cycle_frame(hcps: int, seed: int = 1) -> pl.DataFrame:
    """A cycle's rows: 16 an HCP, proposals with facts of the HCP, of the row, and verdicts, some of them null; 31 columns."""
    dice, count = np.random.default_rng(seed), hcps * PER_HCP
    row, hcp = np.arange(count), np.repeat(np.arange(hcps), PER_HCP)
    words = {"agent": 4, "channel": 3, "product": 2, "content_id": 40, "communication_type": 3, "purpose": 2, "rules": 30, "owner": 5}
    columns: dict[str, Any] = {"hcp_id": np.char.add("hcp-", np.char.zfill(hcp.astype(str), 7))}
    columns |= {name: np.array([f"{name}-{place}" for place in range(many)])[dice.integers(0, many, count)] for name, many in words.items()}
    columns |= {"territory": np.array([f"t-{place:04d}" for place in range(2000)])[dice.integers(0, 2000, hcps)[hcp]]}
    columns |= {f"age_{place}_h": dice.integers(0, 5000, hcps)[hcp] for place in range(6)}
    columns |= {f"amount_{place}": dice.integers(-(10**6), 10**8, count) for place in range(4)}
    columns |= {f"count_{place}": dice.integers(0, 20, count) for place in range(4)}
    columns |= {f"yes_{place}": dice.random(count) < 0.8 for place in range(7)}
    frame = pl.DataFrame(columns).with_columns(pl.Series("place", row))
    return frame.with_columns(pl.when(pl.col("count_0") > 0).then(pl.col(name)).alias(name) for name in ("content_id", "age_1_h", "yes_2"))


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
