"""From a workspace as of an instant to what a cycle is given."""

from collections.abc import Collection

import polars as pl

from remit.features import build
from remit.gateway import Known
from remit.intake import freshness, read, state
from remit.models.reasons import reasons
from remit.runtime.carry import Carried
from remit.runtime.cycle import Inputs
from remit.runtime.settings import Settings
from remit.runtime.training import Models, feature_catalogue
from remit.runtime.workspace import Config, Workspace
from remit.terms.instants import HOUR
from remit.terms.labels import Label

READ = ("hcp", "products", "rx", "touches", "inquiries", "formulary")
"""The tables that features read."""


def tables(workspace: Workspace, as_of: int, only: Collection[str] | None = None, hcps: Collection[str] | None = None) -> dict[str, pl.DataFrame]:
    """The tables that features read, as received by `as_of`; `only` names segments by commitment, `hcps` whom they are to be about."""
    return {name: read(workspace.warehouse, name, as_of, only=only, hcps=hcps) for name in READ}


def assemble(
    workspace: Workspace, config: Config, models: Models, carried: Carried, draws: pl.DataFrame, now: int, threads: int, only: Collection[str] | None = None
) -> Inputs:
    """Everything the cycle at `now` depends on. `draws` says who is held out (`holdouts.ENROLMENT`)."""
    settings = config.settings
    loads = {fresh.table: fresh.last_load for fresh in freshness(workspace.warehouse, now, only=only) if fresh.last_load is not None}
    known_tables = tables(workspace, now, only)
    features = build(known_tables, now, feature_catalogue(settings), zone=settings.zone, loads=loads)
    products = state(workspace.warehouse, "products", now, only=only).filter("own")
    known = Known(
        now=now,
        hcp=state(workspace.warehouse, "hcp", now, only=only),
        consent=state(workspace.warehouse, "consent", now, only=only),
        content=read(workspace.warehouse, "content", now, only=only),
        inquiries=known_tables["inquiries"],
        cover=cover(state(workspace.warehouse, "alignments", now, only=only), settings),
        contacts=pl.concat([_contacts(known_tables["touches"]), carried.contacts]),
        scores=_scores(models, features, now, threads),
        held=draws.filter("held")["hcp_id"],
        feed_age_h={feed: (now - at) // HOUR for feed, at in loads.items()},
        model_age_h=(now - models.trained_to) // HOUR,
    )
    viewer = set(Label)
    return Inputs(
        settings=settings,
        people=config.people,
        charters=config.charters,
        table=config.table(now),
        known=known,
        responses=models.response.predict(features, most=max((charter.most_per_hcp for charter in config.charters), default=1)),
        values=dict(products.select("product", "value_minor").iter_rows()),
        capacity=dict(capacities(workspace, now, only).select("resource", "capacity").iter_rows()),
        taken=carried.taken,
        explain=lambda rows: reasons(models.lead, features.join(rows, on=["hcp_id", "product"], how="semi"), viewer, threads=threads),
        threads=threads,
    )


def capacities(workspace: Workspace, now: int, only: Collection[str] | None = None) -> pl.DataFrame:
    """The resources whose capacity holds at `now`: resource, capacity (micro-units), unit, valid_from, valid_to."""
    return state(workspace.warehouse, "resources", now, only=only)


def cover(alignments: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Who covers whom now, per channel: hcp_id, product, channel, rep_id, territory. Of several, the first by id."""
    forces = pl.DataFrame(
        [(channel.name, force) for channel in settings.channels.values() for force in channel.sales_forces], schema=["channel", "sales_force"], orient="row"
    )
    rows = alignments.join(forces, on="sales_force", how="inner").sort("hcp_id", "product", "channel", "rep_id")
    return rows.unique(["hcp_id", "product", "channel"], keep="first", maintain_order=True).select("hcp_id", "product", "channel", "rep_id", "territory")


def _contacts(touches: pl.DataFrame) -> pl.DataFrame:
    """One contact per touch, the details after the first of a call left out."""
    first = touches.filter(pl.col("position").is_null() | (pl.col("position") == 1))
    return first.select("hcp_id", "channel", "purpose", at="occurred_at")


def _scores(models: Models, features: pl.DataFrame, now: int, threads: int) -> pl.DataFrame:
    newest = features.select("hcp_id", "product", rx_at=pl.lit(now, pl.Int64) - pl.col("rx_data_age_us"))
    return models.lead.predict(features, threads=threads).join(newest, on=["hcp_id", "product"], how="left", maintain_order="left")
