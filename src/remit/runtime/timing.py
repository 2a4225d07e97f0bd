"""`remit outcomes velocity`: the clock of each decision as the ledger holds it, and how long decisions wait at each stage."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from remit.ledger import Records, Stored, read_ledger
from remit.outcomes import Clock, Owner, Wait, velocity
from remit.outcomes.velocity import LEAST
from remit.runtime.record import STREAM
from remit.runtime.workspace import Config, config_texts, open_workspace, read_config
from remit.terms.instants import HOUR

_GATEWAY = Owner("gateway", "gateway", person=False)
_SIGNALS = ("number", "rx_age_h", "rx_feed_age_h")


def outcomes_velocity(workspace: Path) -> dict[str, Any]:
    """How long decisions to act waited at each stage, over all agents and by agent, and who owns the stage."""
    place = open_workspace(workspace)
    config = read_config(config_texts(place))
    with closing(read_ledger(place.ledger)) as records:
        found = velocity(clocks(records, config))
    return {
        "decisions": found.decisions,
        "stages": [_told(wait) for wait in found.stages],
        "agents": [_told(wait) for wait in found.agents],
        "too_few": found.too_few,
        "least": LEAST,
    }


def clocks(records: Records, config: Config) -> Iterator[Clock]:
    """The clock of each decision to act. Of a cycle: its newest prescription and when that was loaded, the cycle's instant, the last yes, the hand-over;
    between cycles as it was kept, in the workspace's time."""
    yes: dict[int, int] = {}
    for entry in records.entries(kind="approval"):
        yes[int(entry.body["action"])] = int(entry.body["at"])
    acted = {int(seq): entry for entry in records.entries(kind="acted") for seq in entry.body["actions"]}
    events = {str(entry.body["id"]): entry.body for entry in records.entries(kind="event")}
    owners = {charter.agent: Owner("agent", charter.owner, person=True) for charter in config.charters}
    cycles = {entry.cycle: int(entry.body["now"]) for entry in records.entries(kind="cycle")}
    signals: dict[str, Mapping[int, tuple[int | None, int | None]]] = {}
    for action in records.entries(kind="action"):
        if action.payload is None:
            continue
        if "id" in action.body:
            event = events.get(action.body.get("event", ""))
            yield _between(action, action.payload, event, yes.get(action.seq), acted.get(action.seq), owners)
        else:
            if action.cycle not in signals:
                signals = {action.cycle: _signals(records, action.cycle)}
            yield _of_cycle(action.payload, cycles[action.cycle], signals[action.cycle], yes.get(action.seq), acted.get(action.seq), owners)


def _between(
    action: Stored, payload: Mapping[str, Any], event: Mapping[str, Any] | None, yes: int | None, acted: Stored | None, owners: Mapping[str, Owner]
) -> Clock:
    judged, clock = int(action.body["at"]), action.body.get("clock", {})
    ago = {name: judged - (int(clock["judged"]) - int(clock[name])) for name in ("received", "proposed") if name in clock}
    done = None
    if acted is not None:
        kept = yes is None and "clock" in acted.body and "judged" in clock
        done = judged + int(acted.body["clock"]) - int(clock["judged"]) if kept else int(acted.body["at"])
    occurred = None
    if event is not None and "received" in ago:
        occurred = ago["received"] - (int(event["at"]) - int(event["occurred_at"]))
    reporter = owners.get(event["agent"]) if event is not None else None
    arrive = {"arrive": Owner("data", reporter.who, person=True)} if reporter else {}
    instants = (occurred, ago.get("received"), ago.get("proposed"), judged, yes, done)
    return Clock(payload["proposal"]["agent"], *instants, arrive | _owners(payload, owners), "proposal" if event is None else "event")


def _of_cycle(
    payload: Mapping[str, Any],
    now: int,
    signals: Mapping[int, tuple[int | None, int | None]],
    yes: int | None,
    acted: Stored | None,
    owners: Mapping[str, Owner],
) -> Clock:
    proposal = payload["proposal"]
    # Medical work is not told what is prescribed, so no prescription is its signal.
    age, feed_age = signals.get(payload["number"], (None, None)) if proposal["purpose"] == "promotional" else (None, None)
    occurred, received = (None if hours is None else now - hours * HOUR for hours in (age, feed_age))
    done = None if acted is None else int(acted.body["at"])
    named = {"arrive": Owner("data", "the feed of prescriptions", person=False)} | _owners(payload, owners)
    return Clock(proposal["agent"], occurred, received, now, now, yes, done, named)


def _owners(payload: Mapping[str, Any], owners: Mapping[str, Owner]) -> dict[str, Owner]:
    verdict, agent = payload["verdict"], owners.get(payload["proposal"]["agent"])
    named = {"judge": Owner("row", verdict["owner"], person=True), "act": _GATEWAY}
    roles = {"confirm": Owner("role", " and ".join(verdict["roles"]), person=False)} if verdict["roles"] else {}
    return named | roles | ({"propose": agent} if agent else {})


def _signals(records: Records, cycle: str) -> dict[int, tuple[int | None, int | None]]:
    """The age of the newest prescription and of its feed, in hours, by the number of the decision that went by them."""
    found: dict[int, tuple[int | None, int | None]] = {}
    for segment in records.segments(cycle, STREAM):
        frame = records.read_segment(segment).frame
        if set(_SIGNALS) <= set(frame.columns):
            found |= {number: (age, feed) for number, age, feed in frame.select(pl.col(_SIGNALS)).iter_rows()}
    return found


def _told(wait: Wait) -> dict[str, Any]:
    told = asdict(wait)
    owner = told.pop("owner")
    return {**told, "owner": owner and owner["who"], "owner_is": owner and owner["kind"], "person": bool(owner and owner["person"])}
