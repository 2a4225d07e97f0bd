"""Credit adds up to what was earned, and goes to whom nothing would have been earned without."""

import polars as pl
import pytest

from remit.outcomes import OutcomeError, Path, markov, shapley, touch_paths

PATHS = [Path(("call", "email"), 10, 100.0, 30), Path(("call",), 5, 50.0, 45), Path(("email", "email"), 0, 0.0, 60), Path(("msl", "call"), 3, 30.0, 7)]


@pytest.mark.parametrize("share", [markov, shapley])
def test_credit_adds_up_to_the_value(share) -> None:
    credit = share(PATHS)
    assert sum(credit.values()) == pytest.approx(180.0)
    assert max(credit, key=credit.get) == "call"
    assert all(part >= 0 for part in credit.values())


def test_shapley_values_are_those_of_the_game() -> None:
    assert shapley(PATHS) == {"call": pytest.approx(50 + 50 + 15), "email": pytest.approx(50), "msl": pytest.approx(15)}


def test_a_channel_that_every_success_passes_through_carries_the_most() -> None:
    credit = markov([Path(("b", "a"), 10, 10.0, 0), Path(("c", "a"), 10, 10.0, 0), Path(("b",), 0, 0.0, 10), Path(("c",), 0, 0.0, 10)])
    assert credit["a"] == pytest.approx(2 * credit["b"])
    assert credit["b"] == pytest.approx(credit["c"])


def test_paths_without_success_credit_nobody_and_empty_ones_are_refused() -> None:
    assert set(markov([Path(("a",), 0, 0.0, 5)]).values()) == {0.0}
    with pytest.raises(OutcomeError, match="cannot be attributed"):
        markov([Path((), 1, 1.0, 0)])


def test_a_path_is_what_touched_a_unit_between_the_instants_in_order() -> None:
    touches = pl.DataFrame([("a", "email", 5), ("a", "call", 3), ("b", "call", 4), ("b", "call", 12), ("c", "email", 9), ("d", "call", 1)],
                           schema=["unit", "channel", "at"], orient="row")  # fmt: skip
    outcomes = pl.DataFrame([("a", 2, 10, 3), ("b", 2, 10, 0), ("c", 2, 9, 7), ("d", 1, 10, None), ("b", 10, 20, 2), ("e", 2, 10, 9)],
                            schema=["unit", "since", "until", "outcome"], orient="row")  # fmt: skip
    assert touch_paths(touches, outcomes) == [Path(("call",), 1.0, 2.0, 1.0), Path(("call", "email"), 1.0, 3.0, 0.0)]
    assert touch_paths(touches.clear(), outcomes) == []
    assert touch_paths(touches, outcomes.clear()) == []
