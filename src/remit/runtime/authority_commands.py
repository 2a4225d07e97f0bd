"""`remit authority`: what a table says, what it keeps, what another would change, and how two people put that into force."""

from pathlib import Path
from typing import Annotated

import typer

from remit.runtime import assessing, differing, render_authority, render_rights, rights_commands
from remit.runtime.options import AsJson, Folder, say
from remit.runtime.workspace import open_workspace

authority = typer.Typer(no_args_is_help=True, help="Decision rights: what they say and keep, what others would change, and who puts those into force.")

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


@authority.command()
def propose(
    by: Annotated[str, typer.Option(help="Who proposes: an id in people.yaml.")],
    reason: Annotated[str, typer.Option(help="Why; nothing personal.")],
    file: Annotated[Path | None, typer.Argument(help="The new text; authority.yaml as it stands if not given.")] = None,
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose a changed authority table; another person must approve exactly this text before it decides anything."""
    say(rights_commands.propose(workspace, file, by, reason), as_json, render_rights.change)


@authority.command()
def approve(
    table: Annotated[str, typer.Argument(help="The first letters of the text's digest, as `remit authority propose` printed it.")],
    by: Annotated[str, typer.Option(help="Who approves: an id in people.yaml, and not who proposed.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Approve a proposed table; it comes into force when all have whose yes it takes."""
    say(rights_commands.approve(workspace, table, by), as_json, render_rights.change)


@authority.command()
def log(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show which tables were in force, and who proposed and approved them."""
    say(rights_commands.log(workspace), as_json, render_rights.log)


@authority.command()
def pack(
    market: Annotated[str, typer.Argument(help=f"The market: {', '.join(rights_commands.PACKS)}.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a market's rules into the workspace, to be named in remit.toml and read with counsel."""
    say(rights_commands.pack(workspace, market), as_json, render_rights.pack)
