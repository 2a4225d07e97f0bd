"""Segments in a workspace: trained, placed, recorded, replayed, erased; and what agents do with what they took up."""

import json
from contextlib import closing
from dataclasses import replace

import polars as pl
import pytest

from remit.ledger import read_ledger
from remit.models.errors import ModelError
from remit.models.segments import FEWEST, MOST
from remit.runtime import commands, grouping, training
from remit.runtime.countries import open_world
from remit.runtime.cycle import proposed
from remit.runtime.inputs import observe
from remit.runtime.run import run_cycle
from remit.runtime.simulating import _inputs, burn_in
from remit.runtime.workspace import Workspace


def quiet(stage: str) -> None:
    """Tells nobody."""


def members(workspace: Workspace) -> pl.DataFrame:
    """Who is in which segment by the whole log."""
    with closing(read_ledger(workspace.ledger)) as records:
        return grouping.recorded(records, records.size)


def recorded_rows(workspace: Workspace) -> dict[str, int]:
    """How many places each cycle recorded."""
    with closing(read_ledger(workspace.ledger)) as records:
        found = [(entry.cycle, int(entry.body["rows"])) for entry in records.entries(kind="segment") if entry.body["stream"] == grouping.STREAM]
    return dict(found)


def differs(workspace: Workspace) -> list[list[str]]:
    """What each cycle's replay found different."""
    return [each["differs"] for each in commands.replay(workspace.root, None, 1, quiet)["cycles"]]


def test_everybody_is_placed_by_the_stored_rules_and_only_who_moves_is_recorded_again(workspace: Workspace) -> None:
    held, models = members(workspace), training.load(workspace)
    assert models.segments is not None
    assert set(held["segment"]) == {each.id for each in models.segments.segments}
    assert all(FEWEST <= size <= MOST for size in held["segment"].value_counts()["count"])
    rows = recorded_rows(workspace)
    assert rows["cycle-0001"] == held.height == 150
    assert rows.get("cycle-0002", 0) < 15
    shown = commands.show("segments", workspace.root, None, None, None, 20)
    assert {row["segment"]: row["hcps"] for row in shown["rows"]} == dict(held.group_by("segment").len().iter_rows())
    assert commands.models_show(workspace.root)["segments"]["count"] == len(shown["rows"])


def test_an_action_says_what_the_hcps_segment_is_called_and_nothing_of_what_is_prescribed(workspace: Workspace) -> None:
    held, models = dict(members(workspace).select("hcp_id", "segment").iter_rows()), training.load(workspace)
    assert models.segments is not None
    names = {each.id: each.open_name for each in models.segments.segments}
    with closing(read_ledger(workspace.ledger)) as records:
        actions = records.recorded("cycle-0002")
    for purpose in ("promotional", "medical"):
        action = next(action for action in actions if action.chosen.judged.proposal.purpose == purpose)
        number = held[action.chosen.judged.proposal.hcp_id]
        says = commands.explain(f"cycle-0002/{action.chosen.number}", workspace.root, None)["says"]
        assert [each for each in says if each.startswith("Who is alike")] == [f"Who is alike: {number}, {names[number]}."] * (purpose == "promotional")
    assert not any("prescribe" in name for name in names.values())


def test_training_anew_goes_on_with_the_rules_and_every_cycle_replays(workspace: Workspace) -> None:
    """Models that are older than the settings allow are trained again; of the segments before, most keep id and members."""
    before = members(workspace)
    settings = workspace.settings_file
    settings.write_text(settings.read_text().replace('every = "13 weeks"', 'every = "1 week"'))
    digest = training.load(workspace).digests["segments"]
    assert run_cycle(workspace, 1, quiet).trained
    models = training.load(workspace)
    assert models.segments is not None
    assert models.digests["segments"] != digest
    assert float(models.segments.facts["share_stayed"]) > 0.9
    both = before.join(members(workspace), on="hcp_id")
    assert both.filter(pl.col("segment") == pl.col("segment_right")).height > 0.9 * before.height
    assert differs(workspace) == [[], [], []]


def test_who_was_where_is_an_input_that_replay_checks(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another place than the rules give does not pass for what was decided."""
    real = grouping.placed

    def elsewhere(*given: object) -> pl.DataFrame:
        found = real(*given)  # type: ignore[arg-type]  # as given
        return found.with_columns(segment=pl.lit("S0001"))

    with monkeypatch.context() as patched:
        patched.setattr(grouping, "placed", elsewhere)
        run_cycle(workspace, 1, quiet)
    assert differs(workspace) == [[], [], ["who is in which segment"]]


def test_an_erased_hcp_is_in_no_segment_and_the_rest_replays(workspace: Workspace) -> None:
    """No file outside the deliveries holds the id, the rules included; later cycles go on."""
    gone = members(workspace)["hcp_id"][7]
    commands.erase(gone, workspace.root, "request")
    assert gone not in set(members(workspace)["hcp_id"])
    assert differs(workspace) == [[], []]
    settings = workspace.settings_file
    settings.write_text(settings.read_text().replace('every = "13 weeks"', 'every = "1 week"'))
    run_cycle(workspace, 1, quiet)
    assert gone not in set(members(workspace)["hcp_id"])
    assert differs(workspace) == [[], [], []]
    kept = [path for path in workspace.root.rglob("*") if path.is_file() and workspace.feeds not in path.parents]
    assert not any(gone.encode() in path.read_bytes() for path in kept)


def test_stored_segments_that_were_changed_are_found(workspace: Workspace) -> None:
    digest = training.load(workspace).digests["segments"]
    part = workspace.models / "segments" / digest / "model.json"
    part.write_bytes(part.read_bytes().replace(b"physicians", b"physicists", 1))
    assert [fault["what"] for fault in commands.verify(workspace.root, [], None, None)["faults"]] == ["the model is not what was stored"]
    with pytest.raises(ModelError, match=r"`model\.json` was changed"):
        training.load(workspace)


def test_a_workspace_trained_before_there_were_segments_goes_on_without(workspace: Workspace) -> None:
    """Until models are due; a cycle without segments replays as it was."""
    note = workspace.models / "in-use.json"
    body = json.loads(note.read_bytes())
    del body["models"]["segments"]
    note.write_bytes(json.dumps(body).encode())
    run_cycle(workspace, 1, quiet)
    with closing(read_ledger(workspace.ledger)) as records:
        last = next(entry.body for entry in records.entries(kind="cycle", cycle="cycle-0003"))
    assert set(last["models"]) == {"lead-score", "response"}
    assert "cycle-0003" not in recorded_rows(workspace)
    assert commands.show("segments", workspace.root, None, None, None, 20)["count"] == 0
    assert differs(workspace) == [[], [], []]


def test_segments_are_not_signed(workspace: Workspace) -> None:
    """They score nobody; what is signed is what scores."""
    with pytest.raises(Exception, match="there is no model `segments` to sign"):
        commands.models_sign(workspace.root, "segments", "data-steward", "data-steward")


def test_a_cycle_proposes_first_what_each_segment_took_up_most_and_the_same_visits() -> None:
    """In the quickstart world nothing tells contents apart, and nothing is preferred; where a segment took one up more, its e-mails carry that first."""
    company = burn_in(open_world("quickstart"), 200, 3, 0).company
    seen = observe(company.shelf, company.config.settings, company.world.now)
    given = replace(_inputs(company, seen, 1), responses=company.world.responses(1, 13))
    plain = replace(given, segments=None, uptake=None)
    assert given.segments is not None
    assert given.uptake is not None
    assert set(given.uptake["channel"]) == {"call", "email"}
    assert set(given.uptake["segment"]) == set(given.segments["segment"])
    better = given.uptake.with_columns(rate=pl.when(pl.col("content_id").str.ends_with("safety")).then(pl.col("rate") + 100_000).otherwise("rate"))
    found = [proposed(inputs, quiet)[0] for inputs in (plain, given, replace(given, uptake=better))]
    keys = ["hcp_id", "product", "touch"]
    mails = [rows.filter(pl.col("channel") == "email") for rows in found]
    assert [rows.group_by(keys).agg(pl.col("value").n_unique())["value"].max() for rows in mails] == [1, 1, 2]
    best = mails[2].sort("value", descending=True).unique(keys, keep="first", maintain_order=True)
    assert best.height > 50
    assert best["content_id"].str.ends_with("safety").all()
    visits = [rows.filter(pl.col("channel") == "msl_visit").drop("number").sort("hcp_id", "product") for rows in found]
    assert visits[0].height > 0
    assert visits[0].equals(visits[1])
    assert visits[0].equals(visits[2])
