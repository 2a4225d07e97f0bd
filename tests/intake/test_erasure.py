"""Erasing an HCP."""

import polars as pl

from remit.intake import Outcome, erase, read_quarantine, replaced, segments, verify_segments

ROWS = ("H1,alpha,2025-W40,1,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W40,2,,,2025-12-01T00:00:00Z", "H2,alpha,2025-W99,2,,,2025-12-01T00:00:00Z")


def test_nothing_of_the_hcp_is_left_and_the_rest_is(desk):
    desk.rx("a.csv", *ROWS)
    desk.rx("b.csv", ROWS[0].replace("W40", "W41"))
    desk.load()
    before = {segment.source_file: segment for segment in segments(desk.warehouse)}
    pairs = erase(desk.warehouse, "H2", desk.entropy)
    after = {segment.source_file: segment for segment in segments(desk.warehouse)}
    assert pairs == ((before["a.csv"].commitment, after["a.csv"].commitment),)
    assert before["b.csv"] == after["b.csv"]
    assert desk.read("rx")["hcp_id"].to_list() == ["H1", "H1"]
    assert read_quarantine(desk.warehouse).is_empty()
    files = [path for path in desk.warehouse.rglob("*") if path.is_file()]
    assert not any(before["a.csv"].commitment in path.name or before["a.csv"].salt.encode() in path.read_bytes() for path in files)
    assert all("H2" not in pl.read_parquet(path)["hcp_id"] for path in files if path.suffix == ".parquet")
    assert verify_segments(desk.warehouse) == ()


def test_an_hcp_known_only_from_a_bad_line_is_erased_too(desk):
    desk.rx("a.csv", ROWS[0], ROWS[2])
    desk.load()
    assert len(erase(desk.warehouse, "H2", desk.entropy)) == 1
    assert read_quarantine(desk.warehouse).is_empty()


def test_erasing_an_unknown_hcp_changes_nothing(desk):
    desk.rx("a.csv", *ROWS)
    desk.load()
    before = segments(desk.warehouse)
    assert erase(desk.warehouse, "H9", desk.entropy) == ()
    assert segments(desk.warehouse) == before


def test_what_was_ever_replaced_can_be_told_later(desk):
    desk.rx("a.csv", *ROWS)
    desk.load()
    first = segments(desk.warehouse)[0].commitment
    erase(desk.warehouse, "H2", desk.entropy)
    second = segments(desk.warehouse)[0].commitment
    erase(desk.warehouse, "H1", desk.entropy)
    last = segments(desk.warehouse)[0].commitment
    assert replaced(desk.warehouse) == {first: last, second: last}


def test_loading_the_same_file_again_does_not_bring_an_erased_hcp_back(desk):
    desk.rx("a.csv", *ROWS)
    desk.load()
    desk.erased.add("H2")
    erase(desk.warehouse, "H2", desk.entropy)
    desk.rx("c.csv", ROWS[1].replace("W40", "W45"))
    reports = {report.file: report for report in desk.load().files}
    assert reports["a.csv"].outcome is Outcome.KNOWN
    assert reports["c.csv"].suppressed == 1
    assert set(desk.read("rx")["hcp_id"]) == {"H1"}


def test_a_changed_byte_is_found_and_its_file_named(desk):
    desk.rx("a.csv", *ROWS)
    desk.load()
    (path,) = (desk.warehouse / "rx").glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert verify_segments(desk.warehouse) == (f"{path} is not what was loaded from a.csv",)
    path.unlink()
    assert verify_segments(desk.warehouse) == (f"{path} is gone",)


TIES = ("H1,H2,referral,4,2025-01-01", "H1,H3,nomination,,2025-01-01", "H3,H1,referral,2,2025-01-01", "H3,H2,friend,2,2025-01-01")


def test_a_tie_goes_with_each_of_the_two_it_names(desk):
    """Good lines and bad ones; ties of others stay, and a later delivery brings none back."""
    header = "hcp_id,peer_id,kind,weight,valid_from"
    desk.write("peers/a.csv", "\n".join([header, *TIES]))
    desk.load()
    assert read_quarantine(desk.warehouse).height == 1
    assert len(erase(desk.warehouse, "H2", desk.entropy)) == 1
    desk.erased.add("H2")
    assert desk.read("peers").select("hcp_id", "peer_id").rows() == [("H1", "H3"), ("H3", "H1")]
    assert read_quarantine(desk.warehouse).is_empty()
    assert not any(b"H2" in path.read_bytes() for path in desk.warehouse.rglob("*") if path.is_file())
    desk.write("peers/b.csv", "\n".join([header, "H4,H2 ,referral,4,2025-01-01", "H4,H1,referral,4,2025-01-01"]))
    assert {report.file: report.suppressed for report in desk.load().files}["b.csv"] == 1
    assert desk.read("peers")["peer_id"].to_list().count("H2") == 0
