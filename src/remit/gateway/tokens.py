"""Access tokens of agents (OAuth 2 client credentials): given for a client's secret, checked at every call.

A token is a JWT signed with Ed25519. It is bound to one charter: it names the digest of the charter's text, and ends when that text does. It may be used many
times until it ends; what must not happen twice is guarded by the idempotency key of a proposal.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Any

from argon2.exceptions import VerificationError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from remit.gateway.credentials import HASHER, KINDS, LIFE_S, SECRET, SKEW_S, TOKEN_SCOPES, Register, signing_key
from remit.gateway.errors import CredentialError
from remit.ledger import Entropy, Ledger

Charters = Callable[[str, int, int], str | None]
"""Of an agent, the machine's clock and when the last cycle was (0: never): the digest of the agent's charter, None if it has none or that has expired."""

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


class Tokens:
    """Gives and checks the tokens of one ledger's agents, in any number of threads and processes.

    `issuer` and `audience` say who gives them and for which service. What the log says of clients and keys is asked for at every call.
    """

    def __init__(self, ledger: Ledger, charters: Charters, *, issuer: str, audience: str, entropy: Entropy) -> None:
        self._ledger, self._charters, self._entropy = ledger, charters, entropy
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
        charter = self._charters(held.agent, now, register.cycled)
        if not held.live(now) or charter is None:
            raise _refused_client("no charter" if held.live(now) else "revoked or ended")
        if lacking := set(asked) - set(held.scopes):
            what = (
                f"this client has no scope {', '.join(f'`{scope}`' for scope in sorted(lacking))}" if lacking <= set(TOKEN_SCOPES) else "there is no such scope"
            )
            raise CredentialError("invalid_scope", what, do=f"It may ask for {', '.join(held.scopes)}.")
        self._remember(held.hash, secret)
        scopes = tuple(scope for scope in held.scopes if not asked or scope in asked)
        at = now // _S
        claims = {
            "iss": self._issuer,
            "sub": client,
            "agent": held.agent,
            "charter": charter,
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
            **dict.fromkeys(("sub", "agent", "charter", "scope", "iat", "nbf", "exp"), essential),  # type: ignore[arg-type]  # what ClaimsOption is
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise _refused_token(str(error)) from None
        client = register.clients.get(claims["sub"])
        if client is None or not client.live(now):
            raise _refused_token("its client was revoked, or has ended")
        if claims["charter"] != self._charters(client.agent, now, register.cycled):
            raise _refused_token("the charter was changed, has expired, or is gone")
        scopes = frozenset(claims["scope"].split())
        if scope is not None and scope not in scopes:
            raise CredentialError("insufficient_scope", f"this token does not allow `{scope}`", do="Ask for a token with this scope, if the client has it.")
        return Bearer(client.id, client.agent, scopes, claims["charter"], claims["exp"] * _S)

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
