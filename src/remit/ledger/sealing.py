"""What is said about an HCP, sealed under that HCP's key: salted commitments and AES-256-GCM. Pure and deterministic.

Destroying the key destroys salts and payloads together. Nothing here is random: nonces and salts are derived from the key and from what is sealed, so
that sealing again gives the same bytes, and two contents never share a nonce.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256, shake_256
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT = 32
REF = 16
KEY = 32
_NONCE = 12


@dataclass(frozen=True, slots=True)
class HcpKey:
    """An HCP's key with its opaque reference."""

    hcp_id: str
    ref: bytes
    key: bytes


def hcp_key(hcp_id: str, key: bytes) -> HcpKey:
    """The key with its reference."""
    return HcpKey(hcp_id, ref_of(hcp_id, key), key)


def ref_of(hcp_id: str, key: bytes) -> bytes:
    """The opaque reference. It commits to key and id, so that a change in either is seen; without the key it tells nothing."""
    return sha256(b"remit/ref/1\x00" + key + hcp_id.encode()).digest()[:REF]


class Sealed(NamedTuple):
    """A sealed payload: SHA-256(salt || payload) commits to it, `ciphertext` holds salt and payload."""

    ref: bytes
    commitment: bytes
    ciphertext: bytes


def seal(key: HcpKey, context: bytes, payload: bytes) -> Sealed:
    """Seals the payload of an entry. `context` says where it belongs and must be given again to open it."""
    stream = shake_256(b"remit/entry/1\x00" + key.key + sha256(context).digest() + payload).digest(_NONCE + SALT)
    nonce, opened = stream[:_NONCE], stream[_NONCE:] + payload
    return Sealed(key.ref, sha256(opened).digest(), nonce + AESGCM(key.key).encrypt(nonce, opened, context))


def unseal(key: bytes, context: bytes, ciphertext: bytes) -> bytes | None:
    """Salt || payload of an entry; None if it does not open."""
    try:
        return AESGCM(key).decrypt(ciphertext[:_NONCE], ciphertext[_NONCE:], context)
    except (InvalidTag, ValueError):
        return None


def segment_nonce(secret: bytes, content: bytes) -> bytes:
    """A segment's nonce: a keyed hash of its content, so that equal segments are equal files and different ones never share keys."""
    return hmac.digest(secret, b"remit/segment/1\x00" + content, "sha256")[:16]


def row_salts(key: bytes, nonce: bytes, rows: int) -> tuple[bytes, bytes]:
    """The AES key for one HCP's rows in one segment, and the salts of these rows, one after another."""
    stream = shake_256(b"remit/rows/1\x00" + key + nonce).digest(KEY + SALT * rows)
    return stream[:KEY], stream[KEY:]


def seal_rows(row_key: bytes, ref: bytes, content: bytes) -> bytes:
    """One HCP's rows, encrypted. The key is used this once, so the nonce is zero."""
    return AESGCM(row_key).encrypt(bytes(_NONCE), content, ref)


def unseal_rows(row_key: bytes, ref: bytes, ciphertext: bytes) -> bytes | None:
    """One HCP's rows; None if they do not open."""
    try:
        return AESGCM(row_key).decrypt(bytes(_NONCE), ciphertext, ref)
    except (InvalidTag, ValueError):
        return None
