"""The portfolio: every pilot a company runs, whether it acts through Remit or not, and where pilots are in each other's way."""

from remit.agents.portfolio.collisions import Collision, Reach, collisions
from remit.agents.portfolio.importing import import_rows
from remit.agents.portfolio.pilots import Metric, Pilot, Universe, of_charter
from remit.agents.portfolio.register import read_register, with_entries, written
from remit.agents.portfolio.sheets import read_sheet, to_csv

__all__ = [
    "Collision",
    "Metric",
    "Pilot",
    "Reach",
    "Universe",
    "collisions",
    "import_rows",
    "of_charter",
    "read_register",
    "read_sheet",
    "to_csv",
    "with_entries",
    "written",
]
