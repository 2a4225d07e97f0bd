"""Credentials of agents and of people: issued, rotated and revoked by people, each step an entry of the ledger. State is folded from these entries; nothing
else counts.

A client is one credential of one agent, or of one person: an id, the argon2id hash of a secret, scopes, an end. INVARIANT (recorded keys): only a signing
key whose entry the log holds signs tokens or is accepted; the file is written before the entry, and is only where the private half lies.

`at` is the machine's clock, by which credentials and tokens begin and end; `now` is the workspace's, by which people are on file and charters expire. Both in
UTC microseconds.
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from remit.gateway.errors import GatewayError
from remit.ledger import Entropy, Entry, Fresh, Ledger, LedgerError, Records, Turn, read_private, write_private
from remit.terms.charters import Charter
from remit.terms.people import People

CREDENTIAL, KEY = "remit.credential/1", "remit.key/1"
TOKEN_SCOPES = ("describe", "propose", "status", "report", "events")
"""What an agent's token may allow."""
PERSON_SCOPES = ("ask", "stop", "queue")
"""What a person's token may allow: to ask who answers for what, to stop and start, to decide what waits."""
COMPLIANCE = "compliance"
"""The role that may issue and revoke for any agent."""
LIVE = 2
"""Credentials that an agent may have at a time: the one in use, and the one that takes its place."""
LIFE_S, SKEW_S = 600, 30
"""How long a token lives, and how far the clocks of two machines may be apart, in seconds."""
KEYS = "keys/tokens.jwks"
"""Where the signing key of tokens lies in the ledger's folder: a JSON Web Key Set, mode 600."""
SECRET = re.compile(r"remit-secret-[A-Za-z0-9_-]{43}\Z")
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""argon2id: enough for a secret of 256 bits, which nobody guesses, and little enough not to be a burden on who checks it."""

_BEFORE = {"outcome": "report"}
"""What a scope was called when it was given out, and is called now."""

KINDS = ("credential", "key", "cycle")
_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Client:
    """A credential: whose (an agent's, or, with no agent, a person's), from when until when, and since when and by whom it is revoked."""

    id: str
    agent: str
    hash: str = field(repr=False)
    scopes: tuple[str, ...]
    since: int
    by: str
    until: int
    revoked: int | None = None
    revoked_by: str = ""
    person: str = ""

    def live(self, at: int) -> bool:
        """Whether it opens the door at `at`."""
        return self.revoked is None and at < self.until


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The public half of a signing key (`public`: 32 bytes in base64url); `until`: from when on its tokens are no longer accepted, None while it signs."""

    kid: str
    public: str
    since: int
    by: str
    until: int | None = None


@dataclass(slots=True)
class Register:
    """Clients and keys by id as the log's entries have them, keys in their order, and when the last cycle was (0: none yet); `seq` is the number after the last
    entry that counted."""

    clients: dict[str, Client] = field(default_factory=dict)
    keys: dict[str, TokenKey] = field(default_factory=dict)
    cycled: int = 0
    seq: int = 0

    @classmethod
    def of(cls, records: Records) -> "Register":
        """What the log says now."""
        register = cls()
        register.refresh(records)
        return register

    def refresh(self, records: Records) -> None:
        """Takes in what was recorded since."""
        self.take(records.since(self.seq, KINDS))

    def take(self, fresh: Iterable[Fresh]) -> None:
        """Takes in entries in their order, each once."""
        for entry in fresh:
            if entry.seq < self.seq:
                continue
            self.seq, body = entry.seq + 1, entry.body
            if entry.kind == "cycle":
                self.cycled = max(self.cycled, int(body["now"]))
            elif entry.kind == "key":
                for key in self.keys.values():
                    self.keys[key.kid] = replace(key, until=body["until"] if key.until is None else min(key.until, body["until"]))
                self.keys[body["kid"]] = TokenKey(body["kid"], body["public"], body["at"], body["by"])
            elif entry.kind == "credential" and body["step"] == "issued":
                scopes = tuple(_BEFORE.get(scope, scope) for scope in body["scopes"])
                said = (body["client"], body["agent"], body["hash"], scopes, body["at"], body["by"], body["expires"])
                self.clients[body["client"]] = Client(*said, person=body.get("person", ""))
            elif entry.kind == "credential":
                self.clients[body["client"]] = replace(self.clients[body["client"]], revoked=body["at"], revoked_by=body["by"])

    @property
    def signing(self) -> TokenKey | None:
        """The key that signs."""
        return next((key for key in self.keys.values() if key.until is None), None)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential, with its `secret`: told here once, and nowhere kept."""

    client: Client
    secret: str = field(repr=False)


def may_issue(charter: Charter, people: People, now: int) -> list[str]:
    """Who may issue a credential to the charter's agent: its owner, and compliance."""
    return _on_file({charter.owner}, people, now)


def may_revoke(charter: Charter | None, people: People, now: int) -> list[str]:
    """Who may revoke one: whoever may issue it, and the agent's watchers; of an agent that has no charter any more, compliance."""
    return _on_file({charter.owner, *charter.watchers} if charter else set(), people, now)


def may_issue_personal(person: str, owner: str, people: People, now: int) -> list[str]:
    """Who may issue a credential to a person: the authority table's `owner`, and compliance, but nobody to themselves."""
    return [name for name in _on_file({owner}, people, now) if name != person]


def may_rotate(owner: str, people: People, now: int) -> list[str]:
    """Who may rotate the key that signs tokens: the authority table's `owner`, and compliance."""
    return _on_file({owner}, people, now)


def _on_file(named: set[str], people: People, now: int) -> list[str]:
    named = named | {name for name, person in people.items() if COMPLIANCE in person.roles}
    return sorted(name for name in named if name in people and people[name].active(now))


def issue_credential(
    ledger: Ledger, charter: Charter, people: People, by: str, scopes: Collection[str], until: int, *, at: int, now: int, entropy: Entropy
) -> Issued:
    """Issues a credential to the charter's agent, which ends at `until`; the first one of a ledger makes the key that signs tokens, too. Raises `GatewayError`
    with every fault, `LedgerError`."""
    able = may_issue(charter, people, now)
    faults = [] if charter.expires > now else ["the agent's charter has expired: its owner must sign another first"]
    return _issue(ledger, charter.agent, "", TOKEN_SCOPES, able, by, scopes, until, faults, at=at, entropy=entropy)


def issue_personal(
    ledger: Ledger, person: str, owner: str, people: People, by: str, scopes: Collection[str], until: int, *, at: int, now: int, entropy: Entropy
) -> Issued:
    """Issues a credential to a person on file, as `issue_credential` does to an agent; `owner` is that of the authority table. Raises `GatewayError` with every
    fault, `LedgerError`."""
    able = may_issue_personal(person, owner, people, now)
    faults = [] if person in people and people[person].active(now) else [f"`{person}` is not a person on file"]
    return _issue(ledger, "", person, PERSON_SCOPES, able, by, scopes, until, faults, at=at, entropy=entropy)


def _issue(
    ledger: Ledger,
    agent: str,
    person: str,
    allowed: tuple[str, ...],
    able: Collection[str],
    by: str,
    scopes: Collection[str],
    until: int,
    faults: list[str],
    *,
    at: int,
    entropy: Entropy,
) -> Issued:
    faults += [] if by in able else [f"`{by}` may not issue it: {' or '.join(able) or 'nobody on file'} may"]
    faults += [f"there is no scope `{scope}`: there are {', '.join(allowed)}" for scope in sorted(set(scopes) - set(allowed))]
    faults += [] if scopes else ["it would allow nothing: name a scope"]
    faults += [] if until > at else ["it would end before it begins"]
    secret = f"remit-secret-{_base64(entropy(32))}"
    held = tuple(scope for scope in allowed if scope in scopes)
    client = Client(f"client-{entropy(12).hex()}", agent, HASHER.hash(secret, salt=entropy(16)), held, at, by, until, person=person)
    body = {"step": "issued", "agent": agent, "client": client.id, "at": at, "by": by, "hash": client.hash, "scopes": list(held), "expires": until}
    body |= {"person": person} if person else {}
    with _turn(ledger) as (turn, register):
        live = [each.id for each in register.clients.values() if (each.agent, each.person) == (agent, person) and each.live(at)]
        if len(live) >= LIVE:
            faults.append(f"it has {LIVE} live credentials, {' and '.join(live)}: revoke one first")
        if faults:
            raise GatewayError("no credential can be issued", where=agent or person, faults=faults)
        first = [] if register.signing else [_made_key(ledger, [], entropy, at, by, at)]
        name = f"credential:{client.id}:issued"
        turn.append(name, [*first, Entry("credential", CREDENTIAL, body)], cycle=name)
    ledger.settle()
    return Issued(client, secret)


def revoke_credential(ledger: Ledger, name: str, charter: Charter | None, people: People, by: str, *, at: int, now: int) -> Client:
    """Revokes the credential `name`, whose agent's `charter` is given (None: it has none any more); from the entry on it opens nothing, nor do its tokens.
    Raises `GatewayError` with why it cannot be, `LedgerError`."""
    return _revoke(ledger, name, may_revoke(charter, people, now), by, at)


def revoke_personal(ledger: Ledger, name: str, owner: str, people: People, by: str, *, at: int, now: int) -> Client:
    """Revokes a person's credential, as `revoke_credential` does an agent's: whoever may issue it may, and the person. Raises `GatewayError`, `LedgerError`."""
    held = Register.of(ledger).clients.get(name)
    own = {held.person} if held is not None and held.person else set()
    return _revoke(ledger, name, _on_file({owner, *own}, people, now), by, at)


def _revoke(ledger: Ledger, name: str, able: Collection[str], by: str, at: int) -> Client:
    with _turn(ledger) as (turn, register):
        client = register.clients.get(name)
        if client is None:
            raise GatewayError(f"there is no credential `{name}`", do="See `remit agent list` and `remit person list`.")
        if client.revoked is not None:
            raise GatewayError(f"`{client.revoked_by}` has revoked it already", where=name)
        if by not in able:
            raise GatewayError(f"`{by}` may not revoke it", where=name, do=f"{' or '.join(able) or 'Nobody on file'} may.")
        body = {"step": "revoked", "agent": client.agent, "client": name, "at": at, "by": by}
        turn.append(f"credential:{name}:revoked", [Entry("credential", CREDENTIAL, body)], cycle=f"credential:{name}:revoked")
    ledger.settle()
    return replace(client, revoked=at, revoked_by=by)


def rotate_token_key(ledger: Ledger, able: Collection[str], by: str, *, at: int, stolen: bool, entropy: Entropy) -> TokenKey:
    """Makes a new key that signs tokens from now on; `able` may. Tokens of the one before are accepted until the last of them has ended, or, if it was
    `stolen`, no more. Raises `GatewayError`, `LedgerError`."""
    if by not in able:
        raise GatewayError(f"`{by}` may not rotate the key that signs tokens", do=f"{' or '.join(sorted(able)) or 'Nobody on file'} may.")
    with _turn(ledger) as (turn, register):
        signing = register.signing
        until = at if stolen else at + (LIFE_S + SKEW_S) * _S
        entry = _made_key(ledger, [old] if signing and (old := _readable(ledger, signing.kid)) else [], entropy, at, by, until)
        name = f"key:{entry.body['kid']}"
        turn.append(name, [entry], cycle=name)
    ledger.settle()
    with _turn(ledger) as (_, register):  # what signed before is destroyed once the log says so; another may have rotated it meanwhile
        write_keys(ledger, [signing_key(ledger, register.signing.kid)] if register.signing else [])
    return TokenKey(entry.body["kid"], entry.body["public"], at, by)


def signing_key(records: Records, kid: str) -> OKPKey:
    """The private key of this id. Raises `LedgerError` if its file does not hold it."""
    path = records.folder / KEYS
    try:
        keys = [OKPKey.import_key(key) for key in json.loads(read_private(path))["keys"]]
    except (ValueError, KeyError, TypeError, JoseError):
        keys = []
    found = next((key for key in keys if key.is_private and key.thumbprint() == kid), None)
    if found is None:
        do = "Restore the file from its backup, or make another with `remit agent rotate-key`."
        raise LedgerError(f"it does not hold the key `{kid}` that the log says signs tokens", where=str(path), do=do)
    return found


def write_keys(records: Records, keys: Iterable[OKPKey]) -> None:
    """Writes the file of signing keys, whole. Raises `LedgerError`."""
    held = [{"kid": key.thumbprint(), **key.as_dict(private=True)} for key in keys]
    write_private(records.folder / KEYS, json.dumps({"keys": held}) + "\n")


@contextmanager
def _turn(ledger: Ledger) -> Iterator[tuple[Turn, Register]]:
    """A turn at the log, with what it says."""
    since, register = ledger.size, Register.of(ledger)
    with ledger.turn(since) as turn:
        register.take(turn.fresh)
        yield turn, register


def _made_key(ledger: Ledger, old: list[OKPKey], entropy: Entropy, at: int, by: str, until: int) -> Entry:
    """Makes a key and writes it before the `old` ones. Returns the entry that makes it count."""
    key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(entropy(32)))
    write_keys(ledger, [key, *old])
    return Entry("key", KEY, {"kid": key.thumbprint(), "public": str(key.as_dict(private=False)["x"]), "at": at, "by": by, "until": until})


def _readable(records: Records, kid: str) -> OKPKey | None:
    try:
        return signing_key(records, kid)
    except LedgerError:
        return None  # a key that is lost, or that others could read, is what rotating mends


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
