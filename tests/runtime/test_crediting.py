"""A share of paths is told to disagree with a holdout only where both intervals lie apart."""

from dataclasses import asdict

import numpy as np
import polars as pl
import pytest

from remit.outcomes import lift as lift_of
from remit.outcomes import markov, shapley, touch_paths
from remit.runtime.crediting import credited


def lift(low: float, high: float) -> dict[str, object]:
    return {"looks": [{"periods": 4, "effect": (low + high) / 2, "low": low, "high": high, "held_mean": 1.0}], "says": []}


@pytest.mark.parametrize(("share", "believed"), [(0.05, True), (0.3, True), (0.9, False)])
def test_a_share_that_the_channels_own_interval_excludes_is_not_believed(share: float, believed: bool) -> None:
    (row,) = credited(lift(1.0, 2.0), {"email": lift(-0.1, 0.4)}, {"markov": {"email": share}})
    assert row["shares"] == {"markov": share}
    assert (row["says"] == []) == believed
    assert believed or ("90%" in row["says"][0] and "0.9000 to 1.8000" in row["says"][0])


def test_a_share_below_what_the_holdout_shows_is_not_believed_either() -> None:
    (row,) = credited(lift(1.0, 2.0), {"call": lift(0.8, 1.5)}, {"shapley": {"call": 0.2}})
    assert "believe the holdout" in row["says"][0]


def test_without_looks_nothing_is_compared_and_without_a_holdout_that_is_said() -> None:
    nothing = {"looks": [], "says": ["too early"]}
    rows = credited(lift(1.0, 2.0), {"email": nothing}, {"markov": {"call": 0.8, "email": 0.2}})
    assert [row["channel"] for row in rows] == ["call", "email"]
    assert rows[0]["lift"] is None
    assert "no holdout of its own" in rows[0]["says"][0]
    assert rows[1]["says"] == []
    assert credited(lift(1.0, 2.0), {}, {"markov": {"call": 1.0}}) == []


def test_a_channel_that_follows_volume_is_credited_by_paths_and_found_out_by_its_holdout() -> None:
    """Calls add 0.8 a week; e-mails go to who prescribes much, and change nothing."""
    rng, units, past, weeks = np.random.default_rng(7), 3_000, 12, 13
    volume, held = rng.gamma(2.0, 1.0, units), {channel: rng.random(units) < 0.3 for channel in ("", "call", "email")}
    called = ~held[""] & ~held["call"]
    mailed = ~held[""] & ~held["email"] & (rng.random(units) < volume / (1 + volume))
    mean = np.repeat(volume[:, None], past + weeks, axis=1)
    mean[:, past:] += 0.8 * called[:, None]
    unit, week = np.indices(mean.shape)
    outcomes = pl.DataFrame({"unit": unit.ravel(), "period": week.ravel(), "outcome": rng.poisson(mean).ravel()})

    def sides(channel: str) -> pl.DataFrame:
        return pl.DataFrame({"unit": np.arange(units), "held": held[channel]}).filter(pl.Series(~held[""]) if channel else True)

    lifts = {channel: asdict(lift_of(outcomes, sides(channel), past)) for channel in held}
    touched = [
        pl.DataFrame({"unit": np.flatnonzero(who), "channel": channel}).join(pl.DataFrame({"at": np.arange(past, past + weeks) + 0.5}), how="cross")
        for channel, who in (("call", called), ("email", mailed))
    ]
    told = outcomes.filter(pl.col("period") >= past).select("unit", "outcome", since=pl.col("period").cast(pl.Float64), until=pl.col("period") + 1.0)
    paths = touch_paths(pl.concat(touched), told)
    credit = {"markov": markov(paths), "shapley": shapley(paths)}
    shares = {method: {name: part / sum(each.values()) for name, part in each.items()} for method, each in credit.items()}
    call, email = credited(lifts[""], {channel: lifts[channel] for channel in ("call", "email")}, shares)
    last = {row["channel"]: row["lift"]["looks"][-1] for row in (call, email)}
    assert last["call"]["low"] < 0.8 < last["call"]["high"]
    assert last["call"]["low"] > 0.5
    assert last["email"]["low"] < 0.0 < last["email"]["high"]
    assert email["shares"]["shapley"] > 0.3
    assert all("believe the holdout" in said for said in email["says"])
    assert len(email["says"]) == 2
