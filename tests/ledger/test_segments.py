"""Rows become segments and come back; what the files show and what they do not."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from remit.ledger import Ledger, LedgerError, appending
from remit.ledger.rows import Layout
from remit.ledger.sealing import hcp_key
from remit.ledger.segments import open_rows, pack, to_frame, unpack
from tests.ledger.small import PER_HCP, on_sqlite, rows

LABELS = {"cycle": "cycle-1", "stream": "decisions", "schema": "remit.decisions/1"}
SECRET = bytes(32)
TEXT = st.none() | st.text(st.characters(codec="utf-8"), max_size=12)


def keys_of(frame: pl.DataFrame) -> dict[str, object]:
    return {hcp_id: hcp_key(hcp_id, bytes([place]) * 32) for place, hcp_id in enumerate(frame["hcp_id"].unique().sort())}


def round_trip(frame: pl.DataFrame, plain: list[str], first: int = 0) -> pl.DataFrame:
    keys = keys_of(frame)
    _, file = pack(frame, first, LABELS, keys, SECRET, plain)
    packed = unpack(file)
    opened = open_rows(packed, {key.ref: key.key for key in keys.values()}, range(len(packed.refs)))
    assert opened.commitments() == packed.leaves()[1:]
    return to_frame(opened, packed.layout)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_rows_come_back_as_they_were(data: st.DataObject) -> None:
    blocks = data.draw(
        st.lists(st.tuples(st.from_regex(r"\A[A-Za-z0-9_.:-]{1,64}\Z"), st.integers(1, 5)), min_size=1, max_size=6, unique_by=lambda block: block[0])
    )
    ids = [hcp_id for hcp_id, count in blocks for _ in range(count)]
    kinds = data.draw(st.lists(st.sampled_from([pl.Boolean, pl.Int64, pl.String]), max_size=10))
    values = {pl.Boolean: st.none() | st.booleans(), pl.Int64: st.none() | st.integers(-(2**63), 2**63 - 1), pl.String: TEXT}
    columns = {f"c{place}": pl.Series(data.draw(st.lists(values[kind], min_size=len(ids), max_size=len(ids))), dtype=kind) for place, kind in enumerate(kinds)}
    texts = [name for name, column in columns.items() if column.dtype == pl.String]
    clashes = [name for name in texts if columns[name].is_in(ids).any()]
    plain = sorted({*clashes, *data.draw(st.lists(st.sampled_from(texts), unique=True) if texts else st.just([]))})
    frame = pl.DataFrame({"hcp_id": ids, **columns})
    back = round_trip(frame, plain, first=1000)
    assert back["number"].to_list() == list(range(1000, 1000 + len(ids)))
    assert_frame_equal(back.drop("number"), frame)


def test_categories_come_back_as_text() -> None:
    frame = pl.DataFrame(
        {"hcp_id": ["a", "b"], "kind": pl.Series(["x", None], dtype=pl.Enum(["x", "y"])), "other": pl.Series(["z", "x"], dtype=pl.Categorical)}
    )
    assert round_trip(frame, ["other"]).drop("number").rows() == [("a", "x", "z"), ("b", None, "x")]


def test_the_fixed_part_of_a_row_is_laid_out_as_documented() -> None:
    frame = pl.DataFrame({"hcp_id": ["h7"], "yes": [True], "none": pl.Series([None], dtype=pl.Int64), "word": ["b"], "text": ["\u00e9"], "int": [-2]})
    _, file = pack(frame, 5, LABELS, keys_of(frame), SECRET, ["text"])
    packed = unpack(file)
    row = open_rows(packed, {packed.refs[0]: bytes(32)}, [0]).rows.row(0)
    parts = ["0500000000000000", "1d", "6837", "01", "0000000000000000", "00000000", "02000000", "feffffffffffffff", "c3a9"]
    assert row.hex() == "".join(parts)
    assert packed.layout == Layout.from_header(json.loads(packed.header))


def test_writing_the_same_rows_again_gives_the_same_file_and_other_rows_another_nonce(ledger: Ledger) -> None:
    frame = rows()
    write = lambda part: ledger.write_segments(part, cycle="c", stream="s", schema="x/1", plain=["reason"])  # noqa: E731 - one call, four times
    assert write(frame) == write(frame)
    other = frame.with_columns(value=pl.lit(1, pl.Int64))
    assert write(other)[0].header != write(frame)[0].header


@on_sqlite
def test_neither_ids_nor_plain_texts_stand_in_the_files(ledger: Ledger) -> None:
    for path in [ledger.folder / "ledger.db", *(ledger.folder / "segments").iterdir()]:
        data = path.read_bytes()
        assert b"hcp-0003" not in data
        assert "reason \u00e9".encode() not in data
        assert len(data) > 1000


def test_records_are_ordered_by_reference_and_not_by_id(ledger: Ledger) -> None:
    packed = unpack(ledger.segment_path(ledger.segments("cycle-1")[0]).read_bytes())
    assert list(packed.refs) == sorted(packed.refs)


def test_rows_are_cut_into_segments_between_hcps_and_every_row_is_in_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "_ROWS", 3 * PER_HCP)
    frame = rows(hcps=10)
    segments = ledger.write_segments(frame, cycle="c", stream="s", schema="x/1", plain=["reason"])
    assert len(segments) > 2
    assert all(segment.first % PER_HCP == 0 for segment in segments)
    back = pl.concat([ledger.read_segment(segment).frame for segment in segments])
    assert_frame_equal(back.drop("number"), frame)


def test_other_processes_write_the_same_segments(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "_ROWS", 3 * PER_HCP)
    frame = rows(hcps=20)
    alone, together = (ledger.write_segments(frame, cycle="c", stream="s", schema="x/1", plain=["reason"], workers=workers) for workers in (1, 2))
    assert len(together) > appending._FEW
    assert together == alone


def test_an_empty_frame_makes_no_segment(ledger: Ledger) -> None:
    assert ledger.write_segments(rows(0), cycle="c", stream="s", schema="x/1") == ()


def test_all_faults_of_a_frame_are_told_at_once(ledger: Ledger) -> None:
    frame = pl.DataFrame({"hcp_id": ["a", "b", "a", "no spaces"], "share": [0.5, 1.0, 2.0, 3.0], "n": pl.Series([1, 2, 3, 4], dtype=pl.Int32)})
    with pytest.raises(LedgerError) as caught:
        ledger.write_segments(frame, cycle="c", stream="s", schema="x/1", plain=["absent"])
    assert len(caught.value.faults) == 5
    assert "row 3" in str(caught.value)


def test_words_that_are_hcp_ids_are_refused_because_they_would_outlive_an_erasure(ledger: Ledger) -> None:
    frame = pl.DataFrame({"hcp_id": ["a", "b"], "peer": ["b", "a"]})
    with pytest.raises(LedgerError, match="hcp ids"):
        ledger.write_segments(frame, cycle="c", stream="s", schema="x/1")
    assert ledger.write_segments(frame, cycle="c", stream="s", schema="x/1", plain=["peer"])[0].rows == 2


def test_an_altered_segment_is_not_read(ledger: Ledger) -> None:
    segment = ledger.segments("cycle-1")[0]
    path = ledger.segment_path(segment)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="altered"):
        ledger.read_segment(segment)
    path.unlink()
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.read_segment(segment)


def test_a_segment_written_before_a_kill_is_taken_up_again(ledger: Ledger) -> None:
    segment = ledger.write_segments(rows(), cycle="c", stream="s", schema="x/1", plain=["reason"])[0]
    before = ledger.segment_path(segment).stat().st_ino
    assert ledger.write_segments(rows(), cycle="c", stream="s", schema="x/1", plain=["reason"])[0] == segment
    assert ledger.segment_path(segment).stat().st_ino == before
    assert not list((ledger.folder / "segments").glob("*.part"))


def test_numbers_reach_beyond_what_one_segment_holds() -> None:
    frame = pl.DataFrame({"hcp_id": ["a"], "n": [1]})
    assert round_trip(frame, [], first=int(np.iinfo(np.int64).max) - 1)["number"][0] == 2**63 - 2
