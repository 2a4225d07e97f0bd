"""The watch of models in simulated companies: how soon a world that changes is caught, how often one that does not is taken for changed, what it costs."""

from collections.abc import Sequence

from benchmarks.report import Row
from remit.runtime.countries import world_text
from remit.runtime.simulating import Life, burn_in, live
from remit.terms.instants import WEEK, add_span
from remit.worlds import read_world

PHYSICIANS, WEEK_OF_CHANGE = 1000, 12
UNCHANGED = ("nothing", "quickstart", "peers", "europe")
CHANGES = {
    "response falls to a tenth": "{kind: response, week: 12, factor: 0.1}",
    "response falls to a half": "{kind: response, week: 12, factor: 0.5}",
    "response doubles": "{kind: response, week: 12, factor: 2.0}",
}


def measure(quick: bool) -> list[Row]:
    """Changes in week 12 of `quickstart`, whose outcomes settle in three weeks; and a year of worlds in which nothing happens."""
    seeds = range(1, 2 if quick else 6)
    return [*(_caught(name, event, seeds) for name, event in CHANGES.items()), *(_unchanged(name, seeds, 8 if quick else 52) for name in UNCHANGED)]


def lived(world: str, event: str, seed: int, weeks: int, physicians: int = PHYSICIANS) -> tuple[Life, int]:
    """Remit's life in a bundled world of which nothing is left to happen but the `event` (empty: nothing), and the weeks in which outcomes settle."""
    text = world_text(world).partition("\nevents:")[0]
    past = burn_in(read_world(f"{text}\nevents: [{event}]\n", world), physicians, seed, weeks)
    settle = add_span(0, past.company.config.settings.settle) // WEEK
    return live(past, "remit", 1, _untold), settle


def serious(life: Life) -> list[int]:
    """The weeks (from 0, as events count them) in which the watch first asked for a person by more than inputs since models were last trained."""
    weeks, since = [], {}
    for asked in life.asked:
        trained = max((week for week, _ in life.trained if week <= asked.week), default=0)
        if asked.serious and since.get(asked.model) != trained:
            since[asked.model] = trained
            weeks.append(asked.week - 1)
    return weeks


def _caught(name: str, event: str, seeds: Sequence[int]) -> Row:
    found = []
    for seed in seeds:
        life, settle = lived("quickstart", event, seed, WEEK_OF_CHANGE + 9)
        found.append((serious(life), WEEK_OF_CHANGE + settle))
    within = sum(any(due <= week <= due + 1 for week in weeks) for weeks, due in found)
    later = sum(any(due <= week for week in weeks) for weeks, due in found)
    early = sum(any(week < WEEK_OF_CHANGE for week in weeks) for weeks, _ in found)
    said = f"{within} of {len(found)}, {later} within six; {early} asked before anything had changed"
    work = f"{name} in week {WEEK_OF_CHANGE} of `quickstart`, {PHYSICIANS} physicians: caught within two cycles of settling"
    return Row(work, "all" if "tenth" in name else "", said, "", None if "tenth" not in name else within == len(found))


def _unchanged(name: str, seeds: Sequence[int], weeks: int) -> Row:
    lives = [lived(name, "", seed, weeks)[0] for seed in seeds]
    alarms = sum(len(serious(life)) for life in lives)
    years = len(lives) * weeks / 52
    asked = [each for life in lives for each in life.asked if each.serious]
    figures = sorted({f"{each.model} {figure}" for each in asked for figure in each.figures if not figure.startswith("input:")})
    said = f"{alarms} in {years:.1f} years" + (f" ({', '.join(figures)})" if figures else "")
    work = f"false alarms by more than inputs in `{name}` without events, {PHYSICIANS} physicians"
    return Row(work, "< 1 a year", said, "", None if weeks < 52 else alarms < years)


def _untold(step: str) -> None:
    del step
