"""What policies did in one world, over several seeds: means with intervals, differences on the same seeds, and who was served."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

from remit.runtime.simulating import Life
from remit.worlds import People

_T_95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725)
"""Student's 95% quantile for 1 to 20 degrees of freedom; beyond, the normal one is near enough above."""
_BEYOND = 1.725
_THIRDS = ("low volume", "middle volume", "high volume")


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and 90% interval (Student) of independent values; no interval of one value."""
    mean = fmean(values)
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = (_T_95[len(values) - 2] if len(values) - 2 < len(_T_95) else _BEYOND) * stdev(values) / len(values) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half}


def served(lives: Iterable[Life], people: Mapping[int, People], names: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Per group of physicians: its size, contacts per physician, and net value per physician (minor units), over all seeds. `names` are those of specialties
    and populations."""
    totals: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
    for life in lives:
        who = people[life.seed]
        third = np.searchsorted(np.quantile(who.volume, (1 / 3, 2 / 3)), who.volume)
        for kind, codes, words in (
            ("volume", third, _THIRDS),
            ("specialty", who.specialty, names["specialty"]),
            ("population", who.population, names["population"]),
        ):
            for code, word in enumerate(words):
                of = codes == code
                added = np.array([of.sum(), life.served[of].sum(), life.gained_minor[of].sum()], dtype=np.float64)
                totals[kind, word] = totals.get((kind, word), np.zeros(3)) + added
    return [
        {"by": kind, "group": word, "physicians": int(count), "contacts": contacts / max(count, 1), "net_minor": net / max(count, 1)}
        for (kind, word), (count, contacts, net) in totals.items()
    ]


def models(policy: str, lives: Sequence[Life]) -> dict[str, Any]:
    """When the models of a policy's watched lives were trained anew and why, and what the watch asked for, by seed and week; and in sentences (`says`), none
    where there is nothing to say."""
    trained = [{"seed": life.seed, "week": week, "for": why} for life in lives for week, why in life.trained]
    asked = [{"seed": life.seed, **asdict(each)} for life in lives for each in life.asked]
    return {"trained": trained, "asked": asked, "says": _said(policy, trained, asked, len(lives))}


def _said(policy: str, trained: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]], seeds: int) -> list[str]:
    said = []
    by_drift = _weeks([each for each in trained if each["for"] == "drift"], seeds)
    if trained:
        anew = _weeks(trained, seeds)
        said.append(f"Models of {policy} were trained anew in {anew}{f', because they had drifted in {by_drift}' if by_drift else ', none of them for drift'}.")
    serious = [each for each in asked if each["serious"]]
    for model in sorted({each["model"] for each in serious}):
        own = [each for each in serious if each["model"] == model]
        figures = sorted({name for each in own for name in each["figures"] if not name.startswith("input:")})
        said.append(f"{policy}: the watch asked for a person because of the {' and '.join(figures)} of the {model} in {_weeks(own, seeds)}.")
    if asked and not serious:
        cycles = len({(each["seed"], each["week"]) for each in asked})
        said.append(f"{policy}: the watch asked for nothing by more than inputs that moved, which it saw in {cycles} cycle{'s' if cycles > 1 else ''}.")
    return said


def _weeks(rows: Sequence[Mapping[str, Any]], seeds: int) -> str:
    """The weeks of rows in words, by seed where there are several."""
    parts = []
    for seed in sorted({row["seed"] for row in rows}):
        weeks = sorted({row["week"] for row in rows if row["seed"] == seed})
        parts.append(f"week{'s' if len(weeks) > 1 else ''} {', '.join(map(str, weeks))}{f' of seed {seed}' if seeds > 1 else ''}")
    return "; ".join(parts)


def compare(lives: Sequence[Life], people: Mapping[int, People], names: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """A row per policy, in the order of their first life."""
    by_policy = {
        policy: sorted((life for life in lives if life.policy == policy), key=lambda life: life.seed) for policy in dict.fromkeys(life.policy for life in lives)
    }
    net = {policy: [sum(life.net_minor) for life in own] for policy, own in by_policy.items()}
    rows = []
    for policy, own in by_policy.items():
        size = [len(life.served) for life in own]
        row: dict[str, Any] = {
            "policy": policy,
            "seeds": len(own),
            "net_minor": interval(net[policy]),
            "units": interval([sum(life.units) for life in own]),
            "contacts": fmean(sum(life.contacts) for life in own),
            "contacts_per_physician": fmean(sum(life.contacts) / count for life, count in zip(own, size, strict=True)),
            "touches": {channel: fmean(life.touches.get(channel, 0) for life in own) for channel in sorted({name for life in own for name in life.touches})},
            "overload": fmean(sum(life.over) / (count * len(life.over)) for life, count in zip(own, size, strict=True)),
            "violations": {rule: sum(life.broken.get(rule, 0) for life in own) for rule in sorted({name for life in own for name in life.broken})},
            "by_week_minor": np.cumsum(np.mean([life.net_minor for life in own], axis=0)).tolist(),
            "served": served(own, people, names),
        }
        if "oracle" in net and policy != "oracle":
            row["left_minor"] = interval([best - mine for best, mine in zip(net["oracle"], net[policy], strict=True)])
            row["of_oracle"] = fmean(net[policy]) / fmean(net["oracle"]) if fmean(net["oracle"]) > 0 else None
        if any(life.watched for life in own):
            row["models"] = models(policy, own)
        if "greedy" in net and policy == "remit":
            row["over_greedy_minor"] = interval([mine - other for mine, other in zip(net[policy], net["greedy"], strict=True)])
        rows.append(row)
    return rows
