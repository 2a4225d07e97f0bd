"""Judging a model as it is trained: on time held out, on whether its features come out again, on whom it selects, and where it comes from."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from remit.features import Catalogue, FeatureError, build, training_frames
from remit.models import drift, gates
from remit.models.bias import Audit, audit
from remit.models.errors import ModelError
from remit.models.estimators import lead_score
from remit.models.evidence import held_out
from remit.models.gates import Evidence
from remit.models.inputs import Inputs, hidden_rows
from remit.models.leaks import leaks
from remit.models.reasons import reasons
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

_ASKED = 500
"""Rows for which reasons are asked."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of one model: plain values ready to be kept, with the reference of its drift (None: it cannot be watched)."""

    body: Mapping[str, Any]
    checks: tuple[gates.Check, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """A response model as it is judged: what it reads, what it was trained on, what it answers."""

    inputs: Inputs
    facts: Mapping[str, Any]
    increments: Increments


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
) -> dict[str, Judged]:
    """What is known of both models, by name. `one` are the rows the lead score learned from; `tables_at` gives what had been received by an instant, from the
    warehouse itself; `values` the worth of a product's outcome unit; `origin` where the data come from.

    The last third of the instants is held out from a lead score that is trained for judging only. Of it, outcomes count as they were known when they had
    settled, which is how later cycles will see theirs.
    """
    instants = one["instant"].unique().sort().to_list()
    held = instants[-min(MOST_HELD, max(len(instants) // 3, 2)) :] if len(instants) >= FEWEST_INSTANTS else []
    again, rows = _tried(one, held, catalogue, tables_at, settings)
    found = leaks(one.filter(~hidden_rows(one)), again.filter(~hidden_rows(again)) if again.height else None, read_columns(lead.inputs))
    origin = {**origin, "catalogue": digest(canonical({"columns": [column.name for column in catalogue.columns]})), "seed": settings.seed}
    watched = _references(rows, lead, effect, _everybody(held, tables_at, catalogue, settings, one), settings)
    metrics, share = (held_out(rows), _explained(rows, lead)) if rows.height else (None, None)
    evidence = Evidence(metrics, found, _audit(rows, hcp, values, settings), share, None, {**origin, "window": lead.facts["window"]})
    told = Evidence(None, found, None, None, None, {**origin, "window": effect.facts["window"]})
    return {name: _closed(each, watched[name], settings) for name, each in (("lead-score", evidence), ("response", told))}


def references(
    one: pl.DataFrame,
    lead: lead_score.LeadScore,
    effect: Effect,
    catalogue: Catalogue,
    tables_at: TablesAt,
    held: Sequence[int],
    settings: Settings,
) -> dict[str, drift.Reference | None]:
    """The references alone that `judge` makes, from the instants `held` out."""
    _, rows = _tried(one, held, catalogue, tables_at, settings)
    return _references(rows, lead, effect, _everybody(held, tables_at, catalogue, settings, one), settings)


def _references(
    rows: pl.DataFrame, lead: lead_score.LeadScore, effect: Effect, everybody: pl.DataFrame, settings: Settings
) -> dict[str, drift.Reference | None]:
    """What each model is watched by, of the held-out `rows` and of `everybody`; None where there are no such rows."""
    if not rows.height:
        return {"lead-score": None, "response": None}
    limits, added = settings.oversight.limits, with_increments(effect.increments, effect.inputs, everybody)
    # What a touch adds is never seen of one physician, so the response's reference holds no outcome, and only its inputs and answers are watched.
    blank = added.with_columns(outcome=pl.lit(0.0), instant=pl.lit(0, pl.Int64))
    return {
        "lead-score": drift.reference(rows, read_columns(lead.inputs), limits, profiled=with_scores(lead, everybody)),
        "response": drift.reference(blank, read_columns(effect.inputs), limits, profiled=added) if blank.height else None,
    }


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


def _again(held: Collection[int], tables_at: TablesAt, catalogue: Catalogue, hcps: Sequence[str], settings: Settings) -> pl.DataFrame:
    parts = [settled_rows(instant, add_span(instant, settings.settle), tables_at, catalogue, hcps, settings) for instant in held]
    kept = [part for part in parts if part.height]
    return pl.concat(kept) if kept else pl.DataFrame(schema={"instant": pl.Int64, "hcp_id": pl.String, "product": pl.String, "pdrp": pl.Boolean})


def _tried(one: pl.DataFrame, held: Sequence[int], catalogue: Catalogue, tables_at: TablesAt, settings: Settings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of the instants `held` out, built again; and those of them that a model which did not learn from them can score, with score and baseline."""
    again = _again(held, tables_at, catalogue, one["hcp_id"].unique().sort().to_list(), settings)
    if not again.height:
        return again, again
    # The period of the last instant learned from must have ended before the first one held out, or its outcome would be learned too.
    earlier = one.filter(pl.col("instant") < min(held))
    try:
        model = lead_score.train(earlier, catalogue, seed=settings.seed, threads=1)
    except ModelError:
        return again, again.clear()
    rows = with_scores(model, again)
    protected = model.inputs.protected(rows)
    of_specialty = pl.Series("baseline", model.inputs.average(protected, model.choice.history)).fill_nan(None)
    return again, rows.with_columns(baseline=protected[model.choice.history].fill_nan(None).fill_null(of_specialty).fill_null(0.0))


def _explained(rows: pl.DataFrame, lead: lead_score.LeadScore) -> float:
    """The share of the newest held-out rows for which reasons can be given."""
    newest = rows.filter(pl.col("instant") == pl.col("instant").max()).head(_ASKED)
    return reasons(lead, newest, set(Label), threads=1).select("hcp_id", "product").unique().height / max(newest.height, 1)


def _audit(rows: pl.DataFrame, hcp: pl.DataFrame, values: Mapping[str, int], settings: Settings) -> Audit | None:
    """Whom the held-out score would select at the newest instant: of each product, the highest-scored share."""
    if not rows.height:
        return None
    newest = rows.filter(pl.col("instant") == pl.col("instant").max()).sort("product", "score", "hcp_id", descending=[False, True, False])
    top = pl.int_range(pl.len()).over("product") < (settings.oversight.limits.share * pl.len().over("product")).ceil()
    worth = pl.col("product").replace_strict(dict(values), default=0, return_dtype=pl.Int64)
    marked = newest.with_columns(top=top, worth=worth)
    people = marked.group_by("hcp_id", maintain_order=True).agg(
        selected=pl.col("top").any(),
        value=(pl.col("top").cast(pl.Int64) * pl.col("worth") * pl.col("score")).sum() // 100,
        observed=pl.col("outcome").sum(),
        expected=pl.col("score").sum() / 1e6,
    )
    groups = hcp.select("hcp_id", *(name for name in GROUPS if name in hcp.columns)).unique("hcp_id", keep="first", maintain_order=True)
    return audit(people.sort("hcp_id").join(groups, on="hcp_id", how="left", maintain_order="left"), GROUPS)


def _closed(evidence: Evidence, reference: drift.Reference | None, settings: Settings) -> Judged:
    """The evidence with its reference, and the gate's word on it."""
    whole = replace(evidence, unwatched=None if reference is None else drift.unwatched(reference))
    found = gates.checks(whole, settings.oversight.required)
    return Judged(gates.dump_evidence(whole, found) | {"reference": None if reference is None else drift.dump_reference(reference)}, found)
