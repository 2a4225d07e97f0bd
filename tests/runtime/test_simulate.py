"""Policies live side by side in one world: the same future every time, nothing broken, and less done where nothing works."""

import json
from pathlib import Path

import polars as pl
import pytest

from remit.runtime.comparing import interval
from remit.runtime.countries import bundled, company_texts, open_world
from remit.runtime.errors import WorkspaceError
from remit.runtime.page import page
from remit.runtime.policies import POLICIES
from remit.runtime.simulate import read_change, simulate
from remit.runtime.simulating import burn_in, live
from remit.runtime.workspace import read_config
from remit.worlds import ACTIONS, World, read_world
from tests.runtime.conftest import quiet

ALL = list(POLICIES)


@pytest.fixture(scope="module")
def result() -> dict[str, object]:
    """Every policy for five weeks in the small country, two seeds, and a fifth of the calls."""
    return simulate("quickstart", 5, ALL, 2, 1, 1, 250, ["capacity:calls/*=0.2"], quiet)


def of(result: dict[str, object], policy: str) -> dict[str, object]:
    return next(row for row in result["policies"] if row["policy"] == policy)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("name", bundled())
def test_the_company_of_every_bundled_world_can_be_read(name: str) -> None:
    """Settings, people, table and charters made from a description load, and the table lets each agent act."""
    config = read_config(company_texts(open_world(name), 1))
    config.table(0)
    assert {charter.agent for charter in config.charters} >= {"email"}


def test_remit_is_above_greedy_and_what_was_done_before(result: dict[str, object]) -> None:
    """In a country with response that differs, the order of policies is as it should be."""
    net = {policy: of(result, policy)["net_minor"]["mean"] for policy in ALL}  # type: ignore[index]
    assert net["oracle"] > net["greedy"]
    assert net["remit"] > net["greedy"]
    assert net["none"] == 0


def test_no_policy_that_is_judged_breaks_a_rule(result: dict[str, object]) -> None:
    """What the feeds say was broken by nobody whose actions went through the table."""
    assert all(not of(result, policy)["violations"] for policy in ("remit", "oracle", "greedy", "random", "none"))


def test_a_fifth_of_the_calls_makes_a_difference_and_fewer_contacts(result: dict[str, object]) -> None:
    """The change is lived beside remit as it is, on the same seeds."""
    assert of(result, "what-if")["touches"]["call"] < 0.5 * of(result, "remit")["touches"]["call"]  # type: ignore[index]
    assert result["what_if"]["difference_minor"]["mean"] < 0  # type: ignore[index]


def test_served_groups_add_up_to_everybody(result: dict[str, object]) -> None:
    """Each way of grouping counts every physician of every seed once."""
    for kind in ("volume", "specialty", "population"):
        assert sum(row["physicians"] for row in of(result, "remit")["served"] if row["by"] == kind) == 500  # type: ignore[attr-defined]


def test_the_page_stands_alone_and_says_what_the_numbers_say(result: dict[str, object]) -> None:
    """No other file is needed; every policy and the share of the oracle are on it."""
    html = page(result)
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in html
    assert all(policy in html for policy in [*ALL, "what-if"])
    assert f"{of(result, 'remit')['of_oracle']:.0%}" in html


def test_the_same_simulation_gives_the_same_numbers_in_other_processes(result: dict[str, object]) -> None:
    """Two processes share the seeds: the same results."""
    again = simulate("quickstart", 5, ALL, 2, 2, 2, 250, ["capacity:calls/*=0.2"], quiet)
    assert json.dumps(again, sort_keys=True) == json.dumps(result, sort_keys=True)


def test_where_nothing_works_remit_does_least() -> None:
    """Net value no worse than a few e-mails, and fewer contacts than any other policy that acts."""
    result = simulate("nothing", 4, ["remit", "greedy", "call-plan", "random"], 1, 1, 1, 300, [], quiet)
    contacts = {row["policy"]: row["contacts"] for row in result["policies"]}
    assert contacts["remit"] == min(contacts.values())
    assert abs(of(result, "remit")["net_minor"]["mean"]) < 0.05 * abs(of(result, "greedy")["net_minor"]["mean"])  # type: ignore[index]


EVENTS = """
events:
  - {kind: feed_stops, week: 1, weeks: 6, feed: rx}
  - {kind: response, week: 2, factor: 0.3}
  - {kind: restatement, week: 3, weeks: 26, product: alpha, factor: 0.7}
  - {kind: vacancies, week: 1, weeks: 3, share: 0.5}
  - {kind: competitor, week: 0, product: gamma, share: 0.3}
"""


def test_a_year_that_goes_wrong_is_lived_without_breaking_a_rule() -> None:
    """A feed that stops, response that changes, a restatement, vacancies and a rival at once: nothing breaks, and nobody calls where there is no rep."""
    text = (Path(__file__).parents[2] / "src/remit/worlds/bundled/quickstart.yaml").read_text() + EVENTS
    past = burn_in(read_world(text, "wrong.yaml"), 200, 1, 8)
    life = live(past, "remit", 1, quiet)
    assert not life.broken
    assert len(life.net_minor) == 8


def test_calls_in_a_vacant_territory_and_beyond_a_reps_week_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit is not the table's: a policy that calls on everybody everywhere is told of each rule that it breaks."""
    text = (Path(__file__).parents[2] / "src/remit/worlds/bundled/quickstart.yaml").read_text() + "events: [{kind: vacancies, week: 0, weeks: 4, share: 0.5}]\n"
    past = burn_in(read_world(text, "vacant.yaml"), 600, 1, 1)
    ids = past.world.people.ids
    everybody = {"hcp_id": ids, "channel": "call", "product": "alpha", "content_id": "alpha-detail-safety", "position": 1, "decision": None}
    monkeypatch.setattr(World, "plan", lambda self: pl.DataFrame(everybody, schema=ACTIONS))
    broken = live(past, "call-plan", 1, quiet).broken
    assert broken["a call that nobody could make"] > 100
    assert broken["more calls than reps can make"] > 100
    assert broken["opted out"] > 10


def test_what_cannot_be_asked_for_is_refused_with_what_can(tmp_path: Path) -> None:
    """An unknown policy, world or change: one error that names it and the choices."""
    with pytest.raises(WorkspaceError, match="sometimes"):
        simulate("quickstart", 2, ["sometimes"], 1, 1, 1, 50, [], quiet)
    with pytest.raises(WorkspaceError, match="atlantis"):
        simulate("atlantis", 2, ["none"], 1, 1, 1, 50, [], quiet)
    texts = company_texts(open_world("quickstart"), 1)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Zürich".encode("latin-1"))
    with pytest.raises(WorkspaceError) as caught:
        read_change(["agent:nobody=off", "rule:email-sends=off", "capacity:calls/*=many", "capacity:sends=inf", f"table={latin}", "weather=fine"], texts)
    assert all(word in str(caught.value) for word in ("nobody", "many", "sends=inf", "latin.yaml", "weather"))
    assert "email-sends" not in str(caught.value)
    with pytest.raises(WorkspaceError, match=r"no capacity is called `cals/\*`"):
        read_change(["capacity:cals/*=2"], texts).scaled({"calls/t1": 1})


def test_a_company_can_be_asked_what_it_would_be_without_exploration() -> None:
    """Turned off by its id, as any row of the table; nothing is left to chance then."""
    texts = company_texts(open_world("quickstart"), 1)
    assert read_config(texts).table(0).exploration
    assert not read_config(read_change(["rule:email-learns=off"], texts).texts).table(0).exploration


def test_an_interval_needs_two_values() -> None:
    """One seed has no interval; three have Student's."""
    assert interval([5.0]) == {"mean": 5.0, "low": None, "high": None}
    assert interval([1.0, 2.0, 3.0])["high"] == pytest.approx(2 + 2.920 / 3**0.5)
