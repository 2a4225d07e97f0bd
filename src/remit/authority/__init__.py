"""Who may decide it? Decision-rights tables: read and checked, then judging one proposal or a million, always with the rules that made the verdict."""

from remit.authority.errors import AuthorityError
from remit.authority.exploring import limits
from remit.authority.judging import Judgement, authorize, judge
from remit.authority.loading import Layer, load_table
from remit.authority.stops import SCOPES, Stop, stopped
from remit.authority.tables import Exploration, Rule, Table

__all__ = ["SCOPES", "AuthorityError", "Exploration", "Judgement", "Layer", "Rule", "Stop", "Table", "authorize", "judge", "limits", "load_table", "stopped"]
