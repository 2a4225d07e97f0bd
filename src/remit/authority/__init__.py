"""Who may decide it? Decision-rights tables: read and checked, then judging one proposal or a million, always with the rules that made the verdict."""

from remit.authority.errors import AuthorityError
from remit.authority.exploring import limits
from remit.authority.judging import Judgement, authorize, judge
from remit.authority.loading import Layer, load_table
from remit.authority.tables import Exploration, Rule, Table

__all__ = ["AuthorityError", "Exploration", "Judgement", "Layer", "Rule", "Table", "authorize", "judge", "limits", "load_table"]
