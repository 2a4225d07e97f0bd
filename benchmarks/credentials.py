"""Tokens of agents: given and checked, beside verifying the signature at every call."""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import OKPKey

from benchmarks.report import Row
from remit.gateway import TOKEN_SCOPES
from remit.ledger import Entry, open_ledger
from remit.runtime import credential_commands
from remit.runtime.chartered import AUDIENCE, tokens
from remit.runtime.init import create
from remit.runtime.workspace import open_workspace

REACH_US = 200


def measure(quick: bool) -> list[Row]:
    """Checks of one token, whose charter lies in a file, while the log stands still and after every append to it; and tokens given, by a door
    that has not let the client in before and by one that has."""
    times = 500 if quick else 20_000
    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder) / "w", "two-brands", None, 30)
        place = open_workspace(Path(folder) / "w")
        issued = credential_commands.issue(place.root, "email", "owner-email", list(TOKEN_SCOPES), "1 day")
        time.sleep(0.2)
        with closing(open_ledger(place.ledger, entropy=os.urandom)) as ledger:
            door = tokens(place, ledger)

            def given() -> str:
                return door.grant(issued["client"], issued["secret"], [], _clock()).token

            def append() -> None:
                ledger.append(f"f:{time.time_ns()}", [Entry("failure", "remit.failure/1", {"agent": "a", "error": "e", "at": 0})], cycle="f")

            doors = [tokens(place, ledger) for _ in range(20)]
            firsts = _quantiles_us(lambda: doors.pop().grant(issued["client"], issued["secret"], [], _clock()), len(doors))
            token = given()
            grants = _quantiles_us(given, 20)
            checks = _quantiles_us(lambda: door.check(token, _clock(), AUDIENCE, "propose"), times)
            grown = _quantiles_us(lambda: door.check(token, _clock(), AUDIENCE, "propose"), times // 50, append)
        key = OKPKey.generate_key("Ed25519")
        signed = jwt.encode({"alg": "Ed25519"}, {"sub": "a"}, key, algorithms=["Ed25519"])
        plain = _quantiles_us(lambda: jwt.decode(signed, key, algorithms=["Ed25519"]), times // 10)
    beside = f"the signature alone, verified: {plain[0]:.0f} us"
    return [
        Row("check a token, nothing changed", f"<= {REACH_US} us", _said(checks), beside, None if quick else checks[0] <= REACH_US),
        Row("check a token after the log has grown", "reported", _said(grown), beside, None),
        Row("give a client its first token, with an argon2id hash of 19 MiB", "reported", f"{firsts[0] / 1000:.0f} ms", "", None),
        Row("give it another", "reported", f"{grants[0]:.0f} us", "", None),
    ]


def _quantiles_us(job: Callable[[], object], times: int, before: Callable[[], None] | None = None) -> tuple[float, float]:
    """Median and 99th percentile of the wall time of `job`, with `before` run before each, in microseconds."""
    took = []
    for _ in range(times):
        if before is not None:
            before()
        start = time.perf_counter()
        job()
        took.append((time.perf_counter() - start) * 1e6)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def _said(quantiles: tuple[float, float]) -> str:
    return f"{quantiles[0]:.0f} us, p99 {quantiles[1]:.0f} us"


def _clock() -> int:
    return time.time_ns() // 1000
