"""Information labels: who may be shown what a column or a feature is made of."""

from enum import StrEnum


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
