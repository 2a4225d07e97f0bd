"""What commands share: the options that all of them take, and how each says its result."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from remit.runtime import printing

Folder = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def say(result: dict[str, Any], as_json: bool, render_text: Callable[[dict[str, Any]], None]) -> None:
    """Prints what a command returned, as one line of JSON or as text."""
    if as_json:
        sys.stdout.write(printing.to_json(result))
    else:
        render_text(result)
