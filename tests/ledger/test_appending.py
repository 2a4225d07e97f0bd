"""A batch is written once, whole, signed, in an order that tells nothing, and never changed."""

import multiprocessing
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from remit.ledger import Entry, Ledger, LedgerError, Place, action_entry, create_ledger, open_ledger, read_ledger, verifier_keys, verify
from remit.ledger.databases import reading
from remit.ledger.entries import SCHEMAS, leaf_data
from remit.ledger.log import STORED
from remit.ledger.merkle import extends
from remit.ledger.notes import open_checkpoint
from remit.ledger.records import _of_kind
from remit.ledger.sealing import Sealed
from remit.terms.encoding import canonical, digest
from tests.ledger.small import actions, chosen, cycle_entry, on_sqlite, rows, run_cycle, stream

FAILURE = Entry("failure", "remit.failure/1", {"agent": "email", "error": "no model", "at": 5})


def test_entries_come_back_with_their_payloads_in_log_order(ledger: Ledger) -> None:
    stored = list(ledger.entries())
    assert [entry.seq for entry in stored] == list(range(8))
    assert [entry.kind for entry in stored] == ["cycle", "segment", *["action"] * 6]
    assert {entry.payload["hcp_id"] for entry in stored if entry.payload} == {f"hcp-{place:04d}" for place in range(6)}
    assert ledger.entry(3) == stored[3]
    assert [entry.hcp_id for entry in ledger.entries(hcp_id="hcp-0002")] == ["hcp-0002"]
    assert list(ledger.entries(cycle="cycle-2")) == []
    assert [entry.seq for entry in ledger.entries(kind="segment")] == [1]


def test_recorded_actions_are_the_chosen_ones_by_number(ledger: Ledger) -> None:
    recorded = ledger.recorded("cycle-1")
    assert [action.chosen for action in recorded] == [chosen(number, f"hcp-{number // 4:04d}") for number in range(0, 24, 4)]
    assert all(ledger.entry(action.entry).payload["number"] == action.chosen.number for action in recorded)
    seqs = [action.entry for action in reversed(recorded)]
    assert ledger.actions(seqs) == [ledger.action(seq) for seq in seqs]
    with pytest.raises(LedgerError, match="there is no entry 99"):
        ledger.actions([seqs[0], 99])


def test_entries_of_a_cycle_are_told_in_the_clear_also_of_who_was_erased(ledger: Ledger) -> None:
    """A cycle's action says nothing in the clear unless it waits; `some` is by number, whatever the order that is asked for."""
    assert list(ledger.said("action", "cycle-1")) == []
    body = {"stop": "stop-0001", "by": "owner", "reason": "asked", "at": 5}
    ledger.append("stop-0001", [Entry("hold", "remit.hold/1", body, "hcp-0002", {"hcp_id": "hcp-0002"})], cycle="stop-0001")
    ledger.erase("hcp-0002", now=6, reason="asked")
    (said,) = ledger.said("hold", "stop-0001")
    assert (said.seq, said.body) == (8, body)
    assert [each.seq for each in ledger.some([8, 2, 5])] == [2, 5, 8]


@on_sqlite
@pytest.mark.parametrize("kind", sorted({schema.kind for schema in SCHEMAS.values()}))
def test_entries_of_a_kind_are_found_by_an_index(ledger: Ledger, kind: str) -> None:
    """All but those that were declined, which are too many for one and are asked for within a cycle."""
    query = _of_kind(STORED, kind).compile(compile_kwargs={"literal_binds": True})
    with reading(ledger.log) as connection:
        plan = " ".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
    assert ("USING INDEX entries_" in plan) is (kind != "declined")


def test_entries_about_people_are_not_in_the_order_they_were_given(place: Place) -> None:
    with open_ledger(place, entropy=stream()) as ledger:
        run_cycle(ledger, hcps=40)
        numbers = [entry.payload["number"] for entry in ledger.entries(kind="action")]
    assert numbers != sorted(numbers)


def test_the_leaf_is_the_canonical_json_of_the_entry() -> None:
    sealed = Sealed(bytes(16), bytes(32), b"secret")
    marks = {"ciphertext": digest(b"secret"), "commitment": bytes(32).hex(), "hcp": bytes(16).hex()}
    parts = {"batch": "b", "body": {"z": 1, "a": ["\u00e9", None]}, "cycle": "c", "kind": "action", "schema": "remit.action/1"}
    body = canonical(parts["body"])
    assert leaf_data("b", "c", "action", "remit.action/1", body, sealed) == canonical({**parts, "sealed": marks})
    assert leaf_data("b", "c", "action", "remit.action/1", body, None) == canonical({**parts, "sealed": None})


def test_appending_a_batch_twice_writes_it_once(ledger: Ledger) -> None:
    segments = tuple(ledger.segments("cycle-1"))
    entries = [cycle_entry(segments), *actions(rows(), {"facts": {"consent": "opt_in"}})]
    again = ledger.append("cycle-1", entries, cycle="cycle-1", segments=segments)
    assert (again.already, again.first, again.size, ledger.size) == (True, 0, 8, 8)
    assert again == ledger.appended("cycle-1")


def test_a_batch_with_other_contents_under_a_known_name_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="in the log with other contents"):
        ledger.append("cycle-1", [FAILURE], cycle="cycle-1")
    assert ledger.size == 8


def test_an_expected_size_that_no_longer_holds_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="8 entries, not 7"):
        ledger.append("late", [FAILURE], cycle="cycle-1", expected_size=7)
    assert ledger.append("late", [FAILURE], cycle="cycle-1", expected_size=8).size == 9


def test_all_faults_of_a_batch_are_told_and_nothing_is_written(ledger: Ledger) -> None:
    bad = [
        Entry("failure", "remit.failure/1", {"agent": "email"}),
        Entry("failure", "remit.unheard/1", {}),
        Entry("acted", "remit.failure/1", dict(FAILURE.body)),
        Entry("action", "remit.action/1", {}),
        Entry("action", "remit.action/1", {}, "no spaces", {}),
        Entry("failure", "remit.failure/1", dict(FAILURE.body), "hcp-0001", {"hcp_id": "hcp-0001"}),
    ]
    with pytest.raises(LedgerError) as caught:
        ledger.append("a batch", bad, cycle="cycle-2")
    assert len(caught.value.faults) == 1 + 2 + 1 + 1 + 6 + 7 + 1
    assert ledger.size == 8


def test_a_float_in_a_body_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="no canonical form"):
        ledger.append("b", [Entry("failure", "remit.failure/1", {**FAILURE.body, "share": 0.5})], cycle="cycle-2")
    assert ledger.size == 8


def test_every_checkpoint_is_signed_and_extends_the_one_before(ledger: Ledger) -> None:
    keys, before = verifier_keys(ledger.folder), open_checkpoint(ledger.checkpoint(), verifier_keys(ledger.folder))
    for number in range(5):
        after = open_checkpoint(ledger.append(f"b{number}", [FAILURE] * (number * 90 + 1), cycle="c").checkpoint, keys)
        assert extends(before.size, before.root, after.size, after.root, ledger.consistency(before.size, after.size))
        before = after
    assert (ledger.folder / "checkpoint").read_bytes() == ledger.checkpoint()


@on_sqlite
def test_the_database_refuses_to_change_or_take_away(ledger: Ledger) -> None:
    connection = sqlite3.connect(ledger.folder / "ledger.db")
    for statement in (
        "UPDATE entries SET body = x'00' WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 7",
        "INSERT OR REPLACE INTO entries SELECT seq, kind, schema, leaf, hcp, commitment, x'00', ciphertext FROM entries WHERE seq = 7",
        "INSERT INTO entries SELECT 99, kind, schema, leaf, hcp, commitment, body, ciphertext FROM entries WHERE seq = 7",
        "UPDATE checkpoints SET note = x'00'",
        "DELETE FROM checkpoints",
        "INSERT OR REPLACE INTO checkpoints SELECT size, batch, cycle, x'00' FROM checkpoints",
        "INSERT OR REPLACE INTO checkpoints SELECT size + 1, batch, cycle, x'00' FROM checkpoints",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()
    assert verify(ledger.place).faults == ()


def _append_many(place: Place, worker: int) -> None:
    with open_ledger(place, entropy=stream(worker)) as ledger:
        for number in range(8):
            about = action_entry(chosen(number, f"hcp-{number:04d}"))
            ledger.append(f"w{worker}-{number}", [FAILURE, about], cycle="shared")


def test_two_processes_append_in_turn_to_one_log_and_share_the_keys(place: Place) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(place, worker)) for worker in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    report = verify(place)
    assert (report.size, report.checkpoints, report.opened, report.faults) == (32, 16, 16, ())


def test_what_another_process_publishes_meanwhile_is_no_loss_and_is_not_overwritten(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is read, then another process appends and publishes before the newest checkpoint is looked at: nothing is missed, and the newer one stays."""
    ledger.append("one", [FAILURE], cycle="shared")
    read = Ledger.checkpoint

    def overtaken(mine: Ledger) -> bytes | None:
        note = read(mine)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "checkpoint", read)
            with open_ledger(mine.place, entropy=stream(7)) as other:
                other.append("two", [FAILURE], cycle="shared")
        return note

    monkeypatch.setattr(Ledger, "checkpoint", overtaken)
    open_ledger(ledger.place, entropy=stream(8)).close()
    monkeypatch.undo()
    assert (ledger.folder / "checkpoint").read_bytes() == read(ledger)
    assert verify(ledger.place).size == ledger.size


def test_reading_never_writes(ledger: Ledger) -> None:
    ledger.close()
    before = {path: path.read_bytes() for path in ledger.folder.rglob("*") if path.is_file() and path.suffix in ("", ".db", ".arrow")}
    with read_ledger(ledger.place) as records:
        assert len(list(records.entries())) == 8
    assert {path: path.read_bytes() for path in before} == before


def test_a_second_ledger_is_not_made_over_the_first(place: Place) -> None:
    with pytest.raises(LedgerError, match="a ledger already"):
        create_ledger(place, name="remit/test", entropy=stream())


def test_the_same_ledger_is_written_to_the_same_bytes_of_every_entry(tmp_path: Path) -> None:
    leaves = []
    for name in ("one", "two"):
        create_ledger(tmp_path / name, name="remit/test", entropy=stream())
        with open_ledger(tmp_path / name, entropy=stream(3)) as ledger:
            run_cycle(ledger)
            leaves.append(ledger.checkpoint())
    assert leaves[0] == leaves[1]


def test_what_was_appended_since_is_told_by_kind_and_in_the_clear(ledger: Ledger) -> None:
    fresh = ledger.since(0, ["segment", "cycle", "action"])
    assert [(entry.seq, entry.kind, entry.hcp) for entry in fresh] == [(0, "cycle", None), (1, "segment", None)]
    assert fresh[0].body == ledger.entry(0).body
    assert ledger.since(1, ["cycle"]) == []
    ledger.append("failed", [FAILURE, FAILURE], cycle="failed")
    assert [(entry.seq, entry.body["agent"]) for entry in ledger.since(9, ["failure"])] == [(9, "email")]


def test_the_newest_entry_of_some_kinds_is_told_whoever_appended_it(ledger: Ledger) -> None:
    with read_ledger(ledger.place) as records, open_ledger(ledger.place, entropy=stream(9)) as other:
        asked = [each.newest(["failure", "model", "cycle"]) for each in (records, ledger, other)]
        assert [newest() for newest in asked] == [0, 0, 0]
        assert [each.newest(["failure", "action"])() for each in (records, ledger)] == [-1, -1]
        for number, writer in enumerate((ledger, other)):
            writer.append(f"failed-{number}", [FAILURE], cycle=f"failed-{number}")
            assert [newest() for newest in asked] == [8 + number] * 3
        _appended_and_undone(other)
        assert [newest() for newest in asked] == [9, 9, 9]
        run_cycle(ledger, "cycle-2")
        assert [newest() for newest in asked] == [10, 10, 10]


def _appended_and_undone(ledger: Ledger) -> None:
    with suppress(KeyError), ledger.turn(0) as turn:
        turn.append("undone", [FAILURE], cycle="undone")
        raise KeyError
