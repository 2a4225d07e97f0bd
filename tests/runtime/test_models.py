"""The register of models in a workspace: what is recorded of each, what drift asks for, who may sign, and that all of it replays."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from remit.ledger import open_ledger, read_ledger
from remit.models import ModelError, gates
from remit.runtime import commands, registry, replaying, run, training, verifying
from remit.runtime.errors import WorkspaceError
from remit.runtime.inputs import tables
from remit.runtime.run import run_cycle
from remit.runtime.settings import read_settings
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.encoding import canonical
from remit.terms.instants import add_span

Remit = Callable[..., subprocess.CompletedProcess[str]]


def quiet(stage: str) -> None:
    pass


def watched(workspace: Workspace, cycle: str) -> dict[str, dict[str, object]]:
    with closing(read_ledger(workspace.ledger)) as records:
        body = next(entry.body for entry in records.entries(kind="cycle", cycle=cycle))
    return dict(body["watch"])


def evidence(workspace: Workspace, name: str) -> dict[str, object]:
    held = registry.evidence_of(workspace, (models := training.load(workspace)).evidence[name], name, models.digests[name])
    assert held is not None
    return held


def passing(workspace: Workspace) -> None:
    """Puts evidence in use in which every check of the lead score holds: what a larger country, with the columns an audit asks for, would give."""
    path = workspace.models / "in-use.json"
    note = json.loads(path.read_bytes())
    body = evidence(workspace, "lead-score")
    body["checks"] = [check | {"passed": True, "do": ""} for check in body["checks"]]  # type: ignore[attr-defined]  # a list of checks
    text = canonical(body).decode()
    note["evidence"]["lead-score"] = run.keep(workspace, {"lead-score": text})["lead-score"]
    path.write_bytes(canonical(note))


def test_every_model_in_use_is_in_the_ledger_once_with_its_stage_and_evidence(workspace: Workspace) -> None:
    """Two cycles use the models that the first one trained."""
    with closing(read_ledger(workspace.ledger)) as records:
        entries = [entry.body for entry in records.entries(kind="model")]
    models = training.load(workspace)
    assert {body["model"]: body["digest"] for body in entries} == models.judged
    assert len(entries) == 2
    for body in entries:
        assert body["evidence"] == models.evidence[body["model"]]
        assert body["stage"] in gates.STAGES


def test_each_cycle_records_what_drift_asks_for_and_counts_each_settled_period_once(workspace: Workspace) -> None:
    first, second = (watched(workspace, f"cycle-000{number}")["lead-score"] for number in (1, 2))
    assert first["seen"] is None
    assert second["seen"] is not None
    for each in (first, second):
        assert each["asks"] in {"none", "raise", "confirm", "stop"}
    figures = {finding["figure"] for finding in second["findings"]}  # type: ignore[attr-defined]  # a list of findings
    assert {"score", "precision", "calibration", "outcome"} <= figures
    assert second["columns"] == len(training.load(workspace).lead.inputs.names) - 1


def test_a_cycle_whose_watch_was_recorded_replays_to_the_byte_and_one_changed_figure_is_found(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        assert replaying.replay(workspace, ledger, "cycle-0002", 1, quiet)["differs"] == []
        true = registry.watch
        monkeypatch.setattr(registry, "watch", lambda *given, **named: {**true(*given, **named), "lead-score": {}})
        assert replaying.replay(workspace, ledger, "cycle-0002", 1, quiet)["differs"] == ["`watch` of the cycle"]


def test_prescriptions_that_collapse_are_asked_about_and_models_trained_anew_once_outcomes_have_settled(workspace: Workspace) -> None:
    """The vendor's weekly files say that nothing was written any more: what the models read has drifted, and the cycle says so."""
    for path in (workspace.feeds / "rx").glob("2026-*.csv"):
        rows = pl.read_csv(path, infer_schema=False)
        less = [pl.when(pl.col(name).is_not_null()).then(pl.lit("0")).alias(name) for name in ("trx", "nrx", "nbrx") if name in rows.columns]
        rows.with_columns(less).write_csv(path)
    trained_at = json.loads((workspace.models / "in-use.json").read_bytes())["trained_at"]
    cycles = [run_cycle(workspace, 1, quiet) for _ in range(5)]
    assert cycles[1].watch["lead-score"]["asks"] in {"confirm", "stop"}
    first = next(number for number, cycle in enumerate(cycles) if cycle.trained)
    assert add_span(trained_at, read_config(config_texts(workspace)).settings.settle) <= cycles[first].now
    figures = [{each["figure"] for each in cycle.watch["lead-score"]["findings"] if each["action"] in ("confirm", "stop")} for cycle in cycles[:first]]
    assert figures[-1] & {"score", "precision", "calibration", "outcome"}


def test_a_model_that_learned_from_what_was_not_yet_received_is_refused(workspace: Workspace) -> None:
    """Training that reads the tables as they stand today, at every instant, is found when its features are built again from the warehouse."""
    settings = read_config(config_texts(workspace)).settings
    with closing(read_ledger(workspace.ledger)) as records:
        now = max(int(entry.body["now"]) for entry in records.entries(kind="cycle"))
    hcp = tables(workspace, now)["hcp"]

    def leaking(at: int, hcps: list[str]) -> dict[str, pl.DataFrame]:
        """Every row as if it had been received three weeks earlier than it was."""
        early = 3 * 7 * 86_400_000_000
        return {
            name: rows.with_columns(pl.col("received_at") - early) if name == "rx" else rows for name, rows in tables(workspace, at + early, hcps=hcps).items()
        }

    training.train(workspace, settings, hcp, leaking, now)
    check = next(check for check in evidence(workspace, "lead-score")["checks"] if check["name"] == "no future")  # type: ignore[attr-defined]  # a list
    assert not check["passed"]
    assert "`rx_newest` comes out differently" in check["found"]
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        passing_but_for_the_leak = read_config(config_texts(workspace))
        with pytest.raises(WorkspaceError, match="no future"):
            registry.sign(passing_but_for_the_leak, workspace, ledger, "lead-score", "data-steward", "data-steward", now)


def test_a_model_whose_evidence_does_not_hold_cannot_be_signed(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="the gate refuses it"):
        commands.models_sign(workspace.root, "response", "data-steward", "data-steward")


def test_evidence_of_another_model_is_no_evidence(workspace: Workspace) -> None:
    """Pointing the response at the lead score's passing evidence makes it no more signable than it was."""
    passing(workspace)
    path = workspace.models / "in-use.json"
    note = json.loads(path.read_bytes())
    note["evidence"]["response"] = note["evidence"]["lead-score"]
    path.write_bytes(canonical(note))
    with pytest.raises(WorkspaceError, match="is of another model"):
        commands.models_sign(workspace.root, "response", "data-steward", "data-steward")


def test_a_signature_counts_for_the_evidence_that_was_signed(workspace: Workspace) -> None:
    """Evidence that is held later of the same model has to be signed anew."""
    passing(workspace)
    signed = evidence(workspace, "lead-score")
    commands.models_sign(workspace.root, "lead-score", "data-steward", "data-steward")
    with closing(read_ledger(workspace.ledger)) as records:
        held = training.load(workspace).evidence["lead-score"]
        assert len(registry.signed(records, str(signed["digest"]), held, records.size)) == 1
        assert registry.signed(records, str(signed["digest"]), "0" * 64, records.size) == []


def test_two_people_in_the_two_roles_bring_a_model_to_production_and_the_next_cycle_says_so(workspace: Workspace) -> None:
    passing(workspace)
    first = commands.models_sign(workspace.root, "lead-score", "data-steward", "data-steward")
    assert (first["stage"], first["missing"]) == ("staging", ["medical"])
    second = commands.models_sign(workspace.root, "lead-score", "medical-lead", "medical")
    assert (second["stage"], second["missing"]) == ("production", [])
    done = run_cycle(workspace, 1, quiet)
    assert done.watch["lead-score"]["stage"] == "production"
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        assert replaying.replay(workspace, ledger, done.cycle, 1, quiet)["differs"] == []
    assert verifying.workspace(workspace, None, None)["faults"] == []


@pytest.mark.parametrize(
    ("person", "role", "fault"),
    [
        ("nobody", "medical", "not a person on file"),
        ("data-steward", "medical", "does not hold the role"),
        ("compliance-lead", "compliance", "is not asked to sign"),
    ],
)
def test_who_is_not_on_file_or_not_in_the_role_cannot_sign(workspace: Workspace, person: str, role: str, fault: str) -> None:
    passing(workspace)
    with pytest.raises(WorkspaceError, match=fault):
        commands.models_sign(workspace.root, "lead-score", person, role)


def test_one_person_signs_once(workspace: Workspace) -> None:
    people = workspace.root / "people.yaml"
    people.write_text(people.read_text().replace("{roles: [data-steward]}", "{roles: [data-steward, medical]}"))
    passing(workspace)
    commands.models_sign(workspace.root, "lead-score", "data-steward", "data-steward")
    with pytest.raises(WorkspaceError, match="two different people"):
        commands.models_sign(workspace.root, "lead-score", "data-steward", "medical")


def test_what_is_kept_as_evidence_is_verified_and_a_changed_byte_found(workspace: Workspace) -> None:
    held = workspace.objects / training.load(workspace).evidence["lead-score"]
    held.write_text(held.read_text().replace("passed", "Passed", 1))
    assert any("was changed" in fault["what"] for fault in verifying.workspace(workspace, None, None)["faults"])
    with pytest.raises(WorkspaceError):
        run_cycle(workspace, 1, quiet)


def test_models_trained_before_evidence_was_kept_go_on_unwatched_in_development(workspace: Workspace) -> None:
    path = workspace.models / "in-use.json"
    note = {name: value for name, value in json.loads(path.read_bytes()).items() if name != "evidence"}
    path.write_bytes(canonical(note))
    done = run_cycle(workspace, 1, quiet)
    assert {(each["stage"], each["asks"]) for each in done.watch.values()} == {("development", "unwatched")}


def test_an_erasure_leaves_cycles_that_can_be_replayed_and_models_that_can_be_shown(workspace: Workspace) -> None:
    with closing(read_ledger(workspace.ledger)) as records:
        hcp = next(entry.hcp_id for entry in records.entries(kind="action") if entry.hcp_id)
    commands.erase(hcp, workspace.root, "request")
    report = commands.replay(workspace.root, None, 1, quiet)
    assert all(not each["differs"] for each in report["cycles"])
    assert commands.models_show(workspace.root)["models"]
    run_cycle(workspace, 1, quiet)


def test_the_command_shows_each_model_as_a_person_reads_it_and_as_json(workspace: Workspace, remit: Remit) -> None:
    text = remit("models", "show", "-w", workspace.root)
    assert text.returncode == 0, text.stderr
    for words in ("lead-score", "development", "Drift now", "Watched by data-steward", "no future", "Sign-offs missing: data-steward, medical", "Not held: "):
        assert words in text.stdout
    shown = json.loads(remit("models", "show", "-w", workspace.root, "--json").stdout)
    assert [model["model"] for model in shown["models"]] == ["lead-score", "response"]
    assert shown["watcher"] == "data-steward"
    refused = remit("models", "sign", "response", "--person", "data-steward", "--role", "data-steward", "-w", workspace.root)
    assert refused.returncode == 2
    assert "the gate refuses it" in refused.stderr


def settings_with(workspace: Workspace, section: str) -> None:
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(re.sub(r"\[models\]\n(?:.+\n)+", section, text))


def test_a_watcher_who_is_not_on_file_and_a_role_that_nobody_holds_are_both_told(workspace: Workspace) -> None:
    settings_with(workspace, '[models]\nwatcher = "ghost"\nsigners = ["data-steward", "oracle"]\n')
    with pytest.raises(WorkspaceError) as error:
        read_config(config_texts(workspace))
    assert len(error.value.faults) == 2


@pytest.mark.parametrize(
    "line",
    [
        'signers = ["medical"]',
        "selected_share = 0",
        "false_alarms_a_year = -1",
        "thresholds = { precision = { confirm = 0.1 } }",
        "thresholds = { precision = { raise = 0.2, confirm = 0.1 } }",
        "thresholds = { inputs = 3 }",
        "thresholds = { other = { raise = 1 } }",
        "unknown = 1",
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(workspace: Workspace, line: str) -> None:
    settings_with(workspace, f"[models]\n{line}\n")
    with pytest.raises(WorkspaceError):
        read_settings(workspace.settings_file.read_text(), "remit.toml")


def test_thresholds_are_read_and_a_workspace_without_the_section_still_runs(workspace: Workspace) -> None:
    settings_with(workspace, "[models]\nthresholds = { precision = { raise = 0.03, stop = 0.3 } }\n")
    sizes = read_settings(workspace.settings_file.read_text(), "remit.toml").oversight.limits.sizes["precision"]
    assert (sizes.raised, sizes.confirm, sizes.stop) == (0.03, None, 0.3)
    settings_with(workspace, "")
    assert run_cycle(workspace, 1, quiet).watch["lead-score"]["stage"] == "development"


def test_an_unreadable_note_of_models_is_still_refused(workspace: Workspace) -> None:
    (workspace.models / "in-use.json").write_text("{}")
    with pytest.raises(ModelError):
        training.load(workspace)


def test_a_copy_of_the_workspace_shows_the_same(workspace: Workspace, tmp_path: Path) -> None:
    """What is shown depends on what is recorded alone."""
    shutil.copytree(workspace.root, tmp_path / "copy")
    assert commands.models_show(tmp_path / "copy") == commands.models_show(workspace.root)
