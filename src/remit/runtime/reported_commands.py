"""`remit outcomes reported`: what agents reported of their actions; and the words with that and with events, which safety alone reads."""

from contextlib import closing
from pathlib import Path
from typing import Any

from remit.gateway import WHATS
from remit.ledger import read_ledger
from remit.runtime.errors import WorkspaceError
from remit.runtime.run import present
from remit.runtime.workspace import config_texts, open_workspace, read_config
from remit.terms.instants import format_instant

SAFETY = "safety"
"""The role that reads what physicians said: it may be an adverse event."""


def reported(workspace: Path) -> dict[str, Any]:
    """Outcomes by agent, channel and what, and how many of them and of events came with words."""
    place = open_workspace(workspace)
    counted: dict[tuple[str, str, str], int] = {}
    with closing(read_ledger(place.ledger)) as records:
        words = sum(1 for entry in records.entries(kind="remark") if "outcome" in entry.body)
        words += sum(bool(entry.payload and entry.payload["text"]) for entry in records.entries(kind="event"))
        for entry in records.entries(kind="outcome"):
            key = (entry.body["agent"], entry.body["channel"], entry.body["what"])
            counted[key] = counted.get(key, 0) + 1
            words += bool(entry.payload and entry.payload["text"])
    rows = [
        {"agent": agent, "channel": channel, "what": what, "says": WHATS[what], "reported": number}
        for (agent, channel, what), number in sorted(counted.items())
    ]
    return {"reported": rows, "words": words}


def words(workspace: Path, by: str) -> dict[str, Any]:
    """Every word that came with an outcome or an event, newest last. Raises `WorkspaceError` unless `by` is a person on file in the role safety."""
    place = open_workspace(workspace)
    config = read_config(config_texts(place))
    with closing(read_ledger(place.ledger)) as records:
        now = present(records, config.settings)
        able = sorted(name for name, person in config.people.items() if SAFETY in person.roles and person.active(now))
        if by not in able:
            what = f"`{by}` may not read what physicians said" if by else "who reads what physicians said must be named"
            do = f"Name one with --by: {', '.join(able)}." if able else f"Nobody on file has the role `{SAFETY}`: give it to somebody in people.yaml."
            raise WorkspaceError(what, do=do)
        outcomes = {entry.seq: entry for entry in records.entries(kind="outcome")}
        said = [(entry, entry.payload["text"]) for entry in outcomes.values() if entry.payload is not None and entry.payload["text"]]
        more = (entry for entry in records.entries(kind="remark") if entry.payload is not None and "outcome" in entry.body)
        said += [(outcomes[int(entry.body["outcome"])], entry.payload["text"]) for entry in more if entry.payload is not None]
        events = (entry for entry in records.entries(kind="event") if entry.payload is not None)
        said += [(entry, entry.payload["text"]) for entry in events if entry.payload is not None and entry.payload["text"]]
    rows = []
    for entry, text in sorted(said, key=lambda each: each[0].seq):
        body = {name: entry.body[name] for name in ("agent", "channel", "product")}
        about = {"what": entry.body.get("what") or entry.body["kind"], "action": entry.body.get("action")}
        rows.append({"entry": entry.seq, **body, **about, "hcp_id": entry.hcp_id, "occurred_at": format_instant(int(entry.body["occurred_at"])), "text": text})
    return {"by": by, "words": rows}
