"""What the documents say, run as they say it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


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


def test_the_reference_is_what_the_docstrings_say() -> None:
    checked = subprocess.run([sys.executable, ROOT / "docs/reference/make.py", "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_readme_names_the_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"    make ([a-z]+)", (ROOT / "README.md").read_text())) <= targets
