"""Access tokens of agents and people (OAuth 2 client credentials): given for a client's secret, checked at every call.

A token is a JWT signed with Ed25519. An agent's is bound to one charter: it names the digest of the charter's text, and ends when that text does; a person's
ends when the person leaves. It may be used many times until it ends; what must not happen twice is guarded by the idempotency key of a proposal.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Any

from argon2.exceptions import VerificationError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from remit.gateway.credentials import HASHER, KINDS, LIFE_S, PERSON_SCOPES, SECRET, SKEW_S, TOKEN_SCOPES, Client, Register, signing_key
from remit.gateway.errors import CredentialError
from remit.ledger import Entropy, Ledger

Charters = Callable[[str, int, int], str | None]
"""Of an agent, the machine's clock and when the last cycle was (0: never): the digest of the agent's charter, None if it has none or that has expired."""

OnFile = Callable[[str, int, int], bool]
"""Of a person, the machine's clock and when the last cycle was (0: never): whether they are on file."""

_ALGORITHMS = ["Ed25519"]
_S = 1_000_000
_LONGEST, _REMEMBERED = 2048, 4096


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token, what it allows, and how long it lives."""

    token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who stands at the door: an agent by one of its clients, under the charter whose text has this digest, and what the token allows until it `expires` (UTC
    microseconds)."""

    client: str
    agent: str
    scopes: frozenset[str]
    charter: str
    expires: int


@dataclass(frozen=True, slots=True)
class Caller:
    """A person at the door, by one of their clients, and what the token allows until it `expires` (UTC microseconds)."""

    client: str
    person: str
    scopes: frozenset[str]
    expires: int


class Tokens:
    """Gives and checks the tokens of one ledger's agents and people, in any number of threads and processes.

    `issuer` and `audience` say who gives them and for which service. What the log says of clients and keys is asked for at every call.
    """

    def __init__(self, ledger: Ledger, charters: Charters, *, issuer: str, audience: str, entropy: Entropy, on_file: OnFile | None = None) -> None:
        self._ledger, self._charters, self._on_file, self._entropy = ledger, charters, on_file, entropy
        self._issuer, self._audience = issuer, audience
        self._register, self._heads = Register(), dict[str, tuple[str, OKPKey]]()
        self._newest, self._read, self._lock = ledger.newest(KINDS), -2, Lock()
        self._signer: tuple[str, OKPKey] | None = None
        self._verified: OrderedDict[bytes, tuple[str, dict[str, Any]]] = OrderedDict()
        self._latest = 0
        self._let_in: OrderedDict[bytes, None] = OrderedDict()
        self._own = entropy(32)
        self._nobody = HASHER.hash("nobody", salt=entropy(16))

    def grant(self, client: str, secret: str, asked: Collection[str], now: int) -> Granted:
        """A token for a client with its secret, with the scopes `asked` (none: all that it has). Takes tens of milliseconds of a processor and 19 MiB, whoever
        asks, unless it was let in before with this secret (`knows`). Raises `CredentialError`: `invalid_client`, the same for whatever is wrong with it;
        `invalid_scope`; `LedgerError`."""
        self._steady(now)
        register = self._current()
        held = register.clients.get(client)
        known = held.hash if held else self._nobody
        if (self._mark(known, secret) not in self._let_in and not _matches(known, secret)) or held is None:  # of nobody, too: it takes as long
            raise _refused_client("unknown client" if held is None else "wrong secret")
        bound = self._bound(held, now, register.cycled)
        if not held.live(now) or bound is None:
            raise _refused_client("no charter, or nobody on file" if held.live(now) else "revoked or ended")
        if lacking := set(asked) - set(held.scopes):
            what = (
                f"this client has no scope {', '.join(f'`{scope}`' for scope in sorted(lacking))}"
                if lacking <= {*TOKEN_SCOPES, *PERSON_SCOPES}
                else "there is no such scope"
            )
            raise CredentialError("invalid_scope", what, do=f"It may ask for {', '.join(held.scopes)}.")
        self._remember(held.hash, secret)
        scopes = tuple(scope for scope in held.scopes if not asked or scope in asked)
        at = now // _S
        claims = {
            "iss": self._issuer,
            "sub": client,
            **bound,
            "aud": self._audience,
            "scope": " ".join(scopes),
            "iat": at,
            "nbf": at,
            "exp": at + LIFE_S,
            "jti": self._entropy(16).hex(),
        }
        kid, key = self._signing(register)
        return Granted(jwt.encode(_header(kid), claims, key, algorithms=_ALGORITHMS, default_type=None), scopes, LIFE_S)

    def knows(self, client: str, secret: str) -> tuple[bool, bool]:
        """Whether a client is one of ours, and whether it was let in before with this secret: then it need not be hashed."""
        held = self._current().clients.get(client)
        return held is not None, held is not None and self._mark(held.hash, secret) in self._let_in

    def _mark(self, known: str, secret: str) -> bytes:
        """What stands in memory for a secret of 256 bits and the hash it belongs to: nothing that could be used elsewhere."""
        return hmac.digest(self._own, f"{known}\x00{secret}".encode(errors="surrogatepass"), "sha256")

    def _remember(self, known: str, secret: str) -> None:
        with self._lock:
            self._let_in[self._mark(known, secret)] = None
            if len(self._let_in) > _REMEMBERED:
                self._let_in.popitem(last=False)

    def check(self, token: str, now: int, audience: str, scope: str | None = None) -> Bearer:
        """Who bears a token, if it is good for `audience` at `now` and allows `scope` (None: it need not allow anything in particular). Raises
        `CredentialError`: `invalid_token`, the same for whatever is wrong with it; `insufficient_scope`; `LedgerError`, where the log cannot be read."""
        client, claims = self._checked(token, now, audience, ("agent", "charter"))
        if claims["charter"] != self._charters(client.agent, now, self._register.cycled):
            raise _refused_token("the charter was changed, has expired, or is gone")
        return Bearer(client.id, client.agent, _allowed(claims, scope), claims["charter"], claims["exp"] * _S)

    def check_person(self, token: str, now: int, audience: str, scope: str | None = None) -> Caller:
        """Which person bears a token, as `check` says it of an agent: neither takes the other's. Raises `CredentialError`, `LedgerError`."""
        client, claims = self._checked(token, now, audience, ("person",))
        if claims["person"] != client.person or not self._stands(client.person, now, self._register.cycled):
            raise _refused_token("the person is not on file")
        return Caller(client.id, client.person, _allowed(claims, scope), claims["exp"] * _S)

    def _bound(self, held: Client, now: int, cycled: int) -> dict[str, str] | None:
        """What a client's token says of whom it speaks for; None where nobody may."""
        if held.person:
            return {"person": held.person} if self._stands(held.person, now, cycled) else None
        charter = self._charters(held.agent, now, cycled)
        return None if charter is None else {"agent": held.agent, "charter": charter}

    def _checked(self, token: str, now: int, audience: str, whose: tuple[str, ...]) -> tuple[Client, dict[str, Any]]:
        """The live client of a good token whose claims are, beside the others, those of `whose` it is."""
        self._steady(now)
        register = self._current()
        kid, claims = self._opened(token)
        until = register.keys[kid].until
        if until is not None and now >= until:
            raise _refused_token("its key was rotated")
        at, essential = now // _S, {"essential": True}
        registry = jwt.JWTClaimsRegistry(
            now=at,
            leeway=SKEW_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": audience},
            **dict.fromkeys(("sub", *whose, "scope", "iat", "nbf", "exp"), essential),  # type: ignore[arg-type]  # what ClaimsOption is
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise _refused_token(str(error)) from None
        client = register.clients.get(claims["sub"])
        if client is None or not client.live(now):
            raise _refused_token("its client was revoked, or has ended")
        return client, claims

    def _stands(self, person: str, now: int, cycled: int) -> bool:
        """Whether a person is on file; nobody is where nobody says who is."""
        return self._on_file is not None and self._on_file(person, now, cycled)

    def _opened(self, token: str) -> tuple[str, dict[str, Any]]:
        """The key and the claims of a token with a true signature; nothing of another is parsed. That it was true once is remembered by its digest."""
        if len(token) > _LONGEST or not token.isascii():
            raise _refused_token("it is no token")
        name = sha256(token.encode()).digest()
        with self._lock:
            if (found := self._verified.get(name)) is not None:
                self._verified.move_to_end(name)
                return found
        kid, key = self._heads.get(token.partition(".")[0], (None, None))
        if kid is None or key is None:
            raise _refused_token("its header is not that of a key of ours")
        try:
            found = kid, jwt.decode(token, key, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError) as error:
            raise _refused_token(str(error)) from None
        with self._lock:
            self._verified[name] = found
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        return found

    def _current(self) -> Register:
        with self._lock:
            newest = self._newest()
            if newest != self._read:
                self._register.refresh(self._ledger)
                for kid, key in list(self._register.keys.items())[len(self._heads) :]:
                    self._heads[_head(kid)] = kid, OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.public})
                self._read = newest
            return self._register

    def _signing(self, register: Register) -> tuple[str, OKPKey]:
        kid = register.signing.kid if register.signing else ""
        if self._signer is None or self._signer[0] != kid:
            self._signer = kid, signing_key(self._ledger, kid)
        return self._signer

    def _steady(self, now: int) -> None:
        """Lets nobody in while the clock stands before what it told already: tokens that have ended would be good again."""
        if now < self._latest - SKEW_S * _S:
            cause = f"the machine's clock was set back by {(self._latest - now) // _S} s"
            raise CredentialError("temporarily_unavailable", "nobody is let in at the moment", cause=cause, do="Try again later.")
        self._latest = max(self._latest, now)


def _allowed(claims: Mapping[str, Any], scope: str | None) -> frozenset[str]:
    """The scopes of a token, if `scope` is one of them."""
    scopes = frozenset(str(claims["scope"]).split())
    if scope is not None and scope not in scopes:
        raise CredentialError("insufficient_scope", f"this token does not allow `{scope}`", do="Ask for a token with this scope, if the client has it.")
    return scopes


def _matches(known: str, secret: str) -> bool:
    try:
        return HASHER.verify(known, secret if SECRET.match(secret) else "")
    except VerificationError:
        return False


def _refused_client(cause: str) -> CredentialError:
    do = "Check the client's id and secret, and that its agent has a charter; its owner can issue another."
    return CredentialError("invalid_client", "this client and secret are not known here", cause=cause, do=do)


def _refused_token(cause: str) -> CredentialError:
    return CredentialError("invalid_token", "this token is not good, or not any more", cause=cause, do="Ask for another at the token endpoint.")


def _header(kid: str) -> dict[str, Any]:
    return {"alg": "Ed25519", "kid": kid, "typ": "at+jwt"}


def _head(kid: str) -> str:
    """How the tokens of a key begin: any other header, whatever it says, is another text."""
    return urlsafe_b64encode(json.dumps(_header(kid), separators=(",", ":")).encode()).rstrip(b"=").decode()
