"""Reading a delivered file as text, in parts of bounded size, and finding everything wrong with it as a whole first."""

import difflib
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

PART_BYTES = 64 * 1024 * 1024
PART_ROWS = 1_000_000
"""A part of a CSV or Parquet file becomes one segment. Changing these cuts a half-loaded file differently; reading keeps one row per key all the same."""

_FAULTS_SHOWN = 5
_MARKS = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "Parquet",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a file: `offset` and `length` in bytes (CSV) or rows (Parquet); `line` is the number of the first."""

    offset: int
    length: int
    line: int


@dataclass(frozen=True, slots=True)
class Source:
    """A delivered file: SHA-256 of its bytes, its columns, its parts (none if it has no rows), and every fault of the file as a whole."""

    path: Path
    digest: str
    columns: tuple[str, ...]
    parts: tuple[Part, ...]
    faults: tuple[str, ...]

    def rows(self, part: Part) -> pl.DataFrame:
        """The part's cells as text (an empty cell is null), with the `line` each came from (in Parquet: the row, from 1)."""
        if self.path.suffix == ".parquet":
            frame = _as_text(pl.scan_parquet(self.path).slice(part.offset, part.length).collect())
        else:
            with self.path.open("rb") as file:
                file.seek(part.offset)
                frame = _parse(file.read(part.length), self.columns)
        return frame.with_columns(line=pl.int_range(part.line, part.line + frame.height, dtype=pl.Int64))


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; of a file that cannot be read, nothing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def inspect(path: Path, digest: str, required: Collection[str], known: Collection[str]) -> Source:
    """The parts and faults of a file of this `digest`. `required` columns must be there; one that is not among `known` must not."""
    try:
        source = _inspect_parquet(path, digest) if path.suffix == ".parquet" else _inspect_csv(path, digest)
    except OSError as error:
        return Source(path, "", (), (), (f"cannot be read: {error.strerror}",))
    faults = source.faults or tuple(_column_faults(source.columns, required, known))
    return Source(source.path, source.digest, source.columns, source.parts, faults)


def _column_faults(columns: tuple[str, ...], required: Collection[str], known: Collection[str]) -> Iterator[str]:
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            yield f"cells are separated by {name}: separate them by commas"
            return
    for column in dict.fromkeys(columns):
        if columns.count(column) > 1:
            yield f"column `{column}` is there {columns.count(column)} times"
        if column not in known:
            near = difflib.get_close_matches(column, known, 1)
            yield f"column `{column}` is not in the contract" + (f"; is it `{near[0]}`?" if near else "")
    for column in sorted(set(required) - set(columns)):
        yield f"column `{column}` is missing"


def _inspect_parquet(path: Path, digest: str) -> Source:
    try:
        schema = pl.read_parquet_schema(path)
        height = pl.scan_parquet(path).select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError):
        return Source(path, digest, (), (), ("is not Parquet, or is damaged",))
    faults = tuple(f"column `{name}` holds {kind}, which is not a plain value" for name, kind in schema.items() if kind.is_nested() or kind == pl.Binary)
    parts = tuple(Part(offset, min(PART_ROWS, height - offset), offset + 1) for offset in range(0, height, PART_ROWS))
    return Source(path, digest, tuple(schema), parts, faults)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    moments = [
        (pl.col(name) if getattr(kind, "time_zone", None) is None else pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None)).dt.strftime(
            "%Y-%m-%dT%H:%M:%S%.6fZ"
        )
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Datetime)
    ]
    return _without_empty(frame.with_columns(moments).with_columns(pl.all().cast(pl.String)))


def _without_empty(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))


def _inspect_csv(path: Path, digest: str) -> Source:
    faults: list[str] = []
    parts: list[Part] = []
    columns: tuple[str, ...] = ()
    line, size = 1, path.stat().st_size
    for offset, chunk in _chunks(path):
        if unreadable := _encoding_fault(chunk, line):
            return Source(path, digest, (), (), (unreadable,))
        if not columns:
            columns, skip = _header(chunk)
            offset, chunk, line = offset + skip, chunk[skip:], 2
        # Blank lines at the end of the file are no rows.
        body = chunk.rstrip(b"\r\n") if offset + len(chunk) == size else chunk
        if body:
            lines, ragged = _shape(body, len(columns), line)
            parts.append(Part(offset, len(body), line))
            faults.extend(ragged)
            line += lines
    if not columns:
        faults.append("is empty: there is not even a header")
    more = [f"and {len(faults) - _FAULTS_SHOWN} more such lines"] if len(faults) > _FAULTS_SHOWN else []
    return Source(path, digest, columns, tuple(parts), (*faults[:_FAULTS_SHOWN], *more))


def _chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    """The file's bytes in chunks that end with a line, with their offsets."""
    with path.open("rb") as file:
        offset, rest = 0, b""
        while block := file.read(PART_BYTES):
            rest += block
            cut = rest.rfind(b"\n") + 1 if len(block) == PART_BYTES else 0
            if cut:
                yield offset, rest[:cut]
                offset, rest = offset + cut, rest[cut:]
        if rest:
            yield offset, rest


def _encoding_fault(chunk: bytes, line: int) -> str:
    mark = next((says for mark, says in _MARKS.items() if line == 1 and chunk.startswith(mark)), "")
    if mark:
        return f"is {mark}, not CSV in UTF-8"
    if b"\0" in chunk:
        return f"line {line + chunk[: chunk.index(0)].count(10)} holds a zero byte: this is not text"
    try:
        chunk.decode()
    except UnicodeDecodeError as error:
        return f"line {line + chunk[: error.start].count(10)} is not UTF-8"
    return ""


def _header(chunk: bytes) -> tuple[tuple[str, ...], int]:
    """Column names, and how many bytes the header takes."""
    end = chunk.find(b"\n") + 1 or len(chunk)
    cells = chunk[:end].decode("utf-8-sig").rstrip("\r\n").split(",")
    return tuple(cell.strip().strip('"') for cell in cells), end


def _shape(body: bytes, cells: int, line: int) -> tuple[int, list[str]]:
    """How many lines there are, and what is wrong with those that do not hold `cells` cells."""
    data = np.frombuffer(body if body.endswith(b"\n") else body + b"\n", np.uint8)
    ends = data == ord("\n")
    marks = ends | (data == ord(","))
    if b'"' in body:
        quoted = np.logical_xor.accumulate(data == ord('"'))
        if (quoted & ends).any():
            first = int(np.argmax(quoted & ends))
            return 0, [f"line {line + int(ends[:first].sum())}: a quoted cell does not end on its line"]
        marks &= ~quoted
    is_end = data[marks] == ord("\n")
    lines, odd = divmod(len(is_end), cells)
    if not odd and is_end[cells - 1 :: cells].all() and np.count_nonzero(is_end) == lines:
        return lines, []
    found = np.diff(np.flatnonzero(is_end), prepend=-1)
    return len(found), [f"line {line + index} has {found[index]} cells, not {cells}" for index in np.flatnonzero(found != cells)]


def _parse(body: bytes, columns: tuple[str, ...]) -> pl.DataFrame:
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").rstrip(b"\r")
    frame = pl.read_csv(body, has_header=False, new_columns=list(columns), infer_schema=False, raise_if_empty=False)
    return _without_empty(frame) if b'"' in body else frame
