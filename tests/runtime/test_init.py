"""Making workspaces, and the real example from data to plan."""

from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from remit.intake import read
from remit.ledger import read_ledger
from remit.runtime import commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.init import create
from remit.runtime.run import run_cycle
from remit.runtime.workspace import config_texts, open_workspace, read_config
from remit.terms.errors import RemitError
from remit.terms.instants import parse_instant

DETAILING = Path(__file__).parents[3] / "shared/data/detailing"
needs_data = pytest.mark.skipif(not DETAILING.is_dir(), reason="the data set `detailing` is not beside the project, at ../shared/data/detailing")


def quiet(stage: str) -> None:
    """Tells nobody."""


@pytest.mark.parametrize("example", ["two-brands", "detailing"])
def test_an_example_is_whole(example: str, tmp_path: Path) -> None:
    if example == "detailing" and not DETAILING.is_dir():
        pytest.skip("the data set `detailing` is not beside the project, at ../shared/data/detailing")
    create(tmp_path / "w", example, DETAILING if example == "detailing" else None, 50)
    config = read_config(config_texts(open_workspace(tmp_path / "w")))
    assert config.table(config.settings.first).rules
    assert all(charter.expires > config.settings.first for charter in config.charters)


@pytest.mark.parametrize(
    ("example", "data", "word"),
    [
        ("three-brands", None, "no example"),
        ("detailing", None, "needs its data"),
        ("detailing", "nowhere", "counts.csv"),
        ("two-brands", "nowhere", "generates"),
    ],
)
def test_a_wrong_call_of_init_says_what_to_do_and_makes_nothing(example: str, data: str | None, word: str, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=word):
        create(tmp_path / "w", example, tmp_path / data if data else None, 50)
    assert not (tmp_path / "w").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(WorkspaceError, match="not empty"):
        create(tmp_path, "two-brands", None, 50)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_same_example_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        create(tmp_path / name, "two-brands", None, 60)
    first, second = ({path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*") if path.is_file()} for name in "ab")
    assert first == second


@needs_data
def test_on_real_prescribing_the_plan_gives_out_last_months_calls_and_can_be_proved(tmp_path: Path) -> None:
    create(tmp_path / "real", "detailing", DETAILING, 0)
    workspace = open_workspace(tmp_path / "real")
    done = run_cycle(workspace, 1, quiet)
    assert done.result is not None
    calls = pl.read_csv(DETAILING / "counts.csv").filter(pl.col("month") == 23)["detailing"].sum()
    plan = done.result.plans[0]
    assert int(plan.plan.used[plan.resources.index("calls/T001")]) <= calls * 1_000_000  # type: ignore[index]  # an array
    assert sum(rows for _, rows in done.files) == calls
    assert plan.plan.gap < 0.001
    assert commands.verify(workspace.root, [], None, None)["faults"] == []
    assert commands.replay(workspace.root, None, 2, quiet)["cycles"][0]["differs"] == []
    assert set(read(workspace.warehouse, "consent", done.now)["source"]) == {"assumed"}
    with closing(read_ledger(workspace.ledger)) as records:
        first = records.recorded(done.cycle)[0].chosen
    assert "It would have turned" in " ".join(commands.explain(f"{done.cycle}/{first.number}", workspace.root, None)["turning"])


@needs_data
def test_the_samples_average_over_the_whole_window_is_never_loaded(tmp_path: Path) -> None:
    create(tmp_path / "real", "detailing", DETAILING, 0)
    workspace = open_workspace(tmp_path / "real")
    run_cycle(workspace, 1, quiet)
    assert all("mean_samples" not in read(workspace.warehouse, table, parse_instant("2010-01-01")).columns for table in ("hcp", "rx", "touches"))


def test_no_charter_may_want_a_channel_that_the_workspace_does_not_describe(tmp_path: Path) -> None:
    create(tmp_path / "w", "two-brands", None, 50)
    charter = tmp_path / "w/agents/email.yaml"
    charter.write_text(charter.read_text().replace("[email]", "[fax]"))
    with pytest.raises(RemitError, match="fax"):
        read_config(config_texts(open_workspace(tmp_path / "w")))
