"""The two-brands country, whose true response is known: calls follow volume there, and not response."""

import hashlib
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from remit.features import FEATURES, Catalogue, Tables, build, catalogue, earlier_instants, training_frame
from remit.intake import TABLES, labels, load, read
from remit.models import response
from remit.worlds import FIRST_CYCLE, two_brands
from remit.worlds.country import settle

PHYSICIANS, SEED, HORIZON = 1_500, 11, 4
CATALOGUE: Catalogue = catalogue(
    FEATURES,
    {f"{name}.{column}": label for name, table in TABLES.items() for column, label in labels(table.contract.schema).items()},
    ["call", "email", "msl_visit"],
)


@pytest.fixture(scope="module")
def tables_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Tables]:
    """The country's history as intake gives it at an instant."""
    folder = tmp_path_factory.mktemp("world")
    for delivery in two_brands(PHYSICIANS, SEED, later=0):
        (folder / "feeds" / delivery.feed).mkdir(parents=True, exist_ok=True)
        delivery.rows.write_csv(folder / "feeds" / delivery.feed / f"{delivery.name}.csv")
    load(folder / "feeds", folder / "warehouse", FIRST_CYCLE, _entropy, lambda _: ())
    names = ("hcp", "products", "rx", "touches", "inquiries", "formulary")
    return lambda instant: {name: read(folder / "warehouse", name, instant) for name in names}


@pytest.fixture(scope="module")
def model(tables_at: Callable[[int], Tables]) -> response.Response:
    """A response model over four weeks, from sixteen weeks whose reports no longer grow."""
    instants = earlier_instants(FIRST_CYCLE, "1 week", 24)[:16]
    frame = training_frame(tables_at, instants, FIRST_CYCLE, CATALOGUE, periods=HORIZON)
    return response.train(frame, CATALOGUE, periods=HORIZON, seed=1, threads=1)


def _entropy(count: int) -> bytes:
    return hashlib.sha256(b"test").digest()[:count]


def _true_increment(features: pl.DataFrame) -> float:
    """What one more detail of alpha in first position would add over the horizon, on average (two_brands states the equation)."""
    country = settle(PHYSICIANS, SEED)
    rows = features["hcp_id"].str.slice(1).cast(pl.Int64).to_numpy() - 1
    stock = features["touches_stock_call"].fill_null(0).to_numpy() / 2
    week = np.arange(HORIZON)
    before = stock[:, None] * 0.7 ** (week + 1)
    after = before + 0.7**week
    lift = (after / (after + 2) - before / (before + 2)).sum(axis=1)
    return float((country.base[rows, 0] * country.response[rows, 0] * lift).mean())


def test_the_mean_effect_of_a_call_is_right_in_sign_and_size(tables_at: Callable[[int], Tables], model: response.Response) -> None:
    """One more call adds what the world's equation says, within a factor of two."""
    features = build(tables_at(FIRST_CYCLE), FIRST_CYCLE, CATALOGUE).filter(product="alpha")
    found = model.predict(features, most=1).filter(channel="call")["increment"].to_numpy().mean() / 1e6
    assert 0.5 < found / _true_increment(features) < 2


def test_the_unadjusted_slope_there_is_many_times_too_large(model: response.Response) -> None:
    """Because calls follow volume, the slope as found lies far above the adjusted effect, whose interval leaves out zero."""
    told = next(entry.sensitivity for entry in model.learned if (entry.product, entry.channel) == ("alpha", "call"))
    assert float(told["common"]["low"]) > 0
    assert float(told["other_specifications"]["as found, nothing adjusted but the period"]["estimate"]) > 4 * float(told["common"]["estimate"])


def test_a_visit_that_does_nothing_is_not_found_to_do_something(model: response.Response) -> None:
    """MSL visits have no effect on prescribing in the country; no interval excludes zero, or the effect is unknown."""
    for entry in model.learned:
        if entry.channel == "msl_visit" and entry.effects is not None:
            assert float(entry.sensitivity["common"]["low"]) < 0 < float(entry.sensitivity["common"]["high"])
