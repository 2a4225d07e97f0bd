"""`remit shadow`: what a table, an agent or all of Remit would have done over recorded cycles, without doing anything."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from remit.agents import AgentError
from remit.intake import read
from remit.ledger import read_ledger
from remit.runtime import commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.portfolio import shadow
from remit.runtime.record import STREAM
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.instants import FOREVER, WEEK

Remit = Callable[..., "CompletedProcess[str]"]


def quiet(stage: str) -> None:
    """Tells nobody."""


def decisions(workspace: Workspace, cycle: str) -> pl.DataFrame:
    with closing(read_ledger(workspace.ledger)) as records:
        return pl.concat([records.read_segment(each).frame for each in records.segments(cycle, STREAM)])


def table(workspace: Workspace, tmp_path: Path, old: str = "", new: str = "", more: str = "") -> Path:
    """The workspace's table, changed."""
    text = (workspace.root / "authority.yaml").read_text()
    assert old in text
    (tmp_path / "table.yaml").write_text(text.replace(old, new, 1) + more if old else text + more)
    return tmp_path / "table.yaml"


def files(workspace: Workspace) -> dict[Path, bytes]:
    kept = (path for path in workspace.root.rglob("*") if path.is_file() and path.suffix not in (".db-shm", ".db-wal"))
    return {path: path.read_bytes() for path in kept if not path.name.endswith(("-shm", "-wal"))}


def test_the_table_that_ruled_would_have_changed_nothing_and_nothing_is_written(workspace: Workspace, tmp_path: Path) -> None:
    before = files(workspace)
    result = shadow.would(workspace.root, table(workspace, tmp_path), None, None, 1, quiet)
    assert [cycle["cycle"] for cycle in result["cycles"]] == ["cycle-0001", "cycle-0002"]
    for cycle in result["cycles"]:
        assert (cycle["actions"]["added"], cycle["actions"]["dropped"]) == (0, 0)
        assert cycle["actions"]["recorded"] > 0
        assert all(value["recorded"] == value["shadow"] for value in cycle["value"].values())
        assert cycle["waiting"]["recorded"] == cycle["waiting"]["shadow"]
    assert files(workspace) == before


def test_a_table_that_forbids_an_agent_gives_its_room_to_others(workspace: Workspace, tmp_path: Path) -> None:
    row = "\n  - {id: no-beta, when: agent = 'calls-beta', verdict: forbidden, owner: compliance-lead, reason: A test.}\n"
    (cycle,) = shadow.would(workspace.root, table(workspace, tmp_path, more=row), None, 1, 1, quiet)["cycles"]
    agents = {each["agent"]: each for each in cycle["agents"]}
    assert (agents["calls-beta"]["shadow"], agents["calls-beta"]["dropped"]) == (0, agents["calls-beta"]["recorded"])
    promotional = cycle["value"]["promotional"]
    assert promotional["shadow"] < promotional["recorded"]
    assert cycle["value"]["medical"]["shadow"] == cycle["value"]["medical"]["recorded"]


def test_a_table_that_asks_more_often_leaves_more_waiting(workspace: Workspace, tmp_path: Path) -> None:
    (cycle,) = shadow.would(workspace.root, table(workspace, tmp_path, "value: 200", "value: 1"), None, 1, 1, quiet)["cycles"]
    assert cycle["waiting"]["shadow"] > cycle["waiting"]["recorded"]
    assert cycle["actions"]["added"] == 0


NEW = "\n  - {id: new-calls, when: agent = 'calls-new' AND channel = 'call', verdict: autonomous, owner: owner-calls-alpha, reason: A test.}\n"


def charter(workspace: Workspace, tmp_path: Path, **changes: str) -> Path:
    text = (
        (workspace.root / "agents" / "calls-alpha.yaml")
        .read_text()
        .replace("agent: calls-alpha", "agent: calls-new")
        .replace("cost_minor: 100", "cost_minor: 10")
    )
    for old, new in changes.items():
        text = text.replace(old, new)
    (tmp_path / "new.yaml").write_text(text)
    return tmp_path / "new.yaml"


def test_an_agent_in_the_shadow_gets_what_it_would_get_in_a_cycle(workspace: Workspace, tmp_path: Path) -> None:
    """The same cycle, once with the agent in the shadow and once with it at work."""
    changed = table(workspace, tmp_path, more=NEW)
    (workspace.root / "authority.yaml").write_text(changed.read_text())
    shutil.copytree(workspace.root, tmp_path / "at-work")
    shutil.copy(charter(workspace, tmp_path), tmp_path / "at-work" / "agents" / "calls-new.yaml")
    at_work = open_workspace(tmp_path / "at-work")
    run_cycle(at_work, 1, quiet)
    run_cycle(workspace, 1, quiet)
    (cycle,) = shadow.would(workspace.root, None, charter(workspace, tmp_path), 1, 1, quiet)["cycles"]
    done = decisions(at_work, "cycle-0003")
    own = done.filter(pl.col("agent") == "calls-new")
    chosen = done.filter(pl.col("disposition").is_in(["chosen", "waiting"]))
    assert cycle["agent"]["proposed"] == own.height > 0
    assert cycle["agent"]["rulings"] == dict(own.group_by("ruling").len().sort("ruling").iter_rows())
    assert {each["agent"]: each["shadow"] for each in cycle["agents"] if each["shadow"]} == dict(chosen.group_by("agent").len().iter_rows())
    with closing(read_ledger(at_work.ledger)) as records:
        plan = next(iter(records.entries(kind="cycle", cycle="cycle-0003"))).body["plans"]["promotional"]
    assert (cycle["value"]["promotional"]["shadow"], cycle["agent"]["displaced"]) == (plan["value"], plan["accounts"]["calls-new"]["displaced"])


def test_an_agent_that_no_row_lets_act_would_have_done_nothing_by_itself(workspace: Workspace, tmp_path: Path) -> None:
    (cycle,) = shadow.would(workspace.root, None, charter(workspace, tmp_path), 1, 1, quiet)["cycles"]
    rulings = cycle["agent"]["rulings"]
    assert set(rulings) <= {"confirm", "forbidden"}  # rows that ask a person ask of every agent
    assert rulings["forbidden"] > 100
    (own,) = [each for each in cycle["agents"] if each["agent"] == "calls-new"] or [{"shadow": 0}]
    assert own["shadow"] <= cycle["waiting"]["shadow"]


def test_what_cannot_run_in_the_shadow_is_refused(workspace: Workspace, tmp_path: Path, remit: Remit) -> None:
    with pytest.raises(AgentError, match="did not describe fax"):
        shadow.would(workspace.root, None, charter(workspace, tmp_path, **{"[call]": "[fax]"}), 1, 1, quiet)
    with pytest.raises(AgentError, match="not in the file of people"):
        shadow.would(workspace.root, None, charter(workspace, tmp_path, **{"owner: owner-calls-alpha": "owner: nobody"}), 1, 1, quiet)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        shadow.would(workspace.root, tmp_path / "no.yaml", None, 1, 1, quiet)
    for wrong in ((), ("--all-of-remit", "--agent", tmp_path / "new.yaml")):
        ran = remit("shadow", "-w", workspace.root, *wrong)
        assert (ran.returncode, "--all-of-remit alone" in ran.stderr) == (2, True)


def test_an_agent_is_refused_where_what_it_would_have_seen_is_gone(workspace: Workspace, tmp_path: Path) -> None:
    commands.erase(str(decisions(workspace, "cycle-0002")["hcp_id"][0]), workspace.root, "request")
    with pytest.raises(WorkspaceError, match="erased"):
        shadow.would(workspace.root, None, charter(workspace, tmp_path), 1, 1, quiet)


def test_all_of_remit_stands_beside_what_the_company_did(workspace: Workspace, remit: Remit) -> None:
    with pytest.raises(WorkspaceError, match="touches"):
        shadow.today(workspace.root, 1, quiet)
    run_cycle(workspace, 1, quiet)
    result = json.loads(remit("shadow", "-w", workspace.root, "--all-of-remit", "--json").stdout)
    assert [cycle["cycle"] for cycle in result["cycles"]] + result["untold"] == ["cycle-0001", "cycle-0002", "cycle-0003"]
    assert result["cycles"]
    touches = read(workspace.warehouse, "touches", FOREVER)
    for cycle in result["cycles"]:
        rows, planned = cycle["channels"], decisions(workspace, cycle["cycle"]).filter(pl.col("disposition").is_in(["chosen", "waiting"]))
        with closing(read_ledger(workspace.ledger)) as records:
            now = int(next(iter(records.entries(kind="cycle", cycle=cycle["cycle"]))).body["now"])
        made = touches.filter((pl.col("occurred_at") >= now) & (pl.col("occurred_at") < now + WEEK))
        assert (sum(row["today"] for row in rows), sum(row["remit"] for row in rows)) == (made.height, planned.height)
        assert made.height > 0
        assert all(row["both"] <= min(row["remit"], row["today"]) and row["not_proposed"] + row["forbidden"] <= row["today"] for row in rows)
        worth = cycle["value"]["promotional"]
        assert worth["today"] < worth["remit"]  # what was done chose by volume, under the same models and capacity
        assert cycle["asked_by_remit"] == 0
