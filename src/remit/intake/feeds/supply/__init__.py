"""Supply: for how long the stock of each product lasts."""

from remit.intake.contracts import Contract, Table, Validity, millionths, text
from remit.terms.labels import Label


class Supply(Validity):
    """`cover_weeks` is stock divided by what a week is expected to take, held in millionths."""

    product = text(Label.SUPPLY)
    market = text(Label.SUPPLY, r"^[A-Z]{2}$")
    cover_weeks = millionths(Label.SUPPLY, least=0)


TABLE = Table("supply", Contract(Supply, key=("product", "market", "valid_from")), occurred="valid_from", entity=("product", "market"))
