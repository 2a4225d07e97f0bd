"""`remit authority`: check, prove and diff on workspaces as people have them."""

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from remit.authority import AuthorityError, authorize, broken, gaps, load_invariants, load_table, unreached
from remit.ledger import read_ledger
from remit.runtime import assessing, weighing
from remit.runtime.countries import bundled, company_texts, open_world
from remit.runtime.differing import differed
from remit.runtime.errors import WorkspaceError
from remit.runtime.init import EXAMPLES
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.facts import FACTS
from tests.runtime.conftest import small

Remit = Callable[..., "CompletedProcess[str]"]


def example_texts(name: str) -> dict[str, str]:
    folder = files("remit.runtime") / "examples" / name
    names = ("remit.toml", "people.yaml", "authority.yaml", "invariants.yaml", *(f"agents/{path.name}" for path in (folder / "agents").iterdir()))
    packs = {"packs/us.yaml": (files("remit.runtime") / "packs" / "us.yaml").read_text("utf-8")} if name == "two-brands" else {}
    return {path: (folder / path).read_text("utf-8") for path in names} | packs


COMPANIES = [*EXAMPLES, *(f"world {name}" for name in bundled())]


@pytest.mark.parametrize("company", COMPANIES)
def test_every_table_that_comes_with_remit_keeps_its_invariants_and_has_nothing_to_mend(company: str) -> None:
    texts = example_texts(company) if company in EXAMPLES else company_texts(open_world(company.removeprefix("world ")), 1)
    config = read_config(texts)
    table = load_table(config.table_text, config.people, FACTS, config.settings.first)
    invariants = load_invariants(texts["invariants.yaml"], config.people, FACTS, config.settings.first)
    assert len(invariants) >= 12
    assert [refutation.says for refutation in broken(table, invariants)] == []
    assert [found.says for found in unreached(table.rules)] == []
    assert [(found.agent, found.says) for found in gaps(table.rules, config.charters)] == []


@pytest.mark.parametrize("company", EXAMPLES)
def test_every_invariant_of_an_example_can_be_broken_by_leaving_rows_out(company: str) -> None:
    """None of them holds for nothing: without the rows that forbid or ask, the rows that let pass break them all, or do so once widened to everything."""
    config = read_config(example_texts(company))
    text = re.split(r"^(?:thresholds|rows):$", config.table_text, maxsplit=1, flags=re.MULTILINE)[0]
    rows = "rows:\n  - {id: all, when: TRUE, verdict: autonomous, owner: owner-authority, reason: All.}\n"
    invariants = load_invariants(example_texts(company)["invariants.yaml"], config.people, FACTS, 0)
    open_table = load_table(text + rows, config.people, FACTS, 0)
    assert [found.invariant for found in broken(open_table, invariants)] == list(invariants)


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run."""
    return small(tmp_path / "w", 30)


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


UNAPPROVED = ("when: purpose = 'promotional' AND content_status <> 'approved'", "when: purpose = 'promotional' AND content_status = 'withdrawn'")


def test_prove_says_of_each_invariant_that_it_holds(fresh: Workspace, remit: Remit) -> None:
    ran = remit("authority", "prove", "-w", fresh.root)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "Decision rights for two brands, version 1, 34 rows, as of 2026-01-05T06:00:00Z."
    assert lines[-1] == "18 of 18 proved for all facts there can be, unknown ones included; 0 broken."
    assert sum(line.startswith("proved  ") for line in lines) == 18


def test_prove_shows_an_example_in_words_and_exits_with_1_where_the_table_breaks_an_invariant(fresh: Workspace, remit: Remit) -> None:
    edit(fresh.root / "authority.yaml", UNAPPROVED)
    ran = remit("authority", "prove", "-w", fresh.root)
    assert ran.returncode == 1
    assert "BROKEN  promotion-approved: Promotion never carries content that MLR has not approved for this channel and product." in ran.stdout
    assert (
        "It must be forbidden. But: A call of the agent `calls-alpha` about `alpha`, where purpose is `promotional`, the content's status is `other` and the "
        "content is approved for this channel and product, is autonomous by the row `calls-alpha-calls`."
    ) in " ".join(ran.stdout.split())
    assert "its owner is mlr-lead." in ran.stdout
    assert "16 of 18 proved" in ran.stdout


def test_the_example_in_json_gets_the_verdict_that_it_shows(fresh: Workspace, remit: Remit) -> None:
    edit(fresh.root / "authority.yaml", UNAPPROVED)
    ran = remit("authority", "prove", "-w", fresh.root, "--json")
    assert ran.returncode == 1
    told = json.loads(ran.stdout)
    config = read_config(config_texts(fresh))
    table = config.table(config.settings.first)
    found = [one for one in told["invariants"] if not one["proved"]]
    assert (told["broken"], [one["id"] for one in found]) == (2, ["content-approved", "promotion-approved"])
    for one in found:
        verdict = authorize(one["facts"], table)
        assert (verdict.ruling, list(verdict.rules)) == (one["verdict"]["ruling"], one["verdict"]["rules"])
        assert verdict.ruling != one["at_least"]


def test_prove_reads_another_file_and_tells_an_invariant_that_demands_nothing(fresh: Workspace, remit: Remit, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(
        "invariants:\n  - id: slip\n    says: Nothing happens often.\n    when: touch > 5 AND touch < 3\n    at_least: confirm\n    owner: owner-authority\n"
        "  - id: dear\n    says: What is dear is asked.\n    when: value > 200 AND purpose = 'promotional'\n    at_least: confirm\n    owner: owner-authority\n"
    )
    ran = remit("authority", "prove", "-w", fresh.root, "--invariants", other)
    assert ran.returncode == 1
    assert "proved  dear: What is dear is asked." in ran.stdout
    assert "Its condition can never be true, so it demands nothing" in ran.stdout


def test_a_workspace_without_invariants_is_told_how_to_get_some(fresh: Workspace, remit: Remit) -> None:
    (fresh.root / "invariants.yaml").unlink()
    ran = remit("authority", "prove", "-w", fresh.root)
    assert ran.returncode == 2
    assert "there are no invariants to prove" in ran.stderr
    assert "docs/concepts/proofs.md" in ran.stderr


def test_faults_of_the_invariants_are_told_at_once_with_their_lines(fresh: Workspace, remit: Remit) -> None:
    edit(fresh.root / "invariants.yaml", ("channel <> 'msl_visit' AND", "chanel <> 'msl_visit' AND"), ("at_least: confirm", "at_least: ask"))
    ran = remit("authority", "prove", "-w", fresh.root)
    assert ran.returncode == 2
    assert "fact `chanel` is not in the dictionary; did you mean `channel`?" in ran.stderr
    assert ran.stderr.count("at_least `ask` is not one of confirm, forbidden") == 6
    assert len(re.findall(r"- line \d+: invariant `", ran.stderr)) == 7


def test_a_file_of_invariants_that_is_no_text_is_refused(fresh: Workspace) -> None:
    (fresh.root / "invariants.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(WorkspaceError, match="the invariants cannot be read"):
        assessing.proved(fresh, None)
    with pytest.raises(WorkspaceError, match="the invariants cannot be read"):
        assessing.proved(fresh, fresh.root)


def test_check_finds_nothing_to_mend_and_lists_what_gives_way_to_what(fresh: Workspace, remit: Remit) -> None:
    ran = remit("authority", "check", "-w", fresh.root)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "`msl-visits` gives way to hcp-unknown, charter-ended, charter-scope, opted-out" in ran.stdout
    assert ran.stdout.rstrip().endswith("Nothing to mend.")


def test_check_tells_idle_rows_gaps_and_owners_who_left_and_exits_with_1(fresh: Workspace, remit: Remit) -> None:
    edit(
        fresh.root / "authority.yaml",
        ("when: match_confidence < 0.85", "when: match_confidence < 0.5"),
        ("product IN ('alpha', 'beta') AND purpose = 'medical'", "product = 'alpha' AND purpose = 'medical'"),
    )
    edit(fresh.root / "agents" / "msl.yaml", ("msl_visit]", "msl_visit, email]"))
    edit(
        fresh.root / "people.yaml",
        ("owner-email: {roles: [agent-owner]}", 'owner-email: {roles: [agent-owner], until: "2026-01-01T00:00:00Z"}'),
        ("mlr-lead: {roles: [mlr]}", 'mlr-lead: {roles: [mlr], until: "2026-01-20T00:00:00Z"}'),
    )
    ran = remit("authority", "check", "-w", fresh.root)
    assert ran.returncode == 1
    said = " ".join(ran.stdout.split())
    assert "`match-doubtful`, always overruled: It never decides: wherever it applies, the row `match-low` applies too, and wins." in said
    assert "msl, email, alpha: It is always forbidden by the row `medical-apart`." in said
    assert "msl, msl_visit, beta: It is always forbidden by" not in said
    assert "owner-email left on 2026-01-01T00:00:00Z: row `email-sends`, charter `email`" in said
    assert "mlr-lead leaves on 2026-01-20T00:00:00Z" in said
    told = json.loads(remit("authority", "check", "-w", fresh.root, "--json").stdout)
    assert told["faults"] == 4
    assert {(one["agent"], one["channel"], one["product"], one["ruling"]) for one in told["gaps"]} >= {("msl", "msl_visit", "beta", "confirm")}
    assert all(one["facts"] and one["says"] for one in told["overlaps"])


def test_a_table_that_cannot_be_used_is_refused_by_check_and_prove_alike(fresh: Workspace) -> None:
    edit(fresh.root / "authority.yaml", ("when: NOT hcp_known", "when: NOT hcp_knwon"))
    for command in (assessing.checked, lambda place: assessing.proved(place, None)):
        with pytest.raises(AuthorityError, match="did you mean `hcp_known`"):
            command(fresh)


STRICTER = [
    ("version: 1", "version: 2"),
    ("when: match_confidence < 0.6", "when: match_confidence < 0.8"),
    ("value: 8\n    owner: compliance-lead", "value: 3\n    owner: compliance-lead"),
    ("deadline: 3 days", "deadline: 2 days"),
]


def changed(workspace: Workspace, *changes: tuple[str, str]) -> Path:
    path = workspace.root / "other.yaml"
    path.write_text((workspace.root / "authority.yaml").read_text())
    edit(path, *changes)
    return path


def by_hand(workspace: Workspace, file: Path) -> Counter[tuple[str, str, str]]:
    """Each recorded decision put through `authorize`, one by one, under the table in force and the other; two confirms differ by what they ask."""
    config = read_config(config_texts(workspace))
    was, then = (load_table(text, config.people, FACTS, 0) for text in (config.table_text, file.read_text()))
    found: Counter[tuple[str, str, str]] = Counter()
    with closing(read_ledger(workspace.ledger)) as records:
        for entry in records.entries(kind="cycle"):
            for segment in records.segments(entry.cycle, "decisions"):
                for row in records.read_segment(segment).frame.iter_rows(named=True):
                    one, other = authorize(row, was), authorize(row, then)
                    assert one.ruling == row["ruling"]
                    if one.ruling != other.ruling:
                        found[(row["agent"], one.ruling.value, other.ruling.value)] += 1
                    elif (set(one.roles), one.deadline_us, one.on_timeout) != (set(other.roles), other.deadline_us, other.on_timeout):
                        found[(row["agent"], "confirm", "confirm otherwise")] += 1
    return found


def test_diff_counts_by_agent_and_verdict_what_would_have_come_out_otherwise(workspace: Workspace) -> None:
    file = changed(workspace, *STRICTER)
    told = differed(workspace, "v1", str(file), None)
    counted = {(one["agent"], one["from"], one["to"]): one["decisions"] for one in told["changes"]}
    assert counted == dict(by_hand(workspace, file))
    assert {to for _, _, to in counted} == {"forbidden", "confirm otherwise"}
    assert told["differ"] == sum(counted.values())
    assert all(one["examples"] for one in told["changes"])


def test_the_examples_of_diff_are_decisions_that_explain_takes_and_whose_rows_it_names(workspace: Workspace, remit: Remit) -> None:
    ran = remit("authority", "diff", "v1", changed(workspace, *STRICTER), "-w", workspace.root)
    assert (ran.returncode, ran.stderr) == (0, "")
    example, rows = re.findall(r"remit explain (\S+) .*A: (\S+?);", ran.stdout)[0]
    explained = remit("explain", example, "-w", workspace.root)
    assert explained.returncode == 0
    assert f"by {rows}." in explained.stdout


def test_diff_counts_only_what_was_decided_since_an_instant(workspace: Workspace) -> None:
    file = changed(workspace, *STRICTER)
    everything, late = differed(workspace, "v1", str(file), None), differed(workspace, "v1", str(file), "2026-01-12")
    assert (everything["cycles"], late["cycles"]) == (2, 1)
    assert 0 < late["decisions"] < everything["decisions"]
    assert {example["decision"].split("/")[0] for one in late["changes"] for example in one["examples"]} == {"cycle-0002"}
    with pytest.raises(WorkspaceError, match="no decision was recorded since 2027-01-01"):
        differed(workspace, "v1", str(file), "2027-01-01")


def test_a_table_and_itself_differ_in_nothing(workspace: Workspace, remit: Remit) -> None:
    ran = remit("authority", "diff", "v1", workspace.root / "authority.yaml", "-w", workspace.root)
    assert ran.returncode == 0
    assert "0 would have come out otherwise under B." in ran.stdout


def test_a_version_is_one_that_a_cycle_recorded_or_the_workspaces_own(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"no cycle has recorded a table of version 2(.|\n)*There are v1"):
        differed(workspace, "v1", "v2", None)
    edit(workspace.root / "authority.yaml", *STRICTER)
    told = differed(workspace, "v1", "v2", None)
    assert (told["was"]["version"], told["then"]["version"]) == (1, 2)
    assert told["differ"] > 0


def test_two_tables_that_say_they_are_one_version_must_be_named_by_file(workspace: Workspace) -> None:
    edit(workspace.root / "authority.yaml", *STRICTER[1:])
    with pytest.raises(WorkspaceError, match="2 tables all say that they are version 1") as raised:
        differed(workspace, "v1", "v1", None)
    recorded, own = raised.value.faults
    assert differed(workspace, recorded, own, None)["differ"] > 0


def test_a_table_that_is_not_there_or_faulty_is_refused(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="the table cannot be read"):
        differed(workspace, "v1", "nowhere.yaml", None)
    with pytest.raises(AuthorityError, match="did you mean `consent`"):
        differed(workspace, "v1", str(changed(workspace, ("consent <> 'opt_in'", "consnt <> 'opt_in'"))), None)


def test_a_fact_that_was_not_recorded_with_a_decision_is_unknown(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a later release knows more facts than the one that recorded: a row on such a fact forbids."""
    with closing(read_ledger(workspace.ledger)) as records:
        whole = {entry.cycle: frame for entry, frame in weighing.decided(records)}
        monkeypatch.setattr(weighing, "FACTS", {**FACTS, "newer": FACTS["consent"]})
        for entry, frame in weighing.decided(records):
            assert frame.drop("newer").equals(whole[entry.cycle])
            assert frame["newer"].dtype == pl.Null
            assert frame["newer"].null_count() == frame.height


def test_diff_says_where_no_cycle_has_run(fresh: Workspace, remit: Remit) -> None:
    ran = remit("authority", "diff", "v1", "v1", "-w", fresh.root)
    assert ran.returncode == 2
    assert "ledger" in ran.stderr
