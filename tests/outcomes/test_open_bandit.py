"""Off-policy values on real logs of two policies that each ran."""

import pytest

from benchmarks import open_bandit

pytestmark = pytest.mark.skipif(not open_bandit.FOLDER.exists(), reason="../shared/data/open_bandit is not there")


@pytest.mark.parametrize("campaign", open_bandit.CAMPAIGNS)
@pytest.mark.parametrize(("logged", "other"), open_bandit.DIRECTIONS)
def test_the_value_from_the_others_log_agrees_with_what_the_policy_earned(logged: str, other: str, campaign: str) -> None:
    found = open_bandit.compare(logged, other, campaign)
    for name in ("ips", "snips", "dr"):
        assert found.estimates[name].effective < open_bandit.BELIEVABLE or found.overlaps(name), found
