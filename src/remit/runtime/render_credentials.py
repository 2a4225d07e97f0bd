"""Credentials of agents on the terminal."""

from typing import Any

from remit.runtime.printing import line, table


def issued(result: dict[str, Any]) -> None:
    """The secret, once, and what to do with it."""
    line(f"{result['agent']} may {', '.join(result['scopes'])} as {result['client']} until {result['expires']}.")
    line(f"client_id      {result['client']}")
    line(f"client_secret  {result['secret']}")
    line("This is the only time the secret is shown: only a hash of it is kept. Put it where the agent's own secrets are, never in a file that is shared or")
    line(f"in a message. If it is lost or seen by others: remit agent revoke {result['client']} --by ..., and issue another.")


def revoked(result: dict[str, Any]) -> None:
    """What opens nothing any more."""
    line(f"{result['client']} of {result['agent']} is revoked by {result['revoked_by']}: neither it nor any of its tokens opens anything.")


def listed(result: dict[str, Any]) -> None:
    """Credentials and keys."""
    if not result["clients"]:
        line("No agent has a credential: remit agent issue AGENT --by ...")
    else:
        rows = []
        for each in result["clients"]:
            state = f"revoked {each['revoked']} by {each['revoked_by']}" if each["revoked"] else each["state"]
            rows.append([each["client"], each["agent"], state, ", ".join(each["scopes"]), each["since"], each["by"], each["expires"]])
        table(["credential", "agent", "state", "may", "issued", "by", "expires"], rows)
    for key in result["keys"]:
        line(f"Key {key['kid']}, made {key['since']} by {key['by']}, " + (f"accepted until {key['until']}." if key["until"] else "signs tokens."))


def rotated(result: dict[str, Any]) -> None:
    """Which key signs now."""
    line(f"{result['kid']} signs tokens from now on.")
    if result["stolen"]:
        line("No token of the key before it is accepted any more: every agent must ask for another.")
    else:
        line(f"Tokens of the key before it are accepted until they end, within {result['minutes']} minutes.")
