"""Loading: delivered files into segments, bad lines into quarantine, and a report of both."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import polars as pl

from remit.intake.cells import read_instants
from remit.intake.checking import Checked, check
from remit.intake.errors import IntakeError
from remit.intake.feeds import FEEDS, TABLES
from remit.intake.files import Source, digest_of, inspect
from remit.intake.layouts import Feed, FileLayout
from remit.intake.quarantine import quarantined_lines
from remit.intake.report import FileReport, LoadReport, Outcome
from remit.intake.settings import Settings, read_settings
from remit.intake.stamping import stamped
from remit.intake.warehouse import SCHEMA, Entropy, Segment, commitment_of, locked, parquet_bytes, salt_from, segments, store, sweep

Progress = Callable[[str, int, int], None]
"""Called before each file with `feed/file`, its number from 0, and how many there are."""

Erased = Callable[[Iterable[str]], Collection[str]]
"""Of these HCPs, those that were erased."""

_Key = tuple[str, str, str, int]
"""Feed, table, digest of the delivered file, number of the part: what is loaded once."""

_SUFFIXES = (".csv", ".parquet")


_EITHER = frozenset({"rx", "brick_rx"})
"""Prescriptions come by physician or by brick: where one comes, the other is not missed."""

_BESIDE = frozenset({"peers", "supply"})
"""Few companies know who follows whom, or tell how long stock lasts: it is not missed where it never came."""


def load(
    feeds: Path,
    warehouse: Path,
    now: int,
    entropy: Entropy,
    erased_among: Erased,
    *,
    zone: str = "UTC",
    progress: Progress | None = None,
) -> LoadReport:
    """Loads what is new in the folder `feeds` (one folder per feed) and due at `now` (UTC microseconds) into `warehouse`; returns what became of each file.

    A bad line goes to quarantine; a file that breaks as a whole is refused and reported, and the others go on. The same bytes are loaded once,
    whatever their name. Lines about an HCP that `erased_among` returns, of those it is given, are stored nowhere. `zone` is the workspace's, for weeks and
    months where the feed file names none. A stopped run leaves whole segments or nothing, and the next one goes on from there. Raises `IntakeError` for a
    bad feed file, an unknown folder, a warehouse in use or a disk that cannot be written.
    """
    delivered = list(_delivered(feeds, zone))
    with locked(warehouse):
        sweep(warehouse)
        stored = segments(warehouse)
        known = {(each.feed, each.table, each.source_digest, each.part): each.parts for each in stored}
        loader = _Loader(warehouse, now, entropy, erased_among, known)
        reports = []
        for number, (feed, settings, path) in enumerate(delivered):
            if progress:
                progress(f"{feed.name}/{path.name}", number, len(delivered))
            reports.append(loader.file(feed, settings, path))
    come = {each.table for each in stored} | {table for feed, _, _ in delivered for layout in feed.files for table in layout.tables}
    return LoadReport(tuple(reports), tuple(sorted(set(TABLES) - _BESIDE - come - (_EITHER if come & _EITHER else set()))))


def admit(raw: pl.DataFrame, table: str, now: int, *, zone: str) -> pl.DataFrame:
    """Native rows of `table` (cells as text) as the warehouse would hold them: those that keep the contract, stamped; the rest are left out.

    For feeds that lie in memory; nothing is stored and nothing goes to quarantine.
    """
    cells = raw.with_columns(pl.all().cast(pl.String)).with_columns(line=pl.int_range(2, pl.len() + 2, dtype=pl.Int64))
    checked = check(cells, TABLES[table].contract, zone)
    checked = checked.without(_from_the_future(checked.good, now))
    return stamped(checked.good, TABLES[table], Settings(source=f"feed:{table}", zone=zone), now)


def _delivered(feeds: Path, zone: str) -> Iterator[tuple[Feed, Settings, Path]]:
    found = sorted(path for path in feeds.glob("*") if path.is_dir() or path.suffix in _SUFFIXES)
    if unknown := [path.name for path in found if path.name not in FEEDS]:
        says = f"Files lie in a folder named after their feed: {', '.join(FEEDS)}."
        raise IntakeError("there is no such feed", where=str(feeds), do=says, faults=[f"`{name}`" for name in unknown])
    for folder in found:
        settings = read_settings(folder, zone, FEEDS[folder.name].own)
        for path in sorted(folder.iterdir()):
            if path.name != "feed.toml" and not path.name.startswith("."):
                yield FEEDS[folder.name], settings, path


@dataclass(frozen=True, slots=True)
class _Loader:
    warehouse: Path
    now: int
    entropy: Entropy
    erased_among: Erased
    known: dict[_Key, int]

    def file(self, feed: Feed, settings: Settings, path: Path) -> FileReport:
        layout = next((each for each in feed.files if each.stem in (None, path.stem)), None)
        if layout is None or path.suffix not in _SUFFIXES:
            return FileReport(feed.name, path.name, Outcome.REFUSED, faults=("is not a file of this feed: they are CSV (.csv) or Parquet (.parquet)",))
        digest = digest_of(path)
        if any(self._loaded_whole(feed, layout, each) for each in (digest, _digest_of_header(digest, path))):
            return FileReport(feed.name, path.name, Outcome.KNOWN)
        source = inspect(path, digest, layout.contract.required, (*layout.contract.columns, *layout.ignored))
        if source.faults:
            return FileReport(feed.name, path.name, Outcome.REFUSED, faults=source.faults)
        digest = digest if source.parts else _digest_of_header(digest, path)
        parts = [self._part(feed, settings, layout, source, digest, number) for number in range(max(1, len(source.parts)))]
        return _together(parts)

    def _loaded_whole(self, feed: Feed, layout: FileLayout, digest: str) -> bool:
        """Whether all parts of the file are in all its tables."""
        first = [(feed.name, table, digest, 0) for table in layout.tables]
        return all((*key[:3], part) in self.known for key in first for part in range(self.known.get(key, 1)))

    def _part(self, feed: Feed, settings: Settings, layout: FileLayout, source: Source, digest: str, number: int) -> FileReport:
        tables = [table for table in layout.tables if (feed.name, table, digest, number) not in self.known]
        if not tables:
            return FileReport(feed.name, source.path.name, Outcome.KNOWN)
        raw = source.rows(source.parts[number]) if source.parts else pl.DataFrame(schema=dict.fromkeys(source.columns, pl.String) | {"line": pl.Int64})
        hcp = layout.hcp(raw) if layout.hcp else pl.Series("hcp_id", [None], pl.String).new_from_index(0, raw.height)
        if not _due(raw, self.now):
            return FileReport(feed.name, source.path.name, Outcome.NOT_DUE)
        named = pl.DataFrame([hcp.rename("hcp_id"), *(raw[name].str.strip_chars() for name in layout.others)])
        erased = sorted(self.erased_among(pl.concat(named.get_columns()).drop_nulls().unique().to_list()))
        read = raw.height
        if erased:
            kept = ~named.select(pl.any_horizontal(pl.all().is_in(erased).fill_null(False))).to_series()
            raw, hcp = raw.filter(kept), hcp.filter(kept)
        checked = check(raw, layout.contract, settings.zone)
        checked = checked.without(_from_the_future(checked.good, self.now))
        bad = quarantined_lines(raw, hcp, checked.broken, feed.name, source.path.name)
        heeded = layout.heed(raw, checked.broken["line"].unique(), self.now) if layout.heed else checked.good.clear()
        report = _reported(feed.name, source.path.name, checked, bad.height, read - raw.height, heeded["line"].n_unique(), settings)
        spread = layout.spread(pl.concat([checked.good, heeded.select(checked.good.columns)]), settings)
        for table in tables:
            mine = bad if table == layout.tables[0] else bad.clear()
            self._store(stamped(spread[table], TABLES[table], settings, self.now), mine, report, table, digest, number, max(1, len(source.parts)))
        return replace(report, rows=sum(spread[table].height for table in tables))

    def _store(self, rows: pl.DataFrame, bad: pl.DataFrame, report: FileReport, table: str, digest: str, number: int, parts: int) -> None:
        data, salt = parquet_bytes(rows), salt_from(self.entropy)
        first, last = rows.select(first=pl.col("received_at").min(), last=pl.col("received_at").max()).row(0)
        segment = Segment(
            schema=SCHEMA,
            table=table,
            feed=report.feed,
            source_file=report.file,
            source_digest=digest,
            part=number,
            parts=parts,
            rows=rows.height,
            assumed=int(rows["received_assumed"].sum()),
            quarantined=bad.height,
            suppressed=report.suppressed,
            doubtful=report.doubtful,
            received_first=first,
            received_last=last,
            loaded_at=self.now,
            salt=salt,
            commitment=commitment_of(salt, data),
        )
        store(self.warehouse, segment, data, bad)
        self.known[report.feed, table, digest, number] = parts


def _digest_of_header(digest: str, path: Path) -> str:
    """A header alone has the same bytes every week, and each week's is a delivery: its name tells them apart."""
    return sha256(f"{digest}/{path.name}".encode()).hexdigest()


def _due(raw: pl.DataFrame, now: int) -> bool:
    """False if every line says that it is received after now; lines that say nothing readable do not count, unless they say nothing at all."""
    if "received_at" not in raw.columns or raw["received_at"].null_count():
        return True
    received = read_instants(raw["received_at"]).drop_nulls()
    return received.is_empty() or bool((received <= now).any())


def _from_the_future(good: pl.DataFrame, now: int) -> pl.DataFrame:
    late = good["line"].filter(good["received_at"] > now) if "received_at" in good.columns else good["line"].clear()
    return pl.DataFrame({"line": late}).with_columns(rule=pl.lit("received_at|in_the_future"))


def _reported(feed: str, file: str, checked: Checked, bad: int, suppressed: int, heeded: int, settings: Settings) -> FileReport:
    rules = Counter(checked.broken["rule"].to_list())
    doubtful = bad * 100 > settings.doubtful_percent * (bad + checked.good.height)
    return FileReport(feed, file, Outcome.LOADED, 0, bad, suppressed, doubtful, dict(sorted(rules.items())), heeded=heeded)


def _together(parts: list[FileReport]) -> FileReport:
    """One report of a file from those of its parts."""
    if len(parts) == 1:
        return parts[0]
    outcomes = {part.outcome for part in parts}
    outcome = next(each for each in (Outcome.LOADED, Outcome.NOT_DUE, Outcome.KNOWN) if each in outcomes)
    rules = sum((Counter(part.rules) for part in parts), Counter())
    return FileReport(
        parts[0].feed,
        parts[0].file,
        outcome,
        sum(part.rows for part in parts),
        sum(part.quarantined for part in parts),
        sum(part.suppressed for part in parts),
        any(part.doubtful for part in parts),
        dict(sorted(rules.items())),
        heeded=sum(part.heeded for part in parts),
    )
