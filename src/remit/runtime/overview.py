"""`remit models show`: each model's stage, evidence, drift, bias and signatures, and what segments there are, as plain data."""

from contextlib import closing
from typing import Any

import polars as pl

from remit.intake import state
from remit.ledger import Records, read_ledger
from remit.models import drift, gates
from remit.models.bias import audit, dump_audit
from remit.runtime import grouping, registry, training
from remit.runtime.cycle import TAKEN
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.judging import GROUPS
from remit.runtime.record import STREAM
from remit.runtime.settings import Settings
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.instants import format_instant


def shown(workspace: Workspace) -> dict[str, Any]:
    """Every model in use, and whom the last cycle served. Raises `WorkspaceError` where no cycle has been recorded."""
    config = read_config(config_texts(workspace))
    models = training.load(workspace)
    with closing(read_ledger(workspace.ledger)) as records:
        cycle = last_cycle(records)
        body = cycle_body(records, cycle)
        rows = [_model(workspace, records, name, models, body, config.settings) for name in sorted(models.judged)]
        served = _served(workspace, records, cycle, int(body["now"]))
    watcher = config.settings.oversight.watcher or None
    told = {"cycle": cycle, "now": format_instant(int(body["now"])), "watcher": watcher, "models": rows, "served": served}
    return told | {"segments": {name: value for name, value in segments(workspace).items() if name != "rows"}}


def segments(workspace: Workspace) -> dict[str, Any]:
    """The segments in use: their digest, what their training found, and each with its names and how many HCPs the last cycle placed in it; no rows where the
    models were trained before there were segments. Raises `WorkspaceError` where no cycle has been recorded."""
    models = training.load(workspace)
    if models.segments is None:
        return {"digest": None, "facts": {}, "count": 0, "rows": []}
    with closing(read_ledger(workspace.ledger)) as records:
        last_cycle(records)
        now = dict(grouping.recorded(records, records.size).group_by("segment").len().iter_rows())
    rows = [{"segment": each.id, "hcps": now.get(each.id, 0), "open_name": each.open_name, "name": each.name} for each in models.segments.segments]
    return {"digest": models.digests["segments"], "facts": dict(models.segments.facts), "count": len(rows), "rows": rows}


def _model(workspace: Workspace, records: Records, name: str, models: training.Models, body: dict[str, Any], settings: Settings) -> dict[str, Any]:
    digest, facts = models.digests[name], (models.lead if name == "lead-score" else models.response).facts
    evidence = registry.evidence_of(workspace, models.evidence.get(name), name, digest)
    offs = registry.signed(records, digest, models.evidence.get(name), records.size)
    watched = body.get("watch", {}).get(name, {})
    watched = watched if watched.get("digest") == digest else {}
    checks = evidence["checks"] if evidence else []
    return {
        "model": name,
        "digest": digest,
        "stage": registry.stage_of(evidence, offs, settings),
        "used_as": watched.get("stage"),
        "trained_on": {
            "from": format_instant(int(facts["window"]["from"])),
            "to": format_instant(int(facts["window"]["to"])),
            "rows": facts["rows"],
            "hcps": facts["hcps"],
            "segments": len(evidence["provenance"]["segments"]) if evidence else None,
        },
        "held_out": evidence and evidence["held_out"],
        "moved_by": (evidence or {}).get("moved_by", {}),
        "checks": checks,
        "drift": {
            "asks": watched.get("asks", "unwatched"),
            "columns": watched.get("columns", 0),
            "findings": [finding | {"threshold": _threshold(finding["figure"], settings)} for finding in watched.get("findings", [])],
            "unwatched": evidence["unwatched"] if evidence else None,
        },
        "audit": evidence and evidence["audit"],
        "signed": [{"person": each.person, "role": each.role, "at": format_instant(each.at)} for each in offs],
        "missing": list(gates.missing_roles(offs, settings.oversight.signers)),
        "facts": dict(facts),
    }


def _threshold(figure: str, settings: Settings) -> dict[str, float | None]:
    sizes: drift.Sizes = settings.oversight.limits.sizes["inputs" if figure.startswith("input:") else figure]
    return {"raise": sizes.raised, "confirm": sizes.confirm, "stop": sizes.stop}


def _served(workspace: Workspace, records: Records, cycle: str, now: int) -> dict[str, Any]:
    """The audit of a cycle's promotion as it was decided: who is contacted at all, and the expected value of what they are given."""
    frames = [records.read_segment(segment).frame for segment in records.segments(cycle, STREAM)]
    hcp = state(workspace.warehouse, "hcp", now)
    groups = hcp.select("hcp_id", *(name for name in GROUPS if name in hcp.columns)).unique("hcp_id", keep="first", maintain_order=True).sort("hcp_id")
    rows = pl.concat(frames).select("hcp_id", "purpose", "disposition", "value") if frames else pl.DataFrame(schema={"hcp_id": pl.String, "value": pl.Int64})
    chosen = rows.filter(TAKEN & (pl.col("purpose") == "promotional")) if frames else rows
    given = chosen.group_by("hcp_id").agg(value=pl.col("value").sum())
    people = groups.join(given, on="hcp_id", how="left", maintain_order="left").with_columns(
        selected=pl.col("value").is_not_null(), value=pl.col("value").fill_null(0)
    )
    return dump_audit(audit(people, GROUPS))
