"""Who is held out: fair, balanced, and for good."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.outcomes import OutcomeError, enrol

KEY = bytes(32)


def people(count: int, strata: int = 4) -> pl.DataFrame:
    return pl.DataFrame({"unit": [f"H{number:05}" for number in range(count)], "stratum": [f"s{number % strata}" for number in range(count)]})


@given(st.integers(1, 400), st.integers(1, 7), st.integers(20_000, 500_000))
@settings(max_examples=50, deadline=None)
def test_every_stratum_is_held_out_to_its_share_within_one(count: int, strata: int, share: int) -> None:
    drawn = enrol(people(count, strata), share, KEY, "trial")
    assert drawn.height == count
    for _, part in drawn.group_by("stratum"):
        assert abs(part["held"].sum() - part.height * share / 1_000_000) <= 1


def test_the_draw_depends_on_the_key_and_the_experiment_and_not_on_the_order() -> None:
    first = enrol(people(300), 100_000, KEY, "trial")
    assert enrol(people(300).reverse(), 100_000, KEY, "trial").equals(first)
    assert not enrol(people(300), 100_000, KEY, "another")["held"].equals(first["held"])
    assert not enrol(people(300), 100_000, bytes(31) + b"1", "trial")["held"].equals(first["held"])


def test_who_has_enrolled_keeps_their_side_and_small_cohorts_are_held_out_too() -> None:
    enrolled = enrol(people(100), 100_000, KEY, "trial")
    held = 0
    for size in range(101, 2_001):
        new = enrol(people(size), 100_000, KEY, "trial", enrolled)
        assert new.height == 1
        held += int(new["held"].sum())
        enrolled = pl.concat([enrolled, new])
    assert 140 <= held <= 240


def test_with_nobody_new_nobody_is_drawn() -> None:
    enrolled = enrol(people(50), 100_000, KEY, "trial")
    again = enrol(people(50), 100_000, KEY, "trial", enrolled)
    assert (again.height, again.schema) == (0, enrolled.schema)


def test_a_holdout_is_asked_for_properly() -> None:
    with pytest.raises(OutcomeError) as error:
        enrol(pl.concat([people(2), people(1)]), 0, KEY, "trial")
    assert len(error.value.faults) == 1
    with pytest.raises(OutcomeError, match="nobody can be enrolled"):
        enrol(pl.concat([people(2), people(1)]), 1, KEY, "trial")
