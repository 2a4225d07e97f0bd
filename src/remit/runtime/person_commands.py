"""`remit person`: who may ask, stop and decide over the wire."""

from pathlib import Path
from typing import Annotated

import typer

from remit.gateway import PERSON_SCOPES
from remit.runtime import credential_commands, render_credentials
from remit.runtime.options import AsJson, Folder, say

person = typer.Typer(no_args_is_help=True, help="Credentials of people for the gateway: issued, rotated and revoked by others, on record.")


@person.command()
def issue(
    name: Annotated[str, typer.Argument(metavar="PERSON", help="The person, by their id in people.yaml.")],
    by: Annotated[str, typer.Option(help="Who issues: the authority table's owner, or somebody in the role compliance; nobody to themselves.")],
    scopes: Annotated[str, typer.Option(help=f"What it may do, separated by commas: {', '.join(PERSON_SCOPES)}.")] = ",".join(PERSON_SCOPES),
    expires: Annotated[str, typer.Option(help=f"How long it holds, at most {credential_commands.LONGEST}.")] = "3 months",
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Issue a credential to a person, and print its secret this once. What they may stop or approve is for their roles to say."""
    asked = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    say(credential_commands.issue_to_person(workspace, name, by, asked, expires), as_json, render_credentials.issued)


@person.command()
def revoke(
    client: Annotated[str, typer.Argument(help="The credential, as `remit person list` names it.")],
    by: Annotated[str, typer.Option(help="Who revokes: the table's owner, somebody in the role compliance, or the person.")],
    workspace: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Revoke a credential: from here on neither it nor any of its tokens opens anything."""
    say(credential_commands.revoke_of_person(workspace, client, by), as_json, render_credentials.revoked)


@person.command("list")
def list_(workspace: Folder = Path(), as_json: AsJson = False) -> None:
    """Show which credentials people have and had; no secret."""
    say(credential_commands.listed_of_people(workspace), as_json, render_credentials.listed)
