"""From a workspace as of an instant to what a cycle is given."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import polars as pl

from remit.features import Panel, build, grid_of
from remit.gateway import Known
from remit.intake import freshness, read, state
from remit.models.bases import Shared
from remit.models.confidence import confidence
from remit.models.reasons import reasons
from remit.runtime.carry import Carried
from remit.runtime.cycle import Inputs
from remit.runtime.errors import WorkspaceError
from remit.runtime.settings import Settings
from remit.runtime.stood import taking_part
from remit.runtime.told import MARK, not_come_back, still_open, with_opt_outs
from remit.runtime.training import READ, Models, feature_catalogue, panel_of
from remit.runtime.workspace import Config, Workspace
from remit.terms.instants import HOUR
from remit.terms.labels import Label

STATES = ("hcp", "consent", "content", "alignments", "products", "supply", "resources")
"""The dimensions of whose state a decision is made."""


class Source(Protocol):
    """Where the rows of feeds are read: a workspace's warehouse, or feeds in memory."""

    def read(self, table: str, as_of: int) -> pl.DataFrame:
        """The rows of `table` received by `as_of`, of each key the one received last."""
        ...

    def state(self, table: str, as_of: int) -> pl.DataFrame:
        """The rows of a dimension in force at `as_of`."""
        ...

    def loads(self, as_of: int) -> Mapping[str, int]:
        """When each feed last loaded whole."""
        ...


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A workspace's warehouse as a source; `only` names segments by commitment."""

    workspace: Workspace
    only: Collection[str] | None = None

    def read(self, table: str, as_of: int) -> pl.DataFrame:
        """As `Source`."""
        return read(self.workspace.warehouse, table, as_of, only=self.only)

    def state(self, table: str, as_of: int) -> pl.DataFrame:
        """As `Source`."""
        return state(self.workspace.warehouse, table, as_of, only=self.only)

    def loads(self, as_of: int) -> Mapping[str, int]:
        """As `Source`."""
        return {fresh.table: fresh.last_load for fresh in freshness(self.workspace.warehouse, as_of, only=self.only) if fresh.last_load is not None}


def tables(workspace: Workspace, as_of: int, hcps: Collection[str] | None = None) -> dict[str, pl.DataFrame]:
    """The tables that features read, as received by `as_of`, about `hcps` (None: everybody)."""
    return {name: read(workspace.warehouse, name, as_of, hcps=hcps) for name in READ}


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of everybody at an instant: `features`, and the `panel` that a response over time takes bases from, with what those take from everybody
    where that was recorded (`shared`; None: it is found)."""

    features: pl.DataFrame
    panel: Callable[[], Panel]
    shared: Mapping[str, Shared] | None = None


def observe(source: Source, settings: Settings, now: int) -> Observed:
    """What is known of everybody as of `now`."""
    known = {name: source.read(name, now) for name in READ}
    grid = grid_of(known, now, zone=settings.zone)
    features = build(known, now, feature_catalogue(settings), zone=settings.zone, loads=source.loads(now), grid=grid)
    if settings.response != "panel":  # a model from before the setting was changed may still ask for one
        return Observed(features, cache(lambda: panel_of(settings, {name: source.read(name, now) for name in READ}, now)))
    seen = panel_of(settings, known, now, grid=grid)
    return Observed(features, lambda: seen)


def assemble(
    source: Source,
    seen: Observed,
    config: Config,
    models: Models,
    carried: Carried,
    draws: pl.DataFrame,
    members: pl.DataFrame,
    now: int,
    threads: int,
    drift: str | None = None,
) -> Inputs:
    """Everything the cycle at `now` depends on: `seen` as observed then; `draws` says who is held out (`enrolment.ENROLMENT`), `members` who is in which
    segment (`segments.MEMBERS`), `drift` what that of the models asks for (`watching.asked`)."""
    settings, loads, features = config.settings, source.loads(now), seen.features
    products = source.state("products", now).filter("own")
    consent, inquiries = source.state("consent", now), source.read("inquiries", now)
    if carried.told is not None:
        consent = with_opt_outs(consent, carried.told.opt_outs, settings.channels)
        inquiries = still_open(inquiries, carried.told.inquiries, now)
    scores, responses = _scores(models, features, now, threads), models.increments(features, seen.panel, most_touches(config), seen.shared)
    known = Known(
        now=now,
        hcp=source.state("hcp", now),
        consent=consent,
        content=source.read("content", now),
        inquiries=inquiries,
        cover=cover(source.state("alignments", now), settings),
        contacts=known_contacts(source.read("touches", now), carried.contacts, carried.agents),
        scores=scores,
        held=draws.filter(pl.col("held") & (pl.col("channel") == ""))["hcp_id"],
        channel_held=draws.filter(pl.col("held") & (pl.col("channel") != "")).select("hcp_id", "channel"),
        feed_age_h={feed: (now - at) // HOUR for feed, at in loads.items()},
        model_age_h=(now - models.trained_to) // HOUR,
        market=settings.market.name if settings.market else None,
        models=models.digests,
        stopped=config.holds,
        indications=dict(products.filter(pl.col("indications").is_not_null()).select("product", "indications").iter_rows()),
        supply=dict(_of_market(source.state("supply", now), settings).select("product", "cover_weeks").iter_rows()),
        confidence=confidence(responses),
        drift=drift,
    )
    viewer = set(Label)
    return Inputs(
        settings=settings,
        people=config.people,
        charters=config.charters,
        table=config.table(now),
        known=known,
        responses=responses,
        values=dict(products.select("product", "value_minor").iter_rows()),
        capacity=dict(source.state("resources", now).select("resource", "capacity").iter_rows()),
        taken=carried.taken,
        explain=lambda rows: reasons(models.lead, features.join(rows, on=["hcp_id", "product"], how="semi"), viewer, threads=threads),
        threads=threads,
        segments=None if models.segments is None else members.select("hcp_id", "segment"),
        uptake=None if models.segments is None else models.segments.uptake,
        made=carried.made,
        standing=taking_part(carried.standing, config.charters, now),
        own=carried.own,
    )


def check_currency(source: Source, settings: Settings, now: int) -> None:
    """Raises `WorkspaceError` where values are said in another currency than the workspace's."""
    strange = source.state("products", now).filter("own").filter(pl.col("currency") != settings.currency).select("product", "currency").sort("product")
    if strange.height:
        faults = [f"`{product}` is worth so much in {currency}" for product, currency in strange.iter_rows()]
        do = f"Say all values in {settings.currency}, the workspace's currency: nothing is converted."
        raise WorkspaceError("values in several currencies are not added up", where="feed `products`", faults=faults, do=do)


def most_touches(config: Config) -> int:
    """The most touches that any agent may propose for one HCP and product."""
    return max((charter.most_per_hcp for charter in config.charters), default=1)


def cover(alignments: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Who covers whom now, per channel: hcp_id, product, channel, rep_id, territory. Of several, the first by id."""
    forces = pl.DataFrame(
        [(channel.name, force) for channel in settings.channels.values() for force in channel.sales_forces], schema=["channel", "sales_force"], orient="row"
    )
    rows = alignments.join(forces, on="sales_force", how="inner").sort("hcp_id", "product", "channel", "rep_id")
    return rows.unique(["hcp_id", "product", "channel"], keep="first", maintain_order=True).select("hcp_id", "product", "channel", "rep_id", "territory")


def known_contacts(touches: pl.DataFrame, ours: pl.DataFrame, agents: Mapping[str, str]) -> pl.DataFrame:
    """Contacts by anyone: one contact per touch, the details after the first of a call left out, and those of `ours`, planned or reported, that no touch has
    come back for; `agents` says whose a decision was."""
    first = touches.filter(pl.col("position").is_null() | (pl.col("position") == 1))
    waiting = ours.join(first.filter(pl.col("decision").is_not_null()), on="decision", how="anti", maintain_order="left")
    reported = pl.col("decision").str.starts_with(MARK).fill_null(value=False)
    waiting = pl.concat([waiting.filter(~reported), not_come_back(waiting.filter(reported), first)])
    whose = pl.DataFrame({"decision": list(agents), "agent": list(agents.values())}, schema={"decision": pl.String, "agent": pl.String})
    told = first.join(whose, on="decision", how="left", maintain_order="left")
    return pl.concat([told.select("hcp_id", "channel", "purpose", "agent", at="occurred_at"), waiting.select("hcp_id", "channel", "purpose", "agent", "at")])


def _of_market(supply: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    return supply.filter(pl.col("market") == (settings.market.name if settings.market else ""))


def _scores(models: Models, features: pl.DataFrame, now: int, threads: int) -> pl.DataFrame:
    newest = features.select(
        "hcp_id", "product", rx_at=pl.lit(now, pl.Int64) - pl.col("rx_data_age_us"), rx_loaded_at=pl.lit(now, pl.Int64) - pl.col("rx_feed_age_us")
    )
    return models.lead.predict(features, threads=threads).join(newest, on=["hcp_id", "product"], how="left", maintain_order="left")
