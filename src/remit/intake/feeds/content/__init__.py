"""Content: what may be shown or sent, and whether it is approved."""

from remit.intake.contracts import Contract, Table, Validity, text
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Content(Validity):
    """A withdrawal is a row of its own, from when it acts."""

    content_id = text(_COM)
    product = text(_COM)
    channel = text(_COM)
    communication_type = text(_COM)
    topic = text(_COM)
    status = text(_COM, among=("draft", "approved", "withdrawn"))


TABLE = Table("content", Contract(Content, key=("content_id", "valid_from")), occurred="valid_from", entity=("content_id",))
