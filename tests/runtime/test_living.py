"""A workspace in a world: cycles act on it, weeks follow, and nothing is lived twice."""

import shutil
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from remit.intake import read
from remit.ledger import open_ledger, read_ledger
from remit.runtime import commands, living, replaying
from remit.runtime.errors import WorkspaceError
from remit.runtime.living import create_world, open_living
from remit.runtime.run import run_cycle
from remit.runtime.trials import by_chance
from remit.runtime.workspace import open_workspace
from remit.terms.encoding import MICRO
from remit.terms.errors import RemitError
from tests.runtime.conftest import quiet


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world's workspace after two cycles."""
    folder = tmp_path_factory.mktemp("world") / "w"
    create_world(folder, "quickstart", 150)
    for _ in range(2):
        run_cycle(open_workspace(folder), 1, quiet)
    return folder


def test_what_was_acted_comes_back_with_the_touches(country: Path) -> None:
    """Each touch of the first week names the decision that asked for it, and is counted once as a contact."""
    workspace = open_workspace(country)
    world = open_living(workspace)
    assert world is not None
    assert world.week == 2
    touches = read(workspace.warehouse, "touches", world.now).drop_nulls("decision")
    listed = pl.concat([pl.read_csv(path, infer_schema=False) for path in sorted((country / "out" / "cycle-0001").rglob("*.csv"))], how="diagonal")
    assert sorted(touches["decision"]) == sorted(listed["decision"])


def test_a_cycle_in_a_world_replays_to_the_byte(country: Path) -> None:
    """Both cycles come out as they were recorded."""
    workspace = open_workspace(country)
    ledger = open_ledger(workspace.ledger, entropy=bytes)
    try:
        for cycle in ("cycle-0001", "cycle-0002"):
            assert not replaying.replay(workspace, ledger, cycle, 1, quiet)["differs"]
    finally:
        ledger.close()


def test_what_chance_decided_is_in_the_ledger_with_its_probability(country: Path) -> None:
    """E-mails that were chosen had 98 in 100, tries at most one in ten; what was left out is no action, and nothing can be said of it yet."""
    workspace = open_workspace(country)
    with closing(read_ledger(workspace.ledger)) as records:
        rows = by_chance(records)
        cycles = [entry.cycle for entry in records.entries(kind="cycle")]
        made = sum(action.chosen.probability < MICRO for cycle in cycles for action in records.recorded(cycle))
    assert rows.height
    assert set(rows["channel"]) == {"email"}
    assert ((rows["probability"] == 980_000) | (rows["probability"] <= 100_000)).all()
    assert made == rows["done"].sum()
    with closing(read_ledger(workspace.ledger)) as records:
        frames = [records.read_segment(each).frame.with_columns(cycle=pl.lit(cycle)) for cycle in cycles for each in records.segments(cycle, "decisions")]
    promoted = pl.concat(frames).filter(pl.col("purpose") == "promotional")
    assert promoted.filter(pl.col("disposition").is_in(["chosen", "waiting", "rested"]))["value"].min() > 0  # type: ignore[operator]  # a number
    losing = promoted.filter((pl.col("value") < 0) & (pl.col("disposition") == "outbid")).row(0, named=True)
    says = commands.explain(f"{losing['cycle']}/{losing['number']}", country, None)["says"]
    assert any("not expected to be worth its cost" in sentence for sentence in says)
    told = commands.outcomes_tried(country, 2)
    assert sum(row["decided"] for row in told["trials"]) <= rows.height
    assert all(row["change"] is None for row in told["trials"])


@pytest.mark.parametrize("broken_off", ["files", "state"])
def test_a_week_that_is_broken_off_is_lived_once(country: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_off: str) -> None:
    """Killed while files or state are written, the next run finishes the cycle: the same files as without the accident, and one week on."""
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole, torn):
        shutil.copytree(country, folder)
    run_cycle(open_workspace(whole), 1, quiet)
    write, left = living.write_whole, [3 if broken_off == "files" else 1]

    def failing(path: Path, data: bytes) -> None:
        if (path.suffix == ".npz") is (broken_off == "state"):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(living, "write_whole", failing)
        with pytest.raises(KeyboardInterrupt):
            run_cycle(open_workspace(torn), 1, quiet)
    run_cycle(open_workspace(torn), 1, quiet)
    world = open_living(open_workspace(torn))
    assert world is not None
    assert world.week == 3
    for path in sorted((whole / "feeds").rglob("*.csv")):
        assert (torn / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_a_clock_that_the_world_does_not_keep_is_told_before_anything_is_decided(country: Path, tmp_path: Path) -> None:
    """A world lives a week at a time: another `every` is refused, and nothing is recorded."""
    shutil.copytree(country, tmp_path / "w")
    settings = tmp_path / "w" / "remit.toml"
    settings.write_text(settings.read_text().replace('every = "1 week"', 'every = "2 weeks"'))
    with pytest.raises(WorkspaceError, match="the world stands at"):
        run_cycle(open_workspace(tmp_path / "w"), 1, quiet)
    assert not (tmp_path / "w" / "out" / "cycle-0003").exists()


@pytest.mark.parametrize("name", ["state.npz", "about.json", "world.yaml"])
def test_a_world_file_that_is_gone_or_torn_is_told(country: Path, tmp_path: Path, name: str) -> None:
    """One error that names the place; the cycle does not go on without its world."""
    shutil.copytree(country, tmp_path / "w")
    place = tmp_path / "w" / "world" / name
    place.write_bytes(place.read_bytes()[:10])
    with pytest.raises(RemitError):
        open_living(open_workspace(tmp_path / "w"))
