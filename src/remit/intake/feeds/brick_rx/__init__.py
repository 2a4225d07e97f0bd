"""Prescriptions of a brick, an area of some two dozen prescribers: where nobody tells a physician's own. Restated as `rx` is; no row does not mean none."""

from remit.intake.contracts import HCP_ID, Contract, Received, Table, period, text, whole
from remit.terms.labels import Label


class BrickPrescriptions(Received):
    """Total, new and new-to-brand prescriptions of everybody in the brick; the latter two may be unknown. They are nobody's own, hence commercial."""

    brick_id = text(Label.COMMERCIAL, HCP_ID)
    product = text(Label.COMMERCIAL)
    period = period(Label.COMMERCIAL)
    trx = whole(Label.COMMERCIAL, least=0)
    nrx = whole(Label.COMMERCIAL, least=0, nullable=True)
    nbrx = whole(Label.COMMERCIAL, least=0, nullable=True)


TABLE = Table("brick_rx", Contract(BrickPrescriptions, key=("brick_id", "product", "period")), occurred="period")
