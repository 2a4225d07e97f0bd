"""Prescriptions: each row restates an HCP, product and period as of its receipt. No row does not mean none."""

from remit.intake.contracts import Contract, Received, Table, hcp_id, period, text, whole
from remit.terms.labels import Label


class Prescriptions(Received):
    """Total, new and new-to-brand prescriptions; the latter two may be unknown."""

    hcp_id = hcp_id()
    product = text(Label.COMMERCIAL)
    period = period(Label.COMMERCIAL)
    trx = whole(Label.PDRP, least=0)
    nrx = whole(Label.PDRP, least=0, nullable=True)
    nbrx = whole(Label.PDRP, least=0, nullable=True)


TABLE = Table("rx", Contract(Prescriptions, key=("hcp_id", "product", "period")), occurred="period")
