"""Loading deliveries, reading as of an instant, erasing, and making a world."""

import csv
import json
import secrets
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.report import Row, seconds
from remit.intake import erase, load, read
from remit.terms.instants import parse_instant
from remit.worlds import two_brands

NOW = parse_instant("2027-01-01T00:00:00Z")
FIRST = date(2024, 1, 1)
WEEKS_PER_FILE = 4
PRODUCTS = ("alpha", "beta", "gamma")

# Each job runs in a process of its own, so that its peak memory is its own.
JOB = """
import json, os, resource, sys, time
from benchmarks import intake
start = time.perf_counter()
told = getattr(intake, sys.argv[1])(sys.argv[2])
print(json.dumps([time.perf_counter() - start, sum(os.times()[:2]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, told]))
"""


def measure(quick: bool) -> list[Row]:
    """Load, read, erase, generate; beside each, what one would write without Remit."""
    hcps, weeks = (5_000, 26) if quick else (100_000, 104)
    with tempfile.TemporaryDirectory() as folder:
        write_prescriptions(Path(folder), hcps, weeks)
        rows = _prescriptions(folder, f"{hcps:,} HCPs x {weeks} weeks x 3 products", full=not quick)
    with tempfile.TemporaryDirectory() as folder:
        write_touches(Path(folder), 100_000 if quick else 2_000_000)
        rows.append(_touches(folder))
    return [*rows, _world(2_000), _world_alone(10_000 if quick else 1_000_000)]


def _prescriptions(folder: str, size: str, *, full: bool) -> list[Row]:
    took, processor, peak, loaded = _apart("job_load", folder)
    plain, _, plain_peak, _ = _apart("job_plain", folder)
    read_took, _, read_peak, _ = _apart("job_read", folder)
    unique_took, _, unique_peak, _ = _apart("job_unique", folder)
    erase_took, _, _, segments = _apart("job_erase", folder)
    again, _, _, _ = _apart("job_load", folder)
    slow = _row_by_row(Path(folder)) * loaded
    beside = (
        f"polars CSV to Parquet, nothing checked: {plain:.1f} s, {plain_peak:.1f} GB (x{took / plain:.1f}); "
        f"csv module, checked row by row: {slow:.0f} s (x{slow / took:.0f} slower)"
    )
    return [
        Row(
            f"load {size} of prescriptions",
            "< 60 s, <= 4 GB",
            f"{took:.1f} s ({processor:.1f} s of processor), {peak:.1f} GB; again {again:.1f} s",
            beside,
            took < 60 and peak <= 4 if full else None,
        ),
        Row(
            "read them as of an instant",
            "reported",
            f"{read_took:.1f} s, {read_peak:.1f} GB",
            f"sort and `unique` in polars: {unique_took:.1f} s, {unique_peak:.1f} GB (x{unique_took / read_took:.1f})",
            None,
        ),
        Row("erase one HCP from them", "reported", f"{erase_took:.1f} s", f"{segments} segments written anew", None),
    ]


def _touches(folder: str) -> Row:
    took, processor, peak, loaded = _apart("job_load", folder)
    return Row(
        f"load {loaded:,} touches: one file, quoted, CRLF, 5% bad lines",
        "reported",
        f"{took:.1f} s ({processor:.1f} s of processor), {peak:.1f} GB",
        f"{loaded / took / 1e6:.2f} million good rows a second",
        None,
    )


def _world_alone(physicians: int) -> Row:
    took, _, peak, told = _apart("job_world", str(physicians))
    work = f"make the two-brands country, {physicians:,} physicians, 52 weeks, {told / 1e6:.0f} million rows"
    return Row(work, "reported", f"{took:.0f} s, {peak:.1f} GB", "", None)


def job_world(physicians: str) -> int:
    """Makes the country's files one by one; returns how many rows they have."""
    return sum(each.rows.height for each in two_brands(int(physicians), 1))


def _world(physicians: int) -> Row:
    took = seconds(lambda: sum(each.rows.height for each in two_brands(physicians, 1)), runs=3)
    return Row(f"make the two-brands country, {physicians:,} physicians, 52 weeks", "<= 2 s", f"{took:.1f} s", "", took <= 2)


def _apart(job: str, folder: str) -> tuple[float, float, float, int]:
    """Seconds, seconds of processor, peak GB, and what the job told."""
    done = subprocess.run([sys.executable, "-c", JOB, job, folder], capture_output=True, text=True, check=True)
    took, processor, peak, told = json.loads(done.stdout)
    return took, processor, peak, told


def job_load(folder: str) -> int:
    """Loads; returns how many good rows there were."""
    report = load(Path(folder, "feeds"), Path(folder, "warehouse"), NOW, secrets.token_bytes, lambda _: ())
    return sum(file.rows for file in report.files)


def job_plain(folder: str) -> int:
    """What one would write in a notebook: no rule, no quarantine, no word on when a row was known."""
    pl.scan_csv(Path(folder, "feeds/rx/*.csv")).sink_parquet(Path(folder, "plain.parquet"))
    return 0


def job_read(folder: str) -> int:
    """The newest word on each HCP, product and week."""
    return read(Path(folder, "warehouse"), "rx", NOW, columns=["hcp_id", "product", "trx", "occurred_at"]).height


def job_unique(folder: str) -> int:
    """The same by polars' own means."""
    key = ["hcp_id", "product", "period"]
    rows = pl.scan_parquet(Path(folder, "warehouse/rx/*.parquet")).select(*key, "trx", "occurred_at", "received_at").sort("received_at")
    return rows.unique(key, keep="last", maintain_order=True).collect().height


def job_erase(folder: str) -> int:
    """One HCP out of every segment."""
    return len(erase(Path(folder, "warehouse"), "H0000005", secrets.token_bytes))


def _row_by_row(folder: Path, rows: int = 50_000) -> float:
    """Seconds a row of checking types, ranges and ids in plain Python."""

    def job() -> None:
        with next(iter(sorted(folder.glob("feeds/rx/*.csv")))).open(newline="") as file:
            for _, row in zip(range(rows), csv.DictReader(file), strict=False):
                good = row["hcp_id"].isalnum() and row["product"] and row["period"][4:6] == "-W"
                if not good or min(int(row["trx"]), int(row["nrx"]), int(row["nbrx"])) < 0:
                    raise ValueError(row)
                parse_instant(row["received_at"])

    return seconds(job) / rows


def write_prescriptions(folder: Path, hcps: int, weeks: int) -> None:
    """Files of four weeks each, with a restatement of one row in ten two weeks later."""
    ids = _ids(hcps)
    draw = np.random.default_rng(1)
    (folder / "feeds/rx").mkdir(parents=True)
    for first in range(0, weeks, WEEKS_PER_FILE):
        frames = [frame for week in range(first, min(first + WEEKS_PER_FILE, weeks)) for frame in _week(ids, draw, FIRST + timedelta(weeks=week))]
        pl.concat(frames).write_csv(folder / f"feeds/rx/{first:03}.csv")


def _week(ids: pl.Series, draw: np.random.Generator, start: date) -> list[pl.DataFrame]:
    trx = draw.poisson(2, (len(ids), 3))
    year, week, _ = start.isocalendar()
    frames = []
    for hcp, product, delay in ((*np.indices(trx.shape).reshape(2, -1), 2), (*np.nonzero(draw.random(trx.shape) < 0.1), 4)):
        count = trx[hcp, product] + (delay == 4)
        columns = {"trx": count, "nrx": count // 2, "nbrx": count // 4}
        texts = {"period": f"{year}-W{week:02}", "received_at": f"{start + timedelta(weeks=delay)}T04:00:00Z"}
        frame = pl.DataFrame({"hcp_id": ids[hcp], "product": pl.Series(PRODUCTS)[product], **columns})
        frames.append(frame.with_columns(pl.lit(text).alias(name) for name, text in texts.items()))
    return frames


def write_touches(folder: Path, rows: int) -> None:
    """One file as a spreadsheet would write it."""
    draw = np.random.default_rng(2)
    (folder / "feeds/touches").mkdir(parents=True)
    at = pl.Series(parse_instant("2024-01-01") + draw.integers(0, 700 * 86_400, rows) * 1_000_000).cast(pl.Datetime("us"))
    frame = pl.DataFrame(
        {
            "touch_id": pl.Series(np.arange(rows)).cast(pl.String).str.replace("^", "t"),
            "hcp_id": _ids(100_000)[draw.integers(0, 100_000, rows)],
            "channel": pl.Series(("call", "email"))[draw.integers(0, 2, rows)],
            "product": pl.Series(PRODUCTS)[draw.integers(0, 3, rows)],
            "position": pl.Series(np.where(draw.random(rows) < 0.05, 9, draw.integers(1, 4, rows))),
            "purpose": pl.repeat("promotional", rows, eager=True),
            "occurred_at": at.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    text = frame.write_csv(quote_style="always", line_terminator="\r\n")
    (folder / "feeds/touches/all.csv").write_bytes(text.encode())


def _ids(count: int) -> pl.Series:
    return pl.Series("hcp_id", np.arange(1, count + 1)).cast(pl.String).str.zfill(7).str.replace("^", "H")
