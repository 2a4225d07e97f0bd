"""What a cycle finds of its models: held-out evidence with a gap before it, late rows that are no leak, rows that training knew and no cycle was served."""

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from remit.intake import load, state
from remit.ledger import open_ledger
from remit.models import gates
from remit.runtime import commands, judging, registry, replaying, training, verifying
from remit.runtime.inputs import tables
from remit.runtime.living import create_world
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from tests.runtime.conftest import quiet, small

WEEK = 7 * 86_400_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def trained(workspace: Workspace, now: int, cycles: dict[int, list[str]] | None = None) -> training.Models:
    """The models of a workspace whose feeds were loaded at `now`, trained and judged."""
    settings = read_config(config_texts(workspace)).settings
    load(workspace.feeds, workspace.warehouse, now, os.urandom, lambda _: (), zone=settings.zone)
    hcp = state(workspace.warehouse, "hcp", now)
    training.train(workspace, settings, hcp, lambda instant, hcps: tables(workspace, instant, hcps=hcps), now, cycles=cycles)
    return training.load(workspace)


def check(workspace: Workspace, model: str, name: str) -> gates.Check:
    models = training.load(workspace)
    body = registry.evidence_of(workspace, models.evidence[model], model, models.digests[model])
    assert body is not None
    return next(gates.Check(**each) for each in body["checks"] if each["name"] == name)


def rewritten(folder: Path, change: pl.Expr, where: pl.Expr) -> int:
    """The files of a feed with `change` made in the rows `where`; how many rows that were."""
    count = 0
    for path in sorted(folder.glob("history-*.csv")):
        rows = pl.read_csv(path, infer_schema=False)
        count += rows.filter(where).height
        rows.with_columns(pl.when(where).then(change).otherwise(pl.col(change.meta.output_name())).alias(change.meta.output_name())).write_csv(path)
    return count


def test_a_prescription_reported_late_is_no_leak(tmp_path: Path) -> None:
    """One row of a period held out comes after outcomes count as settled: it is learned from, it is not judged on, and its features come out again."""
    workspace = small(tmp_path / "w")
    now, instant = at("2026-01-05T06:00:00"), at("2025-11-24T06:00:00")
    first = pl.concat([pl.read_csv(path, infer_schema=False) for path in sorted((workspace.feeds / "rx").glob("history-*.csv"))])
    weeks = first.filter((pl.col("period") == "2025-W48") & (pl.col("product") == "alpha"))
    hcp = weeks.group_by("hcp_id").len().filter(len=1).sort("hcp_id")["hcp_id"][0]
    late = pl.lit("2026-01-02T04:00:00Z").alias("received_at")
    assert rewritten(workspace.feeds / "rx", late, (pl.col("hcp_id") == hcp) & (pl.col("period") == "2025-W48") & (pl.col("product") == "alpha")) == 1
    trained(workspace, now)
    settings = read_config(config_texts(workspace)).settings
    given = (lambda when: tables(workspace, when)), training.feature_catalogue(settings), [hcp], settings
    settled, known = judging.settled_rows(instant, instant + 4 * WEEK, *given), judging.settled_rows(instant, now, *given)
    assert set(known["product"]) - set(settled["product"]) == {"alpha"}
    assert check(workspace, "lead-score", "no future").passed


@pytest.mark.parametrize("rows", [1, 200])
def test_rows_that_claim_to_have_come_before_cycles_that_did_not_have_them_are_told(workspace: Workspace, rows: int) -> None:
    """After two cycles a file restates prescriptions under a date before them: a single row makes no model, two hundred refuse it by name."""
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        served = {int(entry.body["now"]): entry.body["inputs"]["warehouse"] for entry in ledger.entries(kind="cycle")}
    known = pl.read_csv(workspace.feeds / "rx" / "history-05.csv", infer_schema=False).filter(pl.col("product") == "alpha")
    newest = known.filter(pl.col("period") == pl.col("period").max()).unique("hcp_id").sort("hcp_id")
    back = pl.concat([newest, *(known.filter(pl.col("period") == period) for period in sorted(known["period"].unique())[-4:-1])]).head(rows)
    back = back.with_columns(pl.lit("999").alias("trx"), pl.lit("999").alias("nrx"), pl.lit("999").alias("nbrx"), received_at=pl.lit("2026-01-05T05:00:00Z"))
    back.write_csv(workspace.feeds / "rx" / "restated.csv")
    now = max(served) + WEEK
    trained(workspace, now, served)
    found = check(workspace, "lead-score", "no future")
    assert found.passed is (rows == 1)
    assert ("was something else in" in found.found) is (rows > 1)


def test_without_such_rows_nothing_is_compared(workspace: Workspace) -> None:
    """What cycles were served and what training builds are the same rows then."""
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        served = {int(entry.body["now"]): entry.body["inputs"]["warehouse"] for entry in ledger.entries(kind="cycle")}
    settings = read_config(config_texts(workspace)).settings
    assert training.overtaken(workspace, settings, max(served) + WEEK, served) == {}


def test_rows_whose_periods_were_not_over_are_not_learned_from_for_judging() -> None:
    """Weekly instants over monthly outcomes: of the month of the first instant held out, nothing is learned."""
    instants = list(range(12))
    rows = pl.DataFrame({"instant": instants, "until": [4 * (instant // 4 + 1) for instant in instants]})
    assert judging.ended_before(rows, [8, 9, 10, 11])["instant"].to_list() == instants[:8]
    assert judging.ended_before(rows, [6, 7])["instant"].to_list() == instants[:4]
    assert judging.ended_before(rows, []).is_empty()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A world in which promotion works and one in which it does not, after a cycle each."""
    roots = {name: tmp_path_factory.mktemp(name) / "w" for name in ("quickstart", "nothing")}
    for name, root in roots.items():
        create_world(root, name, {"quickstart": 1_000, "nothing": 600}[name])
        run_cycle(open_workspace(root), 1, quiet)
    return roots


def test_a_response_reaches_production_where_promotion_works(worlds: dict[str, Path]) -> None:
    """Every check passes on the world's own evidence, two people sign, the next cycle says so, and it replays to the byte."""
    root = worlds["quickstart"]
    shown = next(model for model in commands.models_show(root)["models"] if model["model"] == "response")
    assert [each["name"] for each in shown["checks"] if not each["passed"]] == []
    assert shown["stage"] == "staging"
    assert float(shown["held_out"]["gain"]["low"]) > 0
    assert {"call", "email"} <= set(shown["moved_by"])
    assert all(sum(map(float, features.values())) == pytest.approx(1.0) for features in shown["moved_by"].values())
    assert shown["audit"]["groups"]
    assert all(group["calibration"] is None for group in shown["audit"]["groups"])
    commands.models_sign(root, "response", "data-steward", "data-steward")
    assert commands.models_sign(root, "response", "medical-lead", "medical")["stage"] == "production"
    workspace = open_workspace(root)
    done = run_cycle(workspace, 1, quiet)
    assert done.watch["response"]["stage"] == "production"
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        assert replaying.replay(workspace, ledger, done.cycle, 1, quiet)["differs"] == []
    assert verifying.workspace(workspace, None, None)["faults"] == []


def test_a_response_stays_in_development_where_nothing_works(worlds: dict[str, Path]) -> None:
    shown = next(model for model in commands.models_show(worlds["nothing"])["models"] if model["model"] == "response")
    assert shown["stage"] == "development"
    assert {"held-out metrics", "calibration"} & {each["name"] for each in shown["checks"] if not each["passed"]}
