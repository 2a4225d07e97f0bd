"""What the documents say, run as they say it."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from remit.agents import read_charter, read_people
from remit.agents.proposers import PROPOSERS
from remit.authority import gaps, load_table
from remit.gateway import TOKEN_SCOPES
from remit.ledger import SCHEMAS
from remit.runtime.settings import read_settings
from remit.terms.documents import Document
from remit.terms.facts import FACTS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAGE = (ROOT / "docs/concepts/workspace.md").read_text()


def _blocks(page: str) -> list[str]:
    """What stands indented."""
    return [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)]


def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/tutorial.md").read_text(), re.MULTILINE | re.DOTALL))
    assert script.count("remit ") > 12
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    ran = subprocess.run(["bash", "-eu", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    waiting = re.findall(r"^.*\bcalls-alpha\b.*\bwaiting\b.*$", ran.stdout, re.MULTILINE)
    assert len(waiting) == 3, ran.stdout[-4000:]
    assert all("alpha-by-hand" in line for line in waiting)
    for word in ("alpha-by-hand", "Everything is as it was recorded.", "the same", "are gone"):
        assert word in ran.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_page_is_linked_from_another() -> None:
    linked = {(page.parent / link).resolve() for page in DOCUMENTS for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())}
    pages = [*ROOT.glob("docs/concepts/*.md"), *ROOT.glob("docs/reference/*.md")]
    assert sorted(page.name for page in pages if page.resolve() not in linked) == []


def test_the_ledgers_page_names_every_kind_of_entry() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs/concepts/ledger.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(schema.kind for schema in SCHEMAS.values())


def test_the_credentials_page_names_every_scope() -> None:
    page = (ROOT / "docs/concepts/agents-keys.md").read_text()
    assert [scope for scope in TOKEN_SCOPES if f"| `{scope}` | to " not in page] == []


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    """Every table of keys and values that is read from here on, with the keys that were asked for."""
    found, begin = list[Document](), Document.__init__

    def begun(self: Document, *given: object) -> None:
        begin(self, *given)  # type: ignore[arg-type]  # as it was called
        found.append(self)

    monkeypatch.setattr(Document, "__init__", begun)
    return found


def test_the_settings_on_the_workspaces_page_are_read_and_are_all_that_there_are(read: list[Document]) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    settings = read_settings(text, "the page")
    assert settings.holdout is not None
    assert settings.market is not None
    figures = {"inputs", "score", "calibration", "outcome"}  # as `precision`; all are on the page of gates
    assert {f"{document.path}.{key}" for document in read for key in document._asked if key not in document.names() and key not in figures} == set()


def test_the_people_on_the_workspaces_page_are_read() -> None:
    (text,) = [block for block in _blocks(PAGE) if block.startswith("owner-email:")]
    assert set(read_people(text, "the page")) == {"owner-email", "compliance-lead", "brand-lead-alpha"}


def test_the_workspaces_page_names_every_key_of_a_charter_and_every_setting_of_a_proposer(read: list[Document]) -> None:
    example = ROOT / "src/remit/runtime/examples/two-brands"
    people = read_people((example / "people.yaml").read_text(), "people.yaml")
    read_charter((example / "agents/email.yaml").read_text(), "", people)
    keys = {key for document in read if document.path == "" for key in document._asked} - people.keys()
    named = set(re.findall(r"`([a-z_-]+)`", PAGE[PAGE.index("## Charters") : PAGE.index("## Lists")]))
    assert keys >= {"agent", "rows", "reads"}
    assert keys | set(PROPOSERS) | {key for proposer in PROPOSERS.values() for key in proposer.settings} <= named


def test_the_agent_of_the_gateways_page_may_act_by_the_row_beside_it() -> None:
    example = ROOT / "src/remit/runtime/examples/two-brands"
    people = read_people((example / "people.yaml").read_text(), "people.yaml")
    blocks = _blocks((ROOT / "docs/concepts/gateway.md").read_text())
    (charter,) = [read_charter(block, "the page", people) for block in blocks if block.startswith("agent:")]
    (row,) = [block for block in blocks if block.startswith("- id:")]
    table = (example / "authority.yaml").read_text()
    assert len(gaps(load_table(table, people, FACTS, 0).rules, [charter])) == 1
    assert gaps(load_table(f"{table}\n{textwrap.indent(row, '  ')}", people, FACTS, 0).rules, [charter]) == []


def test_the_reference_is_what_the_docstrings_say() -> None:
    checked = subprocess.run([sys.executable, ROOT / "docs/reference/make.py", "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_readme_names_the_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"    make ([a-z]+)", (ROOT / "README.md").read_text())) <= targets
