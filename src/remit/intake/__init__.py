"""What arrived, and how old is it? Feeds into the warehouse's immutable segments, bad lines into quarantine."""

from remit.intake.contracts import labels
from remit.intake.erasure import erase
from remit.intake.errors import IntakeError
from remit.intake.feeds import FEEDS, TABLES
from remit.intake.freshness import OWN_FILES, Freshness, freshness
from remit.intake.loading import admit, load
from remit.intake.quarantine import read_quarantine
from remit.intake.reading import in_force, last_of_each, read, state, turns
from remit.intake.report import FileReport, LoadReport, Outcome
from remit.intake.warehouse import Segment, replaced, segments, verify_segments

__all__ = [
    "FEEDS",
    "OWN_FILES",
    "TABLES",
    "FileReport",
    "Freshness",
    "IntakeError",
    "LoadReport",
    "Outcome",
    "Segment",
    "admit",
    "erase",
    "freshness",
    "in_force",
    "labels",
    "last_of_each",
    "load",
    "read",
    "read_quarantine",
    "replaced",
    "segments",
    "state",
    "turns",
    "verify_segments",
]
