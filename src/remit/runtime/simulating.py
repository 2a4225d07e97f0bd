"""`remit simulate`: a policy lives some months in a world that it does not know, beside others in the same world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.models import drift
from remit.models.segments import MEMBERS
from remit.runtime import grouping, judging, policies, training, watching
from remit.runtime.carry import CONTACTS, Carried
from remit.runtime.countries import company_texts
from remit.runtime.cycle import Inputs
from remit.runtime.enrolment import ENROLMENT
from remit.runtime.inputs import Observed, assemble, most_touches, observe
from remit.runtime.shelf import Shelf
from remit.runtime.training import Models
from remit.runtime.workspace import Config, read_config
from remit.terms.encoding import MICRO
from remit.terms.instants import WEEK, add_span
from remit.worlds import Description, World

Floats = npt.NDArray[np.float64]

_INSTANTS = 11
"""Instants of the history that a lead score learns from: it ranks for greedy, and little more."""

_WATCHED = 1000
"""HCPs, at most, by whom drift is watched: of two products, they are rows enough to catch a fall of precision by seven points within two cycles."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What drift of `model` asked for in a week (from 1), by which figures, and whether by more than its inputs may move as they were meant to (`serious`)."""

    week: int
    model: str
    action: str
    figures: tuple[str, ...]
    serious: bool


@dataclass(frozen=True, slots=True)
class Life:
    """What one policy did and what it changed, against the same weeks without any action.

    `net_minor`, `units` and `contacts` are per week; `units` counts own products. `served[h]` are contacts, `gained_minor[h]` the expected net value per HCP.
    `over` counts HCPs under more pressure than the world tolerates, per week; `broken` names each rule that an action broke, with how often. `watched` says
    whether drift was watched; `trained` holds the weeks (from 1) in which models were trained anew, for their `age` or for `drift`; `asked` what the watch
    asked for, where it asked for anything.
    """

    world: str
    seed: int
    policy: str
    net_minor: tuple[float, ...]
    units: tuple[float, ...]
    contacts: tuple[int, ...]
    touches: Mapping[str, int]
    over: tuple[int, ...]
    broken: Mapping[str, int]
    served: npt.NDArray[np.int64]
    gained_minor: Floats
    watched: bool = False
    trained: tuple[tuple[int, str], ...] = ()
    asked: tuple[Asked, ...] = ()


@dataclass(slots=True)
class _Company:
    """A company in a world: what it has written, what it knows, and what it has learnt."""

    config: Config
    world: World
    shelf: Shelf
    models: Models | None = None
    trained_at: int = 0
    learned: pl.DataFrame = field(default_factory=pl.DataFrame)
    references: Mapping[str, drift.Reference | None] | None = None
    watch: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    plans: list[pl.DataFrame] = field(default_factory=list)
    members: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=MEMBERS))

    def copy(self) -> "_Company":
        return replace(self, world=self.world.copy(), shelf=self.shelf.copy(), plans=list(self.plans))


@dataclass(frozen=True, slots=True)
class Past:
    """A world at its first cycle: 52 weeks under the plain call plan lie behind it, and models have learnt from them. Every policy begins with a copy."""

    company: _Company
    quiet: tuple[Floats, ...]

    @property
    def world(self) -> World:
        """The world as it stands at the first cycle."""
        return self.company.world


def burn_in(description: Description, physicians: int, seed: int, weeks: int, texts: Mapping[str, str] | None = None, threads: int = 1) -> Past:
    """The world and its company after the history, and what physicians would write in each of `weeks` if nobody did anything. `texts` are the company's own."""
    config = read_config(texts or company_texts(description, seed))
    world = World.build(description, physicians, seed)
    files = list(world.opening())
    for _ in range(description.history):
        files += world.step(world.plan()).deliveries
    shelf = Shelf(config.settings.zone)
    shelf.add(files, world.now)
    company = _Company(config, world, shelf)
    _train(company, observe(shelf, config.settings, world.now), threads)
    twin, quiet = world.copy(), []
    for _ in range(weeks):
        quiet.append(twin.step(world.plan().clear()).expected)
    return Past(company, tuple(quiet))


class Change(Protocol):
    """What a company would change."""

    @property
    def texts(self) -> Mapping[str, str]:
        """What it has written after the change."""
        ...

    def scaled(self, capacity: Mapping[str, int]) -> dict[str, int]:
        """Capacities after the change."""
        ...


def live(past: Past, policy: str, threads: int, stage: Callable[[str], None], change: Change | None = None) -> Life:
    """`policy` lives the weeks of `past`; under a `change` its life is called `what-if`."""
    company = past.company.copy()
    if change is not None:
        company.config = read_config(change.texts)
    world, description = company.world, company.world.description
    own = list(description.own)
    worth = np.array([description.products[place].value_minor for place in own], dtype=np.float64)
    costs = {channel.name: channel.cost_minor for channel in description.channels}
    lived = _Tally(world.people.size)
    for number, quiet in enumerate(past.quiet):
        stage(f"{policy}, week {number + 1}")
        before = company.trained_at, watching.drifted(company.watch)
        done = _act(company, policy, threads, change)
        lived.watched(company, number + 1, *before)
        lived.check(company, done)
        company.plans.append(done.select("hcp_id", "channel", "position").with_columns(at=pl.lit(world.now, pl.Int64)))
        spent = _spent(done, costs, world)
        week = world.step(done)
        company.shelf.add(week.deliveries, world.now)
        gained = (week.expected - quiet)[:, own]
        lived.week(gained, (gained * worth).sum(axis=1) - spent, week.contacts, done, world)
    return lived.life(description.name, world.seed, "what-if" if change else policy)


def _act(company: _Company, policy: str, threads: int, change: Change | None) -> pl.DataFrame:
    world = company.world
    if policy == "none":
        return world.plan().clear()
    if policy == "call-plan":
        return world.plan()
    seen = observe(company.shelf, company.config.settings, world.now)
    if training.stale(company.config.settings, company.trained_at, bool(watching.drifted(company.watch)), world.now):
        _train(company, seen, threads)
    inputs = _inputs(company, seen, threads)
    if change is not None:
        inputs = replace(inputs, capacity=change.scaled(inputs.capacity))
    if policy == "oracle":
        truth = world.responses(most_touches(company.config), company.config.settings.horizon)
        chosen = policies.planned(replace(inputs, responses=truth, table=replace(inputs.table, exploration=())))
    elif policy == "remit":
        _watch(company, seen, inputs)
        chosen = policies.planned(replace(inputs, known=replace(inputs.known, drift=watching.asked(company.watch))))
    elif policy == "greedy":
        chosen = policies.in_order(replace(inputs, responses=_propensity(inputs)), lambda rows: rows["value"])
    else:
        draw = np.random.default_rng([world.seed, world.week, 7])
        chosen = policies.in_order(replace(inputs, responses=_propensity(inputs)), lambda rows: pl.Series(draw.random(rows.height)))
    ticket = pl.Series(np.random.default_rng([world.seed, world.week, 11]).random(world.people.size) < world.description.approved)
    approved = chosen.select(pl.col("hcp_id").str.strip_prefix("H").cast(pl.Int64) - 1).to_series()
    return policies.actions(chosen, ticket.gather(approved))


def _inputs(company: _Company, seen: Observed, threads: int) -> Inputs:
    now, settings, models = company.world.now, company.config.settings, company.models
    assert models is not None  # noqa: S101 - the burn-in has trained them
    carried = Carried(_unreported(company), {}, ())
    company.members = grouping.placed(models, seen.features, settings, company.members)
    inputs = assemble(company.shelf, seen, company.config, models, carried, pl.DataFrame(schema=ENROLMENT), company.members, now, threads)
    return replace(inputs, displaced=False, explain=lambda rows: rows.select("hcp_id", "product", rank=pl.lit(1), text=pl.lit("")).clear())


def _unreported(company: _Company) -> pl.DataFrame:
    """Our own contacts of weeks whose touches the feed has not told yet."""
    told = company.shelf.loads(company.world.now).get("touches", 0)
    late = [plan for plan in company.plans if plan.height and plan["at"][0] + WEEK > told + WEEK // 2]
    rows = pl.concat(late) if late else pl.DataFrame(schema={"hcp_id": pl.String, "channel": pl.String, "position": pl.Int64, "at": pl.Int64})
    first = rows.filter(pl.col("position").is_null() | (pl.col("position") == 1))
    purpose = pl.when(pl.col("channel") == "msl_visit").then(pl.lit("medical")).otherwise(pl.lit("promotional"))
    return first.with_columns(purpose=purpose, decision=pl.lit(None, pl.String), agent=pl.lit(None, pl.String)).select(CONTACTS.names())


def _train(company: _Company, seen: Observed, threads: int) -> None:
    now, settings, shelf = company.world.now, company.config.settings, company.shelf
    hcps = training.sample(shelf.state("hcp", now), settings)
    learned: list[pl.DataFrame] = []
    found = training.fit(settings, lambda at: {name: shelf.read(name, at) for name in training.READ}, now, hcps, _INSTANTS, learned, threads)
    models = Models(found["lead-score"], found["response"], {})  # type: ignore[arg-type]  # by name
    previous = company.models.segments if company.models else None
    groups = grouping.grouped(shelf, seen, company.config, models, previous, company.members, now)
    company.models, company.trained_at = replace(models, segments=groups), now
    watched = training.sample(shelf.state("hcp", now).filter(pl.col("hcp_id").is_in(pl.Series(hcps).implode())), replace(settings, train_on=_WATCHED))
    company.learned = learned[0].filter(pl.col("hcp_id").is_in(pl.Series(watched).implode()))
    company.references, company.watch = None, {}


def _watch(company: _Company, seen: Observed, inputs: Inputs) -> None:
    """Looks at the models as a workspace's cycle does, by the watched HCPs; models that have just been trained are judged first."""
    now, settings, models, catalogue = company.world.now, company.config.settings, company.models, training.feature_catalogue(company.config.settings)
    assert models is not None  # noqa: S101 - the burn-in has trained them
    hcps = company.learned["hcp_id"].unique().sort().to_list()
    tables = company.shelf.about(hcps)
    if company.references is None:
        held = training.instants(settings, now)[-judging.MOST_HELD :]
        inputs_read, increments = models.response.inputs, lambda rows: models.increments(rows, seen.panel, 1)
        company.references = judging.references(company.learned, models.lead, inputs_read, increments, catalogue, lambda _: tables, held, settings)
    sight = watching.Sight(
        now,
        seen.features.filter(pl.col("hcp_id").is_in(pl.Series(hcps).implode())),
        lambda _: inputs.responses,
        lambda instant: judging.settled_rows(instant, now, lambda _: tables, catalogue, hcps, settings),
    )
    before = company.watch
    company.watch = {name: watching.look(name, models, found, before.get(name, {}), sight, settings) for name, found in company.references.items()}


def _propensity(inputs: Inputs) -> pl.DataFrame:
    """Every touch worth what the HCP is expected to prescribe: what engines without a model of response rank by."""
    return inputs.responses.select("hcp_id", "product", "channel", "touch").join(
        inputs.known.scores.select("hcp_id", "product", increment="lead_score"), on=["hcp_id", "product"], how="left", maintain_order="left"
    )


def _spent(done: pl.DataFrame, costs: Mapping[str, int], world: World) -> Floats:
    """What the week's touches cost per HCP, in minor units."""
    cost = done.select(pl.col("channel").replace_strict(costs, default=0, return_dtype=pl.Float64)).to_series().to_numpy()
    hcp = done.select(pl.col("hcp_id").str.strip_prefix("H").cast(pl.Int64) - 1).to_series().to_numpy()
    return np.bincount(hcp, weights=cost, minlength=world.people.size).astype(np.float64)


class _Tally:
    """What is counted while a policy lives."""

    def __init__(self, size: int) -> None:
        self.net: list[float] = []
        self.units: list[float] = []
        self.contacts: list[int] = []
        self.over: list[int] = []
        self.touches: dict[str, int] = {}
        self.broken: dict[str, int] = {}
        self.served, self.gained = np.zeros(size, np.int64), np.zeros(size)
        self.looked, self.trained = False, list[tuple[int, str]]()
        self.asked: list[Asked] = []

    def watched(self, company: _Company, week: int, trained_at: int, drifted: list[str]) -> None:
        """Notes what became of the models: `trained_at` is when they had been trained, `drifted` which of them had drifted, before the week."""
        if company.trained_at != trained_at:
            aged = add_span(trained_at, company.config.settings.train_every) <= company.trained_at
            self.trained.append((week, "drift" if drifted and not aged else "age"))
        self.looked = self.looked or bool(company.watch)
        for name, shown in sorted(company.watch.items()):
            figures = tuple(finding["figure"] for finding in shown["findings"] if finding["action"] != "none")
            if figures:
                self.asked.append(Asked(week, name, shown["asks"], figures, name in watching.drifted(company.watch)))

    def check(self, company: _Company, done: pl.DataFrame) -> None:
        """Counts what the actions break of what is known now, found from the feeds and not from verdicts."""
        now, shelf, settings = company.world.now, company.shelf, company.config.settings
        consent = shelf.state("consent", now).select("hcp_id", "channel", "status")
        told = done.join(consent, on=["hcp_id", "channel"], how="left", maintain_order="left")
        self._count("opted out", told.filter(pl.col("status") == "opt_out").height)
        self._count("e-mail without a yes", told.filter((pl.col("channel") == "email") & (pl.col("status") != "opt_in").fill_null(True)).height)
        contacts = done.filter(pl.col("position").is_null() | (pl.col("position") == 1))
        self._count("more contacts in a week than allowed", contacts.group_by("hcp_id").len().filter(pl.col("len") > settings.per_cycle).height)
        before = shelf.read("touches", now).filter((pl.col("occurred_at") >= add_span(now, settings.window, -1)) & (pl.col("position").fill_null(1) == 1))
        window = pl.concat([contacts.select("hcp_id"), before.select("hcp_id"), _unreported(company).select("hcp_id")]).group_by("hcp_id").len()
        busy = window.join(contacts.select("hcp_id").unique(), on="hcp_id", how="semi")
        self._count("more contacts in four weeks than allowed", busy.filter(pl.col("len") > settings.per_window).height)
        capacity = dict(shelf.state("resources", now).select("resource", "capacity").iter_rows())
        self._count("more e-mails than may be sent", max(0, done.filter(pl.col("channel") == "email").height - capacity.get("sends", 0) // MICRO))
        forces = [force for channel in settings.channels.values() if channel.name == "call" for force in channel.sales_forces]
        covered = shelf.state("alignments", now).filter(pl.col("sales_force").is_in(forces)).select("hcp_id", "product", "territory").unique()
        calls = done.filter(pl.col("channel") == "call")
        self._count("a call that nobody could make", calls.join(covered, on=["hcp_id", "product"], how="anti").height)
        opened = calls.filter(pl.col("position") == 1)
        total = sum(amount for name, amount in capacity.items() if name.startswith("calls/")) // MICRO
        alone = covered.filter(pl.len().over("hcp_id", "product") == 1)  # where two forces overlap, only the sum can be told
        by_territory = opened.join(alone, on=["hcp_id", "product"], how="inner").group_by("territory").len()
        over = sum(max(0, made - capacity.get(f"calls/{territory}", 0) // MICRO) for territory, made in by_territory.iter_rows())
        self._count("more calls than reps can make", max(over, opened.height - total, 0))

    def week(self, gained: Floats, net: Floats, contacts: npt.NDArray[np.int64], done: pl.DataFrame, world: World) -> None:
        """Adds a week."""
        self.net.append(float(net.sum()))
        self.units.append(float(gained.sum()))
        self.contacts.append(int(contacts.sum()))
        self.over.append(int((world.pressure > world.description.tolerance).sum()))
        for channel, count in done.group_by("channel", maintain_order=True).len().iter_rows():
            self.touches[channel] = self.touches.get(channel, 0) + count
        self.served += contacts
        self.gained += net

    def life(self, world: str, seed: int, policy: str) -> Life:
        """Everything counted."""
        lists = (tuple(self.net), tuple(self.units), tuple(self.contacts))
        done = Life(world, seed, policy, *lists, dict(sorted(self.touches.items())), tuple(self.over), self.broken, self.served, self.gained)
        return replace(done, watched=self.looked, trained=tuple(self.trained), asked=tuple(self.asked))

    def _count(self, rule: str, times: int) -> None:
        if times:
            self.broken[rule] = self.broken.get(rule, 0) + int(times)
