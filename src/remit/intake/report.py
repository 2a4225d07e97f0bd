"""What a load did, file by file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a file."""

    LOADED = "loaded"
    KNOWN = "known"
    """Loaded before: nothing changed."""
    NOT_DUE = "not due"
    """Every row says that it is received later than now: left for a later run."""
    REFUSED = "refused"
    """Broken as a whole; `faults` lists how."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: rows stored in all tables, lines in quarantine and the count of each broken rule, lines left out because their HCP was erased. `doubtful`: more
    lines are bad than the feed file allows for; the good ones are loaded all the same. `heeded` bad lines of consent may be opt-outs, and count as such."""

    feed: str
    file: str
    outcome: Outcome
    rows: int = 0
    quarantined: int = 0
    suppressed: int = 0
    doubtful: bool = False
    rules: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    heeded: int = 0

    @property
    def says(self) -> str:
        """The file's line of the report."""
        name = f"{self.feed}/{self.file}"
        if self.outcome is Outcome.REFUSED:
            return f"{name}: refused: {'; '.join(self.faults)}"
        if self.outcome is not Outcome.LOADED:
            return f"{name}: {self.outcome}"
        if not (self.rows or self.quarantined or self.suppressed):
            return f"{name}: loaded whole, and has no rows"
        parts = [f"{self.rows} rows", f"{self.quarantined} bad lines in quarantine"] + ([f"{self.suppressed} left out (erased)"] if self.suppressed else [])
        parts += [f"{self.heeded} of them may be opt-outs and count as such from now on: mend them first"] if self.heeded else []
        return f"{name}: {', '.join(parts)}" + (" - DOUBTFUL: ask who delivers it" if self.doubtful else "")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """All files, and the tables for which nothing has ever come: neither a file now nor rows before."""

    files: tuple[FileReport, ...]
    missing: tuple[str, ...]

    def having(self, outcome: Outcome) -> tuple[FileReport, ...]:
        """The files of one outcome."""
        return tuple(file for file in self.files if file.outcome is outcome)

    @property
    def quarantined(self) -> int:
        """Lines put into quarantine by this load."""
        return sum(file.quarantined for file in self.files)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should look at: refused and doubtful files, what may be opt-outs, empty files, missing tables."""
        files = [
            file.says
            for file in self.files
            if file.outcome is Outcome.REFUSED
            or file.doubtful
            or file.heeded
            or (file.outcome is Outcome.LOADED and not (file.rows or file.quarantined or file.suppressed))
        ]
        return (*files, *(f"{table}: no file has come" for table in self.missing))
