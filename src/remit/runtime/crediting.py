"""What each channel changed by its own holdout, and beside it what paths of touches credit to it: correlation, and where that disagrees."""

from collections.abc import Mapping
from typing import Any

PATHS_SAY = "markov, shapley: shares of all that was written after touches, also of what would have been written anyway. Correlation, not effect."


def credited(whole: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]], shares: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """A row for each channel that has a holdout of its own or any credit: `channel`, `lift` (None without one), `shares` by method, and `says`.

    `whole` is the lift of all promotion and `own` that of each channel, as plain data; `shares` are what `markov` and `shapley` credit, by method and channel.
    A method disagrees with a channel's holdout if its share of the whole lift's interval lies apart from the channel's own interval.
    """
    rows = []
    for channel in sorted({*own, *(name for credit in shares.values() for name in credit)}) if own else []:
        mine = {method: credit.get(channel, 0.0) for method, credit in shares.items()}
        lift = own.get(channel)
        says = ["no holdout of its own, so what it changed is not known"] if lift is None else _disagreeing(whole, lift, mine)
        rows.append({"channel": channel, "lift": lift, "shares": mine, "says": says})
    return rows


def _disagreeing(whole: Mapping[str, Any], lift: Mapping[str, Any], shares: Mapping[str, float]) -> list[str]:
    if not whole["looks"] or not lift["looks"]:
        return []
    total, own = whole["looks"][-1], lift["looks"][-1]
    said = []
    for method, share in shares.items():
        low, high = share * total["low"], share * total["high"]
        if low > own["high"] or high < own["low"]:
            said.append(
                f"{method} credits {share:.0%}, which of the lift of all promotion is {low:.4f} to {high:.4f}; "
                f"its own holdout shows {own['low']:.4f} to {own['high']:.4f}: believe the holdout"
            )
    return said
