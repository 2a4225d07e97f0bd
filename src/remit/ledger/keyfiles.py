"""Files beside the databases: the log's signing key and verifier keys, the vault's secret, and how a file is written whole or not at all."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from remit.ledger.errors import LedgerError
from remit.ledger.notes import generate_key, verifier_key

Entropy = Callable[[int], bytes]
"""Gives that many random bytes, such as `os.urandom`."""

SIGNING, VERIFIERS, SECRET = "keys/ledger.key", "keys/ledger.pub", "keys/vault.key"


def create_keys(folder: Path, name: str, entropy: Entropy) -> None:
    """Writes the signing key, its verifier key and the vault's secret of a new ledger."""
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    signing = generate_key(name, entropy(32))
    write_whole(folder / SIGNING, signing.encode() + b"\n", mode=0o600)
    write_whole(folder / VERIFIERS, verifier_key(signing).encode() + b"\n")
    write_whole(folder / SECRET, entropy(32).hex().encode() + b"\n", mode=0o600)


def rotate_key(folder: Path, *, entropy: Entropy) -> str:
    """Replaces the signing key by a new one of the same name, and returns the new verifier key. The old verifier key stays accepted for what it signed;
    the old signing key is gone. Raises `LedgerError`."""
    old = signing_key(folder)
    new = generate_key(old.split("+")[2], entropy(32))
    known = verifier_keys(folder)
    # The verifier key first: killed between the two, the ledger accepts a key that signs nothing.
    write_whole(folder / VERIFIERS, "".join(f"{key}\n" for key in [verifier_key(new), *known]).encode())
    write_whole(folder / SIGNING, new.encode() + b"\n", mode=0o600)
    return verifier_key(new)


def signing_key(folder: Path) -> str:
    """The signing key text. Raises `LedgerError` if it is missing, readable by others, or not the newest verifier key's."""
    path = folder / SIGNING
    key = read_private(path).strip()
    if verifier_key(key) not in verifier_keys(folder):
        raise LedgerError(f"its verifier key is not in {VERIFIERS}", where=str(path), do="Restore both files from one backup.")
    return key


def verifier_keys(folder: Path) -> list[str]:
    """The verifier keys that the ledger accepts, the newest first. Raises `LedgerError` if there are none."""
    path = folder / VERIFIERS
    try:
        keys = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        keys = []
    if not keys:
        raise LedgerError("no verifier key can be read", where=str(path), do="Restore the file; whoever checks this ledger should hold a copy.")
    return keys


def vault_secret(folder: Path) -> bytes:
    """The secret under which erased ids are remembered. Raises `LedgerError`."""
    path = folder / SECRET
    text = read_private(path).strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise LedgerError("the vault's secret is not 64 hexadecimal digits", where=str(path), do="Restore the file from its backup.")
    return bytes.fromhex(text)


def read_private(path: Path) -> str:
    """The text of a key file. Raises `LedgerError` if it cannot be read, or others can read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise LedgerError("others can read this key", where=str(path), do=f"chmod 600 {path}, and rotate the key if someone may have.")
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"the key cannot be read ({error})", where=str(path), do="Restore the file from its backup.") from None


def write_private(path: Path, text: str) -> None:
    """Writes a key file that nobody else can read, whole or not at all. Raises `LedgerError`."""
    write_whole(path, text.encode("ascii"), mode=0o600)


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Writes a file so that, whenever the machine stops, there is all of it or none: a temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise LedgerError(f"the file cannot be written ({error.strerror})", where=str(path), do="Free space or mend permissions, and run again.") from None


def sync_folder(folder: Path) -> None:
    """Makes renames within a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
