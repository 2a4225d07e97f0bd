"""Content: what may be shown or sent, and whether it is approved."""

from remit.intake.contracts import NAMES, Contract, Table, Validity, text
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Content(Validity):
    """A withdrawal is a row of its own, from when it acts. `risk` is the tier that MLR gave it; `indications` are the uses it is about, with `;` between
    them, in the words of the products' labels."""

    content_id = text(_COM)
    product = text(_COM)
    channel = text(_COM)
    communication_type = text(_COM)
    topic = text(_COM)
    status = text(_COM, among=("draft", "approved", "withdrawn"))
    risk = text(_COM, among=("low", "medium", "high"), nullable=True)
    indications = text(_COM, NAMES, nullable=True)


TABLE = Table("content", Contract(Content, key=("content_id", "valid_from")), occurred="valid_from", entity=("content_id",))
