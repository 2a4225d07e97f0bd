"""Two policies that each ran on real visitors: the value of each from the other's log, beside what it really earned (`../shared/data/open_bandit`)."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from ruamel.yaml import YAML

from benchmarks.report import Row
from remit.outcomes import ESTIMATORS, Estimate, Logged

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "open_bandit"
CAMPAIGNS = ("men", "women")
DIRECTIONS = (("random", "bts"), ("bts", "random"))
BELIEVABLE = 100
"""Effective rows below which an interval by the central limit theorem means nothing."""
_PLACES = 3


@dataclass(frozen=True)
class Compared:
    """What a policy earned a decision with its 90% interval, and its value from the other's log by each estimator."""

    campaign: str
    logged: str
    other: str
    earned: float
    low: float
    high: float
    estimates: dict[str, Estimate]

    def overlaps(self, name: str) -> bool:
        """Whether the two intervals meet."""
        estimate = self.estimates[name]
        return estimate.low <= self.high and self.low <= estimate.high


def measure(quick: bool) -> list[Row]:  # noqa: ARG001  # one size
    """A row per campaign and direction."""
    if not FOLDER.exists():
        return [Row("off-policy values, open_bandit", "overlap", "not measured: ../shared/data/open_bandit is not there", "", None)]
    rows = []
    for campaign in CAMPAIGNS:
        for logged, other in DIRECTIONS:
            found = compare(logged, other, campaign)
            effective = found.estimates["ips"].effective
            values = "; ".join(f"{name} {each.value:.5f} [{each.low:.5f}, {each.high:.5f}]" for name, each in found.estimates.items())
            reached = all(found.overlaps(name) for name in ("ips", "snips", "dr")) if effective >= BELIEVABLE else None
            beside = f"it earned {found.earned:.5f} [{found.low:.5f}, {found.high:.5f}]"
            work = f"open_bandit, {campaign}: value of {other} from {logged}'s 10,000 decisions"
            rows.append(Row(work, f"intervals overlap, from {BELIEVABLE} effective rows", f"{values}; effective {effective:.0f}", beside, reached))
    return rows


def compare(logged: str, other: str, campaign: str) -> Compared:
    """`other`'s value from `logged`'s log, with rewards modelled by item on the half of the rows that is not valued."""
    rows = _log(logged, campaign)
    item, place, click = rows["item_id"].to_numpy(), rows["position"].to_numpy() - 1, rows["click"].to_numpy().astype(float)
    items = int(item.max()) + 1
    target = _chances(other, campaign, items)
    fold = np.arange(len(item)) % 2
    expected, expected_target = np.empty(len(item)), np.empty(len(item))
    for part in (0, 1):
        train, test = fold != part, fold == part
        rate = (np.bincount(item[train], click[train], items) + 200 * click[train].mean()) / (np.bincount(item[train], minlength=items) + 200)
        expected[test], expected_target[test] = rate[item[test]], (target * rate[:, None]).sum(axis=0)[place[test]]
    log = Logged(click, rows["propensity_score"].to_numpy(), target[item, place], expected, expected_target)
    own = _log(other, campaign)["click"].to_numpy().astype(float)
    reach = 1.645 * own.std() / np.sqrt(len(own))
    estimates = {name: estimate(log, 0.9) for name, estimate in ESTIMATORS.items()}
    return Compared(campaign, logged, other, float(own.mean()), float(own.mean() - reach), float(own.mean() + reach), estimates)


def _log(policy: str, campaign: str) -> pl.DataFrame:
    with gzip.open(FOLDER / policy / campaign / f"{campaign}.csv.gz") as file:
        return pl.read_csv(file.read(), columns=["item_id", "position", "click", "propensity_score"])


def _chances(policy: str, campaign: str, items: int) -> npt.NDArray[np.float64]:
    """The probability (item, place) of each choice: even, or the rank of draws from the priors that Thompson sampling was started with."""
    if policy == "random":
        return np.full((items, _PLACES), 1 / items)
    prior = YAML(typ="safe").load((FOLDER / "prior_bts.yaml").read_text())[campaign]
    ranked = np.argsort(-np.random.default_rng(1).beta(prior["alpha"], prior["beta"], (200_000, items)), axis=1)[:, :_PLACES]
    return np.stack([np.bincount(ranked[:, place], minlength=items) for place in range(_PLACES)], axis=1) / len(ranked)
