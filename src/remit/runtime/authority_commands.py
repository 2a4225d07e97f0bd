"""`remit authority`: what a table says, what it keeps, and what another would change."""

from pathlib import Path
from typing import Annotated

import typer

from remit.runtime import assessing, differing, render_authority
from remit.runtime.options import AsJson, Folder, say
from remit.runtime.workspace import open_workspace

authority = typer.Typer(no_args_is_help=True, help="What the decision rights say, what they keep, and what others would change.")

_TABLE = "A table's file, or a version such as v1: one that a cycle recorded, or the workspace's own."


@authority.command()
def check(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Find rows that decide nothing, rows that speak against each other, agents to whom nothing is granted, and owners who leave."""
    found = assessing.checked(open_workspace(workspace))
    say(found, as_json, render_authority.check)
    if found["faults"]:
        raise typer.Exit(1)


@authority.command()
def prove(
    workspace: Folder = Path(),
    invariants: Annotated[Path | None, typer.Option(help="The file of invariants; the workspace's invariants.yaml if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove for all facts there can be that the table keeps each invariant, or show a proposal that breaks it."""
    found = assessing.proved(open_workspace(workspace), invariants)
    say(found, as_json, render_authority.prove)
    if found["broken"]:
        raise typer.Exit(1)


@authority.command()
def diff(
    was: Annotated[str, typer.Argument(metavar="A", help=_TABLE)],
    then: Annotated[str, typer.Argument(metavar="B", help=_TABLE)],
    workspace: Folder = Path(),
    since: Annotated[str | None, typer.Option(help="Only decisions of cycles since this date, such as 2026-01-05.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which recorded decisions would have come out otherwise under table B than under table A."""
    say(differing.differed(open_workspace(workspace), was, then, since), as_json, render_authority.diff)
