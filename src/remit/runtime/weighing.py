"""`remit outcomes tried --table`: what chance's decisions would have been worth, had another authority table ruled them."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from remit.authority import Table, judge, limits, stopped
from remit.features import Panel
from remit.intake import state
from remit.ledger import Records, Stored, read_ledger
from remit.outcomes import ESTIMATORS, FEWEST, Logged, OutcomeError, gain
from remit.runtime.cycle import TAKEN
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.errors import WorkspaceError
from remit.runtime.inputs import tables
from remit.runtime.record import STREAM
from remit.runtime.stopping import stops_at
from remit.runtime.training import panel_of
from remit.runtime.trials import LEVEL, rewarded
from remit.runtime.workspace import Config, Workspace, config_texts, read_config, recall
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS
from remit.terms.instants import format_instant
from remit.terms.verdicts import Ruling

ENOUGH = 100
"""Decisions, also effective ones, below which an interval means nothing."""


def told(workspace: Workspace, file: Path, periods: int | None) -> dict[str, Any]:
    """What the table in `file` would have made of all that chance decided in past cycles, by the `periods` after each decision (None: the settings' horizon);
    in the workspace's currency, net of contacts' costs. As of the last cycle. Raises `WorkspaceError`, `AuthorityError` or `OutcomeError`."""
    text = table_text(file)
    config = read_config(config_texts(workspace))
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(cycle_body(records, last_cycle(records))["now"])
        other = config.with_table(text).read_table(now)
        rows, counts = _decisions(workspace, records, other)
    if rows.is_empty():
        do = (
            "Rows under `exploration` in the authority table let contacts be tried and left out at random; without them another table has no value to be known."
        )
        raise OutcomeError("nothing was left to chance", where="decisions", do=do)
    ahead = periods or config.settings.horizon
    worth = dict(state(workspace.warehouse, "products", now).filter("own").select("product", "value_minor").iter_rows())
    found = weighed(rows, panel_of(config.settings, tables(workspace, now), now), ahead, worth)
    return {
        "table": other.name,
        "version": other.version,
        "as_of": format_instant(now),
        "periods": ahead,
        "level": LEVEL,
        "currency": config.settings.currency,
        **counts,
        **found,
    }


def table_text(file: Path) -> str:
    """The text of a table's file. Raises `WorkspaceError` where it cannot be read."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"the table cannot be read: {getattr(error, 'strerror', None) or error}", where=str(file), do="Name a table's file.") from None


def decided(records: Records, since: int | None = None) -> Iterator[tuple[Stored, pl.DataFrame]]:
    """Each cycle at `since` (UTC microseconds) or later that decided anything, and its decisions with the facts recorded with them; a fact that was not
    recorded then is unknown."""
    for entry in records.entries(kind="cycle"):
        parts = [records.read_segment(segment).frame for segment in records.segments(entry.cycle, STREAM)] if int(entry.body["now"]) >= (since or 0) else []
        if parts:
            frame = pl.concat(parts)
            yield entry, frame.with_columns(pl.lit(None).alias(name) for name in FACTS if name not in frame.columns)


def _decisions(workspace: Workspace, records: Records, other: Table) -> tuple[pl.DataFrame, dict[str, int]]:
    """All that chance decided, with what `other` would have decided; and how many decisions that were certain it would have made otherwise."""
    configs: dict[tuple[tuple[str, str], ...], Config] = {}
    frames, counts = [], {"stopped": 0, "opened": 0}
    for entry, frame in decided(records):
        at, digests = int(entry.body["now"]), entry.body["inputs"]["config"]
        key = tuple(sorted(digests.items()))
        if key not in configs:
            configs[key] = read_config(recall(workspace, digests))
        config = configs[key]
        costs = {charter.agent: int(charter.settings.get("cost_minor", 0)) for charter in config.charters}
        rows = frame.with_columns(at=pl.lit(at, pl.Int64), done=TAKEN, cost_minor=pl.col("agent").replace_strict(costs, return_dtype=pl.Int64))
        stops = stops_at(records, int(entry.body["inputs"]["log"]))
        rows = rows.with_columns(targets(rows, config.table(at), stopped(other, stops)))
        certain = rows.filter(pl.col("probability").is_in([0, MICRO]))
        counts["stopped"] += certain.filter(pl.col("done") & (pl.col("target") == 0)).height
        counts["opened"] += certain.filter((pl.col("ruling") == Ruling.FORBIDDEN) & (pl.col("ruling_then") != Ruling.FORBIDDEN)).height
        chance = rows.filter((pl.col("probability") > 0) & (pl.col("probability") < MICRO))
        frames.append(chance.select(pl.col("hcp_id", "product").cast(pl.String), "probability", "target", "done", "value", "cost_minor", "at"))
    return pl.concat(frames) if frames else pl.DataFrame(), counts


def targets(rows: pl.DataFrame, was: Table, other: Table) -> pl.DataFrame:
    """Per decision of one cycle, judged by `was`: the ruling of the `other` table on the same facts (`ruling_then`), and the probability (millionths) with
    which it would have made the contact (`target`): none where it forbids; of what was chosen, what its own rests leave; of what could be tried, the
    recorded one as its tries stand to those of `was`, and at most its tries. Nothing that a person must confirm is tried."""
    ruling = judge(rows, other).columns["ruling"].cast(pl.String)
    now, then = limits(rows, was), limits(rows, other)
    marked = rows.with_columns(ruling_then=ruling, tries=then["tries"], rests=then["rests"], tries_were=now["tries"]).with_row_index("row")
    explored = (pl.col("purpose") == "promotional") & ~pl.col("mandatory")
    planned = pl.col("disposition").is_in(["chosen", "waiting", "rested"])
    call = pl.when(pl.col("call_number") > 0).then(-pl.col("call_number")).otherwise(pl.col("row").cast(pl.Int64))
    # A call rests as a whole, with the least of its details; one that is forbidden is not among them.
    left = pl.when(planned & explored & (pl.col("ruling_then") != Ruling.FORBIDDEN)).then("rests")
    rests = left.min().over("hcp_id", "channel", "territory", call).fill_null(0)
    tries = pl.min_horizontal(pl.col("probability") * pl.col("tries") // pl.col("tries_were").clip(lower_bound=1), "tries")
    return marked.select(
        "ruling_then",
        target=pl.when(pl.col("ruling_then") == Ruling.FORBIDDEN)
        .then(0)
        .when(planned)
        .then(pl.when(explored).then(MICRO - rests).otherwise(MICRO))
        .when(pl.col("ruling_then") == Ruling.AUTONOMOUS)
        .then(tries)
        .otherwise(0)
        .cast(pl.Int64),
    )


def weighed(decisions: pl.DataFrame, seen: Panel, periods: int, worth: Mapping[str, int]) -> dict[str, Any]:
    """What each decision was worth and would have been: `decisions` hold hcp_id, product, `probability` and `target` of the contact (millionths), `done`,
    `value` (micro-units), `cost_minor`, `at`; `worth` is what a unit of each product is worth (minor units). A reward is what the HCP wrote more than before
    (`rewarded`), as money, less the contact's cost; the model of it is the value that was recorded with each decision, nothing where no contact was made.

    Raises `OutcomeError` where too few are settled, or the other table would have done too little of what was done."""
    if not np.isfinite(seen.outcome).any():
        do = "Leave whole bricks alone, and look at `remit outcomes show`."
        raise OutcomeError("what single decisions earned is not known: prescriptions are known of bricks only", where="feeds/brick_rx", do=do)
    counted = rewarded(decisions, seen, periods)
    known = counted.drop_nulls("reward")
    done = known["done"].to_numpy()
    if known.height < ENOUGH or min(done.sum(), (~done).sum()) < FEWEST:
        what = f"of {counted.height:,} decisions that chance made {known.height:,} are settled, {int(done.sum()):,} of them contacts"
        raise OutcomeError(what, where="decisions", do=f"A value takes {ENOUGH} that are settled, {FEWEST} of each kind: wait, or count fewer `--periods`.")
    minor = known["product"].replace_strict(dict(worth), return_dtype=pl.Int64).to_numpy()
    reward = (known["reward"].to_numpy() * minor - np.where(done, known["cost_minor"].to_numpy(), 0)) / 100
    was, then, value = (known[name].to_numpy() / MICRO for name in ("probability", "target", "value"))
    propensity, expected = np.where(done, was, 1 - was), np.where(done, value, 0.0)
    other = Logged(reward, propensity, np.where(done, then, 1 - then), expected, then * value, known["hcp"].to_numpy())
    followed = Logged(reward, propensity, propensity, expected, was * value, known["hcp"].to_numpy())
    estimates = {name: asdict(estimate(other, LEVEL)) for name, estimate in ESTIMATORS.items()}
    if estimates["ips"]["effective"] < FEWEST:
        what = f"the table would have done almost nothing of what was done: {estimates['ips']['effective']:.0f} effective decisions"
        raise OutcomeError(
            what, where="--table", do="A value takes decisions that both could have made: let the table in force try more, or compare a nearer one."
        )
    return {
        "decided": counted.height,
        "judged": known.height,
        "contacts": int(done.sum()),
        "would_make": float(then.sum()),
        "done": asdict(ESTIMATORS["ips"](followed, LEVEL)),
        "other": estimates,
        "gain": asdict(gain(other, followed, LEVEL)),
    }
