"""Credentials of agents: who gets a token, what it opens, and what opens nothing."""

import base64
import hmac
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey

from remit.gateway import (
    TOKEN_SCOPES,
    CredentialError,
    GatewayError,
    Issued,
    Register,
    Tokens,
    issue_credential,
    issue_personal,
    may_issue,
    may_revoke,
    may_rotate,
    revoke_credential,
    revoke_personal,
    rotate_token_key,
    tokens,
)
from remit.gateway.credentials import HASHER, KEYS, LIFE_S, SKEW_S, signing_key
from remit.ledger import Fresh, Ledger, LedgerError, Place, create_ledger, open_ledger, read_ledger, verify
from remit.terms.charters import Charter
from remit.terms.encoding import digest
from remit.terms.instants import DAY, HOUR
from remit.terms.people import Person
from tests.ledger.small import cycle_entry, stream
from tests.postgres import Server

S = 1_000_000
AT, NOW = 20_000 * DAY, 1_000 * DAY
PEOPLE = {
    "owner": Person("owner", frozenset({"agent-owner"})),
    "watcher": Person("watcher", frozenset({"brand-lead"})),
    "compliance": Person("compliance", frozenset({"compliance"})),
    "left": Person("left", frozenset({"compliance"}), NOW - 1),
    "other": Person("other", frozenset({"agent-owner"})),
}
CHARTER = Charter("email", "email", "o", "promotional", "owner", ("watcher",), ("email",), ("alpha",), 1, NOW + DAY, 0, {}, {})
ISSUER, AUDIENCE = "remit/test", "remit-gateway"


@dataclass
class House:
    """A ledger with one agent under a charter, and the door to it."""

    ledger: Ledger
    charters: dict[str, str] = field(default_factory=lambda: {"email": digest(b"the charter"), "calls": digest(b"another charter")})
    made: dict[str, Tokens] = field(default_factory=dict)

    def issue(self, by: str = "owner", scopes: tuple[str, ...] = TOKEN_SCOPES, until: int = AT + 90 * DAY, at: int = AT, charter: Charter = CHARTER) -> Issued:
        return issue_credential(self.ledger, charter, PEOPLE, by, scopes, until, at=at, now=NOW, entropy=os.urandom)

    def revoke(self, name: str, by: str = "owner", charter: Charter | None = CHARTER) -> None:
        revoke_credential(self.ledger, name, charter, PEOPLE, by, at=AT, now=NOW)

    def rotate(self, at: int = AT, *, stolen: bool = False) -> str:
        return rotate_token_key(self.ledger, ["compliance"], "compliance", at=at, stolen=stolen, entropy=os.urandom).kid

    def door(self, issuer: str = ISSUER) -> Tokens:
        return Tokens(self.ledger, lambda agent, now, cycled: self.charters.get(agent), issuer=issuer, audience=AUDIENCE, entropy=os.urandom)

    def token(self, scopes: tuple[str, ...] = (), at: int = AT) -> str:
        issued = self.issue(at=at)
        return self.door().grant(issued.client.id, issued.secret, scopes, at).token


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    create_ledger(tmp_path / "ledger", name="remit/test", entropy=stream())
    with open_ledger(tmp_path / "ledger", entropy=os.urandom) as ledger:
        yield House(ledger)


def test_a_scope_that_was_given_out_under_its_old_name_still_allows_what_it_did() -> None:
    body = {"step": "issued", "client": "c", "agent": "email", "hash": "h", "scopes": ["status", "outcome"], "at": AT, "by": "owner", "expires": AT + 1}
    register = Register()
    register.take([Fresh(0, "credential", None, body)])
    assert register.clients["c"].scopes == ("status", "report")


def refused(code: str, call: Callable[[], object]) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def not_good(door: Tokens, token: str, now: int = AT, audience: str = AUDIENCE) -> str:
    """Why a token is refused; its bearer is told the same, whatever it is."""
    error = refused("invalid_token", lambda: door.check(token, now, audience))
    assert str(error) == "this token is not good, or not any more\n  Ask for another at the token endpoint."
    return error.cause


def of_people(house: House, on_file: set[str]) -> tuple[Tokens, Issued]:
    """A door that knows who is on file, and a credential of the person `other`."""
    issued = issue_personal(house.ledger, "other", "owner", PEOPLE, "compliance", ["ask", "stop"], AT + DAY, at=AT, now=NOW, entropy=os.urandom)
    door = Tokens(
        house.ledger,
        lambda agent, now, cycled: house.charters.get(agent),
        issuer=ISSUER,
        audience=AUDIENCE,
        entropy=os.urandom,
        on_file=lambda person, now, cycled: person in on_file,
    )
    return door, issued


def test_a_persons_token_opens_what_is_peoples_and_nothing_of_agents(house: House) -> None:
    door, issued = of_people(house, on_file := {"other"})
    granted = door.grant(issued.client.id, issued.secret, [], AT)
    caller = door.check_person(granted.token, AT, AUDIENCE, "stop")
    assert (caller.client, caller.person, caller.scopes, caller.expires) == (issued.client.id, "other", {"ask", "stop"}, AT + LIFE_S * S)
    assert "agent" in not_good(door, granted.token)
    refused("insufficient_scope", lambda: door.check_person(granted.token, AT, AUDIENCE, "queue"))
    refused("invalid_scope", lambda: door.grant(issued.client.id, issued.secret, ["propose"], AT))
    refused("invalid_token", lambda: door.check_person(house.token(), AT, AUDIENCE))
    on_file.clear()
    refused("invalid_token", lambda: door.check_person(granted.token, AT, AUDIENCE))
    refused("invalid_client", lambda: door.grant(issued.client.id, issued.secret, [], AT))
    on_file.add("other")
    revoke_personal(house.ledger, issued.client.id, "owner", PEOPLE, "other", at=AT, now=NOW)
    refused("invalid_token", lambda: door.check_person(granted.token, AT, AUDIENCE))


def test_a_door_that_knows_nobody_lets_no_person_in(house: House) -> None:
    _, issued = of_people(house, set())
    refused("invalid_client", lambda: house.door().grant(issued.client.id, issued.secret, [], AT))


def parts(token: str) -> list[dict[str, Any]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_client_gets_a_token_for_its_secret_that_opens_what_it_allows(house: House) -> None:
    issued = house.issue(scopes=("status", "propose", "describe"))
    door = house.door()
    granted = door.grant(issued.client.id, issued.secret, ["propose"], AT)
    assert (granted.scopes, granted.expires_in_s) == (("propose",), LIFE_S)
    bearer = door.check(granted.token, AT, AUDIENCE, "propose")
    assert (bearer.client, bearer.agent, bearer.scopes) == (issued.client.id, "email", {"propose"})
    assert (bearer.charter, bearer.expires) == (house.charters["email"], AT + LIFE_S * S)
    assert door.check(granted.token, AT + 20 * S, AUDIENCE) == bearer
    error = refused("insufficient_scope", lambda: door.check(granted.token, AT, AUDIENCE, "status"))
    assert error.status == 403
    assert door.grant(issued.client.id, issued.secret, [], AT).scopes == ("describe", "propose", "status")


def test_a_token_says_who_gave_it_to_whom_for_what_and_until_when(house: House) -> None:
    header, claims = parts(house.token())
    signing = Register.of(house.ledger).signing
    assert signing is not None
    assert header == {"alg": "Ed25519", "kid": signing.kid, "typ": "at+jwt"}
    assert re.fullmatch("[0-9a-f]{32}", claims.pop("jti"))
    assert re.fullmatch("client-[0-9a-f]{24}", claims.pop("sub"))
    times = {"iat": AT // S, "nbf": AT // S, "exp": AT // S + 600}
    said = {"iss": ISSUER, "agent": "email", "charter": house.charters["email"], "aud": AUDIENCE, "scope": "describe propose status report events"}
    assert claims == said | times


def test_another_implementation_verifies_a_token_with_the_public_key_that_the_log_holds(house: House) -> None:
    signed, _, signature = house.token().rpartition(".")
    key = Register.of(house.ledger).signing
    assert key is not None
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key.public + "="))
    public.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())


def test_the_log_holds_a_hash_and_no_secret_and_neither_shows_where_objects_are_printed(house: House, tmp_path: Path) -> None:
    issued = house.issue()
    (entry,) = house.ledger.entries(kind="credential")
    assert entry.body["hash"].startswith("$argon2id$v=19$")
    assert HASHER.verify(entry.body["hash"], issued.secret)
    assert issued.secret.removeprefix("remit-secret-") not in repr(issued)
    assert "argon2" not in repr(issued)
    assert len(base64.urlsafe_b64decode(issued.secret.removeprefix("remit-secret-") + "=")) == 32
    held = [path for path in tmp_path.rglob("*") if path.is_file() and issued.secret[-20:].encode() in path.read_bytes()]
    assert held == []
    assert verify(tmp_path / "ledger").faults == ()


@pytest.mark.parametrize("by", ["owner", "compliance"])
def test_owner_and_compliance_issue(house: House, by: str) -> None:
    assert house.issue(by).client.by == by


@pytest.mark.parametrize("by", ["watcher", "other", "left", "nobody"])
def test_nobody_else_issues(house: House, by: str) -> None:
    with pytest.raises(GatewayError, match=rf"`{by}` may not issue it: compliance or owner may"):
        house.issue(by)
    assert house.ledger.size == 0


def test_who_may_do_what_is_told_by_charter_and_people() -> None:
    assert may_issue(CHARTER, PEOPLE, NOW) == ["compliance", "owner"]
    assert may_revoke(CHARTER, PEOPLE, NOW) == ["compliance", "owner", "watcher"]
    assert may_revoke(None, PEOPLE, NOW) == ["compliance"]
    assert may_rotate("left", PEOPLE, NOW) == ["compliance"]
    assert may_rotate("left", PEOPLE, NOW - 2) == ["compliance", "left"]


def test_every_fault_of_what_is_asked_for_is_told_at_once(house: House) -> None:
    with pytest.raises(GatewayError) as caught:
        house.issue("other", ("propose", "rule"), AT)
    assert len(caught.value.faults) == 3
    with pytest.raises(GatewayError, match="name a scope"):
        house.issue(scopes=())
    expired = Charter(**{name: getattr(CHARTER, name) for name in CHARTER.__slots__} | {"expires": NOW})
    with pytest.raises(GatewayError, match="charter has expired"):
        house.issue(charter=expired)
    assert house.ledger.size == 0


def test_at_most_two_credentials_live_and_a_revoked_or_ended_one_does_not_count(house: House) -> None:
    first, second = house.issue(), house.issue(until=AT + DAY)
    with pytest.raises(GatewayError, match=f"{first.client.id} and {second.client.id}: revoke one first"):
        house.issue()
    house.revoke(first.client.id)
    third = house.issue()
    with pytest.raises(GatewayError, match="2 live credentials"):
        house.issue()
    fourth = house.issue(at=AT + DAY)
    door = house.door()
    for issued, good in ((first, False), (second, False), (third, True), (fourth, True)):
        if good:
            door.grant(issued.client.id, issued.secret, (), AT + DAY)
        else:
            refused("invalid_client", lambda issued=issued: door.grant(issued.client.id, issued.secret, (), AT + DAY))  # type: ignore[misc]


def test_two_who_issue_at_once_do_not_both_get_the_last_place(house: House) -> None:
    house.issue()

    def one(_: int) -> str:
        with open_ledger(house.ledger.folder, entropy=os.urandom) as ledger:
            try:
                return issue_credential(ledger, CHARTER, PEOPLE, "owner", TOKEN_SCOPES, AT + DAY, at=AT, now=NOW, entropy=os.urandom).client.id
            except GatewayError:
                return ""

    with ThreadPoolExecutor(4) as pool:
        assert sum(1 for name in pool.map(one, range(4)) if name) == 1
    assert sum(client.live(AT) for client in Register.of(house.ledger).clients.values()) == 2


@pytest.mark.parametrize("by", ["owner", "watcher", "compliance"])
def test_a_revoked_client_gets_nothing_and_its_token_opens_nothing_at_once(house: House, by: str) -> None:
    issued, door = house.issue(), house.door()
    token = door.grant(issued.client.id, issued.secret, (), AT).token
    door.check(token, AT, AUDIENCE)
    with open_ledger(house.ledger.folder, entropy=os.urandom) as elsewhere:
        revoke_credential(elsewhere, issued.client.id, CHARTER, PEOPLE, by, at=AT, now=NOW)
    assert "revoked" in not_good(door, token)
    refused("invalid_client", lambda: door.grant(issued.client.id, issued.secret, (), AT))
    with pytest.raises(GatewayError, match=f"`{by}` has revoked it already"):
        house.revoke(issued.client.id)


def test_nobody_else_revokes(house: House) -> None:
    name = house.issue().client.id
    with pytest.raises(GatewayError, match="`other` may not revoke it"):
        house.revoke(name, "other")
    with pytest.raises(GatewayError, match="compliance may"):
        house.revoke(name, "owner", None)
    with pytest.raises(GatewayError, match="there is no credential"):
        house.revoke("client-0")
    house.revoke(name, "compliance", None)


def test_whatever_is_wrong_with_a_client_is_told_the_same_after_the_same_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    good, gone, ended = house.issue(), house.issue(), None
    house.revoke(gone.client.id)
    ended = house.issue(until=AT + 1)
    unchartered = house.issue(charter=Charter(**{name: getattr(CHARTER, name) for name in CHARTER.__slots__} | {"agent": "orphan"}))
    door, worked = house.door(), list[str]()

    class Counting:
        def verify(self, known: str, secret: str) -> bool:
            worked.append(re.findall(r"m=\d+,t=\d+,p=\d+", known)[0])
            return HASHER.verify(known, secret)

    monkeypatch.setattr(tokens, "HASHER", Counting())
    token = door.grant(good.client.id, good.secret, (), AT).token
    worked.clear()
    attempts = [
        ("client-0", good.secret),
        ("", ""),
        ("client-0", "nobody"),
        ("\x00\ud800" * 100, good.secret),
        (good.client.id, gone.secret),
        (good.client.id, ""),
        (good.client.id, good.secret + "\n"),
        (good.client.id, good.secret[:-1]),
        (good.client.id, "x" * 10_000_000),
        (good.client.id, "\ud800"),
        (good.client.id, token),
        (gone.client.id, gone.secret),
        (ended.client.id, ended.secret),
        (unchartered.client.id, unchartered.secret),
    ]
    told = {(str(error), error.status, error.do) for client, secret in attempts if (error := _grant_refused(door, client, secret, AT + 1))}
    assert len(told) == 1
    assert worked == ["m=19456,t=2,p=1"] * len(attempts)


def _grant_refused(door: Tokens, client: str, secret: str, now: int) -> CredentialError:
    return refused("invalid_client", lambda: door.grant(client, secret, (), now))


def test_a_scope_that_the_client_has_not_is_refused_whole(house: House) -> None:
    issued, door = house.issue(scopes=("describe", "status")), house.door()
    for asked in (["propose"], ["describe", "propose"], ["admin"], ["describe status"], [""]):
        error = refused("invalid_scope", lambda asked=asked: door.grant(issued.client.id, issued.secret, asked, AT))  # type: ignore[misc]
        assert "It may ask for describe, status." in str(error)
        assert "admin" not in str(error)


def test_a_token_lives_ten_minutes_with_half_a_minute_for_clocks_that_differ(house: House) -> None:
    token, skew = house.token(), SKEW_S * S
    ends = AT + LIFE_S * S
    for now in (AT - skew, AT, ends, ends + skew - 1):
        house.door().check(token, now, AUDIENCE)
    assert "expired" in not_good(house.door(), token, ends + skew)
    assert "issued in the future" in not_good(house.door(), token, AT - skew - S)


def test_a_token_for_another_service_or_from_another_issuer_is_refused(house: House) -> None:
    token = house.token()
    assert "aud" in not_good(house.door(), token, audience="another-service")
    assert "aud" in not_good(house.door(), token, audience="")
    assert "iss" in not_good(house.door("remit/other"), token)


def test_a_token_of_another_workspace_is_refused_although_all_it_says_is_the_same(house: House, tmp_path: Path) -> None:
    create_ledger(tmp_path / "other", name="remit/test", entropy=stream(3))
    with open_ledger(tmp_path / "other", entropy=os.urandom) as ledger:
        token = House(ledger).token()
    house.token()
    assert "not that of a key of ours" in not_good(house.door(), token)


def test_a_token_ends_with_its_charters_text(house: House) -> None:
    issued, door = house.issue(), house.door()
    token = door.grant(issued.client.id, issued.secret, (), AT).token
    door.check(token, AT, AUDIENCE)
    was, house.charters["email"] = house.charters["email"], digest(b"the charter, changed")
    assert "charter" in not_good(door, token)
    door.check(door.grant(issued.client.id, issued.secret, (), AT).token, AT, AUDIENCE)
    house.charters["email"] = house.charters["calls"]
    assert "charter" in not_good(door, token)
    house.charters["email"] = was
    door.check(token, AT, AUDIENCE)
    del house.charters["email"]
    assert "charter" in not_good(door, token)
    _grant_refused(door, issued.client.id, issued.secret, AT)


def forged(token: str, header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """What a token says, under another header and a signature made by whoever forges it."""
    signed = f"{encoded(header)}.{token.split('.')[1]}"
    return f"{signed}.{encoded(sign(signed.encode()))}"


def kid_of(house: House) -> tuple[str, bytes]:
    key = Register.of(house.ledger).signing
    assert key is not None
    return key.kid, base64.urlsafe_b64decode(key.public + "=")


def test_no_other_algorithm_is_taken_not_even_with_the_public_key_as_its_secret(house: House) -> None:
    token, door = house.token(), house.door()
    kid, public = kid_of(house)
    pem = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": encoded(public)}).as_pem(private=False)
    for alg in ("none", "None", "HS256", "HS512", "EdDSA", "RS256", "Ed448", "", None, ["Ed25519"]):
        header = {"alg": alg, "kid": kid, "typ": "at+jwt"}
        not_good(door, forged(token, header, lambda data: b""))
        for secret in (public, pem, encoded(public).encode(), kid.encode()):
            for how in ("sha256", "sha512"):
                not_good(door, forged(token, header, lambda data, secret=secret, how=how: hmac.digest(secret, data, how)))  # type: ignore[misc]
    private = signing_key(house.ledger, kid).private_key
    assert isinstance(private, Ed25519PrivateKey)
    not_good(door, forged(token, {"alg": "none", "kid": kid, "typ": "at+jwt"}, private.sign))
    assert door.check(token, AT, AUDIENCE).agent == "email"


def test_a_key_that_the_log_does_not_hold_signs_nothing(house: House) -> None:
    house.issue()
    kid, _ = kid_of(house)
    own = OKPKey.generate_key("Ed25519")
    _, claims = parts(house.token())
    for header in (
        {"alg": "Ed25519", "kid": own.thumbprint(), "typ": "at+jwt"},
        {"alg": "Ed25519", "kid": kid, "typ": "at+jwt"},
        {"alg": "Ed25519", "kid": kid, "typ": "at+jwt", "jwk": own.as_dict(private=False)},
        {"alg": "Ed25519", "typ": "at+jwt"},
    ):
        not_good(house.door(), jwt.encode(header, claims, own, algorithms=["Ed25519"], default_type=None))


@pytest.mark.parametrize("drop", ["iss", "sub", "agent", "charter", "aud", "scope", "iat", "nbf", "exp"])
def test_a_token_of_ours_that_lacks_a_claim_is_refused(house: House, drop: str) -> None:
    header, claims = parts(house.token())
    key = signing_key(house.ledger, header["kid"])
    whole = jwt.encode(header, claims, key, algorithms=["Ed25519"], default_type=None)
    house.door().check(whole, AT, AUDIENCE)
    del claims[drop]
    not_good(house.door(), jwt.encode(header, claims, key, algorithms=["Ed25519"], default_type=None))


def test_what_is_no_token_is_refused_unread(house: House) -> None:
    issued, door = house.issue(), house.door()
    token = door.grant(issued.client.id, issued.secret, (), AT).token
    head, body, signature = token.split(".")
    deep = encoded(b"[" * 1000)
    for text in (
        "",
        ".",
        "..",
        issued.secret,
        issued.client.id,
        f"{head}.{body}",
        f"{head}.{body}.",
        f"{head}..{signature}",
        f"{token}.",
        f" {token}",
        f"{token}\n",
        f"{token}=",
        f"Bearer {token}",
        token.upper(),
        f"{head}.{deep}.{signature}",
        f"{deep}.{body}.{signature}",
        "a" * 10_000_000,
        f"{head}.{'a' * 10_000}.{signature}",
        "\ud800.\x00.é",
        f"{head}.{body}.{signature}\N{FULLWIDTH DIGIT ONE}",
    ):
        not_good(door, text)


def test_a_signature_has_one_spelling(house: House) -> None:
    token, door = house.token(), house.door()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = [letter for letter in letters if _is_good(door, token[:-1] + letter)]
    assert good == [token[-1]]


def _is_good(door: Tokens, token: str) -> bool:
    try:
        return bool(door.check(token, AT, AUDIENCE))
    except CredentialError as error:
        if error.code != "invalid_token":
            raise
        return False


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), how=st.sampled_from(["replace", "insert", "remove", "swap"]))
def test_no_change_of_a_byte_of_a_token_passes(house: House, place: int, byte: int, how: str) -> None:
    if "door" not in house.made:
        house.made["door"] = house.door()
        house.charters["token"] = house.token()
    door, token = house.made["door"], house.charters["token"]
    data, at = bytearray(token.encode()), place % len(token)
    if how == "replace":
        data[at] = byte
    elif how == "insert":
        data.insert(at, byte)
    elif how == "remove":
        del data[at]
    else:
        data[at - 1], data[at] = data[at], data[at - 1]
    changed = data.decode("latin-1")
    assert _is_good(door, changed) is (changed == token)


def test_a_clock_set_back_an_hour_lets_nobody_in_until_it_is_right(house: House) -> None:
    issued, door = house.issue(), house.door()
    old = door.grant(issued.client.id, issued.secret, (), AT).token
    later = AT + 20 * 60 * S
    assert "expired" in not_good(door, old, later)
    back = AT + 5 * 60 * S
    for call in (lambda: door.check(old, back - HOUR, AUDIENCE), lambda: door.check(old, back, AUDIENCE), lambda: door.grant("client-0", "", (), back)):
        error = refused("temporarily_unavailable", call)
        assert error.status == 503
        assert "set back" in error.cause
        assert "clock" not in str(error)
    assert "expired" in not_good(door, old, later - 29 * S)
    door.check(door.grant(issued.client.id, issued.secret, (), later).token, later, AUDIENCE)


def test_a_rotated_key_signs_no_more_and_its_tokens_end_with_the_last_of_them(house: House) -> None:
    issued, door, other = house.issue(), house.door(), house.door()
    was = kid_of(house)[0]
    before = door.grant(issued.client.id, issued.secret, (), AT).token
    kid = house.rotate(AT + S)
    after = other.grant(issued.client.id, issued.secret, (), AT + S).token
    assert [parts(token)[0]["kid"] for token in (before, after)] == [was, kid]
    for each in (door, other):
        each.check(before, AT + LIFE_S * S, AUDIENCE)
        each.check(after, AT + LIFE_S * S, AUDIENCE)
    ends = AT + S + (LIFE_S + SKEW_S) * S
    assert "rotated" in not_good(door, before, ends)
    assert "expired" in not_good(other, before, ends - S)
    held = json.loads((house.ledger.folder / KEYS).read_text())["keys"]
    assert [key["kid"] for key in held] == [kid]


def test_tokens_of_a_stolen_key_are_refused_at_once(house: House) -> None:
    issued, door = house.issue(), house.door()
    before = door.grant(issued.client.id, issued.secret, (), AT).token
    house.rotate(AT + S)
    between = door.grant(issued.client.id, issued.secret, (), AT + S).token
    house.rotate(AT + 2 * S, stolen=True)
    assert "rotated" in not_good(door, before, AT + 2 * S)
    assert "rotated" in not_good(door, between, AT + 2 * S)
    door.check(door.grant(issued.client.id, issued.secret, (), AT + 2 * S).token, AT + 2 * S, AUDIENCE)


def test_the_signing_key_is_for_its_owner_alone_and_one_that_others_read_signs_nothing(house: House) -> None:
    issued, path = house.issue(), house.ledger.folder / KEYS
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(LedgerError, match="others can read this key"):
        house.door().grant(issued.client.id, issued.secret, (), AT)
    house.rotate()
    assert path.stat().st_mode & 0o777 == 0o600
    house.door().grant(issued.client.id, issued.secret, (), AT)


@pytest.mark.parametrize("spoilt", [None, b"", b"{}", b'{"keys": [1]}', b'{"keys": [{"kty": "OKP"}]}', b"\xff", b'{"keys": []}'])
def test_a_signing_key_that_is_lost_is_named_and_made_anew_while_tokens_stay_good(house: House, spoilt: bytes | None) -> None:
    issued, door, path = house.issue(), house.door(), house.ledger.folder / KEYS
    token = door.grant(issued.client.id, issued.secret, (), AT).token
    path.unlink()
    if spoilt is not None:
        path.write_bytes(spoilt)
        path.chmod(0o600)
    with pytest.raises(LedgerError, match=r"tokens.jwks"):
        house.door().grant(issued.client.id, issued.secret, (), AT)
    house.door().check(token, AT, AUDIENCE)
    house.rotate()
    house.door().grant(issued.client.id, issued.secret, (), AT)
    house.door().check(token, AT, AUDIENCE)


KILLED = """
import os, sys
from pathlib import Path
from remit.gateway import credentials
from remit.ledger import Ledger, Turn, open_ledger
from tests.gateway.test_credentials import AT, CHARTER, NOW, PEOPLE

def die(*_, **__):
    os._exit(9)

folder, doing, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with open_ledger(folder, entropy=os.urandom) as ledger:
    if moment == "before the key":
        credentials.write_private = die
    elif moment == "before the entry":
        Turn.append = die
    else:
        Ledger.settle = die
    if doing == "issue":
        credentials.issue_credential(ledger, CHARTER, PEOPLE, "owner", ["propose"], AT * 2, at=AT, now=NOW, entropy=os.urandom)
    elif doing == "rotate":
        credentials.rotate_token_key(ledger, ["compliance"], "compliance", at=AT, stolen=False, entropy=os.urandom)
    else:
        credentials.revoke_credential(ledger, sys.argv[4], CHARTER, PEOPLE, "owner", at=AT, now=NOW)
"""


def kill(folder: Path, *arguments: str) -> None:
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(root / "src")])
    command = [sys.executable, "-c", KILLED, str(folder), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": paths})
    assert ran.returncode == 9, ran.stderr


@pytest.mark.parametrize(("moment", "issued"), [("before the key", 0), ("before the entry", 0), ("before it is published", 1)])
def test_killed_while_the_first_credential_is_issued_there_is_one_or_none(house: House, moment: str, issued: int) -> None:
    kill(house.ledger.folder, "issue", moment)
    register = Register.of(house.ledger)
    assert (len(register.clients), len(register.keys)) == (issued, issued)
    again = house.issue()
    house.door().check(house.door().grant(again.client.id, again.secret, (), AT).token, AT, AUDIENCE)
    assert len(Register.of(house.ledger).keys) == 1
    assert verify(house.ledger.folder).faults == ()


@pytest.mark.parametrize(("moment", "keys"), [("before the key", 1), ("before the entry", 1), ("before it is published", 2)])
def test_killed_while_the_key_is_rotated_one_of_the_two_signs_and_both_are_accepted(house: House, moment: str, keys: int) -> None:
    issued = house.issue()
    was = house.door().grant(issued.client.id, issued.secret, (), AT).token
    kill(house.ledger.folder, "rotate", moment)
    assert len(Register.of(house.ledger).keys) == keys
    signed = house.door().grant(issued.client.id, issued.secret, (), AT).token
    for token in (was, signed):
        house.door().check(token, AT, AUDIENCE)
    kid = house.rotate()
    assert parts(house.door().grant(issued.client.id, issued.secret, (), AT).token)[0]["kid"] == kid
    assert len(json.loads((house.ledger.folder / KEYS).read_text())["keys"]) == 1
    assert verify(house.ledger.folder).faults == ()


def test_killed_after_a_revocation_was_committed_it_holds(house: House) -> None:
    issued, door = house.issue(), house.door()
    token = door.grant(issued.client.id, issued.secret, (), AT).token
    kill(house.ledger.folder, "revoke", "before the entry", issued.client.id)
    door.check(token, AT, AUDIENCE)
    kill(house.ledger.folder, "revoke", "before it is published", issued.client.id)
    assert "revoked" in not_good(door, token)


def test_a_log_that_is_closed_lets_nobody_in(house: House) -> None:
    token, door = house.token(), house.door()
    door.check(token, AT, AUDIENCE)
    house.ledger.close()
    with pytest.raises(LedgerError):
        door.check(token, AT, AUDIENCE)


def test_a_database_that_is_away_lets_nobody_in_and_everybody_when_it_is_back(tmp_path: Path, own_postgres: Server) -> None:
    with own_postgres.database() as url:
        create_ledger(Place(tmp_path / "ledger", url), name="remit/test", entropy=stream())
        with open_ledger(Place(tmp_path / "ledger", url), entropy=os.urandom) as ledger:
            house = House(ledger)
            issued, door = house.issue(), house.door()
            token = door.grant(issued.client.id, issued.secret, (), AT).token
            own_postgres.kill()
            for call in (lambda: door.check(token, AT, AUDIENCE), lambda: door.grant(issued.client.id, issued.secret, (), AT)):
                with pytest.raises(LedgerError):
                    call()
            own_postgres.start()
            door.check(token, AT, AUDIENCE)
            house.revoke(issued.client.id)
            assert "revoked" in not_good(door, token)


def test_what_is_read_again_is_what_was_appended_since(house: House) -> None:
    seen: list[int] = []

    def charters(agent: str, now: int, cycled: int) -> str | None:
        seen.append(cycled)
        return house.charters.get(agent)

    issued = house.issue()
    door = Tokens(house.ledger, charters, issuer=ISSUER, audience=AUDIENCE, entropy=os.urandom)
    token = door.grant(issued.client.id, issued.secret, (), AT).token
    house.ledger.append("c", [cycle_entry(())], cycle="c")
    door.check(token, AT, AUDIENCE)
    assert seen == [0, 1_767_592_800_000_000]


def test_what_was_verified_is_remembered_within_bounds_and_judged_every_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REMEMBERED", 3)
    issued, door, decoded = house.issue(), house.door(), list[str]()
    real = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda token, *rest, **more: decoded.append(token) or real(token, *rest, **more))
    given = [door.grant(issued.client.id, issued.secret, (), AT).token for _ in range(5)]
    for token in given[:3] * 2:
        door.check(token, AT, AUDIENCE)
    assert decoded == given[:3]
    for token in (given[3], given[0], given[3], given[4], given[3]):
        door.check(token, AT, AUDIENCE)
    assert decoded == [*given[:4], given[0], given[4]]
    assert "expired" in not_good(door, given[3], AT + HOUR)


def test_many_threads_check_and_grant_while_the_log_grows(house: House) -> None:
    issued, door = house.issue(), house.door()
    token = door.grant(issued.client.id, issued.secret, (), AT).token

    def work(number: int) -> str:
        if number % 40 == 0:
            house.ledger.append(f"c-{number}", [cycle_entry(())], cycle=f"c-{number}")
        return door.check(token if number % 20 else door.grant(issued.client.id, issued.secret, (), AT).token, AT, AUDIENCE).agent

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(200))) == {"email"}
    with read_ledger(house.ledger.folder) as records:
        assert Register.of(records) == Register.of(house.ledger)
