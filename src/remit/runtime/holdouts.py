"""Holdouts in a workspace: planning one, and what acting on the others changed."""

from contextlib import closing
from dataclasses import asdict
from typing import Any

import polars as pl

from remit.intake import read, state
from remit.ledger import read_ledger
from remit.outcomes import OutcomeError, between, lift, markov, plan, shapley, touch_paths
from remit.runtime.crediting import credited
from remit.runtime.cycles import cycle_body, last_cycle
from remit.runtime.enrolment import CLUSTER, ENROLMENT, check_unit, enrolled, known_ties, of_bricks, units
from remit.runtime.errors import WorkspaceError
from remit.runtime.inputs import Warehouse
from remit.runtime.settings import BY
from remit.runtime.workspace import Workspace, config_texts, read_config
from remit.terms.instants import add_span, format_instant

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
PERIODS = (4, 8, 13, 26, 39, 52)


def planned(workspace: Workspace, effect: float, by: str | None, level: float, power: float) -> dict[str, Any]:
    """Per own product and share held out: how many of the products' periods it takes to see `effect` (a part of the mean outcome), and what each length can
    detect, drawn `by` hcp, practice, brick or cluster of peers (None: what prescriptions are known of). From prescriptions that have settled by the last cycle.
    Where ties between physicians are known, also the part of them that would join the held and the others, by each unit. Raises `WorkspaceError` or
    `OutcomeError`."""
    if not 0 < effect < 10 or by not in (*BY, None) or not 0.5 <= level < 1 or not 0.5 <= power < 1:
        do = f"`--effect` is a part of the mean, such as 0.05; `--by` is one of {', '.join(BY)}; `--level` and `--power` lie from 0.5 to below 1."
        raise WorkspaceError("the plan cannot be made", do=do)
    settings = read_config(config_texts(workspace)).settings
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(cycle_body(records, last_cycle(records))["now"])
    settled = add_span(now, settings.settle, -1)
    bricks_only = _of_bricks(workspace, now)
    by = by or ("brick" if bricks_only else "hcp")
    source = Warehouse(workspace)
    check_unit(source, by, now, "Plan with `--by {by}`.")
    hcp, tied = source.state("hcp", now), known_ties(source, now)

    def members(by: str) -> pl.DataFrame:
        return units(hcp, by, lambda: tied, pl.DataFrame(schema=ENROLMENT), now)

    drawn = members(by)
    rows = _settled(workspace, now, settled, drawn)
    products = [
        _product(product, _by_unit(rows.filter(pl.col("product") == product), outcome, drawn), effect, level, power) | {"outcome": outcome}
        for product, outcome in _own(workspace, now).iter_rows()
    ]
    possible = [each for each in BY if each in ("hcp", "peers") or hcp[f"{each}_id"].null_count() < hcp.height] if tied.height else []
    apart = {each: between(tied, members(each), "unit") or 0.0 for each in possible}
    crossing = [{"by": each, "crossing": {str(share): round(2 * share * (1 - share) * part, 4) for share in SHARES}} for each, part in apart.items()]
    asked = {"effect": effect, "by": by, "level": level, "power": power}
    return {**asked, "settled": format_instant(settled), "ties": crossing, "products": products}


def shown(workspace: Workspace, level: float) -> dict[str, Any]:
    """What acting changed against who was left alone, per own product, at every settled period since the first draw; and the same of each channel that leaves
    out some of its own. Raises `WorkspaceError`."""
    if not 0.5 <= level < 1:
        raise WorkspaceError(f"an interval of {level} cannot be shown", do="`--level` lies from 0.5 to below 1.")
    settings = read_config(config_texts(workspace)).settings
    if settings.holdout is None:
        raise WorkspaceError("nobody is held out", where="remit.toml", do="Add a [holdout] section; `remit holdout plan` says how large and how long.")
    with closing(read_ledger(workspace.ledger)) as records:
        now = int(cycle_body(records, last_cycle(records))["now"])
        draws = enrolled(records, settings, records.size)
    everybody = draws.filter(pl.col("channel") == "")
    if everybody.is_empty():
        raise WorkspaceError(f"nobody is enrolled in `{settings.holdout.name}` yet", do="Run a cycle: it draws and records who is left alone.")
    start, settled = int(everybody["at"].min()), add_span(now, settings.settle, -1)  # type: ignore[arg-type]  # an Int64 column that is not empty
    rows, bricks_only = _settled(workspace, now, settled, everybody), _of_bricks(workspace, now)
    if rows.is_empty() and bricks_only:
        do = 'Begin a new experiment: a new `name` and `by = "brick"` under [holdout].'
        raise WorkspaceError(f"`{settings.holdout.name}` has drawn no bricks, and prescriptions are known of bricks only", where="remit.toml", do=do)
    # Whoever all promotion leaves alone says nothing of one channel.
    acted = draws.filter(pl.col("channel") != "").join(everybody.filter(~pl.col("held")), on="hcp_id", how="semi")
    tied = known_ties(Warehouse(workspace), now)
    heard = tied.join(everybody.filter("held"), left_on="source", right_on="hcp_id", how="semi")
    touches = read(workspace.warehouse, "touches", now).filter((pl.col("purpose") == "promotional") & (pl.col("occurred_at") >= start))
    products = []
    for product, outcome in _own(workspace, now).iter_rows():
        mine = rows.filter(pl.col("product") == product)
        whole = _lifted(mine, outcome, everybody, level)
        own = {channel: _lifted(mine, outcome, part, level) for (channel,), part in acted.group_by("channel", maintain_order=True)}
        shares = {} if bricks_only or not own else _shares(mine, outcome, touches.filter(pl.col("product") == product), start, settings.window)
        products.append({"product": product, "outcome": outcome, **whole, "channels": credited(whole, own, shares)})
    return {
        "holdout": settings.holdout.name,
        "since": format_instant(start),
        "settled": format_instant(settled),
        "level": level,
        "hcps": _sides(everybody),
        "ties": {"crossing": between(tied, everybody, "held"), "of_held": between(heard, everybody, "held")},
        "channels": {channel: _sides(part) for (channel,), part in acted.group_by("channel", maintain_order=True)},
        "products": products,
    }


def _sides(draws: pl.DataFrame) -> dict[str, int]:
    held = int(draws["held"].sum())
    return {"acted": draws.height - held, "held": held}


def _lifted(rows: pl.DataFrame, outcome: str, draws: pl.DataFrame, level: float) -> dict[str, Any]:
    """The lift of one draw from one product's `rows`: the fields of `Lift`, no looks where it cannot be told yet."""
    ends = rows.select("period", "occurred_at").unique().sort("occurred_at").with_columns(begins=pl.col("occurred_at").shift(1))
    since = ends.filter(pl.col("begins") >= draws["at"].min())["period"]
    if since.is_empty():
        return {"looks": [], "says": ["no period that began after the first draw has settled yet"]}
    sides = draws.select("unit", "held").unique("unit", keep="first", maintain_order=True)
    try:
        return asdict(lift(_by_unit(rows, outcome, draws), sides, str(since[0]), level=level))
    except OutcomeError as error:
        return {"looks": [], "says": [f"{error.what}. {error.do}"]}


def _shares(rows: pl.DataFrame, outcome: str, touches: pl.DataFrame, start: int, window: str) -> dict[str, dict[str, float]]:
    """What paths of touches of at most `window` before the end of a period credit: by method, each channel's share."""
    ends = rows.select(until="occurred_at").unique().filter(pl.col("until") > start).sort("until")
    ends = ends.with_columns(since=pl.Series([max(start, add_span(end, window, -1)) for end in ends["until"]], dtype=pl.Int64))
    told = ends.join(rows, left_on="until", right_on="occurred_at", how="inner").select("since", "until", unit="hcp_id", outcome=outcome)
    found = touch_paths(touches.select("channel", unit="hcp_id", at="occurred_at"), told)
    credit = {"markov": markov(found), "shapley": shapley(found)} if found else {}
    return {name: {channel: part / sum(each.values()) for channel, part in each.items()} for name, each in credit.items() if sum(each.values()) > 0}


def _of_bricks(workspace: Workspace, now: int) -> bool:
    return of_bricks(Warehouse(workspace).loads(now))


def _settled(workspace: Workspace, now: int, settled: int, members: pl.DataFrame) -> pl.DataFrame:
    """Settled prescriptions of `members` (hcp_id, unit), a row per unit's HCP; where they are known of bricks only, a row per brick that is a unit, in
    prescriptions for each who prescribes there."""
    if not _of_bricks(workspace, now):
        rows = read(workspace.warehouse, "rx", now).filter(pl.col("occurred_at") <= settled)
        return rows.join(members.select("hcp_id", "unit"), on="hcp_id", how="inner")
    rows = read(workspace.warehouse, "brick_rx", now).filter(pl.col("occurred_at") <= settled).rename({"brick_id": "unit"})
    of_brick = state(workspace.warehouse, "hcp", now).group_by(unit="brick_id").agg(size=pl.max_horizontal(pl.col("brick_size").max(), pl.len()))
    rows = rows.join(members.select("unit").unique(), on="unit", how="semi").join(of_brick, on="unit", how="inner")
    return rows.with_columns(pl.col("trx", "nrx", "nbrx") / pl.col("size"))


def _own(workspace: Workspace, now: int) -> pl.DataFrame:
    return state(workspace.warehouse, "products", now).filter("own").select("product", "outcome").sort("product")


def _by_unit(rows: pl.DataFrame, outcome: str, members: pl.DataFrame) -> pl.DataFrame:
    """The mean outcome of each unit's HCPs: unit, period, outcome. Clusters of peers count by their size among `members` (hcp_id, unit): who has no ties is a
    unit alone, and would count as much as a hundred others."""
    means = rows.drop_nulls(outcome).group_by("unit", "period").agg(outcome=pl.col(outcome).mean()).sort("unit", "period")
    sizes = members.filter(pl.col("unit").str.starts_with(CLUSTER)).group_by("unit").len()
    sized = means.join(sizes.with_columns(pl.col("len") / pl.col("len").mean()), on="unit", how="left", maintain_order="left")
    return sized.select("unit", "period", outcome=pl.col("outcome") * pl.col("len").fill_null(1.0))


def _product(product: str, history: pl.DataFrame, effect: float, level: float, power: float) -> dict[str, Any]:
    lengths = [length for length in PERIODS if 2 * length <= history["period"].n_unique()]
    if not lengths:
        raise OutcomeError(f"{product} has {history['period'].n_unique()} settled periods", do=f"A plan needs {2 * PERIODS[0]}: load more history.")
    plans = [plan(history, length, SHARES, level=level, power=power) for length in lengths]
    shares = []
    for share, row in zip(SHARES, zip(*plans, strict=True), strict=True):
        shares.append(
            {
                "share": share,
                "held": row[0].held,
                "needed": next((each.weeks for each in row if each.detectable is not None and each.detectable <= effect), None),
                "detectable": {str(each.weeks): each.detectable and round(each.detectable, 4) for each in row},
            }
        )
    return {"product": product, "units": history["unit"].n_unique(), "mean": round(plans[0][0].mean, 4), "shares": shares}
