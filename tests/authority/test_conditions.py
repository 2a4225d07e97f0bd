"""The language of conditions: what may be said, and what is refused with which words."""

import polars as pl
import pytest

from remit.authority.conditions import AllOf, Among, AnyOf, Compare, FactName, Known, to_polars, to_python
from remit.authority.sql import read_condition
from remit.terms.facts import FACTS


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("touch = 2", Compare("touch", "=", 2)),
        ("2 < touch", Compare("touch", ">", 2)),
        ("touch != -2", Compare("touch", "<>", -2)),
        ("match_confidence >= 0.9", Compare("match_confidence", ">=", 900_000)),
        ("match_confidence >= 0.000001", Compare("match_confidence", ">=", 1)),
        ("value < -1.5", Compare("value", "<", -1_500_000)),
        ("value <= 9223372036854.775807", Compare("value", "<=", 2**63 - 1)),
        ("value >= -9223372036854.775808", Compare("value", ">=", -(2**63))),
        ("pdrp", Compare("pdrp", "=", True)),
        ("NOT pdrp", Compare("pdrp", "<>", True)),
        ("pdrp IS FALSE", AllOf((Known("pdrp", True), Compare("pdrp", "=", False)))),
        ("pdrp IS NOT TRUE", AnyOf((Known("pdrp", False), Compare("pdrp", "<>", True)))),
        ("contacts_28d > channel_contacts_28d", Compare("contacts_28d", ">", FactName("channel_contacts_28d"))),
        ("channel IN ('call', 'email', 'call')", Among("channel", ("call", "email"), True)),
        ("specialty = 'women''s health'", Compare("specialty", "=", "women's health")),
        ("NOT touch NOT IN (1)", Among("touch", (1,), True)),
        ("NOT touch BETWEEN 1 AND 3", AnyOf((Compare("touch", "<", 1), Compare("touch", ">", 3)))),
        ("NOT (consent IS NULL OR touch > 1)", AllOf((Known("consent", True), Compare("touch", "<=", 1)))),
        ("NOT NOT consent IS NOT NULL", Known("consent", True)),
        ("(touch) = ((1))", Compare("touch", "=", 1)),
    ],
)
def test_a_condition_is_read_as_the_tree_that_it_means(text: str, tree: object) -> None:
    assert read_condition(text, FACTS) == (tree, [])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("consnt = 'opt_in'", "did you mean `consent`?"),
        ("Consent = 'opt_in'", "did you mean `consent`?"),
        ("touch = '2'", "`touch` is int and is compared with text `2`; write a whole number"),
        ("consent = 1", "`consent` is text and is compared with number `1`; write text in single quotes"),
        ('consent = "opt_in"', "double quotes"),
        ("\"consent\" = 'opt_in'", "double quotes"),
        ("touch = 1.0", "write a whole number"),
        ("touch = 1e3", "write a whole number"),
        ("touch = 9223372036854775808", "larger than `touch` can ever be"),
        ("value > 0.1234567", "at most six decimals"),
        ("value > 9223372036854.775808", "larger than `value` can ever be"),
        ("pdrp = 1", "write TRUE or FALSE"),
        ("pdrp > FALSE", "has no order"),
        ("consent < 'opt_in'", "has no order"),
        ("consent BETWEEN 'a' AND 'b'", "has no order"),
        ("consent", "`consent` is text and is compared with TRUE or FALSE `TRUE`"),
        ("touch = value", "`touch` is int and `value` is number"),
        ("consent = pdrp", "only facts of one kind are compared"),
        ("1 = 1", "both literals"),
        ("TRUE = TRUE", "both literals"),
        ("1", "neither true nor false"),
        ("consent = NULL", "never true; write IS NULL"),
        ("consent IN ('opt_in', NULL)", "never true; write IS NULL"),
        ("consent IN ()", "needs a list"),
        ("'opt_in' IN (consent)", "stands before IN"),
        ("touch IN (1, contacts_28d)", "IN takes literals only"),
        ("touch IN 1", "is not allowed"),
        ("touch IN (SELECT 1)", "is not allowed"),
        ("EXISTS (SELECT 1)", "is not allowed"),
        ("(SELECT TRUE)", "is not allowed"),
        ("1 IS NULL", "stands before IS"),
        ("(touch > 1) IS NULL", "fact or a literal must stand"),
        ("(touch > 1) IS TRUE", "fact or a literal must stand"),
        ("touch IS TRUE", "IS TRUE and IS FALSE of a bool fact"),
        ("consent IS 'opt_in'", "write IS NULL or IS NOT NULL"),
        ("consent IS DISTINCT FROM 'opt_in'", "is not allowed"),
        ("consent IS NOT DISTINCT FROM 'opt_in'", "is not allowed"),
        ("consent <=> 'opt_in'", "is not allowed"),
        ("COALESCE(pdrp, TRUE)", "is not allowed"),
        ("COALESCE(touch, 0) = 0", "is not allowed"),
        ("NULLIF(touch, 0) = 0", "is not allowed"),
        ("LOWER(consent) = 'opt_in'", "is not allowed"),
        ("RANDOM() > 0", "is not allowed"),
        ("CURRENT_DATE = consent", "is not allowed"),
        ("CASE WHEN pdrp THEN FALSE ELSE TRUE END", "is not allowed"),
        ("touch + 1 > 2", "is not allowed"),
        ("touch > -(-1)", "fact or a literal must stand"),
        ("-touch > 1", "fact or a literal must stand"),
        ("touch > 1 - 1", "is not allowed"),
        ("touch % 2 = 0", "is not allowed"),
        ("CAST(touch AS TEXT) = '1'", "is not allowed"),
        ("touch::text = '1'", "is not allowed"),
        ("consent LIKE 'opt%'", "is not allowed"),
        ("consent || 'x' = 'x'", "is not allowed"),
        ("consent = 'opt' '_in'", "is not allowed"),
        ("consent COLLATE nocase = 'OPT_IN'", "is not allowed"),
        ("t.touch = 1", "is not allowed"),
        ("touch = ?", "is not allowed"),
        ("touch = :touch", "is not allowed"),
        ("touch > ANY(1)", "is not allowed"),
        ("touch BETWEEN SYMMETRIC 2 AND 1", "is not allowed"),
        ("touch = 1 = TRUE", "fact or a literal must stand"),
        ("touch = 1; pdrp", "is not allowed"),
        ("touch = 1 -- or more", "a comment stands in the condition"),
        ("touch = /* or more */ 1", "a comment stands in the condition"),
        ("touch = 1 AND", "cannot be read"),
        ("touch = 1 XOR pdrp", "cannot be read"),
        ("touch > (1", "cannot be read"),
        ("consent = 'opt_in", "cannot be read"),
        ("touch = 1 ORDER BY touch", "cannot be read"),
        ("pdrp AND " + "(" * 400 + "pdrp" + ")" * 400, "nested too deeply"),
        ("NOT " * 2000 + "pdrp", "nested too deeply"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_what_to_write(text: str, word: str) -> None:
    _, faults = read_condition(text, FACTS)
    assert word in " ".join(faults)


def test_all_faults_of_a_condition_are_told_at_once() -> None:
    _, faults = read_condition("consnt = 1 AND (touch = 'x' OR LOWER(channel) = 'y') AND value > 0.1234567", FACTS)
    assert len(faults) == 4


def test_a_condition_of_thousands_of_parts_is_read_and_compiled() -> None:
    condition, faults = read_condition(" OR ".join(f"touch = {number}" for number in range(3000)), FACTS)
    assert faults == []
    assert to_python(condition)({"touch": 2999}) is True
    assert pl.DataFrame({"touch": [2999, 3000]}).select(to_polars(condition)).to_series().to_list() == [True, False]
