"""Events over the wire: against two workers, by REST and MCP, also when they are killed."""

import json
import os
import signal
import threading
import time
from http.client import HTTPException
from typing import Any

from remit.ledger import read_ledger
from remit.runtime import commands
from remit.runtime.workspace import Workspace
from tests.runtime.test_serving import Client, all_hcps, issued, said, served


def test_an_event_is_taken_once_known_to_all_workers_and_not_lost_when_they_are_killed(workspace: Workspace) -> None:
    email, calls = issued(workspace, "email"), issued(workspace, "calls-alpha", "events", "describe")
    answered: dict[str, tuple[str, int]] = {}

    def work(client: Client, at: str, hcps: list[str]) -> None:
        for hcp in hcps:
            opened = {"key": f"o-{hcp}", "hcp_id": hcp, "kind": "opened", "channel": "email", "product": "alpha", "occurred_at": at}
            try:
                status, answer = client.call("POST", "/v1/events", {"events": [opened]})
            except (OSError, HTTPException):
                return
            assert status == 200, answer
            found = answer["answers"][0]["id"], answer["answers"][0]["entry"]
            assert answered.setdefault(opened["key"], found) == found

    with served(workspace, workers=2) as (url, process):
        client, vendor = Client(url, email), Client(url, calls)
        client.sign_in()
        vendor.sign_in()
        at, what, (hcp, *hcps) = client.call("GET", "/v1/describe")[1]["known_at"], said(client), all_hcps(client)
        assert vendor.call("POST", "/v1/proposals", {"proposals": []})[0] == 403
        assert vendor.call("POST", "/v1/events", {"events": "all"})[0] == 422
        status, answer = vendor.call("POST", "/v1/events", {"events": [{"key": "x", "hcp_id": hcp, "kind": "opt_in", "occurred_at": at}]})
        assert (status, answer["answers"][0]["disposition"]) == (200, "rejected")
        for _ in range(100):  # asked again where it is told to
            out = mcp(vendor, "report_events", {"events": [{"key": "out", "hcp_id": hcp, "kind": "opt_out", "occurred_at": at}]})
            if "answers" in out:
                break
            time.sleep(0.2)
        assert out["answers"][0]["disposition"] == "taken", out
        for number in range(8):  # whichever worker is asked
            (found,) = client.propose({"key": f"p{number}", "hcp_id": hcp, **what})
            assert "opted-out" in found["verdict"]["rules"]
        work(vendor, at, hcps[:4])
        threads = [threading.Thread(target=work, args=(vendor, at, hcps[: 80 + number])) for number in range(3)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 30
        while len(answered) < 20 and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
    with read_ledger(workspace.ledger) as records:
        recorded = {entry.body["id"]: entry for entry in records.entries(kind="event")}
        assert len(list(records.entries(kind="event"))) == len(recorded)
        for key, (name, entry) in answered.items():
            assert recorded[name].seq == entry
            assert recorded[name].payload is not None
            assert recorded[name].payload["key"] == key
    assert commands.verify(workspace.root, [], None, None)["faults"] == []


def mcp(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    status, answer = client.raw("POST", "/mcp", json.dumps(call).encode(), headers)
    assert status == 200, answer
    return dict(answer["result"]["structuredContent"])
