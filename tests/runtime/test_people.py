"""People over the wire: they ask, stop, start and decide as their roles let them, and no agent does."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from remit.gateway import GatewayError
from remit.ledger import read_ledger
from remit.runtime import credential_commands, queue_commands, rights_commands
from remit.runtime.workspace import Workspace, locked, open_workspace
from tests.runtime.test_serving import Client, all_hcps, issued, said, served

SCOPES = ["ask", "stop", "queue"]


def personal(workspace: Workspace, person: str, *scopes: str) -> dict[str, str]:
    by = "owner-authority" if person != "owner-authority" else "compliance-lead"
    made = credential_commands.issue_to_person(workspace.root, person, by, list(scopes or SCOPES), "30 days")
    return {"client_id": made["client"], "client_secret": made["secret"]}


@pytest.fixture(scope="module")
def desk(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Callable[[str], Client]]]:
    """A served workspace, and people or agents who have signed in to it."""
    root = tmp_path_factory.mktemp("desk") / "w"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    people = ("compliance-lead", "owner-email", "brand-lead-alpha", "owner-msl", "owner-authority")
    credentials = {person: personal(workspace, person) for person in people} | {"email": issued(workspace, "email")}
    with served(workspace) as (url, _):

        def signed_in(name: str) -> Client:
            client = Client(url, credentials[name])
            client.sign_in()
            return client

        yield workspace, signed_in


def test_a_person_asks_who_answers_and_is_told_as_by_the_command(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    workspace, signed_in = desk
    client = signed_in("owner-msl")
    with closing(read_ledger(workspace.ledger)) as records:
        action = next(entry for entry in records.entries(kind="action") if entry.payload)
        decision = f"{action.cycle}/{action.payload and action.payload['number']}"
    for kind, name in (("agent", "email"), ("threshold", "most_contacts"), ("row", "email-consent"), ("model", "response"), ("decision", decision)):
        assert client.call("GET", f"/v1/questions/{kind}/{name}") == (200, rights_commands.who(workspace.root, kind, name))
    status, problem = client.call("GET", "/v1/questions/agent/nobody")
    assert (status, "there is no agent `nobody`" in problem["detail"]) == (404, True)


def test_a_stop_over_the_wire_is_answered_at_once_holds_and_is_ended_by_two(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    _workspace, signed_in = desk
    email, owner, compliance = signed_in("email"), signed_in("owner-email"), signed_in("compliance-lead")
    what, hcp = said(email), all_hcps(email)[0]
    assert signed_in("owner-msl").call("POST", "/v1/stops", {"scope": "agent", "of": "email", "reason": "mine"})[0] == 403
    status, told = owner.call("POST", "/v1/stops", {"scope": "agent", "of": "email", "reason": "complaints"})
    assert (status, told["stop"], told["by"]) == (200, "stop-0001", "owner-email")
    (answer,) = email.propose({"key": "stopped", "hcp_id": hcp, **what})
    assert answer["disposition"] == "forbidden"
    assert "stop-0001" in answer["verdict"]["rules"]
    (row,) = owner.call("GET", "/v1/stops")[1]["stops"]
    assert (row["stop"], row["reason"], row["by"]) == ("stop-0001", "complaints", "owner-email")
    assert owner.call("POST", "/v1/stops/stop-0001/start", {"reason": "mended"})[1]["step"] == "asked"
    assert owner.call("POST", "/v1/stops/stop-0001/start", {"reason": "again"})[0] == 403
    assert compliance.call("POST", "/v1/stops/stop-0001/start", {"reason": "seen"})[1]["step"] == "yes"
    assert compliance.call("GET", "/v1/stops")[1]["stops"] == []
    (answer,) = email.propose({"key": "started", "hcp_id": hcp, **what})
    assert "stop-0001" not in answer["verdict"]["rules"]


def test_a_person_sees_what_waits_for_them_and_decides_it_by_its_whole_digest(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    workspace, signed_in = desk
    waiting = queue_commands.queue(workspace.root)["waiting"]
    person = next(people[0] for row in waiting for people in row["may"].values() if people)
    own = {each["digest"] for each in waiting if any(person in people for people in each["may"].values())}
    client = Client(signed_in("email").url, personal(workspace, person))
    client.sign_in()
    status, seen = client.call("GET", "/v1/queue")
    assert (status, {each["digest"] for each in seen["waiting"]}, seen["for_others"]) == (200, own, len(waiting) - len(own))
    first, *rest = seen["waiting"]
    assert client.call("POST", f"/v1/queue/{first['digest'][:16]}/approve", {})[0] == 404
    assert signed_in("owner-msl").call("POST", f"/v1/queue/{first['digest']}/approve", {})[0] == 403
    status, told = client.call("POST", f"/v1/queue/{first['digest']}/approve", {})
    assert (status, told["by"], told["became"] in ("waits", "handed over", "refused")) == (200, person, True)
    status, told = client.call("POST", f"/v1/queue/{rest[0]['digest']}/decline", {"because": "timing", "text": "a congress"})
    assert (status, told["because"]) == (200, "timing")
    assert client.call("POST", f"/v1/queue/{rest[0]['digest']}/decline", {"because": "timing"})[0] == 422


def test_while_a_run_is_at_work_a_yes_is_told_to_come_again_and_a_stop_is_not(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    workspace, signed_in = desk
    client = signed_in("compliance-lead")
    body, headers = json.dumps({}).encode(), {"Authorization": f"Bearer {client.token}"}
    with locked(workspace):
        status, problem = client.raw("POST", f"/v1/queue/{'0' * 64}/approve", body, headers)
        assert (status, problem["title"]) == (503, "a run is at work")
        begun = time.monotonic()
        status, told = client.call("POST", "/v1/stops", {"scope": "channel", "of": "call", "reason": "a test"})
        assert (status, time.monotonic() - begun < 2) == (200, True)
    assert signed_in("compliance-lead").call("POST", f"/v1/stops/{told['stop']}/start", {"reason": "over"})[0] == 200


def test_a_draft_that_cannot_be_used_keeps_nobody_from_stopping_and_gives_nobody_a_say(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    workspace, signed_in = desk
    table, stop = workspace.root / "authority.yaml", {"scope": "product", "of": "beta", "reason": "a test"}
    text, client, other = table.read_text(), signed_in("owner-authority"), signed_in("owner-msl")
    try:
        table.write_text(text.replace("owner: owner-authority", "owner: owner-msl", 1))
        assert other.call("POST", "/v1/stops", {"scope": "everything", "reason": "mine"})[0] == 403
        table.write_text(text + "\n  - half a row: [")
        status, told = client.call("POST", "/v1/stops", stop)
        assert status == 200, told
        assert client.call("POST", f"/v1/stops/{told['stop']}/start", {"reason": "seen"})[1]["step"] == "asked"
        assert signed_in("compliance-lead").call("POST", f"/v1/stops/{told['stop']}/start", {"reason": "seen"})[1]["step"] == "yes"
    finally:
        table.write_text(text)


def test_neither_opens_what_is_the_others_nor_without_its_scope(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    _workspace, signed_in = desk
    agent, person = signed_in("email"), signed_in("compliance-lead")
    for method, path, body in (
        ("GET", "/v1/questions/agent/email", None),
        ("GET", "/v1/stops", None),
        ("POST", "/v1/stops", {"scope": "everything", "reason": "mine"}),
        ("POST", "/v1/stops/stop-0001/start", {"reason": "mine"}),
        ("GET", "/v1/queue", None),
        ("POST", f"/v1/queue/{'0' * 64}/approve", {}),
        ("POST", f"/v1/queue/{'0' * 64}/decline", {"because": "timing"}),
    ):
        assert agent.call(method, path, body)[0] == 401
        assert Client(agent.url, {}).raw(method, path, b"{}" if body is not None else None)[0] == 401
    for method, path in (
        ("GET", "/v1/describe"),
        ("GET", "/v1/hcps"),
        ("POST", "/v1/proposals"),
        ("GET", "/v1/proposals/x"),
        ("POST", "/v1/proposals/x/withdraw"),
    ):
        assert person.call(method, path, {} if method == "POST" else None)[0] == 401
    person.sign_in("ask")
    assert person.call("GET", "/v1/stops")[0] == 403
    _status, described = person.raw("GET", "/openapi.json")
    assert {"/v1/questions/{kind}/{name}", "/v1/stops", "/v1/stops/{name}/start", "/v1/queue", "/v1/queue/{digest}/approve"} <= set(described["paths"])
    for body in (
        {"scope": "agent", "of": "email"},
        {"scope": "agent", "of": "email", "reason": "\u0000"},
        {"scope": "x" * 99, "reason": "a"},
        [],
        {"scope": "agent", "of": "none", "reason": "a"},
    ):
        assert signed_in("compliance-lead").call("POST", "/v1/stops", body)[0] == 422


def test_a_person_who_leaves_is_let_in_no_more_from_that_moment(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    workspace, signed_in = desk
    client = signed_in("owner-msl")
    assert client.call("GET", "/v1/stops")[0] == 200
    people = workspace.root / "people.yaml"
    before = people.read_text()
    people.write_text(before.replace("owner-msl: {roles: [agent-owner]}", "owner-msl: {roles: [agent-owner], until: 2020-01-01T00:00:00Z}"))
    try:
        assert client.call("GET", "/v1/stops")[0] == 401
        assert (
            client.raw(
                "POST",
                "/v1/token",
                b"grant_type=client_credentials&client_id=%s&client_secret=%s"
                % tuple(client.credentials[name].encode() for name in ("client_id", "client_secret")),
            )[0]
            == 401
        )
    finally:
        people.write_text(before)
    assert client.call("GET", "/v1/stops")[0] == 200


def test_stops_at_the_same_moment_all_count_under_names_of_their_own(desk: tuple[Workspace, Callable[[str], Client]]) -> None:
    _workspace, signed_in = desk
    client, told = signed_in("compliance-lead"), list[Any]()
    threads = [
        threading.Thread(target=lambda: told.append(client.call("POST", "/v1/stops", {"scope": "content", "of": "none-such", "reason": "a test"})))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in told] == [200] * 6
    assert len({answer["stop"] for _, answer in told}) == 6


def test_a_persons_credential_is_issued_by_another_listed_and_revoked(workspace: Workspace) -> None:
    made = credential_commands.issue_to_person(workspace.root, "owner-email", "compliance-lead", ["stop"], "1 week")
    assert (made["person"], made["scopes"], made["state"]) == ("owner-email", ["stop"], "live")
    for person, by, scopes, says in (
        ("owner-email", "owner-msl", ["stop"], "may not issue it"),
        ("compliance-lead", "compliance-lead", ["stop"], "may not issue it"),
        ("nobody", "compliance-lead", ["stop"], "not a person on file"),
        ("owner-email", "compliance-lead", ["propose"], "no scope `propose`"),
        ("owner-email", "compliance-lead", [], "it would allow nothing"),
    ):
        with pytest.raises(GatewayError, match=says):
            credential_commands.issue_to_person(workspace.root, person, by, scopes, "1 week")
    assert [each["client"] for each in credential_commands.listed_of_people(workspace.root)["clients"]] == [made["client"]]
    assert credential_commands.listed(workspace.root)["clients"] == []
    with pytest.raises(GatewayError, match="may not revoke it"):
        credential_commands.revoke_of_person(workspace.root, made["client"], "owner-msl")
    assert credential_commands.revoke_of_person(workspace.root, made["client"], "owner-email")["state"] == "revoked"
    with closing(read_ledger(workspace.ledger)) as records:
        assert all(made["secret"] not in json.dumps(entry.body) for entry in records.entries(kind="credential"))


def test_the_command_line_issues_lists_and_revokes(workspace: Workspace, remit: Callable[..., Any]) -> None:
    at: tuple[str | Path, ...] = ("-w", workspace.root)
    told = remit("person", "issue", "owner-email", "--by", "compliance-lead", "--scopes", "stop,ask", *at).stdout
    assert "owner-email may ask, stop as client-" in told
    client = told.split(" as ")[1].split()[0]
    assert client in remit("person", "list", *at).stdout
    assert f"{client} of owner-email is revoked" in remit("person", "revoke", client, "--by", "owner-email", *at).stdout
