"""A company in a market of bricks: it learns from whole bricks, and knows how old their reports are."""

import shutil
from contextlib import closing
from dataclasses import replace
from os import urandom
from pathlib import Path

import polars as pl
import pytest

from remit.intake import read, state
from remit.ledger import Entry, open_ledger, read_ledger
from remit.runtime import commands, training
from remit.runtime.countries import open_world
from remit.runtime.enrolment import ENROLMENT, draw, enrolled
from remit.runtime.errors import WorkspaceError
from remit.runtime.inputs import Warehouse, observe
from remit.runtime.living import create_world
from remit.runtime.run import run_cycle
from remit.runtime.settings import read_settings
from remit.runtime.simulating import Past, _inputs, burn_in
from remit.runtime.workspace import open_workspace
from remit.terms.instants import HOUR


@pytest.fixture(scope="module")
def past() -> Past:
    """The European market at its first cycle, small."""
    return burn_in(open_world("europe"), 160, 1, 0)


def test_a_sample_takes_bricks_whole(past: Past) -> None:
    """Half of the physicians: of every brick all or nobody; without bricks, every second physician."""
    settings = replace(past.company.config.settings, train_on=80)
    hcp = past.company.shelf.state("hcp", past.world.now)
    chosen = training.sample(hcp, settings)
    sizes = hcp.with_columns(mine=pl.col("hcp_id").is_in(chosen)).group_by("brick_id").agg(pl.col("mine").mean())
    assert set(sizes["mine"]) == {0.0, 1.0}
    assert 40 <= len(chosen) <= 110
    alone = hcp.with_columns(brick_id=pl.lit(None, pl.String))
    assert training.sample(alone, settings) == hcp["hcp_id"].unique().sort().gather_every(2).to_list()


def test_the_reports_of_bricks_are_the_prescription_feed(past: Past) -> None:
    """Their age is that of the feed of prescriptions, and every physician has a newest period."""
    company = past.company.copy()
    inputs = _inputs(company, observe(company.shelf, company.config.settings, past.world.now), 1)
    assert "rx" not in inputs.known.feed_age_h
    assert inputs.known.feed_age_h["brick_rx"] < 24
    assert inputs.known.scores["rx_at"].null_count() == 0
    features = observe(past.company.shelf, past.company.config.settings, past.world.now).features
    assert features["rx_feed_age_us"].max() < 24 * HOUR  # type: ignore[operator]  # a number
    assert features["rx_of_brick"].all()
    assert past.company.models is not None
    assert past.company.models.response.facts["bricks"] > 5


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in the European market that leaves half of its bricks alone, after six cycles."""
    root = tmp_path_factory.mktemp("europe") / "w"
    create_world(root, "europe", 600)
    text = (root / "remit.toml").read_text()
    for old, new in (('history = "52 weeks"', 'history = "26 weeks"'), ('settle = "7 weeks"', 'settle = "3 weeks"'), ("share = 0.2", "share = 0.5")):
        assert old in text
        text = text.replace(old, new)
    (root / "remit.toml").write_text(text)
    for _ in range(6):
        run_cycle(open_workspace(root), 1, lambda _: None)
    return root


def test_whole_bricks_are_left_alone_and_compared(trial: Path) -> None:
    """Nobody in a held brick is promoted to; the lift is in prescriptions for each who prescribes in a brick, from as many units as there are bricks."""
    workspace = open_workspace(trial)
    with closing(read_ledger(workspace.ledger)) as records:
        drawn = enrolled(records, read_settings((trial / "remit.toml").read_text(), "remit.toml"), records.size).filter(pl.col("channel") == "")
        rows = pl.concat([records.read_segment(each).frame for each in records.segments("cycle-0001", "decisions")])
    hcp = state(workspace.warehouse, "hcp", drawn["at"][0])
    assert drawn.join(hcp, on="hcp_id")["unit"].equals(drawn.join(hcp, on="hcp_id")["brick_id"])
    assert drawn.group_by("unit").agg(pl.col("held").n_unique())["held"].max() == 1
    held = rows.filter(pl.col("hcp_id").is_in(drawn.filter("held")["hcp_id"].implode()))
    assert set(held.filter(pl.col("purpose") == "promotional")["disposition"]) == {"forbidden"}
    shown = commands.outcomes_show(trial, 0.9)
    for product in shown["products"]:
        assert (product["acted"], product["held"]) == (12, 12)
        assert product["looks"]
        assert [row["channel"] for row in product["channels"]] == ["call", "email"]
        assert all(row["shares"] == {} and "Each side needs 10" in row["lift"]["says"][0] for row in product["channels"])  # a fifth of twelve bricks
        sold = read(workspace.warehouse, "brick_rx", drawn["at"][0]).filter(pl.col("product") == product["product"])
        assert product["looks"][-1]["held_mean"] == pytest.approx(sold.group_by("period").agg(pl.col("trx").sum())["trx"].mean() / 600, rel=0.4)


def test_held_out_evidence_counts_bricks(trial: Path) -> None:
    """Of both models as many units as bricks, though the lead's rows are physicians'."""
    for model in commands.models_show(trial)["models"]:
        assert model["held_out"]["units"] == 24
        assert model["held_out"]["hcps"] > 500
        assert "in 24 bricks" in model["checks"][0]["found"]


def test_a_plan_counts_bricks_and_no_other_unit(trial: Path) -> None:
    planned = commands.holdout_plan(trial, 0.1, None, 0.9, 0.8)
    assert planned["by"] == "brick"
    assert {product["units"] for product in planned["products"]} == {24}
    for by in ("hcp", "practice"):
        with pytest.raises(WorkspaceError, match=r"bricks only(.|\n)*`--by brick`"):
            commands.holdout_plan(trial, 0.1, by, 0.9, 0.8)


def test_physicians_cannot_be_drawn_where_prescriptions_are_known_of_bricks_only(trial: Path, tmp_path: Path) -> None:
    """A new experiment is refused before anything is drawn; one whose draws hold no brick cannot be shown."""
    shutil.copytree(trial, tmp_path / "w")
    path, before = tmp_path / "w" / "remit.toml", (trial / "remit.toml").read_text()
    path.write_text(before.replace('name = "first"', 'name = "second"').replace('by = "brick"', 'by = "hcp"'))
    with pytest.raises(WorkspaceError, match=r'bricks only(.|\n)*by = "brick"'):
        run_cycle(open_workspace(tmp_path / "w"), 1, lambda _: None)
    with pytest.raises(WorkspaceError, match="nobody is enrolled in `second`"):
        commands.outcomes_show(tmp_path / "w", 0.9)
    workspace = open_workspace(tmp_path / "w")
    settings = read_settings(path.read_text(), "remit.toml")
    with closing(open_ledger(workspace.ledger, entropy=urandom)) as ledger:
        now = int(next(ledger.entries(kind="cycle")).body["now"])
        none = pl.DataFrame(schema=ENROLMENT)
        drawn = ledger.write_segments(
            draw(Warehouse(workspace), settings, none, bytes(32), now), cycle="cycle-0006", stream="holdout/second", schema="remit.holdout/1", plain=["unit"]
        )
        ledger.append("drawn", [Entry("failure", "remit.failure/1", {"agent": "none", "error": "none", "at": 0})], cycle="cycle-0006", segments=drawn)
    with pytest.raises(WorkspaceError, match=r'has drawn no bricks(.|\n)*by = "brick"'):
        commands.outcomes_show(tmp_path / "w", 0.9)


def test_cycles_replay_after_a_physician_of_a_brick_was_erased(trial: Path, tmp_path: Path) -> None:
    """Levels of bricks rest on all their physicians' touches: as recorded, they give everybody else the same values."""
    root = tmp_path / "w"
    shutil.copytree(trial, root)
    workspace = open_workspace(root)
    touched = read(workspace.warehouse, "touches", 2**62).group_by("hcp_id").len().sort("len", "hcp_id")["hcp_id"][-1]
    commands.erase(touched, root, "request")
    (again,) = commands.replay(root, "cycle-0001", 1, lambda _: None)["cycles"]
    assert again["gone"] > 0
    assert again["differs"] == []
