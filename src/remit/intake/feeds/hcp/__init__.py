"""Master data: who the HCPs are."""

from remit.intake.contracts import HCP_ID, Contract, Table, Validity, flag, hcp_id, millionths, text, whole, zone
from remit.terms.encoding import MICRO
from remit.terms.labels import Label

_COM = Label.COMMERCIAL


class Hcps(Validity):
    """`match_confidence` is held in millionths; `pdrp` says that prescribing is kept from reps and their managers; `practice_population` names the patients
    that the practice mostly serves; `brick_id` the area that prescriptions are told of where nobody tells a physician's own, `brick_size` how many
    prescribe in it."""

    hcp_id = hcp_id()
    specialty = text(_COM)
    practice_id = text(_COM, nullable=True)
    practice_size = whole(_COM, least=1, nullable=True)
    practice_population = text(_COM, nullable=True)
    rural = flag(_COM, nullable=True)
    brick_id = text(_COM, HCP_ID, nullable=True)
    brick_size = whole(_COM, least=1, nullable=True)
    zone = zone()
    match_confidence = millionths(_COM, least=0, most=MICRO)
    pdrp = flag(_COM)


TABLE = Table("hcp", Contract(Hcps, key=("hcp_id", "valid_from")), occurred="valid_from", entity=("hcp_id",))
