"""`remit portfolio` and `remit portfolio import`: the register of a workspace, read, listed and added to."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any

from remit.agents import AgentError
from remit.agents.portfolio import Pilot, import_rows, of_charter, read_register, read_sheet, to_csv, with_entries, written
from remit.agents.portfolio.register import ids_of
from remit.ledger import read_ledger
from remit.runtime.errors import WorkspaceError
from remit.runtime.workspace import Config, Workspace, config_texts, locked, open_workspace, read_config, write_whole
from remit.terms.instants import format_instant

FILE = "portfolio.yaml"
COLUMNS = (
    "id",
    "status",
    "objective",
    "purpose",
    "metric",
    "direction",
    "unit",
    "owner",
    "vendor",
    "channels",
    "products",
    "universe",
    "sources",
    "content",
    "content_review",
    "stop_contact",
    "contacts_per_cycle",
    "holdout",
    "expires",
)
"""The columns of the list as CSV; `import` reads them back."""

_NOT_APPROVED = ("draft", "withdrawn")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The pilots of a workspace by id, what its people have written, the last cycle (None: none yet) and the instant it is seen at."""

    pilots: Mapping[str, Pilot]
    config: Config
    cycle: str | None
    now: int


def load(workspace: Workspace) -> Portfolio:
    """The portfolio as of the last cycle; before the first, as of when the first is due. Raises the error of the first file at fault."""
    config = read_config(config_texts(workspace))
    cycle, now = None, config.settings.first if config.settings.stepped else time_ns() // 1000
    if workspace.ledger.made:
        with closing(read_ledger(workspace.ledger)) as records:
            cycles = {entry.cycle: int(entry.body["now"]) for entry in records.entries(kind="cycle")}
        if cycles:
            cycle, now = list(cycles.items())[-1]
    return Portfolio(read_register(_text(workspace), FILE, chartered(config, now)), config, cycle, now)


def chartered(config: Config, now: int) -> dict[str, Pilot]:
    """The agents under charters as pilots, by id."""
    settings, table = config.settings, config.table(now)
    reviewed = all(table.always_forbids(purpose="promotional", content_status=status) for status in _NOT_APPROVED)
    pilots = (
        of_charter(charter, now, settings.every, settings.currency, holdout=settings.holdout is not None, reviewed=reviewed) for charter in config.charters
    )
    return {pilot.id: pilot for pilot in pilots}


def _text(workspace: Workspace) -> str:
    path = workspace.root / FILE
    try:
        return path.read_bytes().decode() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"the register cannot be read: {error}", where=FILE, do="Save it as UTF-8 text.") from None


def listed(folder: Path, csv: Path | None) -> dict[str, Any]:
    """Every pilot as plain data; the list as CSV goes to `csv`."""
    portfolio = load(open_workspace(folder))
    rows = [_row(pilot) for pilot in portfolio.pilots.values()]
    if csv is not None:
        write_whole(csv, to_csv(COLUMNS, (_cells(pilot) for pilot in portfolio.pilots.values())).encode())
    return {"as_of": format_instant(portfolio.now), "cycle": portfolio.cycle, "pilots": rows, "csv": None if csv is None else str(csv)}


def _row(pilot: Pilot) -> dict[str, Any]:
    return {"id": pilot.id, "charter": pilot.charter, **written(pilot), "purpose": pilot.purpose}


def _cells(pilot: Pilot) -> dict[str, str]:
    """As `import` reads them back."""
    metric, universe = pilot.metric, pilot.universe
    flags = {None: "", True: "yes", False: "no"}
    many = {"channels": pilot.channels, "products": pilot.products}
    return {
        **{name: getattr(pilot, name) for name in ("id", "status", "objective", "purpose", "owner", "vendor", "content", "stop_contact")},
        **{name: "; ".join(values) for name, values in many.items()},
        "metric": metric.name if metric else "",
        "direction": metric.direction if metric else "",
        "unit": metric.unit if metric else "",
        "universe": str(universe.hcps) if universe.by == "hcps" else universe.says(),
        "sources": "; ".join(f"{name} ({span})" if span else name for name, span in pilot.sources.items()),
        "content_review": flags[pilot.content_review],
        "contacts_per_cycle": "" if pilot.contacts_per_cycle is None else str(pilot.contacts_per_cycle),
        "holdout": flags[pilot.holdout],
        "expires": "" if pilot.expires is None else format_instant(pilot.expires),
    }


def imported(folder: Path, file: Path, choices: Sequence[str], sheet: str | None, *, replace: bool) -> dict[str, Any]:
    """Adds a company's list of pilots to the register, whole or not at all, and says what was taken for what. Raises `AgentError` with every fault by row."""
    workspace = open_workspace(folder)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WorkspaceError(f"the list cannot be read: {error.strerror}", where=str(file), do="Name a CSV or XLSX file.") from None
    with locked(workspace):
        portfolio, text = load(workspace), _text(workspace)
        before = ids_of(text)
        charters = {id_ for id_, pilot in portfolio.pilots.items() if pilot.charter}
        found = import_rows(
            read_sheet(data, str(file)), str(file), choices=choices, sheet=sheet, chartered=charters, known=() if replace else before - charters
        )
        new = with_entries(text, found.pilots)
        after = read_register(new, FILE, chartered(portfolio.config, portfolio.now))
        if any(after[pilot.id] != pilot for pilot in found.pilots):
            raise AgentError(
                "what the register would say is not what the list says", where=str(file), do="This is a defect of Remit: please report the list's row."
            )
        write_whole(workspace.root / FILE, new.encode())
    ids = [pilot.id for pilot in found.pilots]
    return {
        "file": str(file),
        "register": str(workspace.root / FILE),
        "header_row": found.header,
        "columns": dict(found.columns),
        "left_out": list(found.left_out),
        "cleaned_rows": list(found.cleaned),
        "added": [id_ for id_ in ids if id_ not in before],
        "replaced": [id_ for id_ in ids if id_ in before],
        "pilots": len(after),
    }
