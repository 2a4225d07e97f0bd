"""Inquiries: what HCPs have asked. An answer restates its question."""

import dataframely as dy
import polars as pl

from remit.intake.contracts import Contract, Received, Table, hcp_id, instant, text
from remit.terms.labels import Label

_INQ = Label.INQUIRY


class Inquiries(Received):
    """`answered_at` is empty while the question is open."""

    inquiry_id = text(_INQ)
    hcp_id = hcp_id()
    product = text(_INQ)
    topic = text(_INQ)
    asked_at = instant(_INQ)
    answered_at = instant(_INQ, nullable=True)

    @dy.rule()
    def answered_after_it_was_asked(cls) -> pl.Expr:  # noqa: N805 - dataframely calls a rule with the class
        """An answer has a question."""
        return pl.col("answered_at").is_null() | (pl.col("asked_at") <= pl.col("answered_at"))

    @dy.rule()
    def received_after_it_was_asked(cls) -> pl.Expr:  # noqa: N805 - dataframely calls a rule with the class
        """Nothing is known before it happens."""
        return pl.col("received_at").is_null() | (pl.col("asked_at") <= pl.col("received_at"))


TABLE = Table("inquiries", Contract(Inquiries, key=("inquiry_id",)), occurred="asked_at")
