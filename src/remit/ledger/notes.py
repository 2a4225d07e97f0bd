"""Checkpoints as signed notes: C2SP signed-note and tlog-checkpoint, with Ed25519. Pure.

A checkpoint says how many entries a log has and the root over them. Key texts are those of Go's `golang.org/x/mod/sumdb/note`:
a verifier key is `<name>+<id>+<base64>`, a signing key `PRIVATE+KEY+<name>+<id>+<base64>`.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from remit.ledger.errors import LedgerError

_ED25519 = b"\x01"
_NAME = re.compile(r"^[^\s+]{1,128}$")
_NUMBER = re.compile(r"^(0|[1-9]\d{0,17})$")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root under its origin (the name of the log)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text, to be signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def generate_key(name: str, seed: bytes) -> str:
    """The signing key text of a key named `name` with this 32-byte secret. Raises `LedgerError` for a name with white space or `+`."""
    if not _NAME.match(name):
        raise LedgerError(f"`{name}` cannot name a key", do="Use 1 to 128 characters without white space and `+`, such as remit/north.")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return f"PRIVATE+KEY+{name}+{_key_id(name, public).hex()}+{base64.b64encode(_ED25519 + seed).decode()}"


def verifier_key(signing_key: str) -> str:
    """The public verifier key text that belongs to a signing key text. Raises `LedgerError`."""
    name, key = _signer(signing_key)
    public = key.public_key().public_bytes_raw()
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def sign(checkpoint: Checkpoint, signing_key: str) -> bytes:
    """The checkpoint as a signed note. Raises `LedgerError` for a malformed key."""
    name, key = _signer(signing_key)
    text = checkpoint.text()
    signature = _key_id(name, key.public_key().public_bytes_raw()) + key.sign(text.encode())
    return f"{text}\n\u2014 {name} {base64.b64encode(signature).decode()}\n".encode()


def open_checkpoint(note: bytes, verifier_keys: Sequence[str]) -> Checkpoint:
    """The checkpoint in a note that at least one of `verifier_keys` has signed, and none of them falsely; signatures by other keys are passed over.

    Raises `LedgerError` that says whether the note is malformed, is signed by no accepted key, or bears a false signature.
    """
    text, signatures = _parse_note(note)
    accepted = {(name, key_id): key for name, key_id, key in map(_verifier, verifier_keys)}
    known = [(accepted[name, key_id], signature) for name, key_id, signature in signatures if (name, key_id) in accepted]
    if not known:
        signers = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in signatures)
        raise LedgerError(f"the checkpoint is signed by {signers}, which is no accepted key", do="Give the verifier key of the log it came from.")
    for key, signature in known:
        try:
            key.verify(signature, text.encode())
        except InvalidSignature:
            raise LedgerError("the checkpoint's signature is false", do="Its text or its signature was altered: take it from another copy.") from None
    return parse_checkpoint(text)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text, whoever signed it. Raises `LedgerError`."""
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    except (IndexError, binascii.Error):
        raise LedgerError("the note is not a checkpoint: it lacks an origin, a size and a root on lines of their own") from None
    if not origin or not _NUMBER.match(size) or len(root) != 32:
        raise LedgerError("the note is not a checkpoint: its size is not a number, or its root not 32 bytes")
    return Checkpoint(origin, int(size), root)


def signers(note: bytes) -> set[str]:
    """Who says to have signed a note, as `<name>+<8 hex digits>`, whether it is true or not; nobody where it is no note."""
    try:
        return {f"{name}+{key_id.hex()}" for name, key_id, _ in _parse_note(note)[1]}
    except LedgerError:
        return set()


def _parse_note(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    malformed = LedgerError("this is not a signed note: text, an empty line, and lines `\u2014 name signature`")
    try:
        text, _, tail = note.decode().rpartition("\n\n")
        signatures = []
        for line in tail.removesuffix("\n").split("\n"):
            dash, name, encoded = line.split(" ")
            raw = base64.b64decode(encoded, validate=True)
            if dash != "\u2014" or not _NAME.match(name) or len(raw) < 5 or base64.b64encode(raw).decode() != encoded:
                raise malformed
            signatures.append((name, raw[:4], raw[4:]))
    except ValueError:  # not UTF-8, not three words, or not base64
        raise malformed from None
    if not text or not tail.endswith("\n"):
        raise malformed
    return text + "\n", signatures


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


@lru_cache(maxsize=4)
def _signer(signing_key: str) -> tuple[str, Ed25519PrivateKey]:
    try:
        private, word, name, key_id, encoded = signing_key.strip().split("+", 4)
        raw = base64.b64decode(encoded, validate=True)
        key = Ed25519PrivateKey.from_private_bytes(raw[1:])
        sound = (private, word) == ("PRIVATE", "KEY") and raw[:1] == _ED25519 and _key_id(name, key.public_key().public_bytes_raw()).hex() == key_id
    except ValueError:
        sound = False
    if not sound:
        raise LedgerError("this is not an Ed25519 signing key", do="Restore the key file from its backup, or rotate the key.")
    return name, key


def _verifier(text: str) -> tuple[str, bytes, Ed25519PublicKey]:
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw[1:])
        sound = bool(_NAME.match(name)) and raw[:1] == _ED25519 and _key_id(name, raw[1:]).hex() == key_id
    except ValueError:
        sound = False
    if not sound:
        raise LedgerError(f"`{text}` is not an Ed25519 verifier key", do="A verifier key reads `<name>+<8 hex digits>+<base64>`.")
    return name, bytes.fromhex(key_id), key
