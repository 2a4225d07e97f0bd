"""What vendors' agents do over the wire beside proposing: report outcomes, leave proposals standing, read what their charters let them see."""

import asyncio
import importlib.util
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client as McpClient
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from remit.ledger import read_ledger
from remit.runtime import credential_commands, reported_commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.settings import read_settings
from remit.runtime.workspace import Workspace, open_workspace
from tests.runtime.conftest import amended
from tests.runtime.test_serving import EXAMPLES, Client, all_hcps, said, served
from tests.runtime.test_stood import VENDOR, with_vendor

READS = "reads: {specialty: commercial, consent: commercial, contacts_28d: commercial, lead_score: pdrp, rx_age_h: pdrp, match_confidence: commercial}\n"
LICENCES = """
[licences.consent]
vendor = "a house of addresses"
readers = ["somebody-else"]

[licences.rx]
vendor = "a house of prescriptions"
readers = ["vendor-mail"]
"""
Office = tuple[Workspace, str, dict[str, str]]


@pytest.fixture(scope="module")
def office(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A served workspace with a vendor's agent, and its credentials."""
    root = tmp_path_factory.mktemp("vendors") / "w"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    with_vendor(workspace, READS)
    amended(workspace)
    workspace.settings_file.write_text(workspace.settings_file.read_text() + LICENCES)
    made = credential_commands.issue(root, VENDOR, "owner-email", [], "30 days")
    with served(workspace) as (url, _):
        yield workspace, url, {"client_id": made["client"], "client_secret": made["secret"]}


@pytest.fixture
def vendor(office: Office) -> Client:
    client = Client(office[1], office[2])
    client.sign_in()
    return client


def acted(client: Client, key: str) -> dict[str, Any]:
    """A proposal that was handed over."""
    what = said(client)
    answers = (client.propose({"key": f"{key}-{hcp}", "hcp_id": hcp, **what})[0] for hcp in all_hcps(client))
    first = next(answer for answer in answers if answer["disposition"] == "chosen")
    until = time.monotonic() + 30
    while (found := client.call("GET", f"/v1/proposals/{first['id']}")[1])["disposition"] == "chosen" and time.monotonic() < until:
        time.sleep(0.05)
    assert found["disposition"] == "acted"
    return {**found, "key": first["key"]}


def test_outcomes_are_reported_once_over_rest_and_mcp_and_their_words_told_to_nobody(vendor: Client, office: Office) -> None:
    workspace, url, credentials = office
    action = acted(vendor, "a")
    what = {"what": "replied", "occurred_at": action["decided_at"], "text": "a rash\nsince <Monday>"}
    path = f"/v1/proposals/{action['id']}/outcomes"
    status, told = vendor.call("POST", path, what)
    assert (status, told["what"], told["action"]) == (200, "replied", action["entry"]), told
    assert vendor.call("POST", path, what)[1] == told
    assert "rash" not in str(told)
    assert asyncio.run(by_mcp(url, credentials, {"id": action["id"], **what})) == (False, told)
    failed, problem = asyncio.run(by_mcp(url, credentials, {"id": action["id"], "what": "vanished", "occurred_at": action["decided_at"]}))
    assert failed
    assert "vanished" in problem["detail"]
    with read_ledger(workspace.ledger) as records:
        (entry,) = records.entries(kind="outcome")
    assert entry.payload is not None
    assert entry.payload["text"] == "a rash\nsince <Monday>"
    assert entry.hcp_id == action["key"].removeprefix("a-")
    assert [row["reported"] for row in reported_commands.reported(workspace.root)["reported"]] == [1]

    for wrong in ({"what": "eaten"}, {"occurred_at": "yesterday"}, {"occurred_at": "2031-01-01T00:00:00Z"}, {"text": "x" * 4001}, {"more": 1}):
        assert vendor.call("POST", path, {**what, **wrong})[0] == 422
    assert vendor.call("POST", f"/v1/proposals/{'0' * 32}/outcomes", what)[0] == 404
    vendor.sign_in("status propose")
    assert vendor.call("POST", path, what)[0] == 403


async def by_mcp(url: str, credentials: dict[str, str], arguments: dict[str, Any]) -> tuple[bool, Any]:
    """What the official client is answered."""
    spec = importlib.util.spec_from_file_location("mcp_agent", EXAMPLES / "mcp_agent.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    provider = ClientCredentialsOAuthProvider(f"{url}/mcp", example.Memory(), credentials["client_id"], credentials["client_secret"], issuer=url)
    async with create_mcp_http_client(auth=provider) as http, McpClient(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
        result = await client.call_tool("report_outcome", arguments)
        return bool(result.is_error), result.structured_content


def test_who_unsubscribed_is_forbidden_from_then_on(vendor: Client) -> None:
    action = acted(vendor, "u")
    hcp = action["key"].removeprefix("u-")
    assert vendor.call("POST", f"/v1/proposals/{action['id']}/outcomes", {"what": "unsubscribed", "occurred_at": action["decided_at"]})[0] == 200
    (answer,) = vendor.propose({"key": "after", "hcp_id": hcp, **said(vendor)})
    assert answer["disposition"] == "forbidden"
    assert "opted-out" in answer["verdict"]["rules"]


def test_a_proposal_stands_and_is_taken_back_over_the_wire(vendor: Client) -> None:
    hcp = all_hcps(vendor)[-1]
    asked = {"key": "stands", "hcp_id": hcp, "stands": True, **said(vendor)}
    (answer,) = vendor.propose(asked)
    assert (answer["disposition"], answer.get("verdict"), answer.get("plan")) == ("standing", None, None)
    assert vendor.propose(asked)[0]["entry"] == answer["entry"]
    assert vendor.call("GET", f"/v1/proposals/{answer['id']}")[1]["disposition"] == "standing"
    assert vendor.call("POST", f"/v1/proposals/{answer['id']}/withdraw")[1]["disposition"] == "withdrawn"
    assert vendor.propose({**asked, "stands": False})[0]["disposition"] == "rejected"


def test_an_agent_reads_what_its_charter_names_and_is_told_what_is_withheld_and_why(vendor: Client) -> None:
    status, allowed = vendor.call("GET", "/v1/describe")
    assert status == 200
    assert [each["fact"] for each in allowed["reads"]] == ["contacts_28d", "lead_score", "match_confidence", "rx_age_h", "specialty"]
    (hidden,) = allowed["withheld"]
    assert hidden["fact"] == "consent"
    assert "a house of addresses" in hidden["why"]
    assert allowed["standing"] > 0
    status, page = vendor.call("GET", "/v1/hcps")
    assert len(page["hcps"]) == len(page["facts"]) == 100
    assert page["next"] == page["hcps"][-1]
    rows = [row for hcp in page["facts"].values() for row in hcp]
    granted = {"product", "channel", "contacts_28d", "lead_score", "match_confidence", "rx_age_h", "specialty"}
    assert all(row.keys() <= granted for row in rows)
    assert {"lead_score" in row for row in rows} == {True, False}, "some physicians keep their prescribing from reps"
    assert {row["channel"] for row in rows} == {"email"}


def test_licences_are_read_with_every_fault(office: Office) -> None:
    text = office[0].settings_file.read_text()
    assert read_settings(text, "remit.toml").licences["rx"].readers == ("vendor-mail",)
    with pytest.raises(WorkspaceError) as refused:
        read_settings(text + '[licences.gossip]\nvendor = "v"\n[licences.hcp]\nreader = ["x"]\n', "remit.toml")
    assert "`licences.gossip` is no feed" in str(refused.value)
    assert "`licences.hcp.vendor` is missing" in str(refused.value)
    assert "`licences.hcp.reader` is not known here" in str(refused.value)
