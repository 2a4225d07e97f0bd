"""The models of a simulated company are watched as a workspace's are: a world that changes is caught, one that does not is left in peace."""

import json
from dataclasses import replace

import pytest

from remit.runtime import watching
from remit.runtime.comparing import compare, models
from remit.runtime.countries import world_text
from remit.runtime.page import page
from remit.runtime.simulating import Asked, Life, burn_in, live
from remit.terms.instants import WEEK, add_span
from remit.worlds import World, read_world
from tests.runtime.conftest import quiet

CHANGED, WEEKS = 12, 18
"""The week of the change (from 0, as events count), and weeks lived: outcomes in `quickstart` settle in three."""


def lived(event: str, policy: str = "remit", weeks: int = WEEKS) -> tuple[Life, int]:
    """A policy's life in the small country with one event, and the weeks in which outcomes settle."""
    past = burn_in(read_world(f"{world_text('quickstart')}events: [{event}]\n", "changed.yaml"), 1000, 1, weeks)
    return live(past, policy, 1, quiet), add_span(0, past.company.config.settings.settle) // WEEK


@pytest.fixture(scope="module")
def changed() -> tuple[Life, int]:
    """Promotion moves a tenth of what it moved, from week 12."""
    return lived(f"{{kind: response, week: {CHANGED}, factor: 0.1}}")


def test_a_response_that_breaks_is_caught_within_two_cycles_of_its_outcomes_settling(changed: tuple[Life, int]) -> None:
    """By outcomes, in the first or second cycle that can know them; never before."""
    life, settle = changed
    first = CHANGED + settle + 1
    serious = [asked for asked in life.asked if asked.serious]
    assert first <= serious[0].week <= first + 1
    assert serious[0].model == "lead-score"
    assert set(serious[0].figures) & {"precision", "calibration", "outcome"}


def test_models_that_drifted_are_trained_anew_once_outcomes_have_settled_since_the_last_training(changed: tuple[Life, int]) -> None:
    """After a training for age in week 14, in the first cycle that knows an outcome of later."""
    life, settle = changed
    assert life.trained[0] == (14, "age")
    assert life.trained[1] == (14 + settle, "drift")


def test_a_world_that_stays_as_it_is_is_left_in_peace(changed: tuple[Life, int]) -> None:
    """The same weeks without the change: inputs move as they were meant to, nobody is asked for more, and models are trained by age alone."""
    life, _ = lived("")
    assert life.asked
    assert not [asked for asked in life.asked if asked.serious]
    assert life.trained == ((14, "age"),)
    assert life.net_minor[:CHANGED] == changed[0].net_minor[:CHANGED]


def test_only_who_decides_by_the_response_is_watched() -> None:
    """Greedy ranks by a propensity and has no watch; the same life as ever."""
    life, _ = lived("", "greedy", 2)
    assert not life.watched
    assert not life.asked


def test_what_the_watch_asked_for_is_in_the_result_and_in_words_on_the_page(changed: tuple[Life, int]) -> None:
    """As plain values by seed and week, and as sentences where there is something to say."""
    life, settle = changed
    description = read_world(world_text("quickstart"), "quickstart")
    names = {"specialty": tuple(kind.name for kind in description.specialties), "population": tuple(kind.name for kind in description.populations)}
    rows = compare([life], {1: World.build(description, len(life.served), 1).people}, names)
    found = json.loads(json.dumps(rows[0]["models"]))
    assert {"seed": 1, "week": 14 + settle, "for": "drift"} in found["trained"]
    assert any(each["serious"] and each["week"] == CHANGED + settle + 1 for each in found["asked"])
    told = " ".join(found["says"])
    assert f"because they had drifted in week {14 + settle}" in told
    assert "of the lead-score in week" in told
    html = page({"policies": rows, "world": "w", "says": "w", "currency": "USD", "weeks": WEEKS, "physicians": 1000, "seeds": 1})
    assert "because they had drifted" in html


def test_two_seeds_are_told_apart_and_nothing_is_said_of_nothing() -> None:
    """A life without a training and without a word of the watch leaves no sentence."""
    calm = Life("w", 1, "remit", (), (), (), {}, (), {}, None, None, True)  # type: ignore[arg-type]  # what was served is not read
    assert models("remit", [calm])["says"] == []
    asked = replace(calm, seed=2, trained=((14, "age"),), asked=(Asked(3, "response", "raise", ("input:a",), False),))
    assert models("remit", [calm, asked])["says"] == [
        "Models of remit were trained anew in week 14 of seed 2, none of them for drift.",
        "remit: the watch asked for nothing by more than inputs that moved, which it saw in 1 cycle.",
    ]


def test_inputs_alone_are_no_drift_that_trains() -> None:
    """As in a workspace: `stop` of a column is told, and only score, precision, calibration and outcome count."""
    column, score = {"figure": "input:x", "action": "stop"}, {"figure": "score", "action": "confirm"}
    assert watching.drifted({"a": {"findings": [column]}, "b": {"findings": [column, score]}, "c": {"findings": [{**score, "action": "raise"}]}}) == ["b"]


def test_models_trained_in_two_threads_are_those_of_one() -> None:
    """Both at once, or one after the other: the same bytes."""
    description = read_world(world_text("quickstart"), "quickstart")
    one, two = (burn_in(description, 120, 1, 0, threads=threads).company.models for threads in (1, 2))
    assert one is not None
    assert two is not None
    assert one.lead.parts() == two.lead.parts()
    assert one.response.parts() == two.response.parts()


def test_what_arrives_later_is_read_though_the_same_instant_was_read_before() -> None:
    """Feeds in memory are read once per instant, and again after a delivery."""
    company = burn_in(read_world(world_text("quickstart"), "quickstart"), 60, 1, 0).company
    shelf, world = company.shelf, company.world
    before = shelf.read("rx", world.now + WEEK).height
    copy = shelf.copy()
    shelf.add(world.step(world.plan()).deliveries, world.now)
    assert shelf.read("rx", world.now).height > before
    assert copy.read("rx", world.now).height == before
    hcps = shelf.state("hcp", world.now)["hcp_id"].head(5).to_list()
    assert set(shelf.about(hcps)["rx"]["hcp_id"]) <= set(hcps)


def looked(asks: str, *findings: tuple[str, str]) -> dict[str, object]:
    return {"asks": asks, "findings": [{"figure": figure, "action": action} for figure, action in findings]}


@pytest.mark.parametrize(
    ("looks", "drift"),
    [
        ([looked("none"), looked("none", ("score", "none"))], "none"),
        ([looked("none"), looked("raise", ("precision", "raise"))], "raise"),
        ([looked("stop", ("input:stock_call", "stop")), looked("none")], "raise"),
        ([looked("confirm", ("score", "confirm")), looked("stop", ("input:stock_call", "stop"))], "confirm"),
        ([looked("confirm", ("score", "confirm")), looked("stop", ("calibration", "stop"))], "stop"),
        ([looked("unwatched"), looked("none")], None),
        ([looked("unwatched"), looked("stop", ("outcome", "stop"))], "stop"),
        ([], None),
    ],
)
def test_drift_asks_for_the_most_that_any_model_shows_and_for_no_more_than_a_word_by_inputs_alone(looks: list[dict[str, object]], drift: str | None) -> None:
    assert watching.asked({str(place): look for place, look in enumerate(looks)}) == drift
