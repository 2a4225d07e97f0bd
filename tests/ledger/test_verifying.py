"""A changed byte anywhere is found and named; a sound ledger has no faults."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from remit.ledger import Entry, Ledger, Place, Report, create_ledger, open_ledger, read_ledger, verifier_keys, verify
from remit.ledger.keyfiles import signing_key
from remit.ledger.notes import Checkpoint, sign
from remit.ledger.segments import Opened
from remit.terms.encoding import canonical
from tests.ledger.small import run_cycle, stream

FAILURES = [Entry("failure", "remit.failure/1", {"agent": "a", "error": "e", "at": number}) for number in range(300)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A closed ledger with two cycles, an erasure, and enough entries for a stored node."""
    with nullcontext() if request.param == "sqlite" else request.getfixturevalue("postgres").database() as url:
        place = Place(tmp_path_factory.mktemp("sound") / "ledger", url)
        _fill(place)
        yield place


def _fill(place: Place) -> None:
    create_ledger(place, name="remit/test", entropy=stream())
    with open_ledger(place, entropy=stream(8)) as ledger:
        run_cycle(ledger)
        ledger.append("failures", FAILURES, cycle="cycle-1")
        ledger.erase("hcp-0004", now=5, reason="request")
        run_cycle(ledger, "cycle-2", hcps=4)


@pytest.fixture
def copy(sound: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    folder = Path(shutil.copytree(sound.folder, tmp_path / "copy"))
    with nullcontext() if sound.url is None else request.getfixturevalue("postgres").database(sa.make_url(sound.url).database) as url:
        yield Place(folder, url)


sound_on_sqlite = pytest.mark.parametrize("sound", ["sqlite"], indirect=True)


def flip(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def contents(path: Path) -> object:
    """All that a database says, or how it fails to."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    connection.text_factory = bytes
    try:
        tables = [row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}  # noqa: S608 - names from the schema itself
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error)
    finally:
        connection.close()


def test_a_sound_ledger_has_no_faults_and_its_counts_are_told(sound: Place) -> None:
    report = verify(sound)
    assert report == verify(sound, workers=2)
    assert (report.size, report.checkpoints, report.segments, report.rows) == (8 + 300 + 1 + 6, 4, 2, 24 + 16)
    assert (report.opened, report.gone, report.faults) == (5 + 4 + 20 + 16, 1 + 4, ())
    assert verify(sound, deep=False).faults == ()


def test_an_empty_ledger_is_sound(place: Place) -> None:
    assert verify(place) == Report(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0, 0, 0, 0, 0, ())


@sound_on_sqlite
@pytest.mark.parametrize("name", ["ledger.db", "vault.db"])
@pytest.mark.parametrize("deep", [True, False])
def test_a_changed_bit_in_a_database_is_found_unless_it_lies_where_nothing_is_said(copy: Place, name: str, deep: bool) -> None:
    path, dice = copy.folder / name, np.random.default_rng(len(name) + deep)
    before, said, found = path.read_bytes(), contents(path), 0
    for _ in range(60):
        place = int(dice.integers(len(before)))
        flip(path, place, int(dice.integers(8)))
        faults = verify(copy, deep=deep).faults
        assert faults or contents(path) == said, place
        found += bool(faults)
        path.write_bytes(before)
    assert found


@sound_on_sqlite
@pytest.mark.parametrize("name", ["checkpoint", "keys/ledger.pub", "keys/vault.key"])
def test_a_changed_bit_in_a_small_file_is_found(copy: Place, name: str) -> None:
    path, dice = copy.folder / name, np.random.default_rng(len(name))
    before = path.read_bytes()
    for place in range(0, len(before.rstrip(b"\n")), 3):
        flip(path, place, int(dice.integers(8)))
        assert verify(copy, deep=False).faults, place
        path.write_bytes(before)


@sound_on_sqlite
def test_a_changed_bit_in_a_segment_is_found_with_file_entry_and_place(copy: Place) -> None:
    dice = np.random.default_rng(3)
    for path in sorted((copy.folder / "segments").iterdir()):
        before = path.read_bytes()
        for _ in range(8):
            flip(path, int(dice.integers(len(before))), int(dice.integers(8)))
            faults = verify(copy, deep=False).faults
            assert [fault.what for fault in faults] == ["it was altered: bytes 0 to 1048575"]
            assert faults[0].where in (f"segments/{path.name} (entry 1)", f"segments/{path.name} (entry 310)")
            path.write_bytes(before)


def unlocked(path: Path, statement: str, *values: object) -> None:
    """Changes a database as someone would who drops its triggers first and puts them back."""
    connection = sqlite3.connect(path)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement, values)
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def altered(place: Place, statement: str, *values: object) -> None:
    """Changes the log as someone would who may do anything to its database, and leaves it as it looked."""
    if place.url is None:
        unlocked(place.folder / "ledger.db", statement, *values)
        return
    with psycopg.connect(sa.make_url(place.url).set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        triggers = connection.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
        for table, name in triggers:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        connection.execute(statement.replace("?", "%s"), values)
        for table, name in triggers:
            connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def said(place: Place, deep: bool = True) -> set[tuple[str, str]]:
    return {(fault.where, fault.what) for fault in verify(place, deep=deep).faults}


def test_an_altered_entry_is_named_alone(copy: Place) -> None:
    altered(copy, "UPDATE entries SET body = ? WHERE seq = 15", canonical({"agent": "a", "error": "e", "at": 8}))
    altered(copy, "UPDATE entries SET kind = 'fable' WHERE seq = 20")
    assert said(copy) == {(f"{copy.log}, entry {seq}", "what is stored is not what its leaf hash says") for seq in (15, 20)}


def test_an_altered_payload_is_named(copy: Place) -> None:
    altered(copy, "UPDATE entries SET ciphertext = ? WHERE seq = 3", bytes(99))
    assert {where for where, _ in said(copy)} == {f"{copy.log}, entry 3"}


def test_an_altered_leaf_breaks_its_entry_its_node_and_the_roots_above(copy: Place) -> None:
    altered(copy, "UPDATE entries SET leaf = ? WHERE seq = 15", bytes(32))
    assert {where for where, _ in said(copy)} == {f"{copy.log}, entry 15", f"{copy.log}, node 0 of height 8", "checkpoint"} | {
        f"{copy.log}, checkpoint {size}" for size in (308, 309, 315)
    }


def test_an_altered_name_of_a_batch_is_found_by_its_entries(copy: Place) -> None:
    altered(copy, "UPDATE checkpoints SET batch = 'other' WHERE size = 308")
    assert said(copy) == {(f"{copy.log}, entries 8 to 307", "what is stored is not what its leaf hash says")}


def test_an_entry_that_was_taken_out_is_named(copy: Place) -> None:
    altered(copy, "DELETE FROM entries WHERE seq = 15")
    assert (f"{copy.log}, entry 8", "it is missing, or one soon after it is: nothing from here on could be verified") in said(copy)


@pytest.mark.parametrize("seq", [315, 400, -1])
def test_an_entry_that_was_put_in_is_named(copy: Place, seq: int) -> None:
    altered(copy, "INSERT INTO entries SELECT ?, kind, schema, leaf, hcp, commitment, body, ciphertext FROM entries WHERE seq = 15", seq)
    assert said(copy) == {(f"{copy.log}, entry {seq}", "no checkpoint covers it: something else has written it")}


def test_a_node_that_was_put_in_is_named(copy: Place) -> None:
    altered(copy, "INSERT INTO nodes SELECT 16, 0, hash FROM nodes WHERE height = 8")
    assert said(copy) == {(f"{copy.log}, node 0 of height 16", "nothing lies under it")}


def test_a_checkpoint_that_was_put_in_is_named(copy: Place) -> None:
    altered(copy, "INSERT INTO checkpoints SELECT 310, 'more', 'more', note FROM checkpoints WHERE size = 309")
    assert (f"{copy.log}, checkpoint 310", "it is signed for a log of 309 entries") in said(copy)


def test_a_log_cut_short_with_its_checkpoints_is_found_by_the_published_one(copy: Place) -> None:
    altered(copy, "DELETE FROM entries WHERE seq >= 309")
    altered(copy, "DELETE FROM checkpoints WHERE size > 309")
    faults = said(copy)
    assert [where for where, _ in faults] == ["checkpoint"]
    assert "a part is lost" in faults.pop()[1]
    with pytest.raises(Exception, match="some are lost"), open_ledger(copy, entropy=stream()):
        pass


@sound_on_sqlite
def test_a_missing_trigger_is_found(copy: Place) -> None:
    connection = sqlite3.connect(copy.folder / "ledger.db")
    connection.execute("DROP TRIGGER entries_refuse_update")
    connection.close()
    assert said(copy) == {("ledger.db", "trigger `entries_refuse_update` is missing or was changed")}


REMOVALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a segment": (lambda folder: next((folder / "segments").iterdir()).unlink(), "cannot be read"),
    "the vault": (lambda folder: (folder / "vault.db").unlink(), "there is no `vault.db`"),
    "the log": (lambda folder: (folder / "ledger.db").unlink(), "there is no `ledger.db`"),
    "the verifier keys": (lambda folder: (folder / "keys/ledger.pub").unlink(), "no verifier key can be read"),
    "the vault's secret": (lambda folder: (folder / "keys/vault.key").unlink(), "the key cannot be read"),
    "the published checkpoint": (lambda folder: (folder / "checkpoint").unlink(), "the file with the last checkpoint is missing"),
    "a key": (lambda folder: unlocked(folder / "vault.db", "DELETE FROM keys WHERE hcp_id = 'hcp-0001'"), "no erasure says why"),
    "an erasure": (lambda folder: unlocked(folder / "vault.db", "DELETE FROM erased"), "the vault does not say so"),
}


@sound_on_sqlite
@pytest.mark.parametrize("what", REMOVALS)
def test_what_is_missing_is_named(copy: Place, what: str) -> None:
    remove, message = REMOVALS[what]
    remove(copy.folder)
    assert any(message in fault for _, fault in said(copy))


def rewritten(place: Place) -> None:
    """The same log but for one entry, made by someone who holds all keys."""
    create_ledger(place, name="remit/test", entropy=stream())
    with open_ledger(place, entropy=stream(8)) as ledger:
        ledger.append("cycle-1", FAILURES[:8], cycle="cycle-1")
        ledger.append("failures", FAILURES, cycle="cycle-1")


def test_only_an_older_checkpoint_finds_a_rewrite_by_a_holder_of_the_key(sound: Place, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with read_ledger(sound) as records:
        older = records.appended("failures").checkpoint
    assert verify(sound, against=older).faults == ()
    forged = Place(tmp_path / "forged", sound.url and request.getfixturevalue("database"))
    rewritten(forged)
    assert verify(forged).faults == ()
    assert [fault.what for fault in verify(forged, against=older).faults] == ["the first 308 entries are not those that were signed"]


def test_a_checkpoint_of_a_longer_log_or_another_key_is_refused(sound: Place, tmp_path: Path) -> None:
    longer = sign(Checkpoint("remit/test", 400, bytes(32)), signing_key(sound.folder))
    assert "signed for 400 entries; this log has 315" in verify(sound, against=longer).faults[0].what
    create_ledger(tmp_path / "other", name="remit/test", entropy=stream(99))
    assert "no accepted key" in verify(sound, verifier_keys=verifier_keys(tmp_path / "other")).faults[0].what
    assert "not a signed note" in verify(sound, against=b"hello").faults[0].what


def test_verifying_while_another_appends_sees_one_sound_state(ledger: Ledger) -> None:
    for number in range(4):
        run_cycle(ledger, f"more-{number}", hcps=3)
        report = verify(ledger.place)
        assert report.faults == ()
        assert report.size == ledger.size


def test_a_wrongly_written_row_is_named_by_its_number(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a writer would leave who commits to one thing and seals another: digests hold, only opening finds it."""
    honest = Opened.commitments
    with monkeypatch.context() as patch:
        patch.setattr(Opened, "commitments", lambda opened: [bytes(32), *honest(opened)[1:]])
        run_cycle(ledger, "cycle-2", hcps=3)
    assert verify(ledger.place, deep=False).faults == ()
    faults = verify(ledger.place).faults
    assert [fault.what for fault in faults] == [f"row {faults[0].what.split()[1]} is not what was committed to"]
