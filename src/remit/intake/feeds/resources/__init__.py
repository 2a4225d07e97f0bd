"""Resources: what is scarce, and how much of it there is."""

from remit.intake.contracts import Contract, Table, Validity, millionths, text
from remit.terms.labels import Label


class Resources(Validity):
    """`capacity` is held in millionths of `unit`."""

    resource = text(Label.SUPPLY)
    unit = text(Label.SUPPLY)
    capacity = millionths(Label.SUPPLY, least=0)


TABLE = Table("resources", Contract(Resources, key=("resource", "valid_from")), occurred="valid_from", entity=("resource",))
