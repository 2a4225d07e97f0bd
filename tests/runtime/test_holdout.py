"""Who is held out is drawn once, recorded, left alone by promotion in every cycle, and compared with."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from remit.ledger import read_ledger
from remit.runtime import commands
from remit.runtime.enrolment import enrolled
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.settings import read_settings
from remit.runtime.workspace import Workspace, open_workspace

pytestmark = pytest.mark.xdist_group("holdout")

Remit = Callable[..., subprocess.CompletedProcess[str]]


def quiet(_: str) -> None:
    """Tells nobody."""


def edit(workspace: Workspace, file: str, old: str, new: str) -> None:
    path = workspace.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def draws(workspace: Workspace) -> pl.DataFrame:
    settings = read_settings((workspace.root / "remit.toml").read_text(), "remit.toml")
    with closing(read_ledger(workspace.ledger)) as records:
        return enrolled(records, settings, records.size)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a holdout by practice, after three cycles."""
    root = tmp_path_factory.mktemp("trial") / "w"
    create(root, "two-brands", None, 400)
    (root / "remit.toml").write_text((root / "remit.toml").read_text() + '\n[holdout]\nname = "promotion"\nshare = 0.25\nby = "practice"\n')
    workspace = open_workspace(root)
    edit(workspace, "remit.toml", 'settle = "4 weeks"', 'settle = "1 week"')
    for _ in range(3):
        run_cycle(workspace, 1, quiet)
    return root


@pytest.fixture
def workspace(trial: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(trial, tmp_path / "w")
    return open_workspace(tmp_path / "w")


def test_promotion_leaves_the_held_alone_and_practices_stay_together(workspace: Workspace) -> None:
    drawn = draws(workspace)
    assert 0.15 < drawn["held"].mean() < 0.35
    assert drawn.group_by("unit").agg(pl.col("held").n_unique())["held"].max() == 1
    held, seen = set(drawn.filter("held")["hcp_id"]), 0
    with closing(read_ledger(workspace.ledger)) as records:
        for cycle in ("cycle-0001", "cycle-0002", "cycle-0003"):
            rows = pl.concat([records.read_segment(each).frame for each in records.segments(cycle, "decisions")])
            mine = rows.filter(pl.col("hcp_id").is_in(list(held)))
            assert mine["held_out"].all()
            assert not rows.filter(~pl.col("hcp_id").is_in(list(held)))["held_out"].any()
            assert set(mine.filter(pl.col("purpose") == "promotional")["disposition"]) == {"forbidden"}
            seen += mine.filter(pl.col("purpose") == "medical").height
    assert seen


def test_a_draw_is_made_once_and_stays_whatever_the_settings_say_later(workspace: Workspace) -> None:
    before = draws(workspace)
    edit(workspace, "remit.toml", "share = 0.25", "share = 0.5")
    run_cycle(workspace, 1, quiet)
    after = draws(workspace)
    assert after.join(before, on=["hcp_id", "held", "at"], how="semi").height == before.height


def test_the_cycles_replay_to_the_byte_and_an_erased_holdout_leaves_the_rest_comparable(workspace: Workspace, remit: Remit) -> None:
    assert remit("replay", "-w", workspace.root).returncode == 0
    gone = draws(workspace).filter("held")["hcp_id"][0]
    assert remit("erase", gone, "-w", workspace.root).returncode == 0
    assert gone not in set(draws(workspace)["hcp_id"])
    assert remit("verify", "-w", workspace.root).returncode == 0
    replayed = remit("replay", "-w", workspace.root)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_outcomes_compare_who_was_acted_on_with_who_was_held(workspace: Workspace) -> None:
    run_cycle(workspace, 1, quiet)
    shown = commands.outcomes_show(workspace.root, 0.9)
    assert sum(shown["hcps"].values()) == draws(workspace).height
    for product in shown["products"]:
        assert product["looks"]
        assert product["acted"] > product["held"] >= 10
        assert all(look["low"] < look["effect"] < look["high"] for look in product["looks"])


@pytest.mark.parametrize(
    "when",
    [
        "purpose = 'promotional' AND touch > 99",
        "NOT held_out AND purpose = 'medical'",
        "held_out AND purpose = 'promotional' AND channel = 'email'",
        "held_out AND purpose = 'promotional' AND pdrp IS NULL",
        "held_out AND purpose = 'promotional' AND pdrp IS NOT NULL",
    ],
)
def test_a_holdout_that_the_table_does_not_keep_is_refused(when: str, workspace: Workspace, remit: Remit) -> None:
    edit(workspace, "authority.yaml", "held_out AND purpose = 'promotional'", when)
    ran = remit("run", "-w", workspace.root)
    assert ran.returncode == 2
    assert "holds HCPs out" in ran.stderr


def test_without_a_holdout_there_is_nothing_to_show(workspace: Workspace, remit: Remit) -> None:
    text = (workspace.root / "remit.toml").read_text()
    (workspace.root / "remit.toml").write_text(text[: text.index("[holdout]")])
    ran = remit("outcomes", "show", "-w", workspace.root)
    assert ran.returncode == 2
    assert "remit holdout plan" in ran.stderr
    (workspace.root / "remit.toml").write_text(text.replace("share = 0.25", "share = 1.5"))
    assert "between 0 and 1" in remit("outcomes", "show", "-w", workspace.root).stderr
