"""Checkpoints as signed notes, against the example that Go's package publishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.ledger import LedgerError
from remit.ledger.notes import Checkpoint, generate_key, open_checkpoint, sign, verifier_key

GO_SIGNING_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VERIFIER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = generate_key("remit/test", bytes(range(32)))
OTHER = generate_key("remit/test", bytes(range(1, 33)))
CHECKPOINT = Checkpoint("remit/test", 42, bytes(range(32)))


def test_a_verifier_key_is_the_one_that_go_derives() -> None:
    assert verifier_key(GO_SIGNING_KEY) == GO_VERIFIER_KEY


def test_gos_published_signature_is_accepted_and_only_its_text_is_found_to_be_no_checkpoint() -> None:
    with pytest.raises(LedgerError, match="not a checkpoint"):
        open_checkpoint(GO_NOTE.encode(), [GO_VERIFIER_KEY])
    with pytest.raises(LedgerError, match="signature is false"):
        open_checkpoint(GO_NOTE.replace("answer", "Answer").encode(), [GO_VERIFIER_KEY])


def test_a_signed_checkpoint_opens_under_its_key_among_several() -> None:
    assert open_checkpoint(sign(CHECKPOINT, KEY), [verifier_key(OTHER), verifier_key(KEY)]) == CHECKPOINT


def test_a_checkpoint_of_another_key_is_refused_by_the_name_of_that_key() -> None:
    with pytest.raises(LedgerError, match=r"remit/test\+[0-9a-f]{8}, which is no accepted key"):
        open_checkpoint(sign(CHECKPOINT, OTHER), [verifier_key(KEY)])


@given(st.data())
def test_a_changed_bit_anywhere_in_a_checkpoint_is_refused(data: st.DataObject) -> None:
    note = bytearray(sign(CHECKPOINT, KEY))
    note[data.draw(st.integers(0, len(note) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(LedgerError):
        open_checkpoint(bytes(note), [verifier_key(KEY)])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_message(data: bytes) -> None:
    with pytest.raises(LedgerError):
        open_checkpoint(data, [verifier_key(KEY)])


@pytest.mark.parametrize("text", ["", "remit/test", KEY[:-2], KEY.replace("remit", "other"), "PRIVATE+KEY+a+b+c"])
def test_a_damaged_signing_key_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="not an Ed25519 signing key"):
        sign(CHECKPOINT, text)


def test_a_key_cannot_have_a_name_that_would_break_a_note() -> None:
    with pytest.raises(LedgerError, match="cannot name a key"):
        generate_key("remit north", bytes(32))
