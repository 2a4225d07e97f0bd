"""The page of `remit outcomes show`: of each product, and of each channel by its own holdout, the lift at every look."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from remit.runtime.charts import band
from remit.runtime.crediting import PATHS_SAY
from remit.runtime.page import document, table


def outcome_page(result: Mapping[str, Any]) -> str:
    """The HTML of what `outcomes show` returns."""
    title, hcps, level = f"What acting changed: {result['holdout']}", result["hcps"], f"{result['level']:.0%}"
    alone = " and ".join(f"{channel} alone leaves out {sides['held']:,}" for channel, sides in result["channels"].items())
    drawn = f"Since {result['since']}: {hcps['acted']:,} physicians acted on, {hcps['held']:,} left alone." + (f" Of those acted on, {alone}." if alone else "")
    ties = result["ties"]
    if ties["of_held"] is not None:
        drawn += f" Of all ties to peers {ties['crossing']:.1%} join the two sides; of those of the held {ties['of_held']:.0%} lead to who is acted on."
    told = f"{level} intervals that hold at all looks together; prescriptions settled by {result['settled']}."
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="quiet">{escape(f"{drawn} {told}")}</p>']
    for product in result["products"]:
        parts += _product(product)
    return document(title, parts)


def _product(product: Mapping[str, Any]) -> list[str]:
    unit = f"{product['outcome']} an HCP and period"
    own = [(row["channel"], row["lift"]) for row in product["channels"] if row["lift"]]
    drawn = [look for lift in (product, *(lift for _, lift in own)) for look in lift["looks"]]
    between = min((look["low"] for look in drawn), default=0.0), max((look["high"] for look in drawn), default=0.0)
    parts = [f"<h2>{escape(product['product'])}: {escape(unit)}</h2>", *_lift(product, "all promotion", product["product"], between)]
    for channel, lift in own:
        parts += [f"<h3>{escape(channel)}, by its own holdout</h3>", *_lift(lift, channel, product["product"], between)]
    return parts + _credit(product["channels"])


def _lift(lift: Mapping[str, Any], of: str, product: str, between: tuple[float, float]) -> list[str]:
    """In words, as a chart, and what keeps it from being believed; the figures are folded away."""
    looks, doubts = lift["looks"], [f"<p>{escape(doubt)}</p>" for doubt in lift["says"]]
    if not looks:
        return doubts
    clear = next((look["periods"] for look in looks if look["low"] > 0 or look["high"] < 0), None)
    told = "no look is clear of zero" if clear is None else f"clear of zero first after {clear}"
    last = looks[-1]
    said = f"After {last['periods']} periods: {last['effect']:+.4f} ({last['low']:+.4f} to {last['high']:+.4f}) on the held's {last['held_mean']:.4f}; {told}."
    rows = [[str(look["periods"]), *(f"{look[name]:.4f}" for name in ("effect", "low", "high", "held_mean"))] for look in looks]
    chart = band(
        [(look["periods"], look["effect"], look["low"], look["high"]) for look in looks], f"Lift of {of} for {product} at every look", "periods", between
    )
    figures = table(["periods", "effect", "low", "high", "held mean"], rows)
    return [f"<p>{escape(said)}</p>", *doubts, chart, f"<details><summary>Figures</summary>{figures}</details>"]


def _credit(channels: Sequence[Mapping[str, Any]]) -> list[str]:
    """What paths of touches credit to each channel, beside what its own holdout shows."""
    methods = sorted({method for row in channels for method in row["shares"]})
    if not methods:
        return []
    rows = []
    for row in channels:
        last = row["lift"]["looks"][-1] if row["lift"] and row["lift"]["looks"] else None
        found = f"{last['effect']:.4f} ({last['low']:.4f} to {last['high']:.4f})" if last else ""
        rows.append([row["channel"], found, *(f"{row['shares'][method]:.0%}" for method in methods)])
    doubts = [f"<p>{escape(row['channel'])}: {escape(doubt)}.</p>" for row in channels for doubt in row["says"]]
    head = ["channel", "by its own holdout", *methods]
    return ["<h3>What paths of touches would credit</h3>", f'<p class="quiet">{escape(PATHS_SAY)}</p>', table(head, rows), *doubts]
