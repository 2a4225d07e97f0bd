"""Off-policy estimators: each gives an `Estimate` of another policy's value from a `Logged`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from remit.outcomes.estimators import dr, ips, snips, switch
from remit.outcomes.logged import Estimate, Logged

ESTIMATORS: Mapping[str, Callable[[Logged, float], Estimate]] = MappingProxyType(
    {"ips": ips.value, "snips": snips.value, "dr": dr.value, "switch": switch.value}
)
"""By name. `dr` and `switch` need a model of the reward."""
