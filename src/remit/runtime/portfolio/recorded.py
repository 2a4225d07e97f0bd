"""A recorded cycle as the portfolio reads it: its judged proposals with what became of them, and the configuration it ran under."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from remit.ledger import Records
from remit.runtime.cycle import PURPOSES
from remit.runtime.cycles import cycle_body
from remit.runtime.limiting import Room
from remit.runtime.record import STREAM
from remit.runtime.replaying import room_at
from remit.runtime.stopping import applied
from remit.runtime.workspace import Config, Workspace, read_config, recall
from remit.terms.facts import FACTS

_UNBOUNDED = "floor/"


@dataclass(frozen=True, slots=True)
class RecordedCycle:
    """`decisions` are in their order, without those of `gone` erased HCPs; `free` is the capacity per resource (micro-units) before anything was chosen, and
    of limits; `room` is what those per HCP are counted from."""

    cycle: str
    now: int
    config: Config
    body: dict[str, Any]
    decisions: pl.DataFrame
    gone: int
    free: dict[str, int]
    room: Room

    @property
    def allowance(self) -> pl.DataFrame:
        """Contacts that each HCP could have in the cycle: hcp_id, allowance."""
        return self.decisions.select("hcp_id", "allowance").unique("hcp_id", maintain_order=True)


def read_cycle(workspace: Workspace, records: Records, cycle: str) -> RecordedCycle:
    """The cycle as it was recorded. Raises `WorkspaceError` if there is none of that name, or its texts are gone."""
    body = cycle_body(records, cycle)
    config = applied(read_config(recall(workspace, body["inputs"]["config"])), records, int(body["inputs"]["log"]))
    found = [records.read_segment(segment) for segment in records.segments(cycle, STREAM)]
    decisions = pl.concat([each.frame for each in found]) if found else pl.DataFrame()
    if found:  # a fact that came into the dictionary since is not known
        decisions = decisions.with_columns(pl.lit(None).alias(name) for name in FACTS if name not in decisions.columns)
    first: dict[str, Any] = next((body["plans"][purpose] for purpose in PURPOSES if purpose in body["plans"]), {"capacity": {}})
    free = {name: amount for name, amount in first["capacity"].items() if not name.startswith(_UNBOUNDED)}
    return RecordedCycle(
        cycle, int(body["now"]), config, body, decisions, sum(sum(each.gone.values()) for each in found), free, room_at(workspace, records, body)
    )
