"""Leave to act for learning: what a table may say, what it is refused, and how far it lets a proposal be tried."""

import polars as pl
import pytest

from remit.authority import limits, load_table
from remit.terms.facts import FACTS
from tests.authority.test_loading import PEOPLE, TABLE, faults_of

LEARNS = """\
exploration:
  - id: email-learns
    when: channel = 'email'
    tries: 0.1
    rests: 0.02
    owner: head
    reason: An e-mail costs little.
  - id: no-more-than-once
    when: channel = 'email' AND contacts_28d >= 4
    tries: 0
    owner: head
    reason: Who hears from us weekly is not tried upon.
"""


def test_the_least_that_any_row_says_holds_and_the_unknown_lets_nothing_through() -> None:
    """Of all rows that apply the least holds (what a row does not speak of is 0); where a condition is unknown the row does not apply; without rows nothing."""
    table = load_table(TABLE + LEARNS, PEOPLE, FACTS, 2_000)
    frame = pl.DataFrame({"channel": ["email", "email", "email", "call", None], "contacts_28d": [1, 4, None, 1, 1]})
    assert limits(frame, table).rows() == [(100_000, 20_000), (0, 0), (100_000, 20_000), (0, 0), (0, 0)]
    assert limits(frame, load_table(TABLE, PEOPLE, FACTS, 2_000)).rows() == [(0, 0)] * 5


def test_a_leave_without_a_condition_holds_for_every_proposal() -> None:
    table = load_table(TABLE + LEARNS.partition("  - id: no-more")[0].replace("channel = 'email'", "TRUE"), PEOPLE, FACTS, 2_000)
    assert limits(pl.DataFrame({"channel": ["email", "call", None]}), table).rows() == [(100_000, 20_000)] * 3


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tries: 0.1", "tries: 0.5", "tries `0.5` is not a probability from 0 to below 0.5"),
        ("tries: 0.1", "tries: often", "tries `often` is not a probability"),
        ("    tries: 0.1\n    rests: 0.02\n", "", "it lets nothing be tried; give `tries`, `rests` or both"),
        ("owner: head\n    reason: An", "owner: nobody\n    reason: An", "owner `nobody` is not in the file of people"),
        ("channel = 'email'\n    tries: 0.1", "consent IS NULL\n    tries: 0.1", "it would allow where `consent` is unknown"),
        ("channel = 'email'\n    tries: 0.1", "lead_score > 1\n    tries: 0.1", "`lead_score` is said by a model"),
        ("id: email-learns", "id: calls", "the id `calls` is taken"),
        ("rests: 0.02", "often: 0.02", "`often` is not a key here"),
    ],
)
def test_a_faulty_leave_is_refused_with_its_line(old: str, new: str, told: str) -> None:
    """What a person can get wrong, each with where it stands."""
    text = (TABLE + LEARNS).replace(old, new, 1)
    faults = faults_of(text)
    assert any(told in fault and fault.startswith("line ") for fault in faults), faults
