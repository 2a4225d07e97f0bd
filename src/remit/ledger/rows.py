"""The canonical bytes of a segment's rows, layout `rows/1`. Pure.

A row is a fixed part followed by its plain texts. The fixed part, little-endian and without padding:

    number       8 bytes  the row's number in its stream
    present      1 bit per column, low bit first, filled up to whole bytes: 0 where the column is null
    hcp_id       `id_width` bytes of ASCII, filled up with NUL
    each column  `bool` 1 byte, `int` 8 bytes two's complement, `text` 4 bytes, the word's place in the column's words, `plain` 4 bytes, the text's length

Nulls are zeros. The UTF-8 of the `plain` columns follows, in the order of the columns. Old rows stay readable for ever: a change is a new layout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.ledger.errors import LedgerError

LAYOUT = "rows/1"
HCP_ID = r"^[A-Za-z0-9_.:-]{1,64}$"
_WIDTHS = {"bool": 1, "int": 8, "text": 4, "plain": 4}
_TEXTS = (pl.String, pl.Categorical, pl.Enum)

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a segment: `kind` is bool, int, text (coded by `words`, in their order) or plain (text as it is)."""

    name: str
    kind: str
    words: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, **({"words": self.words} if self.kind == "text" else {})}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one segment are laid out."""

    id_width: int
    columns: tuple[Column, ...]

    @property
    def present_width(self) -> int:
        return (len(self.columns) + 7) // 8

    @property
    def width(self) -> int:
        """Bytes of a row's fixed part."""
        return 8 + self.present_width + self.id_width + sum(_WIDTHS[column.kind] for column in self.columns)

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> "Layout":
        """The layout that a segment's header states. Raises `LedgerError` for a layout this version does not know."""
        if header["layout"] != LAYOUT:
            raise LedgerError(f"the rows are laid out as `{header['layout']}`, this version reads `{LAYOUT}`", do="Install a newer Remit.")
        columns = (Column(column["name"], column["kind"], tuple(column.get("words", ()))) for column in header["columns"])
        return cls(header["id_width"], tuple(columns))


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows: `fixed` is uint8 (rows, width); `texts` holds the plain texts of each row."""

    fixed: Bytes
    texts: Sequence[bytes]

    def row(self, index: int) -> bytes:
        """The canonical bytes of one row."""
        fixed: bytes = self.fixed[index].tobytes()
        return fixed + self.texts[index]

    def pick(self, index: int) -> "Rows":
        """One row alone."""
        return Rows(self.fixed[index : index + 1], self.texts[index : index + 1])


def check_frame(frame: pl.DataFrame, plain: Sequence[str]) -> None:
    """Raises `LedgerError` with all that keeps `frame` from being a segment's rows."""
    faults = [f"column `{name}` is {kind}" for name, kind in frame.schema.items() if kind not in (pl.Boolean, pl.Int64, *_TEXTS)]
    faults += [f"`{name}` is to be plain, but is no text column of the frame" for name in plain if frame.schema.get(name) not in _TEXTS]
    if frame.columns[:1] != ["hcp_id"] or frame.schema["hcp_id"] != pl.String:
        faults.append("the first column is not `hcp_id` of type String")
    else:
        faults += _id_faults(frame["hcp_id"])
    if faults:
        raise LedgerError("the frame cannot become rows of the ledger", faults=faults, do="Columns are Boolean, Int64 or text; sort by hcp_id first.")


def _id_faults(ids: pl.Series) -> list[str]:
    sound = ids.str.contains(HCP_ID).fill_null(value=False)
    faults = [] if sound.all() else [f"{(~sound).sum()} rows have an hcp_id that is null or not 1 to 64 of A-Z a-z 0-9 _ . : -, first row {sound.arg_min()}"]
    blocks = ids.rle().struct.field("value")
    return faults if blocks.n_unique() == len(blocks) else [*faults, "the rows of some HCPs do not follow one another"]


def layout_of(frame: pl.DataFrame, plain: Sequence[str]) -> Layout:
    """The layout for a frame that `check_frame` let pass. Raises `LedgerError` where a text column's words are HCP ids, which would stay behind in
    the header after an erasure."""
    ids = frame["hcp_id"].unique()
    columns = tuple(_column(frame[name], plain) for name in frame.columns[1:])
    faults = [f"column `{column.name}` holds hcp ids" for column in columns if column.words and ids.is_in(list(column.words)).any()]
    if faults:
        raise LedgerError("words of text columns stand in the clear in a segment's header", faults=faults, do="Name these columns in `plain`.")
    width = ids.str.len_bytes().max()
    return Layout(width if isinstance(width, int) else 0, columns)


def _column(values: pl.Series, plain: Sequence[str]) -> Column:
    if values.dtype not in _TEXTS:
        return Column(values.name, "bool" if values.dtype == pl.Boolean else "int")
    if values.name in plain:
        return Column(values.name, "plain")
    return Column(values.name, "text", tuple(values.cast(pl.String).drop_nulls().unique().sort()))


def encode(frame: pl.DataFrame, numbers: npt.NDArray[np.int64], layout: Layout) -> Rows:
    """The rows of `frame` with their numbers."""
    count = len(frame)
    known = [frame[column.name].is_not_null().to_numpy().reshape(count, 1) for column in layout.columns]
    present = np.packbits(np.hstack([np.empty((count, 0), bool), *known]), axis=1, bitorder="little")
    ids = np.array(frame["hcp_id"].to_numpy(), dtype=f"S{layout.id_width}").view(np.uint8).reshape(count, layout.id_width)
    texts = [frame[c.name].cast(pl.String).fill_null("").alias(c.name) for c in layout.columns if c.kind == "plain"]
    fixed, place = np.empty((count, layout.width), np.uint8), 0
    for part in (_bytes(numbers.astype("<i8"), 8), present, ids, *(_encoded(frame[c.name], c) for c in layout.columns)):
        fixed[:, place : place + part.shape[1]] = part
        place += part.shape[1]
    return Rows(fixed, _joined(texts, count))


def _encoded(values: pl.Series, column: Column) -> Bytes:
    if column.kind == "bool":
        return _bytes(values.fill_null(value=False).to_numpy().astype(np.uint8), 1)
    if column.kind == "int":
        return _bytes(values.fill_null(0).to_numpy().astype("<i8"), 8)
    if column.kind == "text":
        return _bytes(values.cast(pl.String).cast(pl.Enum(column.words)).to_physical().fill_null(0).to_numpy().astype("<u4"), 4)
    return _bytes(values.cast(pl.String).str.len_bytes().fill_null(0).to_numpy().astype("<u4"), 4)


def _bytes(values: npt.NDArray[Any], width: int) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), width)


def _joined(texts: Sequence[pl.Series], count: int) -> list[bytes]:
    if not texts:
        return [b""] * count
    return pl.DataFrame(texts).select(pl.concat_str(pl.all()).cast(pl.Binary)).to_series().to_list()


def decode(rows: Rows, layout: Layout) -> tuple[npt.NDArray[np.int64], pl.DataFrame]:
    """The numbers and the frame of rows, in the order given; text columns are String."""
    fixed, place = rows.fixed, 8 + layout.present_width
    numbers = fixed[:, :8].copy().view("<i8").ravel().astype(np.int64)
    present = np.unpackbits(fixed[:, 8:place], axis=1, bitorder="little").astype(bool)
    ids = np.ascontiguousarray(fixed[:, place : place + layout.id_width]).view(f"S{layout.id_width}").ravel()
    series = [pl.Series("hcp_id", ids.astype(str).tolist(), dtype=pl.String)]
    place += layout.id_width
    rest = list(rows.texts)
    for index, column in enumerate(layout.columns):
        raw = fixed[:, place : place + _WIDTHS[column.kind]]
        values = _plain(raw, rest) if column.kind == "plain" else _decoded(raw, column)
        series.append(values.zip_with(pl.Series(present[:, index]), pl.Series([None], dtype=values.dtype)).alias(column.name))
        place += _WIDTHS[column.kind]
    return numbers, pl.DataFrame(series)


def _decoded(raw: Bytes, column: Column) -> pl.Series:
    if column.kind == "bool":
        return pl.Series(raw.ravel() != 0)
    if column.kind == "int":
        return pl.Series(raw.copy().view("<i8").ravel().astype(np.int64))
    codes = pl.Series(raw.copy().view("<u4").ravel().astype(np.uint32))
    return pl.Series(column.words or [""], dtype=pl.String).gather(codes)


def _plain(raw: Bytes, rest: list[bytes]) -> pl.Series:
    """Takes each row's next text off `rest`."""
    lengths = raw.copy().view("<u4").ravel().tolist()
    texts = [text[:length].decode() for text, length in zip(rest, lengths, strict=True)]
    rest[:] = [text[length:] for text, length in zip(rest, lengths, strict=True)]
    return pl.Series(texts, dtype=pl.String)


def split(fixed: Bytes, texts: bytes, layout: Layout) -> Rows:
    """Rows from their fixed parts and their plain texts, one after another."""
    place, lengths = 8 + layout.present_width + layout.id_width, np.zeros(len(fixed), np.int64)
    for column in layout.columns:
        if column.kind == "plain":
            lengths += fixed[:, place : place + 4].copy().view("<u4").ravel()
        place += _WIDTHS[column.kind]
    stops = lengths.cumsum()
    return Rows(fixed, [texts[start:stop] for start, stop in zip((stops - lengths).tolist(), stops.tolist(), strict=True)])
