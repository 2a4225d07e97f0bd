"""`remit agent`: who may speak for an agent."""

from pathlib import Path
from typing import Annotated

import typer

from remit.gateway import TOKEN_SCOPES
from remit.runtime import credential_commands, render_credentials
from remit.runtime.options import AsJson, Folder, say

agent = typer.Typer(no_args_is_help=True, help="Credentials of agents: issued, rotated and revoked by people, on record.")


@agent.command()
def issue(
    name: Annotated[str, typer.Argument(metavar="AGENT", help="The agent, as its charter names it.")],
    by: Annotated[str, typer.Option(help="Who issues: the agent's owner, or somebody in the role compliance.")],
    scope: Annotated[list[str] | None, typer.Option(help=f"What it may do: {', '.join(TOKEN_SCOPES)}. May be repeated; all of them if not given.")] = None,
    expires: Annotated[str, typer.Option(help=f"How long it holds, at most {credential_commands.LONGEST}.")] = "3 months",
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Issue a credential to an agent, and print its secret this once. To rotate: issue a second, move the agent to it, revoke the first."""
    say(credential_commands.issue(workspace, name, by, scope or [], expires), as_json, render_credentials.issued)


@agent.command()
def revoke(
    client: Annotated[str, typer.Argument(help="The credential, as `remit agent list` names it.")],
    by: Annotated[str, typer.Option(help="Who revokes: the agent's owner, one of its watchers, or somebody in the role compliance.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Revoke a credential: from here on neither it nor any of its tokens opens anything."""
    say(credential_commands.revoke(workspace, client, by), as_json, render_credentials.revoked)


@agent.command("list")
def list_(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show which credentials there are and were, and which keys signed tokens; no secret."""
    say(credential_commands.listed(workspace), as_json, render_credentials.listed)


@agent.command("rotate-key")
def rotate_key(
    by: Annotated[str, typer.Option(help="Who rotates: the authority table's owner, or somebody in the role compliance.")],
    stolen: Annotated[bool, typer.Option("--stolen", help="Accept no token of the old key any more.")] = False,
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a new key that signs tokens; those of the old one are accepted until they end."""
    say(credential_commands.rotate_key(workspace, by, stolen), as_json, render_credentials.rotated)
