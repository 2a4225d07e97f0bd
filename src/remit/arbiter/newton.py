"""One step of the prices: Newton's direction for the smoothed dual, by conjugate gradients."""

from remit.arbiter.kernel import bare, entry, kernel
from remit.arbiter.sweep import Floats, Torn, bare_torn, spread


@entry
def survey(noted: Torn, price: Floats, temperature: float, use: Floats, sums: Floats) -> None:
    """Weigh all choices of the torn HCPs at `price`, and add what is used to `use`; `sums` takes the best, the smoothed worth, what spreading gives up."""
    torn, price, use = bare_torn(noted), bare(price), bare(use)
    for hcp in range(len(torn.choice) - 1):
        first, last = torn.choice[hcp], torn.choice[hcp + 1]
        best = 0.0
        for choice in range(first, last):
            net = torn.worth[choice]
            for j in range(torn.entry[choice], torn.entry[choice + 1]):
                net -= price[torn.resource[j]] * torn.amount[j]
            torn.weight[choice] = net
            best = net if choice == first else max(best, net)
        squares, gain = 0.0, 0.0
        spread(torn.weight, first, last, temperature)
        for choice in range(first, last):
            weight = torn.weight[choice]
            if weight > 0.0:
                net = torn.worth[choice]
                for j in range(torn.entry[choice], torn.entry[choice + 1]):
                    net -= price[torn.resource[j]] * torn.amount[j]
                    use[torn.resource[j]] += weight * torn.amount[j]
                squares += weight * weight
                gain += weight * (net - best)
        sums[0] += best
        sums[1] += best + gain + 0.5 * temperature * (1.0 - squares)
        sums[2] -= gain


@kernel
def _torn_between(torn: Torn, hcp: int) -> int:
    count = 0
    for choice in range(torn.choice[hcp], torn.choice[hcp + 1]):
        count += torn.weight[choice] > 0.0
    return count


@kernel
def _add_curvature(torn: Torn, temperature: float, diagonal: Floats) -> None:
    """Add the diagonal of the dual's second derivative."""
    for hcp in range(len(torn.choice) - 1):
        share = (1.0 - 1.0 / _torn_between(torn, hcp)) / temperature
        for choice in range(torn.choice[hcp], torn.choice[hcp + 1]):
            if torn.weight[choice] > 0.0:
                for j in range(torn.entry[choice], torn.entry[choice + 1]):
                    diagonal[torn.resource[j]] += share * torn.amount[j] * torn.amount[j]


@kernel
def _add_product(torn: Torn, temperature: float, x: Floats, y: Floats) -> None:
    """y += H x, H the second derivative: the covariance of use over each torn HCP's weighty choices, each counting 1 / temperature."""
    for hcp in range(len(torn.choice) - 1):
        count, mean = _torn_between(torn, hcp), 0.0
        if count < 2:
            continue
        first, last = torn.choice[hcp], torn.choice[hcp + 1]
        for choice in range(first, last):
            if torn.weight[choice] > 0.0:
                for j in range(torn.entry[choice], torn.entry[choice + 1]):
                    mean += torn.amount[j] * x[torn.resource[j]]
        mean /= count
        for choice in range(first, last):
            if torn.weight[choice] > 0.0:
                dot = -mean
                for j in range(torn.entry[choice], torn.entry[choice + 1]):
                    dot += torn.amount[j] * x[torn.resource[j]]
                dot /= temperature
                for j in range(torn.entry[choice], torn.entry[choice + 1]):
                    y[torn.resource[j]] += dot * torn.amount[j]


@entry
def direction(noted: Torn, temperature: float, slope: Floats, reach: Floats, tolerance: float, rounds: int, step: Floats) -> None:
    """Solve (H + M) step = -slope by conjugate gradients with a diagonal preconditioner, where M keeps each step within `reach`; 0 where `slope` is 0."""
    torn = bare_torn(noted)
    count = len(slope)
    damping, diagonal, rest, z, p, q = reach.copy(), reach.copy(), reach.copy(), reach.copy(), reach.copy(), reach.copy()
    for r in range(count):
        damping[r] = abs(slope[r]) / reach[r]
        diagonal[r] = damping[r]
    _add_curvature(torn, temperature, diagonal)
    before = 0.0
    for r in range(count):
        step[r], rest[r] = 0.0, -slope[r]
        z[r] = rest[r] / diagonal[r] if slope[r] != 0.0 else 0.0
        p[r] = z[r]
        before += rest[r] * z[r]
    first = before
    for _ in range(rounds):
        if before <= tolerance * first:
            return
        for r in range(count):
            q[r] = damping[r] * p[r]
        _add_product(torn, temperature, p, q)
        bend = 0.0
        for r in range(count):
            bend += p[r] * q[r]
        if bend <= 0.0:
            return
        now = 0.0
        for r in range(count):
            step[r] += before / bend * p[r]
            rest[r] -= before / bend * q[r]
            z[r] = rest[r] / diagonal[r] if slope[r] != 0.0 else 0.0
            now += rest[r] * z[r]
        for r in range(count):
            p[r] = z[r] + now / before * p[r]
        before = now
