"""Off-policy estimators against truth that is known, and against two real policies that each ran."""

import numpy as np
import pytest

from remit.outcomes import ESTIMATORS, Logged, OutcomeError

ACTIONS, CONTEXTS = 5, 3


def world(seed: int, count: int, model_error: float = 0.0) -> tuple[Logged, float]:
    """A log of a policy, and the true value of another one."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99).uniform(0.05, 0.6, (CONTEXTS, ACTIONS))
    logging = np.random.default_rng(98).dirichlet(np.ones(ACTIONS), CONTEXTS) * 0.9 + 0.1 / ACTIONS
    other = np.random.default_rng(97).dirichlet(np.ones(ACTIONS), CONTEXTS)
    model = np.clip(truth + model_error, 0, 1)
    context = rng.integers(0, CONTEXTS, count)
    done = (rng.random(count)[:, None] > logging[context].cumsum(axis=1)).sum(axis=1).clip(max=ACTIONS - 1)
    log = Logged(
        (rng.random(count) < truth[context, done]).astype(float),
        logging[context, done],
        other[context, done],
        model[context, done],
        (other * model).sum(axis=1)[context],
    )
    return log, float((other * truth).sum(axis=1).mean())


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
@pytest.mark.parametrize("model_error", [0.0, 0.3])
def test_intervals_cover_the_true_value_as_often_as_they_say(name: str, model_error: float) -> None:
    covered = [world(seed, 1_000, model_error) for seed in range(400)]
    share = np.mean([(estimate := ESTIMATORS[name](log, 0.9)).low <= value <= estimate.high for log, value in covered])
    assert 0.85 <= share <= 0.95


def test_a_good_model_narrows_the_interval_and_switch_is_never_far_from_the_truth() -> None:
    log, _ = world(1, 5_000)
    width = {name: (estimate := ESTIMATORS[name](log, 0.9)).high - estimate.low for name in ESTIMATORS}
    assert width["dr"] < width["ips"]
    errors = [abs(ESTIMATORS["switch"](log, 0.9).value - value) for log, value in (world(seed, 5_000, 0.1) for seed in range(50))]
    assert np.mean(errors) < 0.03


def test_rows_that_repeat_within_clusters_do_not_count_twice() -> None:
    log, _ = world(2, 2_000)
    twice = Logged(*(np.repeat(column, 2) for column in (log.reward, log.propensity, log.target)), cluster=np.repeat(np.arange(2_000), 2))
    alone, together = ESTIMATORS["ips"](log, 0.9), ESTIMATORS["ips"](twice, 0.9)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.01)


def test_the_effective_sample_size_says_when_nothing_can_be_known() -> None:
    count = 1_000
    propensity = np.where(np.arange(count) == 7, 0.001, 0.9)
    estimate = ESTIMATORS["snips"](Logged(np.ones(count), propensity, np.ones(count) * 0.9), 0.9)
    assert estimate.effective < 5


def test_everything_that_is_wrong_with_a_log_is_told_at_once() -> None:
    with pytest.raises(OutcomeError) as error:
        ESTIMATORS["ips"](Logged(np.ones(3), np.array([0.5, 0.0, 0.5]), np.array([0.1, 0.2, 1.7]), expected=np.ones(3)), 0.9)
    assert len(error.value.faults) == 3
    with pytest.raises(OutcomeError, match="needs a model"):
        ESTIMATORS["dr"](Logged(np.ones(3), np.full(3, 0.5), np.full(3, 0.5)), 0.9)


def test_all_rewards_zero_give_zero() -> None:
    log, _ = world(3, 500)
    for name in ("ips", "snips"):
        estimate = ESTIMATORS[name](Logged(np.zeros(500), log.propensity, log.target), 0.9)
        assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)
