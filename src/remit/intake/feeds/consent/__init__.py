"""Consent: what an HCP has said yes or no to, per channel and purpose. No row means unknown, not yes."""

from remit.intake.contracts import Contract, Table, Validity, hcp_id, text
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Consent(Validity):
    """An opt-out acts from its receipt."""

    hcp_id = hcp_id()
    channel = text(_COM)
    purpose = text(_COM, among=("promotional", "medical", "service"))
    status = text(_COM, among=("opt_in", "opt_out"))


TABLE = Table(
    "consent", Contract(Consent, key=("hcp_id", "channel", "purpose", "status", "valid_from")), occurred="valid_from", entity=("hcp_id", "channel", "purpose")
)
