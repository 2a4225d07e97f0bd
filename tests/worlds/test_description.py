"""A world's description is read whole or refused with every fault."""

from pathlib import Path

import pytest

import remit.worlds
from remit.worlds import World, WorldError, read_world

BUNDLED = sorted((Path(remit.worlds.__file__).parent / "bundled").glob("*.yaml"))
SMALL = """
name: small
says: A small world
market: {country: DE, currency: EUR, zones: [Europe/Berlin]}
physicians: {count: 60, volume: 3.0, volume_spread: 0.5}
specialties: {cardiology: {share: 0.5}, surgery: {share: 0.5, response: 0.5}}
populations: {mixed: {share: 1.0}}
products: {ours: {own: true, share: 0.4, value_minor: 5000}, theirs: {share: 0.6}}
channels:
  call: {effect: 0.5, cost_minor: 1000, consent: {opt_in: 0.6, opt_out: 0.1}}
  email: {effect: 0.2, cost_minor: 10, consent: {opt_in: 0.6, opt_out: 0.1}}
forces: {field: {channel: call, products: [ours], physicians_each: 30, visits_a_week: 5}}
promotion: {topics: {efficacy: 1.0}}
reports: {weeks_late: {4: 0.6, 5: 0.4}}
"""


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_a_bundled_world_is_read_and_named_as_its_file(path: Path) -> None:
    """Every bundled description is valid, and its name is its file's."""
    assert read_world(path.read_text(), path.name).name == path.stem


def test_a_description_of_ones_own_can_be_built_and_lived() -> None:
    """A world that is not bundled runs."""
    world = World.build(read_world(SMALL, "small.yaml"), 60, 1)
    assert world.step(world.plan()).expected.shape == (60, 2)


def test_every_fault_of_a_description_is_told_at_once() -> None:
    """Faults of different kinds and places come in one message."""
    wrong = SMALL.replace("share: 0.4", "share: 1.4").replace("opt_in: 0.6, opt_out: 0.1}}\n  email", "opt_in: 0.9, opt_out: 0.3}}\n  email")
    wrong = wrong.replace("{4: 0.6, 5: 0.4}", "{4: 0.6, 99: 0.4}").replace("products: [ours]", "products: [theirs]") + "surprise: 1\n"
    wrong += "events: [{kind: formulary, week: 3, product: nobody, share: 0.1, tier: golden}, {kind: flood, week: soon}]\n"
    with pytest.raises(WorldError) as caught:
        read_world(wrong, "small.yaml")
    told = str(caught.value)
    for word in ("products.ours.share", "channels.call.consent", "weeks_late.99", "forces.field.products", "surprise", "nobody", "golden", "flood", "week"):
        assert word in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("forces: {field: {channel: call, products: [ours], physicians_each: 30, visits_a_week: 5}}", "forces: {}"), "`forces` names none"),
        (("products: [ours]", "products: []"), "`forces.field.products` names none"),
        (("  call: {effect: 0.5, cost_minor: 1000, consent: {opt_in: 0.6, opt_out: 0.1}}\n", ""), "which `channels` does not describe"),
        (("ours: {own: true, share: 0.4, value_minor: 5000}, theirs: {share: 0.6}", "ours: {own: true, share: 0.0}"), "add up to 0"),
        (("volume: 3.0", "volume: .inf"), "`physicians.volume` must be a number"),
        (("Europe/Berlin", "Mars/Olympus"), "`Mars/Olympus`"),
        (("efficacy: 1.0", "head-to-head: 1.0"), "no hyphen"),
        (("topics:", "tours: 2.0, topics:"), "`promotion.tours` needs"),
        (("reports:", "events: [{kind: shortage, week: 2, weeks: 2, product: ours, factor: 0.1}]\nreports:"), "states no supply"),
        (("reports:", "events: [{kind: formulary, week: -52, product: ours, share: 0.1, tier: covered}]\nreports:"), "must come after week -52"),
    ],
)
def test_parts_that_do_not_go_together_are_told(change: tuple[str, str], told: str) -> None:
    """What would fail, or do nothing, when the world is lived is refused when it is read."""
    assert change[0] in SMALL
    with pytest.raises(WorldError) as caught:
        read_world(SMALL.replace(*change), "small.yaml")
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "a: [", "- 1"])
def test_a_file_that_describes_nothing_is_refused(text: str) -> None:
    """No YAML, or no mapping: one clear error."""
    with pytest.raises(WorldError, match=r"small\.yaml"):
        read_world(text, "small.yaml")
