"""Drift in the two-brands country: weeks that are as they were raise nothing, and a fall of precision by seven points is caught within two."""

import hashlib
from math import ceil

import numpy as np
import polars as pl
import pytest

from remit.features import FEATURES, catalogue, earlier_instants, training_frames
from remit.intake import TABLES, labels, load, read
from remit.models import drift, lead_score
from remit.terms.instants import add_span
from remit.worlds import FIRST_CYCLE, two_brands

PHYSICIANS, LATER, LEARNED, HELD, LIVE = 1_000, 8, 7, 6, 8
CATALOGUE = catalogue(
    FEATURES,
    {f"{name}.{column}": label for name, table in TABLES.items() for column, label in labels(table.contract.schema).items()},
    ["call", "email", "msl_visit"],
)
Weeks = tuple[drift.Reference, list[pl.DataFrame]]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """The reference from weeks held out after learning, and the scored weeks after these with their outcomes."""
    folder = tmp_path_factory.mktemp("country")
    for delivery in two_brands(PHYSICIANS, 1, later=LATER):
        (folder / "feeds" / delivery.feed).mkdir(parents=True, exist_ok=True)
        delivery.rows.write_csv(folder / "feeds" / delivery.feed / f"{delivery.name}.csv")
    end = add_span(FIRST_CYCLE, "1 week", LATER)
    load(folder / "feeds", folder / "warehouse", end, lambda count: hashlib.sha256(b"test").digest()[:count], lambda _: ())
    names = ("hcp", "products", "rx", "touches", "inquiries", "formulary")
    instants = earlier_instants(end, "1 week", LEARNED + HELD + LIVE + 4)[: LEARNED + HELD + LIVE]
    rows = training_frames(lambda at: {name: read(folder / "warehouse", name, at) for name in names}, instants, end, CATALOGUE, periods=(1,))[0]
    rows = rows.filter(~pl.col("pdrp").fill_null(True))
    lead = lead_score.train(rows.filter(pl.col("instant") < instants[LEARNED]), CATALOGUE, seed=1, threads=1)
    later = rows.filter(pl.col("instant") >= instants[LEARNED])
    scored = later.with_columns(score=lead.predict(later, threads=1)["lead_score"])
    parts = scored.sort("instant").partition_by("instant", maintain_order=True)
    columns = [name for name in lead.inputs.names if name != "product" and not name.startswith("touches")]
    return drift.reference(pl.concat(parts[:HELD]), columns, drift.Limits()), parts[HELD:]


def worse(found: drift.Reference, rows: pl.DataFrame, points: float, draw: np.random.Generator) -> pl.DataFrame:
    """The same scores and the same outcomes, some of them exchanged so that so much less of the selected are hits."""
    parts = []
    for (product,), part in sorted(rows.partition_by("product", as_dict=True).items()):
        part = part.sort("score", "hcp_id", descending=[True, False])
        outcome, chosen, cut = part["outcome"].to_numpy().copy(), ceil(found.limits.share * part.height), found.cuts[str(product)]
        hits, misses = np.flatnonzero(outcome[:chosen] >= cut), chosen + np.flatnonzero(outcome[chosen:] < cut)
        count = round(points * chosen)
        one, other = draw.choice(hits, count, replace=False), draw.choice(misses, count, replace=False)
        outcome[one], outcome[other] = outcome[other], outcome[one]
        parts.append(part.with_columns(outcome=pl.Series(outcome)))
    return pl.concat(parts)


def test_weeks_that_are_as_they_were_raise_nothing(weeks: Weeks) -> None:
    found, live = weeks
    state: drift.State = {}
    for rows in live:
        state, findings = drift.watch(found, state, rows, rows)
        assert [each.figure for each in findings if each.action != "none"] == []


def test_a_fall_of_seven_points_is_caught_within_two_cycles_whenever_it_begins(weeks: Weeks) -> None:
    """It begins after any number of quiet weeks, with twenty draws of whose outcomes are exchanged."""
    found, live = weeks
    draw, caught, tried = np.random.default_rng(3), 0, 0
    for begins in range(len(live) - 1):
        quiet: drift.State = {}
        for rows in live[:begins]:
            quiet, _ = drift.watch(found, quiet, None, rows)
        for _ in range(20):
            state, raised = quiet, False
            for rows in live[begins : begins + 2]:
                state, findings = drift.watch(found, state, None, worse(found, rows, 0.07, draw))
                raised |= any(each.figure == drift.PRECISION and each.action != "none" for each in findings)
            caught, tried = caught + raised, tried + 1
    assert caught >= 0.95 * tried
