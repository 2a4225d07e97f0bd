"""Training and keeping models: a folder per model and digest, and a note of which are in use."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import polars as pl

from remit.features import FEATURES, Catalogue, Grid, Panel, build, catalogue, earlier_instants, grid_of, panel, training_frames
from remit.intake import TABLES, labels, read, replaced, segments, state
from remit.models import panel_response
from remit.models.bases import Shared
from remit.models.errors import ModelError
from remit.models.estimators import lead_score, response
from remit.models.reasons import reasons_of_response
from remit.models.response_evidence import HeldOutTouches
from remit.models.segments import Segments
from remit.models.segments import load as load_segments
from remit.models.stored import estimator_of, model_digest
from remit.runtime.judging import MOST_HELD, Effect, judge, of_rows, of_touches
from remit.runtime.settings import Settings
from remit.runtime.workspace import Workspace, config_texts, keep, write_whole
from remit.terms.encoding import MICRO, canonical
from remit.terms.instants import add_span
from remit.terms.labels import Label

THREADS = 1
"""Threads of training: on data of this size more of them wait for each other longer than they work. The bytes are the same for any number."""

MOST_INSTANTS = 26
"""Instants that a lead score learns from: weekly ones of one HCP differ little, and half a year of them is enough."""

TablesAt = Callable[[int, list[str]], Mapping[str, pl.DataFrame]]
Group = Callable[["Models", Segments | None], Segments]

_IN_USE = "in-use.json"
READ = ("hcp", "products", "rx", "brick_rx", "touches", "inquiries", "formulary")
"""The tables that features read."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models in use, their digests, and the digests of the evidence kept of them (none of models that were trained before there was any); `segments`, where
    there are some, is among the digests and scores nobody, so it is not judged."""

    lead: lead_score.LeadScore
    response: response.Response | panel_response.PanelResponse
    digests: Mapping[str, str]
    evidence: Mapping[str, str] = field(default_factory=dict)
    segments: Segments | None = None

    @property
    def judged(self) -> dict[str, str]:
        """The digests of the models that evidence is kept of, and drift is watched."""
        return {name: digest for name, digest in self.digests.items() if name != "segments"}

    @property
    def trained_to(self) -> int:
        """The end of the data that the response was learnt from (UTC microseconds)."""
        return int(self.response.facts["window"]["to"])

    def increments(self, features: pl.DataFrame, seen: Callable[[], Panel], most: int, shared: Mapping[str, Shared] | None = None) -> pl.DataFrame:
        """What each further touch is expected to add: the answer of the response model in use; `seen` is the panel known now, `shared` what bases take from
        everybody (None: what `seen` says)."""
        if isinstance(self.response, panel_response.PanelResponse):
            return self.response.predict(features, seen(), most=most, shared=shared)
        return self.response.predict(features, most=most)

    def shared(self, features: pl.DataFrame, seen: Callable[[], Panel]) -> dict[str, Shared]:
        """What the bases that `increments` works with take from everybody; nothing where the response has none."""
        return self.response.shared(features, seen()) if isinstance(self.response, panel_response.PanelResponse) else {}


def feature_catalogue(settings: Settings) -> Catalogue:
    """The built-in features over the workspace's channels, with the labels of the feeds' contracts."""
    contracts = {f"{name}.{column}": label for name, table in TABLES.items() for column, label in labels(table.contract.schema).items()}
    return catalogue(FEATURES, contracts, sorted(settings.channels))


def due(workspace: Workspace, settings: Settings, now: int, drifted: Collection[str] = ()) -> bool:
    """Whether there are no models yet, they are older than the settings allow, or one of those in use is among the digests `drifted` and outcomes have settled
    since it was trained: before that a new one would learn what the old one knew."""
    note = _note(workspace)
    return note is None or stale(settings, note["trained_at"], bool(set(drifted) & set(note["models"].values())), now)


def stale(settings: Settings, trained_at: int, drifted: bool, now: int) -> bool:
    """As `due`, of models trained at an instant, one of which has `drifted` or not."""
    return add_span(trained_at, settings.train_every) <= now or (drifted and add_span(trained_at, settings.settle) <= now)


def train(
    workspace: Workspace,
    settings: Settings,
    hcp: pl.DataFrame,
    tables_at: TablesAt,
    now: int,
    group: Group | None = None,
    cycles: Mapping[int, Collection[str]] | None = None,
    threads: int = 1,
) -> None:
    """Trains both models on what is known at `now`, stores them, and puts them in use. `hcp` is the master data; `tables_at` gives the tables as they stood
    at an instant, about the given HCPs; `group` makes segments of the new models and the segments in use (None: there are none); `cycles` are the instants of
    earlier cycles, with the commitments of the data segments that each was given."""
    hcps = sample(hcp, settings)
    learned: list[pl.DataFrame] = []
    fitted = fit(settings, lambda at: tables_at(at, hcps), now, hcps, learned=learned, threads=threads)
    digests = {name: _keep(workspace, name, model.parts()) for name, model in fitted.items()}
    models = load(workspace, digests)
    evidence = _judge(workspace, settings, models, learned, hcp, hcps, now, cycles or {})
    if group is not None:
        note = _note(workspace)
        digests["segments"] = _keep(workspace, "segments", group(models, load(workspace, note["models"]).segments if note else None).parts())
    write_whole(workspace.models / _IN_USE, canonical({"models": digests, "evidence": evidence, "trained_at": now}))


def _judge(
    workspace: Workspace,
    settings: Settings,
    models: Models,
    learned: Sequence[pl.DataFrame],
    hcp: pl.DataFrame,
    hcps: list[str],
    now: int,
    cycles: Mapping[int, Collection[str]],
) -> dict[str, str]:
    """Judges new models, keeps the evidence, and returns its digest by model. What was learned from is compared with what the warehouse itself gives."""
    commitments = [segment.commitment for segment in segments(workspace.warehouse)]
    origin = {"segments": commitments, "config": keep(workspace, config_texts(workspace)), "code": f"remit {version('remit')}"}
    values = dict(state(workspace.warehouse, "products", now).filter("own").select("product", "value_minor").iter_rows())
    features, viewer = feature_catalogue(settings), set(Label)

    def received(at: int, only: Collection[str] | None = None) -> dict[str, pl.DataFrame]:
        return {name: read(workspace.warehouse, name, at, only=only, hcps=hcps) for name in READ}

    @cache
    def seen() -> Panel:
        return panel_of(settings, received(now), now, hcps)

    def increments(rows: pl.DataFrame) -> pl.DataFrame:
        return models.increments(rows, seen, 1)

    def explained(rows: pl.DataFrame) -> pl.DataFrame:
        return reasons_of_response(models.response, rows, seen, viewer)

    def worth() -> HeldOutTouches | None:
        if isinstance(models.response, panel_response.PanelResponse):
            return of_touches(seen(), settings.horizon, features, received, settings)
        return of_rows(learned[1], settings.horizon, features, hcp, settings)

    effect = Effect(models.response.inputs, models.response.facts, increments, explained, worth)
    served = {at: partial(received, at, only) for at, only in overtaken(workspace, settings, now, cycles).items()}
    judged = judge(learned[0], models.lead, effect, features, received, hcp, values, settings, origin, served)
    bodies = {name: canonical({**found.body, "model": name, "digest": models.digests[name]}) for name, found in judged.items()}
    return {name: keep(workspace, {name: body.decode()})[name] for name, body in bodies.items()}


def overtaken(workspace: Workspace, settings: Settings, now: int, cycles: Mapping[int, Collection[str]]) -> dict[int, list[str]]:
    """The newest of `cycles` that rows loaded since claim to have come before, with the segments in force of those each was given."""
    newer = replaced(workspace.warehouse)
    given = {at: [newer.get(each, each) for each in cycles[at]] for at in sorted(cycles) if add_span(now, settings.history, -1) <= at < now}
    loaded = [(each.received_first, each.commitment) for each in segments(workspace.warehouse, READ) if each.received_first is not None]
    late = [at for at, mine in given.items() if any(first <= at and commitment not in set(mine) for first, commitment in loaded)]
    return {at: given[at] for at in late[-MOST_HELD:]}


def fit(
    settings: Settings,
    tables_at: Callable[[int], Mapping[str, pl.DataFrame]],
    now: int,
    hcps: list[str],
    most_instants: int = MOST_INSTANTS,
    learned: list[pl.DataFrame] | None = None,
    threads: int = 1,
) -> dict[str, lead_score.LeadScore | response.Response | panel_response.PanelResponse]:
    """Both models, from what is known of `hcps` at `now`, by name; the lead score learns from at most `most_instants` cycles of the history, evenly apart.
    The rows that each learned from, of those that learn from rows, are added to `learned`, where that is given. With two `threads` both are trained at once,
    to the same bytes."""
    features, horizon = feature_catalogue(settings), settings.horizon
    every = instants(settings, now)
    chosen = every[:: -max(1, -(-len(every) // most_instants))][::-1]
    periods = (1,) if settings.response == "panel" else (1, horizon)
    frames = training_frames(tables_at, chosen, now, features, zone=settings.zone, periods=periods, hcps=hcps)
    if learned is not None:
        learned.extend(frames)

    def of_response() -> response.Response | panel_response.PanelResponse:
        if settings.response == "history":
            return response.train(frames[1], features, periods=horizon, seed=settings.seed, threads=THREADS)
        known = tables_at(now)
        grid = grid_of(known, now, zone=settings.zone, hcps=hcps)
        frame = build(known, now, features, zone=settings.zone, hcps=hcps, grid=grid)
        return panel_response.train(panel_of(settings, known, now, hcps, grid), frame, features, horizon=horizon, seed=settings.seed)

    with ThreadPoolExecutor(min(2, threads)) as pool:
        lead = pool.submit(lead_score.train, frames[0], features, seed=settings.seed, threads=THREADS)
        of_touches = pool.submit(of_response)
        return {"lead-score": lead.result(), "response": of_touches.result()}


def panel_of(settings: Settings, known: Mapping[str, pl.DataFrame], now: int, hcps: list[str] | None = None, grid: Grid | None = None) -> Panel:
    """The panel that a response over time learns from and takes bases from, as known at `now`; `grid` is that of the same tables, if it is at hand."""
    worth, channels = [place / MICRO for place in settings.positions], sorted(settings.channels)
    return panel(known, now, channels, zone=settings.zone, history=settings.history, settle=settings.settle, worth=worth, hcps=hcps, grid=grid)


def load(workspace: Workspace, digests: Mapping[str, str] | None = None) -> Models:
    """The models under `digests`, or those in use. Raises `ModelError` for a model that is missing or was changed."""
    if digests is None:
        note = _note(workspace)
        if note is None:
            raise ModelError("no model is in use", where=str(workspace.models), do="Run a cycle, which trains them.")
        return replace(load(workspace, note["models"]), evidence=note["evidence"])
    return Models(
        lead_score.load(_parts(workspace, "lead-score", digests["lead-score"])),
        _response(_parts(workspace, "response", digests["response"])),
        dict(digests),
        segments=load_segments(_parts(workspace, "segments", digests["segments"])) if "segments" in digests else None,
    )


def check(workspace: Workspace, name: str, digest: str) -> None:
    """Raises `ModelError` if the stored model is missing or was changed."""
    {"lead-score": lead_score.load, "response": _response, "segments": load_segments}[name](_parts(workspace, name, digest))


def _response(parts: Mapping[str, bytes]) -> response.Response | panel_response.PanelResponse:
    return panel_response.load(parts) if estimator_of(parts) == panel_response.NAME else response.load(parts)


def described(workspace: Workspace) -> list[dict[str, Any]]:
    """What the models in use were trained on, how well they did, and what they assume."""
    models = load(workspace)
    held = {"lead-score": models.lead, "response": models.response} | ({} if models.segments is None else {"segments": models.segments})
    return [{"model": name, "digest": models.digests[name], "facts": dict(model.facts)} for name, model in held.items()]


def _note(workspace: Workspace) -> dict[str, Any] | None:
    path = workspace.models / _IN_USE
    if not path.is_file():
        return None
    try:
        note: dict[str, Any] = json.loads(path.read_bytes())
        return {"models": dict(note["models"]), "evidence": dict(note.get("evidence", {})), "trained_at": int(note["trained_at"])}
    except (ValueError, KeyError, TypeError):
        raise ModelError("the note of the models in use cannot be read", where=str(path), do="Delete it: the next run trains anew.") from None


def _keep(workspace: Workspace, name: str, parts: Mapping[str, bytes]) -> str:
    digest = model_digest(parts)
    for part, data in sorted(parts.items()):
        write_whole(workspace.models / name / digest / part, data)
    return digest


def _parts(workspace: Workspace, name: str, digest: str) -> dict[str, bytes]:
    folder = workspace.models / name / digest
    parts = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}
    if not parts or model_digest(parts) != digest:
        raise ModelError(
            "the model is missing or was changed", where=str(folder), do=f"Restore it, or delete {workspace.models / _IN_USE}: the next run trains anew."
        )
    return parts


def instants(settings: Settings, now: int) -> tuple[int, ...]:
    """The cycles' instants within the history to learn from."""
    since, until = add_span(now, settings.history, -1), add_span(now, settings.settle, -1)
    steps = range(1, 10_000)
    count = next(step for step in steps if add_span(now, settings.every, -step) < since) - 1
    return tuple(instant for instant in earlier_instants(now, settings.every, count) if instant <= until)


def sample(hcp: pl.DataFrame, settings: Settings) -> list[str]:
    """At most `train_on` HCPs (a brick comes whole or not at all, and the last one may go beyond), by even steps through the ids: no randomness, and no favour
    by size."""
    newest = hcp.sort("hcp_id", "valid_from", "received_at").unique("hcp_id", keep="last", maintain_order=True)
    people = newest.select("hcp_id", unit=pl.coalesce("brick_id", "hcp_id")).sort("unit", "hcp_id")
    units = people["unit"].unique().sort().gather_every(max(1, people.height // settings.train_on))
    chosen = people.filter(pl.col("unit").is_in(units.implode())).with_columns(first=pl.int_range(pl.len()).min().over("unit"))
    return chosen.filter(pl.col("first") < settings.train_on)["hcp_id"].sort().to_list()
