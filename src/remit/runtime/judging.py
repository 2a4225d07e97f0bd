"""Judging a model as it is trained: on time held out, on whether its features come out again, on whom it selects, and where it comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from remit.features import Catalogue, FeatureError, Panel, build, training_frames
from remit.models import drift, gates, panel_response
from remit.models.bias import Audit, audit
from remit.models.errors import ModelError
from remit.models.estimators import lead_score, response
from remit.models.evidence import held_out
from remit.models.gates import Evidence
from remit.models.inputs import Inputs, hidden_rows
from remit.models.leaks import Leak, leaks, share_that_differs
from remit.models.reasons import reasons
from remit.models.response_evidence import HeldOutTouches, among, held_out_rows, held_out_touches, held_periods, until
from remit.runtime.settings import Settings
from remit.terms.encoding import canonical, digest
from remit.terms.instants import add_span
from remit.terms.labels import Label

TablesAt = Callable[[int], Mapping[str, pl.DataFrame]]
Increments = Callable[[pl.DataFrame], pl.DataFrame]
"""What one more touch in each channel adds, of features and lead scores."""

MOST_HELD, FEWEST_INSTANTS = 8, 4
GROUPS = ("practice_population", "rural", "sex", "specialty", "practice_size")
"""The columns of the feed `hcp` by which selection is audited, where they are held."""

ANSWERS = ("answers",)
"""What drift of a response is watched by, beside its inputs."""

_ASKED = 500
"""Rows for which the lead's reasons are asked."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of one model: plain values ready to be kept, with the reference of its drift (None: it cannot be watched)."""

    body: Mapping[str, Any]
    checks: tuple[gates.Check, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """A response model as it is judged: what it reads, what it was trained on, what it answers, the reasons of its answers, and what it is worth on time that
    it did not learn from."""

    inputs: Inputs
    facts: Mapping[str, Any]
    increments: Increments
    reasons: Callable[[pl.DataFrame], pl.DataFrame]
    held_out: Callable[[], HeldOutTouches | None]


def judge(
    one: pl.DataFrame,
    lead: lead_score.LeadScore,
    effect: Effect,
    catalogue: Catalogue,
    tables_at: TablesAt,
    hcp: pl.DataFrame,
    values: Mapping[str, int],
    settings: Settings,
    origin: Mapping[str, Any],
    served_at: Mapping[int, Callable[[], Mapping[str, pl.DataFrame]]],
) -> dict[str, Judged]:
    """What is known of both models, by name. `one` are the rows the lead score learned from; `tables_at` gives what had been received by an instant, from the
    warehouse itself; `values` the worth of a product's outcome unit; `origin` where the data come from; `served_at` gives what earlier cycles were given
    that training would take for something else, by their instants.

    The last third of the instants is held out from a lead score that is trained for judging only. Of it, outcomes count as they were known when they had
    settled, which is how later cycles will see theirs.
    """
    held = _held(one)
    hcps = one["hcp_id"].unique().sort().to_list()
    again = _settled(held, tables_at, catalogue, hcps, settings)
    rebuilt = _rebuilt(one, again, held, tables_at, catalogue, settings)
    apart, columns = one.group_by("until").agg(pl.col("instant").max())["instant"].sort().to_list(), read_columns(lead.inputs)
    skewed = _skewed(served_at, tables_at, catalogue, columns, hcps, settings)
    seen, shown = one.filter(~hidden_rows(one)), rebuilt.filter(~hidden_rows(rebuilt)) if rebuilt.height else None
    found = leaks(seen, shown, columns, apart=apart, skewed=skewed)
    origin = {**origin, "catalogue": digest(canonical({"columns": [column.name for column in catalogue.columns]})), "seed": settings.seed}
    rows = _forecast(ended_before(one, held), again, catalogue, settings)
    metrics, share = (held_out(_with_units(rows, hcp)), _explained(rows, lead)) if rows.height else (None, None)
    evidence = Evidence(metrics, found, _audit(rows, hcp, values, settings), share, None, {**origin, "window": lead.facts["window"]})
    everybody = _everybody(held, tables_at, catalogue, settings, one)
    answer = {"lead-score": _closed(evidence, _of_lead(rows, lead, everybody, settings), settings)}
    return answer | {"response": _of_response(effect, found, everybody, hcp, values, settings, origin)}


def references(
    one: pl.DataFrame,
    lead: lead_score.LeadScore,
    inputs: Inputs,
    increments: Increments,
    catalogue: Catalogue,
    tables_at: TablesAt,
    held: Sequence[int],
    settings: Settings,
) -> dict[str, drift.Reference | None]:
    """The references alone that `judge` makes, from the instants `held` out; `inputs` are what the response reads."""
    again = _settled(held, tables_at, catalogue, one["hcp_id"].unique().sort().to_list(), settings)
    everybody = _everybody(held, tables_at, catalogue, settings, one)
    rows = _forecast(ended_before(one, held), again, catalogue, settings)
    added = _answers(increments, inputs, everybody) if everybody.height else None
    return {"lead-score": _of_lead(rows, lead, everybody, settings), "response": None if added is None else _of_answers(added, inputs, settings)}


def of_rows(rows: pl.DataFrame, horizon: int, catalogue: Catalogue, hcp: pl.DataFrame, settings: Settings) -> HeldOutTouches | None:
    """What a response by thirds, trained on the earlier of `rows`, is worth on those of the last third of their instants; None where too few are known."""
    held = _held(rows)
    if not held:
        return None
    try:
        model = response.train(ended_before(rows, held), catalogue, periods=horizon, seed=settings.seed, threads=1)
    except ModelError:
        return None
    return held_out_rows(model, _with_units(rows.filter(pl.col("instant").is_in(held)), hcp), settings.seed)


def _held(rows: pl.DataFrame) -> list[int]:
    """The instants of `rows` to hold out: the last third, or none of too few."""
    instants = rows["instant"].unique().sort().to_list()
    return instants[-min(MOST_HELD, max(len(instants) // 3, 2)) :] if len(instants) >= FEWEST_INSTANTS else []


def ended_before(rows: pl.DataFrame, held: Sequence[int]) -> pl.DataFrame:
    """The rows whose periods were over before the first of the instants `held`: of the others the outcome is held out too."""
    return rows.filter(pl.col("until") <= held[0]) if held else rows.clear()


def of_touches(whole: Panel, horizon: int, catalogue: Catalogue, tables_at: TablesAt, settings: Settings) -> HeldOutTouches | None:
    """What a response over time, trained on `whole` without its last quarter year, is worth in that; None where too few periods are known."""
    held = held_periods(whole)
    if not held:
        return None
    cut = int(whole.ends[held.start - 1])
    frame = build(tables_at(cut), cut, catalogue, zone=settings.zone, hcps=list(whole.hcps)).filter(pl.col("product").is_in(list(whole.products)))
    whole = among(whole, frame["hcp_id"].unique().to_list(), frame["product"].unique().to_list())
    try:
        model = panel_response.train(until(whole, held.start), frame, catalogue, horizon=horizon, seed=settings.seed)
    except ModelError:
        return None
    return held_out_touches(model, frame, whole, held)


def _of_response(
    effect: Effect,
    found: tuple[Leak, ...],
    everybody: pl.DataFrame,
    hcp: pl.DataFrame,
    values: Mapping[str, int],
    settings: Settings,
    origin: Mapping[str, Any],
) -> Judged:
    """What a touch adds is never seen of one physician, so the response's reference holds no outcome, and only its inputs and answers are watched; what it is
    worth is judged anew whenever it is trained."""
    provenance = {**origin, "window": effect.facts["window"]}
    if not everybody.height:
        return _closed(Evidence(effect.held_out(), found, None, None, None, provenance, ANSWERS), None, settings)
    rows = _answers(effect.increments, effect.inputs, everybody)
    said = effect.reasons(rows)
    explained = said.select("hcp_id", "product").unique().height / max(rows.height, 1)
    audited = _audit(rows.with_columns(outcome=pl.lit(None, pl.Float64)), hcp, values, settings)
    unwatched = () if rows["score"].n_unique() > 1 else ANSWERS
    evidence = Evidence(effect.held_out(), found, audited, explained, unwatched, provenance, ANSWERS, _strongest(said))
    return _closed(evidence, _of_answers(rows, effect.inputs, settings), settings)


def _answers(increments: Increments, inputs: Inputs, everybody: pl.DataFrame) -> pl.DataFrame:
    """What a response says of everybody: rows whose outcome is nothing, which is not looked at."""
    return with_increments(increments, inputs, everybody).with_columns(outcome=pl.lit(0.0), instant=pl.lit(0, pl.Int64))


def _of_answers(rows: pl.DataFrame, inputs: Inputs, settings: Settings) -> drift.Reference | None:
    """What a response is watched by, of its answers."""
    return drift.reference(rows, read_columns(inputs), settings.oversight.limits, profiled=rows) if rows.height else None


def _of_lead(rows: pl.DataFrame, lead: lead_score.LeadScore, everybody: pl.DataFrame, settings: Settings) -> drift.Reference | None:
    """What a lead score is watched by, of the held-out `rows` and of `everybody`; None without such rows."""
    if not rows.height:
        return None
    return drift.reference(rows, read_columns(lead.inputs), settings.oversight.limits, profiled=with_scores(lead, everybody))


def _strongest(said: pl.DataFrame) -> dict[str, dict[str, float]]:
    """By channel the features that are a row's first reason, with their share of the rows."""
    first = said.filter(rank=1).group_by("channel", "feature").len().sort("channel", "feature")
    shares = first.with_columns(share=pl.col("len") / pl.col("len").sum().over("channel"))
    return {str(channel): dict(part.select("feature", "share").iter_rows()) for (channel,), part in shares.partition_by("channel", as_dict=True).items()}


def _everybody(held: Sequence[int], tables_at: TablesAt, catalogue: Catalogue, settings: Settings, one: pl.DataFrame) -> pl.DataFrame:
    """The features of everybody at the newest instant held out, also of those of whom no outcome is known."""
    if not held:
        return one.clear()
    return build(tables_at(held[-1]), held[-1], catalogue, zone=settings.zone)


def with_scores(lead: lead_score.LeadScore, rows: pl.DataFrame, threads: int = 1) -> pl.DataFrame:
    """`rows` that are not hidden, with the lead's `score`."""
    rows = rows.filter(~hidden_rows(rows) & pl.col("product").is_in(list(lead.inputs.averages)))
    return rows.with_columns(score=lead.predict(rows, threads=threads)["lead_score"])


def with_increments(increments: Increments, inputs: Inputs, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` that are not hidden, with what one more touch in each channel together adds as `score`; `inputs` are what the response model reads."""
    rows = rows.filter(~hidden_rows(rows) & pl.col("product").is_in(list(inputs.averages)))
    parts = []
    for part in rows.partition_by("instant", maintain_order=True) if "instant" in rows.columns else [rows]:
        added = increments(part).filter(touch=1).group_by("hcp_id", "product").agg(score=pl.col("increment").sum())
        parts.append(part.join(added, on=["hcp_id", "product"], how="left", maintain_order="left").with_columns(pl.col("score").fill_null(0)))
    return pl.concat(parts) if parts else rows.with_columns(score=pl.lit(0, pl.Int64))


def settled_rows(instant: int, known_at: int, tables_at: TablesAt, catalogue: Catalogue, hcps: Sequence[str], settings: Settings) -> pl.DataFrame:
    """Features at `instant` with the outcome of its period as known at `known_at`; no rows if none is known yet."""
    try:
        return training_frames(tables_at, [instant], known_at, catalogue, zone=settings.zone, periods=(1,), hcps=hcps)[0]
    except FeatureError:
        return pl.DataFrame()


def read_columns(inputs: Inputs) -> list[str]:
    """The columns a model reads, in order."""
    return [name for name in inputs.names if name != "product"]


def _settled(held: Sequence[int], tables_at: TablesAt, catalogue: Catalogue, hcps: Sequence[str], settings: Settings) -> pl.DataFrame:
    """The rows of the instants held out whose outcome was known when it had settled."""
    parts = [settled_rows(instant, add_span(instant, settings.settle), tables_at, catalogue, hcps, settings) for instant in held]
    kept = [part for part in parts if part.height]
    return pl.concat(kept) if kept else pl.DataFrame(schema={"instant": pl.Int64, "hcp_id": pl.String, "product": pl.String, "pdrp": pl.Boolean})


def _rebuilt(one: pl.DataFrame, again: pl.DataFrame, held: Sequence[int], tables_at: TablesAt, catalogue: Catalogue, settings: Settings) -> pl.DataFrame:
    """The features of the instants held out, built again: those of `again`, and of the rows learned from whose outcome came late. A late outcome is no leak."""
    names = ["instant", "hcp_id", "product", "pdrp", *(column.name for column in catalogue.columns)]
    parts = [again.select(names)] if again.height else []
    keys = ["instant", "hcp_id", "product"]
    late = one.filter(pl.col("instant").is_in(list(held))).select(keys).join(again.select(keys), on=keys, how="anti")
    for (instant,), part in sorted(late.partition_by("instant", as_dict=True).items()):
        built = build(tables_at(int(instant)), int(instant), catalogue, zone=settings.zone, hcps=part["hcp_id"].unique().to_list())
        parts.append(built.with_columns(instant=pl.lit(instant, pl.Int64)).join(part, on=keys, how="semi").select(names))
    return pl.concat(parts) if parts else again


def _skewed(
    served_at: Mapping[int, Callable[[], Mapping[str, pl.DataFrame]]],
    tables_at: TablesAt,
    catalogue: Catalogue,
    columns: Sequence[str],
    hcps: Sequence[str],
    settings: Settings,
) -> dict[str, float]:
    """Per column the share of the rows of earlier cycles that training would take for something else than the cycle was served; nothing without cycles."""
    if not served_at:
        return {}

    def at(instant: int, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        return build(tables, instant, catalogue, zone=settings.zone, hcps=hcps).with_columns(instant=pl.lit(instant, pl.Int64))

    learned = pl.concat([at(instant, tables_at(instant)) for instant in served_at])
    return share_that_differs(learned, pl.concat([at(instant, tables()) for instant, tables in served_at.items()]), columns)


def _forecast(earlier: pl.DataFrame, again: pl.DataFrame, catalogue: Catalogue, settings: Settings) -> pl.DataFrame:
    """Those of the held-out rows that a model can score which learned from `earlier` ones, with score and baseline; their periods had ended before the first
    instant held out, or its outcome would be learned too."""
    if not again.height:
        return again
    try:
        model = lead_score.train(earlier, catalogue, seed=settings.seed, threads=1)
    except ModelError:
        return again.clear()
    rows = with_scores(model, again)
    protected = model.inputs.protected(rows)
    of_specialty = pl.Series("baseline", model.inputs.average(protected, model.choice.history)).fill_nan(None)
    return rows.with_columns(baseline=protected[model.choice.history].fill_nan(None).fill_null(of_specialty).fill_null(0.0))


def _explained(rows: pl.DataFrame, lead: lead_score.LeadScore) -> float:
    """The share of the newest held-out rows for which reasons can be given."""
    newest = rows.filter(pl.col("instant") == pl.col("instant").max()).head(_ASKED)
    return reasons(lead, newest, set(Label), threads=1).select("hcp_id", "product").unique().height / max(newest.height, 1)


def _with_units(rows: pl.DataFrame, hcp: pl.DataFrame) -> pl.DataFrame:
    """`rows` with the `unit` whose outcome each is: the brick, where nobody's own is known."""
    if "rx_of_brick" not in rows.columns or "brick_id" not in hcp.columns:
        return rows
    bricks = hcp.select("hcp_id", "brick_id").unique("hcp_id", keep="first", maintain_order=True)
    unit = pl.when(pl.col("rx_of_brick").fill_null(False)).then(pl.col("brick_id"))
    return rows.join(bricks, on="hcp_id", how="left", maintain_order="left").with_columns(unit=pl.coalesce(unit, "hcp_id")).drop("brick_id")


def _audit(rows: pl.DataFrame, hcp: pl.DataFrame, values: Mapping[str, int], settings: Settings) -> Audit | None:
    """Whom the score would select at the newest instant: of each product, the highest-scored share. Where no outcome is known, none is compared."""
    if not rows.height:
        return None
    newest = rows.filter(pl.col("instant") == pl.col("instant").max()).sort("product", "score", "hcp_id", descending=[False, True, False])
    top = pl.int_range(pl.len()).over("product") < (settings.oversight.limits.share * pl.len().over("product")).ceil()
    worth = pl.col("product").replace_strict(dict(values), default=0, return_dtype=pl.Int64)
    marked = newest.with_columns(top=top, worth=worth)
    people = marked.group_by("hcp_id", maintain_order=True).agg(
        selected=pl.col("top").any(),
        value=(pl.col("top").cast(pl.Int64) * pl.col("worth") * pl.col("score")).sum() // 100,
        observed=pl.when(pl.col("outcome").is_not_null().any()).then(pl.col("outcome").sum()),
        expected=pl.col("score").sum() / 1e6,
    )
    groups = hcp.select("hcp_id", *(name for name in GROUPS if name in hcp.columns)).unique("hcp_id", keep="first", maintain_order=True)
    return audit(people.sort("hcp_id").join(groups, on="hcp_id", how="left", maintain_order="left"), GROUPS)


def _closed(evidence: Evidence, reference: drift.Reference | None, settings: Settings) -> Judged:
    """The evidence with its reference, and the gate's word on it."""
    unwatched = drift.unwatched(reference) if reference is not None and evidence.unwatched is None else evidence.unwatched
    whole = replace(evidence, unwatched=unwatched)
    found = gates.checks(whole, settings.oversight.required)
    return Judged(gates.dump_evidence(whole, found) | {"reference": None if reference is None else drift.dump_reference(reference)}, found)
