"""A receipt proves itself offline, and a change anywhere in it is found."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.ledger import Entry, Ledger, LedgerError, Verified, action_entry, rotate_key, verifier_keys, verify_receipt
from remit.ledger.notes import generate_key, verifier_key
from remit.terms.encoding import canonical
from tests.ledger.small import chosen, cycle_entry, rows, run_cycle, stream


@pytest.fixture
def keys(ledger: Ledger) -> list[str]:
    return verifier_keys(ledger.folder)


def faults_of(receipt: dict[str, Any], keys: list[str]) -> list[tuple[str, str]]:
    verified = verify_receipt(canonical(receipt), keys)
    assert not isinstance(verified, Verified)
    return [(fault.where, fault.what) for fault in verified]


def test_a_chosen_rows_receipt_says_row_cycle_and_action(ledger: Ledger, keys: list[str]) -> None:
    verified = verify_receipt(ledger.receipt("cycle-1", "decisions", "hcp-0002", 8), keys)
    assert isinstance(verified, Verified)
    assert verified.row == {"number": 8, **rows().row(8, named=True)}
    assert verified.cycle["seed"] == 11
    assert verified.action["context"] == {"facts": {"consent": "opt_in"}}
    assert verified.action["verdict"]["rules"] == ["cap", "consent"]
    assert verified.checkpoint.size == 8


def test_a_row_that_was_not_chosen_has_a_receipt_without_an_action(ledger: Ledger, keys: list[str]) -> None:
    for number, hcp_id in enumerate(rows()["hcp_id"]):
        verified = verify_receipt(ledger.receipt("cycle-1", "decisions", hcp_id, number), keys)
        assert isinstance(verified, Verified)
        assert (verified.row["number"], verified.action is not None) == (number, number % 4 == 0)


def test_a_receipt_holds_in_a_log_that_has_grown_past_a_whole_node(ledger: Ledger, keys: list[str]) -> None:
    ledger.append("more", [Entry("failure", "remit.failure/1", {"agent": "a", "error": "e", "at": n}) for n in range(700)], cycle="cycle-1")
    run_cycle(ledger, "cycle-2")
    assert isinstance(verify_receipt(ledger.receipt("cycle-1", "decisions", "hcp-0002", 8), keys), Verified)
    assert isinstance(verify_receipt(ledger.receipt("cycle-2", "decisions", "hcp-0002", 9), keys), Verified)


def test_a_changed_bit_anywhere_in_a_receipt_is_found(ledger: Ledger, keys: list[str]) -> None:
    receipt, dice = ledger.receipt("cycle-1", "decisions", "hcp-0002", 8), np.random.default_rng(1)
    for place in range(0, len(receipt), 7):
        altered = bytearray(receipt)
        altered[place] ^= 1 << int(dice.integers(8))
        assert not isinstance(verify_receipt(bytes(altered), keys), Verified), place


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, str]]] = {
    "a value of the row": (lambda r: r["row"]["values"].update(value=1), ("row", "its values are not those of its bytes")),
    "the row's place": (lambda r: r["row"].update(leaf=r["row"]["leaf"] % 24 + 1), ("row", "the segment does not hold it at leaf")),
    "the row's header": (lambda r: r["row"].update(header=r["row"]["header"].replace("email", "EMAIL")), ("row", "its header is not the segment's")),
    "a reason": (lambda r: r["action"]["payload"]["verdict"].update(reasons=["none"]), ("action", "its payload is not the one committed to")),
    "the cycle's seed": (lambda r: r["cycle"]["body"].update(seed=12), ("cycle", "the log under this checkpoint does not hold it as entry 0")),
    "the segment's number": (lambda r: r["segment"].update(seq=5), ("segment", "the log under this checkpoint does not hold it as entry 5")),
    "loose text in the row": (lambda r: r["row"].update(note="fine"), ("row", "it holds something that nothing commits to")),
    "loose text in the cycle": (lambda r: r["cycle"].update(note="fine"), ("cycle", "it holds something that nothing commits to")),
    "the cycle for the segment": (lambda r: r.update(segment=r["cycle"]), ("receipt", "a part is missing or of another kind")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_forged_part_is_named(ledger: Ledger, keys: list[str], change: str) -> None:
    receipt = json.loads(ledger.receipt("cycle-1", "decisions", "hcp-0002", 8))
    forge, (where, what) = CHANGES[change]
    forge(receipt)
    assert any(place == where and said.startswith(what) for place, said in faults_of(receipt, keys))


def test_the_action_of_another_row_does_not_pass(ledger: Ledger, keys: list[str]) -> None:
    receipt, other = (json.loads(ledger.receipt("cycle-1", "decisions", f"hcp-000{hcp}", hcp * 4)) for hcp in (2, 3))
    assert faults_of({**receipt, "action": other["action"]}, keys) == [("action", "it is about another row")]


def test_the_cycle_of_another_run_does_not_pass(ledger: Ledger, keys: list[str]) -> None:
    run_cycle(ledger, "cycle-2", hcps=5)
    receipt, other = json.loads(ledger.receipt("cycle-1", "decisions", "hcp-0002", 8)), json.loads(ledger.receipt("cycle-2", "decisions", "hcp-0002", 8))
    said = faults_of({**receipt, "cycle": other["cycle"]}, keys)
    assert ("cycle", "it does not name the segment") in said
    assert ("segment", "it belongs to cycle `cycle-1`, not `cycle-2`") in said


def test_a_receipt_under_another_key_is_refused(ledger: Ledger) -> None:
    other = verifier_key(generate_key("remit/test", bytes(32)))
    verified = verify_receipt(ledger.receipt("cycle-1", "decisions", "hcp-0002", 8), [other])
    assert "no accepted key" in verified[0].what


def test_receipts_from_before_and_after_a_rotation_hold_under_the_keys_that_are_kept(ledger: Ledger) -> None:
    before = ledger.receipt("cycle-1", "decisions", "hcp-0002", 8)
    ledger.close()
    new = rotate_key(ledger.folder, entropy=stream(77))
    with Ledger(ledger.place, entropy=stream(9), wait_s=1) as again:
        run_cycle(again, "cycle-2")
        after = again.receipt("cycle-1", "decisions", "hcp-0002", 8)
    assert verifier_keys(ledger.folder)[0] == new
    assert all(isinstance(verify_receipt(receipt, verifier_keys(ledger.folder)), Verified) for receipt in (before, after))
    assert not isinstance(verify_receipt(before, [new]), Verified)


@settings(max_examples=200)
@given(st.recursive(st.none() | st.integers(-9, 9) | st.text(max_size=4), lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=9))
def test_any_json_is_answered_with_faults(value: Any) -> None:
    parts = {"receipt": "remit.receipt/1", "checkpoint": value, "cycle": value, "segment": value, "action": value, "row": value}
    assert not isinstance(verify_receipt(canonical(parts), []), Verified)
    assert not isinstance(verify_receipt(json.dumps(value).encode(), []), Verified)


def test_after_an_erasure_there_is_no_new_receipt_and_the_old_one_still_holds(ledger: Ledger, keys: list[str]) -> None:
    receipt = ledger.receipt("cycle-1", "decisions", "hcp-0002", 8)
    ledger.erase("hcp-0002", now=1, reason="request")
    with pytest.raises(LedgerError, match="the HCP was erased"):
        ledger.receipt("cycle-1", "decisions", "hcp-0002", 8)
    assert isinstance(verify_receipt(receipt, keys), Verified)


def test_a_receipt_that_cannot_be_made_says_why(ledger: Ledger) -> None:
    for cycle, stream_name, hcp_id, number, what in (
        ("cycle-1", "decisions", "hcp-0002", 3, "not about this HCP"),
        ("cycle-1", "decisions", "hcp-0002", 99, "has no row 99"),
        ("cycle-1", "facts", "hcp-0002", 8, "in stream `facts`"),
        ("cycle-1", "decisions", "hcp-7777", 8, "holds nothing about this HCP"),
    ):
        with pytest.raises(LedgerError, match=what):
            ledger.receipt(cycle, stream_name, hcp_id, number)


def test_a_cycle_needs_its_entry_for_receipts(ledger: Ledger) -> None:
    segments = ledger.write_segments(rows(), cycle="cycle-3", stream="decisions", schema="x/1", plain=["reason"])
    ledger.append("cycle-3", [action_entry(chosen(0, "hcp-0000"))], cycle="cycle-3", segments=segments)
    with pytest.raises(LedgerError, match="no entry of kind `cycle`"):
        ledger.receipt("cycle-3", "decisions", "hcp-0000", 0)
    ledger.append("cycle-3-late", [cycle_entry(segments)], cycle="cycle-3")
    assert ledger.receipt("cycle-3", "decisions", "hcp-0000", 0)
