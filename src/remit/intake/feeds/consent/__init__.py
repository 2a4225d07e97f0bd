"""Consent: what an HCP has said yes or no to, per channel and purpose. No row means unknown, not yes."""

import polars as pl

from remit.intake.contracts import HCP_ID, Contract, Table, Validity, hcp_id, text
from remit.terms.labels import Label

_COM = Label.COMMERCIAL
_PURPOSES = ("promotional", "medical", "service")


class Consent(Validity):
    """An opt-out acts from its receipt."""

    hcp_id = hcp_id()
    channel = text(_COM)
    purpose = text(_COM, among=_PURPOSES)
    status = text(_COM, among=("opt_in", "opt_out"))


def opt_outs(raw: pl.DataFrame, bad: pl.Series, now: int) -> pl.DataFrame:
    """Bad lines that name an HCP and do not clearly say opt-in, as opt-outs from now on; for every channel of the file, or purpose, where they name none."""
    cell = {name: pl.col(name).str.strip_chars() for name in ("hcp_id", "channel", "purpose", "status")}
    lines = raw.filter(pl.col("line").is_in(bad.implode())).select("line", **cell)
    lines = lines.filter(pl.col("hcp_id").str.contains(HCP_ID).fill_null(value=False), pl.col("status").fill_null("") != "opt_in")
    channels = sorted(set(raw["channel"].str.strip_chars().drop_nulls()) - {""})
    return (
        lines.with_columns(
            channel=pl.when(pl.col("channel").is_in(channels)).then(pl.concat_list("channel")).otherwise(pl.lit(channels, pl.List(pl.String))),
            purpose=pl.when(pl.col("purpose").is_in(_PURPOSES)).then(pl.concat_list("purpose")).otherwise(pl.lit(list(_PURPOSES), pl.List(pl.String))),
        )
        .explode("channel")
        .explode("purpose")
        .drop_nulls("channel")
        .with_columns(status=pl.lit("opt_out"), valid_from=pl.lit(now, pl.Int64), valid_to=pl.lit(None, pl.Int64), received_at=pl.lit(now, pl.Int64))
    )


TABLE = Table(
    "consent",
    Contract(Consent, key=("hcp_id", "channel", "purpose", "status", "valid_from")),
    occurred="valid_from",
    entity=("hcp_id", "channel", "purpose"),
    heed=opt_outs,
)
