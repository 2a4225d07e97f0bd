"""`remit serve`: the gateway of a workspace, in one process or several."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from secrets import token_hex
from time import monotonic, time_ns
from typing import Any

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.routing import Route

from remit.gateway import Answer, Asked, Clerk, Event, GatewayError, Taken
from remit.gateway.describing import describe
from remit.gateway.errors import CredentialError
from remit.gateway.mcp import served_by_mcp
from remit.gateway.people import for_people
from remit.gateway.rest import app
from remit.gateway.throttling import Throttle, TooOften
from remit.gateway.tokens import Tokens
from remit.gateway.verbs import Refused, bearer
from remit.ledger import Ledger, LedgerError, open_ledger
from remit.runtime.attending import Attending
from remit.runtime.chartered import AUDIENCE, tokens
from remit.runtime.leases import watching
from remit.runtime.logs import gateway_logger
from remit.runtime.observing import Observed, traced
from remit.runtime.office import MOST_WAITING, Office, Place
from remit.runtime.standing import deliverer, take_desk
from remit.runtime.workspace import Workspace, open_workspace, turn_file
from remit.terms.charters import Charter
from remit.terms.encoding import digest

_BEGIN_S = 10.0
_WORKSPACE, _HOSTS, _LOG, _TRACES = "REMIT_WORKSPACE", "REMIT_HOSTS", "REMIT_LOG", "REMIT_TRACES"


def serve(workspace: Path, host: str, port: int, workers: int, log: bool = False, traces: Path | None = None) -> None:
    """Serves until it is told to end. Each worker is a process of its own. `log` writes process logs to stderr, `traces` spans into a file."""
    open_workspace(workspace)
    os.environ[_WORKSPACE] = str(workspace.resolve())
    os.environ |= {_LOG: "1"} if log else {}
    os.environ |= {_TRACES: str(traces.resolve())} if traces else {}
    uvicorn.run("remit.runtime.serving:application", factory=True, host=host, port=port, workers=workers, access_log=False, log_level="warning")


def application() -> FastAPI:
    """The application of one worker, for the workspace that the environment names."""
    workspace, run_id = open_workspace(Path(os.environ[_WORKSPACE])), token_hex(8)
    worker = Worker(workspace)
    log = gateway_logger(run_id) if os.environ.get(_LOG) else None
    end = traced(Path(traces), run_id) if (traces := os.environ.get(_TRACES)) else None
    protocol, running = served_by_mcp(worker, os.environ.get(_HOSTS, "127.0.0.1,localhost,[::1]").split(","))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with watching(turn_file(workspace)):
            worker.open()
            async with running():
                yield
            worker.close()
            if end is not None:
                end()

    served = app(worker, lifespan)
    for_people(served, worker.desk)
    served.router.routes.append(Route("/mcp", protocol))
    if log is not None or end is not None:
        served.add_middleware(Observed, log=log)
    return served


class Worker:
    """What the routes need: an office that takes turns at the log, and the tokens of agents."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._ledger: Ledger | None = None
        self._doors: Ledger | None = None
        self._tokens: Tokens | None = None
        self._charters: Mapping[str, Charter] = {}
        self._digests: Mapping[str, str] = {}
        self._office = Office(self._take)
        self._throttle = Throttle()
        self.desk = Attending(workspace, self._of_tokens, self._on_file)
        self._registry = CollectorRegistry()
        self._registry.register(_Counted(self._office))

    def open(self) -> None:
        """Begins to decide. No request is answered before it can, or knows why it cannot, or has tried for a while."""
        self.desk.open()
        self._office.open(_BEGIN_S)

    def close(self) -> None:
        """Finishes what was asked, and ends."""
        self.desk.close()
        self._office.close()
        for ledger in (self._ledger, self._doors):
            if ledger is not None:
                ledger.close()

    def caller(self, authorization: str | None, scope: str | None) -> str:
        """As `Backstage`."""
        token = bearer(authorization)
        try:
            bears = self._of_tokens().check(token, _now(), AUDIENCE, scope)
        except CredentialError as error:
            raise Refused(error.status, error.code, str(error), {"WWW-Authenticate": f'Bearer error="{error.code}"'}) from None
        except LedgerError:
            self._office.renew()  # who decides finds the same, and says so to whoever asks whether it can
            raise
        if bears.charter != self._digests.get(bears.agent, bears.charter):
            self._office.renew()
            raise Refused(503, "not yet", "The charter was changed, and is being taken in.", {"Retry-After": "1"})
        return bears.agent

    def charter(self, agent: str) -> Charter:
        """As `Backstage`."""
        if not self._charters:
            raise Refused(503, "not ready", self.trouble() or "The gateway begins.", {"Retry-After": "1"})
        if agent not in self._charters:
            raise Refused(403, "no charter", "This agent has no charter any more.")
        return self._charters[agent]

    def propose(self, charter: Charter, asked: Asked) -> "Future[Answer | GatewayError]":
        """As `Backstage`."""
        self._not_flooded(charter.agent)
        return self._office.propose(charter, asked, _now())

    def report(self, charter: Charter, event: Event) -> "Future[tuple[Taken, list[Answer]] | GatewayError]":
        """As `Backstage`."""
        self._not_flooded(charter.agent)
        return self._office.report(charter, event, _now())

    def withdraw(self, agent: str, name: str) -> "Future[Answer | None]":
        """As `Backstage`."""
        self._not_flooded(agent)
        return self._office.withdraw(agent, name)

    def call(self, agent: str, work: Callable[[Clerk], Any]) -> "Future[Any]":
        """As `Backstage`."""
        self._not_flooded(agent)
        return self._office.call(agent, work)

    def token(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """As `Backstage`."""
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type", "The grant type is `client_credentials`.")
        door, client, secret = self._of_tokens(), form.get("client_id", ""), form.get("client_secret", "")
        ours, let_in = door.knows(client, secret)
        try:
            with nullcontext() if let_in else self._throttle.admitted(client if ours else "", monotonic()):
                granted = door.grant(client, secret, form.get("scope", "").split(), _now())
        except CredentialError as error:
            raise Refused(error.status, error.code, str(error)) from None
        except TooOften as error:
            raise Refused(429, "too many requests", "Tokens are asked for too often. Keep one for as long as it lives.", _after(error.after_s)) from None
        return {"access_token": granted.token, "token_type": "Bearer", "expires_in": granted.expires_in_s, "scope": " ".join(granted.scopes)}

    def describe(self, charter: Charter, clerk: Clerk) -> Mapping[str, Any]:
        """As `Backstage`."""
        left = {name: amount - clerk.taken.get(name, 0) for name, amount in clerk.standing.free.items()}
        return describe(charter, clerk.standing, clerk.table(), left)

    def trouble(self) -> str:
        """As `Backstage`."""
        return self._office.trouble or self._office.held_up

    def metrics(self) -> bytes:
        """As `Backstage`."""
        return bytes(generate_latest(self._registry))

    def _not_flooded(self, agent: str) -> None:
        if self._office.waiting(agent) >= MOST_WAITING:
            raise Refused(429, "too many requests", f"{MOST_WAITING:,} requests of this agent wait already: ask again, with the same keys.", _after(1))

    def _take(self) -> Place:
        if self._tokens is None:
            self._doors = self._doors or open_ledger(self._workspace.ledger, entropy=os.urandom)
            self._tokens = tokens(self._workspace, self._doors)
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = ledger = open_ledger(self._workspace.ledger, entropy=os.urandom)
        clerk, prompt, config = take_desk(self._workspace, ledger, _now, threads=1)
        self._charters = {charter.agent: charter for charter in config.charters}
        names = sorted(name for name in config.texts if name.startswith("agents/"))
        self._digests = {charter.agent: digest(config.texts[name].encode()) for name, charter in zip(names, config.charters, strict=True)}
        return Place(clerk, prompt, deliverer(self._workspace, config), ledger.settle)

    def _on_file(self, hcp_id: str) -> bool | None:
        clerk = self._office.clerk
        return None if clerk is None else clerk.standing.single.on_file(hcp_id)

    def _of_tokens(self) -> "Tokens":
        if self._tokens is None:
            raise Refused(503, "not ready", self.trouble() or "The gateway begins.", _after(1))
        return self._tokens


class _Counted(Collector):
    """What an office counted; each worker tells its own, as `worker`."""

    def __init__(self, office: Office) -> None:
        self._office, self._worker = office, str(os.getpid())

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client asks."""
        counted, worker = self._office.measured, self._worker
        decided = CounterMetricFamily("remit_decisions", "Proposals decided, by what became of them.", labels=["worker", "disposition"])
        for disposition, number in sorted(counted.decided.items()):
            decided.add_metric([worker, disposition], number)
        yield decided
        for name, says, value in (
            ("remit_handed_over", "Actions given to their channels.", counted.handed_over),
            ("remit_refused_at_the_door", "Actions that might not be done any more.", counted.refused),
            ("remit_events", "Events of physicians taken in.", counted.events),
            ("remit_turns", "Turns at the log.", counted.turns),
            ("remit_turn_seconds", "Seconds spent in them.", counted.seconds),
            ("remit_faults", "Turns that failed, and failures to begin.", counted.faults),
        ):
            counter = CounterMetricFamily(name, says, labels=["worker"])
            counter.add_metric([worker], value)
            yield counter
        ready = GaugeMetricFamily("remit_ready", "Whether it can decide.", labels=["worker"])
        ready.add_metric([worker], float(not self._office.trouble))
        yield ready


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _now() -> int:
    return time_ns() // 1000
