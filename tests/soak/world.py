"""The workspace of the attempts: room enough that much is chosen, limits of every kind that are reached all the time, agents of others that ask for more."""

import re
from pathlib import Path

from remit.runtime.workspace import Workspace
from tests.runtime.conftest import amended

VENDORS = {"vendor-mail": ("email", "vendor-mail"), "vendor-news": ("email", "vendor-news"), "vendor-call": ("call", "vendor-call")}
"""Agents of others, with the channel of each."""
_ROWS = "".join(
    f"  - {{id: {agent}, when: agent = '{agent}' AND channel = '{channel}' AND consent = 'opt_in' AND purpose = 'promotional', verdict: autonomous, "
    "owner: owner-email, reason: A test.}\n"
    for agent, (channel, _) in VENDORS.items()
)
LAST = "2026-03-02T00:00:00Z"
"""Until when the room lasts."""
_ROOM = {"sends": 4000, "budget/email": 1000, "calls/T001": 1500, "samples/alpha": 900, "samples/beta": 900, "hours/msl": 120}


def prepare(workspace: Workspace, room: int = 1) -> None:
    """Gives a workspace with two cycles its agents, limits, and so many times the `room`; they hold from its next cycle on."""
    root = workspace.root
    for agent, (channel, _) in VENDORS.items():
        uses = '{"budget/email": 0.25}' if channel == "email" else '{"samples/{product}": 0.1}'
        (root / "agents" / f"{agent}.yaml").write_text(
            f"agent: {agent}\nproposer: external\nobjective: What {agent} is for\npurpose: promotional\nowner: owner-email\nwatchers: [compliance-lead]\n"
            f"channels: [{channel}]\nproducts: [alpha, beta]\nmost_per_hcp: 9\nexpires: 2026-12-31T00:00:00Z\nuses: {uses}\n"
        )
    settings = workspace.settings_file
    text = settings.read_text().replace("per_cycle = 2 ", "per_cycle = 9 ").replace("per_window = 8 ", "per_window = 30 ")
    settings.write_text(re.sub(r"(\[channels\.\w+\].*?most_per_hcp = )1", r"\g<1>6", text, flags=re.DOTALL))
    (root / "invariants.yaml").unlink(missing_ok=True)  # which bound contacts lower than there is room for here
    table = root / "authority.yaml"
    said = table.read_text().replace("    value: 8\n", "    value: 29\n", 1).replace("    value: 4\n", "    value: 20\n", 1)
    table.write_text(said.replace("\nrows:\n", f"\n{_limits(room)}\nrows:\n{_ROWS}", 1))
    amended(workspace)
    _more_room(root / "feeds" / "resources", room)


def _more_room(feed: Path, room: int) -> None:
    """What is there of each resource from the third cycle on, which takes the word of the newest delivery."""
    rows = [f"{name},units,{amount * room},2026-01-19T00:00:00Z,{LAST},2026-01-19T05:00:00Z" for name, amount in _ROOM.items()]
    for path in feed.glob("2026-W0[4-9].csv"):
        kept = [line for line in path.read_text().splitlines()[1:] if line.split(",")[0] not in _ROOM]
        rows += kept
        path.unlink()
    (feed / "more.csv").write_text("\n".join(["resource,unit,capacity,valid_from,valid_to,received_at", *rows]) + "\n")


def _limits(room: int) -> str:
    return f"""
limits:
  - {{id: week, of: contacts, per: [hcp], within: 7 days, most: 7, where: {{purpose: promotional}}, owner: compliance-lead, reason: A test.}}
  - {{id: mail-day, of: contacts, per: [hcp, channel], within: 1 day, most: 2, where: {{channel: email}}, owner: compliance-lead, reason: A test.}}
  - {{id: agent-day, of: actions, per: [agent], within: 1 day, most: {60 * room}, where: {{purpose: promotional}}, owner: owner-email, reason: A test.}}
  - {{id: channel-hours, of: contacts, per: [channel], within: 6 hours, most: {70 * room}, owner: owner-email, reason: A test.}}
  - {{id: spend, of: budget/email, per: [product], within: 52 weeks, most: {220.25 * room}, where: {{channel: email}}, owner: owner-email, reason: A test.}}
  - {{id: ever, of: actions, per: [agent, product], within: ever, most: {450 * room}, where: {{agent: [vendor-call, vendor-news]}}, owner: owner-email,
     reason: A test.}}
"""
