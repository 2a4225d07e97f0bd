"""Holdouts by clusters of peers: what the held hear from the others makes an effect look small, and less so where few ties join the sides."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from benchmarks.peer_holdouts import found
from remit.ledger import read_ledger
from remit.outcomes import between
from remit.runtime import commands
from remit.runtime.enrolment import draw, enrolled, known_ties
from remit.runtime.errors import WorkspaceError
from remit.runtime.inputs import Warehouse
from remit.runtime.living import create_world
from remit.runtime.run import run_cycle
from remit.runtime.settings import Settings, read_settings
from remit.runtime.workspace import open_workspace

Remit = Callable[..., "CompletedProcess[str]"]


@pytest.mark.parametrize("seed", [0, 1])
def test_what_peers_pass_on_hides_less_of_the_effect_from_clusters(seed: int) -> None:
    by = found(800, seed, 16, 3, ("hcp", "peers"))
    assert by["hcp"][0] < 0.85
    assert by["hcp"][0] + 0.04 < by["peers"][0] < 0.97
    assert by["peers"][1] < by["hcp"][1] == pytest.approx(0.32, abs=0.02)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in the market of peers that leaves clusters alone, after eight cycles."""
    root = tmp_path_factory.mktemp("peers") / "w"
    create_world(root, "peers", 600)
    edit(
        root,
        ('history = "52 weeks"', 'history = "26 weeks"'),
        ('settle = "8 weeks"', 'settle = "2 weeks"'),
        ('by = "hcp"', 'by = "peers"'),
        ("share = 0.1", "share = 0.3"),
    )
    for _ in range(8):
        run_cycle(open_workspace(root), 1, lambda _: None)
    return root


def edit(root: Path, *changes: tuple[str, str]) -> None:
    text = (root / "remit.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (root / "remit.toml").write_text(text)


def settings(root: Path) -> Settings:
    return read_settings((root / "remit.toml").read_text(), "remit.toml")


def drawn(root: Path) -> pl.DataFrame:
    with closing(read_ledger(open_workspace(root).ledger)) as records:
        return enrolled(records, settings(root), records.size)


def test_clusters_are_left_alone_whole_and_few_ties_join_the_sides(trial: Path) -> None:
    all_of_it = drawn(trial)
    everybody = all_of_it.filter(pl.col("channel") == "")
    assert everybody.height == 600
    assert everybody["unit"].str.starts_with("peers/").all()
    assert not everybody["unit"].str.contains(everybody["hcp_id"][0]).any()
    for _, part in all_of_it.group_by("channel"):
        assert part.group_by("unit").agg(pl.col("held").n_unique())["held"].max() == 1
    assert all_of_it.group_by("hcp_id").agg(pl.col("unit").n_unique())["unit"].max() == 1  # one cluster, whatever it is drawn for
    sizes = everybody.group_by("unit").len()["len"]
    assert len(sizes) > 90
    assert sizes.max() == 6
    assert everybody["held"].mean() == pytest.approx(0.3, abs=0.05)
    workspace = open_workspace(trial)
    tied = known_ties(Warehouse(workspace), everybody["at"][0])
    one_by_one = between(tied, everybody.with_columns(pl.col("held").shuffle(seed=1)), "held")
    crossing = between(tied, everybody, "held")
    assert crossing is not None
    assert one_by_one is not None
    assert crossing < 0.9 * one_by_one


def test_the_lift_counts_clusters_and_says_how_many_ties_join_the_sides(trial: Path, remit: Remit) -> None:
    shown = commands.outcomes_show(trial, 0.9)
    (product,) = shown["products"]
    clusters = drawn(trial).filter(pl.col("channel") == "").select("unit", "held").unique()
    assert product["looks"]
    assert (product["acted"], product["held"]) == ((~clusters["held"]).sum(), clusters["held"].sum())
    assert 0 < shown["ties"]["crossing"] < 0.42
    assert 0 < shown["ties"]["of_held"] < 0.7
    told = remit("outcomes", "show", "-w", trial)
    assert told.returncode == 0, told.stderr
    assert "Of all ties to peers" in told.stdout


def test_a_plan_by_clusters_has_them_as_units_and_says_what_each_draw_lets_through(trial: Path, remit: Remit) -> None:
    planned = commands.holdout_plan(trial, 0.1, "peers", 0.9, 0.8)
    assert planned["products"][0]["units"] == drawn(trial)["unit"].n_unique()
    crossing = {row["by"]: row["crossing"]["0.2"] for row in planned["ties"]}
    assert crossing["hcp"] == pytest.approx(0.32)
    assert crossing["peers"] < crossing["practice"] < crossing["hcp"]
    told = remit("holdout", "plan", "--effect", 0.1, "--by", "peers", "-w", trial)
    assert told.returncode == 0, told.stderr
    assert "clusters of peers" in told.stdout


def test_cycles_replay_to_the_byte_and_an_erased_physician_leaves_their_cluster(trial: Path, tmp_path: Path, remit: Remit) -> None:
    root = tmp_path / "w"
    shutil.copytree(trial, root)
    assert remit("replay", "--cycle", "cycle-0005", "-w", root).returncode == 0
    before = drawn(root)
    gone = before.filter("held")["hcp_id"][0]
    commands.erase(gone, root, "request")
    assert drawn(root).equals(before.filter(pl.col("hcp_id") != gone))
    (again,) = commands.replay(root, "cycle-0005", 1, lambda _: None)["cycles"]
    assert again["gone"] > 0
    assert again["differs"] == []
    assert remit("verify", "-w", root).returncode == 0


def test_who_is_new_takes_the_side_of_the_cluster_they_join_and_others_keep_theirs(trial: Path) -> None:
    """A tenth are taken to be new: each joins a cluster that their ties lead to, on its side; draws of the rest are not made again."""
    before, now = drawn(trial), int(drawn(trial)["at"].max()) + 1  # type: ignore[call-overload]  # an Int64 column
    source = Warehouse(open_workspace(trial))
    new = before["hcp_id"].unique().sort().gather_every(10)
    kept = before.filter(~pl.col("hcp_id").is_in(new.implode()))
    again = draw(source, settings(trial), kept, bytes(32), now)
    assert set(again["hcp_id"]) == set(new)
    for channel in ("", "email", "call"):
        sides = dict(kept.filter(pl.col("channel") == channel).select("unit", "held").unique().iter_rows())
        mine = again.filter(pl.col("channel") == channel)
        assert mine["unit"].is_in(list(sides)).mean() > 0.95  # type: ignore[operator]  # a number
        assert all(sides.get(unit, held) == held for unit, held in mine.select("unit", "held").iter_rows())
    assert again.filter(~pl.col("unit").is_in(kept["unit"].implode()))["unit"].str.starts_with(f"peers/{now}/").all()


def test_without_ties_clusters_cannot_be_drawn_or_planned(tmp_path: Path) -> None:
    root = tmp_path / "w"
    create_world(root, "mature", 200)
    edit(root, ('by = "hcp"', 'by = "peers"'))
    with pytest.raises(WorkspaceError, match=r'no ties between physicians are known(.|\n)*feed `peers`(.|\n)*by = "hcp"'):
        run_cycle(open_workspace(root), 1, lambda _: None)
    edit(root, ('by = "peers"', 'by = "hcp"'))
    run_cycle(open_workspace(root), 1, lambda _: None)
    with pytest.raises(WorkspaceError, match=r"no ties between physicians are known(.|\n)*`--by hcp`"):
        commands.holdout_plan(root, 0.1, "peers", 0.9, 0.8)
    assert commands.holdout_plan(root, 0.1, "hcp", 0.9, 0.8)["ties"] == []
