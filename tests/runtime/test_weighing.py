"""`remit outcomes tried --table`: what chance's decisions would have been worth under another table."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import polars as pl
import pytest

from remit.authority import Table, load_table
from remit.features import Panel
from remit.outcomes import OutcomeError
from remit.runtime import commands
from remit.runtime.errors import WorkspaceError
from remit.runtime.living import create_world
from remit.runtime.run import run_cycle
from remit.runtime.weighing import targets, weighed
from remit.runtime.workspace import open_workspace
from remit.terms.facts import FACTS
from remit.terms.instants import WEEK
from remit.terms.people import Person

Remit = Callable[..., "CompletedProcess[str]"]

TABLE = """\
version: 1
name: rights
owner: head
rows:
  - id: all
    when: channel IN ('email', 'call')
    verdict: autonomous
    owner: head
    reason: May act.
"""
LEARNS = "exploration:\n  - {id: learn, when: TRUE, tries: 0.1, rests: 0.02, owner: head, reason: To learn.}\n"
FORBIDS = "  - {id: often, when: contacts_28d > 2, verdict: forbidden, owner: head, reason: Too many.}\n"
ASKS = "  - {id: often, when: contacts_28d > 2, verdict: confirm, roles: [head], deadline: 2 days, on_timeout: refuse, owner: head, reason: Too many.}\n"


def table(text: str) -> Table:
    return load_table(text, {"head": Person("head", frozenset({"head"}))}, FACTS, 0)


def decided() -> pl.DataFrame:
    """Three e-mails and a call of two details, under `TABLE + LEARNS`: one rested, one tried, one that could have been tried; the call was made."""
    rows = [
        ("A", "email", "rested", 980_000, 0, 1),
        ("B", "email", "tried", 40_000, 0, 1),
        ("C", "email", "outbid", 50_000, 0, 5),
        ("D", "call", "chosen", 980_000, 1, 1),
        ("D", "call", "chosen", 980_000, 1, 5),
    ]
    frame = pl.DataFrame(rows, schema=["hcp_id", "channel", "disposition", "probability", "call_number", "contacts_28d"], orient="row")
    return frame.with_columns(purpose=pl.lit("promotional"), mandatory=pl.lit(False), territory=pl.lit(None, pl.String))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (TABLE + LEARNS, [980_000, 40_000, 50_000, 980_000, 980_000]),
        (TABLE, [1_000_000, 0, 0, 1_000_000, 1_000_000]),
        (TABLE + LEARNS.replace("0.1,", "0.05,").replace("0.02", "0.2"), [800_000, 20_000, 25_000, 800_000, 800_000]),
        (TABLE + FORBIDS + LEARNS, [980_000, 40_000, 0, 980_000, 0]),
        (TABLE + ASKS + LEARNS, [980_000, 40_000, 0, 980_000, 980_000]),
        (TABLE + LEARNS.replace("when: TRUE", "when: contacts_28d < 3"), [980_000, 40_000, 0, 1_000_000, 1_000_000]),
    ],
    ids=["the same", "nothing by chance", "other chances", "forbids", "asks", "not some details"],
)
def test_another_table_decides_by_its_own_rulings_tries_and_rests(other: str, expected: list[int]) -> None:
    assert targets(decided(), table(TABLE + LEARNS), table(other))["target"].to_list() == expected


HCPS, PERIODS, AT, EACH = 300, 12, 6, 100.0
IDS = tuple(f"H{number:04d}" for number in range(HCPS))


def made_up(seed: int) -> tuple[pl.DataFrame, Panel, float]:
    """A contact costs 100 and adds three units worth 100 each to every second HCP, nothing to the rest; another table would make it with 0.9 to the former and
    never to the latter. Recorded values say 50 of everyone. And what that would have gained for each decision."""
    draw = np.random.default_rng(seed)
    probability, well = draw.uniform(0.2, 0.8, HCPS), np.arange(HCPS) % 2 == 0
    done = draw.random(HCPS) < probability
    outcome = draw.poisson(3.0, (HCPS, PERIODS)).astype(float)
    outcome[done & well, AT] += 3
    ends = np.arange(1, PERIODS + 1) * WEEK
    seen = Panel(IDS, ("kappa",), ("email",), int(ends[-1]), ends, outcome[:, None, :], np.zeros((1, HCPS, 1, PERIODS)), np.zeros(HCPS, bool))
    target = np.where(well, 0.9, 0.0)
    millionths = {"probability": np.rint(probability * 1e6), "target": np.rint(target * 1e6), "value": np.full(HCPS, 50e6)}
    frame = pl.DataFrame({"hcp_id": IDS, "product": "kappa", "done": done, **{name: column.astype(np.int64) for name, column in millionths.items()}})
    gained = float(((target - probability) * np.where(well, 2 * EACH, -EACH)).mean())
    return frame.with_columns(cost_minor=pl.lit(10_000, pl.Int64), at=pl.lit(int(ends[AT - 1]), pl.Int64)), seen, gained


def test_the_gain_of_another_table_is_found_as_often_as_its_interval_says() -> None:
    """90% intervals over 200 made-up logs; and it is told apart from nothing although the two values' own intervals overlap in many."""
    covered, clear, apart = 0, 0, 0
    for seed in range(200):
        frame, seen, gained = made_up(seed)
        found = weighed(frame, seen, 1, {"kappa": 10_000})
        covered += found["gain"]["low"] <= gained <= found["gain"]["high"]
        clear += found["gain"]["low"] > 0
        apart += found["other"]["dr"]["low"] > found["done"]["high"]
    assert 170 <= covered <= 195
    assert clear > apart


def test_the_same_decisions_are_worth_the_same() -> None:
    frame, seen, _ = made_up(0)
    found = weighed(frame.with_columns(target="probability"), seen, 1, {"kappa": 10_000})
    assert (found["gain"]["value"], found["gain"]["low"], found["gain"]["high"]) == (0.0, 0.0, 0.0)
    assert found["other"]["ips"]["value"] == found["done"]["value"]
    assert found["other"]["ips"]["effective"] == pytest.approx(HCPS)


def test_too_few_and_too_unlike_decisions_are_refused() -> None:
    frame, seen, _ = made_up(0)
    with pytest.raises(OutcomeError, match=r"of 99 decisions that chance made 99 are settled(.|\n)*takes 100"):
        weighed(frame.head(99), seen, 1, {"kappa": 10_000})
    with pytest.raises(OutcomeError, match="0 are settled"):
        weighed(frame, seen, PERIODS, {"kappa": 10_000})
    opposite = frame.with_columns(target=pl.when("done").then(0).otherwise(1_000_000))
    with pytest.raises(OutcomeError, match="almost nothing of what was done"):
        weighed(opposite, seen, 1, {"kappa": 10_000})


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in a small market whose e-mails are tried and left out at random, after six cycles."""
    root = tmp_path_factory.mktemp("weighing") / "w"
    create_world(root, "quickstart", 500)
    edit(root / "authority.yaml", ("tries: 0.1", "tries: 0.4"), ("rests: 0.02", "rests: 0.3"))
    for _ in range(6):
        run_cycle(open_workspace(root), 1, lambda _: None)
    return root


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_a_workspace_tells_what_another_table_would_have_been_worth(trial: Path, tmp_path: Path, remit: Remit) -> None:
    """The table in force gains nothing; one without exploration would have made every chosen contact; one that forbids e-mail none."""
    same = commands.outcomes_tried_by(trial, trial / "authority.yaml", 1)
    assert same["gain"]["low"] == same["gain"]["high"] == same["stopped"] == same["opened"] == 0
    assert same["judged"] >= 100
    text = (trial / "authority.yaml").read_text()
    other = tmp_path / "other.yaml"
    other.write_text(text.partition("exploration:")[0])
    told = remit("outcomes", "tried", "--table", other, "--periods", 1, "--json", "-w", trial)
    assert told.returncode == 0, told.stderr
    sure = json.loads(told.stdout)
    assert sure["would_make"] > same["would_make"]
    assert sure["other"]["ips"]["effective"] < same["other"]["ips"]["effective"]
    assert sure["gain"]["low"] < sure["gain"]["value"] < sure["gain"]["high"]
    forbids = "rows:\n  - {id: none, when: channel = 'email', verdict: forbidden, owner: owner-email, reason: None.}\n"
    other.write_text(text.replace("rows:\n", forbids, 1))
    none = commands.outcomes_tried_by(trial, other, 1)
    assert none["would_make"] == 0
    said = remit("outcomes", "tried", "--table", other, "--periods", 1, "-w", trial)
    assert said.returncode == 0, said.stderr
    assert "the table would have made 0 on the mean" in said.stdout


def test_a_table_that_cannot_be_used_is_refused(trial: Path, tmp_path: Path, remit: Remit) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    told = remit("outcomes", "tried", "--table", tmp_path / "bad.yaml", "-w", trial)
    assert told.returncode == 2
    assert "the table cannot be used" in told.stderr
    with pytest.raises(WorkspaceError, match="the table cannot be read: No such file"):
        commands.outcomes_tried_by(trial, tmp_path / "none.yaml", 1)


def test_where_nothing_is_left_to_chance_another_table_has_no_value(trial: Path, tmp_path: Path) -> None:
    create_world(tmp_path / "sure", "quickstart", 100)
    text = (tmp_path / "sure" / "authority.yaml").read_text()
    (tmp_path / "sure" / "authority.yaml").write_text(text.partition("exploration:")[0])
    run_cycle(open_workspace(tmp_path / "sure"), 1, lambda _: None)
    with pytest.raises(OutcomeError, match=r"nothing was left to chance(.|\n)*`exploration`"):
        commands.outcomes_tried_by(tmp_path / "sure", trial / "authority.yaml", 1)
