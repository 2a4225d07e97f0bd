"""The warehouse: immutable Parquet segments, each with a manifest. Nothing is overwritten.

`<warehouse>/<table>/<id>.parquet` holds rows, `<warehouse>/quarantine/<table>/<id>.parquet` the bad lines of the same part of the same file, and
`<warehouse>/<table>/<id>.json` the manifest. The id is a salted commitment to the rows' file, so names tell nothing and no two segments share one.
INVARIANT (commit point): a segment exists when its manifest does. Files without a manifest are what a stopped run left, and are swept away.
"""

import fcntl
import io
import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

import polars as pl

from remit.intake.errors import IntakeError
from remit.terms.encoding import canonical

Entropy = Callable[[int], bytes]
"""Gives so many random bytes, such as `secrets.token_bytes`."""

SCHEMA = "remit.segment/1"
_SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Segment:
    """A manifest: one part of one delivered file, as loaded at `loaded_at`.

    `commitment` = sha256(salt || sha256(bytes of the rows' file)), in hexadecimal, is also the segment's id. `source_digest` is the SHA-256 of the
    delivered file. `assumed` rows have a `received_at` from the declared lag; `received_first` and `received_last` (UTC microseconds, None without rows)
    span all. `replaces` holds the commitments of what erasures have rewritten into this segment.
    """

    schema: str
    table: str
    feed: str
    source_file: str
    source_digest: str
    part: int
    parts: int
    rows: int
    assumed: int
    quarantined: int
    suppressed: int
    doubtful: bool
    received_first: int | None
    received_last: int | None
    loaded_at: int
    salt: str
    commitment: str
    replaces: tuple[str, ...] = ()


def commitment_of(salt: str, data: bytes) -> str:
    """The salted commitment to the bytes of a segment's rows."""
    return sha256(bytes.fromhex(salt) + sha256(data).digest()).hexdigest()


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The bytes of a frame as Parquet."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=True)
    return buffer.getvalue()


def rows_path(warehouse: Path, segment: Segment) -> Path:
    """Where the rows of a segment lie."""
    return warehouse / segment.table / f"{segment.commitment}.parquet"


def quarantine_path(warehouse: Path, segment: Segment) -> Path:
    """Where the bad lines of a segment's file lie, if it had any."""
    return warehouse / "quarantine" / segment.table / f"{segment.commitment}.parquet"


def segments(warehouse: Path, tables: Collection[str] | None = None) -> tuple[Segment, ...]:
    """The segments in force, ordered by table, source digest and part: the same order whatever order they were loaded in. Raises `IntakeError`."""
    found = [_read_manifest(path) for path in sorted(warehouse.glob("*/*.json")) if tables is None or path.parent.name in tables]
    replaced = {old for segment in found for old in segment.replaces}
    live = [segment for segment in found if segment.commitment not in replaced]
    return tuple(sorted(live, key=lambda segment: (segment.table, segment.source_digest, segment.part, segment.commitment)))


def replaced(warehouse: Path) -> dict[str, str]:
    """Every commitment that an erasure has ever ended, with the commitment in force in its place."""
    return {old: segment.commitment for segment in segments(warehouse) for old in segment.replaces}


def verify_segments(warehouse: Path) -> tuple[str, ...]:
    """What is wrong with the segments: rows that are gone, or that are not what their manifest commits to."""
    return tuple(fault for segment in segments(warehouse) for fault in _faults(warehouse, segment))


def _faults(warehouse: Path, segment: Segment) -> Iterator[str]:
    path = rows_path(warehouse, segment)
    if not path.exists():
        yield f"{path} is gone"
    elif commitment_of(segment.salt, path.read_bytes()) != segment.commitment:
        yield f"{path} is not what was loaded from {segment.source_file}"
    if segment.quarantined and not quarantine_path(warehouse, segment).exists():
        yield f"{quarantine_path(warehouse, segment)} is gone"


def store(warehouse: Path, segment: Segment, rows: bytes, quarantine: pl.DataFrame) -> None:
    """Writes a segment durably: rows, bad lines, then the manifest, which is the commit point. Raises `IntakeError` if the disk refuses."""
    if quarantine.height:
        _write(quarantine_path(warehouse, segment), parquet_bytes(quarantine))
    _write(rows_path(warehouse, segment), rows)
    _write(_manifest_path(warehouse, segment), canonical(asdict(segment)))


def sweep(warehouse: Path) -> None:
    """Destroys what stopped runs left behind: unfinished files, rows without a manifest, and segments that have been replaced."""
    replaced = {old for path in warehouse.glob("*/*.json") for old in _read_manifest(path).replaces}
    for path in sorted(warehouse.glob("*/*.json")):
        if path.stem in replaced:
            _remove(path)
    known = {path.stem for path in warehouse.glob("*/*.json")}
    for path in [*warehouse.glob("*/*.parquet"), *warehouse.glob("quarantine/*/*.parquet"), *warehouse.glob("**/*.unfinished")]:
        if path.stem not in known or path.suffix == ".unfinished":
            _remove(path)


@contextmanager
def locked(warehouse: Path) -> Iterator[None]:
    """Holds the warehouse for one writer. Raises `IntakeError` at once if another has it."""
    try:
        warehouse.mkdir(parents=True, exist_ok=True)
        handle = (warehouse / ".lock").open("w")
    except OSError as error:
        raise IntakeError(f"cannot be written: {error.strerror}", where=str(warehouse)) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise IntakeError("another run is writing to it", where=str(warehouse), do="Wait until it has ended.") from None
        yield


def salt_from(entropy: Entropy) -> str:
    """A fresh salt, in hexadecimal."""
    return entropy(_SALT_BYTES).hex()


def _manifest_path(warehouse: Path, segment: Segment) -> Path:
    return warehouse / segment.table / f"{segment.commitment}.json"


def _read_manifest(path: Path) -> Segment:
    try:
        body = json.loads(path.read_bytes())
        if body["schema"] != SCHEMA:
            raise IntakeError(f"is of version `{body['schema']}`, not `{SCHEMA}`", where=str(path), do="Use the version of Remit that wrote it.")
        return Segment(**{field.name: body[field.name] for field in fields(Segment)} | {"replaces": tuple(body["replaces"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntakeError(f"is not a manifest: {error}", where=str(path), do="Restore it from a backup.") from None


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing: a temporary file, flushed to the disk, then renamed."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise IntakeError(
            f"cannot be written: {error.strerror}", where=str(path.parent), do="Make room on the disk and run again: what was loaded stays loaded."
        ) from None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
