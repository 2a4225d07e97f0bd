"""An erasure destroys key, salt and payload, leaves a tombstone, heals itself, and is remembered."""

import sqlite3

import polars as pl
import pytest

from remit.ledger import Ledger, LedgerError, open_ledger, verify
from remit.ledger.vault import Vault
from tests.ledger.small import PER_HCP, actions, cycle_entry, rows, run_cycle, stream

NOW = 1_767_600_000_000_000


def test_erasing_takes_the_payloads_and_leaves_a_tombstone_that_names_nobody(ledger: Ledger) -> None:
    ref = next(ledger.entries(hcp_id="hcp-0002")).hcp
    erasure = ledger.erase("hcp-0002", now=NOW, reason="request 17", replaced=[("aa" * 32, "bb" * 32)])
    assert erasure.hcp == ref
    tombstone = ledger.entry(erasure.tombstone)
    assert tombstone.body == {"hcp": ref, "at": NOW, "reason": "request 17", "replaced": [["aa" * 32, "bb" * 32]]}
    gone = [entry for entry in ledger.entries() if entry.gone]
    assert [(entry.hcp, entry.hcp_id, entry.payload) for entry in gone] == [(ref, None, None)]
    assert list(ledger.entries(hcp_id="hcp-0002")) == []
    assert len(ledger.recorded("cycle-1")) == 5
    assert verify(ledger.place).faults == ()


def test_reading_a_segment_after_an_erasure_says_which_rows_are_gone(ledger: Ledger) -> None:
    erasure = ledger.erase("hcp-0002", now=NOW, reason="request")
    read = ledger.read_segment(ledger.segments("cycle-1")[0])
    assert read.gone == {erasure.hcp: PER_HCP}
    assert "hcp-0002" not in read.frame["hcp_id"]
    assert len(read.frame) == 5 * PER_HCP


def test_neither_key_nor_id_is_left_in_the_vaults_files(ledger: Ledger) -> None:
    vault = sqlite3.connect(ledger.folder / "vault.db")
    key = vault.execute("SELECT key FROM keys WHERE hcp_id = 'hcp-0002'").fetchone()[0]
    vault.close()
    ledger.erase("hcp-0002", now=NOW, reason="request")
    left = b"".join(path.read_bytes() for path in ledger.folder.rglob("*") if path.is_file())
    assert key not in left
    assert b"hcp-0002" not in left
    assert b"hcp-0003" in left


def test_an_erased_id_gets_no_new_key(ledger: Ledger) -> None:
    assert ledger.holds("hcp-0002")
    ledger.erase("hcp-0002", now=NOW, reason="request")
    assert ledger.is_erased("hcp-0002")
    assert not ledger.holds("hcp-0002")
    assert ledger.erased_among(f"hcp-{place:04d}" for place in range(9)) == {"hcp-0002"}
    with pytest.raises(LedgerError, match="1 of 6 HCPs were erased"):
        ledger.write_segments(rows(), cycle="c", stream="s", schema="x/1", plain=["reason"])
    with pytest.raises(LedgerError, match="1 of 6 HCPs were erased"):
        ledger.append("b", actions(rows()), cycle="c")


def test_erasing_again_changes_nothing(ledger: Ledger) -> None:
    first = ledger.erase("hcp-0002", now=NOW, reason="request")
    assert ledger.erase("hcp-0002", now=NOW + 5, reason="another") == first
    assert ledger.size == 9


def test_an_hcp_of_whom_nothing_is_known_can_be_erased_in_advance(ledger: Ledger) -> None:
    ledger.erase("hcp-9999", now=NOW, reason="request")
    assert ledger.is_erased("hcp-9999")
    assert verify(ledger.place).faults == ()


def test_a_kill_between_vault_and_log_is_named_by_verify_and_healed_when_the_ledger_is_next_opened(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_bury", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.erase("hcp-0002", now=NOW, reason="request 17")
    ledger.close()
    assert [fault.what for fault in verify(ledger.place).faults] == ["it has no tombstone in the log: open the ledger for writing to complete it"]
    with open_ledger(ledger.place, entropy=stream(9)) as again:
        assert [entry.body["reason"] for entry in again.entries(kind="tombstone")] == ["request 17"]
    assert verify(ledger.place).faults == ()


def test_a_tombstone_that_does_not_fit_on_the_disk_is_told_and_the_erasure_completed_later(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_bury", full)
        with pytest.raises(LedgerError, match="the key is destroyed, but its tombstone is not in the log yet: the disk is full"):
            ledger.erase("hcp-0002", now=NOW, reason="request")
    assert ledger.erase("hcp-0002", now=NOW + 9, reason="again").tombstone == 8
    assert ledger.entry(8).body["at"] == NOW


def test_a_kill_before_the_key_is_wiped_from_the_write_ahead_log_is_healed_too(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Vault) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "wipe", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.erase("hcp-0002", now=NOW, reason="request")
    assert (ledger.folder / "vault.db-wal").stat().st_size > 0
    with open_ledger(ledger.place, entropy=stream(9)) as again:
        assert (ledger.folder / "vault.db-wal").stat().st_size == 0
        assert len(list(again.entries(kind="tombstone"))) == 1


def test_a_reader_that_keeps_the_key_from_being_wiped_makes_the_erasure_fail_until_it_is_gone(ledger: Ledger) -> None:
    ledger.close()
    with open_ledger(ledger.place, entropy=stream(9), wait_s=0.2) as impatient:
        reader = sqlite3.connect(ledger.folder / "vault.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM keys").fetchone()
        with pytest.raises(LedgerError, match="keeps a destroyed key from being wiped"):
            impatient.erase("hcp-0002", now=NOW, reason="request")
        reader.close()
        assert impatient.erase("hcp-0002", now=NOW, reason="request").tombstone == 8
    assert verify(ledger.place).faults == ()


def test_a_cycle_after_an_erasure_leaves_the_erased_out_and_the_log_goes_on(ledger: Ledger) -> None:
    ledger.erase("hcp-0002", now=NOW, reason="request")
    frame = rows().filter(~pl.col("hcp_id").is_in(ledger.erased_among(rows()["hcp_id"])))
    segments = ledger.write_segments(frame, cycle="cycle-2", stream="decisions", schema="remit.decisions/1", plain=["reason"])
    ledger.append("cycle-2", [cycle_entry(segments), *actions(frame)], cycle="cycle-2", segments=segments)
    report = verify(ledger.place)
    assert (report.gone, report.faults) == (1 + PER_HCP, ())


def test_restoring_a_vault_from_before_the_erasure_is_found(ledger: Ledger) -> None:
    ledger.close()
    before = (ledger.folder / "vault.db").read_bytes()
    with open_ledger(ledger.place, entropy=stream(9)) as again:
        run_cycle(again, "cycle-2")
        again.erase("hcp-0002", now=NOW, reason="request")
    (ledger.folder / "vault.db").write_bytes(before)
    assert any("it may come from before the erasure" in fault.what for fault in verify(ledger.place).faults)
