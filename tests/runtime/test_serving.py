"""`remit serve` for real: a server in processes of its own, clients over the wire, on a workspace with two cycles."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import polars as pl
import pytest

from remit.gateway import Asked
from remit.gateway.verbs import Refused
from remit.ledger import VerifiedDecision, read_ledger, verifier_keys, verify_receipt
from remit.runtime import commands, credential_commands, rights_commands, serving
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from remit.terms.encoding import canonical
from tests.runtime.conftest import quiet

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "agents"


class Client:
    """An agent over the wire."""

    def __init__(self, url: str, credentials: dict[str, str], timeout: float = 60) -> None:
        self.url, self.credentials, self.timeout = url, credentials, timeout
        self.token = ""

    def sign_in(self, scope: str = "") -> None:
        form = {"grant_type": "client_credentials", **self.credentials, **({"scope": scope} if scope else {})}
        status, answer = self.raw("POST", "/v1/token", urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        assert status == 200, answer
        self.token = answer["access_token"]

    def raw(self, method: str, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        request = Request(self.url + path, data=data, headers=headers or {}, method=method)
        try:
            with urlopen(request, timeout=self.timeout) as answer:
                body = answer.read()
                return answer.status, json.loads(body) if "json" in answer.headers["content-type"] else body.decode()
        except HTTPError as error:
            return error.code, json.loads(error.read())

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Asks again where it is told to."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        for _ in range(100):
            status, answer = self.raw(method, path, None if body is None else json.dumps(body).encode(), headers)
            if status != 503:
                break
            time.sleep(0.2)
        return status, answer

    def propose(self, *proposals: dict[str, Any]) -> list[dict[str, Any]]:
        status, answer = self.call("POST", "/v1/proposals", {"proposals": list(proposals)})
        assert status == 200, answer
        return list(answer["answers"])


def issued(workspace: Workspace, agent: str, *scopes: str) -> dict[str, str]:
    made = credential_commands.issue(workspace.root, agent, f"owner-{agent}", list(scopes), "30 days")
    return {"client_id": made["client"], "client_secret": made["secret"]}


@contextmanager
def served(workspace: Workspace, workers: int = 1) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "remit.runtime", "serve", "-w", str(workspace.root), "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(command, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(url, process)
        yield url, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) is not None


def wait(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, "the server has ended"
        try:
            with urlopen(f"{url}/readyz", timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError("the server is not ready")


@pytest.fixture(scope="module")
def office(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, str, dict[str, str], dict[str, str]]]:
    """A served workspace, and the credentials of two agents."""
    root = tmp_path_factory.mktemp("served") / "w"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    credentials = issued(workspace, "email"), issued(workspace, "calls-alpha")
    with served(workspace) as (url, _):
        yield workspace, url, *credentials


@pytest.fixture
def email(office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> Client:
    client = Client(office[1], office[2])
    client.sign_in()
    return client


def said(client: Client) -> dict[str, Any]:
    """What goes with an e-mail that may be sent."""
    status, allowed = client.call("GET", "/v1/describe")
    assert status == 200, allowed
    content = next(each for each in allowed["content"] if each["status"] == "approved")
    return {**{name: content[name] for name in ("channel", "product", "content_id", "communication_type")}, "value": 20}


def all_hcps(client: Client) -> list[str]:
    return list(client.call("GET", "/v1/hcps")[1]["hcps"])


def test_from_token_to_what_became_of_it(email: Client, office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> None:
    status, allowed = email.call("GET", "/v1/describe")
    assert (status, allowed["agent"], allowed["purpose"]) == (200, "email", "promotional")
    assert {"email-consent", "email-sends"} <= {row["id"] for row in allowed["rows"]}
    assert "msl-visits" not in {row["id"] for row in allowed["rows"]}
    what = said(email)
    answers = email.propose(*({"key": f"a-{hcp}", "hcp_id": hcp, **what} for hcp in all_hcps(email)))
    became = {answer["disposition"] for answer in answers}
    assert {"chosen", "forbidden"} <= became
    first = next(answer for answer in answers if answer["disposition"] == "chosen")
    assert first["verdict"]["ruling"] == "autonomous"
    assert first["plan"]["uses"]["sends"] == 1
    until = time.monotonic() + 20
    while (found := email.call("GET", f"/v1/proposals/{first['id']}")[1]["disposition"]) == "chosen" and time.monotonic() < until:
        time.sleep(0.05)
    assert found == "acted"
    workspace = office[0]
    listed = pl.concat([pl.read_csv(path, infer_schema=False) for path in (workspace.out / "cycle-0002.between").rglob("email.csv")])
    assert first["key"].removeprefix("a-") in set(listed["hcp_id"])
    assert email.propose({"key": first["key"], "hcp_id": first["key"].removeprefix("a-"), **what})[0]["id"] == first["id"]


def test_an_agent_sees_its_own_proposals_alone(email: Client, office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> None:
    (answer,) = email.propose({"key": "mine", "hcp_id": all_hcps(email)[0], **said(email)})
    other = Client(office[1], office[3])
    other.sign_in()
    assert other.call("GET", f"/v1/proposals/{answer['id']}")[0] == 404
    assert other.call("POST", f"/v1/proposals/{answer['id']}/withdraw")[0] == 404
    assert email.call("GET", f"/v1/proposals/{answer['id']}")[0] == 200
    assert other.call("GET", f"/v1/proposals/{answer['id']}/receipt")[0] == 404
    status, receipt = email.call("GET", f"/v1/proposals/{answer['id']}/receipt")
    assert status == 200
    found = verify_receipt(canonical(receipt), verifier_keys(office[0].ledger.folder))
    assert isinstance(found, VerifiedDecision)
    assert (found.body["id"], found.payload) == (answer["id"], None)


@pytest.mark.parametrize(
    ("proposal", "says"),
    [
        ({"hcp_id": "H\u0000"}, "hcp_id"),
        ({"hcp_id": "x" * 65}, "hcp_id"),
        ({"value": "much"}, "value"),
        ({"value": -1}, "value"),
        ({"value": float("nan")}, "JSON"),
        ({"mandatory": True}, "mandatory"),
        ({"channel": "e\nmail"}, "channel"),
        ({"content_id": "<script>"}, "content_id"),
        ({"key": None}, "key"),
    ],
)
def test_what_is_no_proposal_is_refused_with_the_field_at_fault(proposal: dict[str, Any], says: str, email: Client) -> None:
    status, answer = email.call("POST", "/v1/proposals", {"proposals": [{"key": "k", "hcp_id": "H1", **said(email), **proposal}]})
    assert status == 422, answer
    assert says in answer["detail"]


def test_somebody_elses_hcp_a_used_key_and_a_large_request(email: Client) -> None:
    what = said(email)
    first, second, *_ = all_hcps(email)
    email.propose({"key": "used", "hcp_id": first, **what})
    answers = email.propose({"key": "used", "hcp_id": second, **what}, {"key": "else", "hcp_id": "H-unknown", **what})
    assert [answer["disposition"] for answer in answers] == ["rejected", "rejected"]
    assert "does not reach this HCP" in answers[1]["error"]
    many = [{"key": f"k{number}", "hcp_id": first, **what} for number in range(501)]
    assert email.call("POST", "/v1/proposals", {"proposals": many})[0] == 422
    status, answer = email.raw("POST", "/v1/proposals", b"[" * (10 << 20), {"Authorization": f"Bearer {email.token}"})
    assert (status, answer["title"]) == (413, "too large")
    status, answer = email.raw("POST", "/v1/proposals", b"[" * 100_000, {"Authorization": f"Bearer {email.token}"})
    assert status == 422


def test_nothing_works_without_a_token_that_allows_it(office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> None:
    workspace, url, credentials, _ = office
    client = Client(url, credentials)
    for method, path in (("GET", "/v1/describe"), ("GET", "/v1/hcps"), ("POST", "/v1/proposals"), ("GET", "/v1/proposals/x"), ("POST", "/mcp")):
        assert client.raw(method, path, b"{}" if method == "POST" else None)[0] == 401
        client.token = credentials["client_secret"]
        assert client.call(method, path, {} if method == "POST" else None)[0] == 401
        client.token = ""
    client.sign_in("status")
    assert client.call("GET", "/v1/describe")[0] == 403
    form = urlencode({"grant_type": "client_credentials", **credentials, "client_secret": "x" * 43}).encode()
    for said, status, code in ((form, 401, "invalid_client"), (urlencode({"grant_type": "password"}).encode(), 400, "unsupported_grant_type")):
        got, refusal = client.raw("POST", "/v1/token", said)
        assert (got, refusal["error"], bool(refusal["error_description"])) == (status, code, True)  # as RFC 6749 has it
    narrow = issued(workspace, "msl", "describe")
    other = Client(url, narrow)
    other.sign_in()
    assert other.call("GET", "/v1/describe")[0] == 200
    credential_commands.revoke(workspace.root, narrow["client_id"], "owner-msl")
    assert other.call("GET", "/v1/describe")[0] == 401


def test_health_metrics_and_a_description_of_every_route(email: Client) -> None:
    assert email.raw("GET", "/healthz") == (200, {"alive": True})
    assert email.raw("GET", "/readyz") == (200, {"ready": True})
    assert "remit_decisions_total" in email.raw("GET", "/metrics")[1]
    described = email.raw("GET", "/openapi.json")[1]["paths"]
    assert {"/v1/token", "/v1/describe", "/v1/hcps", "/v1/proposals", "/v1/proposals/{id}", "/v1/proposals/{id}/withdraw", "/v1/events"} <= set(described)
    schema = described["/v1/proposals"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "hcp_id" in json.dumps(schema)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/questions/decision/a%0Ab", 404), ("DELETE", "/v1/proposals", 405), ("GET", "/nowhere", 404)]
)
def test_what_no_route_answers_is_a_problem_too(method: str, path: str, status: int, email: Client) -> None:
    told = email.raw(method, path)
    assert (told[0], told[1]["status"]) == (status, status)
    assert "/openapi.json" in told[1]["detail"]


@pytest.mark.parametrize("script", ["rest_agent.py", "mcp_agent.py"])
def test_the_examples_run_against_it(script: str, office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> None:
    _, url, credentials, _ = office
    environment = {**os.environ, "REMIT_URL": url, "REMIT_CLIENT": credentials["client_id"], "REMIT_SECRET": credentials["client_secret"]}
    ran = subprocess.run([sys.executable, EXAMPLES / script], capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "I am email" in ran.stdout
    assert len((EXAMPLES / script).read_text().splitlines()) < 100


def test_a_flood_of_one_agent_leaves_others_their_share(email: Client, office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> None:
    what, hcp = said(email), all_hcps(email)[0]
    done = []

    def flood(number: int) -> None:
        email.propose(*({"key": f"flood-{number}-{each}", "hcp_id": hcp, **what} for each in range(500)))
        done.append(number)

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    other = Client(office[1], office[3])
    other.sign_in()
    waits = []
    for _ in range(5):
        start = time.monotonic()
        assert other.call("GET", "/v1/describe")[0] == 200
        waits.append(time.monotonic() - start)
    finished = len(done)
    for thread in threads:
        thread.join()
    assert len(done) == 20
    assert finished < 20 or min(waits) < 1
    assert max(waits) < 5


def test_a_stop_is_heeded_by_a_server_at_work_and_a_cycle_is_taken_in(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    with served(workspace, workers=2) as (url, _):
        client = Client(url, credentials)
        client.sign_in()
        what, hcps = said(client), all_hcps(client)
        start = time.monotonic()
        rights_commands.stop(workspace.root, "agent", "email", "owner-email", "a test")
        assert time.monotonic() - start < 5
        for hcp in hcps[:4]:
            (answer,) = client.propose({"key": f"s-{hcp}", "hcp_id": hcp, **what})
            assert answer["disposition"] == "forbidden"
            assert "stop-0001" in answer["verdict"]["rules"]
        rights_commands.start(workspace.root, "stop-0001", "owner-email", "mended")
        rights_commands.start(workspace.root, "stop-0001", "compliance-lead", "mended")
        run_cycle(workspace, 1, quiet)
        until = time.monotonic() + 60
        while client.call("GET", "/v1/describe")[1].get("cycle") != "cycle-0003" and time.monotonic() < until:
            time.sleep(0.2)
        answers = client.propose(*({"key": f"t-{hcp}", "hcp_id": hcp, **what} for hcp in hcps))
        assert "chosen" in {answer["disposition"] for answer in answers}
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def test_a_charter_that_changes_ends_its_tokens_and_is_taken_in(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    with served(workspace) as (url, _):
        client = Client(url, credentials)
        client.sign_in()
        assert client.call("GET", "/v1/describe")[0] == 200
        charter = workspace.root / "agents" / "email.yaml"
        charter.write_text(charter.read_text().replace("objective: New", "objective: Fewer but better new"))
        assert client.call("GET", "/v1/describe")[0] == 401
        client.sign_in()
        status, allowed = client.call("GET", "/v1/describe")
        assert (status, allowed["objective"][:5]) == (200, "Fewer")


def test_a_worker_that_is_halted_keeps_nobody_out_and_is_begun_again(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    with served(workspace, workers=2) as (url, process):
        client = Client(url, credentials, timeout=5)
        client.sign_in()
        what, hcps = said(client), all_hcps(client)
        workers = children(process.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGSTOP)
        asked, until, answered = 0, time.monotonic() + 60, list[int]()
        while workers[0] in children(process.pid) or len(answered) < 5:
            assert time.monotonic() < until, "the halted worker is still there"
            try:  # what the halted one has accepted is not answered: it is asked again with the same key
                status, answer = client.call("POST", "/v1/proposals", {"proposals": [{**what, "key": f"h{asked}", "hcp_id": hcps[asked % len(hcps)]}]})
            except (TimeoutError, URLError, ConnectionError, HTTPException):
                continue
            if status == 200:
                answered.append(int(answer["answers"][0]["entry"]))
                asked += 1
                time.sleep(0.1)
        stopped = time.monotonic()
        rights_commands.stop(workspace.root, "agent", "email", "", "a test")
        assert time.monotonic() - stopped < 5
        while len(children(process.pid)) < 2:
            assert time.monotonic() < until + 30, "no other worker has begun"
            time.sleep(0.1)
    assert len(set(answered)) == len(answered)
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def children(pid: int) -> list[int]:
    """The workers of a server: its processes that serve, not the one that looks after what they share."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if int(said[1]) == pid and b"spawn_main" in command and said[0] != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def test_killed_at_any_moment_nothing_is_lost_or_done_twice(workspace: Workspace) -> None:
    credentials = issued(workspace, "email")
    answered: dict[str, str] = {}
    chosen: list[str] = []

    def work(client: Client, what: dict[str, Any], hcps: list[str], number: int) -> None:
        for hcp in hcps:
            try:
                (answer,) = client.propose({"key": f"{number % 2}-{hcp}", "hcp_id": hcp, **what})
            except (OSError, HTTPException):
                return
            answered[answer["key"]] = answer["id"]
            chosen.extend([answer["key"]] * (answer["disposition"] == "chosen"))

    for round_ in range(2):
        with served(workspace, workers=2) as (url, process):
            client = Client(url, credentials)
            client.sign_in()
            what, hcps = said(client), all_hcps(client)
            threads = [threading.Thread(target=work, args=(client, what, hcps[round_ * 40 :], number)) for number in range(4)]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 30
            while len(chosen) < 4 * (round_ + 1) and time.monotonic() < until:
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
    with served(workspace) as (url, _):
        client = Client(url, credentials)
        client.sign_in()
        for key, name in answered.items():
            (again,) = client.propose({"key": key, "hcp_id": key.split("-", 1)[1], **what})
            assert again["id"] == name
        until = time.monotonic() + 30
        while any(client.call("GET", f"/v1/proposals/{name}")[1]["disposition"] == "chosen" for name in answered.values()) and time.monotonic() < until:
            time.sleep(0.2)
    assert len(chosen) >= 8
    with closing(read_ledger(workspace.ledger)) as records:
        acted = [seq for entry in records.entries(kind="acted") for seq in entry.body["actions"]]
        assert len(acted) == len(set(acted))
        taken = [entry for entry in records.entries(kind="action", cycle="cycle-0002.between") if "deadline" not in entry.body]
        assert {entry.seq for entry in taken} <= set(acted) | {entry.body["action"] for entry in records.entries(kind="refused")}
        handed = {str(records.entry(seq).hcp_id) for seq in acted if seq in {entry.seq for entry in taken}}
        listed = [pl.read_csv(path, infer_schema=False) for path in (workspace.out / "cycle-0002.between").rglob("email.csv")]
        rows = pl.concat(listed)
        assert rows["decision"].is_unique().all()
        assert handed == set(rows["hcp_id"])
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def test_who_tries_secrets_is_slowed_down_and_who_behaves_does_not_notice(office: tuple[Workspace, str, dict[str, str], dict[str, str]]) -> None:
    """Wrong secrets for somebody else's client and for clients that are not there, from many threads; the agent whose client it is gets its tokens."""
    _, url, credentials, _ = office
    good, told, ended = Client(url, credentials), list[tuple[int, str | None]](), threading.Event()
    good.sign_in()

    def try_secrets(number: int) -> None:
        while not ended.is_set():
            client = credentials["client_id"] if number % 2 else f"client-{number}"
            form = urlencode({"grant_type": "client_credentials", "client_id": client, "client_secret": f"remit-secret-{number:043}"}).encode()
            try:
                with urlopen(Request(f"{url}/v1/token", form), timeout=60):
                    raise AssertionError("it was let in")
            except HTTPError as error:
                told.append((error.code, error.headers["Retry-After"]))

    threads = [threading.Thread(target=try_secrets, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while len(told) < 60 and time.monotonic() < until:
        good.sign_in()
        assert good.call("GET", "/v1/describe")[0] == 200
    ended.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in told} == {401, 429}
    assert all((after is None) == (status == 401) for status, after in told)
    assert sum(status == 401 for status, _ in told) <= 2 * 20 + 2 * 20  # two buckets, and what they regain in the time


def test_requests_of_one_agent_that_wait_are_bounded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_WAITING", 5)
    worker = serving.Worker(workspace)  # which is not opened: nothing is served
    charters = {charter.agent: charter for charter in read_config(config_texts(workspace)).charters}
    asked = Asked("k", "H1", "email", "alpha", "promotional", 1)
    for _ in range(5):
        worker.propose(charters["email"], asked)
    with pytest.raises(Refused, match="wait already") as refused:
        worker.propose(charters["email"], asked)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    worker.propose(charters["msl"], asked)
