"""`remit outcomes tried`: from decisions that chance made and what was prescribed after them."""

import numpy as np
import polars as pl
import pytest

from remit.features import Panel
from remit.runtime.trials import judged
from remit.terms.instants import WEEK

HCPS, PERIODS, AT = 400, 40, 20
ENDS = np.arange(1, PERIODS + 1) * WEEK


def told(effect: float, *, unsettled: int = 0) -> tuple[pl.DataFrame, Panel]:
    """Each HCP is decided upon once, at the start of period 20, with a probability of its own; a contact adds `effect` in each of four periods from then."""
    draw = np.random.default_rng(3)
    probability = draw.uniform(0.1, 0.9, HCPS)
    done = draw.random(HCPS) < probability
    outcome = draw.poisson(4.0 * probability[:, None], (HCPS, PERIODS)).astype(float)
    outcome[done, AT : AT + 4] += effect
    outcome[:, PERIODS - unsettled :] = np.nan
    ids = tuple(f"H{number:04d}" for number in range(HCPS))
    pdrp = np.arange(HCPS) < 10
    seen = Panel(ids, ("kappa",), ("email",), int(ENDS[-1]), ENDS, outcome[:, None, :], np.zeros((1, HCPS, 1, PERIODS)), pdrp)
    decisions = pl.DataFrame({"hcp_id": ids, "agent": "email", "channel": "email", "product": "kappa", "probability": (probability * 1e6).astype(np.int64)})
    return decisions.with_columns(done=pl.Series(done), at=pl.lit(int(ENDS[AT - 1]), pl.Int64)), seen


def test_what_a_contact_changed_is_found_and_hcps_under_pdrp_are_left_out() -> None:
    """Two units in each of four periods are eight; ten of four hundred are not looked at."""
    (row,) = judged(*told(2.0), 4)
    assert (row["decided"], row["judged"]) == (390, 390)
    assert row["change"]["low"] < 8.0 < row["change"]["high"]
    assert row["change"]["value"] == pytest.approx(8.0, abs=1.5)
    (none,) = judged(*told(0.0), 4)
    assert none["change"]["low"] < 0.0 < none["change"]["high"]


def test_decisions_whose_periods_are_not_settled_wait() -> None:
    """Nothing is said of them, and how many they are is told."""
    (row,) = judged(*told(2.0, unsettled=18), 4)
    assert (row["decided"], row["judged"], row["change"]) == (390, 0, None)
