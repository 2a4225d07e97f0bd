"""Master data: who the HCPs are."""

from remit.intake.contracts import Contract, Table, Validity, flag, hcp_id, millionths, text, whole, zone
from remit.terms.encoding import MICRO
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Hcps(Validity):
    """`match_confidence` is held in millionths; `pdrp` says that prescribing is kept from reps and their managers; `practice_population` names the patients
    that the practice mostly serves."""

    hcp_id = hcp_id()
    specialty = text(_COM)
    practice_id = text(_COM, nullable=True)
    practice_size = whole(_COM, least=1, nullable=True)
    practice_population = text(_COM, nullable=True)
    rural = flag(_COM, nullable=True)
    zone = zone()
    match_confidence = millionths(_COM, least=0, most=MICRO)
    pdrp = flag(_COM)


TABLE = Table("hcp", Contract(Hcps, key=("hcp_id", "valid_from")), occurred="valid_from", entity=("hcp_id",))
