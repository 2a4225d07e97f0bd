"""One cycle as a pure function: recorded inputs in, chosen plan out. Run, replay and simulation all call it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from remit.agents import PROPOSALS, Failure, View, ask
from remit.arbiter import arbitrate
from remit.authority import Judgement, Table, judge
from remit.gateway import Known, Made, gather, on_file, open_inquiries
from remit.gateway.tally import Touch
from remit.runtime.exploring import explore
from remit.runtime.limiting import Room, capped
from remit.runtime.problem import Problem, build
from remit.runtime.settings import Settings
from remit.terms.charters import Charter
from remit.terms.facts import FACTS
from remit.terms.instants import HOUR, add_span
from remit.terms.people import People
from remit.terms.problems import Plan
from remit.terms.proposals import PROPOSAL_COLUMNS
from remit.terms.verdicts import Ruling, Verdict

PURPOSES = ("service", "medical", "promotional")
"""The order in which an HCP's allowance is given out."""

DECISION_COLUMNS = (
    "hcp_id",
    *(name for name, _ in PROPOSAL_COLUMNS if name != "hcp_id"),
    *(name for name in FACTS if name not in {name for name, _ in PROPOSAL_COLUMNS}),
    "rep_id",
    "ruling",
    "rules",
    "disposition",
    "call_number",
    "position",
    "probability",
    "allowance",
    "number",
)
"""The columns of a decision, in order: a proposal, the facts it was judged by, its verdict, what became of it, the probability (millionths) with which it
was to be done, the contacts that the HCP's window left for this cycle, and its number in the cycle."""

TAKEN = pl.col("disposition").is_in(["chosen", "waiting", "tried"])
"""Decisions to act."""

COMPETES = (pl.col("ruling") != Ruling.FORBIDDEN) & ((pl.col("value") > 0) | pl.col("mandatory") | (pl.col("purpose") != "promotional"))
"""Proposals that may be chosen: of promotion what is worth its cost, whatever floor an agent has; the rest is proposed to be tried."""


STOOD = pl.Schema([*PROPOSALS.items(), ("entry", pl.Int64()), ("id", pl.String()), ("asked", pl.String()), ("lapsed", pl.String())])
"""Proposals that stood: what is proposed, the `entry` that records it, its `id` and the digest of what was `asked`, and why it lapsed (null: it takes part)."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a cycle depends on. `responses` holds (hcp_id, product, channel, touch, increment); `values` (product -> minor units an outcome unit is
    worth); `capacity` the stated capacity per resource that holds now, `taken` what earlier cycles took of it (micro-units). `explain` gives, for rows of
    (hcp_id, product), what moved their lead score: hcp_id, product, rank, text. `segments` (hcp_id, segment) and `uptake` (segment, product, channel,
    content_id, rate) say what is alike and what the alike took up, where that is known. `made` is what counts under the table's limits. `standing` are the
    proposals that agents of others left standing, each with the `entry` that records it, its `id`, the digest of what was `asked`, and why it `lapsed` (null:
    it takes part). `own` says whose touch each action of the last cycle was, by entry."""

    settings: Settings
    people: People
    charters: tuple[Charter, ...]
    table: Table
    known: Known
    responses: pl.DataFrame
    values: Mapping[str, int]
    capacity: Mapping[str, int]
    taken: Mapping[str, int]
    explain: Callable[[pl.DataFrame], pl.DataFrame]
    threads: int
    displaced: bool = True
    segments: pl.DataFrame | None = None
    uptake: pl.DataFrame | None = None
    made: Sequence[Made] = ()
    standing: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STOOD))
    own: Mapping[int, Touch] = field(default_factory=dict)

    @property
    def room(self) -> Room:
        """What the table's limits are counted from."""
        return Room(self.table.limits, self.known.contacts, self.made, self.known.now)


@dataclass(frozen=True, slots=True)
class PurposePlan:
    """The plan for one purpose, with the names of its resources and agents."""

    purpose: str
    plan: Plan
    resources: tuple[str, ...]
    agents: tuple[str, ...]
    capacity: tuple[int, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a cycle decided: a row per proposal (`DECISION_COLUMNS`), the distinct verdicts and each row's code among them, a plan per purpose, what tries take
    of each resource (micro-units), the agents that failed, and why the promotional choices were made (by number)."""

    decisions: pl.DataFrame
    verdicts: tuple[Verdict, ...]
    codes: pl.Series
    plans: tuple[PurposePlan, ...]
    tries: Mapping[str, int]
    failures: tuple[Failure, ...]
    reasons: Mapping[int, list[str]]


def cycle(inputs: Inputs, stage: Callable[[str], None]) -> Result:
    """Asks every agent, judges every proposal, chooses jointly. `stage` is told the name of each step as it begins; nothing else leaves the function."""
    judged, judgement, failures = proposed(inputs, stage)
    stage("choose")
    decisions, plans, tries = _choose(judged, inputs)
    stage("say why")
    return Result(decisions.select(DECISION_COLUMNS), judgement.verdicts, judgement.columns["verdict"], plans, tries, failures, _reasons(decisions, inputs))


def proposed(inputs: Inputs, stage: Callable[[str], None]) -> tuple[pl.DataFrame, Judgement, tuple[Failure, ...]]:
    """Every proposal of every agent with its facts, `number`, `ruling` and `rules`; the verdicts; and the agents that failed."""
    stage("ask the agents")
    proposals, failures = ask(inputs.charters, lambda charter: view_of(charter, inputs))
    stage("gather facts")
    facts = gather(proposals, inputs.known, inputs.charters, inputs.people)
    stage("judge")
    judgement = judge(facts, inputs.table)
    rules = pl.Series([",".join(verdict.rules) for verdict in judgement.verdicts], dtype=pl.String)
    judged = facts.with_columns(
        number=pl.int_range(pl.len(), dtype=pl.Int64),
        ruling=judgement.columns["ruling"].cast(pl.String),
        rules=rules.gather(judgement.columns["verdict"]) if rules.len() else pl.lit(None, pl.String),
    )
    return judged, judgement, failures


def view_of(charter: Charter, inputs: Inputs) -> View:
    """What an agent sees: what its charter grants, and what it left standing."""
    own = inputs.standing.filter((pl.col("agent") == charter.agent) & pl.col("lapsed").is_null())
    return replace(_granted(charter, inputs), standing=own.select(PROPOSALS.names()))


def _granted(charter: Charter, inputs: Inputs) -> View:
    """What `charter` grants: promotion sees no questions to medical information; medical work sees no prescribing and no money."""
    known, products, channels = inputs.known, list(charter.products), list(charter.channels)
    cover = known.cover.filter(pl.col("channel").is_in(channels) & pl.col("product").is_in(products)).select("hcp_id", "product", "territory")
    covered = known.scores.filter(pl.col("product").is_in(products)).join(cover, on=["hcp_id", "product"], how="left", maintain_order="left")
    content = on_file(known.content, known.now).filter(pl.col("product").is_in(products) & pl.col("channel").is_in(channels))
    content = content.select("product", "channel", "content_id", "communication_type")
    if charter.purpose == "medical":
        medical = known.contacts.filter(pl.col("purpose") == "medical").group_by("hcp_id").agg(pl.col("at").max())
        hcps = (
            covered.select("hcp_id", "product", "territory")
            .join(open_inquiries(known.inquiries, known.now), on=["hcp_id", "product"], how="left", maintain_order="left")
            .join(medical, on="hcp_id", how="left", maintain_order="left")
            .with_columns(pl.col("open_inquiries").fill_null(0), medical_contact_age_h=(pl.lit(known.now, pl.Int64) - pl.col("at")).floordiv(HOUR))
        )
        return View(hcps.drop("at"), inputs.responses.clear(), content, {})
    hcps = covered.select("hcp_id", "product", "territory", "lead_score")
    if inputs.segments is not None:
        hcps = hcps.join(inputs.segments, on="hcp_id", how="left", maintain_order="left")
    responses = inputs.responses.filter(pl.col("channel").is_in(channels) & pl.col("product").is_in(products))
    values = {product: inputs.values[product] for product in products if product in inputs.values}
    view = View(hcps, responses, content, values, tries=bool(inputs.table.exploration))
    if inputs.uptake is None:
        return view
    return replace(view, uptake=inputs.uptake.filter(pl.col("channel").is_in(channels) & pl.col("product").is_in(products)))


def _reasons(decisions: pl.DataFrame, inputs: Inputs) -> dict[int, list[str]]:
    """What moves the lead score of each promotional choice, in words; it names nothing that is kept from reps for an HCP under PDRP."""
    chosen = decisions.filter(TAKEN & (pl.col("purpose") == "promotional")).select("number", "hcp_id", "product")
    if not chosen.height:
        return {}
    said = inputs.explain(chosen.select("hcp_id", "product").unique(maintain_order=True))
    texts = chosen.join(said, on=["hcp_id", "product"], how="inner").sort("number", "rank").group_by("number", maintain_order=True).agg("text")
    return dict(texts.iter_rows())


@dataclass(frozen=True, slots=True)
class Joint:
    """What was chosen of judged proposals: `chosen`, `call_number` and `position` per row, a plan per purpose, the contacts taken (hcp_id, channel, purpose,
    contacts; a call once, whatever it carries) and what is left of each resource (micro-units)."""

    chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]
    call_number: np.ndarray[tuple[int], np.dtype[np.int64]]
    position: np.ndarray[tuple[int], np.dtype[np.int64]]
    plans: tuple[PurposePlan, ...]
    taken: pl.DataFrame
    free: Mapping[str, int]


def choose(
    judged: pl.DataFrame,
    charters: tuple[Charter, ...],
    settings: Settings,
    allowance: pl.DataFrame,
    free: Mapping[str, int],
    room: Room,
    *,
    displaced: bool,
    threads: int,
) -> Joint:
    """Chooses jointly among `judged` proposals (with `number`, their place, and `ruling`), one purpose after another. `allowance` (hcp_id, allowance) holds the
    contacts of HCPs that have fewer than the settings allow, `free` what there is of each resource (micro-units), `room` what limits
    are counted from, where `free` does not say what they leave."""
    height = judged.height
    chosen, call_number, position = np.zeros(height, bool), np.zeros(height, np.int64), np.zeros(height, np.int64)
    free, plans = room.left(judged) | dict(free), []
    taken: pl.DataFrame | None = None
    for purpose in PURPOSES:
        own = [charter for charter in charters if charter.purpose == purpose]
        if not own:
            continue
        rows = candidates(judged, purpose, allowance, taken, settings.per_cycle)
        whole, by_channel = room.per_hcp(rows["hcp_id"], purpose, settings.channels, taken)
        problem = build(capped(rows, whole), own, settings, free, taken, room.limits, by_channel)
        plan = arbitrate(
            problem.candidates,
            problem.calls,
            problem.resources,
            problem.limits,
            agents=len(problem.agents),
            displaced=displaced and len(own) > 1,
            threads=threads,
        )
        at = problem.rows
        chosen[at], call_number[at], position[at] = np.asarray(plan.chosen), np.asarray(plan.call_number), np.asarray(plan.position)
        used = dict(zip(problem.resources.names, np.asarray(plan.used).tolist(), strict=True))
        free = {name: capacity - used.get(name, 0) for name, capacity in free.items()}
        taken = contacts(judged, chosen, call_number)
        plans.append(_named(purpose, plan, problem))
    return Joint(chosen, call_number, position, tuple(plans), contacts(judged, chosen, call_number) if taken is None else taken, free)


def _choose(judged: pl.DataFrame, inputs: Inputs) -> tuple[pl.DataFrame, tuple[PurposePlan, ...], Mapping[str, int]]:
    free = {name: max(0, capacity - inputs.taken.get(name, 0)) for name, capacity in inputs.capacity.items()}
    allowance, room = allowances(inputs), inputs.room
    joint = choose(judged, inputs.charters, inputs.settings, allowance, free, room, displaced=inputs.displaced, threads=inputs.threads)
    planned = judged.join(allowance, on="hcp_id", how="left", maintain_order="left").with_columns(
        pl.col("allowance").fill_null(inputs.settings.per_cycle),
        chosen=pl.Series(joint.chosen),
        call_number=pl.Series(joint.call_number),
        position=pl.Series(joint.position),
    )
    full = room.full(judged, "promotional", inputs.settings.channels, joint.taken)
    given = (inputs.table, inputs.charters, inputs.settings, joint.free, inputs.responses, inputs.values, inputs.known.now)
    explored = explore(planned, joint.taken, *given, full)
    decided = planned.with_columns(tried=pl.Series(explored.tried), rested=pl.Series(explored.rested), probability=pl.Series(explored.probability))
    return decided.with_columns(disposition=_DISPOSITION), joint.plans, explored.used


_DISPOSITION = (
    pl.when(pl.col("ruling") == Ruling.FORBIDDEN)
    .then(pl.lit("forbidden"))
    .when(pl.col("tried"))
    .then(pl.lit("tried"))
    .when(~pl.col("chosen"))
    .then(pl.lit("outbid"))
    .when(pl.col("rested"))
    .then(pl.lit("rested"))
    .when(pl.col("ruling") == Ruling.CONFIRM)
    .then(pl.lit("waiting"))
    .otherwise(pl.lit("chosen"))
)


def candidates(judged: pl.DataFrame, purpose: str, allowance: pl.DataFrame, taken: pl.DataFrame | None, per_cycle: int) -> pl.DataFrame:
    """What may be chosen for `purpose`, with what is left of each HCP's allowance."""
    rows = judged.filter((pl.col("purpose") == purpose) & COMPETES).rename({"number": "row"})
    rows = rows.join(allowance, on="hcp_id", how="left", maintain_order="left").with_columns(pl.col("allowance").fill_null(per_cycle))
    if taken is None:
        return rows
    spent = taken.group_by("hcp_id").agg(spent=pl.col("contacts").sum())
    return (
        rows.join(spent, on="hcp_id", how="left", maintain_order="left")
        .with_columns(allowance=(pl.col("allowance") - pl.col("spent").fill_null(0)).clip(lower_bound=0))
        .drop("spent")
    )


def allowances(inputs: Inputs) -> pl.DataFrame:
    """Contacts each HCP may still have in this cycle: the cycle's own, or what the window leaves if that is less. HCPs without a contact are absent."""
    settings, now = inputs.settings, inputs.known.now
    recent = inputs.known.contacts.filter((pl.col("at") >= add_span(now, settings.window, -1)) & (pl.col("at") < now))
    left = (pl.lit(settings.per_window, pl.Int64) - pl.len()).clip(lower_bound=0, upper_bound=settings.per_cycle)
    return recent.group_by("hcp_id").agg(allowance=left.cast(pl.Int64))


def contacts(judged: pl.DataFrame, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]], call_number: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.DataFrame:
    """Contacts chosen so far: a call once, whatever it carries."""
    rows = judged.select("hcp_id", "channel", "purpose", "territory", "number").with_columns(call=pl.Series(call_number)).filter(pl.Series(chosen))
    single = pl.when(pl.col("call") == 0).then(pl.col("number")).otherwise(-1)
    return (
        rows.with_columns(single=single)
        .unique(["hcp_id", "channel", "purpose", "territory", "call", "single"])
        .group_by("hcp_id", "channel", "purpose")
        .agg(contacts=pl.len().cast(pl.Int64))
    )


def _named(purpose: str, plan: Plan, problem: Problem) -> PurposePlan:
    return PurposePlan(purpose, plan, problem.resources.names, problem.agents, tuple(np.asarray(problem.resources.capacity).tolist()), problem.unknown)
