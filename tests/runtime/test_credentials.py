"""Credentials in a workspace: the commands, and a door that follows the charters in the folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import sleep, time_ns

import pytest

from remit.gateway import CredentialError, GatewayError, Tokens
from remit.ledger import open_ledger
from remit.runtime import commands, credential_commands
from remit.runtime.chartered import AUDIENCE, Chartered, tokens
from remit.runtime.errors import WorkspaceError
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, locked, open_workspace
from remit.terms.encoding import digest
from remit.terms.errors import RemitError
from remit.terms.instants import DAY, HOUR, parse_instant
from tests.runtime.conftest import quiet

Remit = Callable[..., subprocess.CompletedProcess[str]]
EVERY = ["describe", "propose", "status", "report", "events"]


@pytest.fixture
def young(tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run yet."""
    create(tmp_path / "w", "two-brands", None, 30)
    return open_workspace(tmp_path / "w")


def issue(workspace: Workspace, agent: str = "email", by: str = "owner-email", expires: str = "3 months", scopes: tuple[str, ...] = ()) -> dict[str, str]:
    return credential_commands.issue(workspace.root, agent, by, list(scopes), expires)


def now() -> int:
    return time_ns() // 1000


@pytest.fixture
def issued(young: Workspace) -> dict[str, str]:
    return issue(young)


@pytest.fixture
def door(young: Workspace, issued: dict[str, str]) -> Iterator[Tokens]:
    with open_ledger(young.ledger, entropy=os.urandom) as ledger:
        yield tokens(young, ledger)


def let_in(door: Tokens, issued: dict[str, str]) -> str:
    """A token of the client, that opens the door."""
    token = door.grant(issued["client"], issued["secret"], [], now()).token
    assert door.check(token, now(), AUDIENCE).agent == issued["agent"]
    return token


def shut_out(door: Tokens, token: str) -> str:
    with pytest.raises(CredentialError) as caught:
        door.check(token, now(), AUDIENCE)
    assert caught.value.code == "invalid_token"
    return caught.value.cause


def test_from_the_first_command_to_a_token_and_back(young: Workspace, remit: Remit) -> None:
    ran = remit("agent", "issue", "email", "--by", "owner-email", "--scope", "propose", "--expires", "2 weeks", "-w", young.root)
    assert ran.returncode == 0, ran.stderr
    client, secret = (re.findall(rf"^{name} +(\S+)$", ran.stdout, re.MULTILINE)[0] for name in ("client_id", "client_secret"))
    assert "only time the secret is shown" in ran.stdout
    assert secret not in ran.stderr
    with closing(open_ledger(young.ledger, entropy=os.urandom)) as ledger:
        door = tokens(young, ledger)
        token = let_in(door, {"client": client, "secret": secret, "agent": "email"})
        assert door.check(token, now(), AUDIENCE, "propose").charter == digest((young.root / "agents" / "email.yaml").read_bytes())
        listed = remit("agent", "list", "-w", young.root, "--json")
        assert secret not in listed.stdout
        (row,) = json.loads(listed.stdout)["clients"]
        assert (row["client"], row["agent"], row["state"], row["scopes"], row["by"]) == (client, "email", "live", ["propose"], "owner-email")
        assert parse_instant(row["expires"]) - parse_instant(row["since"]) == 14 * DAY
        gone = remit("agent", "revoke", client, "--by", "compliance-lead", "-w", young.root)
        assert "is revoked by compliance-lead" in gone.stdout
        assert "revoked" in shut_out(door, token)
    assert "revoked" in remit("agent", "list", "-w", young.root).stdout
    held = [path for path in young.root.rglob("*") if path.is_file() and secret[-20:].encode() in path.read_bytes()]
    assert held == []


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda place: issue(place, "emil"), "There are calls-alpha, calls-beta, email, msl"),
        (lambda place: issue(place, by="owner-msl"), "compliance-lead or owner-email may"),
        (lambda place: issue(place, scopes=("rule",)), "there are describe, propose, status, report"),
        (lambda place: issue(place, expires="2 years"), "is not a span of time"),
        (lambda place: issue(place, expires="13 months"), "at most 12 months"),
        (lambda place: issue(place, expires="0 days"), "it would end before it begins"),
        (lambda place: credential_commands.revoke(place.root, "client-0", "owner-email"), "there is no credential `client-0`"),
        (lambda place: credential_commands.rotate_key(place.root, "mlr-lead", stolen=False), "compliance-lead or owner-authority may"),
    ],
)
def test_what_a_person_can_mend_is_one_message_and_records_nothing(young: Workspace, attempt: Callable[[Workspace], object], says: str) -> None:
    issue(young)
    listed = credential_commands.listed(young.root)
    with pytest.raises(RemitError, match=says):
        attempt(young)
    assert credential_commands.listed(young.root) | {"at": ""} == listed | {"at": ""}


def test_a_changed_charter_ends_its_tokens_at_once_and_no_others(young: Workspace, door: Tokens, issued: dict[str, str]) -> None:
    token, other = let_in(door, issued), let_in(door, issue(young, "msl", "owner-msl"))
    charter = young.root / "agents" / "email.yaml"
    was = charter.read_text()
    charter.write_text(was.replace("most_per_hcp: 1", "most_per_hcp: 2"))
    assert "charter" in shut_out(door, token)
    changed = let_in(door, issued)
    charter.write_text(was.replace("most_per_hcp: 1", "most_per_hcp: 3"))  # as long, and at once
    assert "charter" in shut_out(door, changed)
    assert door.check(other, now(), AUDIENCE).agent == "msl"
    charter.write_text(was)
    assert door.check(token, now(), AUDIENCE).agent == "email"


def test_a_charter_that_is_gone_or_moved_is_seen(young: Workspace, door: Tokens, issued: dict[str, str]) -> None:
    token, charter = let_in(door, issued), young.root / "agents" / "email.yaml"
    shutil.move(charter, charter.with_name("mail.yaml"))
    assert door.check(token, now(), AUDIENCE).agent == "email"
    (young.root / "agents" / "mail.yaml").unlink()
    assert "charter" in shut_out(door, token)
    with pytest.raises(CredentialError, match="not known here"):
        door.grant(issued["client"], issued["secret"], [], now())
    assert credential_commands.listed(young.root)["clients"][0]["state"] == "no charter"
    with pytest.raises(GatewayError, match="compliance-lead may"):
        credential_commands.revoke(young.root, issued["client"], "owner-email")
    assert credential_commands.revoke(young.root, issued["client"], "compliance-lead")["state"] == "revoked"


def test_a_charter_that_cannot_be_read_lets_its_agent_in_no_more(young: Workspace, door: Tokens, issued: dict[str, str]) -> None:
    token, charter = let_in(door, issued), young.root / "agents" / "email.yaml"
    was = charter.read_text()
    charter.write_text(was[: len(was) // 2])
    for _ in range(2):
        with pytest.raises(RemitError, match=r"agents/email\.yaml"):
            door.check(token, now(), AUDIENCE)
    charter.write_text(was)
    assert door.check(token, now(), AUDIENCE).agent == "email"


def test_a_charter_expires_by_the_workspaces_clock(young: Workspace) -> None:
    stepped = Chartered(young)
    text = (young.root / "agents" / "email.yaml").read_text()
    ends = parse_instant(re.findall(r"^expires: (\S+)$", text, re.MULTILINE)[0])
    assert stepped("email", ends + HOUR, 0) == digest(text.encode())
    assert stepped("email", ends + HOUR, ends - 1) == digest(text.encode())
    assert stepped("email", 0, ends) is None
    assert stepped("nobody", 0, 0) is None
    young.settings_file.write_text(young.settings_file.read_text().replace('mode = "stepped"', 'mode = "system"'))
    live = Chartered(young)
    assert live("email", ends - 1, 0) == digest(text.encode())
    assert live("email", ends, 0) is None
    assert live("email", 0, ends) is None


def test_an_unchanged_charter_is_not_read_again(young: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = Path.read_bytes
    sleep(0.15)
    charters = Chartered(young)
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    for _ in range(3):
        assert charters("email", 0, 0)
    assert read == []
    os.utime(young.root / "agents" / "email.yaml")
    assert charters("email", 0, 0)
    assert "email.yaml" in read


def test_a_rotated_key_reaches_a_door_that_is_open(young: Workspace, door: Tokens, issued: dict[str, str]) -> None:
    was = let_in(door, issued)
    credential_commands.rotate_key(young.root, "owner-authority", stolen=False)
    new = let_in(door, issued)
    assert new.split(".")[0] != was.split(".")[0]
    assert door.check(was, now(), AUDIENCE)
    credential_commands.rotate_key(young.root, "compliance-lead", stolen=True)
    assert {shut_out(door, token) for token in (was, new)} == {"its key was rotated"}
    keys = credential_commands.listed(young.root)["keys"]
    assert [key["until"] is None for key in keys] == [False, False, True]
    let_in(door, issued)


def test_nothing_is_issued_where_the_ledger_is_read_only_and_no_secret_is_shown(young: Workspace, issued: dict[str, str]) -> None:
    paths = [*young.ledger.folder.rglob("*"), young.ledger.folder]
    modes = {path: path.stat().st_mode for path in paths}
    obey = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.getuid() == 0 else []  # root, too, then has to obey a file's mode
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o400)
    try:
        for arguments in (
            ("issue", "email", "--by", "owner-email"),
            ("revoke", issued["client"], "--by", "owner-email"),
            ("rotate-key", "--by", "compliance-lead"),
        ):
            command = [*obey, sys.executable, "-m", "remit.runtime", "agent", *arguments, "-w", str(young.root)]
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
            assert "ledger" in ran.stderr
            assert "Traceback" not in ran.stderr
            assert "remit-secret" not in ran.stderr
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    (row,) = credential_commands.listed(young.root)["clients"]
    assert (row["client"], row["state"]) == (issued["client"], "live")


def test_while_a_run_is_at_work_nothing_is_issued_but_anything_is_revoked(young: Workspace, issued: dict[str, str]) -> None:
    with locked(young):
        with pytest.raises(WorkspaceError, match="another run is at work"):
            issue(young)
        with pytest.raises(WorkspaceError, match="another run is at work"):
            credential_commands.rotate_key(young.root, "compliance-lead", stolen=False)
        credential_commands.revoke(young.root, issued["client"], "owner-email")


def test_a_cycle_goes_on_as_before_and_everything_verifies_and_replays(workspace: Workspace) -> None:
    issued = issue(workspace, scopes=tuple(EVERY))
    credential_commands.rotate_key(workspace.root, "compliance-lead", stolen=False)
    assert run_cycle(workspace, 1, quiet).cycle == "cycle-0003"
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, "cycle-0003", 1, quiet)["cycles"]] == [[]]
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        let_in(tokens(workspace, ledger), issued)
