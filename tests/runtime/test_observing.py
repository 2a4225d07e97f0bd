"""Process logs and spans of a gateway: what is asked for is there, and nobody is named in it."""

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from urllib.parse import urlencode

from remit.runtime.logs import gateway_logger
from remit.runtime.workspace import Workspace
from tests.runtime.test_serving import Client, all_hcps, issued, said, wait


def test_a_server_tells_its_requests_and_spans_and_names_nobody(workspace: Workspace, tmp_path: Path) -> None:
    credentials = issued(workspace, "email")
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        port = spare.getsockname()[1]
    traces = tmp_path / "spans.jsonl"
    command = [sys.executable, "-m", "remit.runtime", "serve", "-w", str(workspace.root), "--port", str(port), "--workers", "1"]
    command += ["--log", "--traces", str(traces)]
    with (tmp_path / "log").open("wb") as errors:
        process = subprocess.Popen(command, start_new_session=True, stderr=errors)
        try:
            url = f"http://127.0.0.1:{port}"
            wait(url, process)
            client = Client(url, credentials)
            client.sign_in()
            hcps = all_hcps(client)[:20]
            answers = client.propose(*({"key": f"k-{hcp}", "hcp_id": hcp, **said(client)} for hcp in hcps))
            client.call("GET", f"/v1/proposals/{answers[0]['id']}")
            client.raw("GET", f"/v1/proposals/{hcps[0]}?who={hcps[1]}")
            wrong = Client(url, {**credentials, "client_secret": "x"})
            assert wrong.raw("POST", "/v1/token", urlencode({"grant_type": "client_credentials", **wrong.credentials}).encode())[0] == 401
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert len({line["run_id"] for line in lines}) == 1
    asked = {(line["method"], line["route"], line["status"]) for line in lines if line["event"] == "request"}
    expected = {("POST", "/v1/proposals", 200), ("GET", "/v1/proposals/{id}", 200), ("GET", "/v1/proposals/{id}", 401), ("POST", "/v1/token", 401)}
    assert expected <= asked
    spans = [json.loads(line) for line in traces.read_text().splitlines()]
    assert {"request", "turn", "decide", "commit", "hand over"} <= {span["name"] for span in spans}
    by_id, turns = {span["span"]: span for span in spans}, [span for span in spans if span["name"] == "turn"]
    assert {by_id[link]["attributes"]["route"] for turn in turns for link in turn["links"]} == {"/v1/proposals"}
    assert {by_id[span["parent"]]["name"] for span in spans if span["name"] == "decide"} == {"turn"}
    for text in (log, traces.read_text()):
        assert not any(secret in text for secret in (*hcps, credentials["client_secret"], client.token, answers[0]["id"]))


def test_of_an_exception_its_kind_alone_is_logged() -> None:
    names, out = ("remit", "uvicorn.error"), io.StringIO()
    before = {name: (logging.getLogger(name).handlers, logging.getLogger(name).propagate, logging.getLogger(name).level) for name in names}
    try:
        with redirect_stderr(out):
            write = gateway_logger("run")
            try:
                raise ValueError("H0000017")
            except ValueError:
                logging.getLogger("uvicorn.error").exception("Exception in ASGI application\nfor somebody")
            write("begun", workers=1)
    finally:
        for name, (handlers, propagate, level) in before.items():
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["fault"], first["level"]) == ("Exception in ASGI application", "ValueError", "error")
    assert (second["event"], second["run_id"], second["workers"]) == ("begun", "run", 1)
