"""`remit outcomes nowcast`: the newest weeks are shown as what they will have been, from every restatement that the last cycle knew."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from remit.intake import read
from remit.runtime import commands, nowcasts, render_findings
from remit.runtime.init import create
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.errors import RemitError
from remit.terms.instants import parse_instant

Remit = Callable[..., subprocess.CompletedProcess[str]]


def test_reported_is_what_a_plain_read_sums_to_and_expected_is_more(workspace: Workspace) -> None:
    """Per product the reported total is that of the newest row of each cell, and a period that is known in part is expected to grow within its interval."""
    result = nowcasts.told(workspace)
    rows = read(workspace.warehouse, "rx", parse_instant(result["as_of"]))
    assert [product["product"] for product in result["products"]] == ["alpha", "beta", "gamma"]
    for product in result["products"]:
        sums = dict(rows.filter(product=product["product"]).group_by("period").agg(pl.col(product["outcome"]).sum()).iter_rows())
        part = [row for row in product["periods"] if row["share"] is not None and row["share"] < 0.97]
        assert part
        for row in part:
            assert row["reported"] == sums[row["period"]]
            assert row["reported"] < row["expected"]
            assert row["low"] < row["expected"] < row["high"]


def test_the_week_of_which_nothing_has_come_is_told_from_the_trend(workspace: Workspace) -> None:
    """The newest week has no report and no share, and an expected total near those of the weeks before."""
    for product in nowcasts.told(workspace)["products"]:
        *before, newest = product["periods"]
        assert newest["reported"] is None
        assert newest["share"] is None
        assert newest["expected"] == pytest.approx(before[-1]["expected"], rel=0.5)


def test_the_command_prints_a_table_and_the_same_as_json(workspace: Workspace, remit: Remit) -> None:
    """Text names every open period and says of which nothing has come; `--json` is what the function returns."""
    text, data = remit("outcomes", "nowcast", "-w", workspace.root), remit("outcomes", "nowcast", "-w", workspace.root, "--json")
    result = commands.outcomes_nowcast(workspace.root)
    assert json.loads(data.stdout) == result
    assert "nothing yet" in text.stdout
    assert all(row["period"] in text.stdout for product in result["products"] for row in product["periods"])


def test_a_settled_history_says_so(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A product without open periods is printed as settled, not left out."""
    result = commands.outcomes_nowcast(workspace.root)
    result["products"] = [product | {"periods": []} for product in result["products"]]
    render_findings.outcomes_nowcast(result)
    assert capsys.readouterr().out.count("all settled") == 3


def test_without_a_cycle_there_is_nothing_to_tell(tmp_path: Path, remit: Remit) -> None:
    """A workspace that has never run is refused with one message, not with a traceback."""
    create(tmp_path / "new", "two-brands", None, 20)
    with pytest.raises(RemitError):
        nowcasts.told(open_workspace(tmp_path / "new"))
    ran = remit("outcomes", "nowcast", "-w", tmp_path / "new")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
