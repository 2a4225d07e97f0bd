"""`remit portfolio`: the register of a workspace, collisions from what was recorded, agents alone and together."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import openpyxl
import polars as pl
import pytest

from remit.agents import AgentError
from remit.agents.portfolio import Pilot, Reach, Universe
from remit.ledger import read_ledger
from remit.runtime import commands, record
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.init import create
from remit.runtime.portfolio import compare, overlaps, register
from remit.runtime.portfolio.overlaps import Reached
from remit.runtime.portfolio.page import compare_page
from remit.runtime.record import STREAM
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, open_workspace

Remit = Callable[..., "CompletedProcess[str]"]

PILOTS = """\
pilots:
  rep-copilot:
    objective: More new patients
    metric: {name: NBRx, direction: up, unit: NBRx}
    owner: owner-email
    channels: [call]
    products: [alpha]
    universe: {hcps: 50}
    sources: {rx: 1 month}
    status: pilot
    contacts_per_cycle: 25
  calls-alpha:
    content: the detail aid of spring
"""


def quiet(stage: str) -> None:
    """Tells nobody."""


def recorded(workspace: Workspace, cycle: str | None = None) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The decisions of a cycle (the last one), and its body."""
    with closing(read_ledger(workspace.ledger)) as records:
        name = cycle or last_cycle(records)
        return pl.concat([records.read_segment(each).frame for each in records.segments(name, STREAM)]), cycle_body(records, name)


# The register


def test_agents_under_charters_are_members_by_what_their_charters_say(workspace: Workspace) -> None:
    rows = {row["id"]: row for row in register.listed(workspace.root, None)["pilots"]}
    assert set(rows) == {"calls-alpha", "calls-beta", "email", "msl"}
    assert (rows["email"]["owner"], rows["email"]["channels"], rows["email"]["status"]) == ("owner-email", ["email"], "pilot")  # it is promised a floor
    assert (rows["msl"]["metric"]["unit"], rows["msl"]["purpose"], rows["calls-alpha"]["metric"]["unit"]) == ("points", "medical", "USD")
    assert (rows["calls-alpha"]["content_review"], rows["calls-alpha"]["holdout"]) == (True, False)  # the table lets nothing else out; nobody is held out


def test_a_table_that_lets_unapproved_content_out_is_seen(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text().replace("content_status <> 'approved'", "content_status = 'withdrawn'"))
    rows = {row["id"]: row for row in register.listed(workspace.root, None)["pilots"]}
    assert rows["email"]["content_review"] is False


def test_an_expired_charter_is_a_stopped_pilot(workspace: Workspace) -> None:
    charter = workspace.root / "agents" / "email.yaml"
    charter.write_text(charter.read_text().replace("2026-12-31", "2026-01-06"))
    rows = {row["id"]: row for row in register.listed(workspace.root, None)["pilots"]}
    assert rows["email"]["status"] == "stopped"


def test_pilots_written_by_hand_are_listed_and_complete_charters(workspace: Workspace) -> None:
    (workspace.root / "portfolio.yaml").write_text(PILOTS)
    rows = {row["id"]: row for row in register.listed(workspace.root, None)["pilots"]}
    assert (rows["rep-copilot"]["charter"], rows["rep-copilot"]["universe"]) == (False, {"hcps": 50})
    assert (rows["calls-alpha"]["content"], rows["calls-alpha"]["owner"]) == ("the detail aid of spring", "owner-calls-alpha")


def test_the_command_tells_every_fault_of_the_register_by_line(workspace: Workspace, remit: Remit) -> None:
    (workspace.root / "portfolio.yaml").write_text("pilots:\n  a: {status: live}\n  b: {objective: x, status: never}\n")
    ran = remit("portfolio", "-w", workspace.root)
    assert ran.returncode == 2
    assert "line 2: `pilots.a.objective` is missing" in ran.stderr
    assert "line 3: `pilots.b.status` is `never`" in ran.stderr
    (workspace.root / "portfolio.yaml").write_bytes(b"\xff")
    assert "Save it as UTF-8" in remit("portfolio", "-w", workspace.root).stderr


def test_the_command_prints_what_is_known_and_what_nobody_has_said(workspace: Workspace, remit: Remit) -> None:
    (workspace.root / "portfolio.yaml").write_text(PILOTS.replace("More new patients", "More [bold]new[/bold] patients"))
    ran = remit("portfolio", "-w", workspace.root)
    assert ran.returncode == 0
    assert "More [bold]new[/bold] patients" in ran.stdout  # text of others is never taken for markup
    assert re.search(r"stop contact: +not said", ran.stdout)


def sheet(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]  # a new one has a sheet
    book.save(path)
    return path


ROWS: list[list[object]] = [
    ["AI pilots"],
    [],
    ["Pilot name", "Objective", "Stage", "Business owner", "Channel", "Dienstleister"],
    ["Rep Copilot", "=1+1", "PoC", "owner-email", "F2F", "acme"],
    ["Fatigue guard", "Fewer sends", "live", None, "email", None],
]


def test_a_workbook_is_imported_once_and_again_only_to_replace(workspace: Workspace, tmp_path: Path, remit: Remit) -> None:
    file = sheet(tmp_path / "pilots.xlsx", [*ROWS[:3], ["Rep Copilot", "Sell", *ROWS[3][2:]], ROWS[4]])
    call = ("portfolio", "import", file, "-w", workspace.root, "--map", "Dienstleister=vendor", "--json")
    done = json.loads(remit(*call).stdout)
    assert (done["header_row"], done["added"], done["replaced"], done["columns"]["Dienstleister"]) == (3, ["rep-copilot", "fatigue-guard"], [], "vendor")
    before = (workspace.root / "portfolio.yaml").read_bytes()
    again = remit(*call)
    assert (again.returncode, again.stderr.count("--replace"), (workspace.root / "portfolio.yaml").read_bytes()) == (2, 2, before)
    assert json.loads(remit(*call, "--replace").stdout)["replaced"] == ["rep-copilot", "fatigue-guard"]
    rows = {row["id"]: row for row in json.loads(remit("portfolio", "-w", workspace.root, "--json").stdout)["pilots"]}
    assert (rows["rep-copilot"]["vendor"], rows["rep-copilot"]["channels"], rows["fatigue-guard"]["status"]) == ("acme", ["call"], "live")


def test_of_a_list_with_one_bad_row_nothing_is_imported(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "pilots.csv"
    file.write_text("Pilot;Objective;Status\na;x;live\nb;x;sometimes\nemail;x;live\n")
    with pytest.raises(AgentError) as caught:
        register.imported(workspace.root, file, [], None, replace=True)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["row 3", "row 4"]
    assert not (workspace.root / "portfolio.yaml").exists()


def test_a_list_that_is_not_there_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot be read"):
        register.imported(workspace.root, tmp_path / "no.csv", [], None, replace=False)


def test_a_disk_that_refuses_leaves_the_register_as_it_was(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace.root / "portfolio.yaml").write_text(PILOTS)
    file = tmp_path / "pilots.csv"
    file.write_text("Pilot,Objective,Status\na,x,live\n")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(WorkspaceError, match="No space left"):
        register.imported(workspace.root, file, [], None, replace=False)
    assert (workspace.root / "portfolio.yaml").read_text() == PILOTS
    assert not list(workspace.root.glob(".portfolio*"))


def test_what_the_list_writes_as_csv_is_imported_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    more = PILOTS.replace("objective: More new patients", 'objective: "=More; new, patients"\n    expires: 2026-06-30T00:00:00Z\n    holdout: true')
    (workspace.root / "portfolio.yaml").write_text(more)
    register.listed(workspace.root, tmp_path / "list.csv")
    own = register.load(workspace).pilots["rep-copilot"]
    lines = (tmp_path / "list.csv").read_text().splitlines()
    (tmp_path / "one.csv").write_text("\n".join([lines[0], next(line for line in lines if line.startswith("rep-copilot"))]))
    register.imported(workspace.root, tmp_path / "one.csv", [], None, replace=True)
    assert register.load(workspace).pilots["rep-copilot"] == own


# Collisions


def test_agents_that_ran_collide_on_the_hcps_whom_both_proposed(workspace: Workspace) -> None:
    decisions, _ = recorded(workspace)
    may = decisions.filter(pl.col("ruling") != "forbidden", pl.col("channel") == "call")
    sets = [set(may.filter(pl.col("agent") == agent)["hcp_id"]) for agent in ("calls-alpha", "calls-beta")]
    told = overlaps.told(workspace.root)
    (found,) = [each for each in told["collisions"] if each["kind"] == "contacts"]
    assert (found["pilots"], found["hcps"], found["ask"]) == (["calls-alpha", "calls-beta"], len(sets[0] & sets[1]), ["owner-calls-alpha", "owner-calls-beta"])
    assert told["hcps"] >= len(sets[0] | sets[1])


def test_a_pilot_outside_collides_as_far_as_its_universe_and_plans_say(workspace: Workspace) -> None:
    (workspace.root / "portfolio.yaml").write_text(PILOTS)
    told = overlaps.told(workspace.root)
    found = {tuple(each["pilots"]): each for each in told["collisions"] if each["kind"] == "contacts"}
    each = found["calls-alpha", "rep-copilot"]
    decisions, _ = recorded(workspace)
    alpha = decisions.filter(pl.col("ruling") != "forbidden", pl.col("agent") == "calls-alpha")["hcp_id"].n_unique()
    assert each["hcps"] == round(alpha * 25 / told["hcps"])  # 50 of all, half of them in a week
    assert "between 0 and 25" in each["what"] or alpha > told["hcps"] - 25
    kinds = {(each["kind"], tuple(each["pilots"])) for each in told["collisions"]}
    assert ("metrics", ("calls-alpha", "rep-copilot")) in kinds
    assert ("refresh", ("calls-alpha", "calls-beta", "email", "rep-copilot")) in kinds
    assert ("governance", ("rep-copilot",)) in kinds


def reached() -> Reached:
    """A hundred HCPs, half cardiologists, a fifth in T1; agent `here` proposed e-mails to the first forty."""
    hcp = pl.DataFrame({"hcp_id": [f"H{n:03}" for n in range(100)], "specialty": ["Cardiology", "Oncology"] * 50})
    territory = hcp.head(20).select("hcp_id", territory=pl.lit("T1"))
    proposed = hcp.head(40).select("hcp_id", agent=pl.lit("here"), channel=pl.lit("email"))
    return Reached(proposed, hcp.select("hcp_id", "specialty"), territory)


def outside(id_: str, universe: Universe, contacts: int | None = None) -> Pilot:
    return Pilot(id_, "x", channels=("email",), universe=universe, status="live", contacts_per_cycle=contacts)


HERE = Pilot("here", "x", channels=("email",), universe=Universe("all"), status="live", charter=True)
CARDIOLOGY, TERRITORY = Universe("specialties", ("cardiology",)), Universe("territories", ("t1",))


@pytest.mark.parametrize(
    ("one", "other", "reach"),
    [
        (outside("a", Universe("all")), outside("b", Universe("all")), (100, 100, 100)),
        (outside("a", CARDIOLOGY), outside("b", TERRITORY), (10, 10, 10)),
        (outside("a", CARDIOLOGY), outside("b", Universe("specialties", ("oncology",))), (0, 0, 0)),
        (outside("a", Universe("deciles", ("9", "10"))), outside("b", Universe("deciles", ("8", "9"))), (10, 0, 10)),
        (outside("a", Universe("deciles", ("9", "10"))), outside("b", CARDIOLOGY), (10, 0, 20)),
        (outside("a", Universe("hcps", hcps=80)), outside("b", CARDIOLOGY), (40, 30, 50)),
        (outside("a", Universe("all"), 10), outside("b", Universe("all"), 50), (5, 0, 10)),
        (outside("a", Universe("all"), 10), HERE, (4, 0, 10)),
        (outside("a", Universe()), HERE, (40, 0, 40)),
    ],
)
def test_what_is_worked_out_lies_between_the_least_and_the_most_there_can_be(one: Pilot, other: Pilot, reach: tuple[int, int, int]) -> None:
    for pair in ((one, other), (other, one)):
        assert list(reached().shared(*pair)) == [Reach("email", reach[0], expected=True, least=reach[1], most=reach[2])]


def test_pilots_of_other_channels_share_nothing_and_silence_is_not_everybody() -> None:
    call = Pilot("c", "x", channels=("call",), universe=Universe("all"), status="live")
    assert reached().shared(call, HERE) == []
    assert (reached().common(call, HERE), reached().common(outside("a", Universe()), HERE)) == (40, None)


def test_before_the_first_cycle_nobody_can_say_whom_pilots_share(tmp_path: Path) -> None:
    create(tmp_path / "w", "two-brands", None, 20)
    told = overlaps.told(tmp_path / "w")
    assert (told["cycle"], told["hcps"], len(told["says"]), told["counts"]["contacts"]) == (None, 0, 2, 0)
    with pytest.raises(WorkspaceError, match="no cycle"):
        compare.compared(tmp_path / "w", None, 1, quiet)


# Alone and together


def test_alone_is_what_a_cycle_with_only_that_agent_would_have_chosen(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copytree(workspace.root, tmp_path / "only")
    for path in (tmp_path / "only" / "agents").glob("*.yaml"):
        if path.stem != "calls-alpha":
            path.unlink()
    run_cycle(open_workspace(tmp_path / "only"), 1, quiet)
    run_cycle(workspace, 1, quiet)
    alone, body = recorded(open_workspace(tmp_path / "only"))
    (row,) = [row for row in compare.compared(workspace.root, None, 1, quiet)["agents"] if row["agent"] == "calls-alpha"]
    chosen = alone.filter(pl.col("disposition").is_in(["chosen", "waiting", "rested"]))
    assert row["alone"]["actions"] == chosen.height > 0
    assert (row["alone"]["hcps"], row["alone"]["value"]) == (chosen["hcp_id"].n_unique(), body["plans"]["promotional"]["value"])
    assert row["alone"]["value"] > row["together"]["value"]


def test_together_is_what_was_recorded(workspace: Workspace) -> None:
    decisions, body = recorded(workspace)
    result = compare.compared(workspace.root, None, 1, quiet)
    taken = decisions.filter(pl.col("disposition").is_in(["chosen", "waiting"]))
    for row in result["agents"]:
        account = body["plans"][row["purpose"]]["accounts"][row["agent"]]
        assert (row["together"]["value"], row["rent"], row["displaced"]) == (account["value"], account["rent"], account["displaced"])
        assert row["together"]["actions"] == taken.filter(pl.col("agent") == row["agent"]).height
        assert row["alone"]["actions"] - row["given_up"] + row["gained"] == row["together"]["actions"]
    contacts = result["contacts"]
    single = pl.when(pl.col("call_number") == 0).then(pl.col("number")).otherwise(-pl.col("call_number"))
    per_hcp = taken.unique(["hcp_id", "channel", single]).group_by("hcp_id").len()["len"]
    assert (contacts["after"]["contacts"], contacts["after"]["most"], contacts["after"]["over"]) == (per_hcp.sum(), per_hcp.max(), 0)
    assert sum(row["together"]["contacts"] for row in result["agents"]) == contacts["after"]["contacts"]
    for name in ("before", "after"):
        assert sum(row[name] for row in contacts["distribution"]) == contacts["hcps"]
        assert sum(row["contacts"] * row[name] for row in contacts["distribution"]) == contacts[name]["contacts"]
        assert sum(row[name] for row in contacts["channels"]) == contacts[name]["contacts"]
    assert contacts["before"]["contacts"] == sum(row["alone"]["contacts"] for row in result["agents"])


def test_what_each_displaced_of_each_other_adds_up_to_what_it_displaced(workspace: Workspace) -> None:
    result = compare.compared(workspace.root, "cycle-0001", 1, quiet)
    assert result["cycle"] == "cycle-0001"
    displaced = {row["agent"]: row["displaced"] for row in result["agents"] if row["purpose"] == "promotional"}
    matrix = result["displaces"]["promotional"]
    assert {agent: sum(row.values()) for agent, row in matrix.items()} == displaced
    assert all(matrix[agent][agent] == 0 for agent in matrix)
    assert any(displaced.values())


def test_a_comparison_does_not_depend_on_threads_and_writes_nothing_into_the_ledger(workspace: Workspace) -> None:
    before = {path: path.read_bytes() for path in workspace.ledger.folder.rglob("*") if path.is_file() and path.suffix not in (".db-shm", ".db-wal")}
    assert compare.compared(workspace.root, None, 1, quiet) == compare.compared(workspace.root, None, 2, quiet)
    assert {path: path.read_bytes() for path in before} == before


def test_after_an_erasure_the_comparison_says_what_is_gone(workspace: Workspace) -> None:
    decisions, _ = recorded(workspace)
    hcp = decisions.filter(pl.col("disposition") == "chosen")["hcp_id"][0]
    held = compare.compared(workspace.root, None, 1, quiet)
    commands.erase(str(hcp), workspace.root, "request")
    result = compare.compared(workspace.root, None, 1, quiet)
    gone = decisions.filter(pl.col("hcp_id") == hcp).height
    assert any(said.startswith(f"{gone:,} decisions of erased HCPs are gone") for said in result["says"])
    assert result["contacts"]["hcps"] == held["contacts"]["hcps"] - 1
    assert [row["together"]["value"] for row in result["agents"]] == [row["together"]["value"] for row in held["agents"]]


def test_a_cycle_that_was_recorded_before_displacement_was_kept_by_agent_is_replayed_and_compared(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = record._plan
    monkeypatch.setattr(record, "_plan", lambda each: {name: value for name, value in plan(each).items() if name != "displaces"})
    run_cycle(workspace, 1, quiet)
    monkeypatch.undo()
    result = compare.compared(workspace.root, "cycle-0003", 1, quiet)
    assert (result["displaces"]["promotional"], len(result["says"])) == ({}, 1)
    (replayed,) = commands.replay(workspace.root, "cycle-0003", 1, quiet)["cycles"]
    assert replayed["differs"] == []


def test_the_page_stands_alone_and_renders_no_name_raw(workspace: Workspace, tmp_path: Path, remit: Remit) -> None:
    ran = remit("portfolio", "compare", "-w", workspace.root, "--page", tmp_path / "page.html")
    assert ran.returncode == 0, ran.stderr
    assert "Without calls-beta, calls-alpha would have" in ran.stdout
    text = (tmp_path / "page.html").read_text()
    assert not re.search(r"<script|<link|src=|href=|url\(", text)
    assert text.count("<svg") == 2  # contacts before and after; promotion's matrix, and none for the one medical agent
    result = compare.compared(workspace.root, None, 1, quiet)
    result["agents"][0]["agent"] = "<b>x"
    result["displaces"]["promotional"] = {}
    assert "<b>x" not in compare_page(result)
