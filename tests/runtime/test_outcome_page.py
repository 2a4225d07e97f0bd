"""The page of lifts stands alone, shows every look within its chart, and says what is not known."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from remit.runtime.outcome_page import outcome_page


def lift(*looks: tuple[float, float, float]) -> dict[str, Any]:
    told = [{"periods": 2 + n, "effect": each[0], "low": each[1], "high": each[2], "held_mean": 1.5} for n, each in enumerate(looks)]
    return {"looks": told, "acted": 90, "held": 30, "acted_lost": 0, "held_lost": 0, "says": []}


def result(whole: dict[str, Any], channels: list[dict[str, Any]]) -> dict[str, Any]:
    product = {"product": "al<pha>", "outcome": "trx", **whole, "channels": channels}
    sides = {"acted": 60, "held": 30}
    return {
        "holdout": "first", "since": "2026-01-05", "settled": "2026-03-02", "level": 0.9, "hcps": {"acted": 90, "held": 30},
        "ties": {"crossing": 0.21, "of_held": 0.6},
        "channels": {row["channel"]: sides for row in channels if row["lift"]}, "products": [product],
    }  # fmt: skip


GROWING = lift((0.1, -0.3, 0.5), (0.2, -0.1, 0.5), (0.3, 0.05, 0.55))
EMAIL = {"channel": "email", "lift": lift((-0.1, -0.6, 0.4)), "shares": {"markov": 0.6, "shapley": 0.5}, "says": ["markov credits 60%"]}
CALL = {"channel": "call", "lift": None, "shares": {"markov": 0.4, "shapley": 0.5}, "says": ["no holdout of its own"]}


def charts(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page)]  # noqa: S314 - a page of our own


def test_every_look_is_in_its_chart_and_nothing_is_fetched() -> None:
    page = outcome_page(result(GROWING, [CALL, EMAIL]))
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|<script|<link|src=", page)
    whole, email = charts(page)
    dots = [each for each in whole.iter() if each.tag.endswith("circle")]
    assert [dot[0].text for dot in dots] == ["2: 0.1000 (-0.3000 to 0.5000)", "3: 0.2000 (-0.1000 to 0.5000)", "4: 0.3000 (0.0500 to 0.5500)"]
    assert [float(dot.get("cy", "")) for dot in dots] == sorted((float(dot.get("cy", "")) for dot in dots), reverse=True)
    for chart in (whole, email):
        _, _, width, height = map(float, chart.get("viewBox", "").split())
        numbers = [path.get("d", "") for path in chart.iter() if path.tag.endswith("path")]
        assert all(0 <= float(at) <= max(width, height) for d in numbers for at in re.findall(r"[\d.]+", d))
        assert not any("-" in d for d in numbers)


def test_charts_of_one_product_share_their_scale() -> None:
    scales = [{text.text for text in chart.iter() if text.get("text-anchor") == "end"} for chart in charts(outcome_page(result(GROWING, [EMAIL])))]
    assert scales == [{"-0.6", "0", "0.55"}] * 2


@pytest.mark.parametrize(
    "said",
    ["al&lt;pha&gt;", "clear of zero first after 4", "no look is clear of zero", "Of those acted on, email alone leaves out 30.", "Correlation, not effect",
     "email: markov credits 60%", "call: no holdout of its own", "<td>60%</td>", "+0.3000 (+0.0500 to +0.5500)"],
)  # fmt: skip
def test_the_page_says_in_words_what_its_charts_show(said: str) -> None:
    assert said in outcome_page(result(GROWING, [CALL, EMAIL]))


def test_where_nothing_is_known_yet_that_is_said_and_nothing_drawn() -> None:
    page = outcome_page(result({"looks": [], "says": ["no period that began after the first draw has settled yet"]}, []))
    assert "has settled yet" in page
    assert "<svg" not in page
    assert "Correlation" not in page


def test_the_page_says_what_part_of_the_ties_joins_the_sides_where_ties_are_known() -> None:
    told = result(GROWING, [CALL])
    assert "Of all ties to peers 21.0% join the two sides; of those of the held 60% lead" in outcome_page(told)
    assert "ties" not in outcome_page({**told, "ties": {"crossing": None, "of_held": None}})
