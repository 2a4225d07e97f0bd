"""What doing changed, found from decisions that chance made with unequal probabilities."""

import numpy as np
import pytest

from remit.outcomes import FEWEST, OutcomeError, contrast


def drawn(seed: int, effect: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Eight hundred HCPs with five decisions each; who is likelier to be contacted prescribes more anyway, and an HCP's decisions share a level."""
    draw = np.random.default_rng(seed)
    hcp = np.repeat(np.arange(800), 5)
    level = np.repeat(draw.normal(0, 1, 800), 5)
    probability = np.clip(0.3 + 0.2 * level, 0.05, 0.9)
    done = draw.random(len(hcp)) < probability
    return level + effect * done + draw.normal(0, 1, len(hcp)), done, probability, hcp


def test_the_effect_is_found_where_the_plain_difference_is_not() -> None:
    """Over 200 worlds the interval covers the effect nine times in ten, and the mean of the estimates is the effect; the plain difference is far off."""
    found = [contrast(*drawn(seed, 0.5), level=0.9) for seed in range(200)]
    covered = sum(each.low <= 0.5 <= each.high for each in found)
    assert 0.85 * 200 <= covered <= 0.95 * 200
    assert np.mean([each.value for each in found]) == pytest.approx(0.5, abs=0.02)
    reward, done, _, _ = drawn(0, 0.5)
    assert reward[done].mean() - reward[~done].mean() > 0.8


@pytest.mark.parametrize("share", [0.03, 0.97])
def test_the_interval_holds_where_one_side_is_rare(share: float) -> None:
    """Three decisions in a hundred fell to one side, and HCPs differ by much: over 400 logs that can be judged, the interval covers as often as it should."""
    covered = judged = 0
    for seed in range(700):
        draw = np.random.default_rng(seed)
        level = np.repeat(draw.gamma(1.0, 2.0, 200), 3)
        done = draw.random(600) < share
        if min(done.sum(), (~done).sum()) >= FEWEST and judged < 400:
            reward = draw.poisson(4 * level + 0.5 * done).astype(float) - draw.poisson(4 * level)
            found = contrast(reward, done, np.full(600, share), np.repeat(np.arange(200), 3), 0.9)
            judged, covered = judged + 1, covered + (found.low <= 0.5 <= found.high)
    assert judged == 400
    assert 0.85 <= covered / judged <= 0.95


def test_what_cannot_be_compared_is_refused() -> None:
    """Nine on one side, and a decision that was certain."""
    reward, hcp = np.ones(40), np.arange(40)
    with pytest.raises(OutcomeError, match="too little can be compared"):
        contrast(reward, np.arange(40) >= 9, np.full(40, 0.5), hcp, 0.9)
    with pytest.raises(OutcomeError, match="chance did not decide"):
        contrast(reward, np.arange(40) >= 20, np.where(np.arange(40) == 3, 1.0, 0.5), hcp, 0.9)
