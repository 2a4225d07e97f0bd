"""Formulary: how a practice's payers cover a product."""

from remit.intake.contracts import Contract, Table, Validity, text
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Formulary(Validity):
    """`tier` is the payers' own word."""

    practice_id = text(_COM)
    product = text(_COM)
    tier = text(_COM)


TABLE = Table("formulary", Contract(Formulary, key=("practice_id", "product", "valid_from")), occurred="valid_from", entity=("practice_id", "product"))
