"""Segments: the rows of a cycle in content-addressed Arrow files, a Merkle tree over each. Pure: frames and bytes in, bytes and frames out.

The file is an Arrow IPC table with one record per HCP: `hcp` (opaque reference), `rows` (how many), `commitments` (32 bytes each) and `sealed` (the
fixed parts of the rows, byte column by byte column, then their plain texts; deflated and encrypted). The first record holds the header, canonical
JSON, in `sealed`. Leaf 0 of the tree is the header, leaf i + 1 is salt || row of the i-th row, so a row's commitment is its leaf hash. Records are
ordered by reference, so that a place in the file says nothing about who the HCP was.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.ledger.errors import LedgerError
from remit.ledger.merkle import Frontier, leaf_hash
from remit.ledger.rows import LAYOUT, Layout, Rows, decode, encode, layout_of, split
from remit.ledger.sealing import SALT, HcpKey, row_salts, seal_rows, segment_nonce, unseal_rows
from remit.terms.encoding import canonical, digest

PIECE = 1 << 20
_HASH = 32

Numbers = npt.NDArray[np.int64]

_ARROW = {"hcp": pl.Binary, "rows": pl.UInt32, "commitments": pl.Binary, "sealed": pl.Binary}


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, as its entry in the log names it. `rows` rows from number `first` of `stream`; `file`, `header` and `pieces` (each MiB of the file)
    are SHA-256 digests and `root` is the root of the rows' tree, all in hexadecimal."""

    cycle: str
    stream: str
    schema: str
    first: int
    rows: int
    file: str
    header: str
    root: str
    pieces: tuple[str, ...]

    def body(self) -> dict[str, Any]:
        """The body of the segment's entry."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "cycle"}

    @classmethod
    def from_body(cls, cycle: str, body: Mapping[str, Any]) -> "Segment":
        """The segment that an entry's body names."""
        named = {field.name: body[field.name] for field in fields(cls) if field.name not in ("cycle", "pieces")}
        return cls(cycle=cycle, pieces=tuple(body["pieces"]), **named)


@dataclass(frozen=True, slots=True)
class Packed:
    """A segment's file, taken apart; element i of each sequence belongs to the i-th HCP."""

    header: bytes
    fields: Mapping[str, Any]
    layout: Layout
    refs: Sequence[bytes]
    counts: Sequence[int]
    commitments: Sequence[bytes]
    sealed: Sequence[bytes]

    @property
    def nonce(self) -> bytes:
        return bytes.fromhex(self.fields["nonce"])

    def leaves(self) -> list[bytes]:
        """The leaf hashes of the segment's tree: the header's, then every row's commitment."""
        return [leaf_hash(self.header), *chunks(b"".join(self.commitments))]


@dataclass(frozen=True, slots=True)
class Opened:
    """The rows of one or more HCPs of a segment with their salts, in the order of the leaves."""

    rows: Rows
    salts: bytes

    def commitments(self) -> list[bytes]:
        """The leaf hash of each row, SHA-256(0x00 || salt || row)."""
        width, fixed = self.rows.fixed.shape[1], self.rows.fixed.tobytes()
        salts = chunks(self.salts)
        return [
            sha256(b"\x00" + salt + fixed[at : at + width] + text).digest()
            for salt, at, text in zip(salts, range(0, len(fixed), width), self.rows.texts, strict=True)
        ]


def pack(frame: pl.DataFrame, first: int, labels: Mapping[str, str], keys: Mapping[str, HcpKey], secret: bytes, plain: Sequence[str]) -> tuple[Segment, bytes]:
    """The segment of `frame` (rows from number `first`) and its file. `labels` are cycle, stream and schema; `keys` has every HCP of the frame."""
    blocks = frame["hcp_id"].rle().struct.unnest()
    people = [keys[hcp_id] for hcp_id in blocks["value"]]
    refs = [person.ref for person in people]
    order = sorted(range(len(refs)), key=refs.__getitem__)
    counts = blocks["len"].to_numpy().astype(np.int64)
    places = _places(counts, order)
    layout = layout_of(frame, plain)
    rows = encode(frame[places], first + places, layout)
    header = _header(labels, first, rows, layout, secret)
    nonce = bytes.fromhex(header["nonce"])
    chosen = [(people[place].key, refs[place], int(counts[place])) for place in order]
    opened = Opened(rows, b"".join(row_salts(key, nonce, count)[1] for key, _, count in chosen))
    commitments = opened.commitments()
    file = _file(canonical(header), chosen, nonce, rows, commitments)
    edge = Frontier()
    edge.extend([leaf_hash(canonical(header)), *commitments])
    named = {"file": digest(file), "header": digest(canonical(header)), "root": edge.root().hex()}
    return Segment(**labels, first=first, rows=len(frame), pieces=pieces(file), **named), file


def pieces(file: bytes) -> tuple[str, ...]:
    """The digest of each MiB of a file, by which a changed byte is placed."""
    return tuple(digest(file[start : start + PIECE]) for start in range(0, len(file), PIECE))


def _places(counts: Numbers, order: Sequence[int]) -> Numbers:
    """The rows of each block, block by block in `order`."""
    starts, ordered = (counts.cumsum() - counts)[order], counts[order]
    shifts: Numbers = np.repeat(starts - (ordered.cumsum() - ordered), ordered)
    return shifts + np.arange(len(shifts))


def _header(labels: Mapping[str, str], first: int, rows: Rows, layout: Layout, secret: bytes) -> dict[str, Any]:
    columns = [column.body() for column in layout.columns]
    header = {**labels, "layout": LAYOUT, "first": first, "rows": len(rows.fixed), "id_width": layout.id_width, "columns": columns}
    content = sha256(rows.fixed.tobytes() + b"".join(rows.texts)).digest()
    return {**header, "nonce": segment_nonce(secret, canonical(header) + content).hex()}


def _file(header: bytes, people: Sequence[tuple[bytes, bytes, int]], nonce: bytes, rows: Rows, commitments: Sequence[bytes]) -> bytes:
    at, committed, sealed = 0, [b""], [header]
    for key, ref, count in people:
        content = rows.fixed[at : at + count].T.tobytes() + b"".join(rows.texts[at : at + count])
        sealed.append(seal_rows(row_salts(key, nonce, 0)[0], ref, zlib.compress(content, 1)))
        committed.append(b"".join(commitments[at : at + count]))
        at += count
    columns = {"hcp": [b"", *(ref for _, ref, _ in people)], "rows": [0, *(count for *_, count in people)], "commitments": committed, "sealed": sealed}
    buffer = BytesIO()
    pl.DataFrame(columns, schema=_ARROW).write_ipc(buffer, compression="uncompressed")
    return buffer.getvalue()


def unpack(file: bytes) -> Packed:
    """A segment's file, taken apart. Only bytes whose digest was checked may come here: reading altered Arrow can end the process."""
    frame = pl.read_ipc(BytesIO(file))
    if dict(frame.schema) != _ARROW or not len(frame):
        raise LedgerError("the file is no segment: its columns are others")
    header = frame["sealed"][0]
    stated = json.loads(header)
    body = frame[1:]
    columns = (body[name].to_list() for name in _ARROW)
    return Packed(header, stated, Layout.from_header(stated), *columns)


def open_rows(packed: Packed, keys: Mapping[bytes, bytes], wanted: Sequence[int]) -> Opened:
    """The rows of the HCPs at places `wanted`, whose keys are in `keys`. Raises `LedgerError` naming all records that do not open."""
    width, faults = packed.layout.width, []
    fixed, texts, salts = [np.empty((0, width), np.uint8)], [], []
    for place in wanted:
        ref, count = packed.refs[place], packed.counts[place]
        row_key, row_salt = row_salts(keys[ref], packed.nonce, count)
        content = unseal_rows(row_key, ref, packed.sealed[place])
        if content is None:
            faults.append(f"record {place + 1} (hcp {ref.hex()}, {count} rows) does not open with its key")
            continue
        content = zlib.decompress(content)
        fixed.append(np.frombuffer(content, np.uint8, count * width).reshape(width, count).T)
        texts.append(content[count * width :])
        salts.append(row_salt)
    if faults:
        raise LedgerError("some rows cannot be opened", faults=faults, do="Restore vault.db from its backup.")
    return Opened(split(np.concatenate(fixed), b"".join(texts), packed.layout), b"".join(salts))


def to_frame(opened: Opened, layout: Layout) -> pl.DataFrame:
    """Opened rows as a frame in the order they were written, with their numbers in the last column, `number`."""
    numbers, frame = decode(opened.rows, layout)
    return frame.with_columns(number=pl.Series(numbers, dtype=pl.Int64)).sort("number")


def chunks(data: bytes) -> Iterator[bytes]:
    """Salts or hashes, one after another."""
    return (data[start : start + SALT] for start in range(0, len(data), _HASH))
