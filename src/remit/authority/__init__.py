"""Who may decide it? Decision-rights tables: read and checked, then judging one proposal or a million, always with the rules that made the verdict."""

from remit.authority.checking import Gap, Idle, Leaving, Overlap, Unreached, gaps, leaving, overlaps, unreached
from remit.authority.conditions import Facts
from remit.authority.counted import EVER, Limit
from remit.authority.errors import AuthorityError
from remit.authority.exploring import limits
from remit.authority.guards import GUARDED, REPORTED, Guard
from remit.authority.invariants import Invariant, load_invariants
from remit.authority.judging import Judgement, authorize, judge
from remit.authority.loading import Layer, load_table
from remit.authority.proving import Proof, Refutation, broken, prove
from remit.authority.stops import LEFT_ALONE, MACHINE, SCOPES, Stop, read_stop, stopped
from remit.authority.tables import Exploration, Rule, Table

__all__ = [
    "EVER",
    "GUARDED",
    "LEFT_ALONE",
    "MACHINE",
    "REPORTED",
    "SCOPES",
    "AuthorityError",
    "Exploration",
    "Facts",
    "Gap",
    "Guard",
    "Idle",
    "Invariant",
    "Judgement",
    "Layer",
    "Leaving",
    "Limit",
    "Overlap",
    "Proof",
    "Refutation",
    "Rule",
    "Stop",
    "Table",
    "Unreached",
    "authorize",
    "broken",
    "gaps",
    "judge",
    "leaving",
    "limits",
    "load_invariants",
    "load_table",
    "overlaps",
    "prove",
    "read_stop",
    "stopped",
    "unreached",
]
