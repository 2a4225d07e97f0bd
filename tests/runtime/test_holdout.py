"""Who is held out is drawn once, recorded, left alone by promotion in every cycle, and compared with."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from os import urandom
from pathlib import Path

import polars as pl
import pytest

from remit.ledger import Entry, open_ledger, read_ledger
from remit.runtime import commands, guarding, rights_commands
from remit.runtime.enrolment import enrolled
from remit.runtime.errors import WorkspaceError
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.settings import read_settings
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config

Remit = Callable[..., subprocess.CompletedProcess[str]]


def quiet(_: str) -> None:
    """Tells nobody."""


def edit(workspace: Workspace, file: str, old: str, new: str) -> None:
    path = workspace.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def draws(workspace: Workspace, channel: str = "") -> pl.DataFrame:
    """Who was drawn for the holdout from all promotion, or from that of one channel."""
    settings = read_settings((workspace.root / "remit.toml").read_text(), "remit.toml")
    with closing(read_ledger(workspace.ledger)) as records:
        return enrolled(records, settings, records.size).filter(pl.col("channel") == channel)


def decisions(workspace: Workspace) -> pl.DataFrame:
    with closing(read_ledger(workspace.ledger)) as records:
        cycles = [entry.cycle for entry in records.entries(kind="cycle")]
        return pl.concat([records.read_segment(each).frame for cycle in cycles for each in records.segments(cycle, "decisions")])


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a holdout by practice, and others of one channel alone, after three cycles."""
    root = tmp_path_factory.mktemp("trial") / "w"
    create(root, "two-brands", None, 800)
    (root / "remit.toml").write_text(
        (root / "remit.toml").read_text() + '\n[holdout]\nname = "promotion"\nshare = 0.25\nby = "practice"\nchannels = { email = 0.4, call = 0.4 }\n'
    )
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
    held, rows = set(drawn.filter("held")["hcp_id"]), decisions(workspace)
    mine = rows.filter(pl.col("hcp_id").is_in(list(held)))
    assert mine["held_out"].all()
    assert not rows.filter(~pl.col("hcp_id").is_in(list(held)))["held_out"].any()
    assert set(mine.filter(pl.col("purpose") == "promotional")["disposition"]) == {"forbidden"}
    assert mine.filter(pl.col("purpose") == "medical").height


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
    assert gone not in {hcp for channel in ("", "email", "call") for hcp in draws(workspace, channel)["hcp_id"]}
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


def test_one_channel_leaves_its_own_alone_and_the_others_go_on(workspace: Workspace) -> None:
    rows, everybody = decisions(workspace), draws(workspace)
    sides = {}
    for channel in ("email", "call"):
        drawn = draws(workspace, channel)
        assert drawn.height == everybody.height
        assert drawn.group_by("unit").agg(pl.col("held").n_unique())["held"].max() == 1
        acted = drawn.join(everybody.filter(~pl.col("held")), on="hcp_id", how="semi").unique("unit")
        assert acted["held"].sum() == pytest.approx(0.4 * acted.height, abs=2)
        held = sides[channel] = drawn.filter("held")["hcp_id"].implode()
        mine = rows.filter((pl.col("channel") == channel) & (pl.col("purpose") == "promotional"))
        assert mine["channel_held_out"].equals(mine["hcp_id"].is_in(held).alias("channel_held_out"))
        assert set(mine.filter("channel_held_out")["disposition"]) == {"forbidden"}
        assert not mine.filter(~pl.col("channel_held_out"))["rules"].str.contains("channel-held-out").any()
    assert not rows.filter(pl.col("purpose") == "medical")["channel_held_out"].any()
    called = rows.filter(pl.col("hcp_id").is_in(sides["email"]) & (pl.col("channel") == "call") & (pl.col("disposition") == "chosen"))
    assert called.height
    assert not sides["email"].item().equals(sides["call"].item())


def test_each_channel_is_shown_by_its_own_holdout_and_what_paths_credit_beside_it(workspace: Workspace, remit: Remit) -> None:
    run_cycle(workspace, 1, quiet)
    shown = commands.outcomes_show(workspace.root, 0.9)
    acted = draws(workspace).filter(~pl.col("held"))
    for channel in ("email", "call"):
        assert shown["channels"][channel]["held"] == draws(workspace, channel).filter("held").join(acted, on="hcp_id", how="semi").height
    for product in shown["products"]:
        assert [row["channel"] for row in product["channels"]] == ["call", "email"]
        for method in ("markov", "shapley"):
            assert sum(row["shares"][method] for row in product["channels"]) == pytest.approx(1.0)
        for row in product["channels"]:
            assert row["lift"]["acted"] + row["lift"]["held"] == product["acted"]
            assert all(look["low"] < look["effect"] < look["high"] for look in row["lift"]["looks"])
    told = remit("outcomes", "show", "-w", workspace.root)
    assert told.returncode == 0, told.stderr
    assert "Correlation, not effect" in told.stdout


def test_what_acting_changed_below_its_floor_stops_a_product_or_a_channel_once(workspace: Workspace) -> None:
    run_cycle(workspace, 1, quiet)
    guards = [
        ("sure", "product", "alpha", 1000, 1),
        ("high-enough", "product", "beta", 0, 1),
        ("too-soon", "product", "alpha", 1000, 50),
        ("mails", "channel", "email", 1000, 1),
    ]
    rows = [
        f"  - {{id: {name}, on: outcome, scope: {scope}, of: {of}, floor: {floor}, least: {least}, then: stop, owner: compliance-lead, reason: A test.}}\n"
        for name, scope, of, floor, least in guards
    ]
    config = read_config(config_texts(workspace))
    config = config.with_table(config.table_text + "\nguards:\n" + "".join(rows))
    with closing(open_ledger(workspace.ledger, entropy=urandom)) as ledger:
        now = max(int(entry.body["now"]) for entry in ledger.entries(kind="cycle"))
        table = config.table(now)
        assert guarding.trip(workspace, ledger, config, table, now) == ["stop-0001", "stop-0002"]
        bodies = [entry.body for entry in ledger.entries(kind="stop")]
        assert [(body["guard"], body["scope"], body["of"]) for body in bodies] == [("sure", "product", "alpha"), ("mails", "channel", "email")]
        looked = next(each["looks"][-1] for each in commands.outcomes_show(workspace.root, 0.9)["products"] if each["product"] == "alpha")
        assert bodies[0]["figure"] == {name: round(looked[name] * 1_000_000) for name in ("effect", "low", "high")} | {"periods": looked["periods"]}
        for person in ("owner-authority", "compliance-lead"):
            rights_commands.start(workspace.root, "stop-0001", person, "a test")
        assert guarding.trip(workspace, ledger, config, table, now) == []  # nothing more has settled


def test_a_channel_taken_into_an_experiment_later_is_drawn_then(workspace: Workspace) -> None:
    edit(workspace, "remit.toml", "channels = { email = 0.4, call = 0.4 }", "channels = { email = 0.4, msl_visit = 0.5 }")
    before = {channel: draws(workspace, channel) for channel in ("", "email", "call", "msl_visit")}
    run_cycle(workspace, 1, quiet)
    assert before["msl_visit"].is_empty()
    assert set(draws(workspace, "msl_visit")["at"]) == {max(draws(workspace, "msl_visit")["at"])} != set(before["email"]["at"])
    assert all(draws(workspace, channel).join(before[channel], on=["hcp_id", "held", "at"], how="semi").height == before[channel].height for channel in before)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("channels = { fax = 0.1 }", "no channel of this file"),
        ("channels = { email = 1.0 }", "between 0 and 1"),
    ],
)
def test_a_holdout_of_a_channel_is_asked_for_properly(given: str, says: str, workspace: Workspace) -> None:
    edit(workspace, "remit.toml", "channels = { email = 0.4, call = 0.4 }", given)
    with pytest.raises(WorkspaceError, match=says):
        run_cycle(workspace, 1, quiet)


@pytest.mark.parametrize("when", ["channel_held_out AND channel = 'call' AND purpose = 'promotional'", "channel_held_out AND purpose = 'medical'"])
def test_a_holdout_of_a_channel_that_the_table_does_not_keep_is_refused(when: str, workspace: Workspace) -> None:
    edit(workspace, "authority.yaml", "channel_held_out AND purpose = 'promotional'", when)
    with pytest.raises(WorkspaceError, match=r"holds HCPs out from .*email(.|\n)*channel_held_out"):
        rights_commands.propose(workspace.root, None, "owner-email", "a test")


def test_a_draw_recorded_before_there_were_channels_is_one_from_all_promotion(workspace: Workspace) -> None:
    with closing(open_ledger(workspace.ledger, entropy=urandom)) as ledger:
        old = draws(workspace).drop("channel")
        written = ledger.write_segments(old, cycle="cycle-0003", stream="holdout/older", schema="remit.holdout/1", plain=["unit"])
        ledger.append("older", [Entry("failure", "remit.failure/1", {"agent": "none", "error": "none", "at": 0})], cycle="cycle-0003", segments=written)
    edit(workspace, "remit.toml", 'name = "promotion"', 'name = "older"')
    assert draws(workspace).drop("channel").equals(old)


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
    edit(workspace, "authority.yaml", "when: held_out AND purpose = 'promotional'", f"when: {when}")
    ran = remit("authority", "propose", "--by", "owner-email", "--reason", "a test", "-w", workspace.root)
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
