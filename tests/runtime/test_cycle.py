"""A governed cycle, seen from outside: what is chosen, what waits, what is handed over, what a replay gives."""

import csv
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from remit.agents import PROPOSERS, View
from remit.ledger import read_ledger
from remit.runtime import commands, reporting
from remit.runtime.carry import carry
from remit.runtime.run import Done, run_cycle
from remit.runtime.settings import read_settings
from remit.runtime.workspace import Workspace, open_workspace
from remit.terms.charters import Charter
from tests.runtime.conftest import amended

Remit = Callable[..., subprocess.CompletedProcess[str]]


def quiet(stage: str) -> None:
    pass


def decisions(done: Done) -> pl.DataFrame:
    assert done.result is not None
    return done.result.decisions


def listed(workspace: Workspace, cycle: str) -> list[dict[str, str]]:
    """Every row of the cycle's call lists."""
    return [row for path in sorted((workspace.out / cycle).glob("call-*.csv")) for row in csv.DictReader(path.read_text().splitlines())]


def change(workspace: Workspace, file: str, old: str, new: str) -> None:
    path = workspace.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def contacts(rows: pl.DataFrame) -> pl.DataFrame:
    single = pl.when(pl.col("call_number") == 0).then(pl.col("number")).otherwise(-pl.col("call_number"))
    taken = rows.filter(pl.col("probability") > 0).with_columns(contact=single).unique(["hcp_id", "channel", "contact"])
    return taken.group_by("hcp_id").agg(contacts=pl.len(), allowance=pl.col("allowance").first())


def test_no_hcp_has_more_contacts_than_are_left_to_it(workspace: Workspace) -> None:
    change(workspace, "remit.toml", "per_window = 8", "per_window = 3")
    taken = contacts(decisions(run_cycle(workspace, 1, quiet)))
    assert taken.height > 0
    assert (taken["contacts"] <= taken["allowance"]).all()


def test_medical_contacts_come_off_an_hcps_allowance_before_promotion(workspace: Workspace) -> None:
    change(workspace, "remit.toml", "per_cycle = 2", "per_cycle = 1")
    chosen = decisions(run_cycle(workspace, 1, quiet)).filter(pl.col("probability") > 0)
    medical = set(chosen.filter(pl.col("purpose") == "medical")["hcp_id"])
    assert medical
    assert not medical & set(chosen.filter(pl.col("purpose") == "promotional")["hcp_id"])


def test_no_resource_is_used_beyond_its_capacity(workspace: Workspace) -> None:
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    for plan in done.result.plans:
        assert all(used <= capacity for used, capacity in zip(plan.plan.used, plan.capacity, strict=True))


def _confirming(workspace: Workspace) -> None:
    """Every call on beta now needs a brand lead's yes within ten days."""
    said = {"when": "agent = 'calls-beta'", "verdict": "confirm", "owner": "compliance-lead", "reason": "A test.", "roles": "[brand-lead]"}
    row = "\n    ".join(["  - id: beta-calls", *(f"{key}: {value}" for key, value in {**said, "deadline": "10 days", "on_timeout": "refuse"}.items())]) + "\n\n"
    table = workspace.root / "authority.yaml"
    text = table.read_text()
    first = text.index("  - id: ")
    table.write_text(text[:first] + row + text[first:])
    amended(workspace)


def test_what_waits_is_never_written_holds_its_capacity_and_is_refused_past_its_deadline(workspace: Workspace) -> None:
    _confirming(workspace)
    third = run_cycle(workspace, 1, quiet)
    waiting = decisions(third).filter(pl.col("disposition") == "waiting")
    assert "calls-beta" in set(waiting["agent"])
    assert listed(workspace, third.cycle)
    assert all(row["product"] != "beta" for row in listed(workspace, third.cycle))
    with closing(read_ledger(workspace.ledger)) as records:
        settings = read_settings(workspace.settings_file.read_text(), "remit.toml")
        next_week = third.now + 7 * 86_400_000_000
        carried = carry(records, records.size, next_week, settings, {"samples/beta": next_week, "calls/T001": next_week})
        waits = [entry for entry in records.entries(kind="action") if entry.payload and entry.body]
    open_then = [entry.payload["context"]["uses"] for entry in waits if entry.payload and entry.body["deadline"] > next_week]
    assert sorted(map(str, open_then)) == sorted(str(item.uses) for item in carried.waiting)
    assert carried.taken["samples/beta"] == sum(uses.get("samples/beta", 0) for uses in open_then) > 0
    refusals = [run_cycle(workspace, 1, quiet).refused for _ in range(2)]
    with closing(read_ledger(workspace.ledger)) as records:
        actions = {entry.seq for entry in records.said("action", third.cycle)}
        refused = [entry for entry in records.entries(kind="refused") if entry.body["action"] in actions]
    assert len(actions) == len(refused) == waiting.height
    assert sum(refusals) >= waiting.height


def test_an_agent_that_fails_is_recorded_and_the_cycle_goes_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name, settings = "email", PROPOSERS["email"].settings

        def propose(self, charter: Charter, view: View) -> pl.DataFrame:
            raise ValueError(view.hcps["hcp_id"][0])

    monkeypatch.setattr("remit.agents.board.PROPOSERS", {**PROPOSERS, "email": Broken()})
    done = run_cycle(workspace, 1, quiet)
    assert set(decisions(done)["agent"]) == {"calls-alpha", "calls-beta", "msl"}
    with closing(read_ledger(workspace.ledger)) as records:
        assert [entry.body["agent"] for entry in records.entries(kind="failure")] == ["email"]


def test_promotion_sees_no_questions_and_medical_work_no_prescribing_or_money(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, View] = {}

    class Watcher:
        def __init__(self, name: str) -> None:
            self.name, self.settings, self._inner = name, PROPOSERS[name].settings, PROPOSERS[name]

        def propose(self, charter: Charter, view: View) -> pl.DataFrame:
            seen[charter.agent] = view
            return self._inner.propose(charter, view)

    monkeypatch.setattr("remit.agents.board.PROPOSERS", {name: Watcher(name) for name in PROPOSERS})
    run_cycle(workspace, 1, quiet)
    assert "open_inquiries" not in seen["email"].hcps.columns
    assert "lead_score" not in seen["msl"].hcps.columns
    assert not seen["msl"].value_minor
    assert seen["msl"].responses.is_empty()
    assert set(seen["calls-alpha"].hcps["product"]) == {"alpha"}
    assert set(seen["calls-alpha"].responses["channel"]) == {"call"}


def test_a_replay_gives_the_same_bytes_in_another_process_with_another_hash_seed_and_thread_count(workspace: Workspace, remit: Remit) -> None:
    for seed, threads in (("1", 1), ("4711", 2)):
        ran = remit("replay", "-w", workspace.root, "--threads", threads, "--json", PYTHONHASHSEED=seed)
        assert ran.returncode == 0, ran.stderr + ran.stdout
        assert [item["differs"] for item in json.loads(ran.stdout)["cycles"]] == [[], []]


def test_a_replay_that_differs_says_where(workspace: Workspace) -> None:
    from remit.runtime import replaying

    original = replaying.cycle
    try:
        replaying.cycle = lambda inputs, stage: original(
            inputs.__class__(**{**{f: getattr(inputs, f) for f in inputs.__slots__}, "values": {"alpha": 1, "beta": 1}}), stage
        )
        differs = commands.replay(workspace.root, "cycle-0001", 1, quiet)["cycles"][0]["differs"]
    finally:
        replaying.cycle = original
    assert "column `value`" in differs


def test_the_prescribing_of_a_physician_under_pdrp_reaches_no_list(finished: Path, tmp_path: Path) -> None:
    """Twenty times the prescriptions of every PDRP physician: the lists do not change by a byte."""
    hcps = pl.concat([pl.read_csv(path, infer_schema=False) for path in (finished / "feeds/hcp").glob("*.csv")])
    always = hcps.group_by("hcp_id").agg((pl.col("pdrp").str.to_lowercase() == "true").all())
    protected = set(always.filter("pdrp")["hcp_id"])
    assert protected
    outs = []
    for factor in (1, 20):
        folder = tmp_path / str(factor)
        folder.mkdir()
        for name in ("feeds", "agents", "packs"):
            shutil.copytree(finished / name, folder / name)
        for name in ("remit.toml", "people.yaml", "authority.yaml"):
            shutil.copy(finished / name, folder / name)
        for path in (folder / "feeds/rx").glob("*.csv"):
            rows = pl.read_csv(path, infer_schema=False)
            scaled = [
                pl.when(pl.col("hcp_id").is_in(protected) & pl.col(name).str.contains(r"^\d+$"))
                .then((pl.col(name).cast(pl.Int64, strict=False) * factor).cast(pl.String))
                .otherwise(name)
                .alias(name)
                for name in ("trx", "nrx", "nbrx")
            ]
            rows.with_columns(scaled).write_csv(path)
        workspace = open_workspace(folder)
        done = run_cycle(workspace, 1, quiet)
        outs.append({path.name: path.read_bytes() for path in (workspace.out / done.cycle).glob("*")})
        assert {row["hcp_id"] for row in listed(workspace, done.cycle)} & protected, "a physician under PDRP is still called on"
    assert outs[0] == outs[1]


def test_a_call_list_holds_no_figure_rank_or_reason_and_is_in_order_of_ids(workspace: Workspace) -> None:
    for path in sorted((workspace.out / "cycle-0001").glob("call-*.csv")):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert list(rows[0]) == ["channel", "rep", "hcp_id", "call", "position", "product", "content_id", "must", "decision"]
        assert [row["hcp_id"] for row in rows] == sorted(row["hcp_id"] for row in rows)


def test_every_command_speaks_json(workspace: Workspace, remit: Remit, tmp_path: Path) -> None:
    calls = [("show", what) for what in commands.SHOWN] + [("verify",), ("explain", "cycle-0001/0"), ("migrate",), ("holdout", "plan", "--effect", "0.05")]
    calls += [("outcomes", "tried"), ("outcomes", "nowcast"), ("models", "show")]
    for call in calls:
        ran = remit(*call, "-w", workspace.root, "--json")
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)


def test_a_holdout_plan_sees_smaller_effects_with_more_held_out_and_more_time(workspace: Workspace) -> None:
    result = commands.holdout_plan(workspace.root, 0.3, "hcp", 0.9, 0.8)
    assert [product["product"] for product in result["products"]] == ["alpha", "beta"]
    for product in result["products"]:
        seen = [list(share["detectable"].values()) for share in product["shares"] if share["held"] >= 10]
        assert len(seen) >= 3
        assert all(low < high for row in seen for high, low in pairwise(row))
        assert all(low < high for column in zip(*seen, strict=True) for high, low in pairwise(column))
        for share in product["shares"]:
            enough = [int(length) for length, effect in share["detectable"].items() if effect is not None and effect <= 0.3]
            assert share["needed"] == min(enough, default=None)


def test_process_logs_name_the_run_and_each_step_and_no_person(workspace: Workspace, remit: Remit) -> None:
    ran = remit("run", "-w", workspace.root, "--log", "--json")
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert len({line["run_id"] for line in lines}) == 1
    assert {"load feeds", "judge", "choose", "act"} <= {line["step"] for line in lines}
    assert "H0000" not in ran.stderr


def test_a_receipt_verifies_alone_and_a_changed_one_does_not(workspace: Workspace, remit: Remit, tmp_path: Path) -> None:
    with closing(read_ledger(workspace.ledger)) as records:
        number = records.recorded("cycle-0002")[0].chosen.number
    file = tmp_path / "receipt.json"
    said = remit("explain", f"cycle-0002/{number}", "-w", workspace.root, "--out", file)
    for word in ("What:", "Verdict: autonomous", "Who owns it:", "Data age:", "It would have turned", "Outcome: chosen"):
        assert word in said.stdout, said.stdout + said.stderr
    key = tmp_path / "log.pub"
    shutil.copy(workspace.ledger.folder / "keys" / "ledger.pub", key)
    assert remit("verify", file, "--key", key).returncode == 0
    file.write_bytes(re.sub(rb'"value":(\d)', rb'"value":9\1', file.read_bytes(), count=1))
    broken = remit("verify", file, "--key", key)
    assert broken.returncode == 1
    assert str(file) in broken.stdout


def test_the_log_continues_an_older_checkpoint_and_not_a_foreign_one(workspace: Workspace, remit: Remit, tmp_path: Path) -> None:
    older = tmp_path / "older"
    with closing(read_ledger(workspace.ledger)) as records:
        older.write_bytes(records.checkpoint() or b"")
    run_cycle(workspace, 1, quiet)
    assert remit("verify", "-w", workspace.root, "--against", older).returncode == 0
    lines = older.read_text().split("\n")
    lines[2] = "A" * 43 + "="
    older.write_text("\n".join(lines))
    assert remit("verify", "-w", workspace.root, "--against", older).returncode == 1


def test_every_decision_is_counted_once(workspace: Workspace) -> None:
    done = run_cycle(workspace, 1, quiet)
    rows = decisions(done)
    assert rows.select("hcp_id", "agent", "channel", "product", "content_id", "touch").is_duplicated().sum() == 0
    report = reporting.of_run(done, {})
    assert sum(sum(by.values()) for by in report["agents"].values()) == rows.height
    assert Counter(rows["disposition"].to_list())["chosen"] == sum(item["rows"] for item in report["files"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("show", "nothing"), "nothing called"),
        (("show", "decisions", "--cycle", "cycle-0099"), "cycle-0099"),
        (("explain", "cycle-0001/999999999"), "no decision"),
        (("explain", "gibberish"), "neither a receipt"),
        (("erase", "H9999999"), "H9999999"),
        (("holdout", "plan", "--effect", "-1"), "part of the mean"),
        (("holdout", "plan", "--effect", "0.1", "--by", "postcode"), "one of hcp, practice, brick"),
        (("holdout", "plan", "--effect", "0.1", "--by", "brick"), "no physician has a `brick_id`"),
        (("outcomes", "show", "--level", "2"), "below 1"),
        (("verify", "--against", "/nowhere"), "/nowhere"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_2(arguments: tuple[str, ...], word: str, workspace: Workspace, remit: Remit) -> None:
    ran = remit(*arguments, "-w", workspace.root)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert word in ran.stderr
    assert "Traceback" not in ran.stderr
