"""Credentials of agents and people on the terminal."""

from typing import Any

from remit.runtime.printing import line, table


def issued(result: dict[str, Any]) -> None:
    """The secret, once, and what to do with it."""
    line(f"{_whose(result)} may {', '.join(result['scopes'])} as {result['client']} until {result['expires']}.")
    line(f"client_id      {result['client']}")
    line(f"client_secret  {result['secret']}")
    line("This is the only time the secret is shown: only a hash of it is kept. Put it where secrets are kept, never in a file that is shared or")
    kind = "agent" if "agent" in result else "person"
    line(f"in a message. If it is lost or seen by others: remit {kind} revoke {result['client']} --by ..., and issue another.")


def _whose(told: dict[str, Any]) -> str:
    return str(told.get("agent") or told["person"])


def revoked(result: dict[str, Any]) -> None:
    """What opens nothing any more."""
    line(f"{result['client']} of {_whose(result)} is revoked by {result['revoked_by']}: neither it nor any of its tokens opens anything.")


def listed(result: dict[str, Any]) -> None:
    """Credentials and keys."""
    if not result["clients"]:
        line("Nobody has a credential: remit agent issue AGENT --by ..., remit person issue PERSON --by ...")
    else:
        rows = []
        for each in result["clients"]:
            state = f"revoked {each['revoked']} by {each['revoked_by']}" if each["revoked"] else each["state"]
            rows.append([each["client"], _whose(each), state, ", ".join(each["scopes"]), each["since"], each["by"], each["expires"]])
        table(["credential", "of", "state", "may", "issued", "by", "expires"], rows)
    for key in result["keys"]:
        line(f"Key {key['kid']}, made {key['since']} by {key['by']}, " + (f"accepted until {key['until']}." if key["until"] else "signs tokens."))


def rotated(result: dict[str, Any]) -> None:
    """Which key signs now."""
    line(f"{result['kid']} signs tokens from now on.")
    if result["stolen"]:
        line("No token of the key before it is accepted any more: every agent must ask for another.")
    else:
        line(f"Tokens of the key before it are accepted until they end, within {result['minutes']} minutes.")
