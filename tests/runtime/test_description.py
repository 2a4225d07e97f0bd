"""The OpenAPI description against a running server: whatever it allows or forbids is sent, and every answer must be one that it names."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from remit.runtime.workspace import open_workspace
from tests.runtime.test_serving import Client, all_hcps, issued, said, served


@pytest.fixture(scope="module")
def agent(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An agent with a token, at a server of its own."""
    root = tmp_path_factory.mktemp("described") / "w"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    credentials = issued(workspace, "email")
    with served(workspace) as (url, _):
        client = Client(url, credentials)
        client.sign_in()
        yield client


@pytest.fixture(scope="module")
def description(agent: Client) -> Any:
    return schemathesis.openapi.from_url(f"{agent.url}/openapi.json")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_answer_is_one_that_the_description_names(mode: schemathesis.GenerationMode, description: Any, agent: Client) -> None:
    """On every route: no fault of the server, no status or body that is not described, what is not allowed is refused, what is allowed is taken."""
    tried = [operation.ok() for operation in description.get_all_operations()]
    for operation in tried:
        with suppress(Unsatisfiable):  # where nothing can be sent that is not allowed
            _ask(operation, mode, agent)
    assert {"/v1/token", "/v1/describe", "/v1/hcps", "/v1/proposals", "/v1/proposals/{id}/withdraw", "/metrics"} <= {operation.path for operation in tried}


def _ask(operation: Any, mode: schemathesis.GenerationMode, agent: Client) -> None:
    @settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None, deadline=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {agent.token}"})

    ask()


def test_a_request_that_is_replayed_with_its_token_is_answered_again_and_done_once(agent: Client) -> None:
    body = {"proposals": [{"key": f"again-{hcp}", "hcp_id": hcp, **said(agent)} for hcp in all_hcps(agent)[:20]]}
    status, first = agent.call("POST", "/v1/proposals", body)
    thief = Client(agent.url, {})
    thief.token = agent.token
    assert status == 200
    for _ in range(2):
        again = thief.call("POST", "/v1/proposals", body)[1]["answers"]
        assert [(each["id"], each["entry"]) for each in again] == [(each["id"], each["entry"]) for each in first["answers"]]
