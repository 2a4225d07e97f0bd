"""Products: what is ours, what it competes with, and what one unit of its outcome is worth."""

from remit.intake.contracts import Contract, Table, Validity, flag, text, whole
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Products(Validity):
    """`value_minor` is the value of one unit of `outcome`, in minor units of `currency`."""

    product = text(_COM)
    brand = text(_COM)
    basket = text(_COM)
    own = flag(_COM)
    outcome = text(_COM, among=("trx", "nrx", "nbrx"))
    value_minor = whole(_COM, least=0)
    currency = text(_COM, r"^[A-Z]{3}$")


TABLE = Table("products", Contract(Products, key=("product", "valid_from")), occurred="valid_from", entity=("product",))
