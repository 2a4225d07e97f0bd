"""Decision rights are changed by two people, each bound to exactly one text; what nobody approved decides nothing; who answers is told."""

import json
import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from remit.ledger import read_ledger
from remit.runtime import commands, rights, rights_commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.errors import RemitError
from tests.runtime.conftest import quiet, small

Remit = Callable[..., subprocess.CompletedProcess[str]]


def drafted(workspace: Workspace, *pairs: tuple[str, str], version: int = 2) -> str:
    """Writes a changed table into the workspace, and returns its digest."""
    path = workspace.root / "authority.yaml"
    text = path.read_text().replace("\nversion: 1\n", f"\nversion: {version}\n", 1)
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return sha256(text.encode()).hexdigest()


FEWER = ("value: 8\n    owner: compliance-lead", "value: 1\n    owner: compliance-lead")


def propose(workspace: Workspace, by: str = "owner-email", reason: str = "less pressure") -> dict[str, Any]:
    return rights_commands.propose(workspace.root, None, by, reason)


def table_of(workspace: Workspace, cycle: str) -> str:
    with closing(read_ledger(workspace.ledger)) as records:
        return str(next(entry.body["table"] for entry in records.entries(kind="cycle", cycle=cycle)))


def test_the_first_run_says_which_table_a_workspace_begins_with(workspace: Workspace) -> None:
    log = rights_commands.log(workspace.root)
    assert [step["step"] for step in log["steps"]] == ["established"]
    assert log["in_force"] == sha256((workspace.root / "authority.yaml").read_bytes()).hexdigest()


def test_a_draft_decides_nothing_until_another_person_has_approved_exactly_its_text(workspace: Workspace) -> None:
    before, draft = table_of(workspace, "cycle-0002"), drafted(workspace, FEWER)
    done = run_cycle(workspace, 1, quiet)
    assert done.draft
    assert table_of(workspace, done.cycle) == before
    told = propose(workspace)
    assert (told["table"], told["version"], told["may_approve"]) == (draft, 2, ["compliance-lead", "owner-authority"])
    assert told["changes"] == [{"what": "threshold", "name": "most_contacts", "how": "changed", "owner": "compliance-lead"}]
    assert table_of(workspace, run_cycle(workspace, 1, quiet).cycle) == before
    (workspace.root / "authority.yaml").write_text((workspace.root / "authority.yaml").read_text() + "# an afterthought\n")
    assert rights_commands.approve(workspace.root, draft[:12], "compliance-lead")["missing"] == []
    done = run_cycle(workspace, 1, quiet)
    assert table_of(workspace, done.cycle) == draft
    assert done.draft  # the afterthought was approved by nobody
    assert "an afterthought" in (workspace.root / "authority.yaml").read_text()
    assert done.result is not None
    assert done.result.decisions.filter(rules="contact-cap").height
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]] == [[]] * 5


@pytest.mark.parametrize(
    ("by", "fault"), [("owner-email", "another person must approve"), ("mlr-lead", "may not approve it"), ("nobody-here", "may not approve it")]
)
def test_who_may_not_approve_is_told_why(workspace: Workspace, by: str, fault: str) -> None:
    draft = drafted(workspace, FEWER)
    propose(workspace)
    with pytest.raises(WorkspaceError) as raised:
        rights_commands.approve(workspace.root, draft, by)
    assert any(fault in each for each in raised.value.faults)


def test_owners_of_all_that_changes_may_approve_without_the_tables_owner(workspace: Workspace) -> None:
    more = (
        "  - id: content-expired\n    when: content_expires_h IS NOT NULL AND content_expires_h <= 0",
        "  - id: content-expired\n    when: content_expires_h IS NOT NULL AND content_expires_h <= 6",
    )
    draft = drafted(workspace, FEWER, more)
    propose(workspace)
    assert rights_commands.approve(workspace.root, draft, "mlr-lead")["missing"] == ["compliance-lead"]
    with pytest.raises(WorkspaceError, match="cannot be approved") as raised:
        rights_commands.approve(workspace.root, draft, "mlr-lead")
    assert raised.value.faults == ("`mlr-lead` has approved it already",)
    assert rights_commands.approve(workspace.root, draft, "compliance-lead")["missing"] == []
    with pytest.raises(WorkspaceError, match="approved already"):
        rights_commands.approve(workspace.root, draft, "owner-authority")


def test_what_one_person_owns_alone_needs_somebody_beside(workspace: Workspace) -> None:
    draft = drafted(workspace, ("value: 200\n", "value: 300\n"))
    assert propose(workspace, by="owner-authority")["may_approve"] == ["compliance-lead"]
    assert rights_commands.approve(workspace.root, draft, "compliance-lead")["from"] is not None


def test_a_change_on_top_of_what_is_no_longer_in_force_is_refused(workspace: Workspace) -> None:
    first = drafted(workspace, FEWER)
    propose(workspace)
    second = drafted(workspace, ("version: 2\n", "version: 3\n"), ("value: 200\n", "value: 300\n"))
    propose(workspace)
    rights_commands.approve(workspace.root, first, "owner-authority")
    with pytest.raises(WorkspaceError) as raised:
        rights_commands.approve(workspace.root, second, "owner-authority")
    assert "came into force after it was proposed" in raised.value.faults[0]


@pytest.mark.parametrize(
    ("change", "by", "fault"),
    [
        ((), "owner-email", "it changes nothing"),
        ((FEWER,), "stranger", "`stranger` is not a person on file"),
        ((FEWER, ("version: 2\n", "version: 1\n")), "owner-email", "and 1 is in force: raise it"),
        ((("consent = 'opt_out'", "konsent = 'opt_out'"),), "owner-email", "did you mean `consent`?"),
    ],
)
def test_what_cannot_be_proposed_is_refused_with_every_reason(workspace: Workspace, change: tuple[tuple[str, str], ...], by: str, fault: str) -> None:
    drafted(workspace, *change)
    with pytest.raises(RemitError) as raised:
        propose(workspace, by)
    assert any(fault in each for each in raised.value.faults)


def test_a_change_that_breaks_an_invariant_is_neither_proposed_nor_approved(workspace: Workspace) -> None:
    loose = ("when: channel = 'email' AND purpose = 'promotional' AND consent <> 'opt_in'", "when: channel = 'email' AND consent = 'opt_out'")
    file = workspace.root / "invariants.yaml"
    kept = file.read_text()
    draft = drafted(workspace, loose, (" AND consent = 'opt_in'\n", "\n"))
    with pytest.raises(WorkspaceError) as raised:
        propose(workspace)
    assert any("it breaks `email-opt-in`: " in fault for fault in raised.value.faults)
    file.write_text("invariants: []\n")
    propose(workspace)
    file.write_text(kept)
    with pytest.raises(WorkspaceError, match="cannot be approved") as raised:
        rights_commands.approve(workspace.root, draft, "owner-authority")
    assert any("it breaks `email-opt-in`: " in fault for fault in raised.value.faults)


def test_a_later_date_leaves_the_version_before_in_force_until_then(workspace: Workspace) -> None:
    before = table_of(workspace, "cycle-0002")
    draft = drafted(workspace, FEWER, ("\nowner: owner-authority\n", "\nowner: owner-authority\neffective: 2026-01-25\n"))
    propose(workspace)
    rights_commands.approve(workspace.root, draft, "owner-authority")
    assert [table_of(workspace, run_cycle(workspace, 1, quiet).cycle) for _ in range(2)] == [before, draft]


def test_an_expired_table_stops_the_cycle_and_says_why(workspace: Workspace) -> None:
    draft = drafted(workspace, ("\nowner: owner-authority\n", "\nowner: owner-authority\nexpires: 2026-01-18\n"))
    propose(workspace)
    rights_commands.approve(workspace.root, draft, "owner-authority")
    with pytest.raises(WorkspaceError, match="is in force from ever until 2026-01-18"):
        run_cycle(workspace, 1, quiet)


def test_an_approved_text_that_is_gone_is_missed(workspace: Workspace) -> None:
    held = rights_commands.log(workspace.root)["in_force"]
    drafted(workspace, FEWER)
    (workspace.objects / held).unlink()
    with pytest.raises(WorkspaceError, match="not as they were"):
        run_cycle(workspace, 1, quiet)


@pytest.mark.parametrize(
    ("kind", "name", "people", "says"),
    [
        ("agent", "email", {"owner-email", "compliance-lead"}, "may stop it"),
        ("threshold", "most_contacts", {"compliance-lead", "owner-authority"}, "contact-cap"),
        ("model", "response", {"data-steward", "medical-lead"}, "watches it"),
        ("row", "content-expiring", {"mlr-lead", "owner-authority"}, "answers for the row"),
        ("decision", "cycle-0001/0", {"owner-calls-alpha"}, "answers for the agent"),
    ],
)
def test_who_answers_is_told(workspace: Workspace, kind: str, name: str, people: set[str], says: str) -> None:
    told = rights_commands.who(workspace.root, kind, name)
    assert people <= {each["person"] for each in told["people"]}
    assert says in told["says"] + " ".join(each["may"] for each in told["people"])


@pytest.mark.parametrize(("kind", "name", "do"), [("moon", "x", "decision, threshold"), ("threshold", "most_contact", "did you mean `most_contacts`?")])
def test_asking_for_what_there_is_not_says_what_there_is(workspace: Workspace, kind: str, name: str, do: str) -> None:
    with pytest.raises(WorkspaceError) as raised:
        rights_commands.who(workspace.root, kind, name)
    assert do in str(raised.value)


def test_a_markets_rules_apply_and_are_missed_where_they_are_not(tmp_path: Path) -> None:
    workspace = small(tmp_path / "w")
    pack = workspace.root / "packs" / "us.yaml"
    pack.write_text(pack.read_text().replace("when: purpose = 'promotional' AND content_status <> 'approved'", "when: channel = 'call' AND product = 'beta'"))
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    assert done.result.decisions.filter(channel="call", product="beta")["rules"].str.contains("us:content-off-file").all()
    assert {verdict.obligations for verdict in done.result.verdicts if verdict.rules == ("calls-alpha-calls",)} == {("include-isi",)}
    listed = (workspace.out / done.cycle / "call-rep-0001.csv").read_text().splitlines()
    assert all("include-isi" in row for row in listed[1:])
    decision = next(row for row in listed[1:]).rpartition(",")[2]
    assert "the important safety information goes with it" in " ".join(commands.explain(decision, workspace.root, None)["says"])
    pack.unlink()
    with pytest.raises(WorkspaceError, match="does not fit") as raised:
        run_cycle(workspace, 1, quiet)
    assert "remit authority pack US" in raised.value.faults[0]
    rights_commands.pack(workspace.root, "us")
    assert run_cycle(open_workspace(workspace.root), 1, quiet).result is not None
    with pytest.raises(WorkspaceError, match="there already"):
        rights_commands.pack(workspace.root, "US")


def test_a_first_table_that_cannot_be_used_is_one_message(tmp_path: Path, remit: Remit) -> None:
    workspace = small(tmp_path / "w")
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text().replace("consent = 'opt_out'", "konsent = 'opt_out'", 1))
    ran = remit("run", "-w", workspace.root)
    assert (ran.returncode, "konsent" in ran.stderr, "Traceback" in ran.stderr) == (2, True, False)


def test_owners_who_must_be_told_are(tmp_path: Path) -> None:
    workspace = small(tmp_path / "w")
    table = workspace.root / "authority.yaml"
    table.write_text(
        table.read_text()
        + "\nobligations:\n  - {id: told, when: channel = 'msl_visit', must: [notify-owner], owner: head, reason: To see it work.}\n".replace(
            "head", "owner-msl"
        )
    )
    done = run_cycle(workspace, 1, quiet)
    notice = (workspace.out / done.cycle / "notice-owner-msl.csv").read_text().splitlines()
    assert len(notice) == len((workspace.out / done.cycle / "msl_visit-msl-0001.csv").read_text().splitlines()) > 1


def test_the_command_line_says_it(workspace: Workspace, remit: Remit) -> None:
    draft = drafted(workspace, FEWER)
    at = ("-w", workspace.root)
    assert "compliance-lead or owner-authority may approve it" in remit("authority", "propose", "--by", "owner-email", "--reason", "less", *at).stdout
    refused = remit("authority", "approve", draft[:10], "--by", "owner-email", *at)
    assert (refused.returncode, "another person must approve" in refused.stderr) == (2, True)
    assert "It is in force." in remit("authority", "approve", draft[:10], "--by", "compliance-lead", *at).stdout
    assert json.loads(remit("authority", "log", "--json", *at).stdout)["in_force"] == draft
    assert "may stop it" in remit("who", "agent", "email", *at).stdout
    assert rights.BESIDE in remit("who", "agent", "msl", *at).stdout


def test_who_has_left_is_replaced_by_two_who_have_not(workspace: Workspace) -> None:
    """The owners of rows and of the table are gone but for one: it decides nothing any more, and can be mended all the same."""
    gone, people, table = "owner-authority", workspace.root / "people.yaml", workspace.root / "authority.yaml"
    owners = {each for each in re.findall(r"owner: ([a-z-]+)", table.read_text()) if each.startswith("owner-")} - {"owner-email"}
    assert gone in owners
    text = people.read_text()
    for owner in owners:
        text = re.sub(rf"^({owner}: {{roles: \[[a-z-]+\])}}", r"\1, until: 2026-01-01T00:00:00Z}", text, flags=re.MULTILINE)
    people.write_text(text)
    with pytest.raises(RemitError, match="cannot be used"):
        run_cycle(workspace, 1, quiet)
    rules = workspace.root / "invariants.yaml"
    rules.write_text(re.sub(r"owner: owner-[a-z-]+", "owner: owner-email", rules.read_text()))
    draft = drafted(workspace, *[(f"owner: {owner}", "owner: owner-email") for owner in owners for _ in range(table.read_text().count(f"owner: {owner}"))])
    told = propose(workspace)
    assert told["may_approve"] == ["compliance-lead"]
    done = rights_commands.approve(workspace.root, draft, "compliance-lead")
    assert done["missing"] == []
    for path in (workspace.root / "agents").glob("*.yaml"):
        path.write_text(re.sub(r"owner: [a-z-]+", "owner: owner-email", path.read_text()))
    assert table_of(workspace, run_cycle(workspace, 1, quiet).cycle) == draft


def test_what_somebody_owned_who_has_left_is_the_table_owners_to_answer_for_and_then_compliances(workspace: Workspace) -> None:
    """Two people who own something else do not take away what a third had forbidden."""
    people, table = workspace.root / "people.yaml", workspace.root / "authority.yaml"
    written = people.read_text()
    people.write_text(written.replace("mlr-lead: {roles: [mlr]}", "mlr-lead: {roles: [mlr], until: 2026-01-01T00:00:00Z}\nmlr-two: {roles: [mlr]}"))
    count, rows = table.read_text().count("owner: mlr-lead"), table.read_text()
    trifle = "  - {id: trifle, when: channel = 'fax', verdict: forbidden, owner: owner-msl, reason: A test.}\n"
    draft = drafted(workspace, *[("owner: mlr-lead", "owner: owner-email")] * count, ("\nrows:\n", f"\nrows:\n{trifle}"))
    rules = workspace.root / "invariants.yaml"
    rules.write_text(rules.read_text().replace("owner: mlr-lead", "owner: owner-email"))
    told = propose(workspace)
    assert count > 0, rows
    assert told["may_approve"] == ["owner-authority", "owner-msl"]
    assert rights_commands.approve(workspace.root, draft, "owner-msl")["missing"] == ["owner-authority"]
    assert rights_commands.approve(workspace.root, draft, "owner-authority")["missing"] == []
