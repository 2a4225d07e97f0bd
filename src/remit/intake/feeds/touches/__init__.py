"""Touches: every contact in any channel; a call is one row per detail, in order."""

import dataframely as dy
import polars as pl

from remit.intake.contracts import Contract, Received, Table, flag, hcp_id, instant, text, whole
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Touches(Received):
    """`position` is that of the detail in its call; `engaged` says whether the HCP took it up (opened it, welcomed the call), where that is known;
    `content_id` is what it carried; `decision` is the one that asked for it, as the lists that Remit hands over name it."""

    touch_id = text(_COM)
    hcp_id = hcp_id()
    channel = text(_COM)
    product = text(_COM)
    position = whole(_COM, least=1, most=3, nullable=True)
    purpose = text(_COM, among=("promotional", "medical", "service"))
    engaged = flag(_COM, nullable=True)
    content_id = text(_COM, nullable=True)
    decision = text(_COM, nullable=True)
    occurred_at = instant(_COM)

    @dy.rule()
    def received_after_it_occurred(cls) -> pl.Expr:  # noqa: N805 - dataframely calls a rule with the class
        """Nothing is known before it happens."""
        return pl.col("received_at").is_null() | (pl.col("occurred_at") <= pl.col("received_at"))


TABLE = Table("touches", Contract(Touches, key=("touch_id",)), occurred="occurred_at")
