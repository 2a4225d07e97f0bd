"""Spreadsheets as rows of text: CSV and XLSX in, CSV out. A cell is data; nothing in it is ever evaluated."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence

import fastexcel

from remit.agents.errors import AgentError

MOST_BYTES, MOST_UNPACKED, MOST_ROWS, MOST_COLUMNS = 20_000_000, 200_000_000, 5_000, 200

Rows = list[list[str]]
"""The rows of a sheet in order, the first one row 1; cells that are missing are ""."""

_FORMULA = re.compile(r"^\s*[=+\-@\t\r|%]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_sheet(data: bytes, where: str) -> dict[str, Rows]:
    """The sheets of a workbook by name, or the one of a CSV file (named ""). An XLSX is known by its first bytes, whatever the file is called. A formula is
    read as the value that was saved with it. Raises `AgentError`."""
    if len(data) > MOST_BYTES:
        raise AgentError(f"the file has {len(data):,} bytes; at most {MOST_BYTES:,}", where=where, do="Leave the list of pilots in it and nothing else.")
    if data[:4] == b"\xd0\xcf\x11\xe0":
        raise AgentError("the file is an old or an encrypted Excel workbook", where=where, do="Save it as XLSX without a password, or as CSV in UTF-8.")
    sheets = _xlsx(data, where) if data[:2] == b"PK" else {"": _csv(data, where)}
    for name, rows in sheets.items():
        wide = max(map(len, rows), default=0)
        if len(rows) > MOST_ROWS or wide > MOST_COLUMNS:
            what = f"{_sheet(name)} has {len(rows):,} rows and {wide:,} columns; at most {MOST_ROWS:,} and {MOST_COLUMNS:,}"
            raise AgentError(what, where=where, do="Leave one row a pilot.")
    return sheets


def _xlsx(data: bytes, where: str) -> dict[str, Rows]:
    do = "Open it in a spreadsheet program and save it as XLSX or as CSV in UTF-8."
    try:
        unpacked = sum(item.file_size for item in zipfile.ZipFile(io.BytesIO(data)).infolist())
        if unpacked > MOST_UNPACKED:
            raise AgentError(f"the workbook unpacks to {unpacked:,} bytes; at most {MOST_UNPACKED:,}", where=where, do="Leave the list of pilots in it.")
        book = fastexcel.read_excel(data)
        frames = {name: book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string").to_polars() for name in book.sheet_names}
    except (zipfile.BadZipFile, NotImplementedError, fastexcel.FastExcelError) as error:
        raise AgentError(f"the workbook cannot be read: {str(error).splitlines()[0]}", where=where, do=do) from None
    return {name: [[cell or "" for cell in row] for row in frame.rows()] for name, frame in frames.items()}


def _csv(data: bytes, where: str) -> Rows:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AgentError(f"byte {error.start:,} is not UTF-8", where=where, do="Save the file as CSV in UTF-8, or as XLSX.") from None
    if "\0" in text:
        raise AgentError("the file is not text", where=where, do="Save the file as CSV in UTF-8, or as XLSX.")
    start = text[:4000].splitlines()[:30]
    mark = max(",;\t", key=lambda each: sum(line.count(each) for line in start))
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        raise AgentError(f"the file is not CSV: {error}", where=where, do="A cell that holds quotes doubles them and stands in quotes itself.") from None
    return lines


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Rows as CSV that a spreadsheet program shows and does not run: a cell that begins like a formula gets a quote before it; characters that cannot be
    seen are blanks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_harmless(row[name]) for name in columns] for row in rows])
    return out.getvalue()


def _harmless(cell: str) -> str:
    quoted = _FORMULA.match(cell) is not None
    plain = _CONTROL.sub(" ", cell)
    return f"'{plain}" if quoted else plain


def unquoted(cell: str) -> str:
    """The cell as it was before `to_csv` made it harmless."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell[1:]) else cell


def _sheet(name: str) -> str:
    return f"the sheet `{name}`" if name else "the file"
