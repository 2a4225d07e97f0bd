"""Compiles the arbiter once, so that the first cycle does not have to: numba keeps the machine code beside the sources."""

import numpy as np

from remit.arbiter import arbitrate
from remit.terms.encoding import MICRO
from remit.terms.problems import Calls, Candidates, Limits, Resources, Usage


def main() -> None:
    """Solves a problem of two physicians that comes by every kernel."""
    one, two = np.array([0, 1, 2, 3]), np.array([0, 0, 1])
    usage = Usage(one, np.array([1, 1, 2]), np.full(3, MICRO))
    candidates = Candidates(
        start=np.array([0, 2, 3]), value=np.array([9, 8, 7]) * MICRO, agent=two, channel=np.array([0, 0, 1]), product=np.array([0, 1, 0]),
        call=np.array([0, 0, -1]), exclusion=np.full(3, -1), mandatory=np.zeros(3, bool), usage=usage,
    )  # fmt: skip
    calls = Calls(np.array([0, 1, 1]), np.array([0]), np.array([1]), Usage(np.array([0, 1]), np.array([0]), np.array([MICRO])))
    resources = Resources(("calls", "samples", "sends"), np.array([1, 1, 1]) * MICRO, np.array([0, 0, 1]) * MICRO)
    arbitrate(candidates, calls, resources, Limits(np.array([1, 1]), np.full(4, 1), 2), agents=2, displaced=True)


if __name__ == "__main__":
    main()
