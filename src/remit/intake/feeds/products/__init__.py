"""Products: what is ours, what it competes with, and what one unit of its outcome is worth."""

from remit.intake.contracts import NAMES, Contract, Table, Validity, flag, text, whole
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Products(Validity):
    """`value_minor` is the value of one unit of `outcome`, in minor units of `currency`; `indications` are the uses that the label in this market
    covers, with `;` between them."""

    product = text(_COM)
    brand = text(_COM)
    basket = text(_COM)
    own = flag(_COM)
    outcome = text(_COM, among=("trx", "nrx", "nbrx"))
    value_minor = whole(_COM, least=0)
    currency = text(_COM, r"^[A-Z]{3}$")
    indications = text(_COM, NAMES, nullable=True)


TABLE = Table("products", Contract(Products, key=("product", "valid_from")), occurred="valid_from", entity=("product",))
