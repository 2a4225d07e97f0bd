"""`remit shadow`: a table, an agent or all of Remit beside what is done today. Nothing is acted on and nothing is written; what would have been different is
told over recorded cycles, in the value that the models of each cycle expected."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from remit.agents import AgentError, read_charter
from remit.authority import Table, judge, stopped
from remit.intake import read
from remit.ledger import Records, read_ledger
from remit.runtime import limiting
from remit.runtime.cycle import Joint, allowances, choose, proposed
from remit.runtime.errors import WorkspaceError
from remit.runtime.portfolio.compare import PLANNED
from remit.runtime.portfolio.recorded import RecordedCycle, read_cycle
from remit.runtime.replaying import restore
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.instants import FOREVER, add_span, format_instant
from remit.terms.verdicts import Ruling

Stage = Callable[[str], None]

_EXAMPLES = 5
_KEY = ("hcp_id", "agent", "channel", "product", "content_id", "touch")
_CHOICE = (*_KEY, "purpose", "territory", "exclusion", "ruling", "value", "mandatory")
"""What a choice reads of a decision, and what tells one from another."""


def would(folder: Path, table: Path | None, agent: Path | None, cycles: int | None, threads: int, stage: Stage) -> dict[str, Any]:
    """What another `table`, a further `agent` (the file of its charter) or both would have made of the last `cycles` (None: all). Each cycle stands alone: what
    the shadow would have done before is not carried into the next, and limits are those of the cycle's own table: `limits` names those in which the other
    differs from that of the workspace. Raises the error of the first file at fault."""
    workspace = open_workspace(folder)
    config = read_config(config_texts(workspace))
    charter = None if agent is None else read_charter(_text(agent), str(agent), config.people)
    with closing(_records(workspace)) as records:
        names = _names(records, cycles)
        newest = int(next(iter(records.entries(kind="cycle", cycle=names[-1]))).body["now"])
        other = None if table is None else config.with_table(_text(table)).read_table(newest)
        limits = [] if other is None else limiting.differing(config.read_table(newest), other)
        rows = [_cycle(workspace, records, name, other, charter, threads, stage) for name in names]
    return {
        "table": None if other is None else f"{other.name}, version {other.version}",
        "agent": None if charter is None else charter.agent,
        "limits": limits,
        "currency": rows[-1].pop("currency"),
        "cycles": [{key: value for key, value in row.items() if key != "currency"} for row in rows],
    }


def _cycle(workspace: Workspace, records: Records, name: str, other: Table | None, charter: Charter | None, threads: int, stage: Stage) -> dict[str, Any]:
    stage(f"shadow {name}")
    recorded = read_cycle(workspace, records, name)
    charters = recorded.config.charters
    judged, allowance = recorded.decisions, recorded.allowance
    if other is not None:
        other = stopped(other, recorded.config.stops)
        judged = judged.with_columns(ruling=judge(judged, other).columns["ruling"].cast(pl.String))
    if charter is not None:
        _fits(charter, recorded)
        new, more = _proposals(workspace, records, name, charter, other, threads)
        judged = pl.concat([_plain(judged.filter(pl.col("agent") != charter.agent)), _plain(new)])
        allowance = pl.concat([allowance.select(pl.col("hcp_id").cast(pl.String), "allowance"), more]).unique("hcp_id", keep="first", maintain_order=True)
        charters = (*(each for each in charters if each.agent != charter.agent), charter)
    judged = _plain(judged).sort(_KEY, nulls_last=False).with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    joint = choose(judged, charters, recorded.config.settings, allowance, recorded.free, recorded.room, displaced=charter is not None, threads=threads)
    return {"cycle": name, "now": format_instant(recorded.now), "currency": recorded.config.settings.currency, **_differences(recorded, judged, joint, charter)}


def _proposals(workspace: Workspace, records: Records, name: str, charter: Charter, other: Table | None, threads: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the agent would have proposed in a cycle, judged, from what was known then; and each HCP's contacts then, of HCPs that have fewer than all."""
    restored = restore(workspace, records, name, threads, (charter,))
    if restored.erased:
        raise WorkspaceError(f"HCPs were erased since `{name}`, so what an agent would have seen then cannot be told", do="Name fewer --cycles.")
    inputs = restored.inputs if other is None else replace(restored.inputs, table=other)
    rows, _, failures = proposed(replace(inputs, charters=(charter,)), lambda _: None)
    if failures:
        raise AgentError(f"the agent failed in `{name}`: {failures[0].error}", where=charter.agent)
    # Of HCPs to whom nobody had proposed anything, no allowance was recorded.
    return rows, allowances(inputs).select(pl.col("hcp_id").cast(pl.String), "allowance")


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    """What a choice reads, in types that frames of any origin share."""
    texts = [name for name in _CHOICE if name not in ("touch", "value", "mandatory")]
    return rows.select(*(pl.col(name).cast(pl.String) for name in texts), pl.col("touch", "value").cast(pl.Int64), pl.col("mandatory").cast(pl.Boolean))


def _differences(recorded: RecordedCycle, judged: pl.DataFrame, joint: Joint, charter: Charter | None) -> dict[str, Any]:
    was = _plain(recorded.decisions.filter(pl.col("disposition").is_in(list(PLANNED))))
    would_be = judged.filter(pl.Series(joint.chosen))
    added = would_be.join(was, on=list(_KEY), how="anti", nulls_equal=True)
    dropped = was.join(would_be, on=list(_KEY), how="anti", nulls_equal=True)
    agents = sorted({str(name) for frame in (was, would_be) for name in frame["agent"].unique()})
    plans = recorded.body["plans"]
    now = {plan.purpose: plan.plan for plan in joint.plans}
    purposes = sorted({*plans, *now})
    said: dict[str, Any] = {
        "gone": recorded.gone,
        "actions": {"recorded": was.height, "shadow": would_be.height, "added": added.height, "dropped": dropped.height},
        "waiting": {"recorded": was.filter(pl.col("ruling") == Ruling.CONFIRM).height, "shadow": would_be.filter(pl.col("ruling") == Ruling.CONFIRM).height},
        "value": {name: {"recorded": plans[name]["value"] if name in plans else 0, "shadow": now[name].value if name in now else 0} for name in purposes},
        "agents": [
            {
                "agent": agent,
                **{key: frame.filter(pl.col("agent") == agent).height for key, frame in (("recorded", was), ("shadow", would_be), ("added", added))},
                "dropped": dropped.filter(pl.col("agent") == agent).height,
            }
            for agent in agents
        ],
        "examples": {
            name: frame.sort("value", "hcp_id", descending=[True, False]).select("hcp_id", "agent", "channel", "product", "value").head(_EXAMPLES).to_dicts()
            for name, frame in (("added", added), ("dropped", dropped))
        },
    }
    if charter is not None:
        plan = next(each for each in joint.plans if each.purpose == charter.purpose)
        account = plan.plan.accounts[plan.agents.index(charter.agent)]
        proposals = judged.filter(pl.col("agent") == charter.agent)
        said["agent"] = {
            "proposed": proposals.height,
            "rulings": dict(proposals.group_by("ruling").len().sort("ruling").iter_rows()),
            "value": account.value,
            "displaced": account.displaced,
        }
    return said


def today(folder: Path, cycles: int | None, stage: Stage) -> dict[str, Any]:
    """What Remit planned in the last `cycles` (None: all) beside the contacts that the company made in the same periods, each worth what the cycle's models
    expected of it: a proposal's value, in a call by its place; nothing where nobody proposed it. Raises `WorkspaceError` where no period has been told of."""
    workspace = open_workspace(folder)
    touches = read(workspace.warehouse, "touches", FOREVER)
    newest = int(touches["received_at"].max() or 0)  # type: ignore[arg-type]  # instants are whole numbers
    rows, untold = [], []
    with closing(_records(workspace)) as records:
        for name in _names(records, cycles):
            stage(f"shadow {name}")
            recorded = read_cycle(workspace, records, name)
            end = add_span(recorded.now, recorded.config.settings.every)
            made = touches.filter((pl.col("occurred_at") >= recorded.now) & (pl.col("occurred_at") < end))
            if newest < end:
                untold.append(name)
            else:
                rows.append({"cycle": name, "now": format_instant(recorded.now), **_beside(recorded, made)})
            currency = recorded.config.settings.currency
    if not rows:
        do = "Let the feed `touches` arrive, and run the next cycle, which loads it."
        raise WorkspaceError("of no recorded cycle has the company told yet what it did in its period", where="feeds/touches", do=do)
    return {"currency": currency, "cycles": rows, "untold": untold}


def _beside(recorded: RecordedCycle, made: pl.DataFrame) -> dict[str, Any]:
    asked = made.filter(pl.col("decision").is_not_null()).height
    ordered = made.sort("occurred_at", "touch_id").with_columns(
        pl.col("hcp_id", "channel", "product", "purpose").cast(pl.String), touch=pl.int_range(pl.len(), dtype=pl.Int64).over("hcp_id", "channel", "product") + 1
    )
    offers = _plain(recorded.decisions).group_by("hcp_id", "channel", "product", "touch", "purpose").agg(
        value=pl.col("value").max(), may=(pl.col("ruling") != Ruling.FORBIDDEN).any()
    )  # fmt: skip
    places = pl.col("position").fill_null(1).cast(pl.Int64)
    worth = pl.DataFrame({"place": range(1, len(recorded.config.settings.positions) + 1), "of": recorded.config.settings.positions})
    done = (
        ordered.with_columns(place=places)
        .join(offers, on=["hcp_id", "channel", "product", "touch", "purpose"], how="left")
        .join(worth.with_columns(pl.all().cast(pl.Int64)), on="place", how="left")
        .with_columns(expected=(pl.col("value") * pl.col("of").fill_null(0)).floordiv(MICRO).fill_null(0))
    )
    planned = _plain(recorded.decisions.filter(pl.col("disposition").is_in(list(PLANNED))))
    pair = ["hcp_id", "channel", "product"]
    both = planned.select(pair).unique().join(done.select(pair).unique(), on=pair, how="inner")
    rows = []
    for purpose in sorted({*planned["purpose"].unique(), *done["purpose"].unique()}):
        ours, theirs = planned.filter(pl.col("purpose") == purpose), done.filter(pl.col("purpose") == purpose)
        for channel in sorted({*ours["channel"].unique(), *theirs["channel"].unique()}):
            mine, other = ours.filter(pl.col("channel") == channel), theirs.filter(pl.col("channel") == channel)
            rows.append(
                {
                    "purpose": purpose,
                    "channel": channel,
                    "remit": mine.height,
                    "today": other.height,
                    "both": both.join(mine.select(pair), on=pair, how="semi").height,
                    "today_value": int(other["expected"].sum()),
                    "not_proposed": other.filter(pl.col("value").is_null()).height,
                    "forbidden": other.filter(pl.col("may").not_()).height,
                }
            )
    plans = recorded.body["plans"]
    value = {
        purpose: {"remit": plan["value"], "today": sum(row["today_value"] for row in rows if row["purpose"] == purpose)} for purpose, plan in plans.items()
    }
    return {"gone": recorded.gone, "asked_by_remit": asked, "channels": rows, "value": value}


def _fits(charter: Charter, recorded: RecordedCycle) -> None:
    settings = recorded.config.settings
    strange = [channel for channel in charter.channels if channel not in settings.channels]
    if strange:
        known = ", ".join(sorted(settings.channels))
        raise AgentError(f"remit.toml did not describe {', '.join(strange)} in `{recorded.cycle}`", where=charter.agent, do=f"The channels are {known}.")


def _records(workspace: Workspace) -> Records:
    if not workspace.ledger.made:
        raise WorkspaceError("no cycle has been recorded", where=str(workspace.root), do="Run one with `remit run`.")
    return read_ledger(workspace.ledger)


def _names(records: Records, cycles: int | None) -> list[str]:
    names = [entry.cycle for entry in records.entries(kind="cycle")]
    if not names:
        raise WorkspaceError("no cycle has been recorded", do="Run one with `remit run`.")
    return names if cycles is None else names[-cycles:]


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}", where=str(file), do="Name a file of text.") from None
