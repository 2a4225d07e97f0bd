"""The vault: a key per HCP, in a database of its own, and the list of those erased.

Erasing an HCP destroys the key, and with it every salt and payload sealed under it. What is kept is the opaque reference and a keyed hash of the id, so
that the same id never silently gets a new key.
"""

import hmac
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice

import sqlalchemy as sa

from remit.ledger.databases import ERASED, KEYS, SECRET, reading, settle, writing
from remit.ledger.errors import LedgerError
from remit.ledger.keyfiles import Entropy
from remit.ledger.sealing import KEY, HcpKey, hcp_key, ref_of

_AT_ONCE = 10_000


class Vault:
    """Keys by HCP and by reference."""

    def __init__(self, engine: sa.Engine, secret: bytes) -> None:
        self.engine, self.secret = engine, secret

    def create(self) -> None:
        """Notes which secret belongs to this vault."""
        with writing(self.engine) as connection:
            if connection.execute(sa.select(SECRET.c.mark)).first() is None:
                connection.execute(SECRET.insert().values(mark=self._secret_mark()))

    def of_people(self, hcp_ids: Iterable[str], entropy: Entropy) -> dict[str, HcpKey]:
        """The key of each HCP, made where there is none. Raises `LedgerError` if some were erased."""
        wanted = set(hcp_ids)
        if not wanted:
            return {}
        with reading(self.engine) as connection:
            self._refuse_erased(connection, wanted)
            found = _among(connection, KEYS.c.hcp_id, wanted)
        new = [hcp_key(hcp_id, entropy(KEY)) for hcp_id in sorted(wanted - {key.hcp_id for key in found})]
        if new:
            with writing(self.engine) as connection:  # another process may have been first: its erasure counts, and its key stays
                self._refuse_erased(connection, wanted)
                connection.exec_driver_sql("INSERT OR IGNORE INTO keys (hcp_id, ref, key) VALUES (?, ?, ?)", [(key.hcp_id, key.ref, key.key) for key in new])
            found += self._find(KEYS.c.hcp_id, [key.hcp_id for key in new])
        return {key.hcp_id: key for key in found}

    def of_person(self, hcp_id: str) -> HcpKey | None:
        """The key of one HCP, if there is one."""
        return next(iter(self._find(KEYS.c.hcp_id, [hcp_id])), None)

    def of_refs(self, refs: Iterable[bytes]) -> dict[bytes, HcpKey]:
        """The keys of those references that have not been erased."""
        return {key.ref: key for key in self._find(KEYS.c.ref, set(refs))}

    def keys_by_ref(self) -> dict[bytes, bytes]:
        """Every key by its reference."""
        with reading(self.engine) as connection:
            cursor = connection.exec_driver_sql("SELECT ref, key FROM keys").cursor
            return dict(cursor.fetchall()) if cursor is not None else {}

    def erased_among(self, hcp_ids: Iterable[str]) -> frozenset[str]:
        """Those of `hcp_ids` that were erased."""
        with reading(self.engine) as connection:
            return self._erased(connection, hcp_ids)

    def erase(self, hcp_id: str, entropy: Entropy, tombstone: Callable[[bytes], bytes]) -> bytes:
        """Destroys the HCP's key for good and returns the reference. What `tombstone` makes of the reference is kept until the log has it.

        Raises `LedgerError` if a reader kept the key from being wiped; then erase again.
        """
        mac = self._mac(hcp_id)
        with writing(self.engine) as connection:
            known = connection.execute(sa.select(ERASED.c.ref).where(ERASED.c.mac == mac)).scalar()
            if known is None:
                row = connection.execute(sa.select(KEYS).where(KEYS.c.hcp_id == hcp_id)).first()
                ref = row[1] if row else hcp_key(hcp_id, entropy(KEY)).ref
                body = tombstone(ref)
                connection.execute(KEYS.delete().where(KEYS.c.hcp_id == hcp_id))
                connection.execute(ERASED.insert().values(ref=ref, mac=mac, mark=self._mark(ref, mac, body), tombstone=body))
        self.wipe()
        return known if known is not None else ref

    def wipe(self) -> None:
        """Empties the write-ahead log, where a destroyed key may still stand. Raises `LedgerError` if a reader kept it from doing so."""
        if not settle(self.engine):
            raise LedgerError("a reader keeps a destroyed key from being wiped", where="vault.db", do="Close other programs on this ledger, erase again.")

    def erasures(self) -> dict[bytes, bytes]:
        """The tombstone of each erased reference."""
        with reading(self.engine) as connection:
            return dict(connection.execute(sa.select(ERASED.c.ref, ERASED.c.tombstone).order_by(ERASED.c.ref)).all())

    def faults(self) -> Iterator[tuple[str, str]]:
        """Where and what in the vault was altered."""
        with reading(self.engine) as connection:
            marks = connection.execute(sa.select(SECRET.c.mark)).scalars().all()
            keys, erased = connection.execute(sa.select(KEYS)).all(), connection.execute(sa.select(ERASED)).all()
        if marks != [self._secret_mark()]:
            yield "keys/vault.key", "it is not the secret of this vault"
        for hcp_id, ref, key in keys:
            if ref_of(hcp_id, key) != ref:
                yield f"vault.db, key of hcp {ref.hex()}", "id, reference and key do not belong together"
        for ref, mac, mark, body in erased:
            if mark != self._mark(ref, mac, body):
                yield f"vault.db, erasure of hcp {ref.hex()}", "it was altered"

    def _find(self, column: sa.Column[str] | sa.Column[bytes], values: Iterable[str] | Iterable[bytes]) -> list[HcpKey]:
        with reading(self.engine) as connection:
            return _among(connection, column, values)

    def _refuse_erased(self, connection: sa.Connection, hcp_ids: set[str]) -> None:
        if erased := self._erased(connection, hcp_ids):
            raise LedgerError(f"{len(erased)} of {len(hcp_ids)} HCPs were erased", do="Leave out those that `erased_among` names, and run again.")

    def _erased(self, connection: sa.Connection, hcp_ids: Iterable[str]) -> frozenset[str]:
        macs = set(connection.execute(sa.select(ERASED.c.mac)).scalars())
        return frozenset(hcp_id for hcp_id in hcp_ids if self._mac(hcp_id) in macs) if macs else frozenset()

    def draw_key(self) -> bytes:
        """A key of its own, derived from the secret."""
        return hmac.digest(self.secret, b"remit/draw/1\x00", "sha256")

    def _mac(self, hcp_id: str) -> bytes:
        return hmac.digest(self.secret, b"remit/erased/1\x00" + hcp_id.encode(), "sha256")

    def _mark(self, ref: bytes, mac: bytes, body: bytes) -> bytes:
        return hmac.digest(self.secret, b"remit/erasure/1\x00" + ref + mac + body, "sha256")

    def _secret_mark(self) -> bytes:
        return sha256(b"remit/secret/1\x00" + self.secret).digest()


def _among(connection: sa.Connection, column: sa.Column[str] | sa.Column[bytes], values: Iterable[str] | Iterable[bytes]) -> list[HcpKey]:
    found, rest = [], iter(sorted(values))
    while some := list(islice(rest, _AT_ONCE)):
        marks = ",".join("?" * len(some))
        query = f"SELECT hcp_id, ref, key FROM keys WHERE {column.name} IN ({marks})"  # noqa: S608 - a column of ours and question marks
        found += [HcpKey(*row) for row in connection.exec_driver_sql(query, tuple(some))]
    return found
