"""Peers: whom an HCP refers patients to, or names as one whose judgement counts."""

import dataframely as dy
import polars as pl

from remit.intake.contracts import HCP_ID, Contract, Table, Validity, hcp_id, text, whole
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Peers(Validity):
    """`weight`, where it is told, is how many patients or nominations stand behind the tie."""

    hcp_id = hcp_id()
    peer_id = text(_COM, HCP_ID)
    kind = text(_COM, among=("referral", "nomination"))
    weight = whole(_COM, least=1, nullable=True)

    @dy.rule()
    def peer_is_another(cls) -> pl.Expr:  # noqa: N805 - dataframely calls a rule with the class
        """Nobody is a peer of their own."""
        return pl.col("hcp_id") != pl.col("peer_id")


TABLE = Table(
    "peers",
    Contract(Peers, key=("hcp_id", "peer_id", "kind", "valid_from")),
    occurred="valid_from",
    entity=("hcp_id", "peer_id", "kind"),
    others=("peer_id",),
)
