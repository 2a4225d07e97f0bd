"""What the first release wrote stays readable and provable for ever. These files are never written again: what would break them is a new version."""

import json
from pathlib import Path
from typing import Any

import pytest

from remit.ledger import Verified, verify_receipt
from remit.ledger.entries import SCHEMAS, leaf_data
from remit.ledger.merkle import leaf_hash
from remit.ledger.notes import generate_key, open_checkpoint, sign, verifier_key
from remit.ledger.receipts import row_values
from remit.ledger.sealing import Sealed, hcp_key, seal, unseal
from remit.ledger.segments import open_rows, to_frame, unpack
from remit.terms.encoding import canonical

GOLDEN = Path(__file__).parent / "golden"
KEY = generate_key("remit/golden", bytes(range(32)))


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_bytes())


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_entry_of_each_schema_has_the_leaf_it_always_had(schema: str) -> None:
    case = golden(f"entry-{schema.replace('/', '-')}")
    sealed = case["sealed"] and Sealed(*(bytes.fromhex(case["sealed"][name]) for name in ("hcp", "commitment", "ciphertext")))
    data = leaf_data(case["batch"], case["cycle"], SCHEMAS[schema].kind, schema, canonical(case["body"]), sealed or None)
    assert data.decode() == case["leaf_data"]
    assert leaf_hash(data).hex() == case["leaf_hash"]
    assert set(SCHEMAS[schema].body) <= set(case["body"])


def test_a_sealed_payload_opens_and_is_sealed_to_the_same_bytes() -> None:
    case = golden("sealed-1")
    key = hcp_key(case["hcp_id"], bytes.fromhex(case["key"]))
    sealed = seal(key, case["context"].encode(), case["payload"].encode())
    assert {name: getattr(sealed, name).hex() for name in ("ref", "commitment", "ciphertext")} == case["sealed"]
    assert unseal(key.key, case["context"].encode(), sealed.ciphertext)[32:].decode() == case["payload"]


def test_rows_of_the_first_layout_are_read_from_the_first_file() -> None:
    case = golden("rows-1")
    packed = unpack((GOLDEN / "segment-1.arrow").read_bytes())
    keys = {hcp_key(hcp_id, bytes.fromhex(key)).ref: bytes.fromhex(key) for hcp_id, key in case["keys"].items()}
    opened = open_rows(packed, keys, range(len(packed.refs)))
    assert to_frame(opened, packed.layout).rows() == [tuple(row) for row in case["rows"]]
    assert opened.commitments() == packed.leaves()[1:]
    assert [opened.rows.row(place).hex() for place in range(len(case["bytes"]))] == case["bytes"]


def test_a_receipt_of_the_first_release_verifies() -> None:
    receipt = (GOLDEN / "receipt-1.json").read_bytes()
    verified = verify_receipt(receipt, [verifier_key(KEY)])
    assert isinstance(verified, Verified)
    assert verified.row == row_values(json.loads(receipt)["row"])
    assert verified.action["hcp_id"] == verified.row["hcp_id"] == "hcp-0002"


def test_a_checkpoint_of_the_first_release_opens_and_is_signed_to_the_same_bytes() -> None:
    note = (GOLDEN / "checkpoint-1.txt").read_bytes()
    assert sign(open_checkpoint(note, [verifier_key(KEY)]), KEY) == note
