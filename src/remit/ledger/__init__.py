"""What happened, provably: the append-only record, its Merkle log, receipts and verification."""

from remit.ledger.actions import action_entry, verdict_body
from remit.ledger.appending import Erasure, Ledger, Turn, create_ledger, migrate_ledger, open_ledger, read_ledger
from remit.ledger.entries import SCHEMAS, Entry, Fresh, Stored
from remit.ledger.errors import Fault, LedgerError
from remit.ledger.gates import RUN, TURN, Gate, gate_held
from remit.ledger.keyfiles import Entropy, read_private, rotate_key, verifier_keys, write_private
from remit.ledger.log import Appended
from remit.ledger.places import Place
from remit.ledger.receipts import BETWEEN, Verified, VerifiedDecision, verify_receipt
from remit.ledger.records import Records, SegmentFrame
from remit.ledger.segments import Segment
from remit.ledger.verification import Report, verify

__all__ = [
    "BETWEEN",
    "RUN",
    "SCHEMAS",
    "TURN",
    "Appended",
    "Entropy",
    "Entry",
    "Erasure",
    "Fault",
    "Fresh",
    "Gate",
    "Ledger",
    "LedgerError",
    "Place",
    "Records",
    "Report",
    "Segment",
    "SegmentFrame",
    "Stored",
    "Turn",
    "Verified",
    "VerifiedDecision",
    "action_entry",
    "create_ledger",
    "gate_held",
    "migrate_ledger",
    "open_ledger",
    "read_ledger",
    "read_private",
    "rotate_key",
    "verdict_body",
    "verifier_keys",
    "verify",
    "verify_receipt",
    "write_private",
]
