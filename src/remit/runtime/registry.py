"""The register of models: what is recorded of each, who signed, where it stands, and what its drift asks for this cycle.

The ledger is the register. An entry `model` says that a model came into use and under which evidence; `signoff`, that a person said yes; and each cycle's own
entry holds, under `watch`, what its models showed. The evidence itself lies in `objects/` under its digest.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl

from remit.features import Grid, build, grid_of
from remit.intake import read
from remit.ledger import Entry, Ledger, Records
from remit.models import drift, gates
from remit.runtime import judging, training, watching
from remit.runtime.errors import WorkspaceError
from remit.runtime.settings import Settings
from remit.runtime.workspace import Config, Workspace, recall
from remit.terms.encoding import digest

MODEL, SIGNOFF = "remit.model/1", "remit.signoff/1"


def evidence_of(workspace: Workspace, held: str | None, model: str, model_digest: str) -> dict[str, Any] | None:
    """The evidence kept under a digest, of that model. Raises `WorkspaceError` if it is gone, was changed, or is another model's."""
    if held is None:
        return None
    body = dict(json.loads(recall(workspace, {"evidence": held})["evidence"]))
    if (body.get("model"), body.get("digest")) != (model, model_digest):
        do = "Delete the note of the models in use: the next run trains and judges anew."
        raise WorkspaceError(f"the evidence held of `{model}` is of another model", where=f"objects/{held}", do=do)
    return body


def signed(records: Records, model_digest: str, held: str | None, upto: int) -> list[gates.SignOff]:
    """The sign-offs of a model, by what was held of it when they were given, among the log's first `upto` entries."""
    wanted = (model_digest, held)
    bodies = [entry.body for entry in records.entries(kind="signoff") if entry.seq < upto and (entry.body["digest"], entry.body["evidence"]) == wanted]
    return [gates.SignOff(body["person"], body["role"], int(body["at"])) for body in bodies]


def stage_of(evidence: Mapping[str, Any] | None, offs: Sequence[gates.SignOff], settings: Settings) -> str:
    """Where a model with this evidence and these sign-offs stands."""
    found = [gates.Check(**check) for check in evidence["checks"]] if evidence else []
    return gates.stage(found, offs, settings.oversight.signers)


def new_models(workspace: Workspace, records: Records, upto: int, models: training.Models, settings: Settings, now: int) -> list[Entry]:
    """Entries for the models in use that the log does not hold yet."""
    known = {entry.body["digest"] for entry in records.entries(kind="model") if entry.seq < upto}
    entries = []
    for name, model in sorted(models.judged.items()):
        if model not in known:
            held = models.evidence.get(name)
            stage = stage_of(evidence_of(workspace, held, name, model), signed(records, model, held, upto), settings)
            entries.append(Entry("model", MODEL, {"model": name, "digest": model, "stage": stage, "evidence": held, "at": now}))
    return entries


def watch(
    workspace: Workspace,
    settings: Settings,
    records: Records,
    upto: int,
    models: training.Models,
    now: int,
    *,
    evidence: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """What each model in use shows at `now` against its reference, and what that asks for: plain values, from the log's first `upto` entries and rows of the
    warehouse (`only` these segments). `evidence` names the evidence to compare with (None: that in use).

    Current features are those of at most `train_on` HCPs.
    """
    held = models.evidence if evidence is None else evidence
    before = _before(records, upto)
    catalogue = training.feature_catalogue(settings)

    hcps = training.sample(read(workspace.warehouse, "hcp", now, only=only), settings)

    @cache
    def tables_at(at: int) -> Mapping[str, pl.DataFrame]:
        return {name: read(workspace.warehouse, name, at, only=only, hcps=hcps) for name in training.READ}

    @cache
    def grid() -> Grid:
        return grid_of(tables_at(now), now, zone=settings.zone, hcps=hcps)

    current = build(tables_at(now), now, catalogue, zone=settings.zone, hcps=hcps, grid=grid()) if any(held.values()) else pl.DataFrame()
    sight = watching.Sight(
        now,
        current,
        lambda rows: models.increments(rows, lambda: training.panel_of(settings, tables_at(now), now, hcps, grid()), 1),
        lambda instant: judging.settled_rows(instant, now, tables_at, catalogue, hcps, settings),
    )
    answer: dict[str, Any] = {}
    for name, model in sorted(models.judged.items()):
        body = evidence_of(workspace, held.get(name), name, model)
        past = before.get(name, {}) if before.get(name, {}).get("digest") == model else {}
        reference = None if body is None or body["reference"] is None else drift.load_reference(body["reference"])
        stage = stage_of(body, signed(records, model, held.get(name), upto), settings)
        shown = watching.look(name, models, reference, past, sight, settings)
        answer[name] = {"digest": model, "evidence": held.get(name), "stage": stage} | shown
    return answer


def sign(config: Config, workspace: Workspace, ledger: Ledger, model: str, person: str, role: str, now: int) -> dict[str, Any]:
    """Records one person's yes, in a role, to the model of that name in use. Raises `WorkspaceError` with every reason why it cannot count."""
    models = training.load(workspace)
    signers = config.settings.oversight.signers
    if model not in models.judged:
        raise WorkspaceError(f"there is no model `{model}` to sign", do=f"One of: {', '.join(sorted(models.judged))}.")
    held, of_model = models.evidence.get(model), models.digests[model]
    body = evidence_of(workspace, held, model, of_model)
    offs = signed(ledger, of_model, held, ledger.size)
    failing = [f"{check['name']}: {check['found']}; {check['do']}" for check in (body or {}).get("checks", []) if not check["passed"]]
    faults = [] if body else ["it was trained before evidence was kept: it has to be trained anew"]
    faults += [f"the gate refuses it for {fault}" for fault in failing]
    found = config.people.get(person)
    if found is None or not found.active(now):
        faults.append(f"`{person}` is not a person on file")
    elif role not in found.roles:
        faults.append(f"`{person}` does not hold the role `{role}`")
    if role not in signers:
        faults.append(f"`{role}` is not asked to sign; the roles are {', '.join(signers) or 'not named: add signers to [models] in remit.toml'}")
    faults += [f"`{each.person}` has signed already, as {each.role}: two different people must" for each in offs if each.person == person]
    if faults:
        raise WorkspaceError(f"`{model}` cannot be signed", where=of_model[:16], faults=faults)
    entry = Entry("signoff", SIGNOFF, {"model": model, "digest": of_model, "person": person, "role": role, "evidence": held, "at": now})
    name = f"signoff:{digest(f'{of_model}/{person}/{role}'.encode())}"
    ledger.append(name, [entry], cycle=name)
    offs = [*offs, gates.SignOff(person, role, now)]
    return {"model": model, "digest": of_model, "stage": stage_of(body, offs, config.settings), "missing": list(gates.missing_roles(offs, signers))}


def drifted(records: Records) -> list[str]:
    """The digests of the models that had drifted in the last cycle, as `watching.drifted` says."""
    watch = _before(records, records.size)
    return [str(watch[name]["digest"]) for name in watching.drifted(watch)]


def _before(records: Records, upto: int) -> dict[str, Any]:
    """What the last cycle among the log's first `upto` entries left of its watch."""
    cycles = [entry for entry in records.entries(kind="cycle") if entry.seq < upto]
    return dict(cycles[-1].body.get("watch", {})) if cycles else {}
