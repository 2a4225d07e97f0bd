"""Information labels: who may be shown what a column or a feature is made of."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Label(StrEnum):
    """Where information comes from. A column or feature without one does not load; a feature carries the union of its inputs' labels."""

    COMMERCIAL = "commercial"
    MEDICAL = "medical"
    SAFETY = "safety"
    PATIENT = "patient"
    INQUIRY = "inquiry"
    PDRP = "pdrp"
    """Prescribing of one physician, which the AMA's programme may keep from reps and their managers."""
    SUPPLY = "supply"


ADMITTED: Mapping[str, frozenset[Label]] = MappingProxyType(
    {
        "promotional": frozenset({Label.COMMERCIAL, Label.PDRP, Label.SUPPLY}),
        "medical": frozenset({Label.COMMERCIAL, Label.MEDICAL, Label.INQUIRY, Label.SUPPLY}),
        "service": frozenset({Label.COMMERCIAL, Label.SUPPLY}),
    }
)
"""What work for each purpose may be shown: promotion sees no questions to medical information, medical work no prescribing; nobody sees safety or patients."""
