"""Text on the terminal: lines, tables, a bar for the step at work, and the one message of an error."""

import json
import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from remit.terms.errors import RemitError

_OUT = Console(highlight=False, soft_wrap=True)
_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class Progress:
    """A bar on stderr that names the step at work; silent where nobody watches."""

    def __init__(self, quiet: bool) -> None:
        self._bar = Bar(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=_ERR, transient=True, disable=quiet or not _ERR.is_terminal
        )
        self._task = self._bar.add_task("start", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, stage: str) -> None:
        self._bar.update(self._task, description=stage)


def to_json(result: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(result, ensure_ascii=False) + "\n"


def error(fault: RemitError) -> None:
    """The one message of a user's mistake."""
    _ERR.print(f"remit: {fault}", markup=False)


def heading(text: str) -> None:
    """A line that begins a part."""
    _OUT.rule(text, align="left")


def facts(values: dict[str, Any]) -> None:
    """Plain values as JSON, readable."""
    _OUT.print_json(json.dumps(values))


def line(text: str) -> None:
    """A line as it is."""
    _OUT.print(text, markup=False)


def table(columns: list[str], rows: list[list[Any]]) -> None:
    """Rows under their columns: numbers to the right, nothing for None."""
    drawn = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        numeric = bool(rows) and all(
            isinstance(row[columns.index(name)], int) or str(row[columns.index(name)]).replace(",", "").replace(".", "").lstrip("-").isdigit() for row in rows
        )
        drawn.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        drawn.add_row(*("" if value is None else f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    width = None if _OUT.is_terminal else 200
    Console(file=sys.stdout, highlight=False, width=width).print(drawn)
